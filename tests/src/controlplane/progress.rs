//! Shows how far the build of the control plane is.

use std::{
    env,
    ffi::OsStr,
    io::{self, IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

/// Which share of the CPU time has passed when this share of the packages is compiled, as measured. Go compiles a package
/// after those that it imports, and the first ones are small. The last step links the program.
const TIME_BY_PACKAGES: [(f64, f64); 5] = [(0.0, 0.0), (0.05, 0.02), (0.36, 0.31), (0.65, 0.59), (1.0, 0.98)];

/// What is going on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Go reads the modules, and downloads those that are missing.
    Modules { downloads: usize },
    /// Go compiles the packages.
    Compiling { packages: usize },
    /// The last step.
    Linking,
}

/// One line that is redrawn on a terminal, and a line now and then in a log.
pub(super) struct Progress<'a> {
    version: &'a str,
    started: Instant,
    /// When the first package was compiled, and how many there are.
    compiling: Option<(Instant, usize)>,
    stage: Stage,
    shown: Option<Instant>,
    every: Duration,
    redraw: bool,
}

impl<'a> Progress<'a> {
    pub(super) fn new(version: &'a str) -> Self {
        let redraw = io::stderr().is_terminal() && env::var_os("TERM").as_deref() != Some(OsStr::new("dumb"));
        let every = if redraw { Duration::from_millis(200) } else { Duration::from_secs(20) };
        let stage = Stage::Modules { downloads: 0 };
        Self { version, started: Instant::now(), compiling: None, stage, shown: None, every, redraw }
    }

    /// Go downloads one more module.
    pub(super) fn downloads(&mut self) {
        if let Stage::Modules { downloads } = &mut self.stage {
            *downloads += 1;
        }
    }

    /// From now on, this many packages are compiled.
    pub(super) fn compiles(&mut self, packages: usize) {
        self.compiling = Some((Instant::now(), packages));
        self.stage = Stage::Compiling { packages: 0 };
    }

    /// Go compiles one more package.
    pub(super) fn compiled(&mut self) {
        let total = self.compiling.map_or(0, |(_, total)| total);
        match &mut self.stage {
            Stage::Compiling { packages } if *packages + 1 < total => *packages += 1,
            stage => *stage = Stage::Linking,
        }
    }

    pub(super) fn draw(&mut self) {
        if self.shown.is_some_and(|at| at.elapsed() < self.every) {
            return;
        }
        self.shown = Some(Instant::now());
        let line = match self.compiling {
            Some((since, total)) => line(self.version, &self.stage, total, since.elapsed()),
            None => line(self.version, &self.stage, 0, self.started.elapsed()),
        };
        // Progress that cannot be shown stops nothing.
        _ = if self.redraw { write!(io::stderr(), "\r\x1b[2K{line}") } else { writeln!(io::stderr(), "{line}") };
    }

    pub(super) fn finish(&self, built: bool) {
        let start = if self.redraw { "\r\x1b[2K" } else { "" };
        let how = if built { "Built" } else { "Could not build" };
        let took = minutes(self.started.elapsed());
        _ = writeln!(io::stderr(), "{start}{how} Kubernetes {} in {took}", self.version);
    }
}

fn line(version: &str, stage: &Stage, total: usize, elapsed: Duration) -> String {
    let so_far = minutes(elapsed);
    match stage {
        Stage::Modules { downloads: 0 } => format!("Kubernetes {version}: reading the modules, {so_far}"),
        Stage::Modules { downloads } => format!("Kubernetes {version}: {downloads} modules downloaded, {so_far}"),
        Stage::Compiling { packages } => {
            let left = left(*packages, total, elapsed).map(|left| format!(", about {} left", minutes(left)));
            let left = left.unwrap_or_default();
            format!("Kubernetes {version}: {packages} of {total} packages compiled, {so_far}{left}")
        }
        Stage::Linking => format!("Kubernetes {version}: {total} packages compiled, linking, {so_far}"),
    }
}

/// How long the rest takes if it is as fast as what is done. `None` as long as too little is done to tell.
fn left(packages: usize, total: usize, elapsed: Duration) -> Option<Duration> {
    let share = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let done = time_share(share(packages) / share(total.max(1)));
    (done >= 0.1).then(|| elapsed.mul_f64((1.0 - done) / done))
}

/// The share of the time that belongs to this share of the packages.
fn time_share(packages: f64) -> f64 {
    let mut below = TIME_BY_PACKAGES[0];
    for point in TIME_BY_PACKAGES {
        if packages < point.0 {
            let part = (packages - below.0) / (point.0 - below.0);
            return below.1 + part * (point.1 - below.1);
        }
        below = point;
    }
    below.1
}

fn minutes(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_grows_out_of_the_speed_so_far() {
        let at = |packages| left(packages, 1000, Duration::from_secs(100));
        assert_eq!(at(0), None, "nothing is known yet");
        let (early, late) = (at(400).unwrap(), at(900).unwrap());
        assert!(early > late, "{early:?} {late:?}");
        assert!(time_share(0.0).abs() < 1e-9);
        assert!((TIME_BY_PACKAGES[0].1..=1.0).contains(&time_share(1.0)));
    }

    #[test]
    fn the_line_names_the_step_and_the_packages() {
        let line = |stage| line("v1.2.3", &stage, 2000, Duration::from_secs(61));
        assert_eq!(line(Stage::Modules { downloads: 0 }), "Kubernetes v1.2.3: reading the modules, 1:01");
        assert_eq!(line(Stage::Modules { downloads: 7 }), "Kubernetes v1.2.3: 7 modules downloaded, 1:01");
        assert_eq!(line(Stage::Compiling { packages: 3 }), "Kubernetes v1.2.3: 3 of 2000 packages compiled, 1:01");
        assert_eq!(line(Stage::Linking), "Kubernetes v1.2.3: 2000 packages compiled, linking, 1:01");
    }

    #[test]
    fn the_program_is_linked_after_the_last_package() {
        let mut progress = Progress::new("v1.2.3");
        progress.compiles(2);
        progress.compiled();
        assert_eq!(progress.stage, Stage::Compiling { packages: 1 });
        progress.compiled();
        assert_eq!(progress.stage, Stage::Linking);
    }
}

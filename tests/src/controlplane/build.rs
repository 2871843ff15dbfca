//! `go build` of the control plane's programs, with progress shown.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use thiserror::Error;

use super::programs::Module;

/// What is built, and with which flags: part of the cache's key.
pub(super) const RECIPE: &str = "CGO_ENABLED=0 go build -trimpath -ldflags=-s,-w,-X";

const PACKAGES: [&str; 4] = [
    "go.etcd.io/etcd/server/v3",
    "k8s.io/kubernetes/cmd/kube-apiserver",
    "k8s.io/kubernetes/cmd/kube-controller-manager",
    "k8s.io/kubernetes/cmd/kubectl",
];

/// A tool of the machine that is not there. The message is one line and says what to install.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct MissingTool(String);

/// Builds `etcd`, `kube-apiserver`, `kube-controller-manager` and `kubectl` into `folder`.
pub(super) fn programs(module: &Module, folder: &Path) -> Result<()> {
    require_go(module)?;
    let version = &module.kubernetes;
    let (major, minor) = major_minor(version).with_context(|| format!("{version} is not a version of Kubernetes"))?;
    let stamp = [("gitVersion", version.as_str()), ("gitMajor", major), ("gitMinor", minor), ("gitTreeState", "clean")]
        .map(|(name, value)| format!("-X k8s.io/component-base/version.{name}={value}"));
    let mut command = go(module);
    command
        .args(["build", "-v", "-trimpath", "-buildvcs=false", "-ldflags"])
        .arg(format!("-s -w {}", stamp.join(" ")))
        .arg("-o")
        .arg(folder)
        .args(PACKAGES)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    run_with_progress(&mut command, version)?;
    // Go names a program after its package's last folder.
    fs::rename(folder.join("server"), folder.join("etcd")).context("go build made no etcd")
}

fn go(module: &Module) -> Command {
    let mut command = Command::new("go");
    // A workspace or vendor mode of the user's would resolve other versions than those that go.mod pins.
    command.current_dir(&module.folder).env("CGO_ENABLED", "0").env("GOWORK", "off").env_remove("GOFLAGS");
    command
}

/// Asks Go for its version inside the module: a Go that is too old downloads the right one or says that it may not.
fn require_go(module: &Module) -> Result<()> {
    let wanted = fs::read_to_string(module.folder.join("go.mod"))?
        .lines()
        .find_map(|line| line.strip_prefix("go ").map(str::to_owned))
        .context("go.mod names no version of Go")?;
    let need = format!(
        "Go {wanted} or newer is needed once, to build the Kubernetes control plane: install it from https://go.dev/dl \
         (or name a folder of prebuilt programs in KUBEBUILDER_ASSETS)"
    );
    match go(module).args(["env", "GOVERSION"]).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            bail!(MissingTool(format!("{need}. The one in PATH says: {said}")))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => bail!(MissingTool(need)),
        Err(error) => Err(error).context("cannot run go"),
    }
}

fn major_minor(version: &str) -> Option<(&str, &str)> {
    let mut numbers = version.strip_prefix('v')?.split('.');
    Some((numbers.next()?, numbers.next()?))
}

/// Runs `go build -v`, which names each package on standard error as it compiles it.
fn run_with_progress(command: &mut Command, version: &str) -> Result<()> {
    let started = Instant::now();
    let mut child = command.spawn().context("cannot run go build")?;
    let stderr = child.stderr.take().context("go build has no standard error")?;
    let (sender, lines) = mpsc::channel();
    let reader = thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });

    let mut progress = Progress::new(version, started);
    let mut said = Vec::new();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) if is_package(&line) => progress.compiled(line),
            Ok(line) if line.starts_with("go: downloading") => progress.downloading(&line),
            Ok(line) => said.push(line),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        progress.draw();
    }
    let status = child.wait()?;
    // The channel is closed, so the thread is at its end; what it returns says nothing.
    _ = reader.join();
    progress.finish(if status.success() { "built" } else { "could not build" });
    let tail = said.len().saturating_sub(20);
    ensure!(status.success(), "go build of the control plane failed ({status}):\n{}", said[tail..].join("\n"));
    Ok(())
}

/// A line of `go build -v` that is a package's import path; everything else is a message.
fn is_package(line: &str) -> bool {
    !line.is_empty() && !line.starts_with('#') && !line.contains([' ', '\t'])
}

/// One line that is redrawn on a terminal, and a line now and then in a log.
struct Progress<'a> {
    version: &'a str,
    started: Instant,
    shown: Option<Instant>,
    every: Duration,
    redraw: bool,
    packages: usize,
    doing: String,
}

impl<'a> Progress<'a> {
    fn new(version: &'a str, started: Instant) -> Self {
        let redraw = io::stderr().is_terminal() && env::var_os("TERM").as_deref() != Some(OsStr::new("dumb"));
        let every = if redraw { Duration::from_millis(200) } else { Duration::from_secs(20) };
        Self { version, started, shown: None, every, redraw, packages: 0, doing: "starting".to_owned() }
    }

    fn compiled(&mut self, package: String) {
        self.packages += 1;
        self.doing = package;
    }

    fn downloading(&mut self, line: &str) {
        line.trim_start_matches("go: ").clone_into(&mut self.doing);
    }

    fn draw(&mut self) {
        if self.shown.is_some_and(|at| at.elapsed() < self.every) {
            return;
        }
        self.shown = Some(Instant::now());
        let elapsed = self.started.elapsed().as_secs();
        let doing: String = self.doing.chars().take(60).collect();
        let line = format!(
            "building Kubernetes {} (once; about 5 minutes on 2 cores): {}:{:02}, {} packages, {doing}",
            self.version,
            elapsed / 60,
            elapsed % 60,
            self.packages,
        );
        // Progress that cannot be shown stops nothing.
        _ = if self.redraw { write!(io::stderr(), "\r\x1b[2K{line}") } else { writeln!(io::stderr(), "{line}") };
    }

    fn finish(&self, how: &str) {
        let start = if self.redraw { "\r\x1b[2K" } else { "" };
        let seconds = self.started.elapsed().as_secs();
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        _ = writeln!(io::stderr(), "{start}{how} Kubernetes {} in {minutes}:{seconds:02}", self.version);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_told_from_messages() {
        assert!(is_package("k8s.io/kubernetes/pkg/apis/core"));
        assert!(is_package("net/http"));
        assert!(!is_package("# k8s.io/kubernetes/pkg/apis/core"));
        assert!(!is_package("go: downloading k8s.io/api v0.36.3"));
        assert!(!is_package("pkg/x.go:3:4: undefined: y"));
    }

    #[test]
    fn a_version_has_a_major_and_a_minor_number() {
        assert_eq!(major_minor("v1.36.3"), Some(("1", "36")));
        assert_eq!(major_minor("1.36.3"), None);
    }
}

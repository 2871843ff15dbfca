//! The results of a run of libFuzzer, and how they are printed.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitStatus,
    time::Duration,
};

/// One run of one target.
pub(super) struct Run {
    pub(super) target: String,
    /// How many inputs were run.
    runs: u64,
    /// How many places in the code were reached.
    coverage: u64,
    /// How many inputs are kept because they reach code that the others do not reach.
    corpus: u64,
    took: Duration,
    pub(super) finding: Option<Finding>,
    log: String,
}

/// An input for which something does not hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// What does not hold.
    pub(super) what: String,
    /// The file with the input. `None` if libFuzzer wrote none.
    input: Option<PathBuf>,
}

impl Finding {
    /// The command that repeats it.
    pub(super) fn repeat(&self, target: &str) -> String {
        match &self.input {
            Some(input) => format!("cargo xtask fuzz {target} --input {}", input.display()),
            None => format!("cargo xtask fuzz {target}"),
        }
    }
}

impl Run {
    /// Reads the log of a run.
    pub(super) fn read(target: &str, status: ExitStatus, log: String, took: Duration) -> Self {
        let after = |line: &str, name: &str| -> Option<u64> {
            let rest = line.split_once(name)?.1.trim_start();
            rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
        };
        let last = |name: &str| {
            log.lines()
                .rev()
                .filter(|line| line.starts_with('#') || line.starts_with("stat::"))
                .find_map(|line| after(line, name))
        };
        let runs = last("stat::number_of_executed_units:").or_else(|| last("#")).unwrap_or_default();
        let (coverage, corpus) = (last(" cov:").unwrap_or_default(), last(" corp:").unwrap_or_default());
        let finding = (!status.success()).then(|| Finding {
            what: what(&log).unwrap_or_else(|| format!("the program ended with {status}")),
            input: log
                .lines()
                .rev()
                .find_map(|line| line.split_once("Test unit written to "))
                .map(|(_, path)| path.into()),
        });
        Self { target: target.to_owned(), runs, coverage, corpus, took, finding, log }
    }

    /// The end of the log, without the progress of libFuzzer.
    pub(super) fn log_of_finding(&self) -> String {
        let lines: Vec<&str> =
            self.log.lines().filter(|line| !line.starts_with(['#', '\t']) && !line.starts_with("INFO:")).collect();
        let dictionary = lines.iter().position(|line| line.contains("Recommended dictionary")).unwrap_or(lines.len());
        lines[..dictionary].join("\n")
    }

    fn line(&self) -> String {
        let rate = self.runs / self.took.as_secs().max(1);
        let result = if self.finding.is_some() { "FINDING" } else { "ok" };
        format!("{:<12} {:>10} {rate:>8} {:>9} {:>7}  {result}", self.target, self.runs, self.coverage, self.corpus)
    }
}

/// The message of libFuzzer or of the target about a finding.
fn what(log: &str) -> Option<String> {
    let mut lines = log.lines();
    let panicked = lines.find(|line| line.contains("' panicked at ") || line.contains("thread '<unnamed>'"));
    if panicked.is_some() {
        return lines.next().map(str::to_owned);
    }
    let error = log.lines().find(|line| line.contains("ERROR: libFuzzer:"))?;
    error.split_once("ERROR: ").map(|(_, what)| what.to_owned())
}

/// Prints a table, and one line for programs.
pub(super) fn print(runs: &[Run]) -> io::Result<()> {
    let mut text =
        format!("\n{:<12} {:>10} {:>8} {:>9} {:>7}  result\n", "target", "runs", "per s", "coverage", "corpus");
    for run in runs {
        // Writing to a String does not fail.
        _ = writeln!(text, "{}", run.line());
    }
    write!(io::stdout(), "{text}\n{}\n", summary(runs))
}

fn summary(runs: &[Run]) -> String {
    let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    let findings = runs.iter().filter(|run| run.finding.is_some()).count();
    format!(
        "fuzz targets={} runs={} coverage={} corpus={} seconds={} findings={findings}",
        runs.len(),
        sum(|run| run.runs),
        sum(|run| run.coverage),
        sum(|run| run.corpus),
        sum(|run| run.took.as_secs()),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    const FINE: &str = "#2\tINITED cov: 24 ft: 24 corp: 1/1b exec/s: 0 rss: 27Mb\n\
        #3241039\tDONE   cov: 559 ft: 1470 corp: 328/13323b lim: 4096 exec/s: 294639 rss: 28Mb\n\
        Done 3241039 runs in 11 second(s)\n\
        stat::number_of_executed_units: 3241039\n\
        stat::average_exec_per_sec:     294639\n";
    const BROKEN: &str = "INFO: Seed: 1\n\
        #2\tINITED cov: 24 ft: 24 corp: 1/1b exec/s: 0 rss: 27Mb\n\
        #90\tNEW    cov: 30 ft: 40 corp: 7/90b lim: 4 exec/s: 0 rss: 28Mb L: 4/4 MS: 1\n\
        \n\
        thread '<unnamed>' panicked at fuzz/src/main.rs:35:5:\n\
        target urls: http://a has the host None\n\
        ==7== ERROR: libFuzzer: deadly signal\n\
        artifact_prefix='/f/'; Test unit written to /f/crash-1\n\
        stat::number_of_executed_units: 91\n";

    fn run(code: i32, log: &str) -> Run {
        Run::read("urls", ExitStatus::from_raw(code << 8), log.to_owned(), Duration::from_secs(10))
    }

    #[test]
    fn a_run_without_a_finding_is_counted() {
        let run = run(0, FINE);
        assert_eq!((run.runs, run.coverage, run.corpus, &run.finding), (3_241_039, 559, 328, &None));
        assert_eq!(summary(&[run]), "fuzz targets=1 runs=3241039 coverage=559 corpus=328 seconds=10 findings=0");
    }

    #[test]
    fn a_finding_is_named_with_its_input_and_how_to_repeat_it() {
        let run = run(77, BROKEN);
        let finding = run.finding.as_ref().unwrap();
        assert_eq!(finding.what, "target urls: http://a has the host None");
        assert_eq!(finding.repeat("urls"), "cargo xtask fuzz urls --input /f/crash-1");
        assert_eq!((run.runs, run.coverage, run.corpus), (91, 30, 7));
        assert!(summary(&[run]).ends_with("findings=1"));
    }

    #[test]
    fn an_input_that_takes_too_long_is_a_finding() {
        let run = run(70, "==7== ERROR: libFuzzer: timeout after 20 seconds\n");
        assert_eq!(run.finding.unwrap().what, "libFuzzer: timeout after 20 seconds");
    }
}

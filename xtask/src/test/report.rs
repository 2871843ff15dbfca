//! Prints the results of `cargo xtask test`.

use std::{
    io::{self, Write as _},
    time::Duration,
};

/// The result of a tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Passed,
    /// The tier failed, with the error.
    Failed(String),
    /// The tier was skipped, with the missing tool.
    Skipped(String),
}

impl Outcome {
    /// Changes a skip to a failure if `strict` is true.
    pub(super) fn fail_if_skipped(self, strict: bool) -> Self {
        match self {
            Self::Skipped(reason) if strict => Self::Failed(format!("skipped, but CI must not skip a tier: {reason}")),
            other => other,
        }
    }
}

/// The line of a tier in the summary.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) tier: &'static str,
    pub(super) outcome: Outcome,
    pub(super) took: Duration,
}

impl Line {
    fn text(&self) -> String {
        let (result, reason) = match &self.outcome {
            Outcome::Passed => ("ok", ""),
            Outcome::Failed(reason) => ("FAILED", reason.as_str()),
            Outcome::Skipped(reason) => ("skipped", reason.as_str()),
        };
        format!("{:<10} {result:<8} {:>7}  {reason}", self.tier, seconds(self.took)).trim_end().to_owned()
    }
}

pub(super) fn announce(tier: &str) -> io::Result<()> {
    writeln!(io::stdout(), "\n=== {tier}")
}

pub(super) fn result(line: &Line) -> io::Result<()> {
    writeln!(io::stdout(), "=== {}", line.text())
}

/// Prints the results of all tiers and one line with the overall result.
pub(super) fn summary(lines: &[Line]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out)?;
    for line in lines {
        writeln!(out, "{}", line.text())?;
    }
    writeln!(out, "\n{}", overall_result(lines))
}

fn overall_result(lines: &[Line]) -> String {
    let names = |wanted: fn(&Outcome) -> bool| {
        let names: Vec<_> = lines.iter().filter(|line| wanted(&line.outcome)).map(|line| line.tier).collect();
        (!names.is_empty()).then(|| names.join(", "))
    };
    let failed = names(|outcome| matches!(outcome, Outcome::Failed(_))).map(|names| format!("failed: {names}"));
    let skipped = names(|outcome| matches!(outcome, Outcome::Skipped(_))).map(|names| format!("skipped: {names}"));
    let took = seconds(lines.iter().map(|line| line.took).sum());
    match (failed, skipped) {
        (None, None) => format!("all tiers ok in {took}"),
        (None, Some(skipped)) => format!("ok in {took}, but {skipped}"),
        (Some(failed), None) => format!("{failed} ({took})"),
        (Some(failed), Some(skipped)) => format!("{failed}; {skipped} ({took})"),
    }
}

fn seconds(duration: Duration) -> String {
    let tenths = duration.as_millis() / 100;
    if tenths < 600 {
        format!("{}.{}s", tenths / 10, tenths % 10)
    } else {
        format!("{}m{:02}s", tenths / 600, tenths / 10 % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(tier: &'static str, outcome: Outcome) -> Line {
        Line { tier, outcome, took: Duration::from_millis(61_250) }
    }

    #[test]
    fn a_skip_is_a_failure_only_in_ci() {
        let skipped = || Outcome::Skipped("no Go".to_owned());
        assert_eq!(skipped().fail_if_skipped(false), skipped());
        assert!(matches!(skipped().fail_if_skipped(true), Outcome::Failed(why) if why.ends_with("no Go")));
        assert_eq!(Outcome::Passed.fail_if_skipped(true), Outcome::Passed);
    }

    #[test]
    fn a_line_names_tier_outcome_time_and_reason() {
        assert_eq!(line("fmt", Outcome::Passed).text(), "fmt        ok         1m01s");
        let failed = line("clippy", Outcome::Failed("why".to_owned()));
        assert_eq!(failed.text(), "clippy     FAILED     1m01s  why");
    }

    #[test]
    fn the_overall_result_names_failed_and_skipped_tiers() {
        let passed = || line("fmt", Outcome::Passed);
        let failed = || line("unit", Outcome::Failed(String::new()));
        let skipped = || line("api", Outcome::Skipped(String::new()));
        assert_eq!(overall_result(&[passed()]), "all tiers ok in 1m01s");
        assert_eq!(overall_result(&[passed(), skipped()]), "ok in 2m02s, but skipped: api");
        assert_eq!(
            overall_result(&[passed(), failed(), failed(), skipped()]),
            "failed: unit, unit; skipped: api (4m05s)"
        );
    }

    #[test]
    fn times_are_short() {
        assert_eq!(seconds(Duration::from_millis(1_940)), "1.9s");
        assert_eq!(seconds(Duration::from_secs(754)), "12m34s");
    }
}

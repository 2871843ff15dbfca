//! What a benchmark prints: lines for people, then one line of `key=value` pairs for scripts.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write as _},
};

/// Collects what is printed at the end: whether each promise is kept, and the pairs.
#[derive(Debug)]
pub(super) struct Report {
    promises: Vec<String>,
    broken: usize,
    pairs: String,
}

impl Report {
    /// The report of the benchmark of this name.
    pub(super) fn new(name: &str) -> Self {
        Self { promises: Vec::new(), broken: 0, pairs: format!("bench={name}") }
    }

    /// Adds a pair.
    pub(super) fn pair(&mut self, key: impl Display, value: impl Display) {
        // Writing to a String cannot fail.
        _ = write!(self.pairs, " {key}={value}");
    }

    /// Adds a pair whose value may be missing, with two decimals.
    pub(super) fn number(&mut self, key: impl Display, value: Option<f64>) {
        self.pair(key, number(value));
    }

    /// Adds whether something is as it was promised.
    pub(super) fn promise(&mut self, kept: bool, what: impl Display) {
        self.broken += usize::from(!kept);
        self.promises.push(format!("{} {what}", if kept { "kept:  " } else { "BROKEN:" }));
    }

    /// Adds whether a number is at most what was promised. A number that could not be measured breaks the promise.
    pub(super) fn at_most(&mut self, limit: f64, unit: &str, what: impl Display, value: Option<f64>) {
        let kept = value.is_some_and(|value| value <= limit);
        self.promise(kept, format_args!("{what}: {} (at most {limit}{unit})", number(value)));
    }

    /// Adds whether a number is at least what was promised. A number that could not be measured breaks the promise.
    pub(super) fn at_least(&mut self, limit: f64, unit: &str, what: impl Display, value: Option<f64>) {
        let kept = value.is_some_and(|value| value >= limit);
        self.promise(kept, format_args!("{what}: {} (at least {limit}{unit})", number(value)));
    }

    /// Whether every promise is kept, if there are any.
    pub(super) fn kept(&self) -> bool {
        self.broken == 0
    }

    /// Prints all of it. Returns whether every promise is kept.
    pub(super) fn end(mut self) -> bool {
        for promise in &self.promises {
            print(promise);
        }
        if !self.promises.is_empty() {
            self.pair("broken", self.broken);
        }
        print(&format!("\n{}", self.pairs));
        self.kept()
    }
}

/// With two decimals; `-` for what could not be measured.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
}

/// Prints a line.
pub(super) fn print(line: &str) {
    // If standard output is closed, the line is lost.
    _ = writeln!(io::stdout(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_not_measured_keeps_no_promise() {
        let mut report = Report::new("x");
        assert!(report.kept());
        report.number("a", Some(1.234));
        report.number("b", None);
        report.at_most(2.0, " ms", "a", Some(2.0));
        assert!(report.kept());
        report.at_most(2.0, " ms", "b", None);
        report.at_most(2.0, "", "c", Some(f64::NAN));
        report.promise(false, "d");
        report.at_least(1.5, " times", "e", Some(1.5));
        report.at_least(1.5, "", "f", Some(1.25));
        assert!(!report.kept());
        assert_eq!(report.pairs, "bench=x a=1.23 b=-");
        let expected = [
            "kept:   a: 2.00 (at most 2 ms)",
            "BROKEN: b: - (at most 2 ms)",
            "BROKEN: c: NaN (at most 2)",
            "BROKEN: d",
            "kept:   e: 1.50 (at least 1.5 times)",
            "BROKEN: f: 1.25 (at least 1.5)",
        ];
        assert_eq!((report.promises, report.broken), (expected.map(str::to_owned).to_vec(), 4));
    }
}

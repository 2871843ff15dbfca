//! What a benchmark prints: lines for people, then one line of `key=value` pairs for scripts.

use std::{
    fmt::{Display, Write as _},
    io::{self, Write as _},
};

/// Collects the last line.
#[derive(Debug)]
pub(super) struct Report {
    pairs: String,
    /// Whether all promises were kept; `None` before the first.
    met: Option<bool>,
}

impl Report {
    /// The report of the benchmark of this name.
    pub(super) fn new(name: &str) -> Self {
        Self { pairs: format!("bench={name}"), met: None }
    }

    /// Adds a pair.
    pub(super) fn pair(&mut self, key: impl Display, value: impl Display) {
        // Writing to a String cannot fail.
        _ = write!(self.pairs, " {key}={value}");
    }

    /// Says whether something is as it was promised.
    pub(super) fn promise(&mut self, met: bool, what: &str) {
        self.met = Some(met && self.met.unwrap_or(true));
        print(&format!("{} {what}", if met { "met:   " } else { "MISSED:" }));
    }

    /// Prints the pairs; returns whether every promise was kept, if there were any.
    pub(super) fn end(mut self) -> bool {
        if let Some(met) = self.met {
            self.pair("met", met);
        }
        print(&self.pairs);
        self.met.unwrap_or(true)
    }
}

/// Prints a line.
pub(super) fn print(line: &str) {
    // Nobody reads a closed standard output.
    _ = writeln!(io::stdout(), "{line}");
}

//! What ends a command other than well.

use std::fmt;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// The input, or the cluster, has problems: exit code 1, one line each.
    Input(Vec<String>),
    /// The command line makes no sense: exit code 2.
    Usage(String),
}

impl Failure {
    /// One problem.
    pub fn input(problem: impl Into<String>) -> Self {
        Self::Input(vec![problem.into()])
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(problems) => f.write_str(&problems.join("\n")),
            Self::Usage(problem) => f.write_str(problem),
        }
    }
}

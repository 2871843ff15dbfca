//! The errors of a command.

use std::fmt;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input or the cluster has problems. Each problem is printed on its own line, and the exit code is 1.
    Input(Vec<String>),
    /// The command line is wrong. The exit code is 2.
    Usage(String),
}

impl Failure {
    /// A failure with one problem.
    pub(crate) fn input(problem: impl Into<String>) -> Self {
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

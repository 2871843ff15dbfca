//! The errors of a command.

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input or the cluster has problems. Each problem is printed on its own line, and the exit code is 1.
    Input(Vec<String>),
    /// The command line is wrong. The exit code is 2.
    Usage(String),
    /// The command line does not say what to use. The lines list the possible commands. The exit code is 2.
    Choice(Vec<String>),
}

impl Failure {
    /// A failure with one problem.
    pub(crate) fn input(problem: impl Into<String>) -> Self {
        Self::Input(vec![problem.into()])
    }

    /// What to print, line by line.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::Input(problems) | Self::Choice(problems) => problems.iter().map(String::as_str),
            Self::Usage(problem) => std::slice::from_ref(problem).iter().map(String::as_str),
        }
    }
}

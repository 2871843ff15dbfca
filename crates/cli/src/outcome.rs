//! The result of a command that succeeded.

use crate::text::Text;

/// The text that a command prints.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The text for standard output.
    pub output: Output,
    /// Notes for standard error. Each note is one line.
    pub notes: Vec<String>,
    /// The exit code. It is not 0 if the command found what it looks for, such as a difference.
    pub code: u8,
}

/// What goes to standard output.
#[derive(Debug)]
pub(crate) enum Output {
    /// For programs. Every byte counts, so nothing is escaped.
    Exact(String),
    /// For people.
    Shown(Text),
}

impl Output {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) => text,
            Self::Shown(text) => text.as_str(),
        }
    }
}

impl Outcome {
    /// Output with notes.
    pub(crate) fn new(output: Output, notes: Vec<String>) -> Self {
        Self { output, notes, code: 0 }
    }

    /// Output for programs, without notes.
    pub(crate) fn exact(output: String) -> Self {
        Self::new(Output::Exact(output), Vec::new())
    }

    /// Output for people.
    pub(crate) fn shown(output: Text, notes: Vec<String>) -> Self {
        Self::new(Output::Shown(output), notes)
    }

    /// The same with an exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

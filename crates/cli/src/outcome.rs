//! The result of a command that succeeded.

/// The text that a command prints.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The text for standard output.
    pub output: String,
    /// Notes for standard error. Each note is one line.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Output without notes.
    pub(crate) fn of(output: String) -> Self {
        Self { output, notes: Vec::new() }
    }
}

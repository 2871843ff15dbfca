//! What a command that did what it was asked has to say.

/// What goes to standard output, and what goes beside it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For standard output.
    pub output: String,
    /// For standard error, one line each.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Output without notes.
    pub fn of(output: String) -> Self {
        Self { output, notes: Vec::new() }
    }
}

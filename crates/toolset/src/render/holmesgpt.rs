//! Placeholder.
use crate::{
    base::BaseFile,
    tool::{Note, Tool},
};
/// Placeholder.
pub struct HolmesInput<'a> {
    /// Placeholder.
    pub tools: &'a [Tool],
    /// Placeholder.
    pub baseline: &'a [crd_types::Baseline],
    /// Placeholder.
    pub base: Option<&'a BaseFile>,
}
/// Placeholder.
pub struct HolmesFile {
    /// Placeholder.
    pub text: String,
    /// Placeholder.
    pub entries: usize,
    /// Placeholder.
    pub notes: Vec<Note>,
}
/// Placeholder.
pub fn render(i: &HolmesInput<'_>) -> HolmesFile {
    HolmesFile { text: i.tools.iter().map(|t| format!("{}\n", t.endpoint)).collect(), entries: 0, notes: Vec::new() }
}

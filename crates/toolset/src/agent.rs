//! Placeholder.
use crate::tool::{Note, Tool};
/// Placeholder.
pub fn note_unsupported(_tool: &Tool, _origin: &str) -> Vec<Note> {
    Vec::new()
}

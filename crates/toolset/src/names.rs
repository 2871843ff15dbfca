//! Placeholder.
use crate::tool::Tool;
/// Placeholder.
pub struct NameClash {
    /// Placeholder.
    pub index: usize,
    /// Placeholder.
    pub message: String,
}
/// Placeholder.
pub fn assign(tools: &mut [Tool]) -> Vec<NameClash> {
    for t in tools {
        t.name =
            t.chosen_name.clone().unwrap_or_else(|| t.key.as_ref().map(|k| k.name.to_string()).unwrap_or_default());
    }
    Vec::new()
}

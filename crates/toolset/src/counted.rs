//! Numbers with a noun, for messages.

/// `1 tool`, `2 tools`.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

//! The revision entry, by which a change arrives in the agent without a restart.
//!
//! `HolmesGPT` reads the file every 5 minutes. It replaces its running toolsets only if the set of their names, their
//! states or their tools changed, so it ignores a changed URL or another instance. The name of this entry changes with the
//! content of the file, so the set of names changes too. The entry has no tools, and the prompt does not contain it.

use crate::{
    agent_names, digest,
    yaml::{Block, Key, Node},
};

/// The start of the entry's name.
const PREFIX: &str = "discovered-revision-";
/// The number of hex digits after the prefix.
const DIGITS: usize = 8;

/// The entry of a file that has this text without it, and the revision in its name. The entry always has the same size.
pub(super) fn entry(text: &str) -> (Block, String) {
    let mut revision = digest::of_text(text);
    revision.truncate(DIGITS);
    let fields = Block::new().with("enabled", true).with("description", "Revision of the discovered toolsets");
    let entry = Key::new(format!("{PREFIX}{revision}")).map(|name| (name, Node::Map(fields)));
    (entry.into_iter().collect(), revision)
}

/// The revision in an entry's name. `None` if it is the name of another entry.
pub(super) fn of(name: &str) -> Option<&str> {
    let revision = name.strip_prefix(PREFIX)?;
    let digits = revision.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (revision.len() == DIGITS && digits).then_some(revision)
}

/// Whether a user's entry has a name that is reserved for the revision entry, for example because the base file is a copy
/// of the output.
pub(super) fn is_reserved(name: &str) -> bool {
    agent_names::is_revision(name)
}

#[cfg(test)]
mod tests;

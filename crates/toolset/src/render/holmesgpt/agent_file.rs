//! What the file asks of the running agent: which revision it should have loaded, which entries should be enabled, and
//! which variables its environment needs.

use std::collections::BTreeSet;

use super::{base, revision};
use crate::digest;

/// What a file asks of the running agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentFile {
    /// SHA-256 of the file, in hex.
    pub hash: String,
    /// The revision that the name of its revision entry ends in. `None` if it has no such entry.
    pub revision: Option<String>,
    /// The enabled entries that the operator added or changed. What stands like this in the base file is not among them.
    pub entries: BTreeSet<String>,
    /// The environment variables that the file names.
    pub variables: BTreeSet<String>,
}

impl AgentFile {
    /// Describes a file with these entries.
    pub(in crate::render) fn new(text: &str, revision: Option<String>, entries: BTreeSet<String>) -> Self {
        Self { hash: digest::of_text(text), revision, entries, variables: variables(text) }
    }

    /// Describes the hash and the variables of a file that anybody wrote.
    pub fn of_text(text: &str) -> Self {
        Self::new(text, None, BTreeSet::new())
    }

    /// Reads a file back that the operator wrote. `base` is the user's own file.
    ///
    /// Fails if the file cannot be read.
    pub fn read_back(text: &str, base: Option<&str>) -> Result<Self, String> {
        let file = base::parse(text)?;
        let base = base.and_then(|base| base::parse(base).ok()).unwrap_or_default();
        let (revisions, ours): (BTreeSet<&str>, BTreeSet<&str>) =
            base.others(file.toolsets(), file.servers()).partition(|name| revision::of(name).is_some());
        let ours = ours.into_iter().map(str::to_owned).collect();
        let revision = revisions.first().and_then(|name| revision::of(name)).map(str::to_owned);
        Ok(Self::new(text, revision, ours))
    }

    /// The revision in the name of a revision entry. `None` if it is the name of another entry.
    pub fn revision_of(name: &str) -> Option<&str> {
        revision::of(name)
    }
}

/// The names in `{{ env.NAME }}`, as the agent finds them.
fn variables(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for part in text.split("{{").skip(1) {
        let name = part.trim_start().strip_prefix("env.").and_then(|rest| rest.split_once('}'));
        if let Some((name, rest)) = name
            && rest.starts_with('}')
        {
            found.insert(name.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_as_the_agent_finds_them() {
        let text =
            "a: Bearer {{ env.TOKEN }}{{env.USER}}\nb: '{{  env.TOKEN}} {{ env.X }'\nc: '{{ other }} {{ env.Y'\n";
        assert_eq!(variables(text), BTreeSet::from(["TOKEN".to_owned(), "USER".to_owned()]));
    }

    #[test]
    fn a_file_is_read_back_without_the_users_entries_and_the_disabled_ones() {
        let text = "toolsets:\n  a: {enabled: true}\n  b: {enabled: false}\n  mine: {type: http}\n  \
                    discovered-revision-00112233: {enabled: true}\nmcp_servers:\n  m: {config: {}}\n";
        let file = AgentFile::read_back(text, Some("toolsets:\n  mine: {type: http}\n")).unwrap();
        assert_eq!(file.revision.as_deref(), Some("00112233"));
        assert_eq!(file.entries, BTreeSet::from(["a".to_owned(), "m".to_owned()]));
    }
}

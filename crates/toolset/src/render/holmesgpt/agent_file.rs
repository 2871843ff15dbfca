//! What the file asks of the running agent: which revision it should have loaded, which entries should be enabled, and
//! which variables its environment needs.

use std::collections::BTreeSet;

use super::{base, revision, variables};
use crate::{digest, visible::is_invisible};

/// The most bytes of a file that is read back. The API server takes no larger ConfigMap.
const MOST_BYTES: usize = 1024 * 1024;
/// The most characters of an entry's name. The status takes no longer one.
const LONGEST_NAME: usize = 253;

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
    pub(in crate::render) fn new(
        text: &str,
        revision: Option<String>,
        entries: BTreeSet<String>,
        variables: BTreeSet<String>,
    ) -> Self {
        Self { hash: digest::of_text(text), revision, entries, variables }
    }

    /// Reads a file back that the operator wrote. `base` is the user's own file. An entry whose name cannot be shown is
    /// left out.
    ///
    /// Fails if the file cannot be read.
    pub fn read_back(text: &str, base: Option<&str>) -> Result<Self, String> {
        let file = base::parse_within(MOST_BYTES, text)?;
        let base = base.and_then(|base| base::parse(base).ok()).unwrap_or_default();
        let (revisions, ours): (BTreeSet<&str>, BTreeSet<&str>) =
            base.others(file.toolsets(), file.servers()).partition(|name| revision::of(name).is_some());
        let ours = ours.into_iter().filter(|name| can_be_shown(name)).map(str::to_owned).collect();
        let revision = revisions.first().and_then(|name| revision::of(name)).map(str::to_owned);
        let variables = variables::of(file.toolsets().values().chain(file.servers().values()));
        Ok(Self::new(text, revision, ours, variables))
    }

    /// The revision in the name of a revision entry. `None` if it is the name of another entry.
    pub fn revision_of(name: &str) -> Option<&str> {
        revision::of(name)
    }
}

/// Whether a name can stand in a status.
fn can_be_shown(name: &str) -> bool {
    name.chars().count() <= LONGEST_NAME && !name.contains(is_invisible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_back_without_the_users_entries_and_the_disabled_ones() {
        let text = "toolsets:\n  a: {enabled: true}\n  b: {enabled: false}\n  mine: {type: http}\n  \
                    discovered-revision-00112233: {enabled: true}\nmcp_servers:\n  m: {config: {}}\n";
        let file = AgentFile::read_back(text, Some("toolsets:\n  mine: {type: http}\n")).unwrap();
        assert_eq!(file.revision.as_deref(), Some("00112233"));
        assert_eq!(file.entries, BTreeSet::from(["a".to_owned(), "m".to_owned()]));
    }

    #[test]
    fn a_name_that_no_status_could_show_is_not_ours() {
        let (long, longest) = ("a".repeat(254), "b".repeat(253));
        let text = format!(
            "toolsets:\n  {long}: {{enabled: true}}\n  {longest}: {{enabled: true}}\n  \"x\u{202e}y\": {{enabled: true}}\n  \
             \"x\u{200b}y\": {{enabled: true}}\n  ü: {{enabled: true}}\n"
        );
        let file = AgentFile::read_back(&text, None).unwrap();
        assert_eq!(file.entries, BTreeSet::from([longest, "ü".to_owned()]));
    }

    #[test]
    fn a_file_as_large_as_the_operator_writes_it_is_read_back() {
        let entry = |n: usize| format!("  tool-{n}: {{enabled: true, description: '{}'}}\n", "x".repeat(1000));
        let text = format!("toolsets:\n{}", (0..500).map(entry).collect::<String>());
        assert!(text.len() > 2 * base::MAX_BYTES - 20_000);
        assert_eq!(AgentFile::read_back(&text, None).unwrap().entries.len(), 500);
        assert!(AgentFile::read_back(&"x: y\n".repeat(MOST_BYTES / 4), None).is_err());
    }
}

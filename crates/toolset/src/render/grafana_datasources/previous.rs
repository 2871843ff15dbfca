//! What Grafana may still have of an earlier file, and what it is told to delete.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::names;

/// The most names that Grafana is told to delete. The oldest ones are dropped, because every Grafana that runs has
/// loaded them for long.
const MAX_DELETED: usize = 50;
/// The most names that are only remembered. A plan has at most this many tools.
const MAX_REMEMBERED: usize = 200;
/// The start of a line with a name that is remembered. It is a comment, so Grafana does nothing with the name.
pub(super) const REMEMBERED: &str = "# left in Grafana: ";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    datasources: Option<Vec<Named>>,
    delete_datasources: Option<Vec<Named>>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The names in the file that was written before.
#[derive(Debug, Default)]
pub(super) struct Previous {
    /// Those that Grafana has.
    known: BTreeSet<String>,
    /// Those that it was told to delete, the oldest first.
    deleted: Vec<String>,
}

/// What becomes of the names that are not written any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Gone {
    /// Grafana deletes them. The oldest is the first.
    pub deleted: Vec<String>,
    /// Grafana keeps them. They are deleted when their Service is gone.
    pub remembered: BTreeSet<String>,
}

impl Previous {
    /// Reads a file. Names that are not of our form are ignored, so nobody can make us delete another data source.
    pub(super) fn read(text: &str) -> Self {
        let file: File = serde_saphyr::from_str(text).unwrap_or_default();
        let ours = |one: Named| Some(one.name).filter(|name| names::is_ours(name));
        let remembered =
            text.lines().filter_map(|line| line.strip_prefix(REMEMBERED)).filter(|name| names::is_ours(name));
        let written = file.datasources.into_iter().flatten().filter_map(ours);
        Self {
            known: written.chain(remembered.map(str::to_owned)).collect(),
            deleted: file.delete_datasources.into_iter().flatten().filter_map(ours).collect(),
        }
    }

    /// `present` is what the new file writes. `standing` are the Services that are still there and wanted, although they
    /// cannot be written now.
    pub(super) fn without(self, present: &BTreeSet<String>, standing: &BTreeSet<String>) -> Gone {
        let (mut gone, mut seen) = (Gone::default(), BTreeSet::new());
        for name in self.deleted.into_iter().chain(self.known) {
            if present.contains(&name) {
                continue;
            }
            if standing.contains(&name) {
                gone.remembered.insert(name);
            } else if seen.insert(name.clone()) {
                gone.deleted.push(name);
            }
        }
        gone.deleted.drain(..gone.deleted.len().saturating_sub(MAX_DELETED));
        gone.remembered = gone.remembered.into_iter().take(MAX_REMEMBERED).collect();
        gone
    }
}

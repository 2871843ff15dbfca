//! What Grafana may still have of an earlier file, and what it is told to delete.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::names;
use crate::wanted::Fate;

/// The most names that Grafana is told to delete at once.
pub(super) const MAX_DELETED: usize = 50;
/// The most names of each kind that are kept in comments, so that the file stays far below the size budget.
const MAX_KEPT: usize = 500;

/// A kind of name that is kept in a comment, with which Grafana does nothing.
#[derive(Clone, Copy)]
pub(super) struct Kind(&'static str);

/// Its data source stays in Grafana.
pub(super) const REMEMBERED: Kind = Kind("# left in Grafana: ");
/// Its data source stays in Grafana only because another ToolsetConfig lists it.
const SHARED: Kind = Kind("# left in Grafana for another ToolsetConfig: ");
/// Its data source will be deleted.
const WAITING: Kind = Kind("# to be deleted in Grafana: ");

impl Kind {
    /// The line of a name.
    pub(super) fn line(self, name: &str) -> String {
        format!("{}{name}\n", self.0)
    }

    /// The names of this kind in a file.
    fn names(self, text: &str) -> Vec<String> {
        let names = text.lines().filter_map(|line| line.strip_prefix(self.0)).filter(|name| names::is_ours(name));
        names.map(str::to_owned).collect()
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    datasources: Option<Vec<Source>>,
    delete_datasources: Option<Vec<Source>>,
}

/// A data source in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Source {
    pub name: String,
    /// Grafana's type.
    #[serde(rename = "type")]
    pub type_: String,
    pub url: String,
    pub json_data: JsonData,
}

/// What tells products of one type apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct JsonData {
    pub prometheus_type: String,
}

/// The names in the file that was written before.
#[derive(Debug, Default)]
pub(super) struct Previous {
    /// Its data sources.
    pub written: Vec<Source>,
    /// Those that it only remembers.
    pub remembered: Vec<String>,
    shared: Vec<String>,
    /// Those that wait until Grafana is told to delete them, in order.
    waiting: Vec<String>,
    /// Those that it was told to delete, the oldest first.
    deleted: Vec<String>,
}

/// What becomes of the names that are not written any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Grafana deletes them. The oldest is the first.
    pub deleted: Vec<String>,
    /// Grafana deletes them later, because too many are deleted now.
    pub waiting: Vec<String>,
    /// Grafana keeps them. They are deleted when they are known not to be wanted.
    remembered: BTreeSet<String>,
    shared: BTreeSet<String>,
}

impl Previous {
    /// Reads a file. Names that are not of our form are ignored, so nobody can make us delete another data source.
    pub(super) fn read(text: &str) -> Self {
        let file: File = serde_saphyr::from_str(text).unwrap_or_default();
        let ours = |sources: Option<Vec<Source>>| {
            sources.into_iter().flatten().filter(|source| names::is_ours(&source.name)).collect::<Vec<_>>()
        };
        Self {
            written: ours(file.datasources),
            remembered: REMEMBERED.names(text),
            shared: SHARED.names(text),
            waiting: WAITING.names(text),
            deleted: ours(file.delete_datasources).into_iter().map(|source| source.name).collect(),
        }
    }

    /// What the next file does with the names that are not `present` in it.
    ///
    /// A name is deleted only if it is known that its Service is gone or not wanted. If another ToolsetConfig lists it,
    /// it must also be gone. From then on it stays in the list, until it is present again or until newer ones need its
    /// place. It leaves its place only when Grafana has loaded the file.
    pub(super) fn next(
        self,
        present: &BTreeSet<String>,
        fate: impl Fn(&str) -> Fate,
        is_elsewhere: impl Fn(&str) -> Option<bool>,
        is_loaded: bool,
    ) -> Left {
        let (mut left, mut seen) = (Left::default(), present.clone());
        let mut told = 0;
        let earlier = self.deleted.iter().map(|name| (name, true));
        for (name, is_told) in earlier.chain(self.waiting.iter().map(|name| (name, false))) {
            if !seen.insert(name.clone()) {
                continue;
            }
            if is_elsewhere(name) == Some(true) && fate(name) != Fate::Gone {
                left.shared.insert(name.clone());
                continue;
            }
            told += usize::from(is_told);
            left.deleted.push(name.clone());
        }
        let written = self.written.into_iter().map(|source| source.name);
        let known: BTreeSet<String> = written.chain(self.remembered).chain(self.shared).collect();
        for name in known {
            if !seen.insert(name.clone()) {
                continue;
            }
            match fate(&name) {
                Fate::Open => _ = left.remembered.insert(name),
                Fate::Unwanted if is_elsewhere(&name) != Some(false) => _ = left.shared.insert(name),
                Fate::Unwanted | Fate::Gone => left.deleted.push(name),
            }
        }
        if is_loaded {
            left.deleted.drain(..left.deleted.len().saturating_sub(MAX_DELETED).min(told));
        }
        left.waiting = left.deleted.split_off(left.deleted.len().min(MAX_DELETED));
        left
    }
}

impl Left {
    /// The comments.
    pub(super) fn comments(&self) -> String {
        let kept = self.remembered.iter().take(MAX_KEPT).map(|name| REMEMBERED.line(name));
        let shared = self.shared.iter().take(MAX_KEPT).map(|name| SHARED.line(name));
        let waiting = self.waiting.iter().take(MAX_KEPT).map(|name| WAITING.line(name));
        kept.chain(shared).chain(waiting).collect()
    }
}

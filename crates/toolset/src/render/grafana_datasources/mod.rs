//! Format `GrafanaDatasources`: a provisioning file for the data sources of Grafana.
//!
//! Only Trusted tools are in it. Grafana never forgets a data source that a file no longer names, so what goes is named
//! under `deleteDatasources`. Which names those are follows from the file that was written before, which is an input of
//! the pure function. `docs/other-readers.md` says what Grafana does with the file.

mod names;
mod previous;
mod source;

use std::collections::BTreeSet;

use crd_types::{Instances, Reason, ServiceReason, ToolsetConfig, Trust};
use detectors::{Product, ServiceKey};
use kube::ResourceExt;

use self::{
    previous::{MAX_DELETED, Previous},
    source::Absent,
};
use super::before::{Before, Elsewhere};
use crate::{
    plan::Plan,
    tool::{Note, Tool},
    wanted::Fate,
    yaml::{self, Block},
};

/// Says who writes the file.
const HEADER: &str =
    "# Written by toolset-operator from the cluster's Services. Edits are undone: change the ToolsetConfig instead.\n";
/// The file in case the emitter fails, so that Grafana still has one that it loads.
const AT_LEAST: &str = "apiVersion: 1\n";

/// What the file is made from.
pub(super) struct Input<'a> {
    pub config: &'a ToolsetConfig,
    pub tools: &'a [Tool],
    /// `None` if nothing is known of what was written before.
    pub before: Option<&'a Before<'a>>,
    /// See [`switched_off`].
    pub off: &'a BTreeSet<String>,
}

/// The file.
pub(super) struct File {
    /// YAML.
    pub text: String,
    /// The number of data sources in it.
    pub listed: usize,
    /// Whether more names are deleted when Grafana has loaded it.
    pub waits: bool,
    /// What could not be written as it was asked for.
    pub notes: Vec<Note>,
}

/// The data sources that the spec or the owners of their Services switch off, as the plan says. Every other reason for
/// which a Service is no tool may be a fault that somebody corrects, so its data source stays in Grafana.
pub(super) fn switched_off(config: &ToolsetConfig, plan: &Plan) -> BTreeSet<String> {
    let is_single = |product: Product| {
        let is_kept = |tool: &Tool| tool.product == product && tool.key.is_some();
        config.spec.detector(product).instances == Instances::Single && plan.tools.iter().any(is_kept)
    };
    let off = plan.rejected.iter().filter(|one| match one.reason {
        ServiceReason::OptedOut
        | ServiceReason::DetectorDisabled
        | ServiceReason::OverriddenOff
        | ServiceReason::TrustedOnly => true,
        ServiceReason::LostToPreferred => one.product.is_some_and(is_single),
        _ => false,
    });
    off.map(|one| names::of_service(&one.key.namespace, &one.key.name)).collect()
}

/// The file, in the order of the names.
pub(super) fn render(input: &Input<'_>) -> File {
    let (mut sources, mut notes) = (Vec::new(), Vec::new());
    for tool in input.tools.iter().filter(|tool| tool.trust == Trust::Trusted) {
        match source::of(input.config, tool) {
            Ok(source) => sources.push((names::of_tool(tool), source)),
            Err(absent) => notes.extend(note_of(tool, absent)),
        }
        if tool.settings.index.is_some() && !source::takes_index(tool.product) {
            let message = format!(
                "{}: settings.index is left out, because a data source of type {} has no index; remove it",
                tool.origin_in_words(),
                tool.type_name()
            );
            notes.push(Note::new(Reason::SettingUnsupported, message));
        }
    }
    sources.sort_by(|(a, _), (b, _)| a.cmp(b));
    let present: BTreeSet<String> = sources.iter().map(|(name, _)| name.clone()).collect();
    let earlier = input.before.and_then(|before| before.earlier);
    let is_loaded = earlier.is_some_and(|earlier| earlier.is_loaded);
    let elsewhere = earlier.and_then(|earlier| earlier.elsewhere);
    let is_elsewhere = |name: &str| elsewhere.map(|elsewhere| elsewhere.contains_key(name));
    let previous = earlier.map(|earlier| Previous::read(earlier.text)).unwrap_or_default();
    let left = previous.next(&present, |name| fate(input, name), is_elsewhere, is_loaded);
    notes.extend(present.iter().filter_map(|name| overlap(input.config, name, elsewhere?.get(name)?)));
    if !left.waiting.is_empty() {
        let message = format!(
            "{} data sources are deleted in Grafana later, because a file names at most {MAX_DELETED} of them; the next ones follow when the file has not changed for 5 minutes",
            left.waiting.len()
        );
        notes.push(Note::new(Reason::OutputTooLarge, message));
    }
    let listed = sources.len();
    let mut file = Block::new().with("apiVersion", 1);
    if !left.deleted.is_empty() {
        let deleted: Vec<Block> =
            left.deleted.iter().map(|name| Block::new().with("name", name.clone()).with("orgId", 1)).collect();
        file.set("deleteDatasources", deleted);
    }
    file.set("datasources", sources.into_iter().map(|(_, source)| source).collect::<Vec<_>>());
    let body = yaml::to_yaml(&file).unwrap_or_else(|_| AT_LEAST.to_owned());
    let waits = !left.waiting.is_empty();
    File { text: format!("{HEADER}{}{body}", left.comments()), listed, waits, notes }
}

/// What is known of a data source that the file does not have.
fn fate(input: &Input<'_>, name: &str) -> Fate {
    if input.off.contains(name) {
        return Fate::Unwanted;
    }
    match names::service_of(name) {
        Some(key) => input.before.map_or(Fate::Open, |before| (before.fate)(&key)),
        None if input.config.spec.tools.iter().any(|tool| names::of_stated(&tool.name) == name) => Fate::Open,
        None => Fate::Unwanted,
    }
}

/// Two ToolsetConfigs of one namespace are for the same Grafana.
fn overlap(config: &ToolsetConfig, name: &str, other: &str) -> Option<Note> {
    let (namespace, other) = other.split_once('/')?;
    if config.namespace().as_deref() != Some(namespace) {
        return None;
    }
    let message = format!(
        "ToolsetConfig {other} has the data source {name} too, with another uid; let only one of them select it"
    );
    Some(Note::new(Reason::OutputConflict, message))
}

/// What the owner of the spec should know about a tool that is not in the file. It is normal that a discovered tool has
/// no data source.
fn note_of(tool: &Tool, absent: Absent) -> Option<Note> {
    if tool.key.is_some() && matches!(absent, Absent::Type | Absent::Index) {
        return None;
    }
    let message = format!("{}: it is not in the file, because {}", tool.origin_in_words(), absent.in_words());
    Some(Note::new(Reason::SettingUnsupported, message))
}

/// A data source in a file.
pub(crate) struct ListedSource {
    pub key: ServiceKey,
    /// What its tool can be.
    pub products: Vec<Product>,
    pub url: String,
}

/// The data sources of Services in a file, by their names. A URL could also be that of a tool of `spec.tools`.
pub(crate) fn listed(text: &str) -> Vec<ListedSource> {
    let listed = |source: previous::Source| {
        let products = source::products(&source.type_, &source.json_data.prometheus_type);
        Some(ListedSource { key: names::service_of(&source.name)?, products, url: source.url })
    };
    Previous::read(text).written.into_iter().filter_map(listed).collect()
}

/// Adds the names that the file of another ToolsetConfig keeps in Grafana. Those that it keeps only because of others do
/// not count, so two ToolsetConfigs do not keep a name because of each other.
pub fn add_elsewhere(elsewhere: &mut Elsewhere, other: &ToolsetConfig, text: &str) {
    let file = Previous::read(text);
    let other = format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any());
    let names = file.written.into_iter().map(|source| source.name).chain(file.remembered);
    elsewhere.extend(names.map(|name| (name, other.clone())));
}

/// Why the file does not have a tool of the plan. `None` if it has.
pub(super) fn why_absent(config: &ToolsetConfig, tool: &Tool) -> Option<String> {
    source::of(config, tool).err().map(|absent| absent.in_words().to_owned())
}

#[cfg(test)]
mod tests;

//! Format `GrafanaDatasources`: a provisioning file for the data sources of Grafana.
//!
//! Only Trusted tools are in it. Grafana never forgets a data source that a file no longer names, so what goes is named
//! under `deleteDatasources`. Which names those are follows from the file that was written before, which is an input of
//! the pure function. `docs/other-readers.md` says what Grafana does with the file.

mod names;
mod previous;
mod source;

use std::collections::BTreeSet;

use crd_types::{Reason, ServiceReason, ToolsetConfig, Trust};

use self::{previous::Previous, source::Absent};
use crate::{
    plan::Plan,
    tool::{Note, Tool},
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
    /// The file that was written before.
    pub previous: Option<&'a str>,
    /// See [`standing`].
    pub standing: &'a BTreeSet<String>,
}

/// The file.
pub(super) struct File {
    /// YAML.
    pub text: String,
    /// The number of data sources in it.
    pub listed: usize,
    /// What could not be written as it was asked for.
    pub notes: Vec<Note>,
}

/// The data sources whose Services are still there and wanted, although the file may not have them: what the size budget
/// leaves out, and what has a fault or reaches a limit. Grafana keeps them.
pub(super) fn standing(config: &ToolsetConfig, plan: &Plan) -> BTreeSet<String> {
    let is_wanted = |tool: &&Tool| !matches!(source::of(config, tool), Err(Absent::Type | Absent::Index));
    let planned = plan.tools.iter().filter(|tool| tool.trust == Trust::Trusted).filter(is_wanted).map(names::of_tool);
    let faulty = plan.rejected.iter().filter(|one| one.trust == Trust::Trusted && is_fault(one.reason));
    planned.chain(faulty.map(|one| names::of_service(&one.key.namespace, &one.key.name))).collect()
}

/// Whether a Service is rejected although nobody decided against it.
const fn is_fault(reason: ServiceReason) -> bool {
    matches!(
        reason,
        ServiceReason::InvalidAnnotation
            | ServiceReason::NoUsablePort
            | ServiceReason::NameConflict
            | ServiceReason::LimitExceeded
            | ServiceReason::Unhealthy
            | ServiceReason::AwaitingEndpointSlices
    )
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
    let gone = input.previous.map(Previous::read).unwrap_or_default().without(&present, input.standing);
    let listed = sources.len();
    let mut file = Block::new().with("apiVersion", 1);
    if !gone.deleted.is_empty() {
        let deleted: Vec<Block> =
            gone.deleted.into_iter().map(|name| Block::new().with("name", name).with("orgId", 1)).collect();
        file.set("deleteDatasources", deleted);
    }
    file.set("datasources", sources.into_iter().map(|(_, source)| source).collect::<Vec<_>>());
    let remembered: String =
        gone.remembered.iter().flat_map(|name| [previous::REMEMBERED, name.as_str(), "\n"]).collect();
    let body = yaml::to_yaml(&file).unwrap_or_else(|_| AT_LEAST.to_owned());
    File { text: format!("{HEADER}{remembered}{body}"), listed, notes }
}

/// What the owner of the spec should know about a tool that is not in the file. It is normal that a discovered tool has
/// no data source.
fn note_of(tool: &Tool, absent: Absent) -> Option<Note> {
    if tool.key.is_some() && absent != Absent::Dollar {
        return None;
    }
    let message = format!("{}: it is not in the file, because {}", tool.origin_in_words(), absent.in_words());
    Some(Note::new(Reason::SettingUnsupported, message))
}

/// Why the file does not have a tool of the plan. `None` if it has.
pub(super) fn why_absent(config: &ToolsetConfig, tool: &Tool) -> Option<String> {
    source::of(config, tool).err().map(|absent| absent.in_words().to_owned())
}

#[cfg(test)]
mod tests;

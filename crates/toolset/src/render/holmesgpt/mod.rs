//! Format `HolmesGPT`: `custom_toolset.yaml`, as the agent loads it.
//!
//! ```text
//! toolsets:
//!   discovered-revision-<hash>     changes with the rest of the file, so that the agent takes a change up
//!   <a built-in of the agent>      spec.baseline, over kubernetes/core
//!   prometheus/metrics, …          config.instances: the tools of its products in ranked order, then the base file's
//!   <type>-<namespace>-<service>   type: http, one per tool that has no toolset in the agent or comes from a Tenant
//!   <anything else>                the base file's
//! mcp_servers:                     one per MCP server, and the base file's
//! ```
//! `docs/holmesgpt-details.md` says what the agent does with a file and why ours looks like this. The test tier `agent` checks
//! it with the agent itself.

mod agent_file;
mod base;
mod credentials;
mod entries;
mod entry_names;
mod http_api;
mod instances;
mod revision;
mod text;
mod toolsets;
mod unsupported;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{Baseline, Reason, State};

pub(crate) use self::text::TENANT_PROVIDED;
pub use self::{
    agent_file::AgentFile,
    base::{BaseFile, parse as parse_base},
    entry_names::refuse_reserved,
    unsupported::notes as unsupported,
};
use self::{base::OwnInstances, toolsets::Toolset};
use crate::{
    agent_names,
    tool::{Note, Tool},
    yaml::{self, Block, Key, Node},
};

/// Says who writes the file. It has no time and no version, so that the same state gives the same bytes.
const HEADER: &str =
    "# Written by toolset-operator from the cluster's Services. Edits are undone: change the ToolsetConfig instead.\n";
/// The toolset that the agent needs at least, because in server mode only a few toolsets are on by default.
const CORE: &str = "kubernetes/core";
/// The file in case the emitter fails, so that the agent still has one that it loads.
const AT_LEAST: &str = "toolsets:\n  kubernetes/core:\n    enabled: true\n";

/// What the file is made from.
pub struct HolmesInput<'a> {
    /// All tools, ordered by product, then by rank.
    pub tools: &'a [Tool],
    /// `spec.baseline`.
    pub baseline: &'a [Baseline],
    /// The user's own toolsets.
    pub base: Option<&'a BaseFile>,
    /// Whether the file has the revision entry.
    pub revision_entry: State,
    /// Whether the operator restarts or observes the agent.
    pub is_followed: bool,
}

/// The file.
pub struct HolmesFile {
    /// YAML.
    pub text: String,
    /// The revision in the name of the revision entry. `None` if there is none.
    pub revision: Option<String>,
    /// The enabled entries of `toolsets` and `mcp_servers` that are not just those of the base file.
    pub entries: BTreeSet<String>,
    /// The environment variables that the file names.
    pub variables: BTreeSet<String>,
    /// What could not be written as the spec wants it.
    pub notes: Vec<Note>,
}

/// Renders the file. The agent loads it for every input. Without any tools it holds the baseline.
pub fn render(input: &HolmesInput<'_>) -> HolmesFile {
    let nothing = BaseFile::default();
    let base = input.base.unwrap_or(&nothing);
    let mut file =
        FileBuilder { toolsets: base.toolsets().clone(), servers: base.servers().clone(), ..FileBuilder::default() };
    file.problems.extend_from_slice(base.problems());
    file.without_revisions();
    file.shared(input.tools, base);
    file.own(input.tools, base);
    file.baseline(input.baseline);
    file.finish(base, input.revision_entry, input.is_followed)
}

/// The file while it is built.
#[derive(Default)]
struct FileBuilder {
    toolsets: BTreeMap<Key, Block>,
    servers: BTreeMap<Key, Block>,
    notes: Vec<Note>,
    /// What could not be taken from the base file.
    problems: Vec<String>,
}

impl FileBuilder {
    /// Leaves out the user's entries whose names are reserved. A copy of the output has one.
    fn without_revisions(&mut self) {
        for entries in [&mut self.toolsets, &mut self.servers] {
            entries.retain(|name, _| {
                let reserved = revision::is_reserved(name.as_str());
                if reserved {
                    let name = name.as_str();
                    self.problems
                        .push(format!("{name:?} is left out: the name is reserved for the operator; remove it"));
                }
                !reserved
            });
        }
    }

    /// The toolsets that hold all instances of their products.
    fn shared(&mut self, tools: &[Tool], base: &BaseFile) {
        for toolset in Toolset::SHARED {
            let of_it: Vec<&Tool> =
                tools.iter().filter(|tool| Toolset::of(tool.product, tool.trust) == toolset).collect();
            if of_it.is_empty() {
                continue;
            }
            for name in toolset.entries() {
                let own = OwnInstances::of(toolset, name, base.toolsets().get(*name), &mut self.problems);
                let mut entry = instances::entry(toolset, &of_it, own, &mut self.notes);
                if let Some(text) = text::toolset_instructions(name).filter(|_| entry.get("llm_instructions").is_none())
                {
                    entry.set("llm_instructions", text);
                }
                self.put(name, entry);
            }
        }
    }

    /// The entries of their own.
    fn own(&mut self, tools: &[Tool], base: &BaseFile) {
        for (index, name) in entry_names::entries(tools, base.names()) {
            let tool = &tools[index];
            // Entry names match [a-z0-9_-]+, so each one is a key.
            let Some(key) = Key::new(name.clone()) else { continue };
            if Toolset::of(tool.product, tool.trust) == Toolset::Mcp {
                self.servers.insert(key, entries::mcp(tool, &mut self.notes));
            } else {
                self.toolsets.insert(key, entries::http(tool, &name, &mut self.notes));
            }
        }
    }

    /// The built-in toolsets that the user switches on or off. For `kubernetes/core` the base file overrides our
    /// default, and the spec overrides both.
    fn baseline(&mut self, baseline: &[Baseline]) {
        if self.toolsets.get(CORE).is_none_or(|entry| entry.get("enabled").is_none()) {
            self.switch(CORE, true);
        }
        for Baseline { name, state } in baseline {
            if agent_names::is_toolset(name) || self.toolsets.contains_key(name.as_str()) {
                self.switch(name, *state == State::Enabled);
            } else {
                let message = format!(
                    "baseline {name} is left out: HolmesGPT {} has no built-in toolset of that name and would report it as failed; for a toolset of your own, use output.base",
                    toolsets::VERSION
                );
                self.notes.push(Note::new(Reason::SettingUnsupported, message));
            }
        }
    }

    fn switch(&mut self, name: &str, on: bool) {
        let mut entry = self.toolsets.get(name).cloned().unwrap_or_default();
        entry.set("enabled", on);
        self.put(name, entry);
    }

    fn put(&mut self, name: &str, entry: Block) {
        // The agent refuses a whole file for a name with a dot. The schema lets none through.
        if let Some(key) = Key::new(name) {
            self.toolsets.insert(key, entry);
        }
    }

    fn finish(mut self, base: &BaseFile, revision_entry: State, is_followed: bool) -> HolmesFile {
        let problem = |problem: &String| Note::new(Reason::BaseInvalid, format!("output.base: {problem}"));
        self.notes.extend(self.problems.iter().map(problem));
        self.notes.sort();
        self.notes.dedup();
        let (mut entries, mut variables) = (BTreeSet::new(), BTreeSet::new());
        if is_followed {
            entries = base.others(&self.toolsets, &self.servers).map(str::to_owned).collect();
            variables = variables::of(self.toolsets.values().chain(self.servers.values()));
        }
        let toolsets = section("toolsets", self.toolsets).unwrap_or_else(|| AT_LEAST.to_owned());
        let mut text = format!("{HEADER}{toolsets}{}", section("mcp_servers", self.servers).unwrap_or_default());
        let mut revision = None;
        if revision_entry == State::Enabled {
            let (entry, of_text) = revision::entry(&text);
            // The entry is the last one of the toolsets, so the rest is written once.
            text.insert_str(HEADER.len() + toolsets.len(), &entry_lines(entry));
            revision = Some(of_text);
        }
        HolmesFile { text, revision, entries, variables, notes: self.notes }
    }
}

/// One of the two sections of the file. `None` if it has no entries, because the agent refuses an empty section.
fn section(name: &'static str, entries: BTreeMap<Key, Block>) -> Option<String> {
    if entries.is_empty() {
        return None;
    }
    let entries: Block = entries.into_iter().map(|(key, entry)| (key, Node::Map(entry))).collect();
    // The emitter fails for no value that a node can hold.
    yaml::to_yaml(&Block::new().with(name, entries)).ok()
}

/// Entries as the lines of a section.
fn entry_lines(entries: Block) -> String {
    let section = yaml::to_yaml(&Block::new().with("toolsets", entries)).unwrap_or_default();
    section.split_once('\n').map(|(_, lines)| lines.to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! Format `HolmesGPT`: `custom_toolset.yaml`, as the agent loads it.
//!
//! ```text
//! toolsets:
//!   <a built-in of the agent>      spec.baseline, over kubernetes/core
//!   prometheus/metrics, …          config.instances: the tools of its products in ranked order, then the base file's
//!   <type>-<namespace>-<service>   type: http, one per tool that has no toolset in the agent or comes from a Tenant
//!   <anything else>                the base file's
//! mcp_servers:                     one per MCP server, and the base file's
//! ```
//! What the agent makes of a file, and why ours looks as it does, is in `docs/holmesgpt.md`; that it does so, the test tier
//! `agent` shows with the agent itself.

mod base;
mod builtin;
mod credentials;
mod entries;
mod entry_names;
mod http_api;
mod instances;
mod text;
mod toolsets;
mod unsupported;

use std::collections::BTreeMap;

use crd_types::{Baseline, Reason, State};

use self::{base::OwnInstances, toolsets::Toolset};
pub use self::{
    base::{BaseFile, parse as parse_base},
    entry_names::refuse_reserved,
    unsupported::notes as unsupported,
};
use crate::{
    tool::{Note, Tool},
    yaml::{self, Block, Key, Node},
};

/// Says whose file it is; no time and no version, so that the same state gives the same bytes.
const HEADER: &str =
    "# Written by toolset-operator from the cluster's Services. Edits are undone: change the ToolsetConfig instead.\n";
/// What the agent needs at least: in server mode nothing but a few toolsets is on by itself.
const CORE: &str = "kubernetes/core";
/// Should the emitter ever refuse, the agent still gets a file that it loads.
const AT_LEAST: &str = "toolsets:\n  kubernetes/core:\n    enabled: true\n";

/// What the file is made from.
pub struct HolmesInput<'a> {
    /// All tools, ordered by product, then by rank.
    pub tools: &'a [Tool],
    /// `spec.baseline`.
    pub baseline: &'a [Baseline],
    /// The user's own toolsets.
    pub base: Option<&'a BaseFile>,
}

/// The file.
pub struct HolmesFile {
    /// YAML.
    pub text: String,
    /// Entries of `toolsets` and `mcp_servers`.
    pub entries: usize,
    /// What could not be written as it was asked for.
    pub notes: Vec<Note>,
}

/// Renders the file. It loads whatever is put in: with nothing discovered it holds the baseline.
pub fn render(input: &HolmesInput<'_>) -> HolmesFile {
    let nothing = BaseFile::default();
    let base = input.base.unwrap_or(&nothing);
    let mut file =
        FileBuilder { toolsets: base.toolsets().clone(), servers: base.servers().clone(), ..FileBuilder::default() };
    file.problems.extend_from_slice(base.problems());
    file.shared(input.tools, base);
    file.own(input.tools, base);
    file.baseline(input.baseline);
    file.finish()
}

/// The file as it grows.
#[derive(Default)]
struct FileBuilder {
    toolsets: BTreeMap<Key, Block>,
    servers: BTreeMap<Key, Block>,
    notes: Vec<Note>,
    /// What of the base file could not be taken.
    problems: Vec<String>,
}

impl FileBuilder {
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
                let entry = instances::entry(toolset, &of_it, own, &mut self.notes);
                self.put(name, entry);
            }
        }
    }

    /// The entries of their own.
    fn own(&mut self, tools: &[Tool], base: &BaseFile) {
        for (index, name) in entry_names::entries(tools, base.names()) {
            let tool = &tools[index];
            // Names are over [a-z0-9_-], so every one is a key.
            let Some(key) = Key::new(name.as_str()) else { continue };
            if Toolset::of(tool.product, tool.trust) == Toolset::Mcp {
                self.servers.insert(key, entries::mcp(tool, &mut self.notes));
            } else {
                self.toolsets.insert(key, entries::http(tool, &name, &mut self.notes));
            }
        }
    }

    /// The built-ins that the user switches on or off. The base file's word on `kubernetes/core` stands over our default,
    /// the spec's word over everything.
    fn baseline(&mut self, baseline: &[Baseline]) {
        if self.toolsets.get(CORE).is_none_or(|entry| entry.get("enabled").is_none()) {
            self.switch(CORE, true);
        }
        for Baseline { name, state } in baseline {
            if builtin::exists(name) || self.toolsets.contains_key(name.as_str()) {
                self.switch(name, *state == State::Enabled);
            } else {
                let message = format!(
                    "baseline {name} is left out: HolmesGPT {} has no built-in toolset of that name and would report it as failed; for one of your own use output.base",
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
        // A name with a dot, for which the agent would refuse the whole file, comes from nowhere the schema was asked.
        if let Some(key) = Key::new(name) {
            self.toolsets.insert(key, entry);
        }
    }

    fn finish(mut self) -> HolmesFile {
        let problem = |problem: &String| Note::new(Reason::BaseInvalid, format!("output.base: {problem}"));
        self.notes.extend(self.problems.iter().map(problem));
        self.notes.sort();
        self.notes.dedup();
        let entries = self.toolsets.len() + self.servers.len();
        let mut root = Block::new();
        for (section, entries) in [("toolsets", self.toolsets), ("mcp_servers", self.servers)] {
            if !entries.is_empty() {
                root.set(section, entries.into_iter().map(|(key, entry)| (key, Node::Map(entry))).collect::<Block>());
            }
        }
        let yaml = yaml::to_yaml(&root).unwrap_or_else(|_| AT_LEAST.to_owned());
        HolmesFile { text: format!("{HEADER}{yaml}"), entries, notes: self.notes }
    }
}

#[cfg(test)]
mod tests;

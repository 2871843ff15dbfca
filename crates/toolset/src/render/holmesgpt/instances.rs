//! The toolsets that hold all instances of their products in one entry: `config.instances`, in ranked order.

use std::collections::{HashMap, HashSet};

use crd_types::State;

use super::{
    base::OwnInstances,
    credentials::{self, Placed},
    text,
    toolsets::Toolset,
};
use crate::{
    tool::{Note, Tool},
    yaml::{Block, Node},
};

/// How long the agent may wait for one of several instances, in seconds, and how often it may try.
///
/// The agent probes all instances of a toolset one after the other within 20 s. If one of them takes longer, its
/// healthy siblings fail too. The agent's defaults are 30 s or 60 s and three tries. With these values two instances
/// may hang. A single instance has no siblings and keeps the agent's defaults.
const TIMEOUT_AMONG_SIBLINGS: i32 = 8;
const TRIES_AMONG_SIBLINGS: i32 = 1;

/// The entry of a shared toolset: ours, merged over the one in the user's base file.
pub(super) fn entry(toolset: Toolset, tools: &[&Tool], own: OwnInstances, notes: &mut Vec<Note>) -> Block {
    let alone = tools.len() + own.instances.len() == 1;
    let mut instances: Vec<Block> = tools.iter().map(|tool| instance(toolset, tool, alone, notes)).collect();
    let mut names = Names { taken: instances.iter().filter_map(name).collect(), next: HashMap::new() };
    for mut own in own.instances {
        own.set("name", names.unique(name(&own).unwrap_or_else(|| "default".to_owned())));
        instances.push(own);
    }
    let mut entry = own.fields;
    entry.set("enabled", true);
    if let Some(description) = description(tools, notes) {
        entry.set("description", description);
    }
    entry.set("config", Block::new().with("instances", instances));
    entry
}

/// The name by which the model asks for an instance. It is a value, not a key, so it may hold every character.
pub(super) fn instance_name(tool: &Tool) -> String {
    match (&tool.chosen_name, &tool.key) {
        (Some(chosen), _) => chosen.clone(),
        (None, Some(key)) => key.to_string(),
        (None, None) => tool.name.clone(),
    }
}

fn instance(toolset: Toolset, tool: &Tool, alone: bool, notes: &mut Vec<Note>) -> Block {
    let mut block = Block::new().with("name", instance_name(tool)).with(toolset.url_field(), tool.endpoint.to_string());
    match credentials::place(toolset, tool, notes) {
        Some(Placed::Key { field, value }) => block.set(field, value),
        Some(Placed::UserAndPassword { username, password }) => {
            block.set("username", username);
            block.set("password", password);
        }
        Some(Placed::Header { map, name, value }) => block.set_within(map, name, value),
        // Only `type: http` has auth.
        Some(Placed::Auth(_)) | None => {}
    }
    if let Some((map, name, value)) = credentials::tenant(toolset, tool) {
        block.set_within(map, name, value);
    }
    if tool.settings.verify_tls == Some(State::Disabled) {
        block.set("verify_ssl", false);
    }
    let stated = tool.settings.timeout_seconds.filter(|_| toolset.has_timeout());
    // The probe of elasticsearch/* has its own timeout of 10 s.
    let retries = matches!(toolset, Toolset::Dashboards | Toolset::Loki | Toolset::Tempo);
    let bounded = retries || toolset == Toolset::VictoriaLogs;
    if let Some(seconds) = stated.or((bounded && !alone).then_some(TIMEOUT_AMONG_SIBLINGS)) {
        block.set("timeout_seconds", seconds);
    }
    if retries && !alone {
        block.set("max_retries", TRIES_AMONG_SIBLINGS);
    }
    block
}

/// The user's descriptions of the instances. Without any, the agent's own description of the toolset is used.
fn description(tools: &[&Tool], notes: &mut Vec<Note>) -> Option<String> {
    let said: Vec<(String, &str)> =
        tools.iter().filter_map(|tool| Some((instance_name(tool), text::line(tool, notes)?))).collect();
    match said.as_slice() {
        [] => None,
        [(_, only)] if tools.len() == 1 => Some((*only).to_owned()),
        several => Some(several.iter().map(|(name, said)| format!("{name}: {said}")).collect::<Vec<_>>().join("; ")),
    }
}

fn name(instance: &Block) -> Option<String> {
    instance.get("name").and_then(Node::as_text).map(str::to_owned)
}

/// The names of the instances of one toolset.
struct Names {
    taken: HashSet<String>,
    /// The number to try next for a name that is taken.
    next: HashMap<String, usize>,
}

impl Names {
    /// The name, with a number if it is taken.
    fn unique(&mut self, wanted: String) -> String {
        if self.taken.insert(wanted.clone()) {
            return wanted;
        }
        let next = self.next.entry(wanted.clone()).or_insert(2);
        loop {
            let unique = format!("{wanted}-{next}");
            *next += 1;
            if self.taken.insert(unique.clone()) {
                return unique;
            }
        }
    }
}

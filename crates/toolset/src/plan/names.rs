//! The names of tools, as people and `toolset.json` see them.
//!
//! Trusted tools are named first and among themselves, so nothing that a Tenant does changes a Trusted tool's name; a
//! Tenant's name always carries its namespace. Apart from that, names depend on what else is there and never on its
//! order.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{ServiceReason, Trust};

use crate::{
    agent_names::{self, folded},
    checked, digest,
    tool::Tool,
};

/// A chosen name that its tool could not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameClash {
    /// The tool's place in the slice.
    pub index: usize,
    /// Which name, which tool has it, and what to do.
    pub message: String,
}

/// Names every tool.
///
/// Trusted tools get a chosen name before Tenants', `spec.tools` before discovered tools, and earlier ones before later
/// ones. A tool that cannot have its chosen name loses it and has the reason `NameConflict`.
pub fn assign(tools: &mut [Tool]) -> Vec<NameClash> {
    let clashes = settle_chosen(tools);
    let names = new_names(tools);
    for (place, name) in names {
        tools[place].name = name;
    }
    clashes
}

/// The name of every tool, by its place.
fn new_names(tools: &[Tool]) -> Vec<(usize, String)> {
    let of_trust = |trust: Trust| (0..tools.len()).filter(move |place| tools[*place].trust == trust);
    let mut names = Vec::with_capacity(tools.len());
    let mut taken = TakenNames::default();
    let mut plain = Vec::new();
    for place in of_trust(Trust::Trusted) {
        match &tools[place].chosen_name {
            Some(chosen) => {
                taken.insert(chosen);
                names.push((place, chosen.clone()));
            }
            None => plain.push(Wish::new(place, plain_name(&tools[place]).to_owned())),
        }
    }
    let mut clashing = Vec::new();
    let free = taken.free(&plain);
    for (wish, free) in plain.into_iter().zip(free) {
        if free {
            taken.0.insert(wish.folded);
            names.push((wish.place, wish.name));
        } else {
            clashing.push(Wish::new(wish.place, with_namespace(&tools[wish.place], &wish.name)));
        }
    }
    names.extend(taken.settle(tools, clashing, usize::MAX));
    let of_tenants = of_trust(Trust::Tenant).map(|place| {
        let tool = &tools[place];
        let name = with_namespace(tool, tool.chosen_name.as_deref().unwrap_or(plain_name(tool)));
        Wish::new(place, if is_confusing(tool, &name) { told_apart(tool, &name) } else { name })
    });
    names.extend(taken.settle(tools, of_tenants.collect(), usize::MAX));
    names
}

/// Takes a chosen name away from a tool that cannot have it. `problem` follows "the name … of …".
pub fn refuse_chosen(tool: &mut Tool, problem: &str) -> Option<String> {
    let object = tool.object_in_words();
    let chosen = tool.chosen_name.take()?;
    // There is one reason for a tool, and that credentials are withheld is the more important one.
    if tool.reason == ServiceReason::Selected {
        tool.reason = ServiceReason::NameConflict;
    }
    // A tool from spec.tools has no other name to show.
    tool.name = plainly(&chosen);
    Some(format!("The name {chosen:?} of {object} {problem}. Choose another name."))
}

/// A name that a tool would like to have.
#[derive(Clone, Debug)]
pub struct Wish {
    place: usize,
    name: String,
    folded: String,
}

impl Wish {
    /// What the tool at this place would like to be called.
    pub fn new(place: usize, name: String) -> Self {
        let folded = folded(&name);
        Self { place, name, folded }
    }
}

/// The names that are taken, as [`folded`].
#[derive(Clone, Debug, Default)]
pub struct TakenNames(BTreeSet<String>);

impl TakenNames {
    /// Takes a name. Returns false if it is taken already.
    pub fn insert(&mut self, name: &str) -> bool {
        self.0.insert(folded(name))
    }

    /// For each wish, whether the name is not taken and no other tool wishes for it.
    fn free(&self, wishes: &[Wish]) -> Vec<bool> {
        let mut count: BTreeMap<&str, usize> = BTreeMap::new();
        for wish in wishes {
            *count.entry(&wish.folded).or_default() += 1;
        }
        wishes.iter().map(|wish| count[wish.folded.as_str()] == 1 && !self.0.contains(&wish.folded)).collect()
    }

    /// Grants the wishes. If a name is taken, if two wish for it, or if it is longer than `max`, the name ends in a
    /// hash of what the tool is.
    pub fn settle(&mut self, tools: &[Tool], wishes: Vec<Wish>, max: usize) -> Vec<(usize, String)> {
        let free = self.free(&wishes);
        let mut settled = Vec::with_capacity(wishes.len());
        for (wish, free) in wishes.into_iter().zip(free) {
            let (name, folded) = if free && wish.name.len() <= max {
                (wish.name, wish.folded)
            } else {
                self.hashed(&wish.name, &tools[wish.place], max)
            };
            self.0.insert(folded);
            settled.push((wish.place, name));
        }
        settled
    }

    /// The name with a `-` and a hash of what the tool is, cut to `max` characters, and the same as folded. The hash
    /// has 8 digits, or more if that name is taken as well.
    fn hashed(&self, name: &str, tool: &Tool, max: usize) -> (String, String) {
        let (namespace, service) =
            tool.key.as_ref().map_or(("", tool.name.as_str()), |key| (&*key.namespace, &*key.name));
        let digits = digest::of_words([tool.type_name(), namespace, service]);
        let with = |length: usize| {
            let room = max.saturating_sub(length + 1);
            let kept: String = name.chars().take(room).collect();
            let name = format!("{}-{}", kept.trim_end_matches(['-', '_']), &digits[..length]);
            let folded = folded(&name);
            (name, folded)
        };
        let free = |(name, folded): &(String, String)| !self.0.contains(folded) && !is_confusing(tool, name);
        [8, 16, 32].into_iter().map(with).find(free).unwrap_or_else(|| with(40))
    }
}

/// Why a tool cannot have a name that the agent uses itself, after "the name … of …".
pub const OF_THE_AGENT: &str = "is used by the agent itself";

/// Whether the agent, or a reader of its list of tools, would confuse a name with a name of the agent itself.
///
/// A Tenant's name may not even look so. This also applies to names in `toolset.json`.
pub fn is_confusing(tool: &Tool, name: &str) -> bool {
    if tool.trust == Trust::Tenant { agent_names::looks_built_in(name) } else { agent_names::is_taken(name) }
}

/// The name with a prefix that no name of the agent has.
pub fn told_apart(tool: &Tool, name: &str) -> String {
    let start = if tool.trust == Trust::Tenant { "tenant" } else { "service" };
    format!("{start}-{name}")
}

/// Drops chosen names that are invalid, or that another tool or the agent has.
fn settle_chosen(tools: &mut [Tool]) -> Vec<NameClash> {
    let mut order: Vec<usize> = (0..tools.len()).filter(|place| tools[*place].chosen_name.is_some()).collect();
    order.sort_by_key(|place| (tools[*place].trust == Trust::Tenant, tools[*place].key.is_some(), *place));
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut clashes = Vec::new();
    for index in order {
        let tool = &mut tools[index];
        let Some(chosen) = tool.chosen_name.as_deref() else { continue };
        let effective = if tool.trust == Trust::Tenant { with_namespace(tool, chosen) } else { chosen.to_owned() };
        let of_agent = tool.trust == Trust::Tenant && is_confusing(tool, &effective);
        let effective = folded(&effective);
        let problem = match owners.get(&effective) {
            _ if !checked::is_tool_name(chosen) => "is not valid".to_owned(),
            _ if of_agent => OF_THE_AGENT.to_owned(),
            Some(owner) => format!("is already used by {owner}"),
            None => {
                owners.insert(effective, tool.object_in_words());
                continue;
            }
        };
        clashes.extend(refuse_chosen(tool, &problem).map(|message| NameClash { index, message }));
    }
    clashes
}

/// The name of the tool's Service.
fn plain_name(tool: &Tool) -> &str {
    tool.key.as_ref().map_or(&tool.name, |key| &*key.name)
}

/// A name with the tool's namespace behind it.
pub fn with_namespace(tool: &Tool, name: &str) -> String {
    tool.key.as_ref().map_or_else(|| name.to_owned(), |key| format!("{name}-{}", key.namespace))
}

/// What of a text can be a name.
fn plainly(text: &str) -> String {
    let inner = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let kept: String = text.chars().filter(inner).take(checked::MAX_TOOL_NAME).collect();
    let kept = kept.trim_matches(['_', '-']);
    if kept.is_empty() { "tool".to_owned() } else { kept.to_owned() }
}

#[cfg(test)]
mod tests;

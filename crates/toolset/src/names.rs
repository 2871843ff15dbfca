//! Names: of tools as people and `toolset.json` see them, and of the agent's entries.
//!
//! Trusted tools are named first and among themselves, so nothing that a Tenant does changes a Trusted tool's name; a
//! Tenant's name always carries its namespace. Apart from that, names depend on what else is there and never on its order.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{ServiceReason, Trust};
use sha2::{Digest, Sha256};

use crate::{
    agent::{Toolset, builtin},
    select::annotation::MAX_NAME,
    tool::Tool,
};

/// The longest name of an entry: with the agent's `_request` behind it, still under the 64 characters that model APIs take.
pub const MAX_ENTRY: usize = 48;

/// A chosen name that its tool could not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameClash {
    /// The tool's place in the slice.
    pub index: usize,
    /// Which name, who has it, and what to do.
    pub message: String,
}

/// Gives every tool its name, and takes chosen names away that cannot be had.
///
/// A chosen name goes to Trusted before Tenant, to `spec.tools` before discovered tools, then to the earlier one. Who loses it
/// has no chosen name any more, and the reason `NameConflict`.
pub fn assign(tools: &mut [Tool]) -> Vec<NameClash> {
    let clashes = settle_chosen(tools);
    let (trusted, tenants): (Vec<usize>, Vec<usize>) =
        (0..tools.len()).partition(|i| tools[*i].trust == Trust::Trusted);
    let mut taken: BTreeSet<String> = trusted.iter().filter_map(|i| tools[*i].chosen_name.clone()).collect();
    let chosen = |i: &usize| tools[*i].chosen_name.is_some();
    let plain: Vec<(usize, String)> =
        trusted.iter().filter(|i| !chosen(i)).map(|i| (*i, plain_name(&tools[*i]))).collect();
    let mut named = BTreeMap::new();
    let mut clashing = Vec::new();
    for (index, name, free) in free_among(&plain, &taken) {
        if free { _ = named.insert(index, name) } else { clashing.push((index, with_namespace(&tools[index], &name))) }
    }
    taken.extend(named.values().cloned());
    settle(tools, &clashing, &mut taken, &mut named);
    let of_tenants: Vec<(usize, String)> = tenants
        .iter()
        .map(|i| (*i, with_namespace(&tools[*i], tools[*i].chosen_name.as_deref().unwrap_or(&plain_name(&tools[*i])))))
        .collect();
    settle(tools, &of_tenants, &mut taken, &mut named);
    for (index, tool) in tools.iter_mut().enumerate() {
        tool.name = named.remove(&index).or_else(|| tool.chosen_name.clone()).unwrap_or_default();
    }
    clashes
}

/// The names of the agent's entries, by the tools' places in the slice; only tools with entries of their own have one.
/// `taken` are the names of entries that are not ours.
///
/// At most [`MAX_ENTRY`] characters over `[a-z0-9_-]`, and unique after the agent's own mapping: `jaeger-a-b_c` and
/// `jaeger-a_b-c` would both load, but only one tool would exist.
pub fn entries<'a>(tools: &[Tool], taken: impl Iterator<Item = &'a str>) -> BTreeMap<usize, String> {
    let mut taken: BTreeSet<String> = taken.map(builtin::folded).collect();
    let own = |trust: Trust| {
        let of = move |tool: &Tool| tool.trust == trust && Toolset::of(tool.product, tool.trust).has_own_entries();
        tools.iter().enumerate().filter(move |(_, tool)| of(tool))
    };
    let mut names = BTreeMap::new();
    for (index, tool) in own(Trust::Trusted) {
        if let Some(chosen) = &tool.chosen_name
            && taken.insert(builtin::folded(chosen))
        {
            names.insert(index, chosen.clone());
        }
    }
    for trust in [Trust::Trusted, Trust::Tenant] {
        let wanted: Vec<(usize, String)> = own(trust)
            .filter(|(index, _)| !names.contains_key(index))
            .map(|(index, tool)| (index, entry_name(tool)))
            .collect();
        for (index, name, free) in free_among(&wanted, &taken) {
            let name = if free && name.len() <= MAX_ENTRY { name } else { hashed_entry(&name, &tools[index], &taken) };
            taken.insert(builtin::folded(&name));
            names.insert(index, name);
        }
    }
    names
}

/// Takes chosen names away that another tool has, or that the agent would take for something of its own.
fn settle_chosen(tools: &mut [Tool]) -> Vec<NameClash> {
    let mut order: Vec<usize> = (0..tools.len()).collect();
    order.sort_by_key(|i| (tools[*i].trust == Trust::Tenant, tools[*i].key.is_some(), *i));
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    let mut clashes = Vec::new();
    for index in order {
        let tool = &mut tools[index];
        let Some(chosen) = tool.chosen_name.clone() else { continue };
        let words = tool.origin_in_words();
        let effective = if tool.trust == Trust::Tenant { with_namespace(tool, &chosen) } else { chosen.clone() };
        let own_entry = Toolset::of(tool.product, tool.trust).has_own_entries();
        let problem = if !is_name(&chosen) {
            Some("is not a name that the agent can take".to_owned())
        } else if own_entry && tool.trust == Trust::Trusted && builtin::is_reserved(&chosen) {
            Some("is the name of something in the agent itself".to_owned())
        } else {
            owners.get(&builtin::folded(&effective)).map(|owner| format!("is taken by {owner}"))
        };
        let Some(problem) = problem else {
            owners.insert(builtin::folded(&effective), words);
            continue;
        };
        tool.reason = ServiceReason::NameConflict;
        // A tool from spec.tools has no other name to show.
        tool.name = plainly(&chosen);
        tool.chosen_name = None;
        clashes.push(NameClash {
            index,
            message: format!("the name {chosen:?} of {words} {problem}; choose another one"),
        });
    }
    clashes
}

/// Gives each its name, or the name with a hash where another wants the same or it is taken.
fn settle(
    tools: &[Tool],
    wanted: &[(usize, String)],
    taken: &mut BTreeSet<String>,
    named: &mut BTreeMap<usize, String>,
) {
    for (index, name, free) in free_among(wanted, taken) {
        let name = if free { name } else { hashed(&name, &tools[index], usize::MAX, |name| taken.contains(name)) };
        taken.insert(name.clone());
        named.insert(index, name);
    }
}

/// Each name, and whether nobody else wants it and it is not taken. Names are compared as the agent folds them, so that the
/// same answer serves people and agent.
fn free_among(wanted: &[(usize, String)], taken: &BTreeSet<String>) -> Vec<(usize, String, bool)> {
    let taken: BTreeSet<String> = taken.iter().map(|name| builtin::folded(name)).collect();
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for (_, name) in wanted {
        *count.entry(builtin::folded(name)).or_default() += 1;
    }
    let free = |name: &str| {
        let folded = builtin::folded(name);
        count.get(&folded) == Some(&1) && !taken.contains(&folded)
    };
    wanted.iter().map(|(index, name)| (*index, name.clone(), free(name))).collect()
}

fn plain_name(tool: &Tool) -> String {
    tool.key.as_ref().map_or_else(|| tool.name.clone(), |key| key.name.to_string())
}

fn with_namespace(tool: &Tool, name: &str) -> String {
    tool.key.as_ref().map_or_else(|| name.to_owned(), |key| format!("{name}-{}", key.namespace))
}

/// `<type>-<namespace>-<service>`; a Tenant's chosen name stands with its namespace instead.
fn entry_name(tool: &Tool) -> String {
    let type_ = tool.type_name().to_ascii_lowercase();
    match (&tool.key, &tool.chosen_name) {
        (Some(_), Some(chosen)) if tool.trust == Trust::Tenant => with_namespace(tool, chosen),
        (Some(key), _) => format!("{type_}-{}-{}", key.namespace, key.name),
        (None, _) => format!("{type_}-{}", tool.name),
    }
}

fn hashed_entry(name: &str, tool: &Tool, taken: &BTreeSet<String>) -> String {
    hashed(name, tool, MAX_ENTRY, |name| taken.contains(&builtin::folded(name)))
}

/// The name, cut so that it fits into `max` with a `-` and a hash of what the tool is; of 8 digits, of more only while that
/// is taken as well.
fn hashed(name: &str, tool: &Tool, max: usize, taken: impl Fn(&str) -> bool) -> String {
    let (namespace, service) = tool.key.as_ref().map_or(("", tool.name.as_str()), |key| (&*key.namespace, &*key.name));
    let mut hash = Sha256::new();
    for part in [tool.type_name(), namespace, service] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digits = crate::render::hex(&hash.finalize());
    let with = |length: usize| {
        let room = max.saturating_sub(length + 1);
        let kept: String = name.chars().take(room).collect();
        format!("{}-{}", kept.trim_end_matches(['-', '_']), &digits[..length])
    };
    [8, 16, 32].into_iter().map(with).find(|name| !taken(name)).unwrap_or_else(|| with(40))
}

/// What of a text can be a name.
fn plainly(text: &str) -> String {
    let inner = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-');
    let kept: String = text.chars().filter(inner).take(MAX_NAME).collect();
    let kept = kept.trim_matches(['_', '-']);
    if kept.is_empty() { "tool".to_owned() } else { kept.to_owned() }
}

/// `^[a-z0-9]([a-z0-9_-]{0,38}[a-z0-9])?$`: what the schema and the annotations take.
fn is_name(name: &str) -> bool {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let inner = |c: char| edge(c) || c == '_' || c == '-';
    (1..=MAX_NAME).contains(&name.len()) && name.chars().all(inner) && name.starts_with(edge) && name.ends_with(edge)
}

#[cfg(test)]
mod tests;

//! The names of the agent's entries, and which names are the agent's own.

use std::collections::BTreeMap;

use crd_types::{Reason, Trust};

use super::toolsets::Toolset;
use crate::{
    agent_names,
    plan::{
        Plan,
        names::{self, TakenNames, Wish},
    },
    tool::{Note, Tool},
};

/// The longest name of an entry. With the agent's suffix `_request` it stays under the 64 characters that model APIs
/// take.
pub(super) const MAX_ENTRY: usize = 48;

/// Renames the Trusted tools of a plan whose chosen names the agent uses for something of its own.
pub fn refuse_reserved(plan: &mut Plan) {
    let reserved = |tool: &Tool| {
        has_own_entry(tool, Trust::Trusted) && tool.chosen_name.as_deref().is_some_and(agent_names::is_taken)
    };
    let refused = plan.tools.iter_mut().filter(|tool| reserved(tool));
    let messages: Vec<String> = refused.filter_map(|tool| names::refuse_chosen(tool, names::OF_THE_AGENT)).collect();
    if messages.is_empty() {
        return;
    }
    // No other tool loses its chosen name by this, because there are fewer chosen names than before.
    names::assign(&mut plan.tools);
    plan.notes.extend(messages.into_iter().map(|message| Note::new(Reason::OverrideUnmatched, message)));
    plan.notes.sort();
    plan.notes.dedup();
}

/// The names of the entries of single tools, by the tools' places in the slice. `taken` are the names of entries that
/// are not ours.
///
/// A name has at most [`MAX_ENTRY`] characters of `[a-z0-9_-]`, and is unique after the agent's own mapping. Of
/// `jaeger-a-b_c` and `jaeger-a_b-c` both entries would load, but only one tool would exist.
pub(super) fn entries<'a>(tools: &[Tool], taken: impl Iterator<Item = &'a str>) -> BTreeMap<usize, String> {
    let mut all = TakenNames::default();
    for name in taken {
        all.insert(name);
    }
    let own = |trust: Trust| tools.iter().enumerate().filter(move |(_, tool)| has_own_entry(tool, trust));
    let mut names = BTreeMap::new();
    for (place, tool) in own(Trust::Trusted) {
        if let Some(chosen) = &tool.chosen_name
            && all.insert(chosen)
        {
            names.insert(place, chosen.clone());
        }
    }
    for trust in [Trust::Trusted, Trust::Tenant] {
        let unnamed = own(trust).filter(|(place, _)| !names.contains_key(place));
        let wishes = unnamed.map(|(place, tool)| Wish::new(place, entry_name(tool))).collect();
        names.extend(all.settle(tools, wishes, MAX_ENTRY));
    }
    names
}

fn has_own_entry(tool: &Tool, trust: Trust) -> bool {
    tool.trust == trust && Toolset::of(tool.product, tool.trust).has_own_entries()
}

/// `<type>-<namespace>-<service>`, or a Tenant's chosen name with its namespace. It has another start if it is like a
/// name of the agent's.
fn entry_name(tool: &Tool) -> String {
    let type_ = tool.type_name().to_ascii_lowercase();
    let name = match (&tool.key, &tool.chosen_name) {
        (Some(_), Some(chosen)) if tool.trust == Trust::Tenant => names::with_namespace(tool, chosen),
        (Some(key), _) => format!("{type_}-{}-{}", key.namespace, key.name),
        (None, _) => format!("{type_}-{}", tool.name),
    };
    if names::is_confusing(tool, &name) { names::told_apart(tool, &name) } else { name }
}

#[cfg(test)]
mod tests;

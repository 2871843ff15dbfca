//! The budget over all data keys: a `ConfigMap` that is too large is refused by the API server, and the agent would keep an
//! outdated file or find none.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{Reason, ServiceReason, Trust};
use detectors::Product;

use crate::{
    plan::Plan,
    tool::{Note, Rejection, Tool},
};

/// The most bytes of keys and contents; half of what the API server takes, because others' keys need room as well.
const MAX_BYTES: usize = 512 * 1024;

/// What the formats write, before the budget.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Data key to content.
    pub data: BTreeMap<&'static str, Arc<str>>,
    /// What could not be written as it was asked for.
    pub notes: Vec<Note>,
}

/// The size of keys and contents, in bytes.
pub(super) fn size(data: &BTreeMap<&'static str, Arc<str>>) -> usize {
    data.iter().map(|(key, content)| key.len() + content.len()).sum()
}

/// Renders the plan; cuts it first where it does not fit.
///
/// Tenants' tools go first, then the discovered ones by rank, the last instances of every product before its first.
/// Baseline, base file and `spec.tools` stay; should they alone be too large, `spec.tools` lose their instructions, the last
/// ones first. Which tools go depends on the plan alone. They move to the rejected ones as `LimitExceeded`, and a note says
/// `OutputTooLarge`.
pub(super) fn fit(plan: &mut Plan, notes: &mut Vec<Note>, render: impl Fn(&[Tool]) -> Files) -> Files {
    within(MAX_BYTES, plan, notes, render)
}

fn within(max: usize, plan: &mut Plan, notes: &mut Vec<Note>, render: impl Fn(&[Tool]) -> Files) -> Files {
    let whole = render(&plan.tools);
    let bytes = size(&whole.data);
    if bytes <= max {
        return whole;
    }
    let order = expendable(&plan.tools);
    let (cut, mut files) = smallest_cut(order.len(), max, |count| render(&without(&plan.tools, &order[..count])));
    let rejected = order[..cut].iter().filter_map(|place| {
        let message = format!("the output may have {MAX_BYTES} bytes, and tools that rank higher take them");
        Rejection::of(&plan.tools[*place], ServiceReason::LimitExceeded, message)
    });
    plan.rejected.extend(rejected);
    plan.rejected.sort_by(|a, b| a.key.cmp(&b.key));
    plan.tools = without(&plan.tools, &order[..cut]);
    let mut lost = format!("{cut} of the tools were left out");
    if size(&files.data) > max {
        let silent;
        (silent, files) = smallest_cut(plan.tools.len(), max, |count| render(&silenced(&plan.tools, count)));
        plan.tools = silenced(&plan.tools, silent);
        lost = format!("{lost}, and the last {silent} of spec.tools lost their instructions");
    }
    let message = format!(
        "the output would have {bytes} bytes, at most {max} are written: {lost}; narrow spec.sources or disable detectors, or shorten what the spec says"
    );
    notes.push(Note::new(Reason::OutputTooLarge, message));
    files
}

/// The smallest number from 0 to `most` with which it fits, and the files then; `most` if it never does. More cut is never
/// larger, so the number is searched by halves.
fn smallest_cut(most: usize, max: usize, render: impl Fn(usize) -> Files) -> (usize, Files) {
    let (mut low, mut high) = (0, most);
    let mut best = render(most);
    while low < high {
        let middle = low + (high - low) / 2;
        let files = render(middle);
        if size(&files.data) <= max {
            (high, best) = (middle, files);
        } else {
            low = middle + 1;
        }
    }
    (high, best)
}

/// The places of the tools that may go, the first to go first.
fn expendable(tools: &[Tool]) -> Vec<usize> {
    let mut ranks: BTreeMap<(Product, Option<&str>), usize> = BTreeMap::new();
    let mut places: Vec<(bool, usize, usize)> = Vec::new();
    for (index, tool) in tools.iter().enumerate().filter(|(_, tool)| tool.key.is_some()) {
        let rank = ranks.entry((tool.product, tool.custom.as_deref())).or_default();
        places.push((tool.trust == Trust::Tenant, *rank, index));
        *rank += 1;
    }
    places.sort_by_key(|place| Reverse(*place));
    places.into_iter().map(|(_, _, index)| index).collect()
}

/// The tools without those at these places.
fn without(tools: &[Tool], places: &[usize]) -> Vec<Tool> {
    let gone: BTreeSet<usize> = places.iter().copied().collect();
    tools.iter().enumerate().filter(|(place, _)| !gone.contains(place)).map(|(_, tool)| tool.clone()).collect()
}

/// The tools, the last `count` of them without their instructions.
fn silenced(tools: &[Tool], count: usize) -> Vec<Tool> {
    let mut tools = tools.to_vec();
    for tool in tools.iter_mut().rev().take(count) {
        tool.instructions = None;
    }
    tools
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(product: Product, namespace: &str, trust: Trust) -> Tool {
        let name = format!("{namespace}/{}", product.lower());
        Tool { name, trust, ..crate::fixtures::tool(product, namespace, &product.lower()) }
    }

    fn from_spec(name: &str, instructions: usize) -> Tool {
        let mut tool = tool(Product::Prometheus, "none", Trust::Trusted);
        (tool.key, tool.name, tool.instructions) = (None, name.to_owned(), Some("x".repeat(instructions)));
        tool
    }

    /// Ten bytes a tool, and its instructions.
    fn ten_bytes_each(tools: &[Tool]) -> Files {
        let text = tools.iter().map(|tool| format!("{:10}{}", "", tool.instructions.as_deref().unwrap_or("")));
        Files { data: BTreeMap::from([("", text.collect::<String>().into())]), notes: Vec::new() }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.tools.iter().map(|tool| tool.name.as_str()).collect()
    }

    fn mixed() -> Plan {
        let tools = vec![
            tool(Product::Prometheus, "a", Trust::Trusted),
            tool(Product::Prometheus, "b", Trust::Trusted),
            tool(Product::Prometheus, "t", Trust::Tenant),
            from_spec("corp", 0),
            tool(Product::Loki, "a", Trust::Trusted),
        ];
        Plan { tools, ..Plan::default() }
    }

    #[test]
    fn what_fits_is_left_alone() {
        let (mut plan, mut notes) = (mixed(), Vec::new());
        within(50, &mut plan, &mut notes, ten_bytes_each);
        assert_eq!((plan.tools.len(), plan.rejected.len(), notes.len()), (5, 0, 0));
    }

    #[test]
    fn tenants_go_first_then_the_lowest_rank_and_never_what_the_spec_lists() {
        for (max, expected) in [
            (40, vec!["a/prometheus", "b/prometheus", "corp", "a/loki"]),
            (30, vec!["a/prometheus", "corp", "a/loki"]),
            (20, vec!["a/prometheus", "corp"]),
            (10, vec!["corp"]),
        ] {
            let (mut plan, mut notes) = (mixed(), Vec::new());
            let files = within(max, &mut plan, &mut notes, ten_bytes_each);
            assert_eq!(names(&plan), expected);
            assert_eq!(size(&files.data), max);
            assert_eq!(plan.rejected.len(), 5 - expected.len());
            assert!(plan.rejected.iter().all(|rejection| rejection.reason == ServiceReason::LimitExceeded));
            assert_eq!(notes[0].reason, Reason::OutputTooLarge);
        }
    }

    #[test]
    fn when_the_spec_alone_is_too_large_its_last_tools_lose_their_instructions() {
        let tools = vec![tool(Product::Loki, "a", Trust::Trusted), from_spec("one", 50), from_spec("two", 50)];
        let (mut plan, mut notes) = (Plan { tools, ..Plan::default() }, Vec::new());
        let files = within(70, &mut plan, &mut notes, ten_bytes_each);
        assert_eq!(names(&plan), ["one", "two"]);
        assert_eq!(size(&files.data), 70);
        assert!(plan.tools[0].instructions.is_some() && plan.tools[1].instructions.is_none());
    }
}

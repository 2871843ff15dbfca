//! The size budget over all data keys. The API server refuses a `ConfigMap` that is too large, and the agent would keep
//! an old file or find none.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{Reason, ServiceReason};

#[cfg(doc)]
use super::AgentFile;
use super::keys::DataKey;
use crate::{
    phrases::counted,
    plan::{Plan, limits::seniority},
    tool::{Note, Rejection, Tool},
};

/// The most bytes of keys and contents. This is half of what the API server takes, because others' keys need room as
/// well.
const MAX_BYTES: usize = 512 * 1024;

/// What the formats write, before the budget.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Data key to content.
    pub data: BTreeMap<DataKey, Arc<str>>,
    /// The number of tools in it, if the formats do not contain all of them.
    pub listed: Option<usize>,
    /// See [`Rendered::waits`](super::Rendered::waits).
    pub waits: bool,
    /// What could not be written as it was asked for.
    pub notes: Vec<Note>,
    /// The revision, the operator's own entries and the variables of the agent's file, see [`AgentFile`].
    pub revision: Option<String>,
    pub entries: BTreeSet<String>,
    pub variables: BTreeSet<String>,
}

/// The size of keys and contents, in bytes.
pub(super) fn size(data: &BTreeMap<DataKey, Arc<str>>) -> usize {
    data.iter().map(|(key, content)| key.len() + content.len()).sum()
}

/// Renders the plan. If it does not fit, tools are left out.
///
/// The discovered tools are left out in the reverse order of their [`seniority`], so a later Service never evicts an
/// older one. Baseline, base file and `spec.tools` stay. If these alone are too large, `spec.tools` lose their
/// instructions, the last ones first. Which tools are left out depends on the plan alone. They become rejections with
/// reason `LimitExceeded`, and a note has the reason `OutputTooLarge`.
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
        let message =
            format!("The output would exceed {MAX_BYTES} bytes. Trusted Services and older Services take precedence. Select fewer Services in spec.sources.");
        Rejection::of(&plan.tools[*place], ServiceReason::LimitExceeded, message)
    });
    plan.rejected.extend(rejected);
    plan.rejected.sort_by(|a, b| a.key.cmp(&b.key));
    plan.tools = without(&plan.tools, &order[..cut]);
    let mut lost = format!("the operator omitted {}", counted(cut, "tool"));
    if size(&files.data) > max {
        let silent;
        (silent, files) = smallest_cut(plan.tools.len(), max, |count| render(&silenced(&plan.tools, count)));
        plan.tools = silenced(&plan.tools, silent);
        lost = format!("{lost} and the instructions of the last {}", counted(silent, "tool"));
    }
    let message = format!(
        "The output would have {bytes} bytes, and the maximum is {max}, so {lost}. Narrow spec.sources, disable detectors, or shorten the texts in the spec."
    );
    notes.push(Note::new(Reason::OutputTooLarge, message));
    files
}

/// The smallest number from 0 to `most` with which the files fit, and these files. It is `most` if they never fit. A
/// larger number never makes larger files, so this is a binary search.
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

/// The places of the tools that can be left out, in the order in which they are.
fn expendable(tools: &[Tool]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..tools.len()).filter(|place| tools[*place].key.is_some()).collect();
    places.sort_by(|a, b| seniority(&tools[*b]).cmp(&seniority(&tools[*a])));
    places
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
    use crd_types::Trust;
    use detectors::Product;

    use super::*;

    fn tool(product: Product, namespace: &str, trust: Trust, created: i64) -> Tool {
        let name = format!("{namespace}/{}", product.lower());
        Tool { created, name, trust, ..crate::fixtures::tool(product, namespace, &product.lower()) }
    }

    fn from_spec(name: &str, instructions: usize) -> Tool {
        let mut tool = tool(Product::Prometheus, "none", Trust::Trusted, 0);
        (tool.key, tool.name, tool.instructions) = (None, name.to_owned(), Some("x".repeat(instructions)));
        tool
    }

    /// Ten bytes a tool, and its instructions.
    fn ten_bytes_each(tools: &[Tool]) -> Files {
        let text = tools.iter().map(|tool| format!("{:10}{}", "", tool.instructions.as_deref().unwrap_or("")));
        Files { data: BTreeMap::from([("".into(), text.collect::<String>().into())]), ..Files::default() }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.tools.iter().map(|tool| tool.name.as_str()).collect()
    }

    fn mixed() -> Plan {
        let tools = vec![
            tool(Product::Prometheus, "young", Trust::Trusted, 3),
            tool(Product::Prometheus, "old", Trust::Trusted, 1),
            tool(Product::Prometheus, "oldest", Trust::Tenant, 0),
            from_spec("corp", 0),
            tool(Product::Loki, "middle", Trust::Trusted, 2),
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
    fn tenants_go_first_then_the_youngest_and_never_what_the_spec_lists() {
        for (max, expected) in [
            (40, vec!["young/prometheus", "old/prometheus", "corp", "middle/loki"]),
            (30, vec!["old/prometheus", "corp", "middle/loki"]),
            (20, vec!["old/prometheus", "corp"]),
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
        let tools = vec![tool(Product::Loki, "a", Trust::Trusted, 0), from_spec("one", 50), from_spec("two", 50)];
        let (mut plan, mut notes) = (Plan { tools, ..Plan::default() }, Vec::new());
        let files = within(70, &mut plan, &mut notes, ten_bytes_each);
        assert_eq!(names(&plan), ["one", "two"]);
        assert_eq!(size(&files.data), 70);
        assert!(plan.tools[0].instructions.is_some() && plan.tools[1].instructions.is_none());
    }
}

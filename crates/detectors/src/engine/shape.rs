//! Whether a Service has the exact shape that a chart or an operator gives its Services.

use super::{
    ports::target_name,
    rule::{Mark, Rule, Shape},
};
use crate::view::{PortView, Protocol, ServiceView};

/// The rule's shapes that the Service has, in the rule's order.
pub(crate) fn matching(rule: &'static Rule, view: &ServiceView) -> impl Iterator<Item = &'static Shape> {
    rule.shapes.iter().filter(|shape| matches(shape, view))
}

/// Whether the Service has a shape.
pub(crate) fn matches(shape: &Shape, view: &ServiceView) -> bool {
    shape.when.iter().all(|mark| has(view, mark))
}

fn has(view: &ServiceView, mark: &Mark) -> bool {
    match *mark {
        Mark::Label(key, value) => view.labels.get(key) == Some(value),
        Mark::HasLabel(key) => view.labels.contains_key(key),
        Mark::NoLabel(key) => !view.labels.contains_key(key),
        Mark::NoLabels => view.labels.is_empty(),
        Mark::Selector(key, value) => view.selector.get(key) == Some(value),
        Mark::HasSelector(key) => view.selector.contains_key(key),
        Mark::StackPart(part) => is_stack_part(view, part),
        Mark::NamedAfterSelectorApp(end) => {
            view.selector.get("app").is_some_and(|app| view.key.name.strip_prefix(app) == Some(end))
        }
        Mark::NameEndsWith(end) => view.key.name.ends_with(end),
        Mark::Port(name, number) => has_port(view, name, |port| port.port == number),
        Mark::HasPort(number) => view.ports.iter().any(|port| port.protocol == Protocol::Tcp && port.port == number),
        Mark::PortTo(name, target) => has_port(view, name, |port| target_name(port) == Some(target)),
        Mark::Headless => view.headless,
    }
}

fn has_port(view: &ServiceView, name: &str, is_it: impl Fn(&PortView) -> bool) -> bool {
    let named = |port: &&PortView| port.protocol == Protocol::Tcp && port.name.as_deref() == Some(name);
    view.ports.iter().filter(named).any(is_it)
}

/// Whether `app` is `<stack><part>`. `app.kubernetes.io/part-of` is the stack's name; old charts only have
/// `chart: <stack>-<version>`.
fn is_stack_part(view: &ServiceView, part: &str) -> bool {
    let Some(stack) = view.labels.get("app").and_then(|app| app.strip_suffix(part)) else { return false };
    let is_its_chart = |chart: &str| {
        let version = chart.strip_prefix(stack).and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    !stack.is_empty()
        && (view.labels.get("app.kubernetes.io/part-of") == Some(stack)
            || view.labels.get("chart").is_some_and(is_its_chart))
}

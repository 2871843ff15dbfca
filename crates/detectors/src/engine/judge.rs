//! Weighs the facts of a Service by one product's rule.
//!
//! * **High**: labels, or the exact shape a chart or an operator gives, state product and role, and the port fits.
//! * **Medium**: two independent pieces agree and none contradicts: an identity (a legacy label, the selector, the Service's
//!   name in whole words) and a port that is the product's own; or two identities and a port whose name is usual.
//! * **Low**: one piece only.

use super::{
    describe::target_at,
    facts::{COMPONENT_LABEL, Facts, Reading, Role},
    ports::{self, Choice, Fit},
    rule::{Door, Mark, Ports, Rule, Shape, Then},
    words,
};
use crate::{Confidence, EvidenceKind, Product, Protocol, ServiceView, Target};

/// What a rule makes of a Service.
pub(crate) struct Verdict<'a> {
    pub ground: Ground,
    pub conclusion: Conclusion<'a>,
}

/// On what the verdict rests.
#[derive(Clone, Copy)]
pub(crate) enum Ground {
    /// The shape that a chart or an operator gives.
    Shape(&'static Shape),
    /// A label or the selector states the product exactly.
    Stated,
    /// Words say so.
    Words,
    /// Only a port's number does.
    PortOnly,
    /// Nothing speaks for it.
    Nothing,
}

/// The verdict itself.
pub(crate) enum Conclusion<'a> {
    /// Nothing here, or what there is is contradicted.
    No(No<'a>),
    /// A part that serves no queries.
    Part(Part<'a>),
    /// The part is right, but no port is.
    NoPort(&'a Ports, Confidence),
    /// An endpoint.
    Endpoint { door: &'static Door, choice: Choice<'a>, confidence: Confidence },
    /// Only a port's number speaks for the product.
    Candidate { door: &'static Door, port: &'a crate::PortView },
}

/// Why a rule says nothing of a Service.
pub(crate) enum No<'a> {
    /// Nothing speaks for the product.
    Nothing,
    /// A word makes something else of it.
    Word(Reading<'a>, &'a str),
    /// Another product is named.
    OtherProduct(Reading<'a>, Product),
    /// `app.kubernetes.io/name` names something else.
    OtherName,
}

/// A part that serves no queries.
pub(crate) enum Part<'a> {
    /// The shape's words for it.
    Shape(&'static str),
    /// A role that is not one of the doors'.
    Role(Role<'a>),
    /// Every part carries the name, and this one states no role.
    NoRole,
}

/// Weighs `facts` by `rule`.
pub(crate) fn judge<'a>(rule: &'static Rule, facts: &Facts<'a>) -> Verdict<'a> {
    if let Some(shape) = rule.shapes.iter().find(|shape| shape.when.iter().all(|mark| holds(mark, facts.view))) {
        let conclusion = match &shape.then {
            Then::Part(words) => Conclusion::Part(Part::Shape(words)),
            Then::Door(door) => at_door(door, rule, facts, shape.confidence),
        };
        return Verdict { ground: Ground::Shape(shape), conclusion };
    }
    if let Some((reading, role_required)) = exactly(rule, facts) {
        return Verdict { ground: Ground::Stated, conclusion: by_statement(rule, facts, reading, role_required) };
    }
    by_words(rule, facts)
}

/// A label or selector that names the product exactly. `app.kubernetes.io/name` first: where it names something else, the
/// legacy keys beside it are weighed as words.
fn exactly<'f, 'a>(rule: &Rule, facts: &'f Facts<'a>) -> Option<(&'f Reading<'a>, bool)> {
    let exact = |kind| {
        facts
            .readings()
            .filter(move |reading| reading.kind == kind)
            .find_map(|reading| reading.exact(rule).map(|name| (reading, name.role_required)))
    };
    if let Some(found) = exact(EvidenceKind::Label) {
        return Some(found);
    }
    let name_label = facts.readings().any(|reading| reading.kind == EvidenceKind::Label);
    if name_label { None } else { exact(EvidenceKind::LegacyLabel) }
}

/// The verdict where a label names the product exactly.
///
/// Charts write such labels on every part, so the role decides and nothing else is asked. Legacy keys are written by hand as
/// often: without a chart's mark or a role beside them, a contradiction ends it and the port has to agree.
fn by_statement<'a>(
    rule: &'static Rule,
    facts: &Facts<'a>,
    exact: &Reading<'a>,
    role_required: bool,
) -> Conclusion<'a> {
    let standard = exact.kind == EvidenceKind::Label;
    let stated = facts.role(rule);
    let made_by_a_chart = ["chart", "helm.sh/chart", "heritage"].iter().any(|key| facts.view.labels.contains_key(key));
    let settled = standard || made_by_a_chart || stated.is_some_and(|role| listed(rule, role.value).is_some());
    if !settled && let Some(objection) = contradicted(rule, facts) {
        return match (stated, objection) {
            (Some(part), No::Word(said_by, _)) if part.value == said_by.value => Conclusion::Part(Part::Role(part)),
            (_, objection) => Conclusion::No(objection),
        };
    }
    if role_required && stated.is_none() {
        return spoken(rule, facts, true).map_or(Conclusion::Part(Part::NoRole), |door| by_hand(door, rule, facts));
    }
    match part_of(rule, facts, standard, !settled) {
        Ok(door) if settled => at_door(door, rule, facts, Confidence::High),
        Ok(door) => by_hand(door, rule, facts),
        Err(part) => Conclusion::Part(part),
    }
}

/// Below High: words and the port's number.
fn by_words<'a>(rule: &'static Rule, facts: &Facts<'a>) -> Verdict<'a> {
    let speaks = |reading: &&Reading<'a>| reading.saying.product() == Some(rule.product);
    let Some(_) = facts.readings().find(speaks) else {
        return by_port(rule, facts);
    };
    let conclusion = if let Some(no) = contradicted(rule, facts) {
        Conclusion::No(no)
    } else if facts.foreign_name_label
        && facts.readings().filter(speaks).all(|reading| reading.kind == EvidenceKind::Name)
    {
        Conclusion::No(No::OtherName)
    } else {
        match part_of(rule, facts, true, true) {
            Ok(door) => by_hand(door, rule, facts),
            Err(part) => Conclusion::Part(part),
        }
    };
    Verdict { ground: Ground::Words, conclusion }
}

fn by_port<'a>(rule: &'static Rule, facts: &Facts<'a>) -> Verdict<'a> {
    let nothing = Verdict { ground: Ground::Nothing, conclusion: Conclusion::No(No::Nothing) };
    let Some(port) = ports::telling(facts.view, rule.telling_ports) else { return nothing };
    if facts.foreign_name_label || !facts.say_nothing() || facts.contradiction().is_some() {
        return nothing;
    }
    let Some(door) = rule.doors.iter().find(|door| door.ports.numbers.contains(&port.port)) else { return nothing };
    Verdict { ground: Ground::PortOnly, conclusion: Conclusion::Candidate { door, port } }
}

/// What speaks against the product, below High. Where a label or the selector names the product exactly, a Service's name
/// that ends in another product's is only its owner's (`vmalertmanager-victoria-metrics-k8s-stack`).
fn contradicted<'a>(rule: &Rule, facts: &Facts<'a>) -> Option<No<'a>> {
    if let Some((reading, word)) = facts.contradiction() {
        return Some(No::Word(*reading, word));
    }
    let exact = facts.readings().any(|reading| reading.exact(rule).is_some());
    facts
        .readings()
        .filter(|reading| !exact || reading.kind != EvidenceKind::Name)
        .filter_map(|reading| Some((reading, reading.saying.product()?)))
        .find(|(_, product)| *product != rule.product)
        .map(|(reading, product)| No::OtherProduct(*reading, product))
}

/// The verdict where labels, or a shape, say which part it is.
fn at_door<'a>(door: &'static Door, rule: &Rule, facts: &Facts<'a>, confidence: Confidence) -> Conclusion<'a> {
    match ports::choose(facts.view, &door.ports, rule) {
        Some(choice) => Conclusion::Endpoint { door, choice, confidence },
        None => Conclusion::NoPort(&door.ports, confidence),
    }
}

/// The verdict where people wrote by hand what it is.
fn by_hand<'a>(door: &'static Door, rule: &Rule, facts: &Facts<'a>) -> Conclusion<'a> {
    let Some(choice) = ports::choose(facts.view, &door.ports, rule) else {
        return Conclusion::NoPort(&door.ports, Confidence::Low);
    };
    // Label and selector are usually written together: one piece. The Service's name is another.
    let speaks = |name: bool| {
        facts.readings().any(|reading| {
            (reading.kind == EvidenceKind::Name) == name && reading.saying.product() == Some(rule.product)
        })
    };
    let agree = match choice.fit {
        _ if facts.pods_of_another(rule.product).is_some() => false,
        Fit::Own => true,
        Fit::Usual => speaks(true) && speaks(false) && !ports::leads_elsewhere(choice.port, &door.ports),
    };
    let confidence = if agree { Confidence::Medium } else { Confidence::Low };
    Conclusion::Endpoint { door, choice, confidence }
}

/// The door with this role.
fn listed(rule: &'static Rule, value: &str) -> Option<&'static Door> {
    rule.doors.iter().find(|door| words::contains(door.roles, value))
}

/// Which part the Service is: by its role, else by what stands behind the product's name (`thanos-query`), else the door for
/// those that say nothing.
///
/// A role under the recommended label (`strict`) that is not listed is another part; what people write under other keys is
/// one where its words say so. The Service's own name is read (`by_name`) only where labels do not decide.
fn part_of<'a>(rule: &'static Rule, facts: &Facts<'a>, strict: bool, by_name: bool) -> Result<&'static Door, Part<'a>> {
    if let Some(role) = facts.role(rule) {
        if let Some(door) = listed(rule, role.value) {
            return Ok(door);
        }
        let by_words = words::names_another_part(role.value, rule).is_some();
        let by_label = strict && role.key == COMPONENT_LABEL && !rule.free_roles;
        if by_words || (by_label && !role.is_neutral() && !names_it(rule, role.value)) {
            return Err(Part::Role(role));
        }
    }
    let door = spoken(rule, facts, by_name).or_else(|| if rule.words_need_role { None } else { bare(rule, facts) });
    door.ok_or(Part::NoRole)
}

/// The door that an identity names: what stands behind the product's name in `thanos-query`, else the whole of `vmselect`.
fn spoken(rule: &'static Rule, facts: &Facts<'_>, by_name: bool) -> Option<&'static Door> {
    let speaking = || {
        facts
            .readings()
            .filter(move |reading| by_name || reading.kind != EvidenceKind::Name)
            .filter(|reading| reading.saying.product() == Some(rule.product))
    };
    let behind = speaking().find_map(|reading| listed(rule, reading.saying.rest()));
    behind.or_else(|| speaking().find_map(|reading| listed(rule, reading.value)))
}

/// Whether a value contains the product's name.
fn names_it(rule: &Rule, value: &str) -> bool {
    rule.words.iter().any(|sequence| {
        let mut from = words::split(value);
        sequence.iter().all(|own| from.any(|word| words::says(word, own)))
    })
}

/// The door for a Service that states no role: the first whose own port is there, else the first at all.
fn bare(rule: &'static Rule, facts: &Facts<'_>) -> Option<&'static Door> {
    let bare = || rule.doors.iter().filter(|door| door.bare);
    let own = |door: &&Door| ports::choose(facts.view, &door.ports, rule).is_some_and(|choice| choice.fit == Fit::Own);
    bare().find(own).or_else(|| bare().next())
}

fn holds(mark: &Mark, view: &ServiceView) -> bool {
    let tcp = || view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let is = |name: &Option<Box<str>>, wanted: &str| name.as_deref() == Some(wanted);
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
        Mark::Port(name, number) => tcp().any(|port| is(&port.name, name) && port.port == number),
        Mark::PortTo(name, target) => {
            tcp().any(|port| is(&port.name, name) && ports::target_name(port) == Some(target))
        }
        Mark::Headless => view.headless,
    }
}

/// `app` is `<stack><part>`; the stack's name is in `app.kubernetes.io/part-of`, in old charts only in
/// `chart: <stack>-<version>`.
fn is_stack_part(view: &ServiceView, part: &str) -> bool {
    let Some(stack) = view.labels.get("app").and_then(|app| app.strip_suffix(part)) else { return false };
    let in_chart = |chart: &str| {
        let version = chart.strip_prefix(stack).and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    };
    !stack.is_empty()
        && (view.labels.get("app.kubernetes.io/part-of") == Some(stack)
            || view.labels.get("chart").is_some_and(in_chart))
}

/// The endpoint that the rule would choose if somebody stated the product: the part that the Service says it is, else the
/// first whose port fits.
pub(crate) fn target(rule: &'static Rule, facts: &Facts<'_>) -> Option<Target> {
    let shape = rule.shapes.iter().filter(|shape| shape.when.iter().all(|mark| holds(mark, facts.view)));
    let by_shape = shape.filter_map(|shape| match &shape.then {
        Then::Door(door) => Some(door),
        Then::Part(_) => None,
    });
    let stated = part_of(rule, facts, false, true).ok();
    by_shape.chain(stated).chain(rule.doors).find_map(|door| {
        let choice = ports::choose(facts.view, &door.ports, rule)?;
        Some(target_at(facts.view, door, choice.port))
    })
}

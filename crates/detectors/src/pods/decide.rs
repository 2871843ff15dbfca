//! What a Service is by itself and by its Pods: precedence field by field.

use std::{borrow::Cow, cmp::Reverse, collections::BTreeSet};

use super::facts::{How, Known, LeadsTo, PodFacts, PortFacts, Proof, QueryPort, Running};
use super::program::Role;
use super::text;
use crate::{
    engine::{
        assess::assess,
        hint::hint,
        identities::Identities,
        rule::{EndpointRole, FALLBACK_TIER, Rule},
        whole_words,
    },
    finding::{Assumed, Auth, Finding, Outcome, Rank, Target},
    mcp,
    product::{Confidence, Product},
    recognise::{recognise, target_of},
    rules::{RULES, VOCABULARY},
    scheme::shown_scheme,
    view::{PortView, Protocol, ServiceView},
};

/// The tier of a proxy that passes requests to another Service. That one is preferred.
const UPSTREAM_TIER: u8 = 8;

/// As [`recognise`], with what the Pods say. A fact of the Pods beats what the Service suggests, field by field.
///
/// A Service in which [`recognise`] finds nothing stays so, because its Pods are never read. A Service that states for
/// certain that it has another role keeps it.
pub fn recognise_with_pods(view: &ServiceView, facts: &PodFacts) -> Vec<Finding> {
    let by_service = recognise(view);
    if by_service.is_empty() || facts.ports.is_empty() {
        return by_service;
    }
    let mut findings = combined(view, facts, &by_service);
    let is_new = |product| !by_service.iter().any(|finding| finding.product == product);
    findings.sort_by_key(|finding| {
        let is_used = finding.confidence >= Confidence::Medium;
        // Of several that are used, those that the Service names come first.
        let is_second = is_used && is_new(finding.product);
        (!is_endpoint(finding), !is_used, is_second, Reverse(finding.confidence), finding.product)
    });
    findings
}

fn combined(view: &ServiceView, facts: &PodFacts, by_service: &[Finding]) -> Vec<Finding> {
    let is_closed =
        |port: &PortView| facts_of(facts, port).is_some_and(|facts| text::answers_no_queries(&facts.leads_to));
    let tcp = || view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    if tcp().next().is_some() && tcp().all(is_closed) {
        return by_service.iter().map(|finding| refused(finding.clone(), facts)).collect();
    }
    // Without the ports that the Pods rule out, the Service's rules choose among the others.
    let narrowed = if tcp().any(is_closed) { Some(with_ports(view, |port| !is_closed(port))) } else { None };
    let open = narrowed.as_ref().unwrap_or(view);
    let by_open_ports = narrowed.as_ref().map(recognise);
    let by_open_ports = by_open_ports.as_deref().unwrap_or(by_service);

    let running: BTreeSet<Product> =
        facts.ports.iter().filter_map(open_product).map(|running| running.product).collect();
    let mut findings: Vec<Finding> = Vec::new();
    for product in &running {
        let find = |all: &[Finding]| all.iter().find(|finding| finding.product == *product).cloned();
        let known = find(by_open_ports).or_else(|| find(by_service));
        findings.extend(confirmed(open, facts, *product, known, by_service));
    }
    let mut contradicted = Vec::new();
    for finding in by_service.iter().filter(|finding| !running.contains(&finding.product)) {
        let by_port = by_open_ports.iter().find(|open| open.product == finding.product);
        let is_elsewhere = facts
            .ports
            .iter()
            .any(|port| matches!(&port.leads_to, LeadsTo::Product(running) if running.product == finding.product));
        match by_port {
            _ if is_elsewhere => findings.push(refused(finding.clone(), facts)),
            Some(by_port) if !leads_to_another(by_port, facts) => {
                findings.push(with_port_facts(by_port.clone(), facts));
            }
            _ => contradicted.push(finding),
        }
    }
    if findings.is_empty() {
        findings.extend(contradicted.into_iter().map(|finding| refused(finding.clone(), facts)));
    }
    findings
}

fn facts_of<'f>(facts: &'f PodFacts, port: &PortView) -> Option<&'f PortFacts> {
    facts.ports.iter().find(|facts| facts.port == port.port).filter(|_| port.protocol == Protocol::Tcp)
}

/// The product that answers queries on a port.
fn open_product(port: &PortFacts) -> Option<&Running> {
    match &port.leads_to {
        LeadsTo::Product(running) if !text::answers_no_queries(&port.leads_to) => Some(running),
        _ => None,
    }
}

fn with_ports(view: &ServiceView, keep: impl Fn(&PortView) -> bool) -> ServiceView {
    let ports = view.ports.iter().filter(|port| keep(port)).cloned().collect();
    ServiceView { ports, ..view.clone() }
}

/// Whether the Pods run another product on the port of a finding.
fn leads_to_another(finding: &Finding, facts: &PodFacts) -> bool {
    let Outcome::Endpoint(target) = &finding.outcome else { return false };
    let port = facts.ports.iter().find(|port| port.port == target.port);
    port.and_then(open_product).is_some_and(|running| running.product != finding.product)
}

/// A finding whose port leads to a program that no table knows. A name of another program speaks against the product,
/// unless the Service is certain.
fn with_port_facts(mut finding: Finding, facts: &PodFacts) -> Finding {
    let Outcome::Endpoint(target) = &mut finding.outcome else { return finding };
    let port = facts.ports.iter().find(|port| port.port == target.port);
    let Some(LeadsTo::Unknown(unknown)) = port.map(|port| &port.leads_to) else { return finding };
    if let Some(scheme) = &unknown.scheme {
        target.scheme = scheme.value;
        finding.assumed.scheme = !scheme.is_proven();
    }
    let product = finding.product;
    if let Some(image) = text::another_program(unknown, product).filter(|_| finding.confidence < Confidence::High) {
        finding.confidence = Confidence::Low;
        finding.decided_by = Cow::Owned(image.clone());
        let hint = format!(
            "The Pods of this Service seem to run another program: {image} is not known to be {product}. If it is, \
             annotate the Service with kubernaut.io/toolset=enabled, kubernaut.io/toolset-type={}, \
             kubernaut.io/toolset-port={}.",
            product.lower(),
            target.port,
        );
        finding.hint = Some(hint.into());
    }
    finding
}

/// The product is not what answers on the Service's ports.
fn refused(finding: Finding, facts: &PodFacts) -> Finding {
    let role = text::role_of_all(finding.product, facts);
    let hint = format!(
        "The Pods of this Service do not serve {} queries on its ports ({role}). Use another Service. To use this Service \
         anyway, annotate it with kubernaut.io/toolset=enabled, kubernaut.io/toolset-type={} and \
         kubernaut.io/toolset-port=<name or number>.",
        finding.product,
        finding.product.lower(),
    );
    Finding {
        confidence: Confidence::High,
        outcome: Outcome::NotAnEndpoint { role: role.into() },
        hint: Some(hint.into()),
        auth: Auth::Unknown,
        assumed: Assumed::NOTHING,
        decided_by: text::deciding(finding.product, facts).map_or(finding.decided_by, Cow::Owned),
        by_port_alone: false,
        ..finding
    }
}

/// The finding for a product that runs behind at least one port.
fn confirmed(
    view: &ServiceView,
    facts: &PodFacts,
    product: Product,
    known: Option<Finding>,
    by_service: &[Finding],
) -> Option<Finding> {
    if let Some(finding) = &known
        && finding.confidence == Confidence::High
        && matches!(finding.outcome, Outcome::NotAnEndpoint { .. })
    {
        return known;
    }
    let Some((port, running)) = chosen(view, facts, product) else { return known };
    // A program of this name on a port that is not the product's can be another one.
    if running.query_port == QueryPort::Unlikely {
        return known.map(|finding| with_probed_scheme(finding, running));
    }
    let rule = RULES.iter().copied().find(|rule| rule.product == product);
    let Some((confidence, by_pods)) = confidence(running, known.as_ref(), product) else { return known };
    let usual = usual_target(view, port, product, known.as_ref());
    let mut assumed = known
        .as_ref()
        .filter(|finding| is_endpoint(finding))
        .map_or(Assumed { scheme: shown_scheme(view, port).is_none(), path: true, auth: true }, |finding| {
            finding.assumed
        });
    let scheme = match &running.scheme {
        Some(scheme) if scheme.is_proven() || shown_scheme(view, port).is_none() => {
            assumed.scheme = !scheme.is_proven();
            scheme.value
        }
        _ => usual.scheme,
    };
    let path = match &running.path {
        Some(Known { value, .. }) => value.clone(),
        None => usual.path,
    };
    assumed.path = running.path.as_ref().is_none_or(|path| !path.is_proven());
    let auth = match &running.auth {
        Some(auth) => {
            assumed.auth = !auth.is_proven();
            auth.value
        }
        None => known.as_ref().map_or(Auth::Unknown, |finding| finding.auth),
    };
    if running.behind.is_some() && running.auth.is_none() {
        assumed.auth = true;
    }
    let by_port_alone = !by_pods && known.as_ref().is_some_and(|finding| finding.by_port_alone);
    let decided_by = match &known {
        Some(finding) if !by_pods && !finding.decided_by.is_empty() => finding.decided_by.clone(),
        _ => Cow::Owned(text::identified(&running.by)),
    };
    Some(Finding {
        product,
        confidence,
        outcome: Outcome::Endpoint(Target { port: port.port, scheme, path }),
        rank: rank(rule, running, known.as_ref(), by_service),
        hint: if confidence == Confidence::High { None } else { new_hint(rule, view, known) },
        auth,
        assumed,
        decided_by,
        by_port_alone,
    })
}

/// The finding, with nothing but what a probe shows.
fn with_probed_scheme(mut finding: Finding, running: &Running) -> Finding {
    if let (Outcome::Endpoint(target), Some(scheme)) = (&mut finding.outcome, &running.scheme)
        && scheme.proof == Proof::Probe
    {
        target.scheme = scheme.value;
        finding.assumed.scheme = false;
    }
    finding
}

fn is_endpoint(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::Endpoint(_))
}

/// The port of the product: as the rule chooses among those on which it answers queries.
fn chosen<'v, 'f>(view: &'v ServiceView, facts: &'f PodFacts, product: Product) -> Option<(&'v PortView, &'f Running)> {
    let candidates: Vec<(&PortView, &Running)> = view
        .ports
        .iter()
        .filter_map(|port| Some((port, open_product(facts_of(facts, port)?)?)))
        .filter(|(_, running)| running.product == product)
        .collect();
    let best = candidates.iter().map(|(_, running)| running.query_port).max()?;
    let best: Vec<(&PortView, &Running)> =
        candidates.into_iter().filter(|(_, running)| running.query_port == best).collect();
    if let [only] = &best[..] {
        return Some(*only);
    }
    let among = with_ports(view, |port| best.iter().any(|(one, _)| one.port == port.port));
    let by_rule = target_of(product, &among);
    let by_rule = by_rule.and_then(|target| best.iter().copied().find(|(port, _)| port.port == target.port));
    by_rule.or_else(|| best.into_iter().min_by_key(|(port, _)| port.port))
}

/// How sure it is, and whether the Pods made it so. `None` if nothing says that it answers queries.
fn confidence(running: &Running, known: Option<&Finding>, product: Product) -> Option<(Confidence, bool)> {
    let before = known.filter(|finding| is_endpoint(finding)).map(|finding| finding.confidence);
    let answers = matches!(running.role, Some(Role::Answers { .. }));
    if !answers {
        return before.map(|before| (before, false));
    }
    let confidence = match running.by.how {
        How::Image(_) => Confidence::High,
        How::BehindProxy(_) | How::Upstream if before.is_none() && known.is_none() => Confidence::Medium,
        How::BehindUnknown => Confidence::Medium,
        _ if product != Product::MCP && before >= Some(Confidence::Medium) => Confidence::High,
        _ => Confidence::Medium,
    };
    let confidence = before.map_or(confidence, |before| before.max(confidence));
    Some((confidence, before < Some(confidence)))
}

/// What the rule would call on this port.
fn usual_target(view: &ServiceView, port: &PortView, product: Product, known: Option<&Finding>) -> Target {
    if let Some(Finding { outcome: Outcome::Endpoint(target), .. }) = known
        && target.port == port.port
    {
        return target.clone();
    }
    let among = with_ports(view, |one| one.port == port.port && one.protocol == Protocol::Tcp);
    let target = if product == Product::MCP { mcp::target(&among) } else { target_of(product, &among) };
    target.unwrap_or_else(|| Target {
        port: port.port,
        scheme: shown_scheme(view, port).unwrap_or_default(),
        path: Cow::Borrowed(""),
    })
}

fn rank(rule: Option<&'static Rule>, running: &Running, known: Option<&Finding>, by_service: &[Finding]) -> Rank {
    let by_role = |wanted: &str| -> Option<&EndpointRole> {
        rule?.endpoints.iter().find(|endpoint| whole_words::contains(endpoint.roles, wanted))
    };
    let before = known.filter(|finding| is_endpoint(finding)).map(|finding| finding.rank.tier);
    let tier = match (before, running.role) {
        (Some(FALLBACK_TIER), _) => FALLBACK_TIER,
        (before, Some(Role::Answers { role, stated: true })) => {
            by_role(role).map(|endpoint| endpoint.tier).or(before).unwrap_or_default()
        }
        (Some(before), _) => before,
        (None, Some(Role::Answers { role, .. })) => by_role(role).map_or(0, |endpoint| endpoint.tier),
        (None, _) => 0,
    };
    let tier = if running.by.how == How::Upstream { tier.max(UPSTREAM_TIER) } else { tier };
    let bundled = known.or(by_service.first()).is_some_and(|finding| finding.rank.bundled);
    Rank { bundled, tier }
}

fn new_hint(rule: Option<&'static Rule>, view: &ServiceView, known: Option<Finding>) -> Option<Cow<'static, str>> {
    known.and_then(|finding| finding.hint).or_else(|| {
        let rule = rule?;
        let identities = Identities::of(view, &VOCABULARY);
        Some(Cow::Owned(hint(rule, &identities, &assess(rule, &identities))))
    })
}

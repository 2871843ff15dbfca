//! What the user can do, for messages that do not say it completely.

use crd_types::{NamespacesFrom, ServiceReason};
use detectors::{Product, Protocol};
use toolset::select::annotation;

use super::{case::Case, classification::Classification, detectors::explanations, model::Change};
use crate::text::{kubectl_service, quoted};

pub(super) fn changes(case: &Case<'_>) -> Vec<Change> {
    let key = case.key();
    match (&case.classification, case.classification.reason()) {
        (Classification::Unrecognised, _) => annotate(case, None),
        (_, Some(ServiceReason::NotEnoughEvidence)) => {
            let mut advice = annotate(case, case.classification.product());
            let product = case.classification.product();
            if let Some(product) = product.filter(|&product| objection(case, Some(product)).is_none()) {
                advice.push(copy(
                    "Or accept this confidence for every Service of this type, in the ToolsetConfig:",
                    format!("spec.detectors: [{{type: {product}, minConfidence: Low}}]"),
                ));
            }
            advice
        }
        (_, Some(ServiceReason::NoUsablePort)) => annotate(case, case.classification.product()),
        (_, Some(ServiceReason::OptedOut)) => vec![copy(
            "Remove the annotation that opts the Service out:",
            format!(
                "kubectl annotate {} -n {} {}-",
                kubectl_service(&key.name),
                quoted(&key.namespace),
                annotation::TOOLSET
            ),
        )],
        (_, Some(ServiceReason::NamespaceNotSelected)) => sources(case),
        (_, Some(ServiceReason::Unhealthy)) => pods(case),
        (_, Some(ServiceReason::HeadlessTwin | ServiceReason::LostToPreferred)) => {
            vec![text("Usually nothing, because the agent reaches the same data through the other Service.")]
        }
        (_, Some(ServiceReason::NotAnEndpoint)) => {
            vec![text(
                "Usually nothing. The candidates below show whether another Service of the product serves queries.",
            )]
        }
        _ => Vec::new(),
    }
}

/// What speaks against the product. For a Service that nothing recognises, against any product that something speaks for.
/// Usually it is a name that says that the Service receives or collects data.
fn objection(case: &Case<'_>, product: Option<Product>) -> Option<String> {
    let explained = explanations(case);
    let mut about = explained.iter().filter(|one| match product {
        Some(product) => one.product == product,
        None => one.evidence.iter().any(|evidence| evidence.supports),
    });
    about.find_map(|one| one.evidence.iter().find(|evidence| !evidence.supports)).map(|one| one.detail.to_string())
}

/// A command that annotates the Service with its type.
fn annotate(case: &Case<'_>, product: Option<Product>) -> Vec<Change> {
    let mut ports = case.service.view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let (Some(port), several) = (ports.next(), ports.next().is_some()) else {
        return vec![text("Nothing, because the Service declares no TCP port that an agent can call.")];
    };
    let type_ = product.map_or_else(|| "<type>".to_owned(), Product::lower);
    let port = if several { "<port>".to_owned() } else { port.port.to_string() };
    let start = match objection(case, product) {
        Some(objection) => {
            format!("Usually nothing, because {objection}. If the agent should query this Service, annotate it:")
        }
        None => "If the agent should query this Service, annotate it:".to_owned(),
    };
    let mut advice = vec![copy(
        &start,
        format!(
            "kubectl annotate {} -n {} {}=enabled {}={type_} {}={port}",
            kubectl_service(&case.key().name),
            quoted(&case.key().namespace),
            annotation::TOOLSET,
            annotation::TYPE,
            annotation::PORT,
        ),
    )];
    if product.is_none() {
        advice.push(text(
            "Replace <type> with a product, such as prometheus, or with a custom name, such as vector-database.",
        ));
    }
    advice
}

/// How to add the namespace to a source.
fn sources(case: &Case<'_>) -> Vec<Change> {
    let sources = &case.snapshot.config.spec.sources;
    let namespace = &case.key().namespace;
    let line = match sources.iter().find(|source| source.namespaces.from == NamespacesFrom::Names) {
        Some(source) => format!(
            "spec.sources[name={}].namespaces.names: [{}, {namespace}]",
            source.name,
            source.namespaces.names.join(", "),
        ),
        None => format!(
            "spec.sources: [{{name: {namespace}, trust: Trusted, namespaces: {{from: Names, names: [{namespace}]}}}}]"
        ),
    };
    let mut advice = vec![copy("Add the namespace to a source, in the ToolsetConfig:", line)];
    if sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector) {
        advice.push(text("Or give the namespace the labels that a source selects (see Sources)."));
    }
    advice
}

/// How to find the pods of a Service without usable endpoints.
fn pods(case: &Case<'_>) -> Vec<Change> {
    let selector: Vec<String> =
        case.service.view.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if selector.is_empty() {
        return Vec::new();
    }
    vec![copy(
        "Check the Pods. The tool returns to the output as soon as a Pod is ready:",
        format!("kubectl get pods -n {} -l {}", quoted(&case.key().namespace), quoted(&selector.join(","))),
    )]
}

fn text(text: &str) -> Change {
    Change { text: text.to_owned(), copy: None }
}

fn copy(text: &str, line: String) -> Change {
    Change { text: text.to_owned(), copy: Some(line) }
}

//! What the reader can do, where the message itself does not say it in full.

use crd_types::{NamespacesFrom, ServiceReason};
use detectors::{Product, Protocol};
use toolset::select::annotation;

use super::{Case, verdict::Verdict};

pub fn section(case: &Case<'_>) -> Vec<String> {
    let advice = match (&case.verdict, case.verdict.reason()) {
        (Verdict::Unrecognised, _) => statement(case, None),
        (_, Some(ServiceReason::NotEnoughEvidence)) => {
            let mut advice = statement(case, case.verdict.product());
            if let Some(product) = case.verdict.product() {
                advice.push("or, for every Service with that much evidence, in the ToolsetConfig:".to_owned());
                advice.push(code(case, &format!("spec.detectors: [{{type: {product}, minConfidence: Low}}]")));
            }
            advice
        }
        (_, Some(ServiceReason::NoUsablePort)) => statement(case, case.verdict.product()),
        (_, Some(ServiceReason::OptedOut)) => vec![
            "let it be looked at again:".to_owned(),
            code(
                case,
                &format!(
                    "kubectl annotate service {} -n {} {}-",
                    case.key().name,
                    case.key().namespace,
                    annotation::TOOLSET
                ),
            ),
        ],
        (_, Some(ServiceReason::NamespaceNotSelected)) => sources(case),
        (_, Some(ServiceReason::Unhealthy)) => pods(case),
        (_, Some(ServiceReason::HeadlessTwin | ServiceReason::LostToPreferred)) => {
            vec!["usually nothing: the agent reaches the same data through the other Service".to_owned()]
        }
        (_, Some(ServiceReason::NotAnEndpoint)) => {
            vec!["usually nothing: this part of the product answers no queries; look at the candidates below for one that does".to_owned()]
        }
        _ => Vec::new(),
    };
    if advice.is_empty() {
        return advice;
    }
    let mut lines = vec![case.heading("What you can do")];
    lines.extend(advice.into_iter().map(|line| format!("  {line}")));
    lines
}

/// A command that says what the Service is.
fn statement(case: &Case<'_>, product: Option<Product>) -> Vec<String> {
    let mut ports = case.service.view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let (Some(port), several) = (ports.next(), ports.next().is_some()) else {
        return vec!["nothing: it declares no TCP port that an agent could call".to_owned()];
    };
    let type_ = product.map_or_else(|| "<type>".to_owned(), Product::lower);
    let port = if several { "<port>".to_owned() } else { port.port.to_string() };
    let mut advice = vec![
        "if it is what an agent should query, say so:".to_owned(),
        code(
            case,
            &format!(
                "kubectl annotate service {} -n {} {}=enabled {}={type_} {}={port}",
                case.key().name,
                case.key().namespace,
                annotation::TOOLSET,
                annotation::TYPE,
                annotation::PORT,
            ),
        ),
    ];
    if product.is_none() {
        advice.push(
            "where <type> is a product (prometheus, grafana, …) or a name of your own (vector-database)".to_owned(),
        );
    }
    advice
}

/// How the namespace gets into a source.
fn sources(case: &Case<'_>) -> Vec<String> {
    let sources = &case.snapshot.config.spec.sources;
    let by_name = sources.iter().find(|source| source.namespaces.from == NamespacesFrom::Names);
    let mut advice = vec!["let a source cover the namespace, in the ToolsetConfig:".to_owned()];
    advice.push(match by_name {
        Some(source) => code(
            case,
            &format!(
                "spec.sources[name={}].namespaces.names: [{}, {}]",
                source.name,
                source.namespaces.names.join(", "),
                case.key().namespace
            ),
        ),
        None => code(
            case,
            &format!(
                "spec.sources: [{{name: {}, trust: Trusted, namespaces: {{from: Names, names: [{}]}}}}]",
                case.key().namespace,
                case.key().namespace
            ),
        ),
    });
    if sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector) {
        advice.push("or give the namespace the labels that a source selects (see below)".to_owned());
    }
    advice
}

/// Where to look when nothing serves.
fn pods(case: &Case<'_>) -> Vec<String> {
    let selector: Vec<String> =
        case.service.view.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if selector.is_empty() {
        return Vec::new();
    }
    vec![
        "look at its pods; it comes back by itself when one is ready:".to_owned(),
        code(case, &format!("kubectl get pods -n {} -l {}", case.key().namespace, selector.join(","))),
    ]
}

fn code(case: &Case<'_>, text: &str) -> String {
    format!("  {}", case.paint.link(text))
}

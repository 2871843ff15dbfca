//! The section about what the user can do, for messages that do not say it completely.

use crd_types::{NamespacesFrom, ServiceReason};
use detectors::{Product, Protocol};
use toolset::select::annotation;

use super::{case::Case, classification::Classification};
use crate::text::{Text, text};

pub(super) fn section(case: &Case<'_>) -> Vec<Text> {
    let advice = match (&case.classification, case.classification.reason()) {
        (Classification::Unrecognised, _) => annotate(case, None),
        (_, Some(ServiceReason::NotEnoughEvidence)) => {
            let mut advice = annotate(case, case.classification.product());
            if let Some(product) = case.classification.product() {
                advice.push(Text::from("Or accept this confidence for every Service, in the ToolsetConfig:"));
                advice.push(code(case, &format!("spec.detectors: [{{type: {product}, minConfidence: Low}}]")));
            }
            advice
        }
        (_, Some(ServiceReason::NoUsablePort)) => annotate(case, case.classification.product()),
        (_, Some(ServiceReason::OptedOut)) => vec![
            Text::from("Remove the annotation that opts the Service out:"),
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
            vec![Text::from("Usually nothing, because the agent reaches the same data through the other Service.")]
        }
        (_, Some(ServiceReason::NotAnEndpoint)) => {
            vec![Text::from(
                "Usually nothing. The candidates below show whether another Service of the product serves queries.",
            )]
        }
        _ => Vec::new(),
    };
    if advice.is_empty() {
        return advice;
    }
    let mut lines = vec![case.heading("What you can do")];
    lines.extend(advice.into_iter().map(|line| text!("  ", line)));
    lines
}

/// A command that annotates the Service with its type.
fn annotate(case: &Case<'_>, product: Option<Product>) -> Vec<Text> {
    let mut ports = case.service.view.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    let (Some(port), several) = (ports.next(), ports.next().is_some()) else {
        return vec![Text::from("Nothing, because the Service declares no TCP port that an agent can call.")];
    };
    let type_ = product.map_or_else(|| "<type>".to_owned(), Product::lower);
    let port = if several { "<port>".to_owned() } else { port.port.to_string() };
    let mut advice = vec![
        Text::from("If the agent should query this Service, annotate it:"),
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
        advice.push(Text::from(
            "Replace <type> with a product, such as prometheus, or with a name of your own, such as vector-database.",
        ));
    }
    advice
}

/// How to add the namespace to a source.
fn sources(case: &Case<'_>) -> Vec<Text> {
    let sources = &case.snapshot.config.spec.sources;
    let by_name = sources.iter().find(|source| source.namespaces.from == NamespacesFrom::Names);
    let mut advice = vec![Text::from("Add the namespace to a source, in the ToolsetConfig:")];
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
        advice.push(Text::from("Or add the labels that a source selects to the namespace (see Sources)."));
    }
    advice
}

/// How to find the pods of a Service without usable endpoints.
fn pods(case: &Case<'_>) -> Vec<Text> {
    let selector: Vec<String> =
        case.service.view.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if selector.is_empty() {
        return Vec::new();
    }
    vec![
        Text::from("Check the pods. The tool returns to the output as soon as a pod is ready:"),
        code(case, &format!("kubectl get pods -n {} -l {}", case.key().namespace, selector.join(","))),
    ]
}

fn code(case: &Case<'_>, command: &str) -> Text {
    text!("  ", case.paint.link(command))
}

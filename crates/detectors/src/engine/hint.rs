//! What a person can do to change the result, or to make it certain.

use super::{
    assess::{Assessment, Conclusion, Mismatch, OtherRole},
    ports::expected,
    rule::Rule,
};
use crate::{
    product::{Confidence, Product},
    view::{PortView, ServiceView},
};

/// What would change the result of the assessment, or make it certain.
pub(crate) fn hint(rule: &Rule, view: &ServiceView, assessment: &Assessment<'_>) -> String {
    let product = rule.product;
    let port = match (&assessment.conclusion, &*view.ports) {
        (Conclusion::Endpoint { choice, .. }, _) => Some(choice.port),
        (Conclusion::Candidate { port, .. }, _) => Some(*port),
        (_, [port]) => Some(port),
        _ => None,
    };
    let annotations = annotations(product, port);
    match &assessment.conclusion {
        Conclusion::NotTheProduct(Mismatch::NotMentioned) => format!(
            "Nothing in the Service mentions {product}. If it has {product}'s API, annotate the Service with \
             {annotations}. Add kubernaut.io/toolset-path if the API has a path prefix."
        ),
        Conclusion::NotTheProduct(mismatch) => {
            format!("The Service is not {product}, because {mismatch}. If it is, annotate it with {annotations}.")
        }
        Conclusion::OtherRole(OtherRole::NotStated) => format!(
            "All components of {product} have this name. Label the one that answers queries with \
             app.kubernetes.io/component={}, or annotate it with {annotations}.",
            first_role(rule).unwrap_or("query"),
        ),
        Conclusion::OtherRole(other) => format!(
            "This Service ({}) answers no queries. Use {} instead. To use this Service anyway, annotate it with \
             {annotations}.",
            other.description(),
            endpoint_roles(rule),
        ),
        Conclusion::NoPort(ports, _) => format!(
            "Declare the port that answers queries ({}), or annotate the Service with {annotations}.",
            expected(ports),
        ),
        Conclusion::Candidate { .. } => format!(
            "The number of the port is the only evidence. If the Service is {product}, annotate it with {annotations} \
             or label it {}.",
            labels(rule)
        ),
        Conclusion::Endpoint { confidence: Confidence::Low, .. } => format!(
            "This is one piece of evidence, and other programs can use such a port. Annotate the Service with \
             {annotations}, or label it {}.",
            labels(rule)
        ),
        Conclusion::Endpoint { confidence: Confidence::Medium, .. } => format!(
            "The label {} or the annotations {annotations} make the confidence High. The annotation \
             kubernaut.io/toolset=disabled excludes the Service.",
            labels(rule)
        ),
        Conclusion::Endpoint { confidence: Confidence::High, .. } => {
            "The annotation kubernaut.io/toolset=disabled excludes the Service.".to_owned()
        }
    }
}

/// The annotations that make a Service a tool.
fn annotations(product: Product, port: Option<&PortView>) -> String {
    let port = port.map_or_else(|| "<name or number>".to_owned(), |port| port.port.to_string());
    format!(
        "kubernaut.io/toolset=enabled, kubernaut.io/toolset-type={}, kubernaut.io/toolset-port={port}",
        product.lower()
    )
}

/// The labels that give a Service the confidence High.
fn labels(rule: &Rule) -> String {
    let Some(name) = rule.names.first() else { return "app.kubernetes.io/name".to_owned() };
    match first_role(rule).filter(|_| name.role_required) {
        Some(component) => format!("app.kubernetes.io/name={}, app.kubernetes.io/component={component}", name.value),
        None => format!("app.kubernetes.io/name={}", name.value),
    }
}

fn first_role(rule: &Rule) -> Option<&'static str> {
    rule.endpoints.iter().flat_map(|endpoint| endpoint.roles).next().copied()
}

fn endpoint_roles(rule: &Rule) -> String {
    let roles: Vec<&str> = rule.endpoints.iter().filter_map(|endpoint| endpoint.roles.first().copied()).collect();
    match &roles[..] {
        [] => format!("the main Service of {}", rule.product),
        [only] => format!("the component {only}"),
        several => format!("one of the components {}", several.join(", ")),
    }
}

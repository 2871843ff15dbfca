//! What a person can do to change the result, or to make it certain.

use super::{
    conclusion::{Assessment, Basis, Conclusion, Mismatch, OtherRole},
    evidence::{describe_port, joined},
    identities::{Identities, Identity},
    pieces::Pieces,
    ports::{Fit, expected},
    refusal::refused,
    rule::Rule,
};
use crate::{
    product::{Confidence, Product},
    view::PortView,
};

/// What would change the result of the assessment, or make it certain.
pub(crate) fn hint(rule: &Rule, identities: &Identities<'_>, assessment: &Assessment<'_>) -> String {
    let product = rule.product;
    let port = match (&assessment.conclusion, &*identities.view.ports) {
        (Conclusion::Endpoint { choice, .. }, _) => Some(choice.port),
        (Conclusion::Candidate { port, .. }, _) => Some(*port),
        (_, [port]) => Some(port),
        _ => None,
    };
    let annotations = annotations(product, port);
    match &assessment.conclusion {
        Conclusion::NotTheProduct(Mismatch::NotMentioned) => format!(
            "Nothing in the Service mentions {product}. If it serves the {product} API, annotate it with {annotations}. \
             If the API has a path prefix, also add the annotation kubernaut.io/toolset-path."
        ),
        // Such a program is not to be annotated as the product, so no annotation is proposed.
        Conclusion::NotTheProduct(mismatch @ Mismatch::OtherProgram(..)) => {
            format!("The Service is not {product}, because {mismatch}. {}", for_another_program(rule))
        }
        Conclusion::NotTheProduct(mismatch) => {
            format!("The Service is not {product}, because {mismatch}. If it is, annotate it with {annotations}.")
        }
        Conclusion::OtherRole(OtherRole::NotStated) => format!(
            "All components of {product} have this name. Label the one that serves queries with \
             app.kubernetes.io/component={}, or annotate it with {annotations}.",
            first_role(rule).unwrap_or("query"),
        ),
        Conclusion::OtherRole(other) => format!(
            "This Service ({}) does not serve queries. Use {} instead. To use this Service anyway, annotate it with \
             {annotations}.",
            other.description(),
            endpoint_roles(rule),
        ),
        Conclusion::NoPort(ports, _) => {
            match (other_program(rule, identities), refused(identities.view, ports, rule)) {
                (Some(text), _) => text,
                (None, Some((port, reason))) => format!(
                    "The {} is not used, because {reason}. If it serves queries, annotate the Service with {}.",
                    describe_port(port),
                    self::annotations(product, Some(port)),
                ),
                (None, None) => format!(
                    "Declare the port that serves queries ({}), or annotate the Service with {annotations}.",
                    expected(ports),
                ),
            }
        }
        Conclusion::Candidate { .. } => format!(
            "The port is the only evidence. If the Service is {product}, annotate it with {annotations}, or label it with {}.",
            labels(rule)
        ),
        Conclusion::Endpoint { confidence: Confidence::Low, choice, .. } => {
            match unsure(rule, identities, choice.fit) {
                Some(text) => text,
                None => format!(
                    "{} Annotate the Service with {annotations}, or label it with {}.",
                    not_enough(rule, identities, choice.fit, choice.port),
                    labels(rule)
                ),
            }
        }
        Conclusion::Endpoint { confidence: Confidence::Medium, choice, .. } => format!(
            "{}The label {} or the annotations {annotations} raise the confidence to High. The annotation \
             kubernaut.io/toolset=disabled excludes the Service.",
            outweighed(rule, identities, assessment, choice.port),
            labels(rule)
        ),
        Conclusion::Endpoint { confidence: Confidence::High, .. } => {
            "The annotation kubernaut.io/toolset=disabled excludes the Service.".to_owned()
        }
    }
}

/// If the name of the Service looks like that of a program beside the product, that.
fn other_program(rule: &Rule, identities: &Identities<'_>) -> Option<String> {
    named_like_another(rule, Pieces::of(rule, identities).other_program(rule, identities.view))
}

/// As [`other_program`]. With a port that proves nothing, a word before the product's name can be such a name, too.
fn unsure(rule: &Rule, identities: &Identities<'_>, fit: Fit) -> Option<String> {
    let owner = || Pieces::of(rule, identities).owner().filter(|_| fit == Fit::Usual);
    other_program(rule, identities).or_else(|| named_like_another(rule, owner()))
}

/// If a word can name another program, why the Service is the product.
fn outweighed(rule: &Rule, identities: &Identities<'_>, assessment: &Assessment<'_>, port: &PortView) -> String {
    let pieces = Pieces::of(rule, identities);
    match pieces.other_program(rule, identities.view).filter(|_| matches!(assessment.basis, Basis::Mention)) {
        Some((_, word)) => format!(
            "The Service is recognised as {} although `{word}` can be the name of another program, because {} has the \
             number and the name of a {} port. ",
            rule.product,
            describe_port(port),
            rule.product
        ),
        None => String::new(),
    }
}

fn named_like_another(rule: &Rule, word: Option<(&Identity<'_>, &str)>) -> Option<String> {
    let (identity, word) = word?;
    let product = rule.product;
    let advice = for_another_program(rule);
    Some(format!(
        "Because of `{word}`, {identity} can be the name of another program that is used with {product}. {advice}"
    ))
}

/// What to do with a Service that is probably another program.
fn for_another_program(rule: &Rule) -> String {
    format!(
        "If it is another program, no action is needed; the annotation kubernaut.io/toolset=disabled excludes the Service. If it is {} itself, label it with {}.",
        rule.product,
        labels(rule)
    )
}

/// Why the evidence is not enough.
fn not_enough(rule: &Rule, identities: &Identities<'_>, fit: Fit, port: &PortView) -> String {
    let mut pieces = Pieces::of(rule, identities).in_words();
    let port_text = describe_port(port);
    match (identities.pods_of_another(rule.product), fit) {
        (Some(pods), _) => format!("{pods} selects the Pods of another program, {}.", pods.value),
        (None, Fit::Own | Fit::Typical) => {
            pieces.push(port_text);
            format!("The only evidence is {}.", joined(&pieces))
        }
        (None, _) => {
            let verb = if pieces.len() == 1 { "mentions" } else { "mention" };
            format!("Only {} {verb} {}, and other programs can also have {port_text}.", joined(&pieces), rule.product)
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

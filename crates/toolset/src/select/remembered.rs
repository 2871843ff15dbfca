//! What only Pods or an identity probe show of a Service, and how its entry keeps that while they are not known.

use crd_types::ServiceReason;
use detectors::{Confidence, Product, Protocol, ServiceKey, ServiceView, Target};

use super::{
    annotation::Annotations,
    claim::{Claim, ClaimOutcome, Origin},
};
use crate::endpoint::Endpoint;

/// Which parts of an entry come from Pods or from an identity probe, so the Service alone does not show them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Parts {
    /// The product, or how sure it is, or that the Service is an endpoint at all.
    pub product: bool,
    /// The port.
    pub port: bool,
    /// The scheme.
    pub scheme: bool,
    /// The path.
    pub path: bool,
}

impl Parts {
    /// No part.
    pub const NOTHING: Self = Self { product: false, port: false, scheme: false, path: false };

    /// Whether there is one.
    pub fn is_any(self) -> bool {
        self != Self::NOTHING
    }

    /// The parts of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            product: self.product || other.product,
            port: self.port || other.port,
            scheme: self.scheme || other.scheme,
            path: self.path || other.path,
        }
    }

    /// What a claim with Pods has that the one without them does not have.
    pub(super) fn between(without: Option<&Claim>, with: &Claim) -> Self {
        let ClaimOutcome::Target(target) = &with.outcome else { return Self::NOTHING };
        let without = without.filter(|claim| claim.product == with.product);
        let Some((claim, ClaimOutcome::Target(own))) = without.map(|claim| (claim, &claim.outcome)) else {
            return Self { product: true, port: true, scheme: true, path: true };
        };
        Self {
            product: claim.confidence < with.confidence,
            port: own.port != target.port,
            scheme: claim.assumed.scheme && !with.assumed.scheme,
            path: claim.assumed.path && !with.assumed.path,
        }
    }

    /// The parts that a status lists. A name of a newer version is ignored.
    pub(crate) fn listed(names: &[String]) -> Self {
        let has = |name: &str| names.iter().any(|one| one == name);
        Self { product: has("Product"), port: has("Port"), scheme: has("Scheme"), path: has("Path") }
    }

    /// The names of the parts, as a status lists them.
    pub(crate) fn names(self) -> Vec<String> {
        let Self { product, port, scheme, path } = self;
        let all = [(product, "Product"), (port, "Port"), (scheme, "Scheme"), (path, "Path")];
        all.into_iter().filter(|(shown, _)| *shown).map(|(_, name)| name.to_owned()).collect()
    }
}

/// What is remembered of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// It is in the output.
    Tool(RememberedTool),
    /// Its response to an identity probe was that of another program.
    Denied(Denial),
}

impl Remembered {
    /// How it is in the output.
    pub fn tool(&self) -> Option<&RememberedTool> {
        match self {
            Self::Tool(tool) => Some(tool),
            Self::Denied(_) => None,
        }
    }

    /// How it was denied.
    pub fn denial(&self) -> Option<&Denial> {
        match self {
            Self::Denied(denial) => Some(denial),
            Self::Tool(_) => None,
        }
    }
}

/// That a Service is not the product that the rules take it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The product.
    pub product: Product,
    /// The message of its rejection.
    pub message: String,
}

/// How a Service is in the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedTool {
    /// The product.
    pub product: Product,
    /// Where it is called.
    pub endpoint: Endpoint,
    /// How sure the recognition was.
    pub confidence: Confidence,
    /// Which of this comes from its Pods. The rest is not kept.
    pub from_pods: Parts,
    /// Which of this comes from an identity probe.
    pub from_identity: Parts,
    /// What was asked about its identity and the class of the answer, for people.
    pub identity: String,
}

/// Reads what is remembered of a Service.
pub type Memory<'a> = &'a dyn Fn(&ServiceKey) -> Option<Remembered>;

/// The claim with what only Pods can show, as the output has it. Everything that the Service shows or somebody states
/// stays. `None` if nothing of it applies, else also which parts are kept.
pub(crate) fn applied(
    claim: &Claim,
    view: &ServiceView,
    stated: &Annotations,
    remembered: &RememberedTool,
    parts: Parts,
) -> Option<(Claim, Parts)> {
    let (mut claim, mut kept) = (claim.clone(), parts);
    kept.scheme &= stated.scheme.is_none();
    kept.path &= stated.path.is_none();
    let Endpoint { scheme, port, path, .. } = &remembered.endpoint;
    let is_declared = view.ports.iter().any(|one| one.port == *port && one.protocol == Protocol::Tcp);
    let same = claim.product == remembered.product;
    let by_rules = claim.origin == Origin::Rules && claim.confidence < Confidence::High;
    let may_choose_port = !matches!(claim.origin, Origin::Signature(_)) && stated.port.is_none();
    match &mut claim.outcome {
        // Where the port does not come from Pods, an override can have changed it.
        ClaimOutcome::Target(target) if same && (target.port == *port || !kept.port) => {
            kept.port = false;
            kept.product &= claim.confidence < remembered.confidence;
            kept.scheme &= claim.assumed.scheme;
            kept.path &= claim.assumed.path;
            if kept.scheme {
                target.scheme = *scheme;
            }
            if kept.path {
                target.path = path.clone().into();
            }
        }
        ClaimOutcome::Target(target) if same && kept.port && is_declared && may_choose_port => {
            target.port = *port;
            target.scheme = stated.scheme.unwrap_or(*scheme);
            target.path = stated.path.clone().unwrap_or_else(|| path.clone()).into();
        }
        ClaimOutcome::Target(_)
        | ClaimOutcome::Rejected { reason: ServiceReason::NotAnEndpoint | ServiceReason::NoUsablePort, .. }
            if kept.product && by_rules && is_declared && may_choose_port =>
        {
            claim.product = remembered.product;
            let path = stated.path.clone().unwrap_or_else(|| path.clone());
            let target = Target { port: *port, scheme: stated.scheme.unwrap_or(*scheme), path: path.into() };
            claim.outcome = ClaimOutcome::Target(target);
        }
        _ => return None,
    }
    if kept.product {
        claim.confidence = claim.confidence.max(remembered.confidence);
    }
    kept.is_any().then_some((claim, kept))
}

#[cfg(test)]
mod tests {
    use detectors::{Scheme, ServiceKey};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        DEFAULT_CLUSTER_DOMAIN, Endpoint,
        fixtures::{annotated, grafana, index, trusting_monitoring},
        pipeline,
    };

    const ALL: Parts = Parts { product: true, port: true, scheme: true, path: true };

    fn remembered(product: Product, port: u16, from_pods: Parts) -> RememberedTool {
        let key = ServiceKey::new("monitoring", "g");
        let endpoint = Endpoint::of_service(&key, Scheme::Https, port, "/kept", DEFAULT_CLUSTER_DOMAIN).unwrap();
        let (confidence, from_identity, identity) = (Confidence::High, Parts::NOTHING, String::new());
        RememberedTool { product, endpoint, confidence, from_pods, from_identity, identity }
    }

    /// The endpoint of the only tool, without its host, and which parts come from Pods.
    fn planned(view: ServiceView, remembered: &RememberedTool) -> (String, Parts) {
        let outcome = pipeline::run(pipeline::Input {
            config: &trusting_monitoring(),
            cluster_domain: DEFAULT_CLUSTER_DOMAIN,
            index: &index([view]),
            admits: None,
            remembered: Some(&|_| Some(Remembered::Tool(remembered.clone()))),
            health: pipeline::HealthInput::Unobserved,
            legacy_overrides: None,
            base: None,
            previous: None,
        });
        let tool = &outcome.plan.tools[0];
        (format!("{}://:{}{}", tool.endpoint.scheme, tool.endpoint.port, tool.endpoint.path), tool.from_pods)
    }

    #[test]
    fn an_entry_keeps_the_parts_that_come_from_pods_and_no_others() {
        let path = Parts { path: true, ..Parts::NOTHING };
        let grafana = || grafana("monitoring", "g");
        assert_eq!(planned(grafana(), &remembered(Product::Grafana, 80, path)), ("http://:80/kept".to_owned(), path));
        let kept = Parts { scheme: true, path: true, ..Parts::NOTHING };
        assert_eq!(planned(grafana(), &remembered(Product::Grafana, 80, ALL)), ("https://:80/kept".to_owned(), kept));
        let other = planned(grafana(), &remembered(Product::Grafana, 81, ALL));
        assert_eq!(other, ("http://:80".to_owned(), Parts::NOTHING), "the Service does not declare that port");
        let product = planned(grafana(), &remembered(Product::Loki, 80, ALL));
        assert_eq!(product, ("http://:80".to_owned(), Parts::NOTHING), "the Service shows its product");
    }

    #[test]
    fn a_path_is_kept_where_an_override_chose_the_port() {
        let path = Parts { path: true, ..Parts::NOTHING };
        let kept = planned(grafana("monitoring", "g"), &remembered(Product::Grafana, 8081, path));
        assert_eq!(kept, ("http://:80/kept".to_owned(), path));
    }

    #[test]
    fn what_somebody_states_is_not_kept() {
        let stated = [("kubernaut.io/toolset-path", "/stated"), ("kubernaut.io/toolset-scheme", "http")];
        let view = annotated(grafana("monitoring", "g"), &stated);
        let as_stated = ("http://:80/stated".to_owned(), Parts::NOTHING);
        assert_eq!(planned(view, &remembered(Product::Grafana, 80, ALL)), as_stated);
    }

    proptest! {
        #[test]
        fn the_names_of_the_parts_are_read_back(
            (product, port, scheme, path) in any::<(bool, bool, bool, bool)>(),
        ) {
            let parts = Parts { product, port, scheme, path };
            prop_assert_eq!(Parts::listed(&parts.names()), parts);
        }
    }
}

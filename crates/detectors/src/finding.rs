//! What a detector finds in a Service.

use std::borrow::Cow;

use crate::{
    product::{Confidence, Product, Scheme},
    view::ServiceKey,
};

/// The port, scheme and path to call on a Service. The host follows from the Service's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A TCP port that the Service declares.
    pub port: u16,
    /// `https` only if the Service shows it.
    pub scheme: Scheme,
    /// `""`, or an absolute path without a trailing slash, e.g. `/prometheus`.
    pub path: Cow<'static, str>,
}

/// What a Service that a detector recognised is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answers queries here.
    Endpoint(Target),
    /// It is the product's, in a role that answers no queries: an exporter, a write path, a gossip port.
    NotAnEndpoint {
        /// The role as text, e.g. `"distributor"` or `"the operator's own Service"`.
        role: Cow<'static, str>,
    },
    /// The product and the role match, but no port does.
    NoUsablePort,
}

/// The part of a Service that a piece of evidence comes from.
///
/// Non-exhaustive, so that evidence from elsewhere can be added without a change to the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EvidenceKind {
    /// A label with a defined meaning: `app.kubernetes.io/name`, or an operator's own.
    Label,
    /// A label under a legacy key: `app`, `k8s-app`, `name`, `io.kompose.service`, ….
    LegacyLabel,
    /// The selector.
    Selector,
    /// Whole words of the Service's name.
    Name,
    /// The name of a port.
    PortName,
    /// The number of a port or of a target port.
    PortNumber,
    /// `appProtocol` of a port.
    AppProtocol,
    /// An annotation that is not this project's.
    Annotation,
    /// `clusterIP`.
    ClusterIP,
    /// The image of the container that a port leads to.
    Image,
    /// An argument of that container.
    Argument,
    /// A variable of that container.
    Environment,
    /// A probe of that container.
    Probe,
    /// The answer to a request that tells the product.
    Answer,
}

/// One piece of evidence, for or against a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it comes from.
    pub kind: EvidenceKind,
    /// Whether it supports that the Service is an endpoint of the product, or contradicts it.
    pub supports: bool,
    /// The evidence as text, e.g. `label app.kubernetes.io/name=grafana`.
    pub detail: Cow<'static, str>,
}

/// The rank of an instance among the instances of one product. Smaller ranks are preferred. The fields are in the order
/// in which they count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// Whether it belongs to another product (linkerd-viz, kubecost) and has only that product's data.
    pub bundled: bool,
    /// 0 for a single binary or the preferred endpoint of a distributed install, such as a gateway. Higher for
    /// components behind it.
    pub tier: u8,
}

/// What a product asks of its clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Auth {
    /// Anybody is let in.
    None,
    /// A user and a password.
    Basic,
    /// A bearer token.
    Bearer,
    /// The name of a tenant in `X-Scope-OrgID`.
    Tenant,
    /// Nothing is known.
    #[default]
    Unknown,
}

/// Which parts of a target nothing proves. They are the usual ones of the product.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Assumed {
    /// The scheme.
    pub scheme: bool,
    /// The path.
    pub path: bool,
    /// The authentication.
    pub auth: bool,
}

impl Assumed {
    /// Nothing is assumed.
    pub const NOTHING: Self = Self { scheme: false, path: false, auth: false };

    /// Whether something is assumed.
    pub fn is_any(self) -> bool {
        self != Self::NOTHING
    }
}

/// What one detector finds in a Service that it recognises with a confidence of at least [`Confidence::Low`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The product.
    pub product: Product,
    /// How sure it is.
    pub confidence: Confidence,
    /// What the Service is.
    pub outcome: Outcome,
    /// The rank among the endpoints of this product.
    pub rank: Rank,
    /// What a person can do to make the finding certain or to change it. `None` for an endpoint with the confidence
    /// High.
    pub hint: Option<Cow<'static, str>>,
    /// What an endpoint asks of its clients, as far as it is known or usual.
    pub auth: Auth,
    /// Which parts of an endpoint are assumed.
    pub assumed: Assumed,
    /// The evidence that decided, as text for people, e.g. `label app.kubernetes.io/name=grafana`.
    pub decided_by: Cow<'static, str>,
    /// Whether the number or the name of a port is all that suggests the product. Such a Service is no more than a place
    /// to look at, and its owner is not told about it.
    pub by_port_alone: bool,
}

impl Finding {
    /// Whether Pods can add something: the product is not certain, or a part of the endpoint is assumed.
    pub fn is_open(&self) -> bool {
        self.confidence < Confidence::High || matches!(self.outcome, Outcome::Endpoint(_)) && self.assumed.is_any()
    }
}

/// The result of one detector for a Service, for people. It exists also if the detector finds nothing.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The detector.
    pub product: Product,
    /// What it finds, if it recognises the Service.
    pub finding: Option<Finding>,
    /// The evidence for and against, also if it is not sufficient. The strongest comes first.
    pub evidence: Vec<Evidence>,
    /// What a person can do to change the result.
    pub hint: String,
}

/// An endpoint that is not used, because another Service is preferred.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// The Service that is used instead.
    pub by: ServiceKey,
    /// Why it is preferred.
    pub because: DisplacedBecause,
}

/// Why another Service is preferred to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisplacedBecause {
    /// The endpoint is headless, and the other Service has a cluster IP for the same Pods.
    HeadlessTwin,
    /// The other Service is the preferred endpoint of the same install: the gateway, not a component; the query
    /// Service, not an alternate for the same Pods.
    PreferredEndpoint,
}

//! What a detector says of one Service.

use std::borrow::Cow;

use crate::{Confidence, Product, Scheme, ServiceKey};

/// The port, scheme and path to call on a Service. The host is never part of it: it follows from the Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// A port number that the Service declares, TCP.
    pub port: u16,
    /// From evidence in the Service; `http` where nothing speaks for TLS.
    pub scheme: Scheme,
    /// `""` or an absolute path without a trailing slash, e.g. `/prometheus`.
    pub path: Cow<'static, str>,
}

/// What a detector concluded about a Service that it recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Here it answers queries.
    Endpoint(Target),
    /// The product's, but a role that answers no queries: an exporter, a write path, a gossip port.
    NotAnEndpoint {
        /// The role in words, e.g. `"distributor"` or `"the operator's fallback Service"`.
        role: Cow<'static, str>,
    },
    /// The product and the role fit, but no port does.
    NoUsablePort,
}

/// Which part of a Service a piece of evidence was read from.
///
/// Non-exhaustive on purpose: evidence from elsewhere (the image of a backing Pod, the answer of an identity probe) joins
/// here without changing the shape of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum EvidenceKind {
    /// A label with a defined meaning (`app.kubernetes.io/name`, an operator's own).
    Label,
    /// A label under a legacy key (`app`, `k8s-app`, `name`, `io.kompose.service`, …).
    LegacyLabel,
    /// The Service's selector.
    Selector,
    /// Whole words of the Service's name.
    Name,
    /// The name of a port.
    PortName,
    /// The number of a port or target port.
    PortNumber,
    /// `appProtocol`.
    AppProtocol,
    /// An annotation that is not ours.
    Annotation,
    /// The Service's kind: headless, `ExternalName`, no selector.
    Shape,
}

/// One piece of evidence, for or against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Where it stands.
    pub kind: EvidenceKind,
    /// Whether it speaks for the product (or against it).
    pub supports: bool,
    /// In words, e.g. `label app.kubernetes.io/name=grafana`.
    pub detail: Cow<'static, str>,
}

/// Where an instance stands among the instances of one product; smaller is preferred.
///
/// Derives the order: scope first, then the entry point's tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// Whether it belongs to another product's bundle (linkerd-viz, kubecost) and sees only that product's data.
    pub bundled: bool,
    /// 0 for the entry point of a distributed install (gateway) or a single binary, higher for parts behind it.
    pub tier: u8,
}

/// What one detector says of one Service that it recognised with at least [`Confidence::Low`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which product.
    pub product: Product,
    /// How sure.
    pub confidence: Confidence,
    /// What follows.
    pub outcome: Outcome,
    /// For ranking among the endpoints of this product.
    pub rank: Rank,
    /// What it rests on, strongest first.
    pub evidence: Vec<Evidence>,
    /// What would settle it where the confidence is not High, or what would change the verdict; in words.
    pub hint: Option<Cow<'static, str>>,
}

/// Why the second stage set an endpoint aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisplacedBecause {
    /// Headless, and a Service with a cluster IP stands over the same pods.
    HeadlessTwin,
    /// Another Service of the same install is the preferred endpoint: the gateway before a component, the query Service before an
    /// alternate over the same pods.
    PreferredEndpoint,
}

/// An endpoint that the second stage set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Displaced {
    /// The Service that is taken instead.
    pub by: ServiceKey,
    /// Why.
    pub because: DisplacedBecause,
}

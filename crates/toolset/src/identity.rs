//! The question of an identity probe, and what the responses of a Service prove.

use crd_types::{IdentityMode, ToolsetConfig, Trust};
use detectors::{Assumed, Product, Scheme, ServiceKey, Target};

/// The question of an identity probe: is the Service this product?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityQuestion {
    /// The Service.
    pub key: ServiceKey,
    /// The product that the Service seems to be.
    pub product: Product,
    /// The endpoint at which the product would be called.
    pub target: Target,
    /// Which parts of the endpoint are assumed. A response can change these parts.
    pub assumed: Assumed,
    /// A hash of everything that determines which Pods respond: the uid, the selector and the ports of the Service.
    pub selects: u64,
}

/// The parts of the endpoint that are not assumed. A response about another endpoint does not answer the question.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stated {
    scheme: Option<Scheme>,
    path: Option<String>,
}

impl IdentityQuestion {
    /// The parts of the endpoint that are not assumed.
    pub fn stated(&self) -> Stated {
        Stated {
            scheme: (!self.assumed.scheme).then_some(self.target.scheme),
            path: (!self.assumed.path).then(|| self.target.path.to_string()),
        }
    }
}

/// What the responses of a Service prove. It contains no text of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityEvidence {
    /// The product of the question.
    pub product: Product,
    /// The port of the Service, as in the question.
    pub port: u16,
    /// The other parts of the endpoint that the question states.
    pub stated: Stated,
    /// What the responses prove about the product.
    pub verdict: IdentityVerdict,
    /// The scheme, if a response proves it.
    pub scheme: Option<Scheme>,
    /// The path, if the product was confirmed below it.
    pub path: Option<String>,
    /// A text for people: the requests and the class of the decisive response, or why no request was sent.
    pub said: String,
}

impl IdentityEvidence {
    /// The evidence if the Service must not be probed. The reason is text that follows "because".
    pub fn not_asked(question: &IdentityQuestion, because: &str) -> Self {
        Self {
            product: question.product,
            port: question.target.port,
            stated: question.stated(),
            verdict: IdentityVerdict::NotProbed,
            scheme: None,
            path: None,
            said: format!("not sent, because {because}"),
        }
    }

    /// Whether neither the product nor the scheme is proved.
    pub fn shows_nothing(&self) -> bool {
        self.verdict.proves_nothing() && self.scheme.is_none()
    }
}

/// What the responses prove about a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityVerdict {
    /// The Service is the product.
    Confirmed,
    /// The Service is another program.
    Denied {
        /// The name of that program.
        is: &'static str,
    },
    /// The responses prove nothing.
    Unknown,
    /// There were only failures: no connection, no response in time, 429 or 5xx.
    Silent,
    /// No request was sent.
    NotProbed,
}

impl IdentityVerdict {
    /// Whether nothing is proved about the product.
    pub fn proves_nothing(self) -> bool {
        self == Self::Unknown || self.is_silent()
    }

    /// Whether there were only failures, or no requests.
    pub fn is_silent(self) -> bool {
        matches!(self, Self::Silent | Self::NotProbed)
    }
}

/// Whether the `ToolsetConfig` enables identity probes for Services of sources with this trust.
pub fn counts(config: &ToolsetConfig, trust: Trust) -> bool {
    config.spec.evidence.identity == IdentityMode::Probe && trust == Trust::Trusted
}

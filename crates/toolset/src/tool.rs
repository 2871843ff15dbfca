//! A tool, which is one thing that the agent can query, with everything that the formats need.

use crd_types::{Credentials, Reason, ServiceReason, Settings, Trust};
use detectors::{Assumed, Auth, Confidence, Product, Rank, ServiceKey};

use crate::{
    endpoint::Endpoint,
    health::Health,
    select::{claim::Origin, remembered::Parts},
};

/// One tool of the plan.
#[derive(Clone, Debug)]
pub struct Tool {
    /// The Service; `None` for a tool from `spec.tools`.
    pub key: Option<ServiceKey>,
    /// When the Service was created, in seconds since 1970.
    pub created: i64,
    /// The name in the status and in `toolset.json`: the chosen name, else the Service's, made unique.
    pub name: String,
    /// The name somebody chose (`toolName`, `toolset-name`, or the name in `spec.tools`), if it is still free.
    pub chosen_name: Option<String>,
    /// The name in `spec.tools`, whether or not it is free. `None` for a Service.
    pub stated_name: Option<String>,
    /// The product whose API it serves.
    pub product: Product,
    /// The user's name for a `Custom` one.
    pub custom: Option<String>,
    /// How far its source is trusted; `spec.tools` are Trusted.
    pub trust: Trust,
    /// The source's name; empty for `spec.tools`.
    pub source: String,
    /// What recognised it; `None` for `spec.tools`.
    pub origin: Option<Origin>,
    /// Where it is called.
    pub endpoint: Endpoint,
    /// How sure the recognition is.
    pub confidence: Confidence,
    /// The evidence that decided, as text for people. Empty for `spec.tools`.
    pub decided_by: String,
    /// What the endpoint asks of its clients, as far as it is known or usual.
    pub auth: Auth,
    /// Which parts of the endpoint are assumed.
    pub assumed: Assumed,
    /// Which parts of it come from the Pods of its Service.
    pub from_pods: Parts,
    /// Which parts of it come from an identity probe.
    pub from_identity: Parts,
    /// What was asked about its identity and the class of the answer, for people. Empty if nothing was asked.
    pub identity: String,
    /// Where it ranks among the instances of its product.
    pub precedence: Precedence,
    /// Its health, as far as known.
    pub health: Health,
    /// `Selected`, or what its owner should know although it is a tool.
    pub reason: ServiceReason,
    /// What its owner should know about its health probes, as a sentence. Empty if they succeed.
    pub probe: String,
    /// A path to probe, if somebody named one.
    pub health_path: Option<String>,
    /// From an override or `spec.tools`; else a fixed text is used.
    pub description: Option<String>,
    /// From a signature, an override or `spec.tools`; else a fixed text is used.
    pub instructions: Option<String>,
    /// How the agent authenticates; never set for a Tenant.
    pub credentials: Option<Credentials>,
    /// `X-Scope-OrgID`.
    pub tenant_id: Option<String>,
    /// How the agent calls it.
    pub settings: Settings,
}

impl Tool {
    /// The type as the status writes it: the detector type, or the user's name for a `Custom` one.
    pub fn type_name(&self) -> &str {
        match (&self.custom, self.product) {
            (Some(custom), Product::Custom) => custom,
            (_, product) => product.as_str(),
        }
    }

    /// The object that it comes from, for messages: `Service monitoring/grafana`, or `tool corp` for one from
    /// `spec.tools`.
    pub fn object_in_words(&self) -> String {
        let words = self.origin_in_words();
        if self.key.is_some() { format!("Service {words}") } else { words }
    }

    /// Where it comes from, for messages: `monitoring/grafana`, or `tool corp` for one from `spec.tools`.
    pub fn origin_in_words(&self) -> String {
        let name = if self.name.is_empty() { self.chosen_name.as_deref().unwrap_or_default() } else { &self.name };
        self.key.as_ref().map_or_else(|| format!("tool {name}"), ToString::to_string)
    }
}

/// Where an instance ranks among those of its product. Its namespace and name decide between equals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    /// Whether its source is Tenant.
    pub tenant: bool,
    /// Its place under `preferred`. The greatest number if it is not there.
    pub preferred: usize,
    /// The rank that its detector gives it.
    pub rank: Rank,
}

/// A candidate that did not become a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The Service.
    pub key: ServiceKey,
    /// What it would have been. `None` if only a malformed annotation is known.
    pub product: Option<Product>,
    /// The user's name for a `Custom` one.
    pub custom: Option<String>,
    /// How far its source is trusted.
    pub trust: Trust,
    /// The stable reason.
    pub reason: ServiceReason,
    /// Why, and what would change it.
    pub message: String,
    /// Whether there is no Event for the Service. There is none if only the number or the name of a port suggests the
    /// product, or if the Service only waits for its first probes.
    pub is_untold: bool,
}

impl Rejection {
    /// The rejection of a tool. `None` for one from `spec.tools`, which is no candidate.
    pub fn of(tool: &Tool, reason: ServiceReason, message: impl Into<String>) -> Option<Self> {
        Some(Self {
            key: tool.key.clone()?,
            product: Some(tool.product),
            custom: tool.custom.clone(),
            trust: tool.trust,
            reason,
            message: message.into(),
            is_untold: false,
        })
    }

    /// Whether it would be a tool if it were healthy.
    pub fn is_withheld(&self) -> bool {
        matches!(self.reason, ServiceReason::Unhealthy | ServiceReason::Unreachable | ServiceReason::ProbeSuspect)
    }

    /// The type as the status writes it; empty if unknown.
    pub fn type_name(&self) -> &str {
        match (&self.custom, self.product) {
            (Some(custom), Some(Product::Custom)) => custom,
            (_, product) => product.map_or("", Product::as_str),
        }
    }
}

/// Something about the `ToolsetConfig` as a whole that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The stable reason.
    pub reason: Reason,
    /// Which entry of the spec, what is wrong and what to do.
    pub message: String,
}

impl Note {
    /// A note.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

//! The requests of a health probe, and what follows from the responses.

use std::{borrow::Cow, collections::BTreeMap};

use crd_types::{HealthEffect, ServiceReason, Trust};
use detectors::{
    Product, Scheme, ServiceKey,
    probe::{Class, health_paths},
};

use super::{Health, ToolHealth, Withheld};
use crate::{plan::limits, tool::Tool};

/// The most Services of Trusted sources that are probed for one `ToolsetConfig`.
const MAX_TRUSTED: usize = 500;
/// The most Services of Tenant sources that are probed. It is twice the number that can be tools, because some of them
/// may be unhealthy.
const MAX_TENANTS: usize = 2 * limits::IN_ALL;
/// The same for one namespace.
const MAX_TENANTS_PER_NAMESPACE: usize = 2 * limits::PER_NAMESPACE;

/// A tool whose health is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthTarget {
    /// Its Service.
    pub key: ServiceKey,
    /// Its product, for the metrics.
    pub product: Product,
    /// How far its source is trusted.
    pub trust: Trust,
    /// When the Service was created, in seconds since 1970.
    created: i64,
    /// What to ask.
    pub ask: Result<HealthAsk, NotAsked>,
}

/// Why a tool is not probed, although its addresses might be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAsked {
    /// Its type has no health path, and none is set.
    NoPath,
    /// Too many Services are probed.
    TooMany,
}

impl NotAsked {
    /// The reason as text that follows "because".
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoPath => {
                "its type has no health path; set the annotation kubernaut.io/toolset-health-path, or healthPath in a \
                 signature"
            }
            Self::TooMany => "the maximum number of probed Services is reached; let the sources select fewer Services",
        }
    }
}

/// What a health probe asks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HealthAsk {
    /// The scheme of the endpoint.
    pub scheme: Scheme,
    /// The port of the Service.
    pub port: u16,
    /// The paths, each with a leading slash. If one is not found, the next one is asked.
    pub paths: Vec<String>,
}

impl HealthTarget {
    /// A target for a Service that is not a tool of a plan.
    pub fn new(key: ServiceKey, product: Product, trust: Trust, ask: Result<HealthAsk, NotAsked>) -> Self {
        Self { key, product, trust, created: 0, ask }
    }

    /// The target of a tool. `None` for a tool without a Service.
    ///
    /// A stated path is used instead of the product's own. The owner of a Tenant's Service can state only a path below
    /// the path of the endpoint.
    pub(crate) fn of(tool: &Tool) -> Option<Self> {
        let endpoint = &tool.endpoint;
        let is_below = |path: &str| {
            let rest = path.strip_prefix(endpoint.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let stated = tool.health_path.clone().filter(|path| tool.trust == Trust::Trusted || is_below(path));
        // A GET opens a stream of an MCP server.
        let stated = stated.filter(|_| tool.product != Product::MCP);
        let paths = stated.map_or_else(|| health_paths(tool.product, &endpoint.path), |path| vec![path]);
        let ask = HealthAsk { scheme: endpoint.scheme, port: endpoint.port, paths };
        let ask = if ask.paths.is_empty() { Err(NotAsked::NoPath) } else { Ok(ask) };
        Some(Self { key: tool.key.clone()?, product: tool.product, trust: tool.trust, created: tool.created, ask })
    }

    /// Limits how many are asked. Older Services keep their places, so a flood of new ones changes nothing for them.
    pub(crate) fn limit(targets: &mut [Self]) {
        targets.sort_by(|a, b| (a.trust, a.created, &a.key).cmp(&(b.trust, b.created, &b.key)));
        let (mut trusted, mut tenants) = (0, 0);
        let mut of_namespace: BTreeMap<String, usize> = BTreeMap::new();
        for target in targets.iter_mut().filter(|target| target.ask.is_ok()) {
            let has_room = match target.trust {
                Trust::Trusted => {
                    trusted += 1;
                    trusted <= MAX_TRUSTED
                }
                Trust::Tenant => {
                    let count = of_namespace.entry(target.key.namespace.to_string()).or_default();
                    let has_room = *count < MAX_TENANTS_PER_NAMESPACE && tenants < MAX_TENANTS;
                    *count += usize::from(has_room);
                    tenants += usize::from(has_room);
                    has_room
                }
            };
            if !has_room {
                target.ask = Err(NotAsked::TooMany);
            }
        }
    }
}

/// What the probes of a Service show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// It is not probed, so its readiness decides.
    NotAllowed {
        /// Why, as text that follows "because".
        why: Cow<'static, str>,
    },
    /// No probe has ended yet.
    Pending,
    /// No threshold has been reached yet.
    Undecided {
        /// The last probe, if it failed.
        failure: Option<ProbeFailure>,
    },
    /// It responds.
    Up,
    /// It does not respond.
    Down(ProbeFailure),
    /// It cannot be reached, but too few other Services can be reached to be sure that this is its own fault.
    Suspect(ProbeFailure),
}

/// A probe that failed. It contains only the class of the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// The request, e.g. `GET /-/ready on port 9090 (http)`.
    pub asked: String,
    /// The class of the response.
    pub class: Class,
    /// Whether there was no connection.
    pub is_unreachable: bool,
}

/// What the owner of a tool should know about its probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRemark {
    /// The stable reason.
    pub reason: ServiceReason,
    /// A sentence.
    pub message: String,
}

/// The health of a tool whose endpoints are ready, before the grace period.
pub(super) fn judged(probed: &Probed, spec: &crd_types::Health, is_in_output: impl FnOnce() -> bool) -> ToolHealth {
    let health = match probed {
        Probed::NotAllowed { .. } | Probed::Up => Health::Healthy,
        Probed::Pending | Probed::Undecided { .. } | Probed::Suspect(_) => Health::Unknown,
        Probed::Down(_) => Health::Unhealthy,
    };
    let waits = health == Health::Unknown && spec.effect == HealthEffect::Withhold && !is_in_output();
    // What is in the output and has not failed often enough is no news.
    let is_news = waits || !matches!(probed, Probed::Pending | Probed::Undecided { .. });
    let probe = remark(probed, spec).filter(|_| is_news);
    ToolHealth { health, withheld: waits.then_some(Withheld::Unprobed), probe }
}

fn remark(probed: &Probed, spec: &crd_types::Health) -> Option<ProbeRemark> {
    let successes = spec.probe.clone().unwrap_or_default().success_threshold;
    let again =
        if successes == 1 { "a probe succeeds".to_owned() } else { format!("{successes} probes in a row succeed") };
    let (reason, message) = match probed {
        Probed::Up => return None,
        Probed::NotAllowed { why } => (
            ServiceReason::ProbeNotAllowed,
            format!(
                "The operator does not probe this Service, because {why}. The readiness of its endpoints determines \
                 its health."
            ),
        ),
        Probed::Pending => (
            ServiceReason::Unhealthy,
            format!(
                "The operator has not probed this Service yet. The tool is added to the ConfigMap as soon as {again}."
            ),
        ),
        Probed::Undecided { failure: None } => (
            ServiceReason::Unhealthy,
            format!(
                "Too few probes of this Service have succeeded. The tool is added to the ConfigMap as soon as {again}."
            ),
        ),
        Probed::Undecided { failure: Some(failure) } => (
            ServiceReason::Unhealthy,
            format!("The health probe {failure}. The tool is added to the ConfigMap as soon as {again}."),
        ),
        Probed::Down(failure) if failure.is_unreachable => (
            ServiceReason::Unreachable,
            format!(
                "The endpoints of this Service are ready, but the operator cannot reach them: {failure}. It can reach \
                 other Services. Allow the operator in the NetworkPolicies of the Service's namespace. If a service \
                 mesh requires mutual TLS, set health.mode to Endpoints."
            ),
        ),
        Probed::Down(failure) => (
            ServiceReason::Unhealthy,
            format!(
                "The endpoints of this Service are ready, but the health probe {failure}. Check the Pods. If the path \
                 is wrong, set the annotation kubernaut.io/toolset-health-path."
            ),
        ),
        Probed::Suspect(failure) => (
            ServiceReason::ProbeSuspect,
            format!(
                "The health probe {failure}. Too few other Services can be reached, so the operator's own network may \
                 be the cause. The tool stays as it is. Check the NetworkPolicies of the operator and of the Service's \
                 namespace."
            ),
        ),
    };
    Some(ProbeRemark { reason, message })
}

impl std::fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} failed ({})", self.asked, self.class)
    }
}

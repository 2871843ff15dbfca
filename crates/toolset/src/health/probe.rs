//! What a health probe requests, and what follows from the responses.

use std::{borrow::Cow, fmt};

use crd_types::{HealthEffect, ServiceReason};
use detectors::{Scheme, probe::Class};

use super::{Health, ToolHealth, Withheld};

/// The requests of a health probe.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HealthAsk {
    /// The scheme of the endpoint.
    pub scheme: Scheme,
    /// The port of the Service.
    pub port: u16,
    /// The paths, each with a leading slash. If a path is not found, the probe requests the next one.
    pub paths: Vec<String>,
}

/// What the probes of a Service show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probed {
    /// The Service is not probed. The readiness of its endpoints determines its health.
    NotAllowed {
        /// The reason, as text that follows "because".
        why: Cow<'static, str>,
    },
    /// No probe has ended yet.
    Pending {
        /// Why no probe has ended, as text that follows "because". `None` if this is not known.
        why: Option<Cow<'static, str>>,
    },
    /// Neither threshold has been reached yet.
    Undecided {
        /// The last probe, if it failed.
        failure: Option<ProbeFailure>,
    },
    /// The Service responds.
    Up,
    /// The probes of the Service fail.
    Down(ProbeFailure),
    /// The operator cannot reach the Service. It reaches too few other Services to be sure that its own network works.
    Suspect(ProbeFailure),
}

impl Probed {
    /// No probe has ended yet, and no reason is known.
    pub const PENDING: Self = Self::Pending { why: None };
}

/// A failed probe. Of the response, only the class is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeFailure {
    /// The request, e.g. `GET /-/ready on port 9090 (http)`.
    pub asked: String,
    /// Why it failed.
    pub why: ProbeFailureReason,
}

/// Why a probe failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeFailureReason {
    /// The class of the response.
    Answer(Class),
    /// The serving endpoints do not have the port of the tool, so there was no request.
    NoPort,
}

impl ProbeFailure {
    /// Whether no connection could be opened.
    pub fn is_unreachable(&self) -> bool {
        self.why == ProbeFailureReason::Answer(Class::Unreachable)
    }

    /// Whether the connection was closed without a response.
    pub fn is_reset(&self) -> bool {
        self.why == ProbeFailureReason::Answer(Class::Reset)
    }
}

/// What the owner of a tool should know about its probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeRemark {
    /// The stable reason.
    pub reason: ServiceReason,
    /// The message, in sentences.
    pub message: String,
}

/// The health of a tool whose endpoints are ready, before the grace period.
pub(super) fn judged(probed: &Probed, spec: &crd_types::Health, is_in_output: impl FnOnce() -> bool) -> ToolHealth {
    let health = match probed {
        Probed::NotAllowed { .. } | Probed::Up => Health::Healthy,
        Probed::Pending { .. } | Probed::Undecided { .. } | Probed::Suspect(_) => Health::Unknown,
        Probed::Down(_) => Health::Unhealthy,
    };
    let waits = health == Health::Unknown && spec.effect == HealthEffect::Withhold && !is_in_output();
    // The status of a tool in the output does not change before a threshold is reached.
    let is_news = waits || !matches!(probed, Probed::Pending { .. } | Probed::Undecided { .. });
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
        Probed::Pending { why } => {
            let why = why.as_ref().map(|why| format!(", because {why}")).unwrap_or_default();
            (
                ServiceReason::Unhealthy,
                format!(
                    "The operator has not probed this Service yet{why}. The tool is added to the ConfigMap as soon as \
                     {again}."
                ),
            )
        }
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
        Probed::Down(failure) if failure.is_unreachable() => (
            ServiceReason::Unreachable,
            format!(
                "The endpoints of this Service are ready, but the operator cannot reach them: {failure}. The operator \
                 can reach other Services. Allow the operator in the NetworkPolicies of the Service's namespace. If a \
                 service mesh requires mutual TLS, set spec.health.mode to Endpoints."
            ),
        ),
        Probed::Down(failure) => (
            ServiceReason::Unhealthy,
            format!("The endpoints of this Service are ready, but the health probe {failure}. {}", advice(failure.why)),
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

/// What the owner of a Service can do about a failure.
fn advice(why: ProbeFailureReason) -> &'static str {
    match why {
        ProbeFailureReason::NoPort => "Check the targetPort of the Service and the ports of its Pods.",
        ProbeFailureReason::Answer(Class::Reset) => {
            "Check the Pods. If the scheme is wrong, set the annotation kubernaut.io/toolset-scheme. If a service mesh \
             requires mutual TLS, set spec.health.mode to Endpoints."
        }
        ProbeFailureReason::Answer(Class::NoTls | Class::Unreadable | Class::Answered(400)) => {
            "Check the Pods. If the scheme is wrong, set the annotation kubernaut.io/toolset-scheme."
        }
        ProbeFailureReason::Answer(_) => {
            "Check the Pods. If the path is wrong, set the annotation kubernaut.io/toolset-health-path."
        }
    }
}

impl fmt::Display for ProbeFailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(class) => class.fmt(f),
            Self::NoPort => f.write_str("the endpoints do not have the port"),
        }
    }
}

impl fmt::Display for ProbeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed ({})", self.asked, self.why)
    }
}

//! Runs one probe of a Service: sends requests to up to three of its Pods, until a Pod responds.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use detectors::{
    Scheme, ServiceView,
    probe::{Answer, Health, health},
};
use kube::Client;
use rustls::ClientConfig;
use toolset::health::{HealthAsk, ProbeFailure, ProbeFailureReason};
use tracing::{debug, warn};

use super::{
    board::Ended,
    permits::{Permit, Permits},
    pinned::Pinned,
    target::ProbeId,
};
use crate::{
    api::Cause,
    cluster::state::Cluster,
    dial::{
        address::{Refused, normalised},
        http::{self, Failure, Get, Limits, Response},
        local::{Known, Unknown},
        resolve::{self, Backend, Lasts, NotAllowed, Unresolved},
        tls::TlsFailure,
    },
};

/// The most Pods of a Service that are read and probed.
const MOST_PODS: usize = 3;
/// The most requests of one probe.
const MOST_REQUESTS: usize = 6;
/// The limits of a request. A health probe has its own total time.
pub(super) const LIMITS: Limits = Limits {
    connect: Duration::from_secs(1),
    total: Duration::from_secs(2),
    head: 16 * 1024,
    headers: 64,
    body: 4 * 1024,
};

/// What every probe needs.
#[derive(Clone)]
pub(super) struct Asker {
    pub(super) cluster: Arc<Cluster>,
    pub(super) client: Client,
    /// A configuration that verifies nothing: no secret is sent, and only the class of a response is kept.
    pub(super) tls: Arc<ClientConfig>,
    pub(super) permits: Arc<Permits>,
    /// The addresses that are never called.
    pub(super) known: Arc<Known>,
    pub(super) cluster_domain: Arc<str>,
}

/// Why a probe has no addresses.
pub(super) enum NotPinned {
    /// The Service must not be probed. The text follows "because".
    NotAllowed(String),
    /// The operator is not allowed to read the addresses. The text follows "because".
    Forbidden(String),
    /// The endpoints do not have the port of the tool.
    NoPort,
    /// The API server did not respond, or the objects do not match yet. The probe is repeated. The text follows
    /// "because".
    Failed(Option<String>),
}

/// Why a request was not sent.
pub(super) enum NotSent {
    /// The operator does not know which addresses it must never call.
    Unknown,
    /// The operator never calls this address.
    Never(Refused),
}

/// A Service whose health is probed.
pub(super) struct Asked {
    pub(super) id: ProbeId,
    /// The number of the probe.
    pub(super) number: u64,
    pub(super) view: ServiceView,
    /// The number of the last change of its EndpointSlices.
    pub(super) slices: u64,
    pub(super) pinned: Option<Pinned>,
    /// The index of the path that responded last.
    pub(super) path: usize,
}

impl Asker {
    /// Probes the health of a Service. Returns the result, and the addresses of the Service.
    pub(super) async fn health(&self, asked: Asked, permit: Permit) -> (Ended, Option<Pinned>) {
        let Asked { id, number, view, slices, pinned, path } = asked;
        match self.pin(&view, id.ask.port, pinned, slices).await {
            Err(NotPinned::NotAllowed(why) | NotPinned::Forbidden(why)) => (Ended::NotAllowed(why), None),
            Err(NotPinned::NoPort) => (Ended::NoPort(in_words(&id.ask, 0)), None),
            Err(NotPinned::Failed(why)) => (Ended::NotSent(why), None),
            Ok(pinned) if pinned.backends.is_empty() => (Ended::NoEndpoints, Some(pinned)),
            Ok(pinned) => (self.ask_each((&id, number), &view, &pinned, path, permit).await, Some(pinned)),
        }
    }

    /// The addresses of a Service. They are read again if the EndpointSlices have changed.
    pub(super) async fn pin(
        &self,
        view: &ServiceView,
        port: u16,
        pinned: Option<Pinned>,
        slices: u64,
    ) -> Result<Pinned, NotPinned> {
        if let Some(pinned) = pinned.filter(|pinned| pinned.slices == slices) {
            return Ok(pinned);
        }
        // If these addresses are not known, the operator calls nothing.
        let reserved = self.known.reserved().await.map_err(|error| match error {
            Unknown::Api(error) if error.cause() == Cause::Forbidden => NotPinned::Forbidden(
                "the operator is not allowed to read the addresses of the API server, which it never calls; set \
                 probing.enabled in the Helm chart"
                    .to_owned(),
            ),
            error => {
                warn!(%error, "cannot find the addresses that the operator never calls, so it sends no probes");
                NotPinned::Failed(None)
            }
        })?;
        match resolve::resolve(&self.client, view, port, &reserved, MOST_PODS).await {
            Ok(backends) => Ok(Pinned { slices, backends: backends.into() }),
            Err(Unresolved::NotAllowed(why @ NotAllowed::Forbidden)) => Err(NotPinned::Forbidden(why.to_string())),
            Err(Unresolved::NotAllowed(why)) => Err(match why.lasts() {
                Lasts::UntilAllowed => NotPinned::NotAllowed(why.to_string()),
                Lasts::WhilePortIsMissing => NotPinned::NoPort,
                Lasts::UntilUpToDate => NotPinned::Failed(Some(why.to_string())),
            }),
            Err(Unresolved::Failed(cause)) => {
                debug!(namespace = %view.key.namespace, name = %view.key.name, %cause, "cannot read the Pods to probe");
                Err(NotPinned::Failed(None))
            }
        }
    }

    /// Sends requests to one address after the other, until a Pod responds.
    async fn ask_each(
        &self,
        (id, number): (&ProbeId, u64),
        view: &ServiceView,
        pinned: &Pinned,
        first: usize,
        mut permit: Permit,
    ) -> Ended {
        let host = self.host_of(view);
        let limits = Limits { total: Duration::from_secs(u64::from(id.timeout.unsigned_abs())), ..LIMITS };
        let mut requests = 0;
        let mut failed: Option<ProbeFailure> = None;
        let addresses: Vec<SocketAddr> =
            pinned.backends.iter().flat_map(|backend: &Backend| backend.addresses.iter().copied()).collect();
        for address in addresses {
            for path in paths(&id.ask, first) {
                if requests == MOST_REQUESTS {
                    break;
                }
                requests += 1;
                if requests > 1 {
                    permit = self.permits.after(permit).await;
                }
                let request = (id.ask.scheme, id.ask.paths[path].as_str());
                let is_wanted = || self.cluster.probes.board().runs(id, number);
                if !self.has_address(view, pinned.slices) || !is_wanted() {
                    return Ended::NotSent(None);
                }
                let answered = match self.get(address, &host, request, &limits).await {
                    Ok(answered) => answered,
                    Err(NotSent::Unknown) => return Ended::NotSent(None),
                    Err(NotSent::Never(why)) => {
                        return Ended::NotAllowed(format!(
                            "its Pod has an address that the operator never calls: {why}"
                        ));
                    }
                };
                // A client certificate is a kind of login, and a program that requires a login is healthy.
                if matches!(answered, Err(Failure::Tls(TlsFailure::NoClientCertificate))) {
                    return Ended::There { path };
                }
                let (health, class) = with_answer(&answered, |answer| (health(answer), answer.class()));
                if health == Health::There {
                    return Ended::There { path };
                }
                let failure = ProbeFailure { asked: in_words(&id.ask, path), why: ProbeFailureReason::Answer(class) };
                // Every other failure says more about the Pod than a missing connection.
                if failed.as_ref().is_none_or(ProbeFailure::is_unreachable) {
                    failed = Some(failure);
                }
                if health != Health::NotFound {
                    break;
                }
            }
        }
        failed.map_or(Ended::NotSent(None), Ended::Failed)
    }
}

impl Asker {
    /// Sends one request. The address is checked again, because the addresses that the operator never calls can have
    /// changed since the EndpointSlices were read.
    ///
    /// Fails if the request was not sent.
    pub(super) async fn get(
        &self,
        address: SocketAddr,
        host: &str,
        (scheme, path): (Scheme, &str),
        limits: &Limits,
    ) -> Result<Result<Response, Failure>, NotSent> {
        let reserved = self.known.reserved().await.map_err(|_| NotSent::Unknown)?;
        reserved.check(normalised(address.ip())).map_err(NotSent::Never)?;
        let tls = (scheme == Scheme::Https).then(|| self.tls.clone());
        Ok(http::get(Get { address, host, path, tls, headers: HeaderMap::new(), limits }).await)
    }

    /// The name of a Service, for the header `Host` and for TLS. It is the name that the agent uses.
    pub(super) fn host_of(&self, view: &ServiceView) -> String {
        format!("{}.{}.svc.{}", view.key.name, view.key.namespace, self.cluster_domain)
    }

    /// Whether the addresses still belong to the Service. While a probe waits for its next permit, the Pod can be
    /// deleted and another Pod can get its address.
    pub(super) fn has_address(&self, view: &ServiceView, slices: u64) -> bool {
        self.cluster.index().slices_changed_at(&view.key) == Some(slices)
            && self.cluster.slices_are_synced(&view.key.namespace)
    }
}

/// Passes the result of a request to a rule about products.
pub(super) fn with_answer<T>(result: &Result<Response, Failure>, judge: impl FnOnce(&Answer<'_>) -> T) -> T {
    let header = |name: &str| match result {
        Ok(response) => response.headers.get(name).and_then(|value| value.to_str().ok()),
        Err(_) => None,
    };
    judge(&match result {
        Ok(Response { status, body, is_cut, .. }) => {
            Answer::Response { status: *status, header: &header, body, is_cut: *is_cut }
        }
        Err(Failure::Refused) => Answer::Refused,
        Err(Failure::ConnectTimeout | Failure::NoConnection(_) | Failure::Request) => Answer::Unreachable,
        Err(Failure::Timeout) => Answer::Timeout,
        Err(Failure::Reset) => Answer::Reset,
        // A server that rejects a TLS connection uses TLS, so this does not prove plain HTTP.
        Err(
            Failure::Tls(TlsFailure::NoClientCertificate | TlsFailure::Rejected)
            | Failure::Broken
            | Failure::TooLarge
            | Failure::Unreadable,
        ) => Answer::Unreadable,
        Err(Failure::Tls(_)) => Answer::NoTls,
    })
}

/// The indexes of the paths. The path that responded last comes first.
fn paths(ask: &HealthAsk, first: usize) -> impl Iterator<Item = usize> {
    let count = ask.paths.len();
    (0..count).map(move |number| (number + first) % count)
}

/// `GET /-/ready on port 9090 (http)`.
fn in_words(ask: &HealthAsk, path: usize) -> String {
    format!("GET {} on port {} ({})", ask.paths[path], ask.port, ask.scheme)
}

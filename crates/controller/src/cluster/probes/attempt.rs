//! One probe of a Service: requests to up to three of its Pods, until one responds.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use detectors::{
    Scheme, ServiceView,
    probe::{Answer, Health, health},
};
use kube::Client;
use rustls::ClientConfig;
use toolset::health::{HealthAsk, ProbeFailure};
use tracing::{debug, warn};

use super::{
    board::{Ended, ProbeId},
    permits::{Permit, Permits},
    pinned::Pinned,
};
use crate::{
    api::Cause,
    cluster::state::Cluster,
    dial::{
        address::{Refused, normalised},
        http::{self, Failure, Get, Limits, Response},
        local::{Known, Unknown},
        resolve::{self, Backend, NotAllowed, Unresolved},
        tls::TlsFailure,
    },
};

/// The most Pods of a Service whose addresses are kept.
const MOST_PODS: usize = 3;
/// The most requests of one probe.
const MOST_REQUESTS: usize = 6;
/// What limits every request but its whole time.
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
    /// Verifies nothing, because no secret is sent and only the class of a response is kept.
    pub(super) tls: Arc<ClientConfig>,
    pub(super) permits: Arc<Permits>,
    /// The addresses that are never called.
    pub(super) known: Arc<Known>,
}

/// Why the addresses of a Service are not known.
pub(super) enum NotPinned {
    /// It must not be probed. The text follows "because".
    NotAllowed(String),
    /// The operator is not allowed to find out. The text follows "because".
    Forbidden(String),
    /// The API server did not respond. Try again.
    Failed,
}

/// Why a request was not sent.
pub(super) enum NotSent {
    /// It is not known which addresses are never called.
    Unknown,
    /// The address is one of them.
    Never(Refused),
}

/// A Service that is asked.
pub(super) struct Asked {
    pub(super) id: ProbeId,
    /// The number of the probe.
    pub(super) number: u64,
    pub(super) view: ServiceView,
    /// The number of the last change of its EndpointSlices.
    pub(super) slices: u64,
    pub(super) pinned: Option<Pinned>,
    /// The path that responded last.
    pub(super) path: usize,
}

impl Asker {
    /// Probes the health of a Service. Returns how that ended, and the addresses that it found.
    pub(super) async fn health(&self, asked: Asked, permit: Permit) -> (Ended, Option<Pinned>) {
        let Asked { id, number, view, slices, pinned, path } = asked;
        match self.pin(&view, id.ask.port, pinned, slices).await {
            Err(NotPinned::NotAllowed(why) | NotPinned::Forbidden(why)) => (Ended::NotAllowed(why), None),
            Err(NotPinned::Failed) => (Ended::NotAsked, None),
            Ok(pinned) if pinned.backends.is_empty() => (Ended::NoEndpoints, Some(pinned)),
            Ok(pinned) => (self.ask_each((&id, number), &view, &pinned, path, permit).await, Some(pinned)),
        }
    }

    /// The addresses of a Service: the known ones if its EndpointSlices are the same, else read again.
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
        // Without these addresses nothing is called.
        let reserved = self.known.reserved().await.map_err(|error| match error {
            Unknown::Api(error) if error.cause() == Cause::Forbidden => NotPinned::Forbidden(
                "the operator is not allowed to read the addresses of the API server, which it never calls; set \
                 probing.enabled in the Helm chart"
                    .to_owned(),
            ),
            error => {
                warn!(%error, "cannot find the addresses that are never called, so no probes are sent");
                NotPinned::Failed
            }
        })?;
        match resolve::resolve(&self.client, view, port, &reserved, MOST_PODS).await {
            Ok(backends) => Ok(Pinned { slices, backends: backends.into() }),
            Err(Unresolved::NotAllowed(why @ NotAllowed::Forbidden)) => Err(NotPinned::Forbidden(why.to_string())),
            Err(Unresolved::NotAllowed(why)) => Err(NotPinned::NotAllowed(why.to_string())),
            Err(Unresolved::Failed(cause)) => {
                debug!(namespace = %view.key.namespace, name = %view.key.name, %cause, "cannot read the Pods to probe");
                Err(NotPinned::Failed)
            }
        }
    }

    /// Asks one address after the other until one answers.
    async fn ask_each(
        &self,
        (id, number): (&ProbeId, u64),
        view: &ServiceView,
        pinned: &Pinned,
        first: usize,
        permit: Permit,
    ) -> Ended {
        let host = host_of(view);
        let limits = Limits { total: Duration::from_secs(u64::from(id.timeout.unsigned_abs())), ..LIMITS };
        let (mut permit, mut requests) = (Some(permit), 0);
        let mut failed: Option<ProbeFailure> = None;
        let addresses: Vec<SocketAddr> =
            pinned.backends.iter().flat_map(|backend: &Backend| backend.addresses.iter().copied()).collect();
        for address in addresses {
            for path in paths(&id.ask, first) {
                if requests == MOST_REQUESTS {
                    break;
                }
                requests += 1;
                let permit = match permit.take() {
                    Some(first) => first,
                    None => self.permits.wait(&id.key.namespace, id.trust).await,
                };
                let request = (id.ask.scheme, id.ask.paths[path].as_str());
                let is_wanted = || self.cluster.probes.board().runs(id, number);
                if !self.has_address(view, pinned.slices) || !is_wanted() {
                    return Ended::NotAsked;
                }
                let answered = match self.get(address, &host, request, &limits).await {
                    Ok(answered) => answered,
                    Err(NotSent::Unknown) => return Ended::NotAsked,
                    Err(NotSent::Never(why)) => {
                        return Ended::NotAllowed(format!("its Pod has an address that is never called: {why}"));
                    }
                };
                drop(permit);
                // It uses TLS and requires a client certificate, as others require a login.
                if matches!(answered, Err(Failure::Tls(TlsFailure::Rejected))) {
                    return Ended::There { path };
                }
                let (health, class) = with_answer(&answered, |answer| (health(answer), answer.class()));
                if health == Health::There {
                    return Ended::There { path };
                }
                let failure = ProbeFailure {
                    asked: in_words(&id.ask, path),
                    class,
                    is_unreachable: matches!(health, Health::Unreachable(_)),
                };
                // A refused connection or a failure is more specific than a missing connection.
                if failed.as_ref().is_none_or(|known| known.is_unreachable) {
                    failed = Some(failure);
                }
                if health != Health::NotFound {
                    break;
                }
            }
        }
        failed.map_or(Ended::NotAsked, Ended::Failed)
    }
}

impl Asker {
    /// Sends one request. The address is checked again, because the addresses that are never called can have changed since
    /// the EndpointSlices were read.
    ///
    /// Fails if nothing was sent.
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

    /// Whether the addresses that were found for a Service are still its own. While a probe waits for its next permit, its
    /// Pod can go and another one can get the address.
    pub(super) fn has_address(&self, view: &ServiceView, slices: u64) -> bool {
        self.cluster.index().slices_changed_at(&view.key) == Some(slices)
            && self.cluster.slices_are_synced(&view.key.namespace)
    }
}

/// The name of a Service in `Host` and for TLS.
pub(super) fn host_of(view: &ServiceView) -> String {
    format!("{}.{}.svc", view.key.name, view.key.namespace)
}

/// The result of a request, as the rules of the products read it.
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
        Err(Failure::Tls(TlsFailure::Rejected) | Failure::Broken | Failure::TooLarge | Failure::Unreadable) => {
            Answer::Unreadable
        }
        Err(Failure::Tls(_)) => Answer::NoTls,
    })
}

/// The numbers of the paths. The one that responded last is the first.
fn paths(ask: &HealthAsk, first: usize) -> impl Iterator<Item = usize> {
    let count = ask.paths.len();
    (0..count).map(move |number| (number + first) % count)
}

/// `GET /-/ready on port 9090 (http)`.
fn in_words(ask: &HealthAsk, path: usize) -> String {
    format!("GET {} on port {} ({})", ask.paths[path], ask.port, ask.scheme)
}

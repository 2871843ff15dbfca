//! A proxy in front of the API server that makes faults at random, as a bad network and a busy API server do.
//!
//! ```text
//! a request ──► refused │ lost │ carried out, answer lost │ slow │ passes
//! a watch   ──► refused │ empty │ cut after a while │ silent after a while │ passes
//! ```
//! A silent watch stays open and shows nothing more: the client cannot see that it is dead. When the faults end, every
//! watch that is cut or silent ends too. The faults depend on the seed and on the order of the requests.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use futures::{StreamExt as _, future::Either, stream};
use http::{StatusCode, request::Parts};
use kube::Client;
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep},
};

use super::{
    forwarding::{forward, passed_on, received, refusal, serve, upstream},
    request::ApiRequest,
};
use crate::{harness::World, random::Random};

/// The percentage of requests that have each fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Requests and watches that fail. One third is refused, one third never arrives, and one third loses its answer.
    pub errors: usize,
    /// Writes that are carried out and whose answer is lost, in addition to those among the errors.
    pub lost_answers: usize,
    /// Requests that wait for up to [`LONGEST_WAIT`], before or after they are carried out.
    pub slow: usize,
    /// Watches that break after up to [`LONGEST_LIFE`].
    pub cut: usize,
    /// Watches that show nothing more after up to [`LONGEST_LIFE`], and stay open.
    pub silent: usize,
    /// Watches that are answered with success and end at once, without a byte.
    pub empty: usize,
}

impl Faults {
    /// None.
    pub const NONE: Self = Self { errors: 0, lost_answers: 0, slow: 0, cut: 0, silent: 0, empty: 0 };
    /// Three of ten requests fail, and most watches do not live long.
    pub const MANY: Self = Self { errors: 30, lost_answers: 0, slow: 15, cut: 30, silent: 15, empty: 10 };
}

/// The longest time that a slow request waits. The operator gives up after 5 s.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// The longest life of a watch that is cut or falls silent.
const LONGEST_LIFE: Duration = Duration::from_secs(10);
/// How long after its last renewal a leader may write: 10 s as it counts, and what the request takes to arrive here.
const LEASE_IS_HELD: Duration = Duration::from_secs(12);
/// How soon after a stopped process continues its requests arrive. They have a timeout of 5 s.
const IN_FLIGHT: Duration = Duration::from_secs(5);

/// A running proxy for one replica. Dropping it closes its port.
#[derive(Debug)]
pub struct FaultyProxy {
    shared: Arc<Shared>,
    kubeconfig: PathBuf,
    server: JoinHandle<()>,
}

/// A write of a ConfigMap or of a status that the API server has carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What was written: `configmaps` or `toolsetconfigs/status`.
    pub resource: String,
    /// The namespace of the object.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its resourceVersion after the write.
    pub version: String,
    /// Whether there were no faults from the start of the proxy to the end of the write.
    pub calm: bool,
}

/// What a replica has sent.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    /// How often it wrote what, by verb and resource.
    pub writes: BTreeMap<String, usize>,
    /// The writes of ConfigMaps and statuses that were carried out.
    pub applied: Vec<Applied>,
    /// Writes that it began without a lease.
    pub without_lease: Vec<String>,
    /// Writes without a lease that it was sending when it was stopped.
    pub in_flight: usize,
    /// How many requests had a fault.
    pub faults: usize,
}

struct Shared {
    upstream: Client,
    faults: watch::Sender<Faults>,
    state: Mutex<Observed>,
}

struct Observed {
    random: Random,
    /// Whether there have been faults.
    disturbed: bool,
    /// When the last request to renew the lease arrived that was carried out.
    renewed: Option<Instant>,
    /// When the process continued after it was stopped.
    continued: Option<Instant>,
    /// What it has written without the lease since then. Of each object, one write may have been on its way.
    late: BTreeSet<(String, String, String)>,
    traffic: Traffic,
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Pass,
    Refuse(StatusCode),
    Lose,
    LoseAnswer,
    Wait { before: Duration, after: Duration },
    Empty,
    Cut(Duration),
    Silent(Duration),
}

impl Fate {
    fn of(request: &ApiRequest, faults: Faults, random: &mut Random) -> Self {
        let watches = request.verb == "watch";
        if random.percent(faults.errors) {
            return match random.below(3) {
                0 => Self::Refuse(status(watches, random)),
                1 => Self::Lose,
                _ => Self::LoseAnswer,
            };
        }
        if request.writes() && random.percent(faults.lost_answers) {
            return Self::LoseAnswer;
        }
        if !watches {
            let wait = random.between(Duration::ZERO, LONGEST_WAIT);
            return match (random.percent(faults.slow), random.percent(50)) {
                (false, _) => Self::Pass,
                (true, true) => Self::Wait { before: wait, after: Duration::ZERO },
                (true, false) => Self::Wait { before: Duration::ZERO, after: wait },
            };
        }
        let life = random.between(Duration::ZERO, LONGEST_LIFE);
        match random.below(100) {
            chance if chance < faults.cut => Self::Cut(life),
            chance if chance < faults.cut + faults.silent => Self::Silent(life),
            chance if chance < faults.cut + faults.silent + faults.empty => Self::Empty,
            _ => Self::Pass,
        }
    }
}

/// A failure of the server's side. A watch may also be told that its version is gone, so that it lists again.
fn status(watches: bool, random: &mut Random) -> StatusCode {
    match random.below(if watches { 5 } else { 4 }) {
        0 => StatusCode::INTERNAL_SERVER_ERROR,
        1 => StatusCode::SERVICE_UNAVAILABLE,
        2 => StatusCode::GATEWAY_TIMEOUT,
        3 => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::GONE,
    }
}

impl World {
    /// Starts a proxy that makes faults at random, with the administrator's rights and without faults at first.
    pub async fn faulty_proxy(&self, seed: u64, name: &str) -> Result<FaultyProxy> {
        FaultyProxy::start(self.cluster().kubeconfig(), self.folder(), Random::new(seed, name)).await
    }
}

impl FaultyProxy {
    async fn start(kubeconfig: &Path, folder: &Path, random: Random) -> Result<Self> {
        let state = Observed {
            random,
            disturbed: false,
            renewed: None,
            continued: None,
            late: BTreeSet::new(),
            traffic: Traffic::default(),
        };
        let shared = Arc::new(Shared {
            upstream: upstream(kubeconfig).await?,
            faults: watch::Sender::new(Faults::NONE),
            state: Mutex::new(state),
        });
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let (kubeconfig, server) = serve(router, folder).await?;
        Ok(Self { shared, kubeconfig, server })
    }

    /// A kubeconfig whose server is the proxy.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// From now on these faults happen. With [`Faults::NONE`], all that wait go on, and the watches of faults end.
    pub fn set(&self, faults: Faults) {
        self.shared.state().disturbed |= faults != Faults::NONE;
        self.shared.faults.send_replace(faults);
    }

    /// The process behind the proxy is another one, which has not yet acquired the lease.
    pub fn restarted(&self) {
        self.shared.state().renewed = None;
    }

    /// The process behind the proxy was stopped and continues. What it was sending may arrive too late.
    pub fn continued(&self) {
        let mut state = self.shared.state();
        state.continued = Some(Instant::now());
        state.late.clear();
    }

    /// When the replica last acquired or renewed the lease.
    pub fn renewed(&self) -> Option<Instant> {
        self.shared.state().renewed
    }

    /// What was sent since the last call.
    pub fn traffic(&self) -> Traffic {
        std::mem::take(&mut self.shared.state().traffic)
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Observed> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there are no faults.
    async fn calm(&self) {
        // The sender is ours, so it is not gone.
        _ = self.faults.subscribe().wait_for(|faults| *faults == Faults::NONE).await;
    }

    /// Waits, at most until there are no faults.
    async fn wait(&self, time: Duration) {
        tokio::select! {
            () = sleep(time) => {}
            () = self.calm() => {}
        }
    }

    async fn serve(self: &Arc<Self>, request: &ApiRequest, parts: &Parts, body: Bytes, fate: Fate) -> Response {
        let arrived = Instant::now();
        match fate {
            Fate::Refuse(status) => return refusal(status, "a fault at random"),
            Fate::Lose => return broken(),
            Fate::Empty => return Response::new(Body::empty()),
            Fate::Wait { before, .. } => self.wait(before).await,
            Fate::Pass | Fate::LoseAnswer | Fate::Cut(_) | Fate::Silent(_) => {}
        }
        let (head, body) = match forward(&self.upstream, parts, body).await {
            Ok(answer) => answer.into_parts(),
            Err(error) => return refusal(StatusCode::BAD_GATEWAY, &format!("{error:#}")),
        };
        let body = if request.verb == "watch" {
            self.watched(body, fate)
        } else {
            let Ok(bytes) = axum::body::to_bytes(Body::new(body), usize::MAX).await else { return broken() };
            if head.status.is_success() {
                self.carried_out(request, arrived, &bytes);
            }
            Body::from(bytes)
        };
        if fate == Fate::LoseAnswer {
            return broken();
        }
        if let Fate::Wait { after, .. } = fate {
            self.wait(after).await;
        }
        let mut response = Response::new(body);
        *response.status_mut() = head.status;
        *response.headers_mut() = passed_on(&head.headers);
        response
    }

    /// The body of a watch, as long as it lives.
    fn watched(self: &Arc<Self>, body: kube::client::Body, fate: Fate) -> Body {
        let pieces = Body::new(body).into_data_stream().map(|piece| piece.map_err(io::Error::other));
        let (Fate::Cut(life) | Fate::Silent(life)) = fate else { return Body::from_stream(pieces) };
        let (alive, silent) = (self.clone(), self.clone());
        let end = async move {
            if matches!(fate, Fate::Silent(_)) {
                silent.calm().await;
            }
            Err(io::Error::other("a fault at random"))
        };
        let pieces = pieces.take_until(Box::pin(async move { alive.wait(life).await }));
        Body::from_stream(pieces.map(Either::Left).chain(stream::once(end).map(Either::Right)).map(Either::into_inner))
    }

    /// Records a write that arrives, and decides what happens to a request.
    fn arrives(&self, request: &ApiRequest) -> Fate {
        let faults = *self.faults.borrow();
        let mut state = self.state();
        let fate = Fate::of(request, faults, &mut state.random);
        state.traffic.faults += usize::from(fate != Fate::Pass);
        if request.writes() {
            *state.traffic.writes.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
            let lease = state.renewed.is_some_and(|renewed| renewed.elapsed() < LEASE_IS_HELD);
            if request.resource != "leases" && !lease {
                let ApiRequest { verb, resource, namespace, name, .. } = request;
                let soon = state.continued.is_some_and(|continued| continued.elapsed() < IN_FLIGHT);
                if soon && state.late.insert((resource.clone(), namespace.clone(), name.clone())) {
                    state.traffic.in_flight += 1;
                } else {
                    let [renewed, continued] = [state.renewed, state.continued].map(|at| at.map(|at| at.elapsed()));
                    state.traffic.without_lease.push(format!(
                        "{verb} {resource} {namespace}/{name}; renewed the lease {renewed:?} ago, was continued \
                         {continued:?} ago"
                    ));
                }
            }
        }
        fate
    }

    /// Records a write that the API server has carried out.
    fn carried_out(&self, request: &ApiRequest, arrived: Instant, answer: &[u8]) {
        if !request.writes() {
            return;
        }
        let mut state = self.state();
        match request.resource.as_str() {
            "leases" => state.renewed = Some(arrived),
            "configmaps" | "toolsetconfigs/status" => {
                let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
                let text = |field: &str| answer["metadata"][field].as_str().unwrap_or_default().to_owned();
                let applied = Applied {
                    resource: request.resource.clone(),
                    namespace: request.namespace.clone(),
                    name: text("name"),
                    version: text("resourceVersion"),
                    calm: !state.disturbed,
                };
                state.traffic.applied.push(applied);
            }
            _ => {}
        }
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (request, parts, body) = match received(request).await {
        Ok(received) => received,
        Err(refused) => return refused,
    };
    let fate = shared.arrives(&request);
    shared.serve(&request, &parts, body, fate).await
}

/// An answer that breaks off, so the client gets an error and no status.
fn broken() -> Response {
    Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(io::Error::other("a fault at random")) })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fates(verb: &'static str, faults: Faults) -> Vec<Fate> {
        let mut random = Random::new(1, "fates");
        let request = ApiRequest { verb, ..ApiRequest::default() };
        (0..1000).map(|_| Fate::of(&request, faults, &mut random)).collect()
    }

    fn share(fates: &[Fate], which: impl Fn(&Fate) -> bool) -> usize {
        fates.iter().filter(|fate| which(fate)).count() / 10
    }

    #[test]
    fn without_faults_everything_passes() {
        for verb in ["watch", "patch", "list"] {
            assert_eq!(share(&fates(verb, Faults::NONE), |fate| *fate == Fate::Pass), 100);
        }
    }

    #[test]
    fn three_of_ten_requests_fail_and_watches_have_faults_of_their_own() {
        for verb in ["watch", "patch"] {
            let failed = share(&fates(verb, Faults::MANY), |fate| {
                matches!(fate, Fate::Refuse(_) | Fate::Lose | Fate::LoseAnswer)
            });
            assert!((26..=34).contains(&failed), "{verb}: {failed} of 100");
        }
        let watches = fates("watch", Faults::MANY);
        for (what, count) in [
            ("cut", share(&watches, |fate| matches!(fate, Fate::Cut(_)))),
            ("silent", share(&watches, |fate| matches!(fate, Fate::Silent(_)))),
            ("empty", share(&watches, |fate| *fate == Fate::Empty)),
        ] {
            assert!(count > 3, "{what}: {count} of 100");
        }
        assert_eq!(share(&watches, |fate| matches!(fate, Fate::Wait { .. })), 0);
        assert!(share(&fates("patch", Faults::MANY), |fate| matches!(fate, Fate::Wait { .. })) > 5);
    }
}

//! Runs the election: carries out what [`step`](super::step()) decides.

use std::{pin::pin, sync::Arc};

use futures::StreamExt;
use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use super::{Fence, RETRY, Record, Step, step};
use crate::{
    client::within_timeout,
    error::{Cause, Error},
    inputs::WATCH_TIMEOUT_SECONDS,
};

/// One replica's part in the election.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    me: String,
    fence: Arc<Fence>,
    leading: watch::Sender<bool>,
    seen: Option<Record>,
    seen_at: Instant,
    /// Whether `seen` may be out of date: at the start, and after a write that failed.
    doubtful: bool,
    last_failure: Option<Cause>,
}

impl Elector {
    /// An elector for the Lease `namespace`/`name`. `leading` tells the rest of the program.
    pub fn new(client: Client, namespace: &str, name: &str, fence: Arc<Fence>, leading: watch::Sender<bool>) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            name: name.to_owned(),
            me: identity(),
            fence,
            leading,
            seen: None,
            seen_at: Instant::now(),
            doubtful: true,
            last_failure: None,
        }
    }

    /// Takes part until `stop`, then gives the lease up if it is held.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let watch =
            watcher::Config::default().fields(&format!("metadata.name={}", self.name)).timeout(WATCH_TIMEOUT_SECONDS);
        let mut events = pin!(watcher(self.api.clone(), watch).default_backoff());
        let mut stop = pin!(stop);
        // Without the right to watch, others' renewals are seen by asking at the pace of the retries.
        let mut watching = false;
        info!(lease = %self.name, identity = %self.me, "taking part in the election");
        loop {
            let wake_at = tokio::select! {
                biased;
                () = &mut stop => break,
                wake_at = self.advance(watching) => wake_at,
            };
            tokio::select! {
                () = &mut stop => break,
                () = sleep_until(wake_at) => {}
                event = events.next() => match event {
                    Some(Ok(event)) => { watching = true; self.observe_event(event); }
                    Some(Err(_)) | None => watching = false,
                },
            }
        }
        self.release().await;
    }

    /// Does what is due and returns when to look again.
    async fn advance(&mut self, watching: bool) -> Instant {
        let now = Instant::now();
        let leading = *self.leading.borrow();
        if leading && self.fence.permit(now).is_err() {
            self.lose("the renewal is overdue");
        }
        if self.doubtful && !self.refresh().await {
            return Instant::now() + RETRY;
        }
        let now = Instant::now();
        match step(self.seen.as_ref(), &self.me, self.seen_at, now) {
            Step::Wait(time) => now + if watching { time } else { self.doubt_unless_held(time) },
            Step::Create | Step::Take | Step::Renew => {
                if self.write().await {
                    Instant::now()
                } else {
                    Instant::now() + RETRY
                }
            }
        }
    }

    fn doubt_unless_held(&mut self, time: std::time::Duration) -> std::time::Duration {
        self.doubtful = !*self.leading.borrow();
        time.min(RETRY)
    }

    async fn refresh(&mut self) -> bool {
        match within_timeout(self.api.get_opt(&self.name)).await {
            Ok(lease) => {
                self.doubtful = false;
                self.observe(lease.as_ref(), Instant::now());
                true
            }
            Err(error) => {
                self.failed("read", &error);
                false
            }
        }
    }

    async fn write(&mut self) -> bool {
        let sent = Instant::now();
        // Until the answer is read, and if this is cut short, nobody knows what the Lease says.
        self.doubtful = true;
        let lease = Record::held_by(self.seen.as_ref(), &self.name, &self.me, MicroTime(jiff::Timestamp::now()));
        let params = PostParams::default();
        let answer = match &self.seen {
            None => within_timeout(self.api.create(&params, &lease)).await,
            Some(_) => within_timeout(self.api.replace(&self.name, &params, &lease)).await,
        };
        match answer {
            Ok(lease) => {
                self.last_failure = None;
                self.doubtful = false;
                self.observe(Some(&lease), sent);
                self.fence.renewed(sent);
                if !self.leading.send_replace(true) {
                    info!(lease = %self.name, identity = %self.me, "leading");
                }
                true
            }
            Err(error) => {
                // 409: somebody was faster. Anything else may or may not have been carried out. Look before the next try.
                self.failed("write", &error);
                false
            }
        }
    }

    /// Says each kind of failure once, not every two seconds.
    fn failed(&mut self, what: &str, error: &Error) {
        let cause = error.cause();
        if self.last_failure.replace(cause) != Some(cause) && cause != Cause::Conflict {
            warn!(lease = %self.name, reason = %cause, %error, "cannot {what} the lease");
        }
    }

    fn observe_event(&mut self, event: watcher::Event<Lease>) {
        match event {
            watcher::Event::Apply(lease) | watcher::Event::InitApply(lease) => {
                let new = Record::of(&lease);
                let version = |record: &Record| record.resource_version.as_deref().and_then(|v| v.parse::<u64>().ok());
                // The watch may tell of what we have overwritten since.
                if self.seen.as_ref().and_then(version) <= version(&new) {
                    self.observe(Some(&lease), Instant::now());
                }
            }
            // Perhaps an old one of two: ask.
            watcher::Event::Delete(_) => self.doubtful = true,
            watcher::Event::Init | watcher::Event::InitDone => {}
        }
    }

    fn observe(&mut self, lease: Option<&Lease>, at: Instant) {
        let new = lease.map(Record::of);
        let news = match (&self.seen, &new) {
            (Some(old), Some(new)) => !old.says_the_same(new),
            (None, None) => false,
            _ => true,
        };
        if news {
            self.seen_at = at;
        }
        self.seen = new;
        let leading = *self.leading.borrow();
        if leading && self.seen.as_ref().is_none_or(|record| record.holder != self.me) {
            self.lose("another replica holds it");
        }
    }

    fn lose(&self, why: &str) {
        self.fence.close();
        self.leading.send_replace(false);
        warn!(lease = %self.name, identity = %self.me, "no longer leading: {why}");
    }

    async fn release(&mut self) {
        self.fence.close();
        if self.doubtful {
            self.refresh().await;
        }
        let held = self.seen.take().filter(|record| record.holder == self.me);
        self.leading.send_replace(false);
        let Some(record) = held else { return };
        let lease = record.released(&self.name, MicroTime(jiff::Timestamp::now()));
        match within_timeout(self.api.replace(&self.name, &PostParams::default(), &lease)).await {
            Ok(_) => info!(lease = %self.name, "released the lease"),
            Err(error) => warn!(lease = %self.name, reason = %error.cause(), %error, "cannot release the lease"),
        }
    }
}

/// A name no other replica has: the host's, which is the pod's, and something random for a restart on the same host.
fn identity() -> String {
    use std::hash::{BuildHasher, RandomState};
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}_{random:016x}", if host.is_empty() { "toolset-controller" } else { host })
}

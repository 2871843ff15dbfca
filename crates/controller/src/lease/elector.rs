//! Runs the election. It carries out what [`step`] decides. Its requests need no permit, so slow writes do not delay a
//! renewal.

use std::{pin::pin, sync::Arc};

use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::watcher::{self, Event},
};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use super::step::{RENEW_DEADLINE, RETRY, Record, Step, step};
use crate::api::{
    Cause, Error, Observer, client::within_timeout, fence::Fence, restores::Restores, thin::version, watching::Watching,
};

/// Takes part in the election for this replica.
pub(crate) struct Elector {
    client: Client,
    api: Api<Lease>,
    namespace: String,
    name: String,
    me: String,
    fence: Arc<Fence>,
    restores: Restores,
    seen: Option<Record>,
    seen_at: Instant,
    /// The newest version that was seen, also if the Lease does not exist any more.
    newest: u64,
    /// The list in progress has the Lease.
    is_listed: bool,
    /// Whether `seen` may be out of date, as at the start and after a write that failed.
    must_read: bool,
    last_failure: Option<Cause>,
}

impl Elector {
    /// An elector for the Lease `namespace`/`name`. The rest of the program sees the outcome in `fence`.
    pub(crate) fn new(client: Client, namespace: &str, name: &str, fence: Arc<Fence>, restores: Restores) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            client,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            me: identity(),
            fence,
            restores,
            seen: None,
            seen_at: Instant::now(),
            newest: 0,
            is_listed: false,
            must_read: true,
            last_failure: None,
        }
    }

    /// Takes part until `stop`, then releases the lease if this replica holds it.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) {
        let config = watcher::Config::default().fields(&format!("metadata.name={}", self.name));
        let namespace = self.namespace.clone();
        let api = |client| Api::namespaced(client, &namespace);
        let mut lease = Watching::new(&self.client, api, config, Unobserved);
        let mut restored = self.restores.subscribe();
        let mut stop = pin!(stop);
        // Without permission to watch, the elector reads the Lease at every retry to see the renewals of other
        // replicas.
        let mut watching = false;
        info!(lease = %self.name, identity = %self.me, "waiting for leadership");
        loop {
            let wake_at = tokio::select! {
                biased;
                () = &mut stop => break,
                wake_at = self.advance(watching) => wake_at,
            };
            tokio::select! {
                () = &mut stop => break,
                () = sleep_until(wake_at) => {}
                () = restored.wait() => {
                    self.must_read = true;
                    self.newest = 0;
                    lease.list_at_once();
                }
                event = lease.next() => match event {
                    Ok(event) => {
                        // The list may wait for a pause, so its start proves nothing.
                        watching |= matches!(event, Event::InitDone | Event::Apply(_) | Event::Delete(_));
                        self.observe_event(event);
                    }
                    Err(_) => watching = false,
                },
            }
        }
        self.release().await;
    }

    /// Does what is due, and returns when the next step is due.
    async fn advance(&mut self, watching: bool) -> Instant {
        let now = Instant::now();
        if self.fence.is_overdue(now) {
            self.lose("the renewal of the Lease is overdue");
        }
        if self.must_read && !self.refresh().await {
            return Instant::now() + RETRY;
        }
        let now = Instant::now();
        match step(self.seen.as_ref(), &self.me, self.seen_at, now) {
            Step::Wait(time) => now + if watching { time } else { self.poll_unless_held(time) },
            Step::Create | Step::Take | Step::Renew => {
                if self.write().await {
                    Instant::now()
                } else {
                    Instant::now() + RETRY
                }
            }
        }
    }

    /// Without a watch, a replica that does not lead reads the Lease at every retry.
    fn poll_unless_held(&mut self, time: std::time::Duration) -> std::time::Duration {
        self.must_read = self.fence.term().is_none();
        time.min(RETRY)
    }

    async fn refresh(&mut self) -> bool {
        let newest = self.newest;
        match within_timeout(self.api.get_opt(&self.name)).await {
            Ok(lease) => {
                self.must_read = false;
                self.compare(newest, lease.as_ref());
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
        let (sent, newest) = (Instant::now(), self.newest);
        // The content of the Lease is unknown until the answer is read. This holds also if this future is dropped.
        self.must_read = true;
        let lease = Record::held_by(self.seen.as_ref(), &self.name, &self.me, MicroTime(jiff::Timestamp::now()));
        let params = PostParams::default();
        let answer = match &self.seen {
            None => within_timeout(self.api.create(&params, &lease)).await,
            Some(_) => within_timeout(self.api.replace(&self.name, &params, &lease)).await,
        };
        match answer {
            Ok(lease) => {
                self.last_failure = None;
                self.must_read = false;
                self.compare(newest, Some(&lease));
                self.observe(Some(&lease), sent);
                // The time counts from the request, because the answer may be slow.
                if let Some(term) = self.fence.held_until(sent + RENEW_DEADLINE) {
                    info!(lease = %self.name, identity = %self.me, %term, "leading");
                }
                true
            }
            Err(error) => {
                // With 409, another replica was faster. After any other error, the write may have succeeded. So the
                // Lease is read before the next attempt.
                self.failed("write", &error);
                false
            }
        }
    }

    /// Logs each kind of failure once, and not at every retry.
    fn failed(&mut self, what: &str, error: &Error) {
        let cause = error.cause();
        if self.last_failure.replace(cause) != Some(cause) && cause != Cause::Conflict {
            warn!(lease = %self.name, reason = %cause, %error, "cannot {what} the Lease");
        }
    }

    fn observe_event(&mut self, event: Event<Lease>) {
        match event {
            Event::Apply(lease) | Event::InitApply(lease) => {
                self.is_listed = true;
                let version = version_of(Some(&lease));
                // The watch may show a version that this replica has overwritten since.
                if version == 0 || version >= self.newest {
                    self.observe(Some(&lease), Instant::now());
                }
            }
            // The Lease may have been created again since.
            Event::Delete(_) => self.must_read = true,
            Event::Init => self.is_listed = false,
            Event::InitDone => self.must_read |= !self.is_listed,
        }
    }

    /// Compares an answer with the newest version that was seen before the request was sent.
    fn compare(&mut self, newest: u64, lease: Option<&Lease>) {
        if self.restores.compare("Lease", newest, version_of(lease)) {
            self.newest = 0;
        }
    }

    fn observe(&mut self, lease: Option<&Lease>, at: Instant) {
        self.newest = self.newest.max(version_of(lease));
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
        if self.fence.term().is_some() && self.seen.as_ref().is_none_or(|record| record.holder != self.me) {
            self.lose("another replica holds the Lease");
        }
    }

    fn lose(&self, why: &str) {
        self.fence.close();
        warn!(lease = %self.name, identity = %self.me, "no longer leading, because {why}");
    }

    async fn release(&mut self) {
        self.fence.close();
        if self.must_read {
            self.refresh().await;
        }
        let held = self.seen.take().filter(|record| record.holder == self.me);
        let Some(record) = held else { return };
        let lease = record.released(&self.name, MicroTime(jiff::Timestamp::now()));
        match within_timeout(self.api.replace(&self.name, &PostParams::default(), &lease)).await {
            Ok(_) => info!(lease = %self.name, "released the Lease"),
            Err(error) => warn!(lease = %self.name, reason = %error.cause(), %error, "cannot release the Lease"),
        }
    }
}

/// The version of the Lease. Zero if there is none or if the version is not a number.
fn version_of(lease: Option<&Lease>) -> u64 {
    version(lease.and_then(|lease| lease.metadata.resource_version.as_deref()))
}

/// The election reads the Lease by itself while the watch has a problem, so it does not observe the connection.
struct Unobserved;

impl Observer for Unobserved {}

/// The unique name of this replica. It consists of the host name, which is the pod's name, and of a random part,
/// because the program may restart on the same host.
fn identity() -> String {
    use std::hash::{BuildHasher, RandomState};
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}_{random:016x}", if host.is_empty() { "toolset-controller" } else { host })
}

//! Restarts the agent's Deployment when that is due, and keeps the state for the status.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use crd_types::{Reload as ReloadMode, RestartOn};
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt as _;
use tokio::{sync::watch, time::Instant};
use toolset::{
    digest,
    render::AgentFile,
    status::{OutputState, ReloadState},
};
use tracing::{debug, info, warn};

use super::{
    outcome::Snapshot,
    reload::{Content, Due, Reload},
};
use crate::{
    api::{
        Cause, Error, NamespacedName, Writer,
        deployment::{self, Record},
        events::{About, Event, Events, Kind},
        fence::{Leadership, Term},
    },
    cluster::moment,
};

/// The hex digits of a variable's digest that are kept. Two variables with the same digits would have to meet in one
/// file to be confused.
const HASH_DIGITS: usize = 12;
/// How often a restart is repeated because the Deployment has changed since it was read.
const MOST_CONFLICTS: u32 = 5;
/// How long after a failed request the next attempt is made.
const RETRY: Duration = Duration::from_secs(30);

/// Restarts the agent of one ToolsetConfig.
pub(super) struct Reloader {
    /// The ToolsetConfig's name.
    pub(super) name: NamespacedName,
    pub(super) writer: Writer,
    pub(super) events: Events,
    pub(super) leadership: Leadership,
    pub(super) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// `None` until it is known.
    pub(super) state: watch::Sender<Option<ReloadState>>,
}

/// What is remembered of one Deployment during one term.
struct Memory {
    term: Term,
    deployment: NamespacedName,
    reload: Reload,
    /// The attempt that failed, until one of its kind succeeds. The status reports it until then, even between
    /// attempts.
    failure: Option<Failure>,
}

/// An attempt that failed.
struct Failure {
    attempt: Attempt,
    message: String,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Attempt {
    Read,
    /// A restart. It needs a successful read first.
    Restart,
}

impl Memory {
    /// The state of a restart that has not been made.
    fn pending(&self, message: String) -> ReloadState {
        match &self.failure {
            Some(failure) => ReloadState::Failed { message: failure.message.clone() },
            None => ReloadState::Pending { message },
        }
    }

    /// Forgets the failure that this success makes up for.
    fn succeeded(&mut self, attempt: Attempt) {
        self.failure.take_if(|failure| failure.attempt <= attempt);
    }
}

/// When the next step is due.
#[derive(Default)]
struct Next {
    at: Option<Instant>,
    /// The lease was not held. The request is made after the next renewal.
    refused: bool,
}

impl Reloader {
    /// Returns when no further snapshot can come.
    pub(super) async fn run(mut self) {
        let mut memory: Option<Memory> = None;
        let mut next = Next::default();
        loop {
            tokio::select! {
                changed = self.snapshots.changed() => if changed.is_err() { return },
                () = moment(next.at) => {}
                () = self.leadership.changed_or(next.refused) => {}
            }
            next = Next::default();
            let term = self.leadership.term();
            let snapshot = self.snapshots.borrow_and_update().clone();
            let Some(snapshot) = snapshot.filter(|snapshot| Some(snapshot.term) == term) else {
                (memory, _) = (None, self.state.send_replace(None));
                continue;
            };
            let state;
            // Boxed, so that a task at rest is small.
            (state, next) = Box::pin(self.advance(&mut memory, &snapshot)).await;
            self.state.send_replace(Some(state));
        }
    }

    /// Does what is due. Returns the state for the status, and when the next step is due.
    async fn advance(&self, memory: &mut Option<Memory>, snapshot: &Snapshot) -> (ReloadState, Next) {
        let consumer = &snapshot.config.spec.consumer;
        let (ReloadMode::RolloutRestart, Some(deployment)) = (consumer.reload, &consumer.deployment_ref) else {
            return (ReloadState::NotAsked, Next::default());
        };
        let deployment = self.name.sibling(&deployment.name);
        let memory = match memory {
            Some(memory) if memory.term == snapshot.term && memory.deployment == deployment => memory,
            old => old.insert(Memory { term: snapshot.term, deployment, reload: Reload::default(), failure: None }),
        };
        // During a hold, the agent still needs what was written before.
        let is_ours = matches!(snapshot.output, OutputState::Applied | OutputState::Held { .. });
        let (true, Some(file)) = (is_ours, snapshot.agent_file.as_deref()) else {
            let message = "The restart waits until the ConfigMap is up to date.".to_owned();
            return (memory.pending(message), Next::default());
        };
        let (content, on) = (content(file), snapshot.config.spec.restart_on());
        let interval = Duration::from_secs(u64::try_from(consumer.min_interval_seconds).unwrap_or_default());
        loop {
            let now = Instant::now();
            let (attempt, result) = match memory.reload.due(&content, on, interval, now) {
                Due::Nothing => {
                    memory.failure = None;
                    return (ReloadState::Current, Next::default());
                }
                Due::At(at) => {
                    let (name, cause) = (&memory.deployment.name, cause(on));
                    let message = format!(
                        "{cause}. The operator restarts Deployment {name} after 10 s without a further change, and not before consumer.minIntervalSeconds have passed since the last restart."
                    );
                    return (memory.pending(message), Next { at: Some(at), refused: false });
                }
                Due::Read => (Attempt::Read, self.read(memory, snapshot, &content).await),
                Due::Now => (Attempt::Restart, self.restart(memory, snapshot, &content).await),
            };
            match result {
                Ok(()) => memory.succeeded(attempt),
                Err(error) => return self.failed(memory, attempt, &error, now + RETRY),
            }
        }
    }

    /// Reads what the agent was last restarted with.
    async fn read(&self, memory: &mut Memory, snapshot: &Snapshot, wanted: &Content) -> Result<(), Error> {
        let agent = deployment::read(&self.writer, &memory.deployment).await?;
        let carried = match (agent.variables, started_with(snapshot, &agent.hash, agent.created)) {
            (Some(variables), _) => Content { hash: agent.hash, variables },
            (None, Some(known)) => {
                if !known.variables.is_empty() {
                    deployment::record(&self.writer, memory.term, &memory.deployment, &known.variables).await?;
                }
                known
            }
            (None, None) => Content { hash: agent.hash, variables: BTreeSet::new() },
        };
        let (carried_hash, wanted_hash) = (carried.hash.as_str(), wanted.hash.as_str());
        debug!(deployment = %memory.deployment, carried_hash, wanted_hash, "agent's Deployment read");
        memory.reload.observed(carried, agent.restarted_ago, Instant::now());
        Ok(())
    }

    async fn restart(&self, memory: &mut Memory, snapshot: &Snapshot, content: &Content) -> Result<(), Error> {
        let (on, mut conflicts) = (snapshot.config.spec.restart_on(), 0);
        let restarted = loop {
            match self.patch(memory, content, on).await {
                // The Deployment changed between the read and the restart.
                Err(error) if error.cause() == Cause::Conflict && conflicts < MOST_CONFLICTS => conflicts += 1,
                result => break result?,
            }
        };
        memory.reload.restarted(restarted, Instant::now());
        let hash = content.hash.as_str();
        let (namespace, name, deployment) = (&self.name.namespace, &self.name.name, &memory.deployment.name);
        info!(%namespace, %name, %deployment, hash, "agent restarted");
        self.events.send(Event {
            term: memory.term,
            about: About::Config { name: self.name.clone(), uid: snapshot.config.uid().unwrap_or_default() },
            kind: Kind::Normal,
            reason: "ConsumerReloaded",
            action: "Reload",
            note: format!("{}. The operator restarted Deployment {deployment}.", cause(on)),
            repeats: true,
        });
        Ok(())
    }

    /// Changes the pod template. Returns what it says then.
    async fn patch(&self, memory: &Memory, content: &Content, on: RestartOn) -> Result<Content, Error> {
        // Another ToolsetConfig may restart the same Deployment, so what it recorded has to stay.
        let agent = deployment::read(&self.writer, &memory.deployment).await?;
        let restarted = memory.reload.with(content, agent.variables);
        let record = Record {
            hash: (on == RestartOn::AnyChange).then_some(&*content.hash),
            variables: &restarted.variables,
            version: agent.version.as_deref(),
        };
        deployment::restart(&self.writer, memory.term, &memory.deployment, &record).await?;
        Ok(restarted)
    }

    fn failed(&self, memory: &mut Memory, attempt: Attempt, error: &Error, retry_at: Instant) -> (ReloadState, Next) {
        let reason = error.cause();
        if reason == Cause::NotLeading {
            let message = "The restart waits until this replica holds the Lease.".to_owned();
            return (memory.pending(message), Next { at: None, refused: true });
        }
        memory.reload.failed(retry_at);
        let (namespace, name, deployment) = (&self.name.namespace, &self.name.name, &memory.deployment.name);
        warn!(%namespace, %name, %deployment, %reason, %error, "cannot restart the agent");
        let cure = if reason == Cause::Forbidden { grant(&memory.deployment) } else { "It tries again.".to_owned() };
        let message = format!("The operator cannot restart Deployment {deployment}: {error}. {cure}");
        memory.failure = Some(Failure { attempt, message: message.clone() });
        (ReloadState::Failed { message }, Next { at: Some(retry_at), refused: false })
    }
}

/// What the agent of a Deployment without recorded variables was started with, if that is known. `hash` is the hash in
/// its pod template, and it was created at `created`.
fn started_with(snapshot: &Snapshot, hash: &str, created: Option<Timestamp>) -> Option<Content> {
    let found = snapshot.found.as_deref()?;
    // A release that did not record variables restarted the agent for this file.
    let by_an_earlier_release = !hash.is_empty() && found.hash == hash;
    let status = snapshot.config.status.as_ref().and_then(|status| status.output.as_ref());
    let last_change = status.and_then(|output| output.last_change_time.as_ref()).map(|time| time.0);
    // Its pods started after the file had its present content.
    let is_younger = hash.is_empty() && created.is_some() && last_change.is_some() && created > last_change;
    let unchanged = snapshot.agent_file.as_ref().is_some_and(|file| file.hash == found.hash);
    (by_an_earlier_release || is_younger && unchanged).then(|| content(found))
}

/// What a restart depends on. Names of variables can be long, so the annotation holds only the start of their digests.
fn content(file: &AgentFile) -> Content {
    let short = |name: &String| digest::of_parts([name.as_str()]).chars().take(HASH_DIGITS).collect();
    Content { hash: file.hash.clone(), variables: file.variables.iter().map(short).collect() }
}

/// Why a restart is due.
const fn cause(on: RestartOn) -> &'static str {
    match on {
        RestartOn::AnyChange => "The file changed",
        RestartOn::EnvironmentOnly => "The file refers to a new environment variable",
    }
}

/// How to allow the restart.
fn grant(deployment: &NamespacedName) -> String {
    let NamespacedName { namespace, name } = deployment;
    format!(
        "To allow the restart, add {{name: {name}, namespace: {namespace}}} to the Helm value rolloutRestart, or grant \
         the operator get and patch on this Deployment."
    )
}

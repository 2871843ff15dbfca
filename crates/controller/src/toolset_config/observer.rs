//! Asks the agent of one ToolsetConfig what it has loaded, when that is due, and keeps the result for the status.

use std::{
    future::pending,
    panic::resume_unwind,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crd_types::{Observe, Reason, ToolsetConfig};
use kube::runtime::watcher::Event;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use toolset::{
    config_map::{Ownership, ownership},
    render::{AgentFile, HOLMESGPT_KEY},
    status::{AgentReport, OutputState},
};
use tracing::{debug, info, warn};

use super::{
    observation::{Expected, Found, Observation, Published, Subject},
    outcome::Snapshot,
};
use crate::{
    agent::{
        round::{Agents, Question},
        view::Known,
        watched::{Backends, ReadyPods},
    },
    api::{
        Cause, Error, NamespacedName, Observer as WatchObserver, Writer,
        backends::{BackendSlice, watch_slices},
        fence::Leadership,
        restores::Restored,
        watching::{Problem, Watching},
    },
    cluster::{Cluster, moment},
    metrics::Metrics,
};

/// Observes the agent of one ToolsetConfig.
pub(super) struct Observer {
    /// The ToolsetConfig's name.
    pub(super) name: NamespacedName,
    pub(super) cluster: Arc<Cluster>,
    pub(super) agents: Arc<Agents>,
    pub(super) writer: Writer,
    pub(super) leadership: Leadership,
    pub(super) metrics: Arc<Metrics>,
    pub(super) snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    /// `None` until it is known.
    pub(super) state: watch::Sender<Option<AgentState>>,
}

/// What is known of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AgentState {
    /// The spec does not ask for it.
    NotObserved,
    Observed(AgentReport),
}

impl AgentState {
    pub(super) fn report(&self) -> Option<&AgentReport> {
        match self {
            Self::NotObserved => None,
            Self::Observed(report) => Some(report),
        }
    }
}

/// One agent, with what is under way.
struct Memory {
    observation: Observation,
    round: Round,
    watch: Option<PodWatch>,
    /// The file that was read back last, so that it is not read again and again.
    read_back: Option<(Arc<str>, Arc<AgentFile>)>,
}

/// A task of its own, because an answer can be large, and a large one must not delay the writes. It ends if this is dropped.
type Round = JoinSet<Result<Known, Error>>;

/// The watch that shows new Pods.
struct PodWatch {
    backends: Arc<Backends>,
    slices: Watching<BackendSlice>,
    failures: Failures,
    pods: ReadyPods,
    restored: Restored,
}

/// After how many failures in a row the watch does not show new Pods. There are pauses between them, so this takes about
/// a minute.
const BLIND: u32 = 5;

/// How often the watch has failed since it last worked.
#[derive(Clone, Debug, Default)]
struct Failures(Arc<AtomicU32>);

impl Failures {
    fn add(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }
}

impl WatchObserver for Failures {
    fn contact(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What happened to one agent.
enum Happened {
    Due,
    Answered(Result<Known, Error>),
    Slices(Box<Result<Event<BackendSlice>, Problem>>),
    Restored,
}

impl Observer {
    /// Returns when no further snapshot can come.
    pub(super) async fn run(mut self) {
        // Boxed, so that a task without an agent is small.
        let mut memory: Option<Box<Memory>> = None;
        loop {
            let happened = tokio::select! {
                changed = self.snapshots.changed() => match changed {
                    Ok(()) => None,
                    Err(_) => return,
                },
                () = self.leadership.changed() => None,
                happened = happened(memory.as_deref_mut()) => Some(happened),
            };
            match (happened, memory.as_deref_mut()) {
                (Some(happened), Some(memory)) => self.advance(memory, happened),
                _ => self.consider(&mut memory),
            }
            self.publish(memory.as_deref_mut());
        }
    }

    /// Takes the newest snapshot.
    fn consider(&mut self, memory: &mut Option<Box<Memory>>) {
        let term = self.leadership.term();
        let snapshot = self.snapshots.borrow_and_update().clone();
        let Some(snapshot) = snapshot.filter(|snapshot| Some(snapshot.term) == term) else {
            *memory = None;
            self.state.send_replace(None);
            return;
        };
        let consumer = &snapshot.config.spec.consumer;
        let (Observe::HolmesGPT, Some(service)) = (consumer.observe, &consumer.service_ref) else {
            *memory = None;
            self.set(AgentState::NotObserved);
            return;
        };
        let subject = Subject {
            term: snapshot.term,
            uid: snapshot.uid().to_owned(),
            service: service.clone(),
            version: consumer.agent_version.clone(),
        };
        let memory = match memory {
            Some(memory) if memory.observation.subject == subject => memory,
            old => {
                let status = self.cluster.toolset_configs.newest_status(&self.name, snapshot.uid());
                let found = status.map(|status| Found {
                    same_spec: status.observed_generation == snapshot.config.metadata.generation,
                    status,
                });
                old.insert(Box::new(Memory {
                    observation: Observation::new(subject, self.agents.timing(), found),
                    round: Round::new(),
                    watch: None,
                    read_back: None,
                }))
            }
        };
        let expected = self.expected(memory, &snapshot);
        let output = snapshot.rendered().filter(|_| snapshot.output.is_written()).map(|rendered| &*rendered.hash);
        memory.observation.expect(expected, output, Instant::now());
        self.follow(memory);
    }

    /// What the agent should have loaded, as the ConfigMap is now.
    fn expected(&self, memory: &mut Memory, snapshot: &Snapshot) -> Expected {
        let nothing = |reason, message: &str| Expected::Nothing { reason, message: message.to_owned() };
        let (reason, message) = match &snapshot.output {
            output if output.is_written() => {
                let file = snapshot.rendered().and_then(|rendered| rendered.agent_file.clone());
                let none =
                    "spec.output.formats does not contain HolmesGPT, so the ConfigMap contains no file for the agent.";
                return file.map_or_else(|| nothing(Reason::AgentBehind, none), Expected::File);
            }
            // The ConfigMap is left as it is, and the agent should have that.
            OutputState::Preview => return self.read_back(memory, &snapshot.config, Reason::Preview),
            OutputState::Held { .. } => return self.read_back(memory, &snapshot.config, Reason::InputStale),
            OutputState::Suspended => {
                return nothing(
                    Reason::Suspended,
                    "spec.mode is Suspended. The operator does not ask the agent what it has loaded.",
                );
            }
            OutputState::Conflict { .. } => (Reason::OutputConflict, "belongs to another owner or cannot be changed"),
            OutputState::Failed { .. } => (Reason::ApplyFailed, "cannot be written"),
            OutputState::Contested { .. } => (Reason::OutputContested, "is changed by another field manager"),
            OutputState::Terminating { .. } => (Reason::OutputTerminating, "is being deleted"),
            OutputState::Waiting | OutputState::Applied => (Reason::WaitingForInputs, "has not been written yet"),
        };
        nothing(
            reason,
            &format!("The ConfigMap {message}, so the operator does not compare it with what the agent has loaded."),
        )
    }

    fn read_back(&self, memory: &mut Memory, config: &ToolsetConfig, reason: Reason) -> Expected {
        let output = &config.spec.output;
        let state_of = |name: &str| self.cluster.config_maps.get(&self.name.sibling(name));
        // What others wrote must not reach the status.
        let ours = state_of(&output.config_map_name).filter(|state| state.owned.data.contains(HOLMESGPT_KEY));
        let view = ours.and_then(|state| state.view).filter(|view| ownership(config, view) == Ownership::Ours);
        let Some(text) = view.and_then(|view| view.data.get(HOLMESGPT_KEY).cloned()) else {
            let message = format!(
                "The ConfigMap has no key {HOLMESGPT_KEY} from this ToolsetConfig, so the agent has nothing to load."
            );
            return Expected::Nothing { reason, message };
        };
        if let Some((_, file)) = memory.read_back.as_ref().filter(|(read, _)| *read == text) {
            return Expected::File(file.clone());
        }
        let base = output.used_base().and_then(|base| {
            let view = state_of(&base.config_map_name)?.view?;
            view.data.get(&base.key).cloned()
        });
        match AgentFile::read_back(&text, base.as_deref()) {
            Ok(file) => {
                let file = Arc::new(file);
                memory.read_back = Some((text, file.clone()));
                Expected::File(file)
            }
            Err(why) => {
                let message = format!("The operator cannot read the key {HOLMESGPT_KEY} of the ConfigMap: {why}.");
                Expected::Nothing { reason, message }
            }
        }
    }

    /// Does what follows from what happened.
    fn advance(&self, memory: &mut Memory, happened: Happened) {
        let (namespace, name) = (&self.name.namespace, &self.name.name);
        let now = Instant::now();
        match happened {
            Happened::Due => self.begin(memory),
            Happened::Answered(answered) => {
                match answered {
                    Ok(known) => memory.observation.answered(known, now),
                    Err(error) => {
                        memory.observation.failed(now);
                        if error.cause() == Cause::NotLeading {
                            return;
                        }
                        warn!(%namespace, %name, reason = %error.cause(), %error, "cannot find the agent, trying again");
                    }
                }
                self.follow(memory);
            }
            Happened::Slices(result) => {
                let Some(watch) = &mut memory.watch else { return };
                match *result {
                    Ok(event) => {
                        if let Some(ready) = watch.pods.take(event, &watch.backends) {
                            watch.failures.contact();
                            memory.observation.sees_pods(true, now);
                            memory.observation.pods(ready, now);
                        }
                    }
                    Err(problem) => {
                        let (failures, reason, error) = (watch.failures.add(), problem.cause(), problem.message());
                        debug!(%namespace, %name, %reason, error, "the watch of the agent's Pods failed");
                        if failures == BLIND {
                            warn!(%namespace, %name, %reason, error, "cannot watch for new replicas of the agent");
                            memory.observation.sees_pods(false, now);
                            // Only a complete list shows what has happened in the meantime.
                            watch.slices.list_again();
                        }
                    }
                }
            }
            Happened::Restored => {
                if let Some(watch) = &mut memory.watch {
                    watch.slices.list_at_once();
                }
            }
        }
    }

    /// Begins a round.
    fn begin(&self, memory: &mut Memory) {
        let observation = &mut memory.observation;
        observation.round_begins();
        let Some(file) = observation.file() else { return };
        let question = Question {
            config: self.name.clone(),
            service: observation.subject.service.clone(),
            version: observation.subject.version.clone(),
            file: file.hash.clone(),
            wanted: file.entries.clone(),
            too_old: observation.too_old().clone(),
        };
        let (writer, term) = (self.writer.clone(), observation.subject.term);
        memory.round.spawn(self.agents.clone().ask(question, move || writer.holds(term)));
    }

    /// Watches for new Pods, as long as they are of interest.
    fn follow(&self, memory: &mut Memory) {
        let Some(backends) = memory.observation.follows().cloned() else {
            memory.watch = None;
            return;
        };
        // A watch of the same Service goes on.
        if memory.watch.as_ref().is_none_or(|watch| watch.backends != backends) {
            let service = self.name.sibling(&memory.observation.subject.service.name);
            let failures = Failures::default();
            memory.watch = Some(PodWatch {
                backends,
                slices: watch_slices(self.agents.client(), &service, failures.clone()),
                failures,
                pods: ReadyPods::default(),
                restored: self.cluster.restores.subscribe(),
            });
        }
    }

    /// Publishes the state, if it changed.
    fn publish(&self, memory: Option<&mut Memory>) {
        let Some(memory) = memory else { return self.metrics.agent(&self.name, None) };
        let (Published { report, lag, by_state }, changed) = memory.observation.publish();
        self.metrics.agent(&self.name, Some((lag, by_state)));
        if changed {
            let (namespace, name, reason) = (&self.name.namespace, &self.name.name, report.reason.as_str());
            info!(%namespace, %name, reason, message = %report.message, "what the agent has loaded");
        }
        self.set(AgentState::Observed(report));
    }

    fn set(&self, state: AgentState) {
        self.state.send_if_modified(|old| {
            let changed = old.as_ref() != Some(&state);
            *old = Some(state);
            changed
        });
    }
}

/// Waits for what happens to an agent. Never returns without one.
async fn happened(memory: Option<&mut Memory>) -> Happened {
    let Some(Memory { observation, round, watch, .. }) = memory else { return pending().await };
    // One round at a time.
    let due = observation.due().filter(|_| round.is_empty());
    let answered = async {
        match round.join_next().await {
            Some(Ok(known)) => known,
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // It is cancelled only together with this.
                Err(_) => pending().await,
            },
            None => pending().await,
        }
    };
    let changed = async {
        match watch {
            Some(PodWatch { slices, restored, .. }) => tokio::select! {
                event = slices.next() => Happened::Slices(Box::new(event)),
                () = restored.wait() => Happened::Restored,
            },
            None => pending().await,
        }
    };
    tokio::select! {
        known = answered => Happened::Answered(known),
        happened = changed => happened,
        () = moment(due) => Happened::Due,
    }
}

//! One look at one ToolsetConfig: from what is known to what is written. Nothing carries over from one look to the next
//! but timers, so a look can be skipped, repeated or lost.

use std::{convert::Infallible, sync::Arc};

use crd_types::{ConflictPolicy, DeletionPolicy, Mode, ToolsetConfig};
use kube::{Api, Resource, ResourceExt, core::PartialObjectMeta, runtime::controller::Action};
use serde_json::Value;
use tokio::time::Instant;
use toolset::{
    ConfigMapView, Context, Drift, Ownership, Rendered,
    manifest::{config_map, drift, ownership},
    status::OutputState,
};
use tracing::{info, warn};

use crate::{
    apply,
    brake::retry_after,
    client::within_timeout,
    error::{Cause, Error},
    events::Events,
    gate::{self, Gate, Verdict},
    inputs::Cached,
    metrics::{Looked, Operation},
    object::ObjectName,
    planning::{self, Planned},
    report,
    work::{LastApplied, Work},
    world::World,
    writer::Writer,
};

/// How long a ToolsetConfig may wait for its inputs before its status says so: a start is no news.
const QUIET_WAIT: std::time::Duration = std::time::Duration::from_secs(2);

/// What a look needs.
pub struct Reconciler {
    /// What is known.
    pub world: Arc<World>,
    /// The way to the API server.
    pub writer: Writer,
    /// The way to Events.
    pub events: Events,
}

/// What a look found and did.
#[derive(Debug)]
pub struct Outcome {
    /// What was planned, if anything could be.
    pub planned: Option<Planned>,
    /// What became of the output.
    pub output: OutputState,
    /// How the look is counted.
    pub looked: Looked,
    /// When to look again if nothing happens until then.
    pub again: Option<Instant>,
    /// Whether the status is to be left alone.
    pub silent: bool,
}

impl Outcome {
    fn new(output: OutputState, looked: Looked) -> Self {
        Self { planned: None, output, looked, again: None, silent: false }
    }

    fn held(output: OutputState) -> Self {
        Self::new(output, Looked::Held)
    }

    fn again_at(mut self, at: Option<Instant>) -> Self {
        self.again = soonest(self.again, at);
        self
    }
}

/// The earlier of two times that may not be.
pub fn soonest(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}

/// What the controller calls; everything that can go wrong ends in the status and a later look.
pub async fn reconcile(config: Arc<ToolsetConfig>, reconciler: Arc<Reconciler>) -> Result<Action, Infallible> {
    Ok(reconciler.look(&config).await)
}

impl Reconciler {
    async fn look(&self, config: &ToolsetConfig) -> Action {
        let name = ObjectName::of(config);
        let started = Instant::now();
        // Writing for what is being deleted would fight the garbage collector.
        if !self.world.is_leading() || config.metadata.deletion_timestamp.is_some() {
            return Action::await_change();
        }
        let work = self.world.configs.work(&name);
        let mut work = work.lock().await;
        if let Some(wait) = work.coalesce.wait(started) {
            return Action::requeue(wait);
        }
        let received = self.world.wakes.take(&name);
        let verdict = gate::decide(config, &self.world.inputs, started);
        let mut outcome = self.output(config, &name, &mut work, &verdict, received, started).await;
        if !outcome.silent {
            let again = report::report(self, config, &name, &mut work, &verdict, &outcome).await;
            outcome = outcome.again_at(again);
        }
        self.world.metrics.looked(outcome.looked, started.elapsed());
        match outcome.again {
            None => Action::await_change(),
            Some(at) => Action::requeue(at.saturating_duration_since(Instant::now())),
        }
    }

    /// Plans, and writes what is to be written.
    async fn output(
        &self,
        config: &ToolsetConfig,
        name: &ObjectName,
        work: &mut Work,
        verdict: &Verdict,
        received: Option<Instant>,
        now: Instant,
    ) -> Outcome {
        if config.spec.mode == Mode::Suspended {
            return Outcome::held(OutputState::Suspended);
        }
        let target = ObjectName { name: config.spec.output.config_map_name.as_str().into(), ..name.clone() };
        if verdict.gate == Gate::Shut {
            return wait_for_inputs(work, verdict, now);
        }
        work.waiting_since = None;
        let Some(existing) = self.world.config_maps.get(&target) else {
            return wait_for_inputs(work, verdict, now);
        };
        let planned = planning::plan(&self.world, config, name, work, &existing, verdict, now);
        let recheck = planned.recheck_at;
        let mut outcome = match self.refusal(config, verdict) {
            Some(OutputState::Held { message }) if existing.view.is_none() => {
                self.restore(config, &target, work, message, now).await
            }
            Some(output) => Outcome::held(output),
            None => self.settle(config, &target, work, &existing, &planned.rendered, received, now).await,
        };
        outcome.planned = Some(planned);
        outcome.again_at(recheck)
    }

    /// Why nothing may be written, whatever the ConfigMap looks like.
    fn refusal(&self, config: &ToolsetConfig, verdict: &Verdict) -> Option<OutputState> {
        if config.spec.mode == Mode::Preview {
            return Some(OutputState::Preview);
        }
        if let Some(older) = self.older_rival(config) {
            let message = format!(
                "ToolsetConfig {older} is older and writes ConfigMap {}; give one of them another output.configMapName",
                config.spec.output.config_map_name
            );
            return Some(OutputState::Conflict { message });
        }
        if verdict.gate == Gate::Held {
            for (input, state) in &verdict.states {
                match state {
                    toolset::status::InputState::Forbidden { .. } => self.world.metrics.held(*input, true),
                    toolset::status::InputState::Stale { .. } => self.world.metrics.held(*input, false),
                    _ => {}
                }
            }
            return Some(OutputState::Held {
                message: "the ConfigMap is held as it is until the inputs recover".to_owned(),
            });
        }
        None
    }

    /// The ToolsetConfig that writes the same ConfigMap and goes before this one: the older, then the lesser name.
    fn older_rival(&self, config: &ToolsetConfig) -> Option<String> {
        let rank = |config: &ToolsetConfig| {
            (config.metadata.creation_timestamp.as_ref().map(|time| time.0), config.name_any())
        };
        let (mine, rivals) = (rank(config), self.world.configs.all());
        rivals
            .iter()
            .filter(|other| {
                other.metadata.namespace == config.metadata.namespace
                    && other.metadata.deletion_timestamp.is_none()
                    && other.spec.output.config_map_name == config.spec.output.config_map_name
            })
            .filter(|other| rank(other) < mine)
            .min_by_key(|other| rank(other))
            .map(|other| other.name_any())
    }

    /// During a hold a ConfigMap that somebody deletes comes back as this process last wrote it, or stays away.
    async fn restore(
        &self,
        config: &ToolsetConfig,
        target: &ObjectName,
        work: &mut Work,
        message: String,
        now: Instant,
    ) -> Outcome {
        let Some(last) = work.applied.clone() else {
            let message = format!("{message}; it does not exist, and this process has not written it yet");
            return Outcome::held(OutputState::Held { message });
        };
        if let Some(due) = work.brake.wait_until(now) {
            return Outcome::held(OutputState::Held { message }).again_at(Some(due));
        }
        self.world.metrics.drifted();
        let outcome = self.write(config, target, work, last, Operation::Repair, None, None).await;
        match outcome.output {
            OutputState::Applied => Outcome { output: OutputState::Held { message }, ..outcome },
            _ => outcome,
        }
    }

    /// Compares, and writes the difference.
    #[allow(clippy::too_many_arguments, reason = "one look's facts, each used once")]
    async fn settle(
        &self,
        config: &ToolsetConfig,
        target: &ObjectName,
        work: &mut Work,
        existing: &Cached,
        rendered: &Rendered,
        received: Option<Instant>,
        now: Instant,
    ) -> Outcome {
        let view = existing.view.as_deref();
        // Its deletion is under way; the event of its end wakes us.
        if view.is_some_and(|view| view.terminating) {
            return Outcome { silent: true, ..Outcome::held(OutputState::Waiting) };
        }
        let whose = view.map_or(Ownership::Ours, |view| ownership(config, view));
        let adopts = match whose {
            Ownership::Ours => false,
            Ownership::Predecessor => true,
            Ownership::Stranger { .. } if config.spec.output.conflict_policy == ConflictPolicy::Adopt => true,
            Ownership::Stranger { who } => {
                let message = format!(
                    "ConfigMap {} belongs to {who}; set output.conflictPolicy: Adopt to take it over, or choose another \
                     output.configMapName",
                    target.name
                );
                return Outcome::held(OutputState::Conflict { message });
            }
        };
        let found = match view {
            None => Some(Drift::Missing),
            Some(view) => drift(config, &comparable(view, existing, rendered), rendered),
        };
        let Some(found) = found else {
            work.brake.unneeded(now);
            work.failures = 0;
            remember(config, work, rendered, &self.world.cluster_domain);
            return match work.brake.over_at() {
                Some(over) => contested(target, view, None).again_at(Some(over)),
                None => Outcome::new(OutputState::Applied, Looked::Unchanged),
            };
        };
        let repair = work.applied.as_ref().is_some_and(|applied| applied.hash == rendered.hash) && !adopts;
        if repair {
            if work.drifted_at.replace(existing.version()) != Some(existing.version()) {
                self.world.metrics.drifted();
            }
            if let Some(due) = work.brake.wait_until(now) {
                return contested(target, view, Some(due - now)).again_at(Some(due));
            }
            if found == Drift::Missing && !self.still_wanted(config).await {
                return Outcome { silent: true, ..Outcome::held(OutputState::Waiting) };
            }
        }
        let operation = match view {
            _ if adopts => Operation::Adopt,
            _ if repair => Operation::Repair,
            None => Operation::Create,
            Some(_) => Operation::Update,
        };
        if let (true, Some(view)) = (adopts, view)
            && let Err(error) = apply::disown_others(&self.writer, target, &view.uid).await
        {
            return failed(target, work, &error, Instant::now());
        }
        let ctx = Context { config, cluster_domain: &self.world.cluster_domain };
        let last = LastApplied {
            hash: rendered.hash.clone(),
            data: rendered.data.clone(),
            object: config_map(&ctx, rendered, None),
        };
        let mut outcome = self.write(config, target, work, last, operation, view, received).await;
        if outcome.looked == Looked::Applied {
            let (namespace, config_map) = (&target.namespace, &target.name);
            info!(
                %namespace, name = %config.name_any(), %config_map, operation = operation.as_str(), found = ?found,
                tools = rendered.entries, bytes = rendered.bytes, hash = %rendered.hash, "ConfigMap applied"
            );
            if let Some(over) = work.brake.over_at() {
                outcome = Outcome { looked: Looked::Applied, ..contested(target, view, None) }.again_at(Some(over));
            }
        }
        outcome
    }

    /// The one place from which the ConfigMap is written.
    #[allow(clippy::too_many_arguments, reason = "one write's facts, each used once")]
    async fn write(
        &self,
        config: &ToolsetConfig,
        target: &ObjectName,
        work: &mut Work,
        last: LastApplied,
        operation: Operation,
        onto: Option<&ConfigMapView>,
        received: Option<Instant>,
    ) -> Outcome {
        work.coalesce.writes(Instant::now());
        let object = with_uid(last.object.clone(), onto);
        match apply::apply(&self.writer, target, &object).await {
            Ok(applied) => {
                let now = Instant::now();
                self.world.config_maps.offer(target, &applied);
                self.world.metrics.applied(operation, received.map(|received| now - received));
                if operation == Operation::Repair {
                    work.brake.repaired(now);
                }
                work.applied = Some(last);
                work.failures = 0;
                Outcome::new(OutputState::Applied, Looked::Applied)
            }
            Err(error) => {
                self.world.wakes.put_back(&ObjectName::of(config), received);
                failed(target, work, &error, Instant::now())
            }
        }
    }

    /// Asks whether the ToolsetConfig is still there: its ConfigMap may be gone because it is, and the two watches may
    /// tell in either order.
    async fn still_wanted(&self, config: &ToolsetConfig) -> bool {
        if config.spec.output.deletion_policy == DeletionPolicy::Orphan {
            return true;
        }
        let namespace = config.namespace().unwrap_or_default();
        let api: Api<PartialObjectMeta<ToolsetConfig>> = Api::namespaced(self.writer.client(), &namespace);
        match within_timeout(api.get_opt(&config.name_any())).await {
            Ok(Some(live)) => live.uid() == config.uid() && live.meta().deletion_timestamp.is_none(),
            Ok(None) => false,
            // Whatever hinders this hinders the write too, and is told there.
            Err(_) => true,
        }
    }
}

fn wait_for_inputs(work: &mut Work, verdict: &Verdict, now: Instant) -> Outcome {
    let since = *work.waiting_since.get_or_insert(now);
    let refused = verdict.states.values().any(|state| matches!(state, toolset::status::InputState::Forbidden { .. }));
    let silent = !refused && now < since + QUIET_WAIT;
    let again = silent.then_some(since + QUIET_WAIT);
    let output = if refused {
        OutputState::Held { message: "nothing is written before every required input has been listed once".to_owned() }
    } else {
        OutputState::Waiting
    };
    Outcome { again, silent, ..Outcome::held(output) }
}

/// A key that can be ours but is not asked for, and that we do not own, belongs to somebody else: it stays.
fn comparable(view: &ConfigMapView, existing: &Cached, rendered: &Rendered) -> ConfigMapView {
    let mut view = view.clone();
    view.data.retain(|key, _| {
        rendered.data.contains_key(key)
            || existing.owned.contains(key)
            || !toolset::render::DATA_KEYS.contains(&key.as_str())
    });
    view
}

/// After a restart the ConfigMap may be as it should be without our doing; from now on a difference is drift.
fn remember(config: &ToolsetConfig, work: &mut Work, rendered: &Rendered, cluster_domain: &str) {
    if work.applied.as_ref().is_none_or(|applied| applied.hash != rendered.hash) {
        let ctx = Context { config, cluster_domain };
        work.applied = Some(LastApplied {
            hash: rendered.hash.clone(),
            data: rendered.data.clone(),
            object: config_map(&ctx, rendered, None),
        });
    }
}

fn with_uid(mut object: Value, onto: Option<&ConfigMapView>) -> Value {
    if let Some(view) = onto {
        object["metadata"]["uid"] = Value::String(view.uid.clone());
    }
    object
}

fn contested(target: &ObjectName, view: Option<&ConfigMapView>, wait: Option<std::time::Duration>) -> Outcome {
    let who = match view {
        None => "somebody keeps deleting it".to_owned(),
        Some(view) if view.other_managers.is_empty() => "another writer keeps changing it back".to_owned(),
        Some(view) => format!("field manager {} keeps changing it back", view.other_managers.join(", ")),
    };
    let message = format!("ConfigMap {}: {who}; repairs wait longer and longer until it stops", target.name);
    let looked = if wait.is_some() { Looked::Held } else { Looked::Unchanged };
    Outcome::new(OutputState::Contested { message }, looked)
}

/// A request failed: say it, and try again later.
fn failed(target: &ObjectName, work: &mut Work, error: &Error, now: Instant) -> Outcome {
    let cause = error.cause();
    match cause {
        // On its way out with its namespace, or another replica's business: nobody's error.
        Cause::Terminating | Cause::NotFound | Cause::NotLeading => {
            return Outcome { silent: true, ..Outcome::held(OutputState::Waiting) };
        }
        _ => {}
    }
    work.failures = work.failures.saturating_add(1);
    let again = Some(now + retry_after(work.failures));
    let (namespace, config_map) = (&target.namespace, &target.name);
    // Somebody replaced it between our look and our write; the watch is about to say so.
    if cause == Cause::Conflict && work.failures == 1 {
        info!(%namespace, %config_map, reason = %cause, %error, "ConfigMap changed while it was written, looking again");
        return Outcome { silent: true, ..Outcome::new(OutputState::Waiting, Looked::Failed) }.again_at(again);
    }
    warn!(%namespace, %config_map, reason = %cause, %error, failures = work.failures, "cannot write the ConfigMap, trying again");
    let message = format!("ConfigMap {} cannot be written: {error}", target.name);
    Outcome::new(OutputState::Failed { message }, Looked::Failed).again_at(again)
}

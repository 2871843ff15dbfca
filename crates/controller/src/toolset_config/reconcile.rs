//! One look at one ToolsetConfig: gate, plan, decide, carry out, report. Nothing carries over from one look to the next but
//! timers and memory of what was written, so a look can be skipped, repeated or lost.

use std::{convert::Infallible, sync::Arc, time::Duration};

use crd_types::{Mode, ToolsetConfig};
use kube::runtime::controller::Action;
use serde_json::Value;
use tokio::time::Instant;
use toolset::{
    Context,
    manifest::config_map,
    status::{InputState, OutputState},
};

use crate::{
    decision::{self, Decision, Facts},
    events::Events,
    gate::{self, Gate, Verdict},
    inputs::Cached,
    metrics::Looked,
    object::ObjectName,
    output::{Output, contested},
    planning::{self, Planned},
    report,
    work::Work,
    world::World,
    writer::Writer,
};

/// How long a ToolsetConfig may wait for its inputs before its status says so: a start is no news.
const QUIET_WAIT: Duration = Duration::from_secs(2);

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
    /// An outcome that is to be told.
    pub fn new(output: OutputState, looked: Looked) -> Self {
        Self { planned: None, output, looked, again: None, silent: false }
    }

    /// Nothing was to be written, or nothing might be.
    pub fn held(output: OutputState) -> Self {
        Self::new(output, Looked::Held)
    }

    /// Nothing came of it, and the status has nothing to say about it.
    pub fn silent() -> Self {
        Self { silent: true, ..Self::held(OutputState::Waiting) }
    }

    /// Looks again at that time, too.
    pub fn again_at(mut self, at: Option<Instant>) -> Self {
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
        let mut outcome = self.settle(config, &name, &mut work, &verdict, received).await;
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

    /// Plans, decides and writes.
    async fn settle(
        &self,
        config: &ToolsetConfig,
        name: &ObjectName,
        work: &mut Work,
        verdict: &Verdict,
        received: Option<Instant>,
    ) -> Outcome {
        let now = Instant::now();
        if config.spec.mode == Mode::Suspended {
            return Outcome::held(OutputState::Suspended);
        }
        let target = ObjectName { name: config.spec.output.config_map_name.as_str().into(), ..name.clone() };
        let existing = self.world.config_maps.get(&target).filter(|_| verdict.gate != Gate::Shut);
        let Some(existing) = existing else { return wait_for_inputs(work, verdict, now) };
        work.waiting_since = None;
        let planned = planning::plan(&self.world, config, name, work, &existing, verdict, now);
        let ctx = Context { config, cluster_domain: &self.world.cluster_domain };
        let object = config_map(&ctx, &planned.rendered, None);
        let all = self.world.configs.all();
        let decision = decision::decide(&Facts {
            config,
            gate: verdict.gate,
            older_rival: decision::older_rival(config, all.iter().map(AsRef::as_ref)),
            existing: &existing,
            rendered: &planned.rendered,
            object: &object,
            last: work.applied.as_ref(),
        });
        let output = Output { reconciler: self, config, name, target: &target, received, now };
        let recheck_at = planned.recheck_at;
        let mut outcome = self.carry_out(decision, &output, work, verdict, &existing, &planned, object).await;
        outcome.planned = Some(planned);
        outcome.again_at(recheck_at)
    }

    #[allow(clippy::too_many_arguments, reason = "one look's facts, handed on once")]
    async fn carry_out(
        &self,
        decision: Decision,
        output: &Output<'_>,
        work: &mut Work,
        verdict: &Verdict,
        existing: &Cached,
        planned: &Planned,
        object: Value,
    ) -> Outcome {
        if verdict.gate == Gate::Held {
            self.count_hold(verdict);
        }
        match decision {
            Decision::Leave(state) => Outcome::held(state),
            Decision::AwaitEnd => Outcome::silent(),
            Decision::Restore => output.restore(work).await,
            Decision::Nothing => {
                work.brake.unneeded(output.now);
                work.failures = 0;
                // After a restart it may be as it should be without our doing; from now on a difference is drift.
                work.applied = Some(object);
                match work.brake.over_at() {
                    Some(over) => {
                        let state = contested(output.target, existing.view.as_deref());
                        Outcome::new(state, Looked::Unchanged).again_at(Some(over))
                    }
                    None => Outcome::new(OutputState::Applied, Looked::Unchanged),
                }
            }
            Decision::Write { operation, found } => {
                output.write(work, existing, &planned.rendered, object, operation, &found).await
            }
        }
    }

    fn count_hold(&self, verdict: &Verdict) {
        for (input, state) in &verdict.states {
            match state {
                InputState::Forbidden { .. } => self.world.metrics.held(*input, true),
                InputState::Stale { .. } => self.world.metrics.held(*input, false),
                InputState::Pending | InputState::Synced => {}
            }
        }
    }
}

fn wait_for_inputs(work: &mut Work, verdict: &Verdict, now: Instant) -> Outcome {
    let since = *work.waiting_since.get_or_insert(now);
    if verdict.states.values().any(|state| matches!(state, InputState::Forbidden { .. })) {
        let message = "nothing is written before every required input has been listed once".to_owned();
        return Outcome::held(OutputState::Held { message });
    }
    if now < since + QUIET_WAIT {
        return Outcome::silent().again_at(Some(since + QUIET_WAIT));
    }
    Outcome::held(OutputState::Waiting)
}

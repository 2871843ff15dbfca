//! The one way from the index to the bytes of the `ConfigMap`: select, judge health, plan, render. The controller, the
//! command line, the tests and the benchmarks call it.

use std::{collections::BTreeSet, time::Duration};

use crd_types::ToolsetConfig;
use detectors::ServiceKey;

use crate::{
    health::{HealthReport, HealthStage, HealthTime, Probed},
    index::Index,
    plan::{Plan, plan},
    render::{Base, Before, Earlier, Rendered, render},
    select::{Context, candidate::Selection, remembered::Memory, select},
    wanted,
};

/// All that a plan and its bytes depend on.
pub struct Input<'a> {
    /// The `ToolsetConfig`.
    pub config: &'a ToolsetConfig,
    /// The domain of Service names, e.g. `cluster.local`.
    pub cluster_domain: &'a str,
    /// What is known of the cluster.
    pub index: &'a Index,
    /// Which Services can be tools. `None` means all. While an input cannot be seen, only those can be tools that are in
    /// the `ConfigMap`.
    pub admits: Option<&'a dyn Fn(&ServiceKey) -> bool>,
    /// How a Service is in the output, if its Pods count and are not known. Its entry keeps what only they can show.
    pub remembered: Option<Memory<'a>>,
    /// What is known of health.
    pub health: HealthInput<'a>,
    /// The text under [`LEGACY_OVERRIDES_KEY`](crate::config_map::LEGACY_OVERRIDES_KEY) of the `ConfigMap`, if there is
    /// one.
    pub legacy_overrides: Option<&'a str>,
    /// The user's own toolsets, if the spec names any.
    pub base: Option<Base<'a>>,
    /// The file for Grafana that was written before, if there is one. What is no longer in it is named for deletion.
    pub previous: Option<Earlier<'a>>,
}

/// Where health comes from.
pub enum HealthInput<'a> {
    /// EndpointSlices are not observed, so the health of every tool is unknown and no tool is withheld or waits.
    Unobserved,
    /// EndpointSlices exist, but they cannot be read. The health of every tool is unknown, and Tenants' tools wait for
    /// their EndpointSlices.
    Unreadable,
    /// The index holds the EndpointSlices.
    Observed {
        /// What is remembered from one run to the next. One per `ToolsetConfig`.
        stage: &'a mut HealthStage,
        /// Reads the clock of a namespace. Every run uses the same clocks.
        time: &'a dyn Fn(&str) -> HealthTime,
        /// Reads which Services the `ConfigMap` names, see [`in_output`](crate::health::in_output). Called only if a tool is
        /// unhealthy or comes from a Tenant.
        in_output: &'a dyn Fn() -> BTreeSet<ServiceKey>,
        /// Reads what the probes of a Service show. `None` if nobody probes. Then mode Probe is the same as mode Endpoints.
        probed: Option<&'a dyn Fn(&ServiceKey) -> Probed>,
    },
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which candidates are tools, and why the others are not.
    pub plan: Plan,
    /// What the `ConfigMap` is to hold.
    pub rendered: Rendered,
    /// After how long the next grace period or wait ends. Run again then.
    pub recheck_in: Option<Duration>,
}

/// The intermediate results of a run, to explain a plan.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Every candidate, before health, overrides and ranking.
    pub selection: Selection,
    /// The health of the chosen ones.
    pub health: HealthReport,
}

/// Runs the pipeline.
pub fn run(input: Input<'_>) -> Outcome {
    compose(input, |_, _| ()).0
}

/// Runs the pipeline and keeps the intermediate results.
pub fn run_with_trace(input: Input<'_>) -> (Outcome, Trace) {
    compose(input, |selection, health| Trace { selection: selection.clone(), health: health.clone() })
}

fn compose<T>(input: Input<'_>, keep: impl FnOnce(&Selection, &HealthReport) -> T) -> (Outcome, T) {
    let Input { config, cluster_domain, index, admits, remembered, health, legacy_overrides, base, previous } = input;
    let ctx = Context { config, cluster_domain };
    let selection = select(&ctx, index, remembered, admits);
    let health = match health {
        HealthInput::Unobserved => HealthReport::unknown(),
        HealthInput::Unreadable => HealthReport::without_slices(&selection),
        HealthInput::Observed { stage, time, in_output, probed } => {
            let spec = crd_types::Health { effect: config.spec.health_effect(), ..config.spec.health.clone() };
            stage.judge(time, &spec, (&selection, index), in_output, probed)
        }
    };
    let kept = keep(&selection, &health);
    let mut plan = plan(&ctx, index, selection, &health, legacy_overrides);
    let unseen = |namespace: &str| previous.is_some_and(|earlier| (earlier.unseen)(namespace));
    let fate = |key: &ServiceKey| wanted::fate(config, index, &unseen, key);
    let before = Before { earlier: previous, fate: &fate, can_fill: None };
    let rendered = render(config, &mut plan, base, Some(&before));
    (Outcome { plan, rendered, recheck_in: health.recheck_in }, kept)
}

//! The one way from the index to the bytes of the `ConfigMap`: select, judge health, plan, render. The controller, the
//! command line, the tests and the benchmarks call it.

use std::{collections::BTreeSet, time::Duration};

use crd_types::ToolsetConfig;
use detectors::ServiceKey;

use crate::{
    health::{HealthReport, HealthStage},
    index::Index,
    plan::{Plan, plan},
    render::{Base, Rendered, render},
    select::{Context, candidate::Selection, select},
};

/// All that a plan and its bytes depend on.
pub struct Input<'a> {
    /// The `ToolsetConfig`.
    pub config: &'a ToolsetConfig,
    /// The domain of Service names, e.g. `cluster.local`.
    pub cluster_domain: &'a str,
    /// What is known of the cluster.
    pub index: &'a Index,
    /// What is known of health.
    pub health: HealthInput<'a>,
    /// The text under [`LEGACY_OVERRIDES_KEY`](crate::config_map::LEGACY_OVERRIDES_KEY) of the `ConfigMap`, if there is
    /// one.
    pub legacy_overrides: Option<&'a str>,
    /// The user's own toolsets, if the spec names any.
    pub base: Option<Base<'a>>,
}

/// Where health comes from.
pub enum HealthInput<'a> {
    /// EndpointSlices are not observed, so the health of every tool is unknown and no tool is withheld.
    Unobserved,
    /// The index holds the EndpointSlices.
    Observed {
        /// What is remembered from one run to the next. One per `ToolsetConfig`.
        stage: &'a mut HealthStage,
        /// Now, on any monotonic clock. Every run uses the same clock.
        now: Duration,
        /// Reads which Services the `ConfigMap` names, see [`in_output`](crate::health::in_output). Called only if a tool is
        /// unhealthy.
        in_output: &'a dyn Fn() -> BTreeSet<ServiceKey>,
    },
}

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which candidates are tools, and why the others are not.
    pub plan: Plan,
    /// What the `ConfigMap` is to hold.
    pub rendered: Rendered,
    /// When the next grace period ends, on the clock of the input. Run again then.
    pub recheck_at: Option<Duration>,
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
    let Input { config, cluster_domain, index, health, legacy_overrides, base } = input;
    let ctx = Context { config, cluster_domain };
    let selection = select(&ctx, index);
    let health = match health {
        HealthInput::Unobserved => HealthReport::unknown(),
        HealthInput::Observed { stage, now, in_output } => {
            stage.judge(now, &config.spec.health, &selection, index, in_output)
        }
    };
    let kept = keep(&selection, &health);
    let mut plan = plan(&ctx, index, selection, &health, legacy_overrides);
    let rendered = render(config, &mut plan, base);
    (Outcome { plan, rendered, recheck_at: health.recheck_at }, kept)
}

//! The status, computed from the plan and what became of it. It is merged with the old one, so that it does not change
//! without a reason.

mod conditions;
mod input;
mod lists;

use crd_types::{ConditionType, Mode, OutputStatus, ToolsetConfig, ToolsetConfigStatus};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

pub use self::{
    input::{AgentReport, Input, InputState, Inputs, Observed, OutputState, ReloadState, required_inputs},
    lists::{MAX_REJECTED, MAX_TOOLS},
};
use crate::render::Rendered;

/// The new status. If nothing changed, it is the same as `old` by [`same_status`], and need not be written.
pub fn status(
    config: &ToolsetConfig,
    old: Option<&ToolsetConfigStatus>,
    observed: &Observed<'_>,
) -> ToolsetConfigStatus {
    let mut status = old.cloned().unwrap_or_default();
    status.observed_generation = config.metadata.generation;
    let report = observed.plan.filter(|_| config.spec.mode != Mode::Suspended);
    if let Some(plan) = report {
        lists::fill(&mut status, plan);
    } else if let Some(left) = observed.left {
        lists::keep(&mut status, config, left);
    }
    if let (true, Some(rendered)) = (observed.output.is_written(), observed.rendered) {
        status.output = Some(output(config, status.output.take(), rendered, observed.now));
    }
    status.agent = observed.agent.and_then(|agent| agent.status.clone());
    let generation = config.metadata.generation;
    status.conditions = conditions::all(config, observed, old)
        .map(|pending| {
            let before = old.and_then(|old| conditions::find(&old.conditions, pending.type_));
            pending.finish(before, generation, observed.now)
        })
        .collect();
    status
}

fn output(config: &ToolsetConfig, old: Option<OutputStatus>, rendered: &Rendered, now: Timestamp) -> OutputStatus {
    let unchanged = old.filter(|old| *old.hash == *rendered.hash);
    OutputStatus {
        config_map: config.spec.output.config_map_name.clone(),
        hash: rendered.hash.to_string(),
        bytes: i64::try_from(rendered.bytes).unwrap_or(i64::MAX),
        entries: lists::count(rendered.entries),
        last_change_time: unchanged.and_then(|old| old.last_change_time).or(Some(Time(now))),
    }
}

/// Whether two statuses are the same in what the operator writes. Conditions of other types belong to somebody else, so
/// a status that differs only in them need not be written.
pub fn same_status(a: &ToolsetConfigStatus, b: &ToolsetConfigStatus) -> bool {
    let ToolsetConfigStatus {
        observed_generation,
        conditions,
        summary,
        detectors,
        tools,
        rejected,
        truncated,
        output,
        agent,
    } = a;
    let same_condition =
        |type_: &ConditionType| conditions::find(conditions, *type_) == conditions::find(&b.conditions, *type_);
    ConditionType::ALL.iter().all(same_condition)
        && *observed_generation == b.observed_generation
        && *summary == b.summary
        && *detectors == b.detectors
        && *tools == b.tools
        && *rejected == b.rejected
        && *truncated == b.truncated
        && *output == b.output
        && *agent == b.agent
}

#[cfg(test)]
mod tests;

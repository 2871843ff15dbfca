//! The conditions of a status.

use std::collections::BTreeSet;

use crd_types::{ConditionType, Reason, ToolsetConfig, ToolsetConfigStatus};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::{
    input::{AgentReport, InputState, Inputs, Observed, OutputState, ReloadState},
    lists::cut,
};
use crate::{
    phrases::{counted, listed},
    plan::Plan,
    tool::Note,
};

/// The most namespaces that a message names.
const MAX_NAMES: usize = 10;

/// All conditions, before they are merged with their predecessors in `old`.
pub(super) fn all(
    config: &ToolsetConfig,
    observed: &Observed<'_>,
    old: Option<&ToolsetConfigStatus>,
) -> impl Iterator<Item = PendingCondition> {
    let always = [
        ready(config, observed),
        inputs_synced(observed),
        output_applied(config, observed),
        overrides_applied(observed, old),
    ];
    let agent = observed.agent.map(agent_loaded);
    always.into_iter().chain(consumer_reloaded(&observed.reload)).chain(agent)
}

/// The condition of a type.
pub(super) fn find(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|one| one.type_ == type_.as_str())
}

/// A condition before it is merged with its predecessor.
pub(super) struct PendingCondition {
    pub type_: ConditionType,
    status: &'static str,
    reason: String,
    message: String,
}

impl PendingCondition {
    fn new(type_: ConditionType, status: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { type_, status, reason: reason.as_str().to_owned(), message: cut(message.into()) }
    }

    /// The transition time changes only with the status, as the API conventions require.
    pub(super) fn finish(self, before: Option<&Condition>, generation: Option<i64>, now: Timestamp) -> Condition {
        let since =
            before.filter(|before| before.status == self.status).map(|before| before.last_transition_time.clone());
        Condition {
            type_: self.type_.as_str().to_owned(),
            status: self.status.to_owned(),
            reason: self.reason,
            message: self.message,
            observed_generation: generation,
            last_transition_time: since.unwrap_or(Time(now)),
        }
    }
}

/// That the `ConfigMap` is as it should be, and how many tools it contains.
fn up_to_date(config: &ToolsetConfig, observed: &Observed<'_>) -> String {
    let name = &config.spec.output.config_map_name;
    match observed.rendered {
        Some(rendered) => format!("ConfigMap {name} is up to date with {}.", counted(rendered.entries, "tool")),
        None => format!("ConfigMap {name} is up to date."),
    }
}

fn ready(config: &ToolsetConfig, observed: &Observed<'_>) -> PendingCondition {
    let name = &config.spec.output.config_map_name;
    let condition =
        |status, reason, message: &str| PendingCondition::new(ConditionType::Ready, status, reason, message);
    match &observed.output {
        OutputState::Suspended => {
            let message =
                format!("spec.mode is Suspended. The operator does not plan tools or write ConfigMap {name}.");
            condition("False", Reason::Suspended, &message)
        }
        OutputState::Conflict { message } => condition("False", Reason::OutputConflict, message),
        OutputState::Contested { message } => condition("False", Reason::OutputContested, message),
        OutputState::Failed { message } => condition("False", Reason::ApplyFailed, message),
        OutputState::Terminating { message, .. } => condition("False", Reason::OutputTerminating, message),
        OutputState::Preview => {
            if let Some(problem) = worst(observed.inputs) {
                return condition(problem.status, problem.reason, &problem.message);
            }
            let message = format!(
                "spec.mode is Preview. The status shows the tools that the operator would write to ConfigMap {name}."
            );
            condition("True", Reason::Preview, &message)
        }
        OutputState::Applied | OutputState::Waiting | OutputState::Held { .. } => match worst(observed.inputs) {
            Some(problem) => condition(problem.status, problem.reason, &problem.message),
            None if observed.output == OutputState::Waiting => {
                condition("Unknown", Reason::WaitingForInputs, "The operator has not listed every input yet.")
            }
            None => condition("True", Reason::AsExpected, &up_to_date(config, observed)),
        },
    }
}

struct Problem {
    status: &'static str,
    reason: Reason,
    message: String,
}

/// The worst problem of the inputs: forbidden before stale before pending.
fn worst(inputs: &Inputs) -> Option<Problem> {
    let inputs = &inputs.states;
    let grade = |state: &InputState| match state {
        InputState::Synced => 0,
        InputState::Pending => 1,
        InputState::Stale { .. } => 2,
        InputState::Forbidden { .. } => 3,
    };
    let top = inputs.values().map(grade).max().filter(|top| *top > 0)?;
    let mut same = inputs.iter().filter(|(_, state)| grade(state) == top);
    let names = listed(&same.clone().map(|(input, _)| input.plural()).collect::<Vec<_>>());
    let (_, state) = same.next()?;
    Some(match state {
        InputState::Forbidden { message } => Problem {
            status: "False",
            reason: Reason::InputForbidden,
            message: format!(
                "The operator is not allowed to read {names}: {}. It uses the last known state until the permission is \
                 granted.",
                unended(message)
            ),
        },
        InputState::Stale { message } => Problem {
            status: "False",
            reason: Reason::InputStale,
            message: format!(
                "The operator cannot watch {names}: {}. It uses the last known state until the watch recovers.",
                unended(message)
            ),
        },
        InputState::Pending | InputState::Synced => Problem {
            status: "Unknown",
            reason: Reason::WaitingForInputs,
            message: format!("The operator has not listed {names} yet."),
        },
    })
}

fn inputs_synced(observed: &Observed<'_>) -> PendingCondition {
    let inputs = observed.inputs;
    let suspect = || observed.plan.and_then(suspect_probes);
    let problem = worst(inputs).or_else(|| partly_held(inputs)).or_else(suspect).or_else(|| unwatched(inputs));
    match problem {
        Some(problem) => {
            PendingCondition::new(ConditionType::InputsSynced, problem.status, problem.reason, problem.message)
        }
        None => PendingCondition::new(ConditionType::InputsSynced, "True", Reason::AsExpected, synced(inputs)),
    }
}

/// That all is well, and which evidence cannot be read.
fn synced(inputs: &Inputs) -> String {
    let synced = "Every required input is listed and up to date.";
    let all = &inputs.unreadable_pods;
    if all.is_empty() {
        return synced.to_owned();
    }
    let first: BTreeSet<&String> = all.iter().take(MAX_NAMES).collect();
    let more = if all.len() > MAX_NAMES { format!(" and {} more", all.len() - MAX_NAMES) } else { String::new() };
    format!(
        "{synced} The operator is not allowed to get Pods in {}{more}. It keeps what Pods have shown so far, and \
         does not use Pods as evidence for new Services. Set rbac.pods to true in the Helm chart, or \
         spec.evidence.pods to Disabled.",
        names(first.into_iter()),
    )
}

/// Some of the watched namespaces cannot be read.
fn partly_held(inputs: &Inputs) -> Option<Problem> {
    let (_, (input, state)) = inputs.held_namespaces.first_key_value()?;
    let why = match state {
        InputState::Forbidden { message } | InputState::Stale { message } => unended(message).to_owned(),
        InputState::Pending | InputState::Synced => "they have not been listed yet".to_owned(),
    };
    let namespaces = names(inputs.held_namespaces.keys());
    let message = format!(
        "The operator cannot read {} in {namespaces}: {why}. It uses the last known state of these objects until it can \
         read them again.",
        input.plural()
    );
    Some(Problem { status: "False", reason: Reason::InputPartiallyHeld, message })
}

/// Probes fail, and the operator's own network may be the cause.
fn suspect_probes(plan: &Plan) -> Option<Problem> {
    let count = plan.suspect();
    let message = || {
        format!(
            "The operator cannot reach the Pods of {}, and too few other Services can be reached. The operator's own \
             network may be the cause, so these tools stay as they are. Check the NetworkPolicies of the operator.",
            counted(count, "tool")
        )
    };
    (count > 0).then(|| Problem { status: "False", reason: Reason::ProbeSuspect, message: message() })
}

/// A source names a namespace that the operator does not watch.
fn unwatched(inputs: &Inputs) -> Option<Problem> {
    if inputs.unwatched_namespaces.is_empty() {
        return None;
    }
    let sources: BTreeSet<&String> = inputs.unwatched_namespaces.values().collect();
    let message = format!(
        "spec.sources ({}) selects {}, which the operator does not watch. Add the missing namespaces to \
         --watch-namespaces (watchNamespaces in the Helm chart), or remove them from spec.sources.",
        listed(&sources.into_iter().map(String::as_str).collect::<Vec<_>>()),
        names(inputs.unwatched_namespaces.keys()),
    );
    Some(Problem { status: "False", reason: Reason::NamespaceNotWatched, message })
}

/// `namespace a`, or `namespaces a, b`.
fn names<'a>(namespaces: impl ExactSizeIterator<Item = &'a String>) -> String {
    let noun = if namespaces.len() == 1 { "namespace" } else { "namespaces" };
    format!("{noun} {}", listed(&namespaces.map(String::as_str).collect::<Vec<_>>()))
}

/// A message of somebody else without its period, so that a sentence can continue after it.
fn unended(message: &str) -> &str {
    message.trim_end().trim_end_matches('.')
}

fn output_applied(config: &ToolsetConfig, observed: &Observed<'_>) -> PendingCondition {
    let name = &config.spec.output.config_map_name;
    let condition =
        |status, reason, message: &str| PendingCondition::new(ConditionType::OutputApplied, status, reason, message);
    match &observed.output {
        OutputState::Applied => {
            let too_large = observed
                .rendered
                .and_then(|rendered| rendered.notes.iter().find(|note| note.reason == Reason::OutputTooLarge));
            match too_large {
                Some(note) => condition("False", Reason::OutputTooLarge, &note.message),
                None => condition("True", Reason::AsExpected, &up_to_date(config, observed)),
            }
        }
        OutputState::Preview => {
            condition("False", Reason::Preview, &format!("spec.mode is Preview. ConfigMap {name} is not changed."))
        }
        OutputState::Suspended => {
            condition("False", Reason::Suspended, &format!("spec.mode is Suspended. ConfigMap {name} is not changed."))
        }
        OutputState::Waiting => {
            let message = format!("The operator writes ConfigMap {name} when it has listed every input.");
            condition("Unknown", Reason::WaitingForInputs, &message)
        }
        OutputState::Held { message, .. } => {
            let reason = worst(observed.inputs).map_or(Reason::InputStale, |problem| problem.reason);
            condition("False", reason, message)
        }
        OutputState::Conflict { message } => condition("False", Reason::OutputConflict, message),
        OutputState::Failed { message } => condition("False", Reason::ApplyFailed, message),
        OutputState::Contested { message } => condition("False", Reason::OutputContested, message),
        OutputState::Terminating { message, .. } => condition("False", Reason::OutputTerminating, message),
    }
}

/// Which parts of the spec had no effect. Without a plan the old condition stays.
fn overrides_applied(observed: &Observed<'_>, old: Option<&ToolsetConfigStatus>) -> PendingCondition {
    let type_ = ConditionType::OverridesApplied;
    let Some(plan) = observed.plan else {
        let before = old.and_then(|old| find(&old.conditions, type_));
        return match before {
            Some(before) => PendingCondition {
                type_,
                status: match before.status.as_str() {
                    "True" => "True",
                    "False" => "False",
                    _ => "Unknown",
                },
                reason: before.reason.clone(),
                message: before.message.clone(),
            },
            None => PendingCondition::new(
                type_,
                "Unknown",
                Reason::WaitingForInputs,
                "The operator has not planned the tools yet.",
            ),
        };
    };
    let rendered = observed.rendered.map(|rendered| rendered.notes.as_slice()).unwrap_or_default();
    let mut notes: Vec<&Note> =
        plan.notes.iter().chain(rendered).filter(|note| note.reason != Reason::OutputTooLarge).collect();
    notes.sort();
    notes.dedup();
    match notes.first() {
        None => PendingCondition::new(type_, "True", Reason::AsExpected, "All overrides and settings took effect."),
        Some(first) => {
            let message = notes.iter().map(|note| note.message.as_str()).collect::<Vec<_>>().join(" ");
            PendingCondition::new(type_, "False", first.reason, message)
        }
    }
}

fn agent_loaded(agent: &AgentReport) -> PendingCondition {
    let status = match agent.loaded {
        Some(true) => "True",
        Some(false) => "False",
        None => "Unknown",
    };
    PendingCondition::new(ConditionType::AgentLoaded, status, agent.reason, agent.message.as_str())
}

fn consumer_reloaded(reload: &ReloadState) -> Option<PendingCondition> {
    let condition =
        |status, reason, message: &str| PendingCondition::new(ConditionType::ConsumerReloaded, status, reason, message);
    match reload {
        ReloadState::NotAsked => None,
        ReloadState::Current => Some(condition("True", Reason::AsExpected, "No restart of the agent is required.")),
        ReloadState::Pending { message } => Some(condition("Unknown", Reason::ReloadPending, message)),
        ReloadState::Failed { message } => Some(condition("False", Reason::ReloadFailed, message)),
    }
}

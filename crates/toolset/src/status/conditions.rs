//! The conditions of a status.

use std::collections::BTreeSet;

use crd_types::{ConditionType, Reason, ToolsetConfigStatus};
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use super::{
    input::{AgentReport, InputState, Inputs, Observed, OutputState, ReloadState},
    lists::cut,
};
use crate::tool::Note;

/// The most namespaces that a message names.
const MAX_NAMES: usize = 10;

/// All conditions, before they are merged with their predecessors in `old`.
pub(super) fn all(
    observed: &Observed<'_>,
    old: Option<&ToolsetConfigStatus>,
) -> impl Iterator<Item = PendingCondition> {
    let always =
        [ready(observed), inputs_synced(observed.inputs), output_applied(observed), overrides_applied(observed, old)];
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

fn ready(observed: &Observed<'_>) -> PendingCondition {
    let condition =
        |status, reason, message: &str| PendingCondition::new(ConditionType::Ready, status, reason, message);
    match &observed.output {
        OutputState::Suspended => {
            condition("False", Reason::Suspended, "spec.mode is Suspended; nothing is planned or written")
        }
        OutputState::Conflict { message } => condition("False", Reason::OutputConflict, message),
        OutputState::Contested { message } => condition("False", Reason::OutputContested, message),
        OutputState::Failed { message } => condition("False", Reason::ApplyFailed, message),
        OutputState::Terminating { message, .. } => condition("False", Reason::OutputTerminating, message),
        OutputState::Preview => match worst(observed.inputs) {
            Some(problem) => condition(problem.status, problem.reason, &problem.message),
            None => condition("True", Reason::Preview, "spec.mode is Preview; the status shows what would be written"),
        },
        OutputState::Applied | OutputState::Waiting | OutputState::Held { .. } => match worst(observed.inputs) {
            Some(problem) => condition(problem.status, problem.reason, &problem.message),
            None if observed.output == OutputState::Waiting => {
                condition("Unknown", Reason::WaitingForInputs, "the first lists are not complete yet")
            }
            None => condition("True", Reason::AsExpected, "the ConfigMap holds what was planned"),
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
    let names = same.clone().map(|(input, _)| input.as_str()).collect::<Vec<_>>().join(", ");
    let (_, state) = same.next()?;
    Some(match state {
        InputState::Forbidden { message } => Problem {
            status: "False",
            reason: Reason::InputForbidden,
            message: format!("{names}: {message}; the last known state is used until the watch is allowed again"),
        },
        InputState::Stale { message } => Problem {
            status: "False",
            reason: Reason::InputStale,
            message: format!(
                "{names}: the watch has no contact ({message}); the last known state is used until it recovers"
            ),
        },
        InputState::Pending | InputState::Synced => Problem {
            status: "Unknown",
            reason: Reason::WaitingForInputs,
            message: format!("{names}: the first list is not complete yet"),
        },
    })
}

fn inputs_synced(inputs: &Inputs) -> PendingCondition {
    let problem = worst(inputs).or_else(|| partly_held(inputs)).or_else(|| unwatched(inputs));
    match problem {
        Some(problem) => {
            PendingCondition::new(ConditionType::InputsSynced, problem.status, problem.reason, problem.message)
        }
        None => PendingCondition::new(ConditionType::InputsSynced, "True", Reason::AsExpected, synced(inputs)),
    }
}

/// That all is well, and which evidence cannot be read.
fn synced(inputs: &Inputs) -> String {
    let synced = "every required input is listed and up to date";
    let all = &inputs.unreadable_pods;
    if all.is_empty() {
        return synced.to_owned();
    }
    let first: BTreeSet<&String> = all.iter().take(MAX_NAMES).collect();
    let more = if all.len() > MAX_NAMES { format!(" and {} more", all.len() - MAX_NAMES) } else { String::new() };
    format!(
        "{synced}; the operator is not allowed to get Pods in {}{more}, so what only Pods show stays as it is in the \
         ConfigMap and is not known of new Services; set rbac.pods to true in the chart, or spec.evidence.pods to Disabled",
        names(first.into_iter()),
    )
}

/// Some of the watched namespaces cannot be read.
fn partly_held(inputs: &Inputs) -> Option<Problem> {
    let (_, (input, state)) = inputs.held_namespaces.first_key_value()?;
    let why = match state {
        InputState::Forbidden { message } => message.clone(),
        InputState::Stale { message } => format!("the watch has no contact ({message})"),
        InputState::Pending | InputState::Synced => "the first list is not complete yet".to_owned(),
    };
    let namespaces = names(inputs.held_namespaces.keys());
    let message = format!(
        "{} in {namespaces}: {why}; the last known state of these objects is used until the operator can read them \
         again",
        input.as_str()
    );
    Some(Problem { status: "False", reason: Reason::InputPartiallyHeld, message })
}

/// A source names a namespace that the operator does not watch.
fn unwatched(inputs: &Inputs) -> Option<Problem> {
    if inputs.unwatched_namespaces.is_empty() {
        return None;
    }
    let sources: BTreeSet<&String> = inputs.unwatched_namespaces.values().collect();
    let message = format!(
        "the operator does not watch {}, which spec.sources names ({}); add what is missing to --watch-namespaces \
         (watchNamespaces in the chart), or remove it from the source",
        names(inputs.unwatched_namespaces.keys()),
        sources.into_iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    );
    Some(Problem { status: "False", reason: Reason::NamespaceNotWatched, message })
}

/// `namespace a`, or `namespaces a, b`.
fn names<'a>(namespaces: impl ExactSizeIterator<Item = &'a String>) -> String {
    let noun = if namespaces.len() == 1 { "namespace" } else { "namespaces" };
    format!("{noun} {}", namespaces.map(String::as_str).collect::<Vec<_>>().join(", "))
}

fn output_applied(observed: &Observed<'_>) -> PendingCondition {
    let condition =
        |status, reason, message: &str| PendingCondition::new(ConditionType::OutputApplied, status, reason, message);
    match &observed.output {
        OutputState::Applied => {
            let too_large = observed
                .rendered
                .and_then(|rendered| rendered.notes.iter().find(|note| note.reason == Reason::OutputTooLarge));
            match too_large {
                Some(note) => condition("False", Reason::OutputTooLarge, &note.message),
                None => condition("True", Reason::AsExpected, "the ConfigMap holds what was planned"),
            }
        }
        OutputState::Preview => {
            condition("False", Reason::Preview, "spec.mode is Preview; the ConfigMap is left as it is")
        }
        OutputState::Suspended => {
            condition("False", Reason::Suspended, "spec.mode is Suspended; the ConfigMap is left as it is")
        }
        OutputState::Waiting => {
            condition("Unknown", Reason::WaitingForInputs, "nothing is written before the first lists are complete")
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
            None => PendingCondition::new(type_, "Unknown", Reason::WaitingForInputs, "nothing has been planned yet"),
        };
    };
    let rendered = observed.rendered.map(|rendered| rendered.notes.as_slice()).unwrap_or_default();
    let mut notes: Vec<&Note> =
        plan.notes.iter().chain(rendered).filter(|note| note.reason != Reason::OutputTooLarge).collect();
    notes.sort();
    notes.dedup();
    match notes.first() {
        None => PendingCondition::new(type_, "True", Reason::AsExpected, "everything in the spec took effect"),
        Some(first) => {
            let message = notes.iter().map(|note| note.message.as_str()).collect::<Vec<_>>().join("; ");
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
        ReloadState::Current => Some(condition("True", Reason::AsExpected, "no restart of the agent is due")),
        ReloadState::Pending { message } => Some(condition("Unknown", Reason::ReloadPending, message)),
        ReloadState::Failed { message } => Some(condition("False", Reason::ReloadFailed, message)),
    }
}

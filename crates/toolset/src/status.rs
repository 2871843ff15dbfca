//! The status, computed from what was planned and what became of it; merged with the old one, so that nothing moves at rest.

use std::collections::BTreeMap;

use crd_types::{
    ConditionType, DetectorSummary, HealthMode, Mode, NamespacesFrom, OutputStatus, Reason, RejectedStatus, Summary,
    ToolStatus, ToolsetConfig, ToolsetConfigStatus, Trust,
};
use detectors::Product;
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};

use crate::{
    health::Health,
    plan::Plan,
    render::Rendered,
    tool::{Note, Rejection, Tool},
};

/// The most tools that the status lists.
pub const MAX_TOOLS: usize = 100;
/// The most rejected Services that the status lists.
pub const MAX_REJECTED: usize = 50;
/// The most characters of a message in the status.
const MAX_MESSAGE: usize = 1024;

/// A watch that feeds the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Services.
    Service,
    /// EndpointSlices.
    EndpointSlice,
    /// Namespaces.
    Namespace,
    /// ToolsetConfigs.
    ToolsetConfig,
    /// The `ConfigMap` that is written, and the base.
    ConfigMap,
}

impl Input {
    /// The kind's name, as in messages and metric labels.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::EndpointSlice => "EndpointSlice",
            Self::Namespace => "Namespace",
            Self::ToolsetConfig => "ToolsetConfig",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

/// How a watch is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputState {
    /// It has not listed yet.
    Pending,
    /// It has listed and is heard from.
    Synced,
    /// The operator may not list or watch it.
    Forbidden {
        /// The API server's words.
        message: String,
    },
    /// Not heard from for three watch timeouts.
    Stale {
        /// The last error, in words.
        message: String,
    },
}

/// The inputs that a `ToolsetConfig` needs before anything is written for it: Services and its own `ConfigMap` always,
/// `EndpointSlices` unless health is off, `Namespaces` only if a source selects them by label.
pub fn required_inputs(config: &ToolsetConfig) -> Vec<Input> {
    let mut inputs = vec![Input::Service, Input::ConfigMap];
    if config.spec.health.mode != HealthMode::None {
        inputs.push(Input::EndpointSlice);
    }
    if config.spec.sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector) {
        inputs.push(Input::Namespace);
    }
    inputs
}

/// What became of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputState {
    /// The `ConfigMap` is as rendered.
    Applied,
    /// `mode: Preview`.
    Preview,
    /// `mode: Suspended`.
    Suspended,
    /// Not all required inputs have listed.
    Waiting,
    /// An input is forbidden or stale, and the last output stands (or, if there is none, its absence).
    Held {
        /// In words.
        message: String,
    },
    /// The name is taken.
    Conflict {
        /// By whom and what to do.
        message: String,
    },
    /// The API server refused, or did not answer.
    Failed {
        /// How.
        message: String,
    },
    /// Another writer keeps reverting it.
    Contested {
        /// Who, and since which key.
        message: String,
    },
}

/// What became of the agent's reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadState {
    /// `reload: None`.
    NotAsked,
    /// The agent's Deployment carries the hash of what is written.
    Current,
    /// A restart is due and waits for its time.
    Due {
        /// Why it waits.
        message: String,
    },
    /// It failed.
    Failed {
        /// How.
        message: String,
    },
}

/// All that the status is computed from.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Now, in whole seconds; only ever written where something changed.
    pub now: Timestamp,
    /// The plan; `None` where none could be made (waiting, suspended).
    pub plan: Option<&'a Plan>,
    /// What was rendered.
    pub rendered: Option<&'a Rendered>,
    /// The required inputs that are not simply synced.
    pub inputs: &'a BTreeMap<Input, InputState>,
    /// What became of the output.
    pub output: OutputState,
    /// What became of the reload.
    pub reload: ReloadState,
}

/// The new status. It says the same as `old` ([`same_status`]) if nothing changed, and then there is nothing to write.
pub fn status(
    config: &ToolsetConfig,
    old: Option<&ToolsetConfigStatus>,
    observed: &Observed<'_>,
) -> ToolsetConfigStatus {
    let mut status = old.cloned().unwrap_or_default();
    status.observed_generation = config.metadata.generation;
    let report = observed.plan.filter(|_| config.spec.mode != Mode::Suspended);
    if let Some(plan) = report {
        lists(&mut status, plan);
    }
    if let (OutputState::Applied, Some(rendered)) = (&observed.output, observed.rendered) {
        status.output = Some(output(config, status.output.take(), rendered, observed.now));
    }
    let generation = config.metadata.generation;
    let mut conditions = vec![
        ready(observed),
        inputs_synced(observed.inputs),
        output_applied(observed),
        overrides_applied(observed, old),
    ];
    conditions.extend(consumer_reloaded(&observed.reload));
    status.conditions = conditions
        .into_iter()
        .map(|draft| {
            let before = old.and_then(|old| condition(&old.conditions, draft.type_));
            draft.finish(before, generation, observed.now)
        })
        .collect();
    status
}

/// Whether two statuses say the same as far as the operator writes them. Conditions of other types are somebody else's, so
/// they count for nothing: a status that differs only in them must not be written again.
pub fn same_status(a: &ToolsetConfigStatus, b: &ToolsetConfigStatus) -> bool {
    let ToolsetConfigStatus { observed_generation, conditions, summary, detectors, tools, rejected, truncated, output } =
        a;
    let same_condition = |type_: &ConditionType| condition(conditions, *type_) == condition(&b.conditions, *type_);
    ConditionType::ALL.iter().all(same_condition)
        && *observed_generation == b.observed_generation
        && *summary == b.summary
        && *detectors == b.detectors
        && *tools == b.tools
        && *rejected == b.rejected
        && *truncated == b.truncated
        && *output == b.output
}

fn condition(conditions: &[Condition], type_: ConditionType) -> Option<&Condition> {
    conditions.iter().find(|one| one.type_ == type_.as_str())
}

/// A condition before it is merged with its predecessor.
struct Draft {
    type_: ConditionType,
    status: &'static str,
    reason: String,
    message: String,
}

impl Draft {
    fn new(type_: ConditionType, status: &'static str, reason: Reason, message: impl Into<String>) -> Self {
        Self { type_, status, reason: reason.as_str().to_owned(), message: cut(message.into()) }
    }

    /// The time moves only when the status flips, as the API convention has it.
    fn finish(self, before: Option<&Condition>, generation: Option<i64>, now: Timestamp) -> Condition {
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

fn ready(observed: &Observed<'_>) -> Draft {
    let draft = |status, reason, message: &str| Draft::new(ConditionType::Ready, status, reason, message);
    match &observed.output {
        OutputState::Suspended => {
            draft("False", Reason::Suspended, "spec.mode is Suspended; nothing is planned or written")
        }
        OutputState::Conflict { message } => draft("False", Reason::OutputConflict, message),
        OutputState::Contested { message } => draft("False", Reason::OutputContested, message),
        OutputState::Failed { message } => draft("False", Reason::ApplyFailed, message),
        OutputState::Preview => match worst(observed.inputs) {
            Some(problem) => draft(problem.status, problem.reason, &problem.message),
            None => draft("True", Reason::Preview, "spec.mode is Preview; the status shows what would be written"),
        },
        OutputState::Applied | OutputState::Waiting | OutputState::Held { .. } => match worst(observed.inputs) {
            Some(problem) => draft(problem.status, problem.reason, &problem.message),
            None if observed.output == OutputState::Waiting => {
                draft("Unknown", Reason::WaitingForInputs, "the first lists are not complete yet")
            }
            None => draft("True", Reason::AsExpected, "the ConfigMap holds what was planned"),
        },
    }
}

struct Problem {
    status: &'static str,
    reason: Reason,
    message: String,
}

/// The input problem to tell first: forbidden before stale before pending.
fn worst(inputs: &BTreeMap<Input, InputState>) -> Option<Problem> {
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
            message: format!("{names}: {message}; nothing is removed until the watch is allowed again"),
        },
        InputState::Stale { message } => Problem {
            status: "False",
            reason: Reason::InputStale,
            message: format!("{names}: not heard from ({message}); nothing is removed until the watch recovers"),
        },
        InputState::Pending | InputState::Synced => Problem {
            status: "Unknown",
            reason: Reason::WaitingForInputs,
            message: format!("{names}: the first list is not complete yet"),
        },
    })
}

fn inputs_synced(inputs: &BTreeMap<Input, InputState>) -> Draft {
    match worst(inputs) {
        Some(problem) => Draft::new(ConditionType::InputsSynced, problem.status, problem.reason, problem.message),
        None => Draft::new(
            ConditionType::InputsSynced,
            "True",
            Reason::AsExpected,
            "every required input has listed and is fresh",
        ),
    }
}

fn output_applied(observed: &Observed<'_>) -> Draft {
    let draft = |status, reason, message: &str| Draft::new(ConditionType::OutputApplied, status, reason, message);
    match &observed.output {
        OutputState::Applied => {
            let too_large = observed
                .rendered
                .and_then(|rendered| rendered.notes.iter().find(|note| note.reason == Reason::OutputTooLarge));
            match too_large {
                Some(note) => draft("False", Reason::OutputTooLarge, &note.message),
                None => draft("True", Reason::AsExpected, "the ConfigMap holds what was planned"),
            }
        }
        OutputState::Preview => draft("False", Reason::Preview, "spec.mode is Preview; the ConfigMap is left as it is"),
        OutputState::Suspended => {
            draft("False", Reason::Suspended, "spec.mode is Suspended; the ConfigMap is left as it is")
        }
        OutputState::Waiting => {
            draft("Unknown", Reason::WaitingForInputs, "nothing is written before the first lists are complete")
        }
        OutputState::Held { message } => {
            let reason = worst(observed.inputs).map_or(Reason::InputStale, |problem| problem.reason);
            draft("False", reason, message)
        }
        OutputState::Conflict { message } => draft("False", Reason::OutputConflict, message),
        OutputState::Failed { message } => draft("False", Reason::ApplyFailed, message),
        OutputState::Contested { message } => draft("False", Reason::OutputContested, message),
    }
}

/// Says what of the spec had no effect. Without a plan the old condition stands.
fn overrides_applied(observed: &Observed<'_>, old: Option<&ToolsetConfigStatus>) -> Draft {
    let type_ = ConditionType::OverridesApplied;
    let Some(plan) = observed.plan else {
        let before = old.and_then(|old| condition(&old.conditions, type_));
        return match before {
            Some(before) => Draft {
                type_,
                status: match before.status.as_str() {
                    "True" => "True",
                    "False" => "False",
                    _ => "Unknown",
                },
                reason: before.reason.clone(),
                message: before.message.clone(),
            },
            None => Draft::new(type_, "Unknown", Reason::WaitingForInputs, "nothing has been planned yet"),
        };
    };
    let rendered = observed.rendered.map(|rendered| rendered.notes.as_slice()).unwrap_or_default();
    let mut notes: Vec<&Note> =
        plan.notes.iter().chain(rendered).filter(|note| note.reason != Reason::OutputTooLarge).collect();
    notes.sort();
    notes.dedup();
    match notes.first() {
        None => Draft::new(type_, "True", Reason::AsExpected, "everything that the spec asks for had its effect"),
        Some(first) => {
            let message = notes.iter().map(|note| note.message.as_str()).collect::<Vec<_>>().join("; ");
            Draft::new(type_, "False", first.reason, message)
        }
    }
}

fn consumer_reloaded(reload: &ReloadState) -> Option<Draft> {
    let draft = |status, reason, message: &str| Draft::new(ConditionType::ConsumerReloaded, status, reason, message);
    match reload {
        ReloadState::NotAsked => None,
        ReloadState::Current => {
            Some(draft("True", Reason::AsExpected, "the agent's Deployment carries the hash of what is written"))
        }
        ReloadState::Due { message } => Some(draft("False", Reason::AsExpected, message)),
        ReloadState::Failed { message } => Some(draft("False", Reason::ReloadFailed, message)),
    }
}

fn output(config: &ToolsetConfig, old: Option<OutputStatus>, rendered: &Rendered, now: Timestamp) -> OutputStatus {
    let unchanged = old.filter(|old| *old.hash == *rendered.hash);
    OutputStatus {
        config_map: config.spec.output.config_map_name.clone(),
        hash: rendered.hash.to_string(),
        bytes: i64::try_from(rendered.bytes).unwrap_or(i64::MAX),
        entries: count(rendered.entries),
        last_change_time: unchanged.and_then(|old| old.last_change_time).or(Some(Time(now))),
    }
}

fn lists(status: &mut ToolsetConfigStatus, plan: &Plan) {
    status.summary = Some(Summary {
        candidates: count(plan.candidates_total),
        tools: count(plan.tools.len()),
        unhealthy: count(plan.unhealthy()),
        rejected: count(plan.rejected_count()),
    });
    let mut tools_of: BTreeMap<Product, usize> = BTreeMap::new();
    for tool in &plan.tools {
        *tools_of.entry(tool.product).or_default() += 1;
    }
    let types =
        Product::ALL.iter().filter(|product| plan.candidates.contains_key(product) || tools_of.contains_key(product));
    status.detectors = types
        .map(|product| DetectorSummary {
            type_: product.as_str().to_owned(),
            candidates: count(plan.candidates.get(product).copied().unwrap_or_default()),
            tools: count(tools_of.get(product).copied().unwrap_or_default()),
        })
        .collect();
    let mut tools: Vec<ToolStatus> =
        first_trusted(&plan.tools, MAX_TOOLS, |tool: &Tool| tool.trust).into_iter().map(tool_status).collect();
    tools.sort_by(|a, b| (&a.namespace, &a.service, &a.name).cmp(&(&b.namespace, &b.service, &b.name)));
    status.tools = tools;
    let mut rejected: Vec<RejectedStatus> =
        first_trusted(&plan.rejected, MAX_REJECTED, |rejection: &Rejection| rejection.trust)
            .into_iter()
            .map(rejected_status)
            .collect();
    rejected.sort_by(|a, b| (&a.namespace, &a.service).cmp(&(&b.namespace, &b.service)));
    status.rejected = rejected;
    status.truncated = plan.tools.len() > MAX_TOOLS || plan.rejected.len() > MAX_REJECTED;
}

/// The first `most`, the Trusted before the Tenants, so that a tenant's flood hides nobody else.
fn first_trusted<T>(all: &[T], most: usize, trust: impl Fn(&T) -> Trust) -> Vec<&T> {
    let (trusted, tenants): (Vec<&T>, Vec<&T>) = all.iter().partition(|one| trust(one) == Trust::Trusted);
    trusted.into_iter().chain(tenants).take(most).collect()
}

fn tool_status(tool: &Tool) -> ToolStatus {
    ToolStatus {
        name: tool.name.clone(),
        type_: tool.type_name().to_owned(),
        namespace: tool.key.as_ref().map(|key| key.namespace.to_string()).unwrap_or_default(),
        service: tool.key.as_ref().map(|key| key.name.to_string()).unwrap_or_default(),
        endpoint: tool.endpoint.to_string(),
        source: tool.source.clone(),
        confidence: tool.confidence.to_string(),
        health: tool.health.as_str().to_owned(),
        reason: if tool.health == Health::Unhealthy && tool.reason == crd_types::ServiceReason::Selected {
            crd_types::ServiceReason::Unhealthy.as_str().to_owned()
        } else {
            tool.reason.as_str().to_owned()
        },
    }
}

fn rejected_status(rejection: &Rejection) -> RejectedStatus {
    RejectedStatus {
        namespace: rejection.key.namespace.to_string(),
        service: rejection.key.name.to_string(),
        type_: rejection.type_name().to_owned(),
        reason: rejection.reason.as_str().to_owned(),
        message: cut(rejection.message.clone()),
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn cut(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crd_types::{Reason, ServiceReason, ToolsetConfigStatus, Trust};
use detectors::{Product, ServiceKey};
use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Condition, jiff::Timestamp};
use serde_json::json;

use super::{Input, InputState, Inputs, Observed, OutputState, ReloadState, required_inputs, same_status, status};
use crate::{
    Note, Plan, Rejection, Rendered,
    fixtures::{config, grafana, index, planned, prometheus, rendered, trusting_monitoring},
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn plan_and_render() -> (Plan, Rendered) {
    let config = trusting_monitoring();
    rendered(&config, &index([prometheus("monitoring", "p"), grafana("monitoring", "g")]))
}

fn observe(
    second: i64,
    inputs: &Inputs,
    output: OutputState,
    old: Option<&ToolsetConfigStatus>,
) -> ToolsetConfigStatus {
    let (plan, rendered) = plan_and_render();
    let observed = Observed {
        now: at(second),
        plan: Some(&plan),
        rendered: Some(&rendered),
        left: None,
        inputs,
        output,
        reload: ReloadState::NotAsked,
        agent: None,
    };
    status(&trusting_monitoring(), old, &observed)
}

/// `status/reason` of a condition.
fn condition(status: &ToolsetConfigStatus, type_: &str) -> String {
    let one = status.conditions.iter().find(|one| one.type_ == type_).unwrap();
    format!("{}/{}", one.status, one.reason)
}

#[test]
fn nothing_moves_at_rest() {
    let first = observe(0, &Inputs::default(), OutputState::Applied, None);
    let second = observe(60, &Inputs::default(), OutputState::Applied, Some(&first));
    assert_eq!(first, second);
    assert_eq!(condition(&first, "Ready"), "True/AsExpected");
    assert_eq!(first.summary.unwrap().tools, 2);
}

#[test]
fn a_strangers_condition_is_no_reason_to_write() {
    let ours = observe(0, &Inputs::default(), OutputState::Applied, None);
    let mut stored = ours.clone();
    stored.conditions.insert(0, Condition { type_: "Audited".to_owned(), ..ours.conditions[0].clone() });
    let again = observe(60, &Inputs::default(), OutputState::Applied, Some(&stored));
    assert!(same_status(&stored, &again));
    assert!(again.conditions.iter().all(|condition| condition.type_ != "Audited"), "it is not ours to write");
    let mut changed = again.clone();
    changed.conditions[0].message = "another".to_owned();
    assert!(!same_status(&again, &changed));
    changed.conditions.remove(0);
    assert!(!same_status(&again, &changed));
}

#[test]
fn the_truth_table_of_ready() {
    let forbidden =
        Inputs::from(BTreeMap::from([(Input::Service, InputState::Forbidden { message: "no".to_owned() })]));
    let stale = Inputs::from(BTreeMap::from([(Input::Service, InputState::Stale { message: "eof".to_owned() })]));
    let pending = Inputs::from(BTreeMap::from([(Input::Service, InputState::Pending)]));
    let none = Inputs::default();
    let text = || "m".to_owned();
    let cases = [
        (&none, OutputState::Applied, "True/AsExpected"),
        (&none, OutputState::Preview, "True/Preview"),
        (&none, OutputState::Suspended, "False/Suspended"),
        (&pending, OutputState::Waiting, "Unknown/WaitingForInputs"),
        (&forbidden, OutputState::Held { message: text(), written: false }, "False/InputForbidden"),
        (&stale, OutputState::Held { message: text(), written: false }, "False/InputStale"),
        (&none, OutputState::Conflict { message: text() }, "False/OutputConflict"),
        (&none, OutputState::Failed { message: text() }, "False/ApplyFailed"),
        (&none, OutputState::Contested { message: text() }, "False/OutputContested"),
    ];
    for (inputs, output, expected) in cases {
        assert_eq!(condition(&observe(0, inputs, output.clone(), None), "Ready"), expected, "{output:?}");
    }
}

/// The message of a condition.
fn message<'a>(status: &'a ToolsetConfigStatus, type_: &str) -> &'a str {
    &status.conditions.iter().find(|one| one.type_ == type_).unwrap().message
}

#[test]
fn a_config_map_that_is_up_to_date_is_named_with_the_number_of_its_tools() {
    let status = observe(0, &Inputs::default(), OutputState::Applied, None);
    for type_ in ["Ready", "OutputApplied"] {
        assert_eq!(message(&status, type_), "ConfigMap kubernaut-toolset-config is up to date with 2 tools.");
    }
    assert_eq!(message(&status, "OverridesApplied"), "All overrides and settings took effect.");
}

#[test]
fn the_message_of_every_condition_consists_of_sentences() {
    let of = |state: InputState| Inputs::from(BTreeMap::from([(Input::Service, state)]));
    let error = || "services is forbidden.".to_owned();
    let inputs = [
        Inputs::default(),
        of(InputState::Pending),
        of(InputState::Stale { message: error() }),
        of(InputState::Forbidden { message: error() }),
        Inputs {
            held_namespaces: BTreeMap::from([("b".to_owned(), (Input::Service, InputState::Pending))]),
            ..Inputs::default()
        },
        Inputs { unwatched_namespaces: BTreeMap::from([("x".to_owned(), "platform".to_owned())]), ..Inputs::default() },
        Inputs { unreadable_pods: ["a".to_owned()].into(), ..Inputs::default() },
    ];
    for inputs in &inputs {
        for output in [OutputState::Applied, OutputState::Waiting, OutputState::Preview, OutputState::Suspended] {
            for one in observe(0, inputs, output.clone(), None).conditions {
                let is_start = one.message.starts_with(|c: char| c.is_uppercase()) || one.message.starts_with("spec.");
                let is_end = one.message.ends_with('.') && !one.message.contains("..");
                assert!(is_start && is_end, "{}: {}", one.type_, one.message);
            }
        }
    }
}

#[test]
fn a_transition_time_moves_only_when_the_status_flips() {
    let time = |status: &ToolsetConfigStatus| status.conditions[0].last_transition_time.0;
    let applied = observe(0, &Inputs::default(), OutputState::Applied, None);
    let failed = observe(10, &Inputs::default(), OutputState::Failed { message: "timeout".to_owned() }, Some(&applied));
    let still = observe(20, &Inputs::default(), OutputState::Failed { message: "conflict".to_owned() }, Some(&failed));
    assert_eq!((time(&applied), time(&failed), time(&still)), (at(0), at(10), at(10)));
}

#[test]
fn a_spec_that_asks_for_what_cannot_be_leaves_ready_alone_and_is_said() {
    let (mut plan, rendered) = plan_and_render();
    plan.notes.push(Note::new(Reason::OverrideUnmatched, "override x matches no tool"));
    let inputs = Inputs::default();
    let observed = Observed {
        now: at(0),
        plan: Some(&plan),
        rendered: Some(&rendered),
        left: None,
        inputs: &inputs,
        output: OutputState::Applied,
        reload: ReloadState::NotAsked,
        agent: None,
    };
    let status = status(&trusting_monitoring(), None, &observed);
    assert_eq!(condition(&status, "Ready"), "True/AsExpected");
    assert_eq!(condition(&status, "OverridesApplied"), "False/OverrideUnmatched");
}

#[test]
fn the_last_change_time_follows_the_hash() {
    let first = observe(0, &Inputs::default(), OutputState::Applied, None);
    let mut older = first.clone();
    older.output.as_mut().unwrap().hash = "before".to_owned();
    let changed = observe(30, &Inputs::default(), OutputState::Applied, Some(&older));
    assert_eq!(changed.output.unwrap().last_change_time.unwrap().0, at(30));
}

#[test]
fn the_lists_are_bounded_and_say_so() {
    let config = config(json!({"sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}]}));
    let plan = planned(&config, &index((0..150).map(|number| grafana("m", &format!("g{number}")))));
    let inputs = Inputs::default();
    let observed = Observed {
        now: at(0),
        plan: Some(&plan),
        rendered: None,
        left: None,
        inputs: &inputs,
        output: OutputState::Preview,
        reload: ReloadState::NotAsked,
        agent: None,
    };
    let status = status(&config, None, &observed);
    assert_eq!((status.tools.len(), status.truncated, status.summary.unwrap().tools), (super::MAX_TOOLS, true, 150));
}

#[test]
fn what_an_identity_probe_denied_is_listed_first_because_the_next_leader_reads_it() {
    let rejected = |number: usize, trust: Trust, reason: ServiceReason| Rejection {
        key: ServiceKey::new("m", format!("s{number:03}")),
        product: Some(Product::Prometheus),
        custom: None,
        trust,
        reason,
        message: String::new(),
        is_untold: false,
    };
    let of = |number: usize| match number {
        0..10 => rejected(number, Trust::Tenant, ServiceReason::LimitExceeded),
        149 => rejected(number, Trust::Trusted, ServiceReason::NotTheProduct),
        _ => rejected(number, Trust::Trusted, ServiceReason::NotEnoughEvidence),
    };
    let plan = Plan { rejected: (0..150).map(of).collect(), ..Plan::default() };
    let mut status = ToolsetConfigStatus::default();
    super::lists::fill(&mut status, &plan);
    let names: Vec<&str> = status.rejected.iter().map(|one| one.service.as_str()).collect();
    let expected: Vec<String> = (10..59).chain([149]).map(|number| format!("s{number:03}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_namespace_that_cannot_be_read_leaves_ready_alone_and_is_reported() {
    let forbidden = (Input::Service, InputState::Forbidden { message: "no".to_owned() });
    let mut inputs = Inputs {
        held_namespaces: BTreeMap::from([("b".to_owned(), forbidden)]),
        unwatched_namespaces: BTreeMap::from([("x".to_owned(), "platform".to_owned())]),
        ..Inputs::default()
    };
    let status = observe(0, &inputs, OutputState::Applied, None);
    assert_eq!(condition(&status, "Ready"), "True/AsExpected");
    assert_eq!(condition(&status, "InputsSynced"), "False/InputPartiallyHeld");
    inputs.held_namespaces.clear();
    let status = observe(0, &inputs, OutputState::Applied, None);
    assert_eq!(condition(&status, "Ready"), "True/AsExpected");
    assert_eq!(condition(&status, "InputsSynced"), "False/NamespaceNotWatched");
}

#[test]
fn endpoint_slices_are_required_by_tenants_whatever_the_health_mode() {
    let spec = |trust| {
        let source = json!({"name": "s", "trust": trust, "namespaces": {"from": "All"}});
        config(json!({"sources": [source], "health": {"mode": "None"}}))
    };
    assert!(required_inputs(&spec("Tenant")).contains(&Input::EndpointSlice));
    assert!(!required_inputs(&spec("Trusted")).contains(&Input::EndpointSlice));
}

#[test]
fn namespaces_are_required_only_by_a_source_that_selects_them() {
    assert_eq!(required_inputs(&trusting_monitoring()), [Input::Service, Input::ConfigMap, Input::EndpointSlice]);
    let by_label = config(json!({
        "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": {"matchLabels": {"a": "b"}}}}],
        "health": {"mode": "None"},
    }));
    assert_eq!(required_inputs(&by_label), [Input::Service, Input::ConfigMap, Input::Namespace]);
}

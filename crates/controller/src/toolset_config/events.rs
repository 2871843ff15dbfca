//! The Events about a status and a plan. Each cause is reported once.

use std::collections::BTreeMap;

use crd_types::{ConditionType, Reason, ServiceReason, ToolsetConfigStatus};
use detectors::ServiceKey;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use toolset::{Plan, Rejection};

use crate::api::{
    NamespacedName,
    events::{About, Event, Kind},
    fence::Term,
};

/// `AgentLoaded` as it last was while it was known, in one term. After a change it is Unknown for some minutes, and what
/// follows is compared with what was before.
#[derive(Debug, Default)]
pub(super) struct LastAgent(Option<Condition>);

impl LastAgent {
    /// Takes the condition as it was written. Returns what it is compared with, if it is known now.
    fn before(&mut self, old: Option<&Condition>, now: &Condition) -> Option<Condition> {
        let before = old.filter(|old| !is_pending(old)).cloned().or_else(|| self.0.take());
        self.0 = if is_pending(now) { before.clone() } else { Some(now.clone()) };
        before
    }
}

/// The agent loads a change some minutes later, and while the output has a problem, another condition reports it.
fn is_pending(condition: &Condition) -> bool {
    is_agent(condition) && condition.status == "Unknown"
}

fn is_agent(condition: &Condition) -> bool {
    condition.type_ == ConditionType::AgentLoaded.as_str()
}

/// One Event per condition that turned bad, changed its reason, or recovered. Conditions with the same reason share
/// one.
pub(super) fn condition_events(
    (term, name, uid): (Term, &NamespacedName, &str),
    agent: &mut LastAgent,
    old: Option<&ToolsetConfigStatus>,
    new: &ToolsetConfigStatus,
) -> Vec<Event> {
    if !new.conditions.iter().any(is_agent) {
        *agent = LastAgent::default();
    }
    let about = About::Config { name: name.clone(), uid: uid.to_owned() };
    let mut events: BTreeMap<&'static str, Event> = BTreeMap::new();
    for condition in &new.conditions {
        let before = old.and_then(|old| old.conditions.iter().find(|before| before.type_ == condition.type_));
        let before = if is_agent(condition) { agent.before(before, condition) } else { before.cloned() };
        if let Some((reason, kind)) = transition(before.as_ref(), condition) {
            let note = format!("{}: {}", condition.type_, condition.message);
            let event = Event {
                term,
                about: about.clone(),
                kind,
                reason: reason.as_str(),
                action: "Reconcile",
                note,
                repeats: true,
            };
            events.entry(reason.as_str()).or_insert(event);
        }
    }
    events.into_values().collect()
}

/// The reason to report and how serious it is; `None` if nothing worth an Event changed.
fn transition(before: Option<&Condition>, now: &Condition) -> Option<(Reason, Kind)> {
    if before.is_some_and(|before| before.status == now.status && before.reason == now.reason) {
        return None;
    }
    let reason = Reason::ALL.iter().copied().find(|reason| reason.as_str() == now.reason)?;
    if is_pending(now) {
        return None;
    }
    let was_bad = |before: &Condition| {
        !is_pending(before)
            && ![Reason::AsExpected, Reason::WaitingForInputs, Reason::ReloadPending]
                .iter()
                .any(|fine| fine.as_str() == before.reason)
    };
    match reason {
        // Only a recovery is reported, but not the first "as expected". A restart is reported when it has been made.
        Reason::AsExpected if now.status == "True" && before.is_some_and(was_bad) => Some((reason, Kind::Normal)),
        Reason::AsExpected | Reason::WaitingForInputs | Reason::ReloadPending => None,
        Reason::Preview | Reason::Suspended => Some((reason, Kind::Normal)),
        _ => Some((reason, Kind::Warning)),
    }
}

/// The rejections that were reported on the Services in one term.
#[derive(Debug, Default)]
pub(super) struct ReportedRejections {
    now: BTreeMap<ServiceKey, ServiceReason>,
    /// Those that ended since. If one comes back, it is a repetition.
    ended: BTreeMap<ServiceKey, ServiceReason>,
}

/// How many rejections that ended are remembered. If there are more, repetitions are not counted.
const MAX_ENDED: usize = 10_000;

/// Reports each rejection to the owner of the Service, once per reason and term. What an earlier leader has reported is
/// not known: the status lists a rejection before its Event is sent. The API server knows, because the same Event has
/// the same name.
pub(super) fn service_events(term: Term, reported: &mut ReportedRejections, plan: &Plan) -> Vec<Event> {
    let (mut now, mut events) = (BTreeMap::new(), Vec::new());
    for rejection in plan.rejected.iter().filter(|rejection| is_reported(rejection)) {
        let (key, reason) = (&rejection.key, rejection.reason);
        if reported.now.get(key) != Some(&reason) {
            events.push(Event {
                term,
                about: About::Service(NamespacedName::new(key.namespace.clone(), key.name.clone())),
                kind: if asks_for_action(reason) { Kind::Warning } else { Kind::Normal },
                reason: reason.as_str(),
                action: "Select",
                note: rejection.message.clone(),
                repeats: reported.ended.remove(key) == Some(reason),
            });
        }
        now.insert(key.clone(), reason);
    }
    let ReportedRejections { now: before, ended } = reported;
    if ended.len() > MAX_ENDED {
        ended.clear();
    }
    ended.extend(std::mem::take(before).into_iter().filter(|(key, reason)| now.get(key) != Some(reason)));
    *before = now;
    events
}

/// Whether a rejection is reported on the Service. It is not if the owner of the Service opted out, or if the spec of
/// the ToolsetConfig rejects the Service. It is not either if the Service waits for its EndpointSlices. Every new
/// Service of a Tenant does so for a few seconds, and if they never come, its owner has nothing to change. Nor has the
/// owner of a Service that only has the port of a product.
fn is_reported(rejection: &Rejection) -> bool {
    let is_silent = matches!(
        rejection.reason,
        ServiceReason::OptedOut
            | ServiceReason::DetectorDisabled
            | ServiceReason::OverriddenOff
            | ServiceReason::AwaitingEndpointSlices
    );
    !rejection.is_untold && !is_silent
}

/// Whether the owner of the Service may have to change it.
fn asks_for_action(reason: ServiceReason) -> bool {
    !matches!(
        reason,
        ServiceReason::NotAnEndpoint
            | ServiceReason::HeadlessTwin
            | ServiceReason::LostToPreferred
            | ServiceReason::NotEnoughEvidence
    )
}

#[cfg(test)]
mod tests {
    use crd_types::Trust;
    use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::Timestamp};

    use super::*;
    use crate::api::fence::Fence;

    fn rejection(reason: ServiceReason) -> Rejection {
        Rejection {
            key: ServiceKey::new("n", "s"),
            product: None,
            custom: None,
            trust: Trust::Tenant,
            reason,
            message: String::new(),
            is_untold: false,
        }
    }

    /// The reasons of the Events about a Service that a plan rejects.
    fn told(reported: &mut ReportedRejections, reason: ServiceReason) -> Vec<&'static str> {
        told_of(reported, rejection(reason))
    }

    fn told_of(reported: &mut ReportedRejections, rejection: Rejection) -> Vec<&'static str> {
        let plan = Plan { rejected: vec![rejection], ..Plan::default() };
        let term = Fence::without_election().term().unwrap();
        service_events(term, reported, &plan).iter().map(|event| event.reason).collect()
    }

    #[test]
    fn a_rejection_is_told_once_in_each_term() {
        let mut reported = ReportedRejections::default();
        assert_eq!(told(&mut reported, ServiceReason::InvalidAnnotation), ["InvalidAnnotation"]);
        assert!(told(&mut reported, ServiceReason::InvalidAnnotation).is_empty());
        assert_eq!(told(&mut reported, ServiceReason::Unhealthy), ["Unhealthy"]);
        assert_eq!(
            told(&mut ReportedRejections::default(), ServiceReason::Unhealthy),
            ["Unhealthy"],
            "it may not have been sent"
        );
    }

    #[test]
    fn a_rejection_that_comes_back_is_a_repetition() {
        let rejected = Plan { rejected: vec![rejection(ServiceReason::InvalidAnnotation)], ..Plan::default() };
        let term = Fence::without_election().term().unwrap();
        let mut reported = ReportedRejections::default();
        let mut repeats = |plan: &Plan| {
            service_events(term, &mut reported, plan).iter().map(|event| event.repeats).collect::<Vec<_>>()
        };
        assert_eq!(repeats(&rejected), [false]);
        assert!(repeats(&rejected).is_empty());
        assert!(repeats(&Plan::default()).is_empty());
        assert_eq!(repeats(&rejected), [true]);
    }

    #[test]
    fn a_service_that_only_has_the_port_of_a_product_is_not_told() {
        let mut reported = ReportedRejections::default();
        let by_port_alone = Rejection { is_untold: true, ..rejection(ServiceReason::NotEnoughEvidence) };
        assert!(told_of(&mut reported, by_port_alone).is_empty());
        assert_eq!(told(&mut reported, ServiceReason::NotEnoughEvidence), ["NotEnoughEvidence"]);
    }

    #[test]
    fn a_service_that_waits_or_that_its_owner_or_the_spec_takes_out_is_not_told() {
        use ServiceReason::{AwaitingEndpointSlices, DetectorDisabled, OptedOut, OverriddenOff};
        for reason in [AwaitingEndpointSlices, DetectorDisabled, OptedOut, OverriddenOff] {
            let mut reported = ReportedRejections::default();
            assert!(told(&mut reported, reason).is_empty(), "{reason:?}");
            assert_eq!(told(&mut reported, ServiceReason::LimitExceeded), ["LimitExceeded"]);
        }
    }

    fn condition(status: &str, reason: Reason) -> Condition {
        Condition {
            type_: "Ready".to_owned(),
            status: status.to_owned(),
            reason: reason.as_str().to_owned(),
            message: String::new(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[test]
    fn a_problem_and_its_end_are_reported_and_a_good_start_is_not() {
        let (good, bad) = (condition("True", Reason::AsExpected), condition("False", Reason::InputForbidden));
        assert_eq!(transition(None, &good), None);
        assert_eq!(transition(Some(&good), &bad), Some((Reason::InputForbidden, Kind::Warning)));
        assert_eq!(transition(Some(&bad), &bad), None);
        assert_eq!(transition(Some(&bad), &good), Some((Reason::AsExpected, Kind::Normal)));
    }

    #[test]
    fn an_agent_that_has_not_loaded_a_change_yet_is_no_event_and_its_end_is_no_recovery() {
        let agent = |status: &str, reason| Condition {
            type_: ConditionType::AgentLoaded.as_str().to_owned(),
            ..condition(status, reason)
        };
        let (good, pending) = (agent("True", Reason::AsExpected), agent("Unknown", Reason::AgentBehind));
        assert_eq!(transition(Some(&good), &pending), None);
        assert_eq!(transition(Some(&pending), &good), None);
        let behind = agent("False", Reason::AgentBehind);
        assert_eq!(transition(Some(&pending), &behind), Some((Reason::AgentBehind, Kind::Warning)));
        assert_eq!(transition(Some(&behind), &good), Some((Reason::AsExpected, Kind::Normal)));
    }

    #[test]
    fn what_the_agent_was_before_it_was_unknown_decides_about_the_event() {
        use Reason::{AgentBehind, AgentFailed, AgentUnreachable, AsExpected, OutputConflict};
        let term = Fence::without_election().term().unwrap();
        let name = NamespacedName::new("n", "c");
        let (mut last, mut old) = (LastAgent::default(), None);
        let mut told = |status: &str, reason| {
            let condition =
                Condition { type_: ConditionType::AgentLoaded.as_str().to_owned(), ..condition(status, reason) };
            let new = ToolsetConfigStatus { conditions: vec![condition], ..ToolsetConfigStatus::default() };
            let events = condition_events((term, &name, "u"), &mut last, old.as_ref(), &new);
            old = Some(new);
            events.iter().map(|event| event.reason).collect::<Vec<_>>()
        };
        let nothing: [&str; 0] = [];
        assert_eq!(told("False", AgentFailed), ["AgentFailed"]);
        assert_eq!(told("Unknown", AgentBehind), nothing);
        assert_eq!(told("Unknown", OutputConflict), nothing);
        assert_eq!(told("True", AsExpected), ["AsExpected"], "it has recovered");
        assert_eq!(told("Unknown", AgentBehind), nothing);
        assert_eq!(told("True", AsExpected), nothing, "a change was loaded");
        assert_eq!(told("False", AgentUnreachable), ["AgentUnreachable"]);
        assert_eq!(told("Unknown", AgentBehind), nothing);
        assert_eq!(told("False", AgentUnreachable), nothing, "it still is");
        assert_eq!(told("False", AgentFailed), ["AgentFailed"]);
    }

    #[test]
    fn a_restart_that_is_pending_is_no_event_and_its_end_is_no_recovery() {
        let (good, pending) = (condition("True", Reason::AsExpected), condition("Unknown", Reason::ReloadPending));
        assert_eq!(transition(Some(&good), &pending), None);
        assert_eq!(transition(Some(&pending), &good), None);
    }
}

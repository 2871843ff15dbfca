//! What a new leader takes over from the status.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::SignedDuration,
};

use super::*;

fn status(loaded: &str, reason: Reason, revision: &str) -> ToolsetConfigStatus {
    let agent = AgentStatus { revision: revision.to_owned(), loaded: "1/1".to_owned(), ..AgentStatus::default() };
    let condition = Condition {
        type_: "AgentLoaded".to_owned(),
        status: loaded.to_owned(),
        reason: reason.as_str().to_owned(),
        message: "said before".to_owned(),
        observed_generation: None,
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
    };
    ToolsetConfigStatus { conditions: vec![condition], agent: Some(agent), ..ToolsetConfigStatus::default() }
}

#[test]
fn a_new_leader_repeats_what_the_status_says_and_asks_once() {
    let now = Instant::now();
    for (written, reason, expected) in
        [("True", Reason::AsExpected, Some(true)), ("False", Reason::AgentBehind, Some(false))]
    {
        let mut observation = after(Some(status(written, reason, "a")));
        // The first lists can take a while. Nothing of the status is lost then.
        assert_eq!(report(&mut observation), (None, Reason::WaitingForInputs, "1/1".to_owned()));
        observation.expect(waiting(), None, now);
        assert_eq!(report(&mut observation), (None, Reason::WaitingForInputs, "1/1".to_owned()));
        observation.expect(file("a"), None, now);
        assert_eq!(report(&mut observation), (expected, reason, "1/1".to_owned()));
        assert_eq!(observation.due(), Some(now + FIRST));
        observation.round_begins();
        observation.answered(answers("a", &["a"], now), now);
        assert_eq!((report(&mut observation).0, observation.due()), (Some(true), None));
    }
    let mut observation = after(Some(status("True", Reason::AsExpected, "a")));
    observation.expect(file("b"), None, now);
    assert_eq!(report(&mut observation).0, None, "that was another revision");
}

#[test]
fn an_agent_that_was_behind_under_the_last_leader_still_is() {
    let now = Instant::now() + seconds(10_000);
    // Another format may have changed a moment ago.
    let mut found = status("False", Reason::AgentBehind, "b");
    found.conditions[0].last_transition_time = Time(Timestamp::now() - SignedDuration::from_secs(100));
    found.output = Some(crd_types::OutputStatus {
        hash: "h".to_owned(),
        last_change_time: Some(Time(Timestamp::now())),
        ..crd_types::OutputStatus::default()
    });
    found.agent.as_mut().unwrap().replicas = 1;
    let mut observation = after(Some(found));
    observation.expect(file("b"), Some("h"), now);
    let age = |observation: &mut Observation| match observation.publish().0.lag {
        Some(Lag::BehindSince(since)) => now.duration_since(since).as_secs(),
        other => panic!("{other:?}"),
    };
    assert!((1000..1010).contains(&age(&mut observation)), "before it is asked");
    asks(&mut observation, answers("b", &["a"], now + FIRST));
    assert_eq!(report(&mut observation), (Some(false), Reason::AgentBehind, "0/1".to_owned()));
    assert!((1000..1010).contains(&age(&mut observation)));
}

#[test]
fn an_agent_that_was_current_under_the_last_leader_is_not_behind() {
    let now = Instant::now();
    let mut found = status("True", Reason::AsExpected, "a");
    let agent = found.agent.as_mut().unwrap();
    (agent.replicas, agent.current) = (1, 1);
    let mut observation = after(Some(found.clone()));
    observation.expect(file("a"), None, now);
    assert_eq!(observation.publish().0.lag, Some(Lag::Current));
    // The status was about another spec, and perhaps about another agent.
    let found = Found { status: Arc::new(found), same_spec: false };
    let mut other = Observation::new(observation.subject.clone(), Timing::STANDARD, Some(found));
    other.expect(file("a"), None, now);
    assert_eq!((report(&mut other), other.publish().0.lag), ((None, Reason::AgentBehind, String::new()), None));
}

#[test]
fn the_age_of_the_content_is_that_of_the_same_content() {
    let mut status = ToolsetConfigStatus::default();
    assert_eq!(age(&status, None), Duration::ZERO);
    let since = Timestamp::now() - SignedDuration::from_secs(100);
    status.output = Some(crd_types::OutputStatus {
        hash: "h".to_owned(),
        last_change_time: Some(Time(since)),
        ..crd_types::OutputStatus::default()
    });
    assert_eq!(age(&status, Some("h")).as_secs(), 100);
    assert_eq!(age(&status, Some("other")), Duration::ZERO);
}

use crd_types::AgentStatus;
use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::SignedDuration,
};

use super::*;
use crate::{
    agent::{answer::Answer, view::Replica},
    api::fence::Fence,
};

const FIRST: Duration = Timing::STANDARD.first;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn observation() -> Observation {
    let subject = Subject {
        term: Fence::without_election().term().unwrap(),
        uid: "u".to_owned(),
        service: serde_json::from_value(serde_json::json!({"name": "holmes"})).unwrap(),
        version: None,
    };
    Observation::new(subject, Timing::STANDARD)
}

fn file(revision: &str) -> Expected {
    Expected::File(Arc::new(AgentFile {
        hash: format!("hash of {revision}"),
        revision: Some(revision.to_owned()),
        ..AgentFile::default()
    }))
}

fn conflict() -> Expected {
    Expected::Nothing { reason: Reason::OutputConflict, message: "taken".to_owned() }
}

/// What a round for `file` finds if each replica has loaded this revision.
fn answers(file: &str, loaded: &[&str], at: Instant) -> Known {
    let replica = |revision: &&str| Replica {
        created: None,
        version: None,
        answer: Ok(Answer { revisions: BTreeSet::from([(*revision).to_owned()]), ..Answer::default() }),
    };
    let replicas = loaded.iter().enumerate().map(|(number, revision)| (pod(number), replica(revision))).collect();
    Known { at, file: format!("hash of {file}"), outcome: Outcome::Replicas(replicas), remarks: Vec::new() }
}

fn pod(number: usize) -> PodId {
    (format!("holmes-{number}"), format!("uid-{number}"))
}

fn report(observation: &mut Observation) -> (Option<bool>, Reason, String) {
    let report = observation.publish().0.report;
    (report.loaded, report.reason, report.status.unwrap_or_default().loaded)
}

/// An agent that has loaded revision `a`, in this number of replicas.
fn current(replicas: usize, now: Instant) -> Observation {
    let mut observation = observation();
    observation.expect(file("a"), None, Duration::ZERO, now);
    observation.round_begins();
    observation.answered(answers("a", &vec!["a"; replicas], now), now);
    observation
}

#[test]
fn a_change_is_followed_by_a_round_and_silence_if_all_is_well() {
    let now = Instant::now();
    let mut observation = observation();
    assert_eq!(observation.due(), None);
    observation.expect(file("a"), None, Duration::ZERO, now);
    assert_eq!(observation.due(), Some(now + FIRST));
    assert_eq!(report(&mut observation), (None, Reason::AgentBehind, String::new()));
    observation.round_begins();
    observation.answered(answers("a", &["a", "a"], now + FIRST), now + FIRST);
    assert_eq!(report(&mut observation), (Some(true), Reason::AsExpected, "2/2".to_owned()));
    assert_eq!(observation.due(), None);
    observation.expect(file("a"), None, Duration::ZERO, now + seconds(1000));
    assert_eq!(observation.due(), None, "the same file is no change");
}

#[test]
fn a_change_makes_the_agent_behind_at_once_without_a_request() {
    let now = Instant::now();
    let mut observation = current(3, now);
    let later = now + seconds(5000);
    observation.expect(file("b"), None, Duration::ZERO, later);
    assert_eq!(report(&mut observation), (None, Reason::AgentBehind, "0/3".to_owned()));
    assert_eq!(observation.publish().0.behind_since, Some(later));
    observation.round_begins();
    observation.answered(answers("b", &["a", "b", "b"], later + seconds(899)), later + seconds(899));
    assert_eq!(report(&mut observation), (None, Reason::AgentBehind, "2/3".to_owned()));
    assert_eq!(observation.due(), Some(later + seconds(900)), "it is asked when that becomes a problem");
    observation.round_begins();
    observation.answered(answers("b", &["a", "b", "b"], later + seconds(900)), later + seconds(900));
    assert_eq!(report(&mut observation), (Some(false), Reason::AgentBehind, "2/3".to_owned()));
}

#[test]
fn an_agent_that_never_catches_up_is_behind_since_the_first_change() {
    let start = Instant::now();
    let mut observation = current(1, start);
    for minute in 1..=20 {
        let now = start + seconds(60 * minute);
        observation.expect(file(&format!("b{minute}")), None, Duration::ZERO, now);
        observation.round_begins();
        observation.answered(answers(&format!("b{minute}"), &["a"], now + FIRST), now + FIRST);
    }
    assert_eq!(observation.publish().0.behind_since, Some(start + seconds(60)));
    assert_eq!(report(&mut observation).0, Some(false));
}

#[test]
fn while_the_output_is_in_conflict_nobody_is_asked_and_the_result_is_unknown() {
    let now = Instant::now();
    let mut observation = current(2, now);
    observation.expect(file("b"), None, Duration::ZERO, now);
    observation.expect(conflict(), None, Duration::ZERO, now);
    assert_eq!((observation.due(), observation.follows_pods()), (None, false));
    assert_eq!(report(&mut observation).1, Reason::OutputConflict);
    observation.expect(file("b"), None, Duration::ZERO, now + seconds(5));
    assert_eq!(observation.due(), Some(now + FIRST), "the round that was due before");
    assert!(observation.follows_pods());

    // Without a change in between, there is nothing to ask.
    let mut observation = current(2, now);
    observation.expect(conflict(), None, Duration::ZERO, now);
    observation.expect(file("a"), None, Duration::ZERO, now);
    assert_eq!((observation.due(), report(&mut observation).0), (None, Some(true)));
}

#[test]
fn a_new_pod_is_asked_and_one_that_is_gone_is_not_counted() {
    let now = Instant::now();
    let mut observation = current(3, now);
    observation.pods(BTreeSet::from([pod(0), pod(1), pod(2)]), now);
    assert_eq!(observation.due(), None);
    observation.pods(BTreeSet::from([pod(0), pod(1)]), now);
    assert_eq!((observation.due(), report(&mut observation).2), (None, "2/2".to_owned()));
    // It may have started again.
    observation.pods(BTreeSet::from([pod(0), pod(1), pod(2)]), now);
    assert_eq!(observation.due(), Some(now + FIRST));
    let mut observation = current(1, now);
    observation.pods(BTreeSet::new(), now);
    assert_eq!(observation.due(), Some(now + FIRST), "nobody is left");
    assert_eq!(report(&mut observation), (Some(false), Reason::AgentUnreachable, "0/0".to_owned()));
}

#[test]
fn a_pod_that_is_left_out_of_the_round_is_new_only_once() {
    let now = Instant::now();
    let mut observation = current(1, now);
    let ready = || BTreeSet::from([pod(0), pod(7)]);
    observation.pods(ready(), now);
    assert_eq!(observation.due(), Some(now + FIRST));
    observation.round_begins();
    observation.answered(answers("a", &["a"], now), now);
    observation.pods(ready(), now);
    assert_eq!(observation.due(), None);
}

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
        let mut observation = observation();
        observation.expect(file("a"), Some(&status(written, reason, "a")), seconds(50), now);
        assert_eq!(report(&mut observation), (expected, reason, "1/1".to_owned()));
        assert_eq!(observation.due(), Some(now + FIRST));
        observation.round_begins();
        observation.answered(answers("a", &["a"], now), now);
        assert_eq!((report(&mut observation).0, observation.due()), (Some(true), None));
    }
    let mut observation = observation();
    observation.expect(file("b"), Some(&status("True", Reason::AsExpected, "a")), Duration::ZERO, now);
    assert_eq!(report(&mut observation).0, None, "that was another revision");
}

#[test]
fn an_agent_that_was_behind_under_the_last_leader_still_is() {
    let now = Instant::now() + seconds(10_000);
    let mut observation = observation();
    observation.expect(file("b"), Some(&status("False", Reason::AgentBehind, "b")), seconds(2_000), now);
    observation.round_begins();
    observation.answered(answers("b", &["a"], now + FIRST), now + FIRST);
    assert_eq!(report(&mut observation), (Some(false), Reason::AgentBehind, "0/1".to_owned()));
}

#[test]
fn a_round_without_a_result_changes_nothing_and_is_repeated() {
    let now = Instant::now();
    let mut observation = current(1, now);
    observation.expect(file("b"), None, Duration::ZERO, now);
    let before = report(&mut observation);
    observation.round_begins();
    observation.failed(now + FIRST);
    assert_eq!((report(&mut observation), observation.due()), (before, Some(now + FIRST * 3)));
}

#[test]
fn the_age_of_the_content_is_that_of_the_same_content() {
    let mut status = ToolsetConfigStatus::default();
    assert_eq!(age(Some(&status), None), Duration::ZERO);
    let since = Timestamp::now() - SignedDuration::from_secs(100);
    status.output = Some(crd_types::OutputStatus {
        hash: "h".to_owned(),
        last_change_time: Some(Time(since)),
        ..crd_types::OutputStatus::default()
    });
    assert_eq!(age(Some(&status), Some("h")).as_secs(), 100);
    assert_eq!(age(Some(&status), Some("other")), Duration::ZERO);
}

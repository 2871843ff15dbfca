use super::*;
use crate::{
    agent::{
        answer::{Answer, Loaded},
        client::Failure,
        version::Version,
        view::Replica,
    },
    api::fence::Fence,
};

mod pods;
mod terms;

const FIRST: Duration = Timing::STANDARD.first;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn observation() -> Observation {
    after(None)
}

/// An observation that finds this status.
fn after(found: Option<ToolsetConfigStatus>) -> Observation {
    let found = found.map(|status| Found { status: Arc::new(status), same_spec: true });
    let subject = Subject {
        term: Fence::without_election().term().unwrap(),
        uid: "u".to_owned(),
        service: serde_json::from_value(serde_json::json!({"name": "holmes"})).unwrap(),
        version: None,
    };
    Observation::new(subject, Timing::STANDARD, found)
}

fn file(revision: &str) -> Expected {
    Expected::File(Arc::new(AgentFile {
        hash: format!("hash of {revision}"),
        revision: Some(revision.to_owned()),
        ..AgentFile::default()
    }))
}

fn waiting() -> Expected {
    Expected::Nothing { reason: Reason::WaitingForInputs, message: "not yet".to_owned() }
}

fn conflict() -> Expected {
    Expected::Nothing { reason: Reason::OutputConflict, message: "taken".to_owned() }
}

/// What a round for `file` finds if each replica has loaded this revision.
fn answers(file: &str, loaded: &[&str], at: Instant) -> Known {
    let replica = |revision: &&str| {
        let answer = Answer { revisions: BTreeSet::from([(*revision).to_owned()]), ..Answer::default() };
        Replica::new(None, None, Ok(answer))
    };
    let replicas: Vec<Replica> = loaded.iter().map(replica).collect();
    round(file, replicas, at)
}

fn round(file: &str, replicas: Vec<Replica>, at: Instant) -> Known {
    let replicas: BTreeMap<_, _> =
        replicas.into_iter().enumerate().map(|(number, replica)| (pod(number), replica)).collect();
    Known {
        at,
        file: format!("hash of {file}"),
        wanted: BTreeSet::new(),
        problem: None,
        ready: replicas.keys().cloned().collect(),
        backends: None,
        replicas,
        remarks: Vec::new(),
    }
}

fn without_answer(why: NoAnswer) -> Replica {
    Replica::new(None, Version::parse("0.45.0"), Err(why))
}

fn hangs() -> Replica {
    without_answer(NoAnswer::Failed(Failure::Timeout(seconds(30))))
}

/// One round for `file` with this result.
fn asks(observation: &mut Observation, known: Known) {
    observation.round_begins();
    let at = known.at;
    observation.answered(known, at);
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
    observation.expect(file("a"), None, now);
    observation.round_begins();
    observation.answered(answers("a", &vec!["a"; replicas], now), now);
    observation
}

#[test]
fn a_change_is_followed_by_a_round_and_silence_if_all_is_well() {
    let now = Instant::now();
    let mut observation = observation();
    assert_eq!(observation.due(), None);
    observation.expect(file("a"), None, now);
    assert_eq!(observation.due(), Some(now + FIRST));
    assert_eq!(report(&mut observation), (None, Reason::AgentBehind, String::new()));
    observation.round_begins();
    observation.answered(answers("a", &["a", "a"], now + FIRST), now + FIRST);
    assert_eq!(report(&mut observation), (Some(true), Reason::AsExpected, "2/2".to_owned()));
    assert_eq!(observation.due(), None);
    observation.expect(file("a"), None, now + seconds(1000));
    assert_eq!(observation.due(), None, "the same file is no change");
}

#[test]
fn a_change_makes_the_agent_behind_at_once_without_a_request() {
    let now = Instant::now();
    let mut observation = current(3, now);
    let later = now + seconds(5000);
    observation.expect(file("b"), None, later);
    assert_eq!(report(&mut observation), (None, Reason::AgentBehind, "0/3".to_owned()));
    assert_eq!(observation.publish().0.lag, Some(Lag::BehindSince(later)));
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
        observation.expect(file(&format!("b{minute}")), None, now);
        observation.round_begins();
        observation.answered(answers(&format!("b{minute}"), &["a"], now + FIRST), now + FIRST);
    }
    assert_eq!(observation.publish().0.lag, Some(Lag::BehindSince(start + seconds(60))));
    assert_eq!(report(&mut observation).0, Some(false));
}

#[test]
fn while_the_output_is_in_conflict_nobody_is_asked_and_the_result_is_unknown() {
    let now = Instant::now();
    let mut observation = current(2, now);
    observation.expect(file("b"), None, now);
    observation.expect(conflict(), None, now);
    assert_eq!(observation.due(), None);
    assert_eq!(report(&mut observation), (None, Reason::OutputConflict, String::new()));
    assert_eq!(observation.publish().0.lag, None);
    observation.expect(file("b"), None, now + seconds(5));
    assert_eq!(observation.due(), Some(now + FIRST), "the round that was due before");

    // Without a change in between, there is nothing to ask.
    let mut observation = current(2, now);
    observation.expect(conflict(), None, now);
    observation.expect(file("a"), None, now);
    assert_eq!((observation.due(), report(&mut observation).0), (None, Some(true)));
}

#[test]
fn an_agent_that_says_that_it_is_too_old_is_not_asked_again() {
    let now = Instant::now();
    let mut observation = observation();
    observation.expect(file("a"), None, now);
    let version = |text| Version::parse(text).unwrap();
    let old = || without_answer(NoAnswer::Unsupported(Unsupported::TooOld(version("0.44.2"))));
    asks(&mut observation, round("a", vec![old()], now));
    let remembered = TooOld::from([((pod(0), version("0.45.0")), version("0.44.2"))]);
    assert_eq!(*observation.too_old(), remembered);
    // Whatever happens in between.
    let problem = Some((Reason::AgentUnreachable, "why".to_owned()));
    asks(&mut observation, Known { problem, ..round("a", Vec::new(), now) });
    asks(&mut observation, round("a", vec![hangs()], now));
    observation.expect(file("b"), None, now);
    assert_eq!(*observation.too_old(), remembered);
    // What the image shows needs no memory, because it is read before every request.
    let mut shown = observation.clone();
    let image =
        Replica::new(None, Some(version("0.44.0")), Err(NoAnswer::Unsupported(Unsupported::TooOld(version("0.44.0")))));
    asks(&mut shown, round("b", vec![image], now));
    assert_eq!(*shown.too_old(), remembered);
}

#[test]
fn the_age_goes_on_while_a_replica_that_is_behind_does_not_answer() {
    let now = Instant::now();
    let mut observation = current(1, now);
    let changed = now + seconds(100);
    observation.expect(file("b"), None, changed);
    let lag = Some(Lag::BehindSince(changed));
    asks(&mut observation, round("b", vec![hangs()], changed + FIRST));
    assert_eq!(observation.publish().0.lag, lag);
    let problem = Some((Reason::AgentUnauthorized, "why".to_owned()));
    asks(&mut observation, Known { problem, ..round("b", Vec::new(), changed + FIRST) });
    assert_eq!((report(&mut observation).1, observation.publish().0.lag), (Reason::AgentUnauthorized, lag));
    asks(&mut observation, round("b", vec![hangs()], changed + FIRST));
    assert_eq!(observation.publish().0.lag, lag);
    asks(&mut observation, answers("b", &["b"], changed + FIRST));
    assert_eq!(observation.publish().0.lag, Some(Lag::Current));
}

#[test]
fn nothing_is_known_of_a_replica_that_never_answered() {
    let now = Instant::now();
    let mut observation = observation();
    assert_eq!(observation.publish().0.lag, None);
    observation.expect(file("a"), None, now);
    assert_eq!(observation.publish().0.lag, None);
    asks(&mut observation, round("a", vec![hangs()], now));
    assert_eq!(observation.publish().0.lag, None);
}

/// A file without a revision entry.
fn plain(hash: &str, entries: &[&str]) -> Expected {
    Expected::File(Arc::new(AgentFile {
        hash: format!("hash of {hash}"),
        entries: entries.iter().map(|name| (*name).to_owned()).collect(),
        ..AgentFile::default()
    }))
}

/// What a round finds if the replica lists this entry.
fn lists(file: &str, entry: &str, state: EntryState, at: Instant) -> Known {
    let entries = BTreeMap::from([(entry.to_owned(), Loaded { state, tools: 1 })]);
    let replica = Replica::new(None, None, Ok(Answer { entries, ..Answer::default() }));
    Known { wanted: BTreeSet::from([entry.to_owned()]), ..round(file, vec![replica], at) }
}

#[test]
fn without_the_revision_entry_a_failing_entry_does_not_make_every_change_late() {
    let now = Instant::now();
    let mut observation = observation();
    observation.expect(plain("a", &["x"]), None, now);
    asks(&mut observation, lists("a", "x", EntryState::Failed, now + FIRST));
    assert_eq!(report(&mut observation).1, Reason::AgentFailed);
    let changed = now + seconds(5_000);
    observation.expect(plain("b", &["x", "y"]), None, changed);
    assert_eq!(observation.publish().0.lag, Some(Lag::BehindSince(changed)));
    let known = Known {
        wanted: BTreeSet::from(["x".to_owned(), "y".to_owned()]),
        ..lists("b", "x", EntryState::Failed, changed)
    };
    asks(&mut observation, known);
    assert_eq!(
        (report(&mut observation).1, observation.publish().0.lag),
        (Reason::AgentFailed, Some(Lag::BehindSince(changed)))
    );
}

#[test]
fn entries_that_were_not_asked_about_are_asked_about_once() {
    let now = Instant::now();
    let with = |entries: &[&str]| match (file("a"), plain("a", entries)) {
        (Expected::File(file), Expected::File(plain)) => {
            Expected::File(Arc::new(AgentFile { entries: plain.entries.clone(), ..(*file).clone() }))
        }
        _ => unreachable!(),
    };
    let mut observation = observation();
    observation.expect(with(&["x"]), None, now);
    let mut known = lists("a", "x", EntryState::Enabled, now);
    known.replicas.get_mut(&pod(0)).unwrap().answer.as_mut().unwrap().revisions.insert("a".to_owned());
    asks(&mut observation, known.clone());
    assert_eq!((report(&mut observation).0, observation.due()), (Some(true), None));
    // The same bytes, and more of them are ours.
    observation.expect(with(&["x", "shared"]), None, now);
    assert_eq!(report(&mut observation).0, None);
    assert_eq!(observation.due(), Some(now + FIRST));
    observation.round_begins();
    observation.expect(with(&["x", "shared"]), None, now);
    assert_eq!(observation.due(), None, "the round under way asks for it");
    // Fewer entries need no request.
    observation.expect(with(&[]), None, now);
    observation.answered(known, now);
    assert_eq!((report(&mut observation).0, observation.due()), (Some(true), None));
}

#[test]
fn a_round_without_a_result_changes_nothing_and_is_repeated() {
    let now = Instant::now();
    let mut observation = current(1, now);
    observation.expect(file("b"), None, now);
    let before = report(&mut observation);
    observation.round_begins();
    observation.failed(now + FIRST);
    assert_eq!((report(&mut observation), observation.due()), (before, Some(now + FIRST * 3)));
    // It does not delay the round that finds that the agent is behind for too long.
    for _ in 0..10 {
        observation.round_begins();
        observation.failed(now + seconds(880));
    }
    assert_eq!(observation.due(), Some(now + seconds(900)));
}

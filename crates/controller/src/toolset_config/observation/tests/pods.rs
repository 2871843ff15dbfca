//! Pods that come and go.

use super::*;

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
    observation.pods(BTreeSet::from([pod(0)]), now);
    observation.pods(BTreeSet::new(), now);
    assert_eq!(observation.due(), Some(now + FIRST), "nobody is left");
    assert_eq!(report(&mut observation), (Some(false), Reason::AgentUnreachable, "0/0".to_owned()));
}

#[test]
fn a_pod_that_the_round_has_seen_is_not_new() {
    let now = Instant::now();
    let mut observation = current(1, now);
    let ready = || BTreeSet::from([pod(0), pod(7)]);
    observation.pods(ready(), now);
    assert_eq!(observation.due(), Some(now + FIRST));
    // It is ready and is not asked, for example because there are too many.
    let mut known = answers("a", &["a"], now);
    known.ready.insert(pod(7));
    asks(&mut observation, known);
    observation.expect(file("a"), None, now);
    let due = observation.due();
    observation.pods(ready(), now);
    observation.pods(ready(), now);
    assert_eq!(observation.due(), due);
}

#[test]
fn a_pod_that_is_ready_again_and_again_does_not_shorten_the_pauses() {
    let now = Instant::now();
    let mut observation = current(2, now);
    let mut pauses = Vec::new();
    for _ in 0..4 {
        observation.pods(BTreeSet::from([pod(0), pod(1)]), now);
        observation.pods(BTreeSet::from([pod(0)]), now);
        observation.pods(BTreeSet::from([pod(0), pod(1)]), now);
        pauses.push((observation.due().unwrap() - now).as_secs());
        asks(&mut observation, answers("a", &["a", "a"], now));
    }
    assert_eq!(pauses, [30, 60, 120, 240]);
}

#[test]
fn a_pod_that_goes_away_during_a_round_is_not_counted() {
    let now = Instant::now();
    let mut observation = current(2, now);
    observation.pods(BTreeSet::from([pod(0), pod(1)]), now);
    observation.expect(file("b"), None, now);
    observation.round_begins();
    observation.pods(BTreeSet::from([pod(0)]), now);
    observation.answered(answers("b", &["b", "a"], now), now);
    assert_eq!(report(&mut observation), (Some(true), Reason::AsExpected, "1/1".to_owned()));
    assert_eq!(observation.due(), None);

    // One that is back is counted.
    observation.expect(file("c"), None, now);
    observation.round_begins();
    observation.pods(BTreeSet::new(), now);
    observation.pods(BTreeSet::from([pod(0)]), now);
    observation.answered(answers("c", &["c"], now), now);
    assert_eq!(report(&mut observation).2, "1/1");
}

#[test]
fn while_new_pods_cannot_be_seen_the_result_is_unknown_and_after_that_the_agent_is_asked() {
    let now = Instant::now();
    let mut observation = current(2, now);
    observation.sees_pods(true, now);
    assert_eq!((report(&mut observation).0, observation.due()), (Some(true), None));
    observation.sees_pods(false, now);
    assert_eq!(report(&mut observation), (None, Reason::InputStale, "2/2".to_owned()));
    observation.sees_pods(true, now);
    assert_eq!((report(&mut observation).0, observation.due()), (Some(true), Some(now + FIRST)));
}

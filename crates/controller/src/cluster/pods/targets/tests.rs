use std::collections::BTreeSet;

use detectors::{PortView, Protocol, ServiceType, StringMap, pods::PodFacts};

use super::{super::refusals::ASK_AGAIN, *};
use crate::api::{Cause, fence::Fence};

/// Targets of a term, and the time.
struct Scene {
    targets: Targets,
    term: Term,
    now: Instant,
}

fn key(namespace: &str, name: &str) -> ServiceKey {
    ServiceKey::new(namespace, name)
}

fn service(key: &ServiceKey) -> ServiceView {
    ServiceView {
        key: key.clone(),
        labels: StringMap::default(),
        annotations: StringMap::default(),
        selector: [("app", "a")].into_iter().collect(),
        ports: Box::new([PortView { name: None, port: 80, target: None, protocol: Protocol::Tcp, app_protocol: None }]),
        service_type: ServiceType::ClusterIP,
        headless: false,
        external_ips: false,
        uid: 1,
        created: 0,
    }
}

/// An answer with this number of Pods, all of which were read.
#[allow(clippy::unnecessary_wraps, reason = "it is the result of a round")]
fn answer(read: usize) -> Result<Answer, Failure> {
    let pod = |number: usize| {
        let (controller, stem) = (Some("ReplicaSet/a".to_owned()), format!("a-{number}"));
        (
            format!("uid {number}"),
            Some(ReadPod { controller, stem, serving: 1, created: 0, facts: PodFacts::default() }),
        )
    };
    Ok(Answer { pods: (0..read).map(pod).collect(), read, is_cut: false })
}

impl Scene {
    fn new() -> Self {
        let term = Fence::without_election().term().unwrap();
        let mut targets = Targets::default();
        assert!(targets.lead(Some(term)));
        assert!(targets.take_changes().is_none(), "all of them are new");
        Self { targets, term, now: Instant::now() }
    }

    fn want(&mut self, key: &ServiceKey, slices: u64) {
        self.want_as(&service(key), Confidence::Medium, SeenSlices::At(slices));
    }

    fn want_as(&mut self, view: &ServiceView, confidence: Confidence, slices: SeenSlices) {
        self.targets.want(&Seen { view, confidence, slices, has_evidence: true }, self.now);
    }

    /// Starts a round whose slices have this number.
    fn start(&mut self, slices: u64) -> Option<Start> {
        let start = self.targets.start(self.now)?;
        self.targets.saw_slices(&start.key, Some(slices));
        Some(start)
    }

    fn end(&mut self, start: &Start, result: Result<Answer, Failure>) -> Ended {
        self.targets.end((&start.key, start.number), result, self.now).unwrap()
    }

    /// Starts every round that may start, and ends each as `result` says. Returns the names of the Services.
    fn ask(&mut self, result: impl Fn(&Start) -> Result<Answer, Failure>) -> Vec<String> {
        let mut asked = Vec::new();
        while let Some(start) = self.start(1) {
            self.end(&start, result(&start));
            asked.push(start.key.name.to_string());
        }
        asked
    }

    fn waits(&self, key: &ServiceKey) -> bool {
        self.targets.waits(self.term, key)
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.targets.ask_again(false, self.now);
    }
}

#[test]
fn a_service_is_asked_once_and_again_only_when_its_slices_change() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    assert!(scene.waits(&one) && !scene.targets.is_quiet(scene.term));
    assert_eq!(scene.ask(|_| answer(2)), ["one"]);
    assert!(!scene.waits(&one) && scene.targets.is_quiet(scene.term));
    scene.want(&one, 1);
    scene.pass(INTERVAL);
    assert_eq!(scene.targets.next_due(), None);
    scene.want(&one, 2);
    let start = scene.start(2).unwrap();
    assert_eq!(start.known.len(), 2, "what was read is not read again");
    scene.end(&start, answer(2));
    scene.want(&one, 3);
    assert_eq!(scene.start(3), None, "a second has not passed");
    scene.pass(INTERVAL);
    assert!(scene.start(3).is_some());
}

#[test]
fn a_service_without_pods_is_answered_without_a_request() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want_as(&service(&one), Confidence::High, SeenSlices::Pending);
    assert!(scene.waits(&one), "its slices may be listed soon");
    assert_eq!(scene.start(1), None);
    scene.want_as(&service(&one), Confidence::High, SeenSlices::NoPods);
    assert!(!scene.waits(&one));
    assert_eq!(scene.start(1), None);
    scene.want(&one, 1);
    assert!(scene.start(1).is_some(), "it has Pods now");
}

#[test]
fn the_surest_services_are_asked_first_and_only_some_at_once() {
    let mut scene = Scene::new();
    let (low, high) = (key("n", "a"), key("n", "z"));
    scene.want_as(&service(&low), Confidence::Low, SeenSlices::At(1));
    scene.want_as(&service(&high), Confidence::High, SeenSlices::At(1));
    assert_eq!(scene.ask(|_| answer(1)), ["z", "a"]);
    for number in 0..20 {
        scene.want(&key("n", &format!("m-{number}")), 1);
    }
    let started: Vec<Start> = std::iter::from_fn(|| scene.start(1)).collect();
    assert_eq!(started.len(), MAX_ROUNDS);
    assert_eq!(scene.targets.next_due(), None, "the end of a round comes first");
    scene.end(&started[0], answer(1));
    assert!(scene.start(1).is_some());
}

#[test]
fn no_more_than_five_hundred_pods_are_known_and_what_had_no_room_is_asked_when_there_is_some() {
    let mut scene = Scene::new();
    let keys: Vec<ServiceKey> = (0..200).map(|number| key("n", &format!("s-{number:03}"))).collect();
    for key in &keys {
        scene.want(key, 1);
    }
    let asked = scene.ask(|start| answer(start.room));
    assert_eq!((asked.len(), scene.targets.pods), (MAX_PODS / MAX_PER_SERVICE, MAX_PODS));
    assert!(keys.iter().all(|key| !scene.waits(key)), "nobody waits for what is not asked");
    scene.pass(INTERVAL);
    assert!(scene.targets.forget(&keys[0], scene.now));
    assert_eq!(scene.ask(|start| answer(start.room)), ["s-125"]);
    assert_eq!(scene.targets.pods, MAX_PODS);
}

#[test]
fn a_namespace_that_is_refused_is_asked_with_one_request_every_five_minutes() {
    let mut scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.want(&key("n", name), 1);
        scene.want(&key("other", name), 1);
    }
    let only_other = |start: &Start| if &*start.key.namespace == "other" { answer(1) } else { Err(Failure::Refused) };
    let first = scene.start(1).unwrap();
    let ended = scene.end(&first, Err(Failure::Refused));
    assert!(ended.refusal_changed && ended.evidence.is_none() && scene.targets.take_ended() == [first.key]);
    assert_eq!(scene.ask(only_other), ["a", "b", "c"], "those of the other namespace");
    assert_eq!(scene.targets.refused(), BTreeSet::from(["n".to_owned()]));
    assert!(["a", "b", "c"].iter().all(|name| !scene.waits(&key("n", name))));
    // The read in the other namespace was news.
    scene.pass(INTERVAL);
    assert_eq!(scene.ask(only_other).len(), 1);
    scene.pass(ASK_AGAIN / 2);
    assert_eq!(scene.ask(only_other).len(), 0);
    scene.pass(ASK_AGAIN);
    assert_eq!(scene.ask(only_other).len(), 1);
    scene.pass(ASK_AGAIN);
    let mut asked = scene.ask(|_| answer(1));
    scene.pass(INTERVAL);
    asked.extend(scene.ask(|_| answer(1)));
    asked.sort();
    assert_eq!(asked, ["a", "b", "c"], "one that succeeds, and then the others");
    assert!(scene.targets.refused().is_empty());
}

#[test]
fn what_fails_is_asked_again_after_a_pause_that_grows() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    let mut last = Duration::ZERO;
    for _ in 0..4 {
        let start = scene.start(1).unwrap();
        scene.end(&start, Err(Failure::Failed(Cause::Timeout)));
        assert!(scene.waits(&one), "a failure is no answer");
        let pause = scene.targets.next_due().unwrap() - scene.now;
        assert!(pause > last, "{pause:?} after {last:?}");
        last = pause;
        scene.pass(pause);
    }
    assert_eq!(scene.ask(|_| answer(1)), ["one"]);
    assert_eq!(scene.targets.next_due(), None);
}

#[test]
fn a_service_that_selects_other_pods_waits_for_their_answer() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    assert_eq!(scene.ask(|_| answer(1)), ["one"]);
    let mut other = service(&one);
    other.selector = [("app", "b")].into_iter().collect();
    assert!(scene.targets.service_changed(&other));
    assert!(scene.waits(&one));
    scene.pass(INTERVAL);
    scene.want_as(&other, Confidence::Medium, SeenSlices::At(1));
    let start = scene.start(1).unwrap();
    assert!(start.known.is_empty());
    // It changes again while the Pods are read.
    assert!(!scene.targets.service_changed(&service(&one)), "it is noted already");
    assert_eq!(scene.end(&start, answer(1)), Ended::default());
    assert!(scene.waits(&one));
    scene.want(&one, 1);
    scene.pass(INTERVAL);
    assert_eq!(scene.ask(|_| answer(1)), ["one"]);
    assert!(!scene.waits(&one));
}

#[test]
fn the_end_of_a_round_of_a_service_that_was_forgotten_counts_nothing() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    let start = scene.start(1).unwrap();
    assert!(scene.targets.forget(&one, scene.now));
    assert!(!scene.targets.forget(&one, scene.now));
    scene.want(&one, 1);
    let again = scene.start(1).unwrap();
    assert_eq!(scene.targets.end((&one, start.number), answer(1), scene.now), None);
    scene.end(&again, answer(2));
    let Targets { pods, reserved, rounds, unanswered, .. } = scene.targets;
    assert_eq!((pods, reserved, rounds, unanswered), (2, 0, 0, 0));
}

#[test]
fn a_new_term_asks_again_and_reads_no_pod_twice() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    scene.ask(|_| answer(3));
    assert!(!scene.targets.lead(Some(scene.term)));
    assert!(scene.targets.lead(None));
    assert!(scene.waits(&one));
    assert!(!scene.targets.changed(&one), "without a term nothing is noted");
    assert!(scene.targets.lead(Some(scene.term)));
    assert!(scene.waits(&one) && scene.targets.take_changes().is_none());
    scene.want(&one, 1);
    assert_eq!(scene.start(1).unwrap().known.len(), 3);
}

#[test]
fn slices_that_change_during_a_round_are_asked_about_after_it() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    let slow = scene.start(1).unwrap();
    for slices in 2..20 {
        scene.pass(INTERVAL);
        scene.want(&one, slices);
        assert_eq!(scene.start(slices), None, "one round at a time");
    }
    assert!(scene.end(&slow, answer(1)).evidence.is_some(), "its answer counts");
    assert!(!scene.waits(&one));
    let next = scene.start(20).unwrap();
    scene.end(&next, answer(2));
    let Targets { pods, reserved, rounds, .. } = scene.targets;
    assert_eq!((pods, reserved, rounds), (2, 0, 0));
}

#[test]
fn known_pods_need_no_further_room() {
    let mut scene = Scene::new();
    let keys: Vec<ServiceKey> = (0..MAX_PODS).map(|number| key("n", &format!("s-{number:03}"))).collect();
    for key in &keys {
        scene.want(key, 1);
    }
    assert_eq!(scene.ask(|_| answer(1)).len(), MAX_PODS);
    scene.pass(INTERVAL);
    scene.want(&keys[0], 2);
    scene.want(&keys[1], 2);
    let (first, second) = (scene.start(2).unwrap(), scene.start(2).unwrap());
    assert_eq!((first.room, second.room), (1, 1));
    scene.end(&first, answer(1));
    scene.end(&second, answer(1));
    assert_eq!((scene.targets.pods, scene.targets.reserved), (MAX_PODS, 0));
}

#[test]
fn the_service_that_was_refused_itself_asks_again() {
    let mut scene = Scene::new();
    let names = ["a", "b", "z"].map(|name| key("n", name));
    for key in &names {
        scene.want(key, 1);
    }
    assert_eq!(scene.ask(|_| answer(1)), ["a", "b", "z"]);
    // The Pods of one Service are replaced while they cannot be read.
    scene.pass(INTERVAL);
    scene.want(&names[2], 2);
    assert_eq!(scene.ask(|_| Err(Failure::Refused)), ["z"]);
    scene.pass(ASK_AGAIN);
    assert_eq!(scene.ask(|_| answer(1))[0], "z");
    assert!(scene.targets.refused().is_empty());
}

#[test]
fn a_question_that_fails_is_no_answer_about_permissions() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    scene.ask(|_| Err(Failure::Refused));
    scene.pass(ASK_AGAIN);
    assert_eq!(scene.ask(|_| Err(Failure::Failed(Cause::Timeout))), ["one"]);
    scene.pass(ASK_AGAIN);
    assert_eq!(scene.targets.refused().len(), 1);
    assert_eq!(scene.ask(|_| answer(1)), ["one"]);
    assert!(scene.targets.refused().is_empty());
}

#[test]
fn what_the_index_has_dropped_is_asked_for_again() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    scene.ask(|_| answer(1));
    scene.pass(INTERVAL);
    // It selects something else and then the same again, and both are noted together.
    let mut other = service(&one);
    other.selector = [("app", "b")].into_iter().collect();
    scene.targets.service_changed(&other);
    scene.targets.service_changed(&service(&one));
    scene.want(&one, 1);
    assert_eq!(scene.start(1).unwrap().known.len(), 1, "no Pod is read again");

    let two = key("n", "two");
    scene.want(&two, 1);
    scene.ask(|_| answer(1));
    scene.pass(INTERVAL);
    let view = service(&two);
    let seen = Seen { view: &view, confidence: Confidence::Medium, slices: SeenSlices::At(1), has_evidence: false };
    scene.targets.want(&seen, scene.now);
    assert_eq!(scene.ask(|_| answer(1)), ["two"]);
}

#[test]
fn pods_that_say_nothing_are_an_answer_and_no_pods_are_none() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    let start = scene.start(1).unwrap();
    let silent = Answer { pods: [("uid".to_owned(), None)].into(), read: 1, is_cut: false };
    assert_eq!(scene.end(&start, Ok(silent)).evidence, Some(PodEvidence::nothing()));
    scene.pass(INTERVAL);
    scene.want(&one, 2);
    let start = scene.start(2).unwrap();
    assert_eq!(scene.end(&start, answer(0)).evidence, None);
}

#[test]
fn those_who_stop_to_wait_are_told() {
    let (mut scene, one, two) = (Scene::new(), key("n", "one"), key("n", "two"));
    scene.want(&one, 1);
    scene.want_as(&service(&two), Confidence::High, SeenSlices::NoPods);
    assert_eq!(scene.targets.take_ended(), [two]);
    scene.ask(|_| answer(1));
    assert_eq!(scene.targets.take_ended(), [one]);
    assert!(scene.targets.take_ended().is_empty());
}

#[test]
fn nobody_waits_for_a_pod_that_does_not_exist() {
    let (mut scene, one) = (Scene::new(), key("n", "one"));
    scene.want(&one, 1);
    assert_eq!(scene.ask(|_| Err(Failure::Gone)), ["one"]);
    assert!(!scene.waits(&one) && scene.targets.next_due().is_some(), "it is asked again all the same");
}

use detectors::{Assumed, Scheme, Target};

use super::*;
use crate::api::fence::Fence;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn key(name: &str) -> ServiceKey {
    ServiceKey::new(format!("namespace-of-{name}"), name)
}

fn question(name: &str) -> IdentityQuestion {
    IdentityQuestion {
        key: key(name),
        product: Product::Prometheus,
        target: Target { port: 80, scheme: Scheme::Http, path: "".into() },
        assumed: Assumed { scheme: true, path: true, auth: false },
        selects: 1,
    }
}

fn said(verdict: IdentityVerdict, said: &str) -> IdentityEvidence {
    let (product, port) = (Product::Prometheus, 80);
    IdentityEvidence {
        product,
        port,
        stated: Stated::default(),
        verdict,
        scheme: None,
        path: None,
        said: said.to_owned(),
    }
}

fn confirmed() -> IdentityEvidence {
    said(IdentityVerdict::Confirmed, "confirmed")
}

fn denied() -> IdentityEvidence {
    said(IdentityVerdict::Denied { is: "Pushgateway" }, "denied")
}

fn silent() -> IdentityEvidence {
    said(IdentityVerdict::Silent, "silent")
}

fn not_asked(why: &str) -> IdentityEvidence {
    IdentityEvidence::not_asked(&question("a"), why)
}

fn only(name: &str) -> BTreeSet<ServiceKey> {
    [key(name)].into()
}

/// Questions with their own clock, about Services whose Pods a test chooses.
struct Scene {
    questions: Questions,
    budget: Budget,
    now: Instant,
    term: Term,
    /// The template of the Pods, and their response. Without a response, the Pods are silent.
    pods: (&'static str, Option<IdentityEvidence>),
    /// The times of the probes that sent requests.
    requests: Vec<Instant>,
}

impl Scene {
    fn asking(names: &[&str]) -> Self {
        let (mut questions, now) = (Questions::default(), Instant::now());
        let term = Fence::without_election().term().unwrap();
        questions.lead(Some(term));
        questions.want(true);
        assert_eq!(questions.take_changes(), None, "everything is new in a new term");
        questions.set(None, names.iter().copied().map(question).collect(), now);
        Self { questions, budget: Budget::default(), now, term, pods: ("a", Some(confirmed())), requests: Vec::new() }
    }

    /// Probes for this duration. A probe takes no time.
    fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            while let Some((question, number, answered)) = self.questions.start(&mut self.budget, self.now) {
                let (template, answer) = &self.pods;
                let reply = match answer {
                    _ if answered.contains(*template) => Reply::Same { template: (*template).to_owned() },
                    Some(evidence) => Reply::Answered { template: (*template).to_owned(), evidence: evidence.clone() },
                    None => Reply::Silent(silent()),
                };
                if !matches!(reply, Reply::Same { .. }) {
                    self.requests.push(self.now);
                }
                self.end(&question, number, reply);
            }
            match self.questions.next_due(&self.budget, self.now) {
                Some(next) if next < end => self.now = next.max(self.now),
                _ => break,
            }
        }
        self.now = end;
    }

    fn start(&mut self) -> (IdentityQuestion, u64) {
        let (question, number, _) = self.questions.start(&mut self.budget, self.now).expect("a question is due");
        (question, number)
    }

    fn end(&mut self, question: &IdentityQuestion, number: u64, reply: Reply) -> Option<Vec<IdentityEvidence>> {
        self.budget.give_back(&question.key.namespace, Trust::Trusted);
        self.questions.end(question, number, reply, self.now)
    }

    fn slices_change(&mut self, name: &str) {
        assert!(self.questions.slices_changed(&key(name), self.now));
    }

    fn pauses(&self) -> Vec<u64> {
        self.requests.windows(2).map(|pair| (pair[1] - pair[0]).as_secs()).collect()
    }

    fn answers(&self, name: &str) -> Vec<IdentityEvidence> {
        self.questions.answers(&key(name))
    }
}

#[test]
fn a_service_that_has_responded_is_not_probed_again() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(60 * MINUTE);
    assert_eq!(scene.requests.len(), 1);
    assert_eq!(scene.answers("a"), [confirmed()]);
}

#[test]
fn a_service_whose_response_proves_nothing_is_not_probed_again() {
    let mut scene = Scene::asking(&["a"]);
    scene.pods.1 = Some(said(IdentityVerdict::Unknown, "status code 401"));
    scene.run(60 * MINUTE);
    assert_eq!(scene.requests.len(), 1);
}

#[test]
fn the_pods_of_each_template_are_probed_once_even_if_the_slices_change() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    for _ in 0..5 {
        scene.slices_change("a");
        scene.run(MINUTE);
    }
    assert_eq!(scene.requests.len(), 1, "the same template");

    scene.pods = ("b", Some(denied()));
    scene.slices_change("a");
    scene.run(MINUTE);
    assert_eq!((scene.requests.len(), scene.answers("a")), (2, vec![denied()]));

    // During a rollout, there are Pods of both templates, and a rollback brings the old Pods back.
    for (template, answer) in [("a", confirmed()), ("b", denied()), ("a", confirmed())] {
        scene.pods.0 = template;
        scene.slices_change("a");
        scene.run(MINUTE);
        assert_eq!((scene.requests.len(), scene.answers("a")), (2, vec![answer]), "{template} has answered before");
    }
}

#[test]
fn only_the_responses_of_the_last_four_templates_are_kept() {
    let mut scene = Scene::asking(&["a"]);
    for template in ["a", "b", "c", "d", "e", "f"] {
        scene.pods.0 = template;
        scene.slices_change("a");
        scene.run(MINUTE);
    }
    let (_, _, answered) = {
        scene.slices_change("a");
        scene.questions.start(&mut scene.budget, scene.now).unwrap()
    };
    assert_eq!(answered.into_iter().collect::<Vec<_>>(), ["c", "d", "e", "f"]);
}

#[test]
fn the_pauses_between_probes_of_silent_pods_grow() {
    let mut scene = Scene::asking(&["a"]);
    scene.pods.1 = None;
    scene.run(60 * MINUTE);
    assert_eq!(scene.pauses()[..8], [10, 20, 40, 80, 160, 320, 600, 600]);
    assert_eq!(scene.answers("a"), [silent()]);
}

#[test]
fn a_change_of_the_slices_ends_the_long_pause() {
    let mut scene = Scene::asking(&["a"]);
    scene.pods.1 = None;
    scene.run(60 * MINUTE);
    scene.requests.clear();
    scene.slices_change("a");
    scene.run(SECOND * 35);
    assert_eq!(scene.pauses(), [10, 20]);
}

#[test]
fn the_response_of_old_pods_counts_while_new_pods_are_silent() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    scene.pods = ("b", None);
    scene.slices_change("a");
    scene.run(MINUTE);
    assert_eq!(scene.answers("a"), [confirmed()]);
}

#[test]
fn a_change_during_a_probe_starts_another_probe_after_it() {
    let mut scene = Scene::asking(&["a"]);
    let (question, number) = scene.start();
    scene.slices_change("a");
    assert_eq!(scene.questions.next_due(&scene.budget, scene.now), None, "it is under way");
    let answered = Reply::Answered { template: "a".to_owned(), evidence: confirmed() };
    assert_eq!(scene.end(&question, number, answered), Some(vec![confirmed()]));
    scene.pods = ("b", Some(denied()));
    scene.run(MINUTE);
    assert_eq!(scene.answers("a"), [denied()]);
}

#[test]
fn the_end_of_a_probe_whose_question_was_removed_or_changed_changes_nothing() {
    let answered = || Reply::Answered { template: "a".to_owned(), evidence: confirmed() };
    let mut scene = Scene::asking(&["a"]);
    let (gone, number) = scene.start();
    scene.questions.set(Some(&only("a")), Vec::new(), scene.now);
    assert_eq!(scene.end(&gone, number, answered()), None);

    let mut scene = Scene::asking(&["a"]);
    let (before, number) = scene.start();
    let target = Target { path: "/prom".into(), ..before.target.clone() };
    scene.questions.set(None, vec![IdentityQuestion { target, ..before.clone() }], scene.now);
    assert_eq!(scene.end(&before, number, answered()), None);
    assert_eq!(scene.answers("a"), []);
    scene.run(MINUTE);
    assert_eq!((scene.requests.len(), scene.answers("a")), (1, vec![confirmed()]));
}

#[test]
fn an_unchanged_question_keeps_its_response_and_a_removed_question_loses_it() {
    let mut scene = Scene::asking(&["a", "b"]);
    scene.run(MINUTE);
    let set = |scene: &mut Scene, services: Option<&BTreeSet<ServiceKey>>, names: &[&str]| {
        scene.questions.set(services, names.iter().copied().map(question).collect(), scene.now)
    };
    assert_eq!(set(&mut scene, None, &["a", "b"]), BTreeSet::new());
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 2);
    assert_eq!(set(&mut scene, Some(&only("a")), &[]), only("a"), "only what is looked at goes");
    assert_eq!((scene.answers("a"), scene.answers("b")), (vec![], vec![confirmed()]));
    assert_eq!(set(&mut scene, None, &[]), only("b"));
    assert!(scene.questions.is_quiet(scene.term));
}

#[test]
fn a_new_term_forgets_the_responses_and_probes_again() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    assert_eq!(scene.questions.lead(Some(scene.term)), None, "the same term");
    assert_eq!(scene.questions.lead(None), Some(only("a")));
    assert!(!scene.questions.changed(&key("a")) && !scene.questions.all_changed(), "only the leader asks");
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 1);

    assert_eq!(scene.questions.lead(Some(scene.term)), Some(BTreeSet::new()));
    assert_eq!(
        scene.questions.waits(scene.term, &question("a")),
        Some(Wait::Pods { since: None }),
        "it is no question yet"
    );
    assert_eq!(scene.questions.take_changes(), None);
    scene.questions.set(None, vec![question("a")], scene.now);
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 2);
}

#[test]
fn a_question_is_settled_by_a_response_by_silence_and_by_pods_that_must_not_be_probed() {
    let answered = Reply::Answered { template: "a".to_owned(), evidence: confirmed() };
    let (not_allowed, forbidden) = (Reply::NotAllowed(not_asked("x")), Reply::Forbidden(not_asked("y")));
    for reply in [answered, Reply::Silent(silent()), Reply::Nobody, not_allowed, forbidden] {
        let mut scene = Scene::asking(&["a"]);
        assert!(scene.questions.waits(scene.term, &question("a")).is_some() && !scene.questions.is_quiet(scene.term));
        let (question, number) = scene.start();
        scene.end(&question, number, reply.clone());
        assert_eq!(scene.questions.waits(scene.term, &question), None, "{reply:?}");
        assert!(scene.questions.is_quiet(scene.term));
        assert_eq!(scene.questions.take_settled(), only("a"));
        assert_eq!(scene.questions.take_settled(), BTreeSet::new(), "once");
    }
}

#[test]
fn a_probe_without_the_addresses_of_the_pods_settles_nothing_and_is_repeated() {
    let mut scene = Scene::asking(&["a"]);
    let (question, number) = scene.start();
    assert_eq!(
        scene.questions.waits(scene.term, &question),
        Some(Wait::Turn),
        "it can take as long as its requests do"
    );
    assert_eq!(scene.end(&question, number, Reply::NotSent), None);
    assert!(matches!(scene.questions.waits(scene.term, &question), Some(Wait::Pods { since: Some(_) })));
    scene.run(MINUTE);
    assert_eq!(scene.answers("a"), [confirmed()]);
}

#[test]
fn a_missing_permission_is_tried_again_and_pods_that_must_not_be_probed_are_not() {
    let why = not_asked("its Pod uses the host network");
    for (reply, at_first, expected) in [
        (Reply::Forbidden(why.clone()), vec![why.clone()], vec![confirmed()]),
        (Reply::NotAllowed(why.clone()), vec![why.clone()], vec![why]),
        (Reply::Nobody, vec![], vec![]),
    ] {
        let mut scene = Scene::asking(&["a"]);
        let (question, number) = scene.start();
        let changed = scene.end(&question, number, reply);
        assert_eq!(changed.unwrap_or_default(), at_first);
        scene.run(5 * MINUTE);
        assert_eq!((scene.requests.len(), scene.answers("a")), (0, at_first));
        scene.run(10 * MINUTE);
        assert_eq!(scene.answers("a"), expected);
    }
}

#[test]
fn the_reason_why_a_service_is_not_probed_is_reported_once() {
    let mut scene = Scene::asking(&["a"]);
    let mut end = |reply: Reply| {
        scene.now += SECOND;
        scene.slices_change("a");
        let (question, number) = scene.start();
        assert!(scene.questions.waits(scene.term, &question).is_some(), "these Pods may be asked");
        scene.end(&question, number, reply)
    };
    assert_eq!(end(Reply::NotAllowed(not_asked("x"))), Some(vec![not_asked("x")]));
    assert_eq!(end(Reply::NotAllowed(not_asked("x"))), None);
    assert_eq!(end(Reply::Nobody), None, "its Pod is away");
    assert_eq!(end(Reply::Forbidden(not_asked("y"))), Some(vec![not_asked("y")]));
    assert_eq!(end(Reply::Forbidden(not_asked("y"))), None);
    assert_eq!(end(Reply::Silent(silent())), Some(vec![silent()]));
}

#[test]
fn an_earlier_response_counts_while_the_pods_must_not_be_probed() {
    for reply in [Reply::NotAllowed(not_asked("x")), Reply::Forbidden(not_asked("x"))] {
        let mut scene = Scene::asking(&["a"]);
        scene.run(MINUTE);
        scene.slices_change("a");
        let (question, number) = scene.start();
        assert_eq!(scene.end(&question, number, reply), None);
        assert_eq!(scene.answers("a"), [confirmed()]);
    }
}

#[test]
fn changes_are_collected_until_they_are_taken() {
    let mut scene = Scene::asking(&["a"]);
    assert!(scene.questions.changed(&key("a")));
    assert!(!scene.questions.changed(&key("a")), "it is known");
    assert!(!scene.questions.is_quiet(scene.term));
    assert_eq!(scene.questions.take_changes(), Some(only("a")));
    assert_eq!(scene.questions.take_changes(), Some(BTreeSet::new()));
    assert!(scene.questions.all_changed() && !scene.questions.all_changed());
    assert!(!scene.questions.changed(&key("a")), "all are looked at anyway");
    assert_eq!(scene.questions.take_changes(), None);
}

#[test]
fn a_service_with_other_ports_is_probed_again_even_if_its_endpoint_is_the_same() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    assert_eq!(scene.answers("a"), [confirmed()]);
    let other = IdentityQuestion { selects: 2, ..question("a") };
    scene.questions.set(Some(&only("a")), vec![other.clone()], scene.now);
    assert_eq!(scene.questions.waits(scene.term, &other), Some(Wait::Turn));
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 2);
}

#[test]
fn toolset_configs_that_state_other_paths_have_their_own_questions() {
    let mut stated = question("a");
    (stated.target.path, stated.assumed.path) = ("/stated".into(), false);
    let mut scene = Scene::asking(&[]);
    scene.questions.set(None, vec![stated.clone(), question("a")], scene.now);
    let (first, number) = scene.start();
    scene.end(&first, number, Reply::Nobody);
    scene.now += SECOND;
    let (second, _) = scene.start();
    assert!([(&first, &second), (&second, &first)].contains(&(&question("a"), &stated)), "{first:?} {second:?}");
}

#[test]
fn a_question_that_is_outdated_or_without_the_port_for_a_moment_waits_for_its_turn() {
    for reply in [Reply::Outdated, Reply::NoPort] {
        let mut scene = Scene::asking(&["a"]);
        let (question, number) = scene.start();
        scene.end(&question, number, reply.clone());
        assert_eq!(scene.questions.waits(scene.term, &question), Some(Wait::Turn), "{reply:?}");
        scene.now += MINUTE;
        let (question, number) = scene.start();
        scene.end(&question, number, reply.clone());
        let waits = if reply == Reply::NoPort { None } else { Some(Wait::Turn) };
        assert_eq!(scene.questions.waits(scene.term, &question), waits, "{reply:?} again");
    }
}

#[test]
fn the_time_without_addresses_counts_from_the_first_failure() {
    let mut scene = Scene::asking(&["a"]);
    let since = scene.now;
    for _ in 0..3 {
        let (question, number) = scene.start();
        scene.end(&question, number, Reply::NotSent);
        assert_eq!(scene.questions.waits(scene.term, &question), Some(Wait::Pods { since: Some(since) }));
        scene.now += MINUTE;
    }
}

#[test]
fn the_index_gets_the_answer_again_that_it_may_have_dropped() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    scene.slices_change("a");
    let (asked, number) = scene.start();
    let answers = scene.end(&asked, number, Reply::Same { template: "a".to_owned() });
    assert_eq!(answers, Some(vec![confirmed()]));
}

#[test]
fn a_service_that_gets_its_first_pod_waits_for_the_probe() {
    let mut scene = Scene::asking(&["a"]);
    let (asked, number) = scene.start();
    scene.end(&asked, number, Reply::Nobody);
    assert_eq!(scene.questions.waits(scene.term, &asked), None, "nobody is there to answer");
    scene.slices_change("a");
    assert_eq!(scene.questions.waits(scene.term, &asked), Some(Wait::Turn));
}

#[test]
fn a_list_of_slices_starts_probes_of_services_whose_slices_changed() {
    let mut scene = Scene::asking(&["a", "b"]);
    for _ in 0..2 {
        let (asked, number) = scene.start();
        scene.questions.saw(&asked, Some(1));
        scene.end(&asked, number, Reply::Nobody);
    }
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 0);
    scene.questions.slices_listed(|of| Some(if *of == key("a") { 2 } else { 1 }), scene.now);
    scene.run(MINUTE);
    assert_eq!((scene.requests.len(), scene.answers("a"), scene.answers("b")), (1, vec![confirmed()], vec![]));
}

use detectors::{Assumed, Scheme, Target};
use toolset::identity::IdentityVerdict;

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
    IdentityEvidence { product, port, verdict, scheme: None, path: None, said: said.to_owned() }
}

fn confirmed() -> IdentityEvidence {
    said(IdentityVerdict::Confirmed, "confirmed")
}

fn denied() -> IdentityEvidence {
    said(IdentityVerdict::Denied { is: "Pushgateway" }, "denied")
}

fn silent() -> IdentityEvidence {
    said(IdentityVerdict::Unknown, "silent")
}

fn only(name: &str) -> BTreeSet<ServiceKey> {
    [key(name)].into()
}

/// Questions with a clock of their own, about Services whose Pods a test chooses.
struct Scene {
    questions: Questions,
    budget: Budget,
    now: Instant,
    term: Term,
    /// The template of the Pods, and their answer. Without one they are silent.
    pods: (&'static str, Option<IdentityEvidence>),
    /// When Pods were asked.
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

    /// Asks for so long. A request takes no time.
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
fn a_service_that_has_answered_is_not_asked_again() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(60 * MINUTE);
    assert_eq!(scene.requests.len(), 1);
    assert_eq!(scene.answers("a"), [confirmed()]);
}

#[test]
fn an_answer_that_proves_nothing_is_an_answer_too() {
    let mut scene = Scene::asking(&["a"]);
    scene.pods.1 = Some(said(IdentityVerdict::Unknown, "status code 401"));
    scene.run(60 * MINUTE);
    assert_eq!(scene.requests.len(), 1);
}

#[test]
fn the_pods_of_each_template_are_asked_once_whenever_the_slices_change() {
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

    // During a rollout the Pods of both are there, and a rollback brings the old ones back.
    for (template, answer) in [("a", confirmed()), ("b", denied()), ("a", confirmed())] {
        scene.pods.0 = template;
        scene.slices_change("a");
        scene.run(MINUTE);
        assert_eq!((scene.requests.len(), scene.answers("a")), (2, vec![answer]), "{template} has answered before");
    }
}

#[test]
fn the_answers_of_many_templates_are_not_kept_for_ever() {
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
fn silent_pods_are_asked_ever_more_rarely() {
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
fn what_pods_have_answered_stands_while_new_pods_are_silent() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    scene.pods = ("b", None);
    scene.slices_change("a");
    scene.run(MINUTE);
    assert_eq!(scene.answers("a"), [confirmed()]);
}

#[test]
fn a_change_during_a_question_asks_again_after_it() {
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
fn the_end_of_a_question_that_is_gone_or_has_changed_changes_nothing() {
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
fn the_same_question_is_not_asked_again_and_one_that_is_gone_takes_its_answer_along() {
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
fn a_new_term_forgets_the_answers_and_asks_again() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    assert_eq!(scene.questions.lead(Some(scene.term)), None, "the same term");
    assert_eq!(scene.questions.lead(None), Some(only("a")));
    assert!(!scene.questions.changed(&key("a")) && !scene.questions.all_changed(), "only the leader asks");
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 1);

    assert_eq!(scene.questions.lead(Some(scene.term)), Some(BTreeSet::new()));
    assert!(scene.questions.waits(scene.term, &question("a")));
    assert_eq!(scene.questions.take_changes(), None);
    scene.questions.set(None, vec![question("a")], scene.now);
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 2);
}

#[test]
fn a_question_is_settled_by_an_answer_by_silence_and_where_nobody_can_be_asked() {
    let answered = Reply::Answered { template: "a".to_owned(), evidence: confirmed() };
    for reply in [answered, Reply::Silent(silent()), Reply::Nobody, Reply::Forbidden] {
        let mut scene = Scene::asking(&["a"]);
        assert!(scene.questions.waits(scene.term, &question("a")) && !scene.questions.is_quiet(scene.term));
        let (question, number) = scene.start();
        scene.end(&question, number, reply.clone());
        assert!(!scene.questions.waits(scene.term, &question), "{reply:?}");
        assert!(scene.questions.is_quiet(scene.term));
        assert_eq!(scene.questions.take_settled(), only("a"));
        assert_eq!(scene.questions.take_settled(), BTreeSet::new(), "once");
    }
}

#[test]
fn an_api_server_that_does_not_say_whom_to_ask_settles_nothing_and_is_asked_again() {
    let mut scene = Scene::asking(&["a"]);
    let (question, number) = scene.start();
    assert_eq!(scene.end(&question, number, Reply::NotAsked), None);
    assert!(scene.questions.waits(scene.term, &question));
    scene.run(MINUTE);
    assert_eq!(scene.answers("a"), [confirmed()]);
}

#[test]
fn a_permission_that_is_missing_is_looked_for_again_and_pods_that_may_not_be_asked_are_not() {
    for (reply, expected) in [(Reply::Forbidden, vec![confirmed()]), (Reply::Nobody, vec![])] {
        let mut scene = Scene::asking(&["a"]);
        let (question, number) = scene.start();
        scene.end(&question, number, reply);
        scene.run(5 * MINUTE);
        assert_eq!(scene.requests.len(), 0);
        scene.run(10 * MINUTE);
        assert_eq!(scene.answers("a"), expected);
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
fn a_service_with_other_ports_is_asked_again_even_if_the_question_is_the_same() {
    let mut scene = Scene::asking(&["a"]);
    scene.run(MINUTE);
    assert_eq!(scene.answers("a"), [confirmed()]);
    let other = IdentityQuestion { selects: 2, ..question("a") };
    scene.questions.set(Some(&only("a")), vec![other.clone()], scene.now);
    assert!(scene.questions.waits(scene.term, &other));
    scene.run(MINUTE);
    assert_eq!(scene.requests.len(), 2);
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
fn a_service_whose_first_pod_comes_up_waits_for_its_answer() {
    let mut scene = Scene::asking(&["a"]);
    let (asked, number) = scene.start();
    scene.end(&asked, number, Reply::Nobody);
    assert!(!scene.questions.waits(scene.term, &asked), "nobody is there to answer");
    scene.slices_change("a");
    assert!(scene.questions.waits(scene.term, &asked));
}

#[test]
fn a_list_of_slices_asks_again_where_a_question_has_not_seen_them() {
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

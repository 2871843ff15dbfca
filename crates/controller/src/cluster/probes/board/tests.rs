use crd_types::HealthProbe;
use detectors::{Product, Scheme, probe::Class};
use proptest::prelude::*;
use toolset::{health::HealthAsk, plan::probes::NoTarget};

use super::*;
use crate::api::fence::Fence;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> HealthProbe {
    HealthProbe { timeout_seconds: 1, period_seconds: 10, failure_threshold: 3, success_threshold: 1 }
}

fn config() -> NamespacedName {
    NamespacedName::new("agent", "c")
}

fn target(namespace: &str, name: &str, trust: Trust) -> HealthTarget {
    let ask = HealthAsk { scheme: Scheme::Http, port: 80, paths: vec!["/-/ready".to_owned()] };
    HealthTarget::new(ServiceKey::new(namespace, name), Product::Prometheus, trust, Ok(ask))
}

/// How the probe of each Service ends.
type World<'a> = &'a dyn Fn(&ServiceKey) -> Ended;

fn there() -> Ended {
    Ended::There { path: 0 }
}

fn failed(class: Class) -> Ended {
    Ended::Failed(ProbeFailure { asked: String::new(), why: ProbeFailureReason::Answer(class) })
}

/// A board with its own clock.
struct Scene {
    board: Board,
    budget: Budget,
    now: Instant,
    /// The start and the Service of every probe.
    probes: Vec<(Instant, ServiceKey)>,
    /// The number of changes of health, for each `ToolsetConfig`.
    changes: usize,
}

impl Scene {
    fn new(targets: &[HealthTarget]) -> Self {
        Self::with(targets, &settings())
    }

    fn with(targets: &[HealthTarget], settings: &HealthProbe) -> Self {
        let (mut board, now) = (Board::default(), Instant::now());
        board.lead(Fence::without_election().term());
        board.set(&config(), targets, settings, now);
        Self { board, budget: Budget::default(), now, probes: Vec::new(), changes: 0 }
    }

    /// Probes for this duration. A probe takes no time.
    fn run(&mut self, duration: Duration, world: World<'_>) -> &mut Self {
        let end = self.now + duration;
        loop {
            while let Some(Start { id, number, .. }) = self.board.start(&mut self.budget, self.now) {
                self.probes.push((self.now, id.key.clone()));
                self.budget.give_back(&id.key.namespace, id.trust);
                self.changes += self.board.end((&id, number), None, world(&id.key), self.now).len();
            }
            match self.board.next_due(&self.budget, self.now) {
                Some(next) if next < end => self.now = next.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        self
    }

    fn state(&self, namespace: &str, name: &str) -> Probed {
        self.board.state(&config(), &ServiceKey::new(namespace, name))
    }
}

/// Trusted Services, each in a namespace of its own.
fn trusted(count: usize) -> Vec<HealthTarget> {
    (0..count).map(|number| target(&format!("n{number}"), "s", Trust::Trusted)).collect()
}

fn is(state: &Probed) -> &'static str {
    match state {
        Probed::NotAllowed { .. } => "not allowed",
        Probed::Pending { .. } => "pending",
        Probed::Undecided { .. } => "undecided",
        Probed::Up => "up",
        Probed::Down(_) => "down",
        Probed::Suspect(_) => "suspect",
    }
}

#[test]
fn a_service_is_probed_at_once_and_then_once_in_a_period() {
    let mut scene = Scene::new(&trusted(1));
    assert_eq!(is(&scene.state("n0", "s")), "pending");
    scene.run(SECOND, &|_| there());
    assert_eq!((is(&scene.state("n0", "s")), scene.probes.len()), ("up", 1));
    scene.run(99 * SECOND, &|_| there());
    assert!((9..=12).contains(&scene.probes.len()), "{}", scene.probes.len());
    assert_eq!(scene.changes, 1, "a probe that changes nothing triggers nothing");
}

#[test]
fn a_service_that_refuses_connections_or_fails_is_down_after_the_threshold() {
    for class in [Class::Refused, Class::Timeout, Class::Answered(503)] {
        let mut scene = Scene::new(&trusted(1));
        scene.run(SECOND, &|_| there());
        scene.run(22 * SECOND, &|_| failed(class));
        assert_eq!(is(&scene.state("n0", "s")), "up", "{class:?}");
        scene.run(15 * SECOND, &|_| failed(class));
        assert_eq!((is(&scene.state("n0", "s")), scene.changes), ("down", 2), "{class:?}");
    }
}

#[test]
fn a_single_success_starts_the_count_of_failures_anew() {
    let mut scene = Scene::new(&trusted(1));
    for _ in 0..5 {
        scene.run(SECOND, &|_| there());
        scene.run(20 * SECOND, &|_| failed(Class::Refused));
        scene.board.slices_changed(&ServiceKey::new("n0", "s"), scene.now);
    }
    assert_eq!(is(&scene.state("n0", "s")), "up");
}

#[test]
fn the_success_threshold_counts_successes_in_a_row() {
    let mut scene = Scene::with(&trusted(1), &HealthProbe { success_threshold: 3, ..settings() });
    scene.run(SECOND, &|_| there());
    assert_eq!(is(&scene.state("n0", "s")), "undecided");
    scene.run(30 * SECOND, &|_| there());
    assert_eq!(is(&scene.state("n0", "s")), "up");
}

#[test]
fn a_service_that_cannot_be_reached_is_down_if_the_others_respond() {
    let mut scene = Scene::new(&trusted(5));
    scene.run(SECOND, &|_| there());
    let world = |key: &ServiceKey| if &*key.namespace == "n0" { failed(Class::Unreachable) } else { there() };
    scene.run(60 * SECOND, &world);
    assert_eq!((is(&scene.state("n0", "s")), is(&scene.state("n1", "s"))), ("down", "up"));
}

#[test]
fn if_no_service_can_be_reached_all_are_suspect_and_then_up_again() {
    for count in [1, 2, 3, 40] {
        let mut scene = Scene::new(&trusted(count));
        scene.run(SECOND * 30, &|_| there());
        scene.run(300 * SECOND, &|_| failed(Class::Unreachable));
        for number in 0..count {
            assert_eq!(is(&scene.state(&format!("n{number}"), "s")), "suspect", "{number} of {count}");
        }
        scene.run(30 * SECOND, &|_| there());
        for number in 0..count {
            assert_eq!(is(&scene.state(&format!("n{number}"), "s")), "up", "{number} of {count}");
        }
    }
}

#[test]
fn a_partition_in_the_middle_of_a_round_takes_nothing_down_even_without_a_threshold() {
    let eager = HealthProbe { failure_threshold: 1, ..settings() };
    for (after, lasts) in [(0, 60_000), (300, 60_000), (700, 25_300), (1100, 14_700), (500, 9_000), (900, 3_100)] {
        let mut scene = Scene::with(&trusted(20), &eager);
        scene.run(11 * SECOND + Duration::from_millis(after), &|_| there());
        let mut never_down = |duration: Duration, world: World<'_>| {
            let end = scene.now + duration;
            while scene.now < end {
                scene.run(Duration::from_millis(100), world);
                let down = (0..20).filter(|number| is(&scene.state(&format!("n{number}"), "s")) == "down").count();
                assert_eq!(down, 0, "after {after} ms for {lasts} ms");
            }
        };
        never_down(Duration::from_millis(lasts), &|_| failed(Class::Unreachable));
        never_down(30 * SECOND, &|_| there());
    }
}

#[test]
fn changes_of_the_endpoints_do_not_change_the_verdict_of_the_witnesses() {
    for (others, every) in [(20, 5), (10, 5), (5, 20), (3, 1)] {
        let mut scene = Scene::new(&trusted(1 + others));
        scene.run(30 * SECOND, &|_| there());
        let world = |key: &ServiceKey| if &*key.namespace == "n0" { failed(Class::Unreachable) } else { there() };
        let mut shown = vec!["up"];
        for _ in 0..600 / every {
            scene.board.slices_changed(&ServiceKey::new("n0", "s"), scene.now);
            scene.run(every * SECOND, &world);
            let now = is(&scene.state("n0", "s"));
            if shown.last() != Some(&now) {
                shown.push(now);
            }
        }
        assert_eq!(shown, ["up", "down"], "{others} others, a change every {every} s");
    }
}

#[test]
fn a_service_that_is_down_stays_down_while_nothing_can_be_reached() {
    let mut scene = Scene::new(&trusted(5));
    let world = |key: &ServiceKey| if &*key.namespace == "n0" { failed(Class::Unreachable) } else { there() };
    scene.run(60 * SECOND, &world);
    scene.run(3600 * SECOND, &|_| failed(Class::Unreachable));
    assert_eq!((is(&scene.state("n0", "s")), is(&scene.state("n1", "s"))), ("down", "suspect"));
}

#[test]
fn a_service_that_closes_connections_is_down_unless_most_others_do_not_respond_either() {
    let closes = |key: &ServiceKey| if &*key.namespace == "n0" { failed(Class::Reset) } else { there() };
    for count in [1, 2, 3, 20] {
        let mut scene = Scene::new(&trusted(count));
        scene.run(60 * SECOND, &closes);
        assert_eq!(is(&scene.state("n0", "s")), "down", "one of {count}");
    }
    let mut scene = Scene::new(&trusted(3));
    let one_other_refuses =
        |key: &ServiceKey| if &*key.namespace == "n1" { failed(Class::Refused) } else { closes(key) };
    scene.run(60 * SECOND, &one_other_refuses);
    assert_eq!(is(&scene.state("n0", "s")), "down", "half of the others respond");
    for count in [3, 20] {
        let mut scene = Scene::new(&trusted(count));
        scene.run(15 * SECOND, &|_| there());
        scene.run(300 * SECOND, &|_| failed(Class::Reset));
        assert_eq!(is(&scene.state("n0", "s")), "suspect", "all of {count}, as in a mesh");
    }
}

#[test]
fn endpoints_without_the_port_are_a_failure_only_the_second_time() {
    let eager = HealthProbe { failure_threshold: 1, ..settings() };
    let no_port = || Ended::NoPort("GET /".to_owned());
    let mut scene = Scene::with(&trusted(1), &eager);
    scene.run(SECOND, &|_| no_port());
    assert_eq!(is(&scene.state("n0", "s")), "pending", "the EndpointSlices can be older than the Service");
    scene.run(15 * SECOND, &|_| there());
    assert_eq!(is(&scene.state("n0", "s")), "up");
    scene.run(30 * SECOND, &|_| no_port());
    assert_eq!(is(&scene.state("n0", "s")), "down");
    let before = scene.probes.len();
    scene.run(3600 * SECOND, &|_| no_port());
    assert!(scene.probes.len() - before < 20, "the pause grows");
}

#[test]
fn a_service_that_cannot_be_probed_for_a_moment_keeps_its_health() {
    let later = || Ended::NotSent(Some("its Pod does not fit".to_owned()));
    let mut scene = Scene::new(&trusted(1));
    scene.run(60 * SECOND, &|_| later());
    assert_eq!(scene.state("n0", "s"), Probed::Pending { why: Some("its Pod does not fit".into()) });
    scene.run(60 * SECOND, &|_| there());
    scene.run(600 * SECOND, &|_| later());
    assert_eq!(is(&scene.state("n0", "s")), "up");
}

#[test]
fn a_toolset_config_does_not_wait_for_the_pause_of_another_one() {
    let mut scene = Scene::new(&trusted(1));
    scene.run(SECOND, &|_| Ended::NotAllowed("it is not".to_owned()));
    let other = NamespacedName::new("agent", "other");
    scene.board.set(&other, &trusted(1), &settings(), scene.now);
    scene.run(2 * SECOND, &|_| Ended::NotAllowed("it is not".to_owned()));
    let key = ServiceKey::new("n0", "s");
    assert_eq!((is(&scene.board.state(&other, &key)), scene.probes.len()), ("not allowed", 2));
}

#[test]
fn new_thresholds_keep_the_current_health() {
    let mut scene = Scene::new(&trusted(1));
    scene.run(SECOND, &|_| there());
    scene.board.set(&config(), &trusted(1), &HealthProbe { success_threshold: 5, ..settings() }, scene.now);
    assert_eq!(is(&scene.state("n0", "s")), "up");
}

#[test]
fn one_witness_is_not_enough() {
    let mut scene = Scene::new(&trusted(2));
    scene.run(SECOND, &|_| there());
    let world = |key: &ServiceKey| if &*key.namespace == "n0" { failed(Class::Unreachable) } else { there() };
    scene.run(100 * SECOND, &world);
    assert_eq!(is(&scene.state("n0", "s")), "suspect", "one other is not enough");
}

#[test]
fn tenants_never_count_as_witnesses() {
    let tenants = (0..50).map(|number| target(&format!("t{number}"), "s", Trust::Tenant));
    let all: Vec<_> = trusted(3).into_iter().chain(tenants).collect();
    // Tenants that do not respond cannot keep a Service of a Trusted source in the output.
    let mut scene = Scene::new(&all);
    scene.run(60 * SECOND, &|_| there());
    let only_some_answer = |key: &ServiceKey| {
        let fails = key.namespace.starts_with('t') || &*key.namespace == "n0";
        if fails { failed(Class::Unreachable) } else { there() }
    };
    scene.run(120 * SECOND, &only_some_answer);
    assert_eq!((is(&scene.state("n0", "s")), is(&scene.state("t0", "s"))), ("down", "down"));
    // Tenants that respond cannot make a Service of a Trusted source unhealthy.
    let mut scene = Scene::new(&all);
    scene.run(60 * SECOND, &|_| there());
    let only_tenants =
        |key: &ServiceKey| if key.namespace.starts_with('t') { there() } else { failed(Class::Unreachable) };
    scene.run(120 * SECOND, &only_tenants);
    assert_eq!(is(&scene.state("n0", "s")), "suspect");
}

#[test]
fn a_service_that_stays_down_is_probed_less_and_less_until_its_endpoints_change() {
    let mut scene = Scene::new(&trusted(1));
    scene.run(7200 * SECOND, &|_| failed(Class::Refused));
    let last = scene.probes.len();
    let pause = scene.probes[last - 1].0 - scene.probes[last - 2].0;
    assert!(pause > 500 * SECOND && pause < 661 * SECOND, "{pause:?}");
    scene.board.slices_changed(&ServiceKey::new("n0", "s"), scene.now);
    scene.run(SECOND, &|_| there());
    assert_eq!((scene.probes.len(), is(&scene.state("n0", "s"))), (last + 1, "up"));
}

#[test]
fn a_namespace_with_many_services_does_not_delay_the_others() {
    let many = (0..200).map(|number| target("many", &format!("s{number}"), Trust::Trusted));
    let all: Vec<_> = many.chain(trusted(20)).collect();
    let mut scene = Scene::new(&all);
    scene.run(3 * SECOND, &|_| there());
    for number in 0..20 {
        assert_eq!(is(&scene.state(&format!("n{number}"), "s")), "up", "{number}");
    }
    // One probe in a second, and the pauses after requests to other namespaces.
    scene.run(220 * SECOND, &|_| there());
    assert!((0..200).all(|number| is(&scene.state("many", &format!("s{number}"))) == "up"), "its period stretches");
}

#[test]
fn toolset_configs_that_need_the_same_probe_share_it_and_count_separately() {
    let mut scene = Scene::new(&trusted(1));
    let other = NamespacedName::new("agent", "other");
    let patient = HealthProbe { failure_threshold: 5, ..settings() };
    scene.board.set(&other, &trusted(1), &patient, scene.now);
    scene.run(35 * SECOND, &|_| failed(Class::Refused));
    let key = ServiceKey::new("n0", "s");
    assert_eq!((is(&scene.state("n0", "s")), is(&scene.board.state(&other, &key))), ("down", "undecided"));
    assert!(scene.probes.len() <= 4);
    scene.board.set(&other, &[], &patient, scene.now);
    scene.board.set(&config(), &[], &settings(), scene.now);
    assert_eq!((scene.board.targets.len(), scene.board.queue.is_empty()), (0, true));
}

#[test]
fn a_service_with_another_endpoint_is_pending_again() {
    let mut scene = Scene::new(&trusted(1));
    scene.run(SECOND, &|_| there());
    let mut moved = trusted(1);
    moved[0].ask.as_mut().unwrap().port = 81;
    assert!(scene.board.set(&config(), &moved, &settings(), scene.now).any);
    assert_eq!((is(&scene.state("n0", "s")), scene.board.targets.len()), ("pending", 1));
    assert!(!scene.board.set(&config(), &moved, &settings(), scene.now).any, "nothing changed");
}

#[test]
fn a_service_without_a_target_is_never_probed_and_its_state_shows_why() {
    let mut silent = trusted(1);
    for (why, state) in [(NoTarget::NoPath, "not allowed"), (NoTarget::TooMany, "pending")] {
        silent[0].ask = Err(why);
        let mut scene = Scene::new(&silent);
        scene.run(60 * SECOND, &|_| there());
        assert_eq!((is(&scene.state("n0", "s")), scene.probes.len()), (state, 0));
    }
}

#[test]
fn a_service_that_lost_its_endpoints_is_pending_until_it_responds_again() {
    let mut scene = Scene::new(&trusted(1));
    scene.run(SECOND, &|_| there());
    scene.board.slices_changed(&ServiceKey::new("n0", "s"), scene.now);
    scene.run(2 * SECOND, &|_| Ended::NoEndpoints);
    assert_eq!(is(&scene.state("n0", "s")), "pending");
    scene.board.slices_changed(&ServiceKey::new("n0", "s"), scene.now);
    scene.run(2 * SECOND, &|_| there());
    assert_eq!(is(&scene.state("n0", "s")), "up");
}

proptest! {
    #[test]
    fn a_flapping_service_changes_its_health_at_most_as_the_thresholds_say(answers in prop::collection::vec(any::<bool>(), 1..80)) {
        let mut scene = Scene::with(&trusted(1), &HealthProbe { success_threshold: 2, ..settings() });
        let (mut up, mut run, mut expected, mut shown) = (None, (false, 0), 0, vec![None]);
        for answer in &answers {
            scene.board.slices_changed(&ServiceKey::new("n0", "s"), scene.now);
            scene.run(SECOND, &|_| if *answer { there() } else { failed(Class::Refused) });
            run = if run.0 == *answer { (run.0, run.1 + 1) } else { (*answer, 1) };
            if run.1 >= (if *answer { 2 } else { 3 }) && up != Some(*answer) {
                (up, expected) = (Some(*answer), expected + 1);
            }
            let decided = match is(&scene.state("n0", "s")) {
                "up" => Some(true),
                "down" => Some(false),
                _ => None,
            };
            prop_assert_eq!(decided, up);
            if shown.last() != Some(&decided) {
                shown.push(decided);
            }
        }
        prop_assert_eq!(shown.len() - 1, expected);
    }
}

#[test]
fn services_that_are_not_probed_meanwhile_are_not_witnesses() {
    let mut scene = Scene::new(&trusted(4));
    let rare: Vec<_> = (10..40).map(|number| target(&format!("n{number}"), "s", Trust::Trusted)).collect();
    let hourly = HealthProbe { period_seconds: 3600, ..settings() };
    scene.board.set(&NamespacedName::new("agent", "rare"), &rare, &hourly, scene.now);
    scene.run(60 * SECOND, &|_| there());
    let world = |key: &ServiceKey| if &*key.namespace == "n0" { failed(Class::Unreachable) } else { there() };
    scene.run(60 * SECOND, &world);
    assert_eq!(is(&scene.state("n0", "s")), "down");
}

#[test]
fn the_targets_of_an_old_term_do_not_replace_those_of_the_new_term() {
    let probes = crate::cluster::probes::Probes::default();
    let fence = Fence::with_election();
    let first = fence.held_until(Instant::now() + SECOND).unwrap();
    fence.close();
    let second = fence.held_until(Instant::now() + SECOND).unwrap();
    probes.set(second, &config(), &trusted(1), None);
    probes.set(first, &config(), &[], None);
    assert!(probes.board().knows(&config()));
}

#[test]
fn a_list_ends_the_pauses_of_services_whose_endpoints_changed_in_a_gap() {
    let mut scene = Scene::new(&trusted(2));
    scene.run(7200 * SECOND, &|_| failed(Class::Refused));
    let ids: Vec<ProbeId> = scene.board.targets.keys().cloned().collect();
    for id in &ids {
        scene.board.saw(id, Some(1));
    }
    let before = scene.probes.len();
    scene.board.slices_listed(|key| Some(if &*key.namespace == "n0" { 2 } else { 1 }), scene.now);
    scene.run(SECOND, &|_| there());
    assert_eq!((scene.probes.len() - before, is(&scene.state("n0", "s"))), (1, "up"));
}

#[test]
fn services_that_refuse_connections_are_not_witnesses_that_respond() {
    let mut scene = Scene::new(&trusted(5));
    scene.run(SECOND, &|_| there());
    let class = |key: &ServiceKey| if &*key.namespace == "n0" { Class::Unreachable } else { Class::Refused };
    scene.run(60 * SECOND, &|key| failed(class(key)));
    assert_eq!(is(&scene.state("n0", "s")), "suspect");
}

#[test]
fn a_new_service_does_not_wait_for_all_due_services_of_other_namespaces() {
    let mut scene = Scene::new(&[]);
    let many = (0..400).map(|number| target(&format!("n{}", number % 40), &format!("s{number}"), Trust::Trusted));
    let mut all: Vec<_> = many.collect();
    scene.board.set(&config(), &all, &settings(), scene.now);
    scene.run(5 * SECOND, &|_| there());
    all.push(target("new", "s", Trust::Trusted));
    scene.board.set(&config(), &all, &settings(), scene.now);
    scene.run(SECOND, &|_| there());
    assert_eq!(is(&scene.state("new", "s")), "up");
}

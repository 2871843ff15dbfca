use std::collections::{BTreeMap, BTreeSet};

use detectors::pods::PodFacts;
use proptest::prelude::*;

use super::*;
use crate::fixtures::service;

fn pod(name: &str, serving: bool) -> PodRef {
    PodRef { name: name.to_owned(), uid: format!("uid of {name}"), serving }
}

fn names(chosen: &[Representative]) -> Vec<(&str, usize)> {
    chosen.iter().map(|one| (one.name.as_str(), one.serving)).collect()
}

fn read(controller: &str, stem: &str, serving: usize, created: i64) -> ReadPod {
    let controller = (!controller.is_empty()).then(|| controller.to_owned());
    ReadPod { controller, stem: stem.to_owned(), serving, created, facts: PodFacts::default() }
}

/// Labels by key.
fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn the_pods_of_one_template_share_a_stem() {
    for (name, expected) in [
        ("grafana-7d4b9c8f6d-x2x4z", "grafana-7d4b9c8f6d"),
        ("loki-0", "loki"),
        ("node-exporter-kk7mz", "node-exporter"),
        ("alone", "alone"),
        ("-x", "-x"),
    ] {
        assert_eq!(stem(name), expected);
    }
}

#[test]
fn a_name_that_was_cut_has_no_dash_before_its_random_part() {
    let base = format!("{}-7d4b9c8f6d", "n".repeat(47));
    let name = format!("{base}x2x4z");
    assert_eq!((base.len(), name.len()), (58, 63));
    assert_eq!(stem(&name), base);
    let with_dash = format!("{}-x2x4z", "n".repeat(57));
    assert_eq!(stem(&with_dash), "n".repeat(57));
}

#[test]
fn one_pod_stands_for_each_stem_and_a_serving_one_first() {
    let pods = [pod("a-1f-zzzzz", false), pod("a-1f-bbbbb", true), pod("a-2f-ccccc", true), pod("a-2f-ddddd", true)];
    assert_eq!(names(&representatives(&pods)), [("a-2f-ccccc", 2), ("a-1f-bbbbb", 1)]);
}

#[test]
fn the_lowest_ordinal_stands_for_a_stateful_set_whether_it_serves_or_not() {
    let pods = [pod("loki-10", true), pod("loki-2", true), pod("loki-1", false)];
    assert_eq!(names(&representatives(&pods)), [("loki-1", 2)]);
    let known = representatives_of_known(&pods, |uid| uid == "uid of loki-2");
    assert_eq!(names(&known), [("loki-1", 2)], "it has the template that most Pods have after a rollout");
}

#[test]
fn a_pod_that_was_read_stands_for_its_stem_as_long_as_it_is_there() {
    let pods = [pod("a-1f-zzzzz", true), pod("a-1f-bbbbb", false)];
    let chosen =
        |known: &str| names(&representatives_of_known(&pods, |uid| uid == format!("uid of {known}")))[0].0.to_owned();
    assert_eq!(chosen("a-1f-bbbbb"), "a-1f-bbbbb");
    assert_eq!(chosen("another"), "a-1f-zzzzz");
}

#[test]
fn a_random_end_that_is_a_number_is_no_ordinal() {
    let pods = [pod("a-1f-24567", false), pod("a-1f-bbbbb", true)];
    assert_eq!(names(&representatives(&pods)), [("a-1f-bbbbb", 1)]);
}

#[test]
fn a_pod_in_slices_of_two_families_counts_once() {
    let pods = [pod("a-1f-zzzzz", false), pod("a-1f-zzzzz", true)];
    assert_eq!(names(&representatives(&pods)), [("a-1f-zzzzz", 1)]);
}

#[test]
fn the_controller_of_a_rollout_has_no_hash() {
    let owner = |kind, name| Owner { kind, name };
    let of_deployment = labels(&[("pod-template-hash", "7d4b9c8f6d")]);
    assert_eq!(controller(owner("ReplicaSet", "grafana-7d4b9c8f6d"), Some(&of_deployment)), "ReplicaSet/grafana");
    assert_eq!(controller(owner("ReplicaSet", "grafana-blue"), Some(&of_deployment)), "ReplicaSet/grafana-blue");
    assert_eq!(controller(owner("ReplicaSet", "grafana-blue"), None), "ReplicaSet/grafana-blue");
    let of_rollout = labels(&[("rollouts-pod-template-hash", "5f")]);
    assert_eq!(controller(owner("ReplicaSet", "grafana-5f"), Some(&of_rollout)), "ReplicaSet/grafana");
    let of_deployment_config = labels(&[("deploymentconfig", "grafana")]);
    let replication = owner("ReplicationController", "grafana-3");
    assert_eq!(controller(replication, Some(&of_deployment_config)), "ReplicationController/grafana");
    assert_eq!(controller(owner("StatefulSet", "loki-0"), Some(&of_deployment)), "StatefulSet/loki-0");
}

#[test]
fn a_service_selects_pods_with_all_of_its_labels() {
    let mut view = service("n", "s", &[]);
    view.selector = [("app", "a"), ("part", "b")].into_iter().collect();
    assert!(selects(&view, Some(&labels(&[("app", "a"), ("part", "b"), ("more", "c")]))));
    assert!(!selects(&view, Some(&labels(&[("app", "a")]))));
    assert!(!selects(&view, None));
    view.selector = detectors::StringMap::default();
    assert!(!selects(&view, Some(&labels(&[]))));
}

#[test]
fn nothing_is_known_without_pods() {
    assert_eq!(evidence(&[]), None);
    assert!(evidence(&[read("ReplicaSet/a", "a-1f", 0, 0)]).is_some(), "also a Pod that does not serve says something");
}

fn some_pods() -> impl Strategy<Value = Vec<PodRef>> {
    let name = prop_oneof!["[ab](-[12]f)?-[bcd]{5}", "[ab]-[0-9]", "[ab]"];
    prop::collection::vec((name, 0..3_u8, any::<bool>()), 0..24).prop_map(|all| {
        let of = |(name, life, serving): (String, u8, bool)| PodRef { uid: format!("{name}/{life}"), name, serving };
        all.into_iter().map(of).collect()
    })
}

proptest! {
    #[test]
    fn representatives_are_pods_of_different_stems_in_an_order_that_does_not_depend_on_that_of_the_pods(
        pods in some_pods().prop_flat_map(|pods| (Just(pods.clone()), Just(pods).prop_shuffle()))
    ) {
        let (pods, shuffled) = pods;
        let chosen = representatives(&pods);
        prop_assert_eq!(&chosen, &representatives(&shuffled));
        let stems: BTreeSet<&str> = chosen.iter().map(|one| one.stem.as_str()).collect();
        prop_assert_eq!(stems.len(), chosen.len());
        let all: BTreeSet<&str> = pods.iter().map(|pod| stem(&pod.name)).collect();
        prop_assert_eq!(chosen.len(), all.len().min(MAX_PER_SERVICE));
        prop_assert!(chosen.is_sorted_by(|a, b| a.serving >= b.serving));
        for one in &chosen {
            prop_assert!(pods.iter().any(|pod| pod.name == one.name && pod.uid == one.uid));
            prop_assert_eq!(stem(&one.name), &one.stem);
        }
    }

    #[test]
    fn what_was_read_is_chosen_again_unless_it_is_gone(pods in some_pods()) {
        let first: BTreeSet<String> = representatives(&pods).into_iter().map(|one| one.uid).collect();
        let again = representatives_of_known(&pods, |uid| first.contains(uid));
        prop_assert_eq!(first, again.into_iter().map(|one| one.uid).collect::<BTreeSet<_>>());
    }

    #[test]
    fn a_rollout_of_one_controller_is_never_ambiguous(
        stems in prop::collection::vec(("[ab]-[1-3]f", 0..4_usize, 0..3_i64), 1..6)
    ) {
        let pods: Vec<ReadPod> =
            stems.iter().map(|(stem, serving, created)| read("ReplicaSet/a", stem, *serving, *created)).collect();
        let of_all = evidence(&pods);
        prop_assert!(of_all.as_ref().is_some_and(|evidence| !evidence.ambiguous));
        let mut reversed = pods.clone();
        reversed.reverse();
        prop_assert_eq!(of_all, evidence(&reversed));
    }
}

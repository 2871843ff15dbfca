use detectors::ServiceKey;

use super::{Change, Index, NamespaceView, SliceView};
use crate::fixtures::{self, grafana, labelled, prometheus, service};

fn slice(name: &str, service: &str, serving: bool) -> SliceView {
    SliceView { name: name.into(), ..fixtures::slice(&fixtures::service("m", service, &[]), serving) }
}

fn namespace(name: &str, label: &str) -> NamespaceView {
    NamespaceView { name: name.into(), labels: [("observe", label)].into_iter().collect() }
}

/// What changed, as text: `~` where something was there before.
fn words(changes: impl IntoIterator<Item = Change>) -> Vec<String> {
    let word = |change| match change {
        Change::Service { key, before } => format!("{}service {key}", if before.is_some() { "~" } else { "" }),
        Change::Readiness { key, .. } => format!("readiness {key}"),
        Change::Pods { key } => format!("pods {key}"),
        Change::Identity { key } => format!("identity {key}"),
        Change::Namespace { name, before } => format!("{}namespace {name}", if before.is_some() { "~" } else { "" }),
    };
    changes.into_iter().map(word).collect()
}

#[test]
fn a_service_is_ready_while_any_of_its_slices_is() {
    let mut index = Index::default();
    let key = ServiceKey::new("m", "prometheus");
    index.apply_slice(slice("a", "prometheus", true));
    index.apply_slice(slice("b", "prometheus", false));
    assert!(index.readiness(&key).serving);
    assert_eq!(words(index.delete_slice("m", "a")), ["readiness m/prometheus"]);
    assert!(!index.readiness(&key).serving);
}

#[test]
fn a_service_has_pods_while_a_slice_of_the_controller_leads_to_some() {
    let mut index = Index::default();
    let (key, other) = (ServiceKey::new("m", "prometheus"), ServiceKey::new("m", "other"));
    index.apply_slice(SliceView { managed: false, ..slice("by-hand", "prometheus", true) });
    index.apply_slice(SliceView { pods: false, ..slice("empty", "prometheus", false) });
    assert!(!index.has_pods(&key));
    index.apply_slice(slice("a", "prometheus", false));
    assert!(index.has_pods(&key) && !index.has_pods(&other));
    index.apply_slice(slice("a", "other", false));
    assert!(!index.has_pods(&key) && index.has_pods(&other));
    index.delete_slice("m", "a");
    assert!(!index.has_pods(&other));
}

#[test]
fn a_slice_that_changes_its_service_changes_both() {
    let mut index = Index::default();
    index.apply_slice(slice("a", "old", true));
    assert_eq!(words(index.apply_slice(slice("a", "new", true))), ["readiness m/new", "readiness m/old"]);
    assert!(!index.readiness(&ServiceKey::new("m", "old")).serving);
    assert!(index.readiness(&ServiceKey::new("m", "new")).serving);
}

#[test]
fn a_repeated_slice_changes_nothing() {
    let mut index = Index::default();
    index.apply_slice(slice("a", "s", true));
    assert!(index.apply_slice(slice("a", "s", true)).is_empty());
    assert!(index.apply_slice(slice("b", "s", true)).is_empty(), "readiness was true before");
}

#[test]
fn a_repeated_service_or_namespace_changes_nothing() {
    let mut index = Index::default();
    assert_eq!(words(index.apply_service(grafana("m", "g"))), ["service m/g"]);
    assert!(index.apply_service(grafana("m", "g")).is_none());
    assert_eq!(words(index.apply_namespace(namespace("m", "a"))), ["namespace m"]);
    assert!(index.apply_namespace(namespace("m", "a")).is_none());
    assert_eq!(words(index.apply_namespace(namespace("m", "b"))), ["~namespace m"]);
}

#[test]
fn a_service_that_nothing_recognises_any_more_is_still_known() {
    let mut index = Index::default();
    index.apply_service(grafana("m", "g"));
    let change = index.apply_service(service("m", "g", &[("http", 80)]));
    let Some(Change::Service { before: Some(before), .. }) = change else { panic!("{change:?}") };
    assert!(before.is_interesting());
    assert_eq!((index.interesting().count(), index.services().count(), index.services_len()), (0, 1, 1));
}

#[test]
fn services_come_by_namespace_and_name_whether_recognised_or_not() {
    let mut index = Index::default();
    for view in
        [service("b", "a", &[]), grafana("a", "z"), service("a", "m", &[]), grafana("b", "b"), grafana("a", "a")]
    {
        index.apply_service(view);
    }
    let names: Vec<String> = index.services().map(|service| service.view.key.to_string()).collect();
    assert_eq!(names, ["a/a", "a/m", "a/z", "b/a", "b/b"]);
    assert_eq!(index.services_in("a").count(), 3);
    assert_eq!(index.interesting_in("b").count(), 1);
}

#[test]
fn a_list_tells_what_came_what_changed_and_what_went() {
    let mut index = Index::default();
    for name in ["same", "changed", "gone"] {
        index.apply_service(prometheus("m", name));
    }
    let mut list = index.list_services(None);
    index.collect_service(&mut list, prometheus("m", "same"));
    index.collect_service(&mut list, labelled(prometheus("m", "changed"), &[]));
    index.collect_service(&mut list, prometheus("m", "new"));
    assert_eq!(index.services_len(), 3, "nothing moves before the list is complete");
    assert_eq!(words(index.finish_services(list)), ["~service m/changed", "service m/new", "~service m/gone"]);
    assert_eq!(index.services_len(), 3);
}

#[test]
fn the_list_of_one_namespace_leaves_the_others_alone() {
    let mut index = Index::default();
    for view in [slice("a", "s", true), SliceView { namespace: "n".into(), ..slice("a", "s", true) }] {
        index.apply_slice(view);
    }
    let list = index.list_slices(Some("m"));
    assert_eq!(words(index.finish_slices(list)), ["readiness m/s"]);
    assert!(!index.readiness(&ServiceKey::new("m", "s")).serving);
    assert!(index.readiness(&ServiceKey::new("n", "s")).serving);
}

#[test]
fn a_new_list_drops_what_vanished_during_a_watch_gap() {
    let mut index = Index::default();
    index.apply_slice(slice("a", "s", true));
    let mut list = index.list_slices(None);
    index.collect_slice(&mut list, slice("b", "t", true));
    assert_eq!(words(index.finish_slices(list)), ["readiness m/s", "readiness m/t"]);
    assert!(!index.readiness(&ServiceKey::new("m", "s")).serving);
    assert!(index.readiness(&ServiceKey::new("m", "t")).serving);
}

#[test]
fn a_slice_that_was_replaced_during_a_gap_without_effect_is_no_change() {
    let mut index = Index::default();
    index.apply_slice(slice("a", "s", true));
    let mut list = index.list_slices(None);
    index.collect_slice(&mut list, slice("b", "s", true));
    assert!(index.finish_slices(list).is_empty());
}

#[test]
fn a_list_that_breaks_off_changes_nothing_and_the_next_one_is_complete() {
    let mut index = Index::default();
    index.apply_service(grafana("m", "a"));
    index.apply_service(grafana("m", "b"));
    let mut broken = index.list_services(None);
    index.collect_service(&mut broken, grafana("m", "a"));
    drop(broken);
    assert_eq!(index.services_len(), 2);
    let mut list = index.list_services(None);
    index.collect_service(&mut list, grafana("m", "b"));
    assert_eq!(words(index.finish_services(list)), ["~service m/a"]);
}

#[test]
fn what_an_event_brings_while_a_list_is_read_stays() {
    let mut index = Index::default();
    let list = index.list_services(None);
    index.apply_service(grafana("m", "g"));
    assert!(index.finish_services(list).is_empty());
    assert_eq!(index.services_len(), 1);
}

#[test]
fn the_list_of_one_namespace_object_concerns_only_that_one() {
    let mut index = Index::default();
    index.apply_namespace(namespace("m", "a"));
    index.apply_namespace(namespace("n", "a"));
    let list = index.list_namespaces(Some("m"));
    assert_eq!(words(index.finish_namespaces(list)), ["~namespace m"]);
    assert!(index.namespace_labels("n").is_some());
}

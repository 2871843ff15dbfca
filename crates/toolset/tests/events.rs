//! What holds for every sequence of events and lists: the index is what the objects are, it says exactly what changed,
//! and a ToolsetConfig that no change concerns has the plan that it had.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failed `unwrap` fails the test, and the names of tests say what they state"
)]

use std::collections::{BTreeMap, BTreeSet};

use crd_types::ToolsetConfig;
use detectors::{PortView, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort};
use proptest::prelude::*;
use serde_json::{Value, json};
use toolset::{
    Change, DEFAULT_CLUSTER_DOMAIN, HealthStage, Index, Interest, NamespaceView, Rejection, Rendered, SliceView,
    index::{Readiness, SliceOwner},
    pipeline::{self, HealthInput, Input},
};

const NAMESPACES: [&str; 4] = ["monitoring", "team", "holmes", "other"];
const NAMES: [&str; 4] = ["prometheus", "grafana", "grafana-headless", "checkout"];

/// The objects as the API server has them.
#[derive(Clone, Debug, Default)]
struct Objects {
    services: BTreeMap<ServiceKey, ServiceView>,
    slices: BTreeMap<(String, String), SliceView>,
    namespaces: BTreeMap<String, StringMap>,
}

/// What a watch tells.
#[derive(Clone, Debug)]
enum Event {
    Service(ServiceView),
    NoService(ServiceKey),
    /// All that there is, or all of one namespace; the objects of other namespaces in it do not count.
    Services(Option<&'static str>, Vec<ServiceView>),
    /// A list that breaks off.
    SomeServices(Vec<ServiceView>),
    Slice(SliceView),
    NoSlice(&'static str, String),
    Slices(Option<&'static str>, Vec<SliceView>),
    Namespace(NamespaceView),
    NoNamespace(&'static str),
    Namespaces(Option<&'static str>, Vec<NamespaceView>),
}

impl Objects {
    fn apply(&mut self, event: &Event) {
        match event.clone() {
            Event::Service(view) => _ = self.services.insert(view.key.clone(), view),
            Event::NoService(key) => _ = self.services.remove(&key),
            Event::Services(scope, views) => {
                self.services.retain(|key, _| scope.is_some_and(|scope| *key.namespace != *scope));
                self.services.extend(views.into_iter().map(|view| (view.key.clone(), view)));
            }
            Event::SomeServices(_) => {}
            Event::Slice(view) => _ = self.slices.insert(slice_key(&view), view),
            Event::NoSlice(namespace, name) => _ = self.slices.remove(&(namespace.to_owned(), name)),
            Event::Slices(scope, views) => {
                self.slices.retain(|(namespace, _), _| scope.is_some_and(|scope| namespace != scope));
                self.slices.extend(views.into_iter().map(|view| (slice_key(&view), view)));
            }
            Event::Namespace(view) => _ = self.namespaces.insert(view.name.to_string(), view.labels),
            Event::NoNamespace(name) => _ = self.namespaces.remove(name),
            Event::Namespaces(scope, views) => {
                self.namespaces.retain(|name, _| scope.is_some_and(|scope| name != scope));
                self.namespaces.extend(views.into_iter().map(|view| (view.name.to_string(), view.labels)));
            }
        }
    }

    fn readiness(&self) -> BTreeMap<ServiceKey, Readiness> {
        let mut all: BTreeMap<ServiceKey, Readiness> = BTreeMap::new();
        for slice in self.slices.values() {
            let one = all.entry(ServiceKey::new(&*slice.namespace, &*slice.service)).or_default();
            one.serving |= slice.serving;
            one.manual |= !slice.managed;
            one.elsewhere |= slice.elsewhere;
            one.owner = match one.owner {
                SliceOwner::NoSlices => SliceOwner::One(slice.owner),
                SliceOwner::One(owner) if owner == slice.owner => one.owner,
                SliceOwner::One(_) | SliceOwner::Several => SliceOwner::Several,
            };
        }
        all
    }

    fn index(&self) -> Index {
        let mut index = Index::default();
        for view in self.services.values() {
            index.apply_service(view.clone());
        }
        for view in self.slices.values() {
            index.apply_slice(view.clone());
        }
        for (name, labels) in &self.namespaces {
            index.apply_namespace(NamespaceView { name: name.as_str().into(), labels: labels.clone() });
        }
        index
    }
}

fn slice_key(view: &SliceView) -> (String, String) {
    (view.namespace.to_string(), view.name.to_string())
}

fn feed(index: &mut Index, event: &Event) -> Vec<Change> {
    match event.clone() {
        Event::Service(view) => index.apply_service(view).into_iter().collect(),
        Event::NoService(key) => index.delete_service(&key).into_iter().collect(),
        Event::Services(scope, views) => {
            let mut list = index.list_services(scope);
            for view in views {
                index.collect_service(&mut list, view);
            }
            index.finish_services(list)
        }
        Event::SomeServices(views) => {
            let mut list = index.list_services(None);
            for view in views {
                index.collect_service(&mut list, view);
            }
            Vec::new()
        }
        Event::Slice(view) => index.apply_slice(view),
        Event::NoSlice(namespace, name) => index.delete_slice(namespace, &name).into_iter().collect(),
        Event::Slices(scope, views) => {
            let mut list = index.list_slices(scope);
            for view in views {
                index.collect_slice(&mut list, view);
            }
            index.finish_slices(list)
        }
        Event::Namespace(view) => index.apply_namespace(view).into_iter().collect(),
        Event::NoNamespace(name) => index.delete_namespace(name).into_iter().collect(),
        Event::Namespaces(scope, views) => {
            let mut list = index.list_namespaces(scope);
            for view in views {
                index.collect_namespace(&mut list, view);
            }
            index.finish_namespaces(list)
        }
    }
}

/// What differs between two states, as the index has to say it: the object and what was there before.
fn differences(before: &Objects, after: &Objects) -> BTreeSet<String> {
    fn differing<'a, K: Ord, V: PartialEq>(
        before: &'a BTreeMap<K, V>,
        after: &'a BTreeMap<K, V>,
    ) -> impl Iterator<Item = (&'a K, Option<&'a V>)> {
        let keys: BTreeSet<&K> = before.keys().chain(after.keys()).collect();
        keys.into_iter().filter(|key| before.get(key) != after.get(key)).map(|key| (key, before.get(key)))
    }
    let readiness = |objects: &Objects| -> BTreeMap<ServiceKey, Readiness> {
        objects.readiness().into_iter().filter(|(_, one)| *one != Readiness::default()).collect()
    };
    differing(&before.services, &after.services)
        .map(|(key, was)| format!("{key} {was:?}"))
        .chain(differing(&readiness(before), &readiness(after)).map(|(key, _)| format!("readiness {key}")))
        .chain(differing(&before.namespaces, &after.namespaces).map(|(name, was)| format!("{name} {was:?}")))
        .collect()
}

fn in_words(change: &Change) -> String {
    match change {
        Change::Service { key, before } => format!("{key} {:?}", before.as_ref().map(|before| &before.view)),
        Change::Readiness { key, .. } => format!("readiness {key}"),
        Change::Pods { key } => format!("pods {key}"),
        Change::Identity { key } => format!("identity {key}"),
        Change::Namespace { name, before } => format!("{name} {before:?}"),
    }
}

/// Everything that can be asked of an index.
fn answers(index: &Index) -> Vec<String> {
    let mut all: Vec<String> = index
        .services()
        .map(|service| {
            format!(
                "{:?} {:?} {:?}",
                service.view,
                service.findings(toolset::pods::Pods::Ignored),
                service.is_interesting()
            )
        })
        .collect();
    all.push(format!("{} Services", index.services_len()));
    all.extend(index.interesting().map(|service| format!("interesting {}", service.view.key)));
    for namespace in NAMESPACES {
        all.push(format!("{:?}", index.namespace_labels(namespace)));
        all.extend(index.services_in(namespace).map(|service| format!("in {namespace} {}", service.view.key)));
        all.extend(index.interesting_in(namespace).map(|service| format!("interesting in {}", service.view.key)));
        for name in NAMES {
            let key = ServiceKey::new(namespace, name);
            all.push(format!("{:?} {:?}", index.readiness(&key), index.service(&key).map(|service| &service.view)));
        }
    }
    all
}

fn configs() -> Vec<ToolsetConfig> {
    let source = |namespaces: Value| json!({"name": "s", "trust": "Trusted", "namespaces": namespaces});
    let all = || source(json!({"from": "All"}));
    let labelled = || source(json!({"from": "Selector", "selector": {"matchLabels": {"tier": "a"}}}));
    let with = |mut source: Value, key: &str, value: Value| {
        source[key] = value;
        source
    };
    let signature = json!([
        {"name": "mine", "type": "Loki", "selector": {"matchLabels": {"app": "acme"}}, "port": 80},
        {"name": "noted", "type": "Custom", "customType": "acme", "annotations": {"acme.io/kind": "db"}},
    ]);
    let specs = [
        json!({"sources": [all()]}),
        json!({"sources": [source(json!({"from": "Names", "names": ["monitoring", "absent"]}))]}),
        json!({"sources": [source(json!({"from": "Same"}))]}),
        json!({"sources": [labelled()]}),
        json!({"sources": [with(all(), "serviceSelector", json!({"matchLabels": {"team": "b"}}))]}),
        json!({"sources": [labelled(), with(with(all(), "name", json!("t")), "trust", json!("Tenant"))]}),
        json!({"sources": [source(json!({"from": "Names", "names": ["team"]}))], "signatures": signature}),
        json!({"sources": [labelled()], "signatures": signature, "health": {"mode": "None"}}),
    ];
    let config = |spec| {
        serde_json::from_value(json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1",
            "kind": "ToolsetConfig",
            "metadata": {"name": "default", "namespace": "holmes", "uid": "u"},
            "spec": spec,
        }))
        .unwrap()
    };
    specs.into_iter().map(config).collect()
}

fn planned(config: &ToolsetConfig, index: &Index) -> (Rendered, Vec<Rejection>) {
    let outcome = pipeline::run(Input {
        config,
        cluster_domain: DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        remembered: None,
        health: HealthInput::Observed {
            stage: &mut HealthStage::without_waiting(),
            time: &|_| toolset::health::HealthTime::default(),
            in_output: &BTreeSet::new,
            probed: None,
        },
        legacy_overrides: None,
        base: None,
        previous: None,
    });
    (outcome.rendered, outcome.plan.rejected)
}

fn any_service() -> impl Strategy<Value = ServiceView> {
    let labels = prop_oneof![
        2 => Just(vec![("app.kubernetes.io/name", "prometheus"), ("app.kubernetes.io/component", "server")]),
        2 => Just(vec![("app.kubernetes.io/name", "grafana")]),
        1 => Just(vec![("app.kubernetes.io/name", "grafana"), ("team", "b")]),
        1 => Just(vec![("app", "acme")]),
        1 => Just(vec![]),
    ];
    let annotations = prop_oneof![
        4 => Just(vec![]),
        2 => Just(vec![("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "jaeger")]),
        1 => Just(vec![("kubernaut.io/toolset-port", "nope")]),
        1 => Just(vec![("kubernaut.io/toolset", "disabled")]),
        1 => Just(vec![("kubernaut.io/toolset-endpoint", "http://grafana.team.svc.cluster.local:80/x")]),
        1 => Just(vec![("acme.io/kind", "db")]),
    ];
    let key = (prop::sample::select(NAMESPACES.to_vec()), prop::sample::select(NAMES.to_vec()));
    (key, labels, annotations, prop::sample::select(vec![80_u16, 9090, 3000]), any::<(bool, bool)>(), 0..3_u64)
        .prop_map(|((namespace, name), labels, annotations, port, (headless, bare), uid)| ServiceView {
            key: ServiceKey::new(namespace, name),
            labels: labels.into_iter().collect(),
            annotations: annotations.into_iter().collect(),
            selector: if bare { StringMap::default() } else { [("app", "shared")].into_iter().collect() },
            ports: Box::new([PortView {
                name: Some("http".into()),
                port,
                target: Some(TargetPort::Number(port)),
                protocol: Protocol::Tcp,
                app_protocol: None,
            }]),
            service_type: ServiceType::ClusterIP,
            headless,
            external_ips: false,
            uid,
            created: 0,
        })
}

fn slice_name() -> impl Strategy<Value = String> {
    "[ab]"
}

fn any_slice() -> impl Strategy<Value = SliceView> {
    let key = (prop::sample::select(NAMESPACES.to_vec()), slice_name(), prop::sample::select(NAMES.to_vec()));
    let flags = (any::<bool>(), prop::bool::weighted(0.8), prop::bool::weighted(0.1));
    (key, flags, 0..3_u64, 0..3_u64).prop_map(
        |((namespace, name, service), (serving, managed, elsewhere), owner, revision)| SliceView {
            namespace: namespace.into(),
            name: name.into(),
            service: service.into(),
            serving,
            managed,
            elsewhere,
            pods: !elsewhere,
            owner,
            revision,
        },
    )
}

fn any_namespace() -> impl Strategy<Value = NamespaceView> {
    (prop::sample::select(NAMESPACES.to_vec()), prop::sample::select(vec!["a", "b"]))
        .prop_map(|(name, tier)| NamespaceView { name: name.into(), labels: [("tier", tier)].into_iter().collect() })
}

/// A list of all or of one namespace, each object once.
fn listed<T: Clone + std::fmt::Debug + 'static, K: Ord>(
    one: impl Strategy<Value = T>,
    namespace_of: fn(&T) -> &str,
    key_of: fn(&T) -> K,
) -> impl Strategy<Value = (Option<&'static str>, Vec<T>)> {
    let scope = prop::option::of(prop::sample::select(NAMESPACES.to_vec()));
    (scope, prop::collection::vec(one, 0..8)).prop_map(move |(scope, mut all)| {
        all.retain(|one| scope.is_none_or(|scope| namespace_of(one) == scope));
        let mut seen = BTreeSet::new();
        all.retain(|one| seen.insert(key_of(one)));
        (scope, all)
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let namespace = || prop::sample::select(NAMESPACES.to_vec());
    prop_oneof![
        6 => any_service().prop_map(Event::Service),
        3 => (namespace(), prop::sample::select(NAMES.to_vec()))
            .prop_map(|(namespace, name)| Event::NoService(ServiceKey::new(namespace, name))),
        2 => listed(any_service(), |view| &view.key.namespace, |view| view.key.clone())
            .prop_map(|(scope, views)| Event::Services(scope, views)),
        1 => prop::collection::vec(any_service(), 0..4).prop_map(Event::SomeServices),
        5 => any_slice().prop_map(Event::Slice),
        2 => (namespace(), slice_name()).prop_map(|(namespace, name)| Event::NoSlice(namespace, name)),
        2 => listed(any_slice(), |view| &view.namespace, slice_key)
            .prop_map(|(scope, views)| Event::Slices(scope, views)),
        3 => any_namespace().prop_map(Event::Namespace),
        1 => namespace().prop_map(Event::NoNamespace),
        1 => listed(any_namespace(), |view| &view.name, |view| view.name.clone())
            .prop_map(|(scope, views)| Event::Namespaces(scope, views)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn the_index_is_what_the_objects_are_and_says_exactly_what_changed(events in prop::collection::vec(any_event(), 1..30)) {
        let (mut objects, mut index) = (Objects::default(), Index::default());
        for event in &events {
            let before = objects.clone();
            objects.apply(event);
            let changes = feed(&mut index, event);
            let said: BTreeSet<String> = changes.iter().map(in_words).collect();
            prop_assert_eq!(said.len(), changes.len(), "each change once: {:?}", changes);
            prop_assert_eq!(said, differences(&before, &objects), "{:?}", event);
        }
        prop_assert_eq!(answers(&index), answers(&objects.index()));
    }

    #[test]
    fn a_plan_that_no_change_concerns_stays_as_it_is(
        batches in prop::collection::vec(prop::collection::vec(any_event(), 1..4), 1..8),
    ) {
        let (mut objects, mut index) = (Objects::default(), Index::default());
        let configs = configs();
        let interests: Vec<Interest> = configs.iter().map(Interest::of).collect();
        let mut plans: Vec<_> = configs.iter().map(|config| planned(config, &index)).collect();
        for batch in &batches {
            let mut changes = Vec::new();
            for event in batch {
                objects.apply(event);
                changes.extend(feed(&mut index, event));
            }
            let scratch = objects.index();
            for ((config, interest), plan) in configs.iter().zip(&interests).zip(&mut plans) {
                if changes.iter().any(|change| interest.concerns(change, &index)) {
                    *plan = planned(config, &index);
                }
                prop_assert_eq!(&*plan, &planned(config, &scratch), "{:?} {:?}", config.spec.sources, batch);
            }
        }
    }
}

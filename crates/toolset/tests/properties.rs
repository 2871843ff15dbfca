//! What holds for every Service and every order of events, however odd.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failed `unwrap` fails the test, and the names of tests say what they state"
)]

use crd_types::{ToolsetConfig, Trust};
use detectors::{PortView, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort};
use proptest::prelude::*;
use toolset::{
    DEFAULT_CLUSTER_DOMAIN, Index, Plan, Rendered,
    pipeline::{self, HealthInput, Input, Outcome},
};

fn config(trust: &str) -> ToolsetConfig {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1",
        "kind": "ToolsetConfig",
        "metadata": {"name": "default", "namespace": "holmes", "uid": "u"},
        "spec": {"sources": [
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
            {"name": "teams", "trust": trust, "namespaces": {"from": "All"}},
        ]},
    }))
    .unwrap()
}

fn run(config: &ToolsetConfig, services: impl IntoIterator<Item = ServiceView>) -> (Plan, Rendered) {
    run_with(config, services, None)
}

fn run_with(
    config: &ToolsetConfig,
    services: impl IntoIterator<Item = ServiceView>,
    legacy_overrides: Option<&str>,
) -> (Plan, Rendered) {
    let mut index = Index::default();
    for service in services {
        index.apply_service(service);
    }
    let Outcome { plan, rendered, .. } = pipeline::run(Input {
        config,
        cluster_domain: DEFAULT_CLUSTER_DOMAIN,
        index: &index,
        admits: None,
        remembered: None,
        health: HealthInput::Unobserved,
        legacy_overrides,
        base: None,
        previous: None,
    });
    (plan, rendered)
}

/// Label pairs that real products carry, ordinary ones, and noise.
fn labels() -> impl Strategy<Value = StringMap> {
    let keys = prop_oneof![
        Just("app".to_owned()),
        Just("app.kubernetes.io/name".to_owned()),
        Just("app.kubernetes.io/component".to_owned()),
        Just("k8s-app".to_owned()),
        "[a-z.]{1,12}/[a-z]{1,8}",
    ];
    let values = prop_oneof![
        Just("prometheus".to_owned()),
        Just("grafana".to_owned()),
        Just("loki".to_owned()),
        Just("server".to_owned()),
        Just("gateway".to_owned()),
        "[A-Za-z0-9._-]{0,20}",
    ];
    proptest::collection::vec((keys, values), 0..5).prop_map(|pairs| pairs.into_iter().collect())
}

/// Our annotations with values that fit, that nearly fit and that are hostile.
fn annotations() -> impl Strategy<Value = StringMap> {
    let keys = proptest::sample::select(toolset::select::annotation::ALL.to_vec());
    let values = prop_oneof![
        3 => proptest::sample::select(vec!["enabled", "prometheus", "grafana", "vector-database", "http", "9090", "/base", "a-name"]).prop_map(str::to_owned),
        1 => proptest::sample::select(vec![
            "{{ env.TOKEN }}", "{% x %}", "${HOME}", "@evil.example/x", "http://evil.example:80/", "//evil.example", "a\nb", "\u{202e}x", "http://s1.team:80@evil.example",
        ])
        .prop_map(str::to_owned),
        1 => any::<String>(),
    ];
    proptest::collection::vec((keys, values), 0..4).prop_map(|pairs| pairs.into_iter().collect())
}

fn ports() -> impl Strategy<Value = Box<[PortView]>> {
    let name = proptest::option::of(
        proptest::sample::select(vec!["http", "web", "service", "metrics", "grpc", "https"]).prop_map(Box::<str>::from),
    );
    let port = (name, prop_oneof![Just(9090_u16), Just(80), Just(3000), 1_u16..=65535], any::<bool>()).prop_map(
        |(name, port, udp)| PortView {
            name,
            port,
            target: Some(TargetPort::Number(port)),
            protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
            app_protocol: None,
        },
    );
    proptest::collection::vec(port, 0..4).prop_map(Vec::into_boxed_slice)
}

fn service() -> impl Strategy<Value = ServiceView> {
    let namespace = proptest::sample::select(vec!["monitoring", "team", "team-b", "odd.namespace"]);
    let key = (namespace, prop_oneof![4 => "[a-z][a-z0-9-]{0,8}[a-z0-9]", 1 => any::<String>()]);
    (key, labels(), annotations(), labels(), ports(), any::<bool>(), 0_i64..100).prop_map(
        |((namespace, name), labels, annotations, selector, ports, headless, created)| ServiceView {
            key: ServiceKey::new(namespace, name),
            labels,
            annotations,
            selector,
            ports,
            service_type: ServiceType::ClusterIP,
            headless,
            external_ips: false,
            uid: 0,
            created,
        },
    )
}

/// One Service per key: a cluster has no two.
fn cluster() -> impl Strategy<Value = Vec<ServiceView>> {
    proptest::collection::vec(service(), 0..12).prop_map(|mut services| {
        services.sort_by(|a, b| a.key.cmp(&b.key));
        services.dedup_by(|a, b| a.key == b.key);
        services
    })
}

const NAMES: [&str; 8] =
    ["prometheus", "grafana", "jaeger", "loki", "main", "prometheus-server", "main-grafana", "monitoring"];

/// The platform's own Services, under the names that the predecessor's overrides name.
fn trusted() -> impl Strategy<Value = Vec<ServiceView>> {
    let products = proptest::sample::select(vec!["prometheus", "grafana", "jaeger", "loki"]);
    let annotations = proptest::option::of(proptest::sample::select(NAMES.to_vec()));
    let named = (proptest::sample::select(NAMES.to_vec()), products, annotations, 0_i64..100);
    proptest::collection::vec(named, 0..5).prop_map(|all| {
        let mut services: Vec<_> =
            all.into_iter().map(|(name, type_, chosen, age)| stated("monitoring", name, type_, chosen, age)).collect();
        services.sort_by(|a, b| a.key.cmp(&b.key));
        services.dedup_by(|a, b| a.key == b.key);
        services
    })
}

/// Services that Tenants opt in, under the same names.
fn of_tenants() -> impl Strategy<Value = Vec<ServiceView>> {
    let types = proptest::sample::select(vec!["prometheus", "grafana", "jaeger", "loki", "main"]);
    let chosen = proptest::option::of(proptest::sample::select(NAMES.to_vec()));
    let namespaces = proptest::sample::select(vec!["team", "main", "server", "grafana"]);
    let named = (namespaces, proptest::sample::select(NAMES.to_vec()), types, chosen, 0_i64..100);
    proptest::collection::vec(named, 0..16).prop_map(|all| {
        let of = |(namespace, name, type_, chosen, age)| stated(namespace, name, type_, chosen, age);
        let mut services: Vec<_> = all.into_iter().map(of).collect();
        services.sort_by(|a, b| a.key.cmp(&b.key));
        services.dedup_by(|a, b| a.key == b.key);
        services
    })
}

fn stated(namespace: &str, name: &str, type_: &str, chosen: Option<&str>, created: i64) -> ServiceView {
    let annotations = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)];
    let chosen = chosen.map(|name| ("kubernaut.io/toolset-name", name));
    let port = PortView {
        name: Some("http".into()),
        port: 80,
        target: Some(TargetPort::Number(80)),
        protocol: Protocol::Tcp,
        app_protocol: None,
    };
    ServiceView {
        key: ServiceKey::new(namespace, name),
        labels: StringMap::default(),
        annotations: annotations.into_iter().chain(chosen).collect(),
        selector: [("app", name)].into_iter().collect(),
        ports: Box::new([port]),
        service_type: ServiceType::ClusterIP,
        headless: false,
        external_ips: false,
        uid: 0,
        created,
    }
}

/// The predecessor's `overrides.yaml`.
fn predecessors_overrides() -> impl Strategy<Value = String> {
    let entry = (proptest::sample::select(NAMES.to_vec()), any::<bool>(), any::<bool>());
    proptest::collection::vec(entry, 0..4).prop_map(|entries| {
        let entries = entries.iter().enumerate().map(|(number, (name, enabled, described))| {
            let description = if *described { format!(", description: Words {number}") } else { String::new() };
            format!("{{name: {name}, enabled: {enabled}{description}}}")
        });
        format!("tools: [{}]", entries.collect::<Vec<_>>().join(", "))
    })
}

/// What the files and the status say of Trusted tools, word for word.
fn written_of_trusted(planned: &Plan, rendered: &Rendered) -> Vec<String> {
    let trusted: Vec<_> = planned.tools.iter().filter(|tool| tool.trust == Trust::Trusted).collect();
    let hosts: Vec<String> = trusted.iter().map(|tool| tool.endpoint.origin()).collect();
    let is_of_trusted = |text: &str| hosts.iter().any(|host| text.contains(host.as_str()));
    let mut written: Vec<String> = trusted.iter().map(|tool| format!("{tool:?}")).collect();
    let rejected = planned.rejected.iter().filter(|rejection| rejection.trust == Trust::Trusted);
    written.extend(rejected.map(|rejection| format!("{rejection:?}")));
    for text in rendered.data.values() {
        let file: serde_json::Value = serde_saphyr::from_str(text).unwrap();
        for (key, value) in file.as_object().unwrap() {
            let entries: Vec<String> = match value {
                serde_json::Value::Array(entries) => entries.iter().map(ToString::to_string).collect(),
                serde_json::Value::Object(entries) => {
                    entries.iter().map(|(name, entry)| format!("{name}: {entry}")).collect()
                }
                other => vec![other.to_string()],
            };
            written
                .extend(entries.into_iter().filter(|entry| is_of_trusted(entry)).map(|entry| format!("{key} {entry}")));
        }
    }
    written
}

proptest! {
    #[test]
    fn tenants_change_no_byte_of_what_is_written_about_the_trusted(
        trusted in trusted(),
        tenants in of_tenants(),
        overrides in predecessors_overrides(),
    ) {
        let config = config("Tenant");
        let (plan, rendered) = run_with(&config, trusted.clone(), Some(&overrides));
        let alone = written_of_trusted(&plan, &rendered);
        let (plan, rendered) = run_with(&config, trusted.into_iter().chain(tenants), Some(&overrides));
        prop_assert_eq!(alone, written_of_trusted(&plan, &rendered), "{}", overrides);
    }

    #[test]
    fn the_order_of_events_never_matters(services in cluster(), seed in any::<u64>()) {
        let config = config("Trusted");
        let mut shuffled = services.clone();
        let len = shuffled.len();
        for position in 0..len {
            shuffled.swap(position, usize::try_from(seed).unwrap_or_default().wrapping_mul(position + 7) % len);
        }
        prop_assert_eq!(run(&config, services).1, run(&config, shuffled).1);
    }

    #[test]
    fn every_host_in_the_output_is_a_services_own(services in cluster()) {
        for trust in ["Trusted", "Tenant"] {
            let (planned, rendered) = run(&config(trust), services.clone());
            for tool in &planned.tools {
                let key = tool.key.as_ref().unwrap();
                prop_assert_eq!(&tool.endpoint.host, &format!("{}.{}.svc.cluster.local", key.name, key.namespace));
            }
            let hosts = toolset::in_output(rendered.data.values().map(|text| &**text), DEFAULT_CLUSTER_DOMAIN);
            let known = services.iter().map(|service| &service.key).collect::<std::collections::BTreeSet<_>>();
            for text in rendered.data.values() {
                prop_assert!(!text.contains("evil.example"));
                prop_assert!(!text.contains("{{") && !text.contains("{%") && !text.contains("${"), "{}", text);
                prop_assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
            }
            prop_assert!(hosts.iter().all(|host| known.contains(host)));
        }
    }

    #[test]
    fn a_service_that_nothing_speaks_of_changes_nothing(services in cluster()) {
        let config = config("Trusted");
        let mut more = services.clone();
        more.push(ServiceView {
            key: ServiceKey::new("monitoring", "zz-checkout-unrelated"),
            labels: [("app", "checkout")].into_iter().collect(),
            annotations: StringMap::default(),
            selector: [("app", "checkout")].into_iter().collect(),
            ports: Box::new([]),
            service_type: ServiceType::ClusterIP,
            headless: false,
            external_ips: false,
            uid: 0,
            created: 0,
        });
        prop_assert_eq!(run(&config, services).1, run(&config, more).1);
    }

    #[test]
    fn tenants_change_nothing_of_the_trusted(services in cluster()) {
        let config = config("Tenant");
        let trusted = services.iter().filter(|service| &*service.key.namespace == "monitoring").cloned();
        let shown = |planned: &Plan| -> Vec<String> {
            let trusted = planned.tools.iter().filter(|tool| tool.trust == Trust::Trusted);
            trusted.map(|tool| format!("{} {:?} {} {:?}", tool.name, tool.chosen_name, tool.endpoint, tool.reason)).collect()
        };
        let alone = run(&config, trusted).0;
        let among_tenants = run(&config, services).0;
        prop_assert_eq!(shown(&alone), shown(&among_tenants));
    }

    #[test]
    fn every_candidate_is_either_a_tool_or_rejected_with_words(services in cluster()) {
        let (planned, _) = run(&config("Tenant"), services);
        prop_assert_eq!(planned.candidates_total, planned.tools.len() + planned.rejected.len());
        prop_assert!(planned.rejected.iter().all(|rejection| !rejection.message.is_empty()));
    }
}

//! What holds for all Services and Pods.

use detectors::{
    Outcome, ServiceView, displaced_endpoints,
    pods::{PodFacts, explain_with_pods, read, recognise_with_pods},
    recognise,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixture::{pod, service};

/// A text that no fact may contain.
const SECRET: &str = "s3cr3t";

fn images() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "prometheus",
        "alertmanager",
        "thanos",
        "grafana",
        "loki",
        "tempo",
        "mimir",
        "cortex",
        "all-in-one",
        "jaeger",
        "zipkin",
        "elasticsearch",
        "opensearch",
        "kibana",
        "victoria-metrics",
        "vmselect",
        "victoria-logs",
        "nginx",
        "oauth-proxy",
        "kube-rbac-proxy",
        "prom-label-proxy",
        "pushgateway",
        "shop",
        "mcp-server",
    ]);
    (name, "(:v?[0-9]{1,2}\\.[0-9])?").prop_map(|(name, tag)| format!("registry.example/{SECRET}/{name}{tag}"))
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("http://127.0.0.1:9090".to_owned()),
        Just(":9090".to_owned()),
        "/[a-z./-]{0,9}",
        "https?://[a-z]{1,5}(/[a-z.%$@{}/ -]{0,9})?",
        "\\PC{0,12}",
        Just("$(V0)$(V1)$(V2)".to_owned()),
    ]
}

fn flags() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "--web.route-prefix",
        "--web.external-url",
        "--web.config.file",
        "--storage.tsdb.path",
        "-target",
        "-tls",
        "-http.pathPrefix",
        "--query.base-path",
        "--upstream",
        "--secure-listen-address",
        "--https-address",
        "--config",
        "query",
        "--label",
        "--insecure-listen-address",
        "-server.path-prefix",
        "--http-address",
        "-config.file",
    ]);
    (name, values()).prop_map(|(name, value)| format!("{name}={value}"))
}

fn variables() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec![
        "GF_SERVER_ROOT_URL",
        "GF_SERVER_SERVE_FROM_SUB_PATH",
        "QUERY_BASE_PATH",
        "SERVER_BASEPATH",
        "SERVER_REWRITEBASEPATH",
        "DISABLE_SECURITY_PLUGIN",
        "xpack.security.enabled",
        "V0",
        "V1",
        "V2",
    ]);
    prop_oneof![
        (name.clone(), values()).prop_map(|(name, value)| json!({ "name": name, "value": value })),
        name.prop_map(|name| json!({ "name": name, "valueFrom": { "secretKeyRef": {} } })),
    ]
}

fn containers() -> impl Strategy<Value = Value> {
    (
        "[a-z]{1,8}(-proxy)?",
        images(),
        prop::collection::vec(flags(), 0..4),
        prop::collection::vec(variables(), 0..5),
        prop::collection::vec(
            prop::sample::select(vec![80, 443, 3000, 3100, 8080, 8443, 9090, 9091, 9093, 9200, 16686]),
            0..3,
        ),
        prop::option::of(("/[a-z/-]{0,8}", prop::sample::select(vec!["HTTP", "HTTPS"]))),
        prop::option::of(prop::sample::select(vec!["sh", "/run.sh", "prometheus"])),
    )
        .prop_map(|(name, image, args, env, ports, probe, command)| {
            let mut env = env;
            env.push(json!({ "name": "PASSWORD", "value": SECRET }));
            let port = ports.first().copied().unwrap_or(9090);
            let ports: Vec<Value> = ports.into_iter().map(|port| json!({ "containerPort": port })).collect();
            let probe =
                probe.map(|(path, scheme)| json!({ "httpGet": { "path": path, "scheme": scheme, "port": port } }));
            let command: Vec<&str> = command.into_iter().collect();
            json!({
                "name": name, "image": image, "args": args, "env": env, "ports": ports, "readinessProbe": probe,
                "command": command,
            })
        })
}

/// The containers of a Pod.
fn pods() -> impl Strategy<Value = Value> {
    prop::collection::vec(containers(), 0..4).prop_map(Value::Array)
}

fn services() -> impl Strategy<Value = ServiceView> {
    let name = prop::sample::select(vec![
        "prometheus",
        "grafana",
        "loki",
        "jaeger",
        "elasticsearch",
        "thanos-query",
        "alertmanager",
        "shop",
        "kibana",
        "prometheus-msteams",
        "vmselect",
        "metrics",
    ]);
    let port = prop::sample::select(vec![
        "web:9090",
        "http:80>3000",
        "http:3100",
        "https:443>8443",
        "ui:16686",
        "http:9200",
        "http:9093",
        "mcp:8080",
    ]);
    (name, prop::collection::btree_set(port, 1..4))
        .prop_map(|(name, ports)| service(name, &ports.into_iter().collect::<Vec<_>>().join(" ")))
}

fn is_plain(path: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._~/-".contains(c);
    path.is_empty()
        || path.starts_with('/')
            && path.len() <= 129
            && path.chars().all(plain)
            && path.split('/').all(|segment| !matches!(segment, "." | ".."))
            && !path.contains("//")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn an_endpoint_has_a_port_of_the_service_and_a_plain_path(service in services(), containers in pods()) {
        let facts = read(&service, &pod(containers));
        for finding in recognise_with_pods(&service, &facts) {
            if let Outcome::Endpoint(target) = &finding.outcome {
                prop_assert!(service.ports.iter().any(|port| port.port == target.port));
                prop_assert!(is_plain(&target.path), "{}", target.path);
            } else {
                prop_assert!(!finding.assumed.is_any());
            }
            prop_assert!(!finding.decided_by.contains(SECRET));
        }
    }

    #[test]
    fn there_is_one_finding_per_product_and_endpoints_come_first(service in services(), containers in pods()) {
        let findings = recognise_with_pods(&service, &read(&service, &pod(containers)));
        let mut products: Vec<_> = findings.iter().map(|finding| finding.product).collect();
        products.sort_unstable();
        products.dedup();
        prop_assert_eq!(products.len(), findings.len());
        let endpoints: Vec<bool> = findings.iter().map(|finding| matches!(finding.outcome, Outcome::Endpoint(_))).collect();
        prop_assert!(endpoints.windows(2).all(|pair| pair[0] || !pair[1]));
        let ranked: Vec<(&ServiceView, _)> = findings.iter().map(|finding| (&service, finding)).collect();
        prop_assert_eq!(displaced_endpoints(&ranked).len(), findings.len());
    }

    #[test]
    fn a_service_in_which_nothing_is_found_stays_so(service in services(), containers in pods()) {
        let without = recognise(&service);
        let with = recognise_with_pods(&service, &read(&service, &pod(containers)));
        prop_assert_eq!(without.is_empty(), with.is_empty());
    }

    #[test]
    fn no_value_of_a_variable_and_no_registry_is_shown(service in services(), containers in pods()) {
        let facts = read(&service, &pod(containers));
        let shown = format!("{facts:?} {:?} {:?}", recognise_with_pods(&service, &facts), explain_with_pods(&service, &facts));
        prop_assert!(!shown.contains(SECRET), "{}", shown);
    }

    #[test]
    fn annotations_of_this_project_change_nothing_here(service in services(), containers in pods()) {
        let stated = [
            ("kubernaut.io/toolset-type", "loki"),
            ("kubernaut.io/toolset-port", "1"),
            ("kubernaut.io/toolset-path", "/stated"),
            ("kubernaut.io/toolset-scheme", "https"),
        ];
        let annotated = ServiceView { annotations: stated.into_iter().collect(), ..service.clone() };
        let pod = pod(containers);
        let (facts, also) = (read(&service, &pod), read(&annotated, &pod));
        prop_assert_eq!(&facts, &also);
        prop_assert_eq!(recognise_with_pods(&service, &facts), recognise_with_pods(&annotated, &facts));
    }

    #[test]
    fn the_explanation_has_the_findings(service in services(), containers in pods()) {
        let facts = read(&service, &pod(containers));
        let mut explained: Vec<_> =
            explain_with_pods(&service, &facts).into_iter().filter_map(|explanation| explanation.finding).collect();
        let mut findings = recognise_with_pods(&service, &facts);
        explained.sort_by_key(|finding| finding.product);
        findings.sort_by_key(|finding| finding.product);
        prop_assert_eq!(explained, findings);
    }

    #[test]
    fn what_agrees_with_itself_does_not_differ(service in services(), one in pods(), other in pods()) {
        let (one, other) = (read(&service, &pod(one)), read(&service, &pod(other)));
        prop_assert_eq!(PodFacts::agreed(&[one.clone(), one.clone()]), (one.clone(), false));
        let (facts, differ) = PodFacts::agreed(&[one.clone(), other.clone()]);
        let (swapped, also) = PodFacts::agreed(&[other, one]);
        prop_assert_eq!(differ, also);
        prop_assert_eq!(recognise_with_pods(&service, &facts).len(), recognise_with_pods(&service, &swapped).len());
    }
}

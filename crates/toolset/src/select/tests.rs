use crd_types::ServiceReason;
use detectors::{Product, ServiceKey, ServiceType, ServiceView};
use serde_json::json;

use super::{Context, select};
use crate::{
    Index, Plan, SliceView,
    fixtures::{annotated, config, grafana, index, labelled, planned, prometheus, service, slice, trusting_monitoring},
};

/// `name: endpoint` of every tool.
fn tools(plan: &Plan) -> Vec<String> {
    plan.tools.iter().map(|tool| format!("{}: {}", tool.name, tool.endpoint)).collect()
}

fn reason(plan: &Plan, name: &str) -> ServiceReason {
    plan.rejected.iter().find(|rejection| &*rejection.key.name == name).map(|rejection| rejection.reason).unwrap()
}

fn opted_in(view: ServiceView, type_: &str) -> ServiceView {
    annotated(view, &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)])
}

#[test]
fn a_recognised_service_of_a_source_becomes_a_tool() {
    let plan = planned(&trusting_monitoring(), &index([prometheus("monitoring", "prometheus-server")]));
    assert_eq!(tools(&plan), ["prometheus-server: http://prometheus-server.monitoring.svc.cluster.local:80"]);
}

#[test]
fn a_service_outside_every_source_is_not_even_a_candidate() {
    let plan = planned(&trusting_monitoring(), &index([prometheus("elsewhere", "prometheus-server")]));
    assert_eq!((plan.candidates_total, plan.tools.len(), plan.rejected.len()), (0, 0, 0));
}

#[test]
fn a_service_that_nothing_speaks_of_is_not_a_candidate() {
    let plan = planned(&trusting_monitoring(), &index([service("monitoring", "checkout", &[("http", 8080)])]));
    assert_eq!(plan.candidates_total, 0);
}

#[test]
fn the_first_source_that_selects_a_service_decides_its_trust() {
    let config = config(json!({"sources": [
        {"name": "teams", "trust": "Tenant", "namespaces": {"from": "Names", "names": ["monitoring"]},
         "serviceSelector": {"matchLabels": {"app.kubernetes.io/instance": "a"}}},
        {"name": "rest", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
    ]}));
    let plan = planned(&config, &index([prometheus("monitoring", "a"), prometheus("monitoring", "b")]));
    assert_eq!(reason(&plan, "a"), ServiceReason::TenantNotOptedIn);
    assert_eq!(plan.tools[0].source, "rest");
}

#[test]
fn an_opt_out_beats_everything() {
    let config = config(json!({
        "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "signatures": [{"name": "mine", "type": "Prometheus", "selector": {"matchLabels": {"app": "x"}}, "port": "http"}],
    }));
    let view =
        annotated(labelled(prometheus("monitoring", "p"), &[("app", "x")]), &[("kubernaut.io/toolset", "disabled")]);
    assert_eq!(reason(&planned(&config, &index([view])), "p"), ServiceReason::OptedOut);
}

#[test]
fn a_signature_beats_an_annotation_and_an_annotation_beats_the_rules() {
    let config = config(json!({
        "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "signatures": [{"name": "mine", "type": "Custom", "customType": "acme", "selector": {"matchLabels": {"app": "acme"}}, "port": 80, "path": "/acme"}],
    }));
    let by_annotation = opted_in(grafana("monitoring", "g"), "prometheus");
    let mut by_signature = opted_in(service("monitoring", "s", &[("http", 80)]), "grafana");
    by_signature.labels = [("app", "acme")].into_iter().collect();
    let plan = planned(&config, &index([by_annotation, by_signature]));
    let of = |name: &str| plan.tools.iter().find(|tool| tool.name == name).unwrap();
    assert_eq!(of("g").product, Product::Prometheus);
    assert_eq!((of("s").product, of("s").type_name()), (Product::Custom, "acme"));
    assert_eq!(of("s").endpoint.path, "/acme");
}

#[test]
fn a_custom_type_needs_a_port_that_follows() {
    let one = opted_in(service("monitoring", "one", &[("grpc", 6334)]), "vector-database");
    let two = opted_in(service("monitoring", "two", &[("grpc", 6334), ("rest", 6333)]), "vector-database");
    let plan = planned(&trusting_monitoring(), &index([one, two]));
    assert_eq!(tools(&plan), ["one: http://one.monitoring.svc.cluster.local:6334"]);
    assert_eq!(reason(&plan, "two"), ServiceReason::InvalidAnnotation);
}

#[test]
fn a_malformed_annotation_never_falls_back_to_the_rules() {
    let view = annotated(prometheus("monitoring", "p"), &[("kubernaut.io/toolset-port", "nope")]);
    assert_eq!(reason(&planned(&trusting_monitoring(), &index([view])), "p"), ServiceReason::InvalidAnnotation);
}

#[test]
fn an_annotation_adjusts_what_the_rules_found() {
    let view = annotated(
        prometheus("monitoring", "p"),
        &[("kubernaut.io/toolset-path", "/prom/"), ("kubernaut.io/toolset-scheme", "https")],
    );
    let plan = planned(&trusting_monitoring(), &index([view]));
    assert_eq!(tools(&plan), ["p: https://p.monitoring.svc.cluster.local:80/prom"]);
}

#[test]
fn addresses_that_are_not_the_clusters_own_need_somebody_to_vouch() {
    let mut alias = opted_in(service("monitoring", "alias", &[("http", 80)]), "prometheus");
    alias.service_type = ServiceType::ExternalName;
    alias.selector = detectors::StringMap::default();
    let mut bare = opted_in(service("monitoring", "bare", &[("http", 80)]), "prometheus");
    bare.selector = detectors::StringMap::default();
    let mut external = opted_in(service("monitoring", "external", &[("http", 80)]), "prometheus");
    external.external_ips = true;
    let manual = opted_in(service("monitoring", "manual", &[("http", 80)]), "prometheus");
    let slice = SliceView { managed: false, ..slice(&manual, true) };
    let mut known = index([alias, bare, external, manual]);
    known.apply_slice(slice);

    let plan = planned(&trusting_monitoring(), &known);
    assert_eq!(reason(&plan, "alias"), ServiceReason::ExternalNameNotAllowed);
    assert_eq!(reason(&plan, "bare"), ServiceReason::SelectorlessNotAllowed);
    assert_eq!(reason(&plan, "external"), ServiceReason::EndpointNotAllowed);
    assert_eq!(reason(&plan, "manual"), ServiceReason::EndpointNotAllowed);

    let allow: Vec<_> =
        [("alias", "ExternalName"), ("bare", "Selectorless"), ("external", "ExternalIPs"), ("manual", "ManualSlices")]
            .iter()
            .map(|(name, kind)| json!({"namespace": "monitoring", "name": name, "kind": kind}))
            .collect();
    let vouched =
        config(json!({"sources": [{"name": "p", "trust": "Trusted", "namespaces": {"from": "All"}, "allow": allow}]}));
    assert_eq!(planned(&vouched, &known).tools.len(), 4);
}

#[test]
fn a_tenant_must_opt_in_and_never_gives_an_mcp_server() {
    let mut spec = json!({"sources": [{"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}}]});
    spec["detectors"] = json!([{"type": "MCP", "state": "Enabled"}]);
    let known = index([
        prometheus("a", "plain"),
        opted_in(prometheus("a", "opted"), "prometheus"),
        opted_in(service("a", "mcp", &[("http", 80)]), "mcp"),
    ]);
    let plan = planned(&config(spec), &known);
    assert_eq!(plan.tools.len(), 1);
    assert_eq!(reason(&plan, "plain"), ServiceReason::TenantNotOptedIn);
    assert_eq!(reason(&plan, "mcp"), ServiceReason::EndpointNotAllowed);
}

#[test]
fn a_disabled_detector_takes_nothing() {
    let config = config(json!({
        "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "detectors": [{"type": "Prometheus", "state": "Disabled"}],
    }));
    assert_eq!(reason(&planned(&config, &index([prometheus("m", "p")])), "p"), ServiceReason::DetectorDisabled);
}

#[test]
fn mcp_is_off_unless_the_spec_asks_for_it() {
    let view = opted_in(service("monitoring", "tools", &[("http", 8000)]), "mcp");
    assert_eq!(reason(&planned(&trusting_monitoring(), &index([view])), "tools"), ServiceReason::DetectorDisabled);
}

#[test]
fn single_takes_the_best_ranked_and_preferred_ranks_first() {
    let spec = |preferred: serde_json::Value| {
        config(json!({
            "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "All"}}],
            "detectors": [{"type": "Grafana", "instances": "Single", "preferred": preferred}],
        }))
    };
    let known = index([grafana("a", "first"), grafana("b", "second")]);
    let plan = planned(&spec(json!([])), &known);
    assert_eq!(plan.tools[0].name, "first");
    assert_eq!(reason(&plan, "second"), ServiceReason::LostToPreferred);
    let plan = planned(&spec(json!([{"namespace": "b", "name": "second"}])), &known);
    assert_eq!(plan.tools[0].name, "second");
}

#[test]
fn a_namespace_joins_a_selector_source_when_it_gains_the_label() {
    let config = config(json!({
        "sources": [{"name": "labelled", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": {"matchLabels": {"observe": "yes"}}}}],
    }));
    let mut known: Index = index([prometheus("team", "p")]);
    assert_eq!(planned(&config, &known).candidates_total, 0);
    known.apply_namespace(crate::NamespaceView {
        name: "team".into(),
        labels: [("observe", "yes")].into_iter().collect(),
    });
    assert_eq!(planned(&config, &known).tools.len(), 1);
}

#[test]
fn a_service_that_cannot_enter_yet_displaces_nothing() {
    let of = |name: &str, component: &str| {
        let labels = [
            ("app.kubernetes.io/name", "loki"),
            ("app.kubernetes.io/component", component),
            ("app.kubernetes.io/instance", "logs"),
        ];
        labelled(service("monitoring", name, &[("http-metrics", 3100)]), &labels)
    };
    let known = index([of("read", "read"), of("gateway", "gateway")]);
    let config = trusting_monitoring();
    let ctx = Context { config: &config, cluster_domain: crate::DEFAULT_CLUSTER_DOMAIN };
    let chosen = |admits: &dyn Fn(&ServiceKey) -> bool| {
        let selection = select(&ctx, &known, None, Some(admits));
        selection.chosen().map(|candidate| candidate.key.name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&|_| true), ["gateway"]);
    assert_eq!(chosen(&|key| &*key.name == "read"), ["read"]);
}

//! Services for this crate's tests, in the shape the API gives them.

use std::collections::BTreeSet;

use crd_types::Trust;
use detectors::{PortView, Product, ServiceKey, ServiceView, TargetPort};
use proptest::prelude::*;

use crate::{index::SliceView, pipeline, tool::Tool};

/// A Service with a selector, a cluster IP and the given ports; further fields are set on what it returns.
pub(crate) fn service(namespace: &str, name: &str, ports: &[(&str, u16)]) -> ServiceView {
    ServiceView {
        key: ServiceKey::new(namespace, name),
        labels: std::iter::empty::<(&str, &str)>().collect(),
        annotations: std::iter::empty::<(&str, &str)>().collect(),
        selector: [("app.example/pod", name)].into_iter().collect(),
        ports: ports
            .iter()
            .map(|(name, port)| PortView {
                name: (!name.is_empty()).then(|| (*name).into()),
                port: *port,
                target: Some(TargetPort::Number(*port)),
                protocol: detectors::Protocol::Tcp,
                app_protocol: None,
            })
            .collect(),
        service_type: detectors::ServiceType::ClusterIP,
        headless: false,
        external_ips: false,
        uid: 0,
        created: 1_700_000_000,
    }
}

/// The EndpointSlice that the control plane makes for a Service.
pub(crate) fn slice(service: &ServiceView, serving: bool) -> SliceView {
    SliceView {
        namespace: (&*service.key.namespace).into(),
        name: format!("{}-x7k2p", service.key.name).into(),
        service: (&*service.key.name).into(),
        serving,
        managed: true,
        elsewhere: false,
        pods: true,
        owner: service.uid,
        revision: 1,
    }
}

/// The Prometheus server of the community chart.
pub(crate) fn prometheus(namespace: &str, name: &str) -> ServiceView {
    labelled(
        service(namespace, name, &[("http", 80)]),
        &[
            ("app.kubernetes.io/name", "prometheus"),
            ("app.kubernetes.io/component", "server"),
            ("app.kubernetes.io/instance", name),
        ],
    )
}

/// Grafana as its chart makes it.
pub(crate) fn grafana(namespace: &str, name: &str) -> ServiceView {
    labelled(
        service(namespace, name, &[("service", 80)]),
        &[("app.kubernetes.io/name", "grafana"), ("app.kubernetes.io/instance", name)],
    )
}

/// The same Service with these labels.
pub(crate) fn labelled(mut view: ServiceView, labels: &[(&str, &str)]) -> ServiceView {
    view.labels = labels.iter().copied().collect();
    view
}

/// The same Service with these annotations.
pub(crate) fn annotated(mut view: ServiceView, annotations: &[(&str, &str)]) -> ServiceView {
    view.annotations = annotations.iter().copied().collect();
    view
}

/// A `ToolsetConfig` in namespace `holmes` with this spec.
#[allow(clippy::needless_pass_by_value, reason = "tests pass a `json!` literal")]
pub(crate) fn config(spec: serde_json::Value) -> crd_types::ToolsetConfig {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1",
        "kind": "ToolsetConfig",
        "metadata": {"name": "default", "namespace": "holmes", "uid": "c0ffee", "generation": 1},
        "spec": spec,
    }))
    .unwrap()
}

/// One source that trusts the namespace `monitoring`.
pub(crate) fn trusting_monitoring() -> crd_types::ToolsetConfig {
    config(serde_json::json!({
        "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}}],
    }))
}

/// An index over these Services.
pub(crate) fn index(services: impl IntoIterator<Item = ServiceView>) -> crate::Index {
    let mut index = crate::Index::default();
    let mut list = index.list_services(None);
    services.into_iter().for_each(|service| index.collect_service(&mut list, service));
    index.finish_services(list);
    index
}

/// The plan with nothing known of health.
pub(crate) fn planned(config: &crd_types::ToolsetConfig, index: &crate::Index) -> crate::Plan {
    rendered(config, index).0
}

/// The plan and its bytes, with nothing known of health.
pub(crate) fn rendered(config: &crd_types::ToolsetConfig, index: &crate::Index) -> (crate::Plan, crate::Rendered) {
    run(config, index, None)
}

/// As [`rendered`], beside the predecessor's overrides.
pub(crate) fn run(
    config: &crd_types::ToolsetConfig,
    index: &crate::Index,
    legacy_overrides: Option<&str>,
) -> (crate::Plan, crate::Rendered) {
    let outcome = pipeline::run(pipeline::Input {
        config,
        cluster_domain: crate::DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        remembered: None,
        health: pipeline::HealthInput::Unobserved,
        legacy_overrides,
        base: None,
        previous: None,
    });
    (outcome.plan, outcome.rendered)
}

/// A Trusted tool over a Service, on port 80, without anything else.
pub(crate) fn tool(product: Product, namespace: &str, name: &str) -> Tool {
    let key = ServiceKey::new(namespace, name);
    let endpoint = crate::Endpoint::of_service(&key, detectors::Scheme::Http, 80, "", crate::DEFAULT_CLUSTER_DOMAIN);
    Tool {
        endpoint: endpoint.unwrap(),
        key: Some(key),
        created: 0,
        name: String::new(),
        chosen_name: None,
        stated_name: None,
        product,
        custom: None,
        trust: Trust::Trusted,
        source: "platform".to_owned(),
        origin: None,
        confidence: detectors::Confidence::High,
        decided_by: String::new(),
        auth: detectors::Auth::Unknown,
        assumed: detectors::Assumed::NOTHING,
        from_pods: crate::select::remembered::Parts::NOTHING,
        from_identity: crate::select::remembered::Parts::NOTHING,
        identity: String::new(),
        precedence: crate::tool::Precedence::default(),
        health: crate::Health::Healthy,
        reason: crd_types::ServiceReason::Selected,
        probe: String::new(),
        health_path: None,
        description: None,
        instructions: None,
        credentials: None,
        tenant_id: None,
        settings: crd_types::Settings::default(),
    }
}

fn a_tool() -> impl Strategy<Value = Tool> {
    // Few short names and separators.
    let label = "[ab](-[ab]){0,2}";
    let product = prop::sample::select(vec![Product::Jaeger, Product::Zipkin, Product::Loki, Product::MCP]);
    (product, label, label, prop::option::of("[ab]([_-][ab]){0,2}"), any::<bool>()).prop_map(
        |(product, ns, name, chosen, tenant)| {
            let mut tool = tool(product, &ns, &name);
            (tool.chosen_name, tool.trust) = (chosen, if tenant { Trust::Tenant } else { Trust::Trusted });
            tool
        },
    )
}

/// Tools of different Services, as a plan has them, with names that collide often.
pub(crate) fn tools_with_colliding_names() -> impl Strategy<Value = Vec<Tool>> {
    prop::collection::vec(a_tool(), 0..12).prop_map(|mut tools| {
        tools.sort_by(|a, b| (a.product, &a.key).cmp(&(b.product, &b.key)));
        let mut seen = BTreeSet::new();
        tools.retain(|tool| seen.insert(tool.key.clone()));
        tools
    })
}

/// A Trusted Jaeger.
pub(crate) fn jaeger(namespace: &str, name: &str) -> Tool {
    tool(Product::Jaeger, namespace, name)
}

/// The tool with a name that somebody chose.
pub(crate) fn chosen(mut tool: Tool, name: &str) -> Tool {
    tool.chosen_name = Some(name.to_owned());
    tool
}

/// The tool as one of a Tenant source.
pub(crate) fn tenant(mut tool: Tool) -> Tool {
    tool.trust = Trust::Tenant;
    tool
}

/// A Jaeger from `spec.tools`.
pub(crate) fn from_spec(name: &str) -> Tool {
    let mut tool = chosen(jaeger("none", "none"), name);
    tool.key = None;
    tool
}

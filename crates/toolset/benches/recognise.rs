//! How long it takes to recognise and plan a large cluster from scratch, and to plan it again after one Service changed.
//!
//! `cargo xtask bench recognise` runs it. Prints the medians of all rounds, then one line of `key=value` pairs.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs)]

use std::time::{Duration, Instant};

use crd_types::ToolsetConfig;
use detectors::{PortView, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort};
use toolset::{
    DEFAULT_CLUSTER_DOMAIN, HealthReport, Index, Plan, Rendered,
    plan::plan,
    render::render,
    select::{Context, select},
};

const SERVICES: usize = 10_000;
/// One in so many Services is an observability system.
const ONE_IN: usize = 50;
const ROUNDS: usize = 21;

fn main() {
    let config = config();
    let services: Vec<ServiceView> = (0..SERVICES).map(service).collect();
    let mut scratch = Vec::new();
    let mut again = Vec::new();
    let mut writing = Vec::new();
    let mut tools = 0;
    for _ in 0..ROUNDS {
        let input = services.clone();
        let started = Instant::now();
        let mut index = Index::default();
        let mut list = index.list_services(None);
        for service in input {
            index.collect_service(&mut list, service);
        }
        index.finish_services(list);
        let mut first = planned(&config, &index);
        scratch.push(started.elapsed());
        let before = rendered(&config, &mut first);
        tools = first.tools.len();

        let mut changed = service(0);
        changed.ports[0].port = 9091;
        let started = Instant::now();
        index.apply_service(changed);
        let mut replanned = planned(&config, &index);
        again.push(started.elapsed());
        let started = Instant::now();
        let after = rendered(&config, &mut replanned);
        writing.push(started.elapsed());
        assert_ne!(before.hash, after.hash, "the change must be an effective one");
    }
    let (scratch, again, writing) = (median(scratch), median(again), median(writing));
    println!("{SERVICES} Services, {tools} tools, median of {ROUNDS} rounds on one core");
    println!("recognised and planned from scratch: {:.1} ms", millis(scratch));
    println!("one changed Service planned again:   {:.3} ms", millis(again));
    println!("all files rendered and hashed:       {:.3} ms", millis(writing));
    println!(
        "bench=recognise services={SERVICES} tools={tools} rounds={ROUNDS} scratch_ms={:.2} replan_ms={:.3} render_ms={:.3}",
        millis(scratch),
        millis(again),
        millis(writing)
    );
}

fn context(config: &ToolsetConfig) -> Context<'_> {
    Context { config, cluster_domain: DEFAULT_CLUSTER_DOMAIN }
}

fn planned(config: &ToolsetConfig, index: &Index) -> Plan {
    let ctx = context(config);
    plan(&ctx, index, select(&ctx, index), &HealthReport::unknown(), None)
}

fn rendered(config: &ToolsetConfig, plan: &mut Plan) -> Rendered {
    render(config, plan, None)
}

fn config() -> ToolsetConfig {
    serde_json::from_value(serde_json::json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1",
        "kind": "ToolsetConfig",
        "metadata": {"name": "default", "namespace": "holmes", "uid": "u"},
        "spec": {"sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}]},
    }))
    .unwrap()
}

/// An application as a chart labels it, or one of four products.
fn service(number: usize) -> ServiceView {
    let namespace = format!("team-{}", number % 200);
    let (name, product, port) = match (number % ONE_IN, number / ONE_IN % 4) {
        (0, 0) => ("prometheus", Some("server"), ("http", 9090)),
        (0, 1) => ("grafana", None, ("service", 3000)),
        (0, 2) => ("loki", Some("gateway"), ("http", 80)),
        (0, _) => ("jaeger", Some("query"), ("query", 16686)),
        _ => ("checkout", Some("api"), ("http", 8080)),
    };
    let instance = format!("{name}-{number}");
    let mut labels = vec![
        ("app.kubernetes.io/name", name),
        ("app.kubernetes.io/instance", instance.as_str()),
        ("app.kubernetes.io/managed-by", "Helm"),
        ("app.kubernetes.io/version", "1.2.3"),
        ("helm.sh/chart", "chart-1.2.3"),
    ];
    labels.extend(product.map(|component| ("app.kubernetes.io/component", component)));
    ServiceView {
        key: ServiceKey::new(namespace, instance.as_str()),
        labels: labels.into_iter().collect(),
        annotations: StringMap::default(),
        selector: [("app.kubernetes.io/name", name), ("app.kubernetes.io/instance", instance.as_str())]
            .into_iter()
            .collect(),
        ports: [port, ("metrics", 9100)]
            .into_iter()
            .map(|(name, port)| PortView {
                name: Some(name.into()),
                port,
                target: Some(TargetPort::Number(port)),
                protocol: Protocol::Tcp,
                app_protocol: None,
            })
            .collect(),
        service_type: ServiceType::ClusterIP,
        headless: false,
        external_ips: false,
        created: 0,
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

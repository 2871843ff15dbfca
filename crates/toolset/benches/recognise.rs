//! How long it takes to recognise and plan a cluster from scratch, and to plan it again after one Service changed, at three
//! sizes with the same number of tools in each: what a change costs must not grow with the cluster.
//!
//! `cargo xtask bench recognise` runs it. Prints medians, whether the promise is kept, and one line of `key=value` pairs.
//! Exits with 1 if the promise is broken.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a program for the terminal")]

use std::{env, fmt::Write as _, hint::black_box, process::ExitCode, time::Duration};

use crd_types::ToolsetConfig;
use detectors::{PortView, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort};
use rustix::time::{ClockId, clock_gettime};
use toolset::{
    DEFAULT_CLUSTER_DOMAIN, Index, Interest,
    pipeline::{self, HealthInput, Input, Outcome},
    render::render,
};

const SERVICES: [usize; 3] = [500, 10_000, 50_000];
const TOOLS: [usize; 2] = [15, 200];
/// Services in a namespace.
const PER_NAMESPACE: usize = 50;
/// How often everything is planned from scratch.
const FROM_SCRATCH: usize = 11;
/// How often a Service changes.
const CHANGES: usize = 501;
/// One change at the largest size over one at the smallest.
const PROMISE: f64 = 1.2;

fn main() -> ExitCode {
    // Cargo says so when it measures; without it, it only wants to see the program run.
    let measure = env::args().any(|argument| argument == "--bench");
    let (from_scratch, changes) = if measure { (FROM_SCRATCH, CHANGES) } else { (1, 2) };
    println!("CPU time: medians of {from_scratch} runs from scratch and of {changes} changes of one Service");
    println!("{:>6}{:>10}{:>15}{:>15}{:>22}", "tools", "Services", "from scratch", "one change", "of that, rendering");
    let mut pairs = format!("bench=recognise changes={changes}");
    let mut broken = 0;
    for tools in TOOLS {
        let config = config();
        let mut clusters = SERVICES.map(|services| Cluster::new(&config, services, tools, from_scratch));
        // In turn, so that whatever else the machine does meets all sizes.
        for number in 0..changes {
            for cluster in &mut clusters {
                cluster.change(&config, number);
            }
        }
        let medians = clusters.each_ref().map(Cluster::medians);
        for (services, Medians { scratch, change, rendering }) in SERVICES.into_iter().zip(medians) {
            println!("{tools:>6}{services:>10}{scratch:>12.2} ms{change:>12.3} ms{rendering:>19.3} ms");
            let prefix = format!("tools{tools}_services{services}");
            // Writing to a String cannot fail.
            _ = write!(
                pairs,
                " {prefix}_scratch_ms={scratch:.2} {prefix}_change_ms={change:.3} {prefix}_render_ms={rendering:.3}"
            );
        }
        let ([smallest, _, largest], [least, _, most]) = (medians, SERVICES);
        let ratio = largest.change / smallest.change;
        let planning = (largest.change - largest.rendering) / (smallest.change - smallest.rendering);
        broken += usize::from(ratio > PROMISE);
        println!(
            "{} {tools} tools: one change at {most} Services over one at {least}: {ratio:.2} (at most {PROMISE}×); without \
             rendering {planning:.2}\n",
            if ratio <= PROMISE { "kept:  " } else { "BROKEN:" },
        );
        _ = write!(pairs, " tools{tools}_change_ratio={ratio:.2} tools{tools}_planning_ratio={planning:.2}");
    }
    println!("{pairs} broken={broken}");
    if broken == 0 || !measure { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Services with so many observability systems among them, and what was measured on them.
struct Cluster {
    services: usize,
    tools: usize,
    index: Index,
    interest: Interest,
    hash: String,
    scratch: Vec<Duration>,
    changes: Vec<Duration>,
    renderings: Vec<Duration>,
}

/// In milliseconds.
#[derive(Clone, Copy)]
struct Medians {
    scratch: f64,
    change: f64,
    rendering: f64,
}

impl Cluster {
    /// Recognises and plans everything, so many times.
    fn new(config: &ToolsetConfig, services: usize, tools: usize, rounds: usize) -> Self {
        let all: Vec<ServiceView> = (0..services).map(|number| service(number, services, tools)).collect();
        let mut scratch = Vec::new();
        let mut planned = None;
        for _ in 0..rounds {
            let input = all.clone();
            let started = now();
            let mut index = Index::default();
            let mut list = index.list_services(None);
            for service in input {
                index.collect_service(&mut list, service);
            }
            index.finish_services(list);
            let outcome = run(config, &index);
            scratch.push(now().saturating_sub(started));
            assert_eq!(outcome.plan.tools.len(), tools, "every observability system is a tool");
            planned = Some((index, outcome.rendered.hash.to_string()));
        }
        let (index, hash) = planned.unwrap();
        let interest = Interest::of(config);
        Self { services, tools, index, interest, hash, scratch, changes: Vec::new(), renderings: Vec::new() }
    }

    /// From one changed Service to the bytes.
    fn change(&mut self, config: &ToolsetConfig, number: usize) {
        let mut changed = service(0, self.services, self.tools);
        changed.ports[0].port = if number.is_multiple_of(2) { 9091 } else { 9090 };
        let started = now();
        let change = self.index.apply_service(changed).unwrap();
        assert!(self.interest.concerns(&change, &self.index), "the change concerns the ToolsetConfig");
        let outcome = run(config, &self.index);
        self.changes.push(now().saturating_sub(started));
        let mut plan = outcome.plan;
        let started = now();
        black_box(render(config, &mut plan, None, None));
        self.renderings.push(now().saturating_sub(started));
        assert_ne!(*self.hash, *outcome.rendered.hash, "every change is an effective one");
        self.hash = outcome.rendered.hash.to_string();
    }

    fn medians(&self) -> Medians {
        Medians { scratch: median(&self.scratch), change: median(&self.changes), rendering: median(&self.renderings) }
    }
}

/// CPU time of this thread: what others do on the machine does not count.
fn now() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap()
}

fn run(config: &ToolsetConfig, index: &Index) -> Outcome {
    pipeline::run(Input {
        config,
        cluster_domain: DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        remembered: None,
        health: HealthInput::Unobserved,
        legacy_overrides: None,
        base: None,
        previous: None,
    })
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

/// An application as a chart labels it, or one of four products. The observability systems are spread evenly, and number 0
/// is one of them. The same mix as in the benchmarks on the API server (`tests/src/bench/population.rs`).
fn service(number: usize, services: usize, tools: usize) -> ServiceView {
    let namespace = format!("team-{}", number % services.div_ceil(PER_NAMESPACE));
    // The tool that this Service would be, and whether it is the first one that would be that one.
    let tool = number * tools / services;
    let is_tool = number == 0 || tool != (number - 1) * tools / services;
    let (name, component, port) = match (is_tool, tool % 4) {
        (true, 0) => ("prometheus", Some("server"), ("http", 9090)),
        (true, 1) => ("grafana", None, ("service", 3000)),
        (true, 2) => ("loki", Some("gateway"), ("http", 80)),
        (true, _) => ("jaeger", Some("query"), ("query", 16686)),
        (false, _) => ("checkout", Some("api"), ("http", 8080)),
    };
    let instance = format!("{name}-{number}");
    let mut labels = vec![
        ("app.kubernetes.io/name", name),
        ("app.kubernetes.io/instance", instance.as_str()),
        ("app.kubernetes.io/managed-by", "Helm"),
        ("app.kubernetes.io/version", "1.2.3"),
        ("helm.sh/chart", "chart-1.2.3"),
    ];
    labels.extend(component.map(|component| ("app.kubernetes.io/component", component)));
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
        uid: 0,
        created: 0,
    }
}

/// In milliseconds.
fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1000.0
}

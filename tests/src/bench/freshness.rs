//! From a Service's change to the ConfigMap's: how long the operator takes, beside the least that it could take.
//!
//! ```text
//!             ┌ patch Service ──► acknowledged ─────────── measured ──────────► ConfigMap seen ┐
//! this process┤                                                                                ├ by watch
//!             └────────────► API server ──► watch ──► operator or floor ──► apply ──► API server ┘
//! ```
//!
//! Both run all the time, each a process of its own with one thread, and are changed in turn half a period apart: whatever
//! else the machine does meets both. The first changes are not counted.

use std::{
    collections::BTreeMap,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api,
    api::{Patch, PatchParams},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde_json::json;
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, timeout},
};

use super::{
    account, floor, population,
    quantiles::Quantiles,
    report::{Report, print},
    requests::Requests,
    start_controller, trusted_all,
    usage::{Memory, cpu, mebibytes},
};
use crate::{
    chart::Release,
    controlplane::{ControlPlane, Options as PlaneOptions, Process, command},
    harness::{
        Controller, DEFAULT_CONFIG_MAP, World, isolated,
        services::{self, ServiceBuilder},
    },
};

/// What is changed about the operator's Service: it is part of the endpoint, so every change is an effective one.
const ANNOTATION: &str = "kubernaut.io/toolset-path";

/// Changes that are not counted: connections are made and pages are touched.
const WARM_UP: usize = 20;
/// How long the last change may take to be seen.
const DEADLINE: Duration = Duration::from_secs(60);
/// The Service that changes.
const PROBE: &str = "probe";

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Changes per period, of each of the two.
    pub changes: usize,
    /// One change of each per such period, one period after the other.
    pub periods: Vec<Duration>,
    /// Other Services in the cluster.
    pub services: usize,
    /// Install the operator with its chart: its rights, its Deployment's arguments.
    pub chart: bool,
}

/// Measures and prints; the last line is `key=value` pairs.
pub async fn run(options: Options) -> Result<()> {
    let plane = PlaneOptions { audit_log: true, ..PlaneOptions::default() };
    isolated("freshness", plane, async |world, plane| measure(world, plane, &options).await).await
}

async fn measure(world: &mut World, plane: &ControlPlane, options: &Options) -> Result<()> {
    let (agent, operators, floors) =
        (world.namespace("agent").await?, world.namespace("operator").await?, world.namespace("floor").await?);
    let others = population::services(options.services, 10)?;
    population::create(&world.client(), &others).await?;
    for service in others.iter().filter(|service| population::is_tool(service)) {
        world.backend(service).await?;
    }
    // The floor's own Service is an application: the operator reads its events, as it does everybody's, and no more.
    let application = services::web_shop(&floors, PROBE);
    for service in [&prometheus(&operators), &application] {
        world.backend(&world.create(service).await?).await?;
    }

    let (mut controller, user) = start_operator(world, &agent, options.chart).await?;
    let account_of_floor = account(world, &agent, "floor").await?;
    world.configure(&agent, "default", &trusted_all(&json!({"mode": "Endpoints"}))).await?;
    world.ready(&agent, "default", ("True", "AsExpected")).await?;
    let floor = start_floor(world, account_of_floor.kubeconfig(), &floors)?;

    let mut subjects = [
        Subject {
            name: "controller",
            pid: controller.process().pid(),
            user,
            services: world.api(&operators),
            annotation: ANNOTATION,
            seen: Seen::watch(world.api(&agent), DEFAULT_CONFIG_MAP),
            changes: 0,
        },
        Subject {
            name: "floor",
            pid: floor.pid(),
            user: account_of_floor.user(),
            services: world.api(&floors),
            annotation: floor::ANNOTATION,
            seen: Seen::watch(world.api(&floors), floor::CONFIG_MAP),
            changes: 0,
        },
    ];
    print(&format!(
        "Kubernetes {}, {} other Services, from the acknowledged change of a Service to the watch event of the ConfigMap",
        world.client().apiserver_version().await?.git_version,
        options.services
    ));
    change(&mut subjects, WARM_UP, Duration::from_millis(50)).await?;

    let mut report = Report::new("freshness");
    report.pair("chart", options.chart);
    report.pair("changes", options.changes);
    for &period in &options.periods {
        phase(&mut subjects, plane, options.changes, period, &mut report).await?;
    }
    print("");
    for subject in &subjects {
        let memory = Memory::of(subject.pid)?;
        print(&format!("{:<10}  {memory}", subject.name));
        report.pair(format_args!("{}_rss_mib", subject.name), format_args!("{:.2}", mebibytes(memory.resident)));
        report.pair(format_args!("{}_anonymous_mib", subject.name), format_args!("{:.2}", mebibytes(memory.anonymous)));
    }
    print("");
    report.end();
    Ok(())
}

/// The operator and its user name in the audit log: as the chart installs it, or with all rights and no restriction.
async fn start_operator(world: &mut World, agent: &str, chart: bool) -> Result<(Controller, String)> {
    if !chart {
        let account = account(world, agent, "operator").await?;
        return Ok((start_controller(world, &account, &[]).await?, account.user()));
    }
    let release = Release::new(world, agent)?.context("no Helm: `cargo xtask bench freshness --chart` brings one")?;
    release.install("crds: {enabled: false}\n")?;
    Ok((release.start_controller(world).await?, release.user()))
}

/// One of the two that are compared.
struct Subject {
    name: &'static str,
    pid: u32,
    user: String,
    /// Where its Service is.
    services: Api<Service>,
    /// What is changed about the Service.
    annotation: &'static str,
    seen: Seen,
    /// The number of the last change.
    changes: usize,
}

/// The numbers of changes, and when they were seen in a ConfigMap.
struct Seen {
    numbers: mpsc::UnboundedReceiver<(usize, Instant)>,
    watch: JoinHandle<()>,
}

impl Seen {
    fn watch(config_maps: Api<ConfigMap>, name: &str) -> Self {
        let (sender, numbers) = mpsc::unbounded_channel();
        let named = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let watch = tokio::spawn(async move {
            let mut events = pin!(watcher(config_maps, named).default_backoff());
            while let Some(event) = events.next().await {
                let at = Instant::now();
                if let Ok(Event::Apply(config_map) | Event::InitApply(config_map)) = event
                    && let Some(number) = number_of(&config_map)
                    && sender.send((number, at)).is_err()
                {
                    return;
                }
            }
        });
        Self { numbers, watch }
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

impl Subject {
    /// Makes the next change; returns when it was acknowledged.
    async fn change(&mut self) -> Result<Instant> {
        self.changes += 1;
        let patch = Patch::Merge(json!({"metadata": {"annotations": {self.annotation: path(self.changes)}}}));
        self.services.patch(PROBE, &PatchParams::default(), &patch).await?;
        Ok(Instant::now())
    }

    /// When each change up to the last one was first seen, by its number. A change that was overtaken by a later one is
    /// seen with that.
    async fn seen_since(&mut self, first: usize) -> Result<BTreeMap<usize, Instant>> {
        let mut seen = BTreeMap::new();
        let mut next = first;
        while next <= self.changes {
            let (number, at) = timeout(DEADLINE, self.seen.numbers.recv())
                .await
                .with_context(|| format!("change {next} of the {} was not seen within {DEADLINE:?}", self.name))?
                .context("the watch has ended")?;
            for number in next..=number {
                seen.insert(number, at);
            }
            next = next.max(number + 1);
        }
        Ok(seen)
    }
}

/// Changes both in turn, half a period apart, and returns how long each answer took, in milliseconds.
///
/// A watch event may be faster than the acknowledgement; such a time is negative.
async fn change(subjects: &mut [Subject; 2], changes: usize, period: Duration) -> Result<[Vec<f64>; 2]> {
    let mut ticks = interval(period / 2);
    // A late change shifts those after it rather than crowding them.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = subjects.each_ref().map(|subject| subject.changes + 1);
    let mut acknowledged = [Vec::new(), Vec::new()];
    for _ in 0..changes {
        for (subject, acknowledged) in subjects.iter_mut().zip(&mut acknowledged) {
            ticks.tick().await;
            acknowledged.push(subject.change().await?);
        }
    }
    let mut times = [Vec::new(), Vec::new()];
    for (((subject, first), acknowledged), times) in subjects.iter_mut().zip(first).zip(acknowledged).zip(&mut times) {
        let seen = subject.seen_since(first).await?;
        times.extend(seen.values().zip(acknowledged).map(|(&seen, acknowledged)| milliseconds(acknowledged, seen)));
        ensure!(times.len() == changes, "{} of {changes} changes were seen", times.len());
    }
    Ok(times)
}

/// What was measured of one of the two at one rate.
struct Measured {
    name: &'static str,
    quantiles: Quantiles,
    /// CPU per change, in milliseconds.
    cpu: f64,
    /// Requests per change.
    requests: f64,
    /// Which.
    requested: String,
}

async fn phase(
    subjects: &mut [Subject; 2],
    plane: &ControlPlane,
    changes: usize,
    period: Duration,
    report: &mut Report,
) -> Result<()> {
    let requests_before = plane.audited_requests()?.len();
    let before = subjects.each_ref().map(|subject| cpu(subject.pid));
    let times = change(subjects, changes, period).await?;
    let after = subjects.each_ref().map(|subject| cpu(subject.pid));
    let requests = plane.audited_requests()?.split_off(requests_before);

    let number = u32::try_from(changes)?;
    let mut all = Vec::new();
    for (((subject, times), before), after) in subjects.iter().zip(times).zip(before).zip(after) {
        let requests = Requests::of(&subject.user, &requests);
        all.push(Measured {
            name: subject.name,
            quantiles: Quantiles::of(times).context("nothing was measured")?,
            cpu: after?.saturating_sub(before?).as_secs_f64() * 1000.0 / f64::from(number),
            requests: f64::from(requests.total()) / f64::from(number),
            requested: requests.per(number),
        });
    }
    let period = period.as_millis();
    print(&format!("\n{changes} changes, one per {period} ms"));
    show(&all, period, report);
    Ok(())
}

fn show(all: &[Measured], period: u128, report: &mut Report) {
    let [p50, p95, p99, max, cpu] = ["p50", "p95", "p99", "max", "CPU/change"].map(|header| format!("{header:>11}"));
    print(&format!("{:<10}{p50}{p95}{p99}{max}{cpu}   requests per change", ""));
    for Measured { name, quantiles, cpu, requests, requested } in all {
        let [p50, p95, p99, max] = quantiles.named().map(|(_, value)| format!("{value:>8.2} ms"));
        print(&format!("{name:<10}{p50}{p95}{p99}{max}{cpu:>8.2} ms   {requested}"));
        for (which, value) in quantiles.named() {
            report.pair(format_args!("{name}_{period}ms_{which}_ms"), format_args!("{value:.2}"));
        }
        report.pair(format_args!("{name}_{period}ms_cpu_ms_per_change"), format_args!("{cpu:.2}"));
        report.pair(format_args!("{name}_{period}ms_requests_per_change"), format_args!("{requests:.2}"));
    }
    if let [controller, floor] = all {
        let mut ratios = controller.quantiles.named();
        for ((_, ours), (_, floors)) in ratios.iter_mut().zip(floor.quantiles.named()) {
            *ours /= floors;
        }
        let [p50, p95, p99, max] = ratios.map(|(_, ratio)| format!("{ratio:>10.2}×"));
        print(&format!("{:<10}{p50}{p95}{p99}{max}", "ratio"));
        for (which, ratio) in ratios {
            report.pair(format_args!("ratio_{period}ms_{which}"), format_args!("{ratio:.2}"));
        }
    }
}

/// A Prometheus, whose path changes.
fn prometheus(namespace: &str) -> Service {
    let pods = [("app.kubernetes.io/name", "prometheus"), ("app.kubernetes.io/component", "server")];
    ServiceBuilder::new(namespace, PROBE)
        .labels(&pods)
        .selector(&pods)
        .annotation(ANNOTATION, &path(0))
        .port("http", 9090, 9090)
        .build()
}

fn start_floor(world: &World, kubeconfig: &std::path::Path, namespace: &str) -> Result<Process> {
    let mut command = command(std::env::current_exe()?);
    command.arg("floor").arg(kubeconfig).arg(namespace);
    Process::spawn("floor", &mut command, world.folder().join("floor.log"), world.watchdog())
}

fn path(number: usize) -> String {
    format!("/change-{number}")
}

/// The number of the change that a ConfigMap shows, the operator's or the floor's.
fn number_of(config_map: &ConfigMap) -> Option<usize> {
    let data = config_map.data.as_ref()?;
    let text = data.get(floor::KEY).or_else(|| data.get("toolset.json"))?;
    let digits = text.split("/change-").nth(1)?;
    digits.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    if to >= from { (to - from).as_secs_f64() * 1000.0 } else { -(from - to).as_secs_f64() * 1000.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_change_is_read_from_either_config_map() {
        let config_map = |key: &str, value: String| ConfigMap {
            data: Some(BTreeMap::from([(key.to_owned(), value)])),
            ..ConfigMap::default()
        };
        let json = format!("{{\"endpoint\": \"http://probe.x.svc:9090{}\", \"n\": 1}}", path(42));
        assert_eq!(number_of(&config_map("toolset.json", json)), Some(42));
        assert_eq!(number_of(&config_map(floor::KEY, path(7))), Some(7));
        assert_eq!(number_of(&config_map("toolset.json", "{}".to_owned())), None);
    }

    #[test]
    fn an_event_before_the_acknowledgement_is_a_negative_time() {
        let now = Instant::now();
        assert!((milliseconds(now, now + Duration::from_millis(2)) - 2.0).abs() < 1e-9);
        assert!((milliseconds(now + Duration::from_millis(2), now) + 2.0).abs() < 1e-9);
    }
}

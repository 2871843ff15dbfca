//! The time from the change of a Service to the change of the ConfigMap, compared with a floor.
//!
//! ```text
//!             ┌ patch Service ──► acknowledged ─────────── measured ──────────► ConfigMap seen ┐
//! this process┤                                                                                ├ by watch
//!             └────────────► API server ──► watch ──► operator or floor ──► apply ──► API server ┘
//! ```
//!
//! All programs run all the time. Each is a process of its own with one thread. The operator and a floor get changes in
//! turn, half a period apart, so other load on the machine affects both. There are two floors, which alternate. One
//! writes an object as large as the operator's, and the other one writes a tiny object. The first changes are not
//! counted.
//!
//! The operator triggers at most once a second for the same Service, so the Services of each program change in turn. If a
//! case has fewer tools than Services are needed, it has several ToolsetConfigs with that number of tools each.

pub mod records;
mod subject;
mod table;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::json;

use self::{
    subject::{Subject, change},
    table::{Measured, Phase},
};
use super::{
    account, floor, log, measured,
    operator::{Operator, tools},
    population,
    probe::{self, Probe},
    report::{Report, print},
    requests::Requests,
};
use crate::{
    controlplane::{ControlPlane, Process, controllers_run},
    harness::{Account, DEADLINE, DEFAULT_CONFIG_MAP, World, services, within},
    usage::{Memory, mebibytes},
};

/// Changes that are not counted, because connections are opened and memory is touched for the first time.
const WARM_UP: usize = 20;
/// How long after the last change the operator may still write, because it writes a status at most once per second.
const SETTLE: Duration = Duration::from_millis(1500);
/// After how long the same Service may change again. The operator triggers once a second for it.
const AGAIN: Duration = Duration::from_millis(1200);
/// The Services that change. A number follows.
const PROBE: &str = "probe";
/// The prefix of the changes.
const WORD: probe::Word = "change";
/// The ToolsetConfig of each case.
const CONFIG: &str = "default";

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Changes per period.
    pub changes: usize,
    /// One change of the operator's Service and one of a floor's per such period, one period after the other.
    pub periods: Vec<Duration>,
    /// One case for each number of tools. Its ToolsetConfigs have this number of tools and a source of their own each.
    pub tools: Vec<usize>,
    /// Other Services in the cluster, which no source selects.
    pub services: usize,
    /// Install the operator with its chart: its rights, its Deployment's arguments.
    pub chart: bool,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    ensure!(
        controllers_run(),
        "a tool needs an endpoint, and there is no kube-controller-manager to make EndpointSlices"
    );
    measured("freshness", true, async |world, plane| measure(world, plane, &options).await).await
}

async fn measure(world: &mut World, plane: &ControlPlane, options: &Options) -> Result<bool> {
    population::create(&world.client(), &population::services(options.services, 10)?).await?;
    let probes = options.probes();
    let mut cases = Vec::new();
    for &tools in &options.tools {
        cases.push(Case::create(world, &tools.to_string(), tools, probes).await?);
    }
    let agents: Vec<_> = cases.iter().flat_map(|case| &case.agents).cloned().collect();
    let first = agents.first().context("no case was asked for")?;
    let mut operator = if options.chart {
        Operator::install(world, &agents).await?
    } else {
        let account = account(world, first, "operator").await?;
        Operator::start(world, &account, first).await?
    };
    within(DEADLINE, "every case has its tools", async || {
        for config in operator.applied(world, agents.len()).await? {
            let found = tools(&config)?;
            let namespace = config.metadata.namespace.unwrap_or_default();
            let case = cases.iter().find(|case| case.agents.contains(&namespace));
            let expected = case.context("a ToolsetConfig too many")?.tools;
            ensure!(found == u64::try_from(expected)?, "the case of {expected} tools has {found}");
        }
        Ok(())
    })
    .await?;
    let tiny = Floor::start(world, "tiny", None, probes).await?;
    let mut subject_of_tiny = tiny.subject(world);

    print(&format!(
        "Kubernetes {}, {} other Services, from the acknowledged change of a Service to the watch event of the ConfigMap",
        world.client().apiserver_version().await?.git_version,
        options.services
    ));
    let mut report = Report::new("freshness");
    report.pair("chart", options.chart);
    report.pair("changes", options.changes);
    for case in &cases {
        let agent = case.agents.first().context("a case has a ToolsetConfig")?;
        let config_map = world.api::<ConfigMap>(agent).get(DEFAULT_CONFIG_MAP).await?;
        let bytes = floor::size(&config_map);
        let same = Floor::start(world, &format!("floor-{}", case.tools), Some(bytes), probes).await?;
        report.pair(format_args!("tools{}_configmap_bytes", case.tools), bytes);
        let mut subjects = [case.subject(world, &mut operator), same.subject(world), subject_of_tiny];
        change(&mut subjects, WARM_UP, options.shortest_period()).await?;
        for &period in &options.periods {
            let measured = phase(&mut subjects, plane, operator.log(), case, (options.changes, period)).await?;
            let phase = Phase { tools: case.tools, bytes, changes: options.changes, period, measured };
            phase.print();
            phase.report(&mut report);
        }
        // The number of changes continues, because the ConfigMap shows the last one.
        [_, _, subject_of_tiny] = subjects;
    }
    print("");
    for (name, memory) in [("controller", operator.memory()?), ("tiny floor", Memory::of(tiny.process.pid())?)] {
        print(&format!("{name:<16}  {memory}"));
        let name = name.replace(' ', "_");
        report.pair(format_args!("{name}_rss_mib"), format_args!("{:.2}", mebibytes(memory.resident)));
        report.pair(format_args!("{name}_anonymous_mib"), format_args!("{:.2}", mebibytes(memory.anonymous)));
    }
    print("");
    Ok(report.end())
}

impl Options {
    fn shortest_period(&self) -> Duration {
        self.periods.iter().min().copied().unwrap_or(AGAIN).max(Duration::from_millis(1))
    }

    /// How many Services must change in turn, so that none of them changes too soon.
    fn probes(&self) -> usize {
        usize::try_from(AGAIN.as_millis().div_ceil(self.shortest_period().as_millis())).unwrap_or(usize::MAX).max(1)
    }
}

/// ToolsetConfigs with the same number of tools. Each has a source of its own.
struct Case {
    tools: usize,
    agents: Vec<String>,
    /// Where the Services are.
    sources: Vec<String>,
    /// The Services that change in turn, with their namespaces. The first one is of the first agent, the second one of the
    /// second agent, and so on.
    probes: Vec<(String, String)>,
}

impl Case {
    /// The namespaces have the label in their names.
    async fn create(world: &mut World, label: &str, tools: usize, probes: usize) -> Result<Self> {
        ensure!(tools > 0, "a case has one tool or more, because the Services that change are tools");
        let mut case = Self { tools, agents: Vec::new(), sources: Vec::new(), probes: Vec::new() };
        let configs = probes.div_ceil(tools);
        let probes = probes.div_ceil(configs);
        for number in 0..configs {
            let agent = world.namespace(&format!("agent-{label}-{number}")).await?;
            let source = world.namespace(&format!("tools-{label}-{number}")).await?;
            let mut services = population::tools(&source, tools - probes)?;
            services.extend((0..probes).map(|probe| probe::prometheus(&source, &probe_name(probe), WORD)));
            for service in services {
                world.backend(&world.create(&service).await?).await?;
            }
            let spec = json!({
                "sources": [{"name": "own", "trust": "Trusted", "namespaces": {"from": "Names", "names": [source]}}],
                "health": {"mode": "Endpoints"},
            });
            world.configure(&agent, CONFIG, &spec).await?;
            case.agents.push(agent);
            case.sources.push(source);
        }
        let rounds =
            (0..probes).flat_map(|probe| case.sources.iter().map(move |source| (source.clone(), probe_name(probe))));
        case.probes = rounds.collect();
        Ok(case)
    }

    fn subject(&self, world: &World, operator: &mut Operator) -> Subject {
        let services = self.probes.iter().map(|(namespace, name)| (world.api(namespace), name.clone())).collect();
        let config_maps = self.agents.iter().map(|agent| world.api(agent)).collect();
        Subject {
            name: "controller",
            pid: operator.pid(),
            user: operator.user().to_owned(),
            probe: Probe::new(services, probe::PATH, WORD, (config_maps, DEFAULT_CONFIG_MAP)),
        }
    }
}

fn probe_name(number: usize) -> String {
    format!("{PROBE}-{number:03}")
}

/// A floor, in a namespace of its own.
struct Floor {
    process: Process,
    account: Account,
    namespace: String,
    name: &'static str,
    probes: usize,
}

impl Floor {
    async fn start(world: &mut World, name: &str, bytes: Option<usize>, probes: usize) -> Result<Self> {
        let namespace = world.namespace(name).await?;
        let account = account(world, &namespace, name).await?;
        // For the operator these Services are applications, so it only reads their events.
        for probe in 0..probes {
            world.create(&services::web_shop(&namespace, &probe_name(probe))).await?;
        }
        let process = floor::start(world, &account, &namespace, bytes)?;
        Ok(Self { process, account, namespace, name: if bytes.is_some() { "floor" } else { "tiny floor" }, probes })
    }

    fn subject(&self, world: &World) -> Subject {
        let config_map = (vec![world.api(&self.namespace)], floor::CONFIG_MAP);
        let services = (0..self.probes).map(|probe| (world.api(&self.namespace), probe_name(probe))).collect();
        Subject {
            name: self.name,
            pid: self.process.pid(),
            user: self.account.user(),
            probe: Probe::new(services, floor::ANNOTATION, WORD, config_map),
        }
    }
}

/// Changes the Services of the three programs at one rate, and returns what was measured.
async fn phase(
    subjects: &mut [Subject; 3],
    plane: &ControlPlane,
    log: &std::path::Path,
    case: &Case,
    (changes, period): (usize, Duration),
) -> Result<[Measured; 3]> {
    let requests_before = plane.audited_requests()?.len();
    let log = log::Place::end_of(log)?;
    let before = Subject::cpu_of(subjects)?;
    let times = change(subjects, changes, period).await?;
    tokio::time::sleep(SETTLE).await;
    let after = Subject::cpu_of(subjects)?;
    let requests = plane.audited_requests()?.split_off(requests_before);

    let in_process =
        case.agents.iter().map(|agent| log.in_process(agent, CONFIG)).collect::<Result<Vec<_>>>()?.concat();
    let mut in_process = [in_process, Vec::new(), Vec::new()].into_iter();
    let mut all =
        subjects.iter().zip(times).zip(before.into_iter().zip(after)).map(|((subject, times), (before, after))| {
            let requests = Requests::of(&subject.user, &requests);
            let used = after.saturating_sub(before);
            Measured::of(subject.name, times, used, &requests, in_process.next().unwrap_or_default())
        });
    let mut next = || all.next().context("nothing was measured")?;
    Ok([next()?, next()?, next()?])
}

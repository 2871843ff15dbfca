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
/// The Service that changes.
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
    /// One case for each: a ToolsetConfig with so many tools, and a source of its own.
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
    let mut cases = Vec::new();
    for &tools in &options.tools {
        cases.push(Case::create(world, tools).await?);
    }
    let agents: Vec<_> = cases.iter().map(|case| case.agent.clone()).collect();
    let first = agents.first().context("no case was asked for")?;
    let mut operator = if options.chart {
        Operator::install(world, &agents).await?
    } else {
        let account = account(world, first, "operator").await?;
        Operator::start(world, &account, first).await?
    };
    within(DEADLINE, "every case has its tools", async || {
        for config in operator.applied(world, cases.len()).await? {
            let namespace = config.metadata.namespace.as_deref();
            let case = cases.iter().find(|case| Some(case.agent.as_str()) == namespace);
            let (expected, found) = (case.context("a ToolsetConfig too many")?.tools, tools(&config)?);
            ensure!(found == u64::try_from(expected)?, "the case of {expected} tools has {found}");
        }
        Ok(())
    })
    .await?;
    let tiny = Floor::start(world, "tiny", None).await?;
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
        let config_map = world.api::<ConfigMap>(&case.agent).get(DEFAULT_CONFIG_MAP).await?;
        let bytes = floor::size(&config_map);
        let same = Floor::start(world, &format!("floor-{}", case.tools), Some(bytes)).await?;
        report.pair(format_args!("tools{}_configmap_bytes", case.tools), bytes);
        let mut subjects = [case.subject(world, &mut operator), same.subject(world), subject_of_tiny];
        change(&mut subjects, WARM_UP, Duration::from_millis(50)).await?;
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

/// A ToolsetConfig with a source of its own, and the Services in it.
struct Case {
    tools: usize,
    agent: String,
    source: String,
}

impl Case {
    async fn create(world: &mut World, tools: usize) -> Result<Self> {
        let agent = world.namespace(&format!("agent-{tools}")).await?;
        let source = world.namespace(&format!("tools-{tools}")).await?;
        let others = tools.checked_sub(1).context("a case has one tool or more: the Service that changes is one")?;
        let mut services = population::tools(&source, others)?;
        services.push(probe::prometheus(&source, PROBE, WORD));
        for service in services {
            world.backend(&world.create(&service).await?).await?;
        }
        let spec = json!({
            "sources": [{"name": "own", "trust": "Trusted", "namespaces": {"from": "Names", "names": [source]}}],
            "health": {"mode": "Endpoints"},
        });
        world.configure(&agent, CONFIG, &spec).await?;
        Ok(Self { tools, agent, source })
    }

    fn subject(&self, world: &World, operator: &mut Operator) -> Subject {
        let config_map = (world.api(&self.agent), DEFAULT_CONFIG_MAP);
        Subject {
            name: "controller",
            pid: operator.pid(),
            user: operator.user().to_owned(),
            probe: Probe::new((world.api(&self.source), PROBE), probe::PATH, WORD, config_map),
        }
    }
}

/// A floor, in a namespace of its own.
struct Floor {
    process: Process,
    account: Account,
    namespace: String,
    name: &'static str,
}

impl Floor {
    async fn start(world: &mut World, name: &str, bytes: Option<usize>) -> Result<Self> {
        let namespace = world.namespace(name).await?;
        let account = account(world, &namespace, name).await?;
        // For the operator this Service is an application, so it only reads its events.
        world.create(&services::web_shop(&namespace, PROBE)).await?;
        let process = floor::start(world, &account, &namespace, bytes)?;
        Ok(Self { process, account, namespace, name: if bytes.is_some() { "floor" } else { "tiny floor" } })
    }

    fn subject(&self, world: &World) -> Subject {
        let config_map = (world.api(&self.namespace), floor::CONFIG_MAP);
        Subject {
            name: self.name,
            pid: self.process.pid(),
            user: self.account.user(),
            probe: Probe::new((world.api(&self.namespace), PROBE), floor::ANNOTATION, WORD, config_map),
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

    let mut in_process = [log.in_process(&case.agent, CONFIG)?, Vec::new(), Vec::new()].into_iter();
    let mut all =
        subjects.iter().zip(times).zip(before.into_iter().zip(after)).map(|((subject, times), (before, after))| {
            let requests = Requests::of(&subject.user, &requests);
            let used = after.saturating_sub(before);
            Measured::of(subject.name, times, used, &requests, in_process.next().unwrap_or_default())
        });
    let mut next = || all.next().context("nothing was measured")?;
    Ok([next()?, next()?, next()?])
}

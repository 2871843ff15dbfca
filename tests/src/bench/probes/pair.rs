//! The two operators that are compared.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use kube::api::DynamicObject;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    super::{
        account,
        operator::Operator,
        probe::{PATH, Probe, milliseconds, prometheus},
        quantiles::Quantiles,
        report::{Report, number, print},
        requests::Requests,
    },
    FRESHNESS, LABEL, PATIENCE,
    arrivals::Seen,
};
use crate::{
    controlplane::ControlPlane,
    harness::{Account, ControllerOptions, DEFAULT_CONFIG_MAP, World, net::Network, toolset_configs, within},
    usage::{Memory, mebibytes},
};

/// The prefix of the changes.
const WORD: &str = "change";
/// Services that change in turn.
const CHANGING: usize = 6;
/// The time between two changes. The operator triggers at most once a second for the same Service.
const PERIOD: Duration = Duration::from_millis(250);
/// Changes that are not counted.
const WARM_UP: usize = 6;
/// How long after the last change the operator may still write its status.
const SETTLE: Duration = Duration::from_millis(1500);
/// The operators, and how their ToolsetConfigs judge health.
const OPERATORS: [(&str, &str); 2] = [("probing", "Probe"), ("readiness", "Endpoints")];
/// The address of the Service of the API server, as in every Pod.
const API_SERVER: [(&str, &str); 2] = [("KUBERNETES_SERVICE_HOST", "10.96.0.1"), ("KUBERNETES_SERVICE_PORT", "443")];

/// The ToolsetConfigs of both operators: one for the targets and the new Services, and one for the Services that change.
pub(super) struct Configs {
    /// The namespaces of each operator.
    agents: [Vec<String>; 2],
    accounts: [Account; 2],
    /// The namespace of the Services that change.
    changing: Option<String>,
}

/// Both operators.
pub(super) struct Pair {
    operators: [Operator; 2],
}

/// What was measured while Services changed.
pub(super) struct Changed {
    times: [Quantiles; 2],
    used: [Duration; 2],
    elapsed: Duration,
    changes: u32,
}

/// What was measured while nothing changed.
pub(super) struct Rest {
    /// In thousandths of a core.
    cpu: [f64; 2],
    memory: [Memory; 2],
    /// Writes but for the lease.
    writes: [u32; 2],
    /// Requests to the API server.
    requests: [u32; 2],
    probes: f64,
    elapsed: Duration,
}

impl Configs {
    /// The targets are in namespaces with this value of the label. Without changes, there are no Services that change.
    pub(super) async fn create(world: &mut World, label: &str, changes: usize) -> Result<Self> {
        let mut changing = None;
        if changes > 0 {
            let namespace = world.namespace_with_labels("changing", &[(LABEL, "changing")]).await?;
            for number in 0..CHANGING {
                world.backend(&world.create(&prometheus(&namespace, &name(number), WORD)).await?).await?;
            }
            changing = Some(namespace);
        }
        let mut agents = [Vec::new(), Vec::new()];
        for ((operator, mode), agents) in OPERATORS.iter().zip(&mut agents) {
            let parts = [Some((label, vec![label, "new"])), changing.as_ref().map(|_| ("changing", vec!["changing"]))];
            for (part, labels) in parts.into_iter().flatten() {
                let agent = world.namespace(&format!("agent-{label}-{operator}-{part}")).await?;
                world.configure(&agent, "default", &spec(&labels, mode)).await?;
                agents.push(agent);
            }
        }
        let mut accounts = Vec::new();
        for ((operator, _), agents) in OPERATORS.iter().zip(&agents) {
            let agent = agents.first().context("an operator has a ToolsetConfig")?;
            accounts.push(account(world, agent, &format!("{operator}-{label}")).await?);
        }
        let accounts = accounts.try_into().map_err(|_| anyhow!("there are two operators"))?;
        Ok(Self { agents, accounts, changing })
    }

    /// Watches the ConfigMaps that have the targets.
    pub(super) fn seen(&self, world: &World) -> [Seen; 2] {
        self.agents.each_ref().map(|agents| Seen::watch(world.api(agents.first().map_or("", String::as_str))))
    }
}

fn name(number: usize) -> String {
    format!("changing-{number}")
}

fn spec(labels: &[&str], mode: &str) -> Value {
    let selector = json!({"matchExpressions": [{"key": LABEL, "operator": "In", "values": labels}]});
    json!({
        "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": selector}}],
        // With the default period. The operator is at rest sooner if one failure is enough.
        "health": {"mode": mode, "probe": {"failureThreshold": 1}},
    })
}

impl Pair {
    pub(super) async fn start(world: &mut World, network: &Network, configs: &Configs) -> Result<Self> {
        let mut operators = Vec::new();
        for (account, agents) in configs.accounts.iter().zip(&configs.agents) {
            let first = agents.first().context("an operator has a ToolsetConfig")?;
            let options = ControllerOptions {
                config_namespaces: Some(agents.clone()),
                network: Some(network.clone()),
                environment: API_SERVER.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
                ..ControllerOptions::unrestricted()
            };
            operators.push(Operator::start_with(world, account, first, options).await?);
        }
        let operators = operators.try_into().map_err(|_| anyhow!("there are two operators"))?;
        Ok(Self { operators })
    }

    /// Waits until both have written what they have found.
    pub(super) async fn applied(&mut self, world: &World, configs: &Configs) -> Result<()> {
        let [probing, _] = &mut self.operators;
        probing.applied(world, configs.agents.iter().map(Vec::len).sum()).await?;
        Ok(())
    }

    pub(super) async fn stop(self) -> Result<()> {
        for operator in self.operators {
            operator.stop().await?;
        }
        Ok(())
    }

    fn cpu(&mut self) -> Result<[Duration; 2]> {
        let [probing, readiness] = self.operators.each_mut().map(Operator::cpu);
        Ok([probing?, readiness?])
    }

    /// Changes Services in turn. Both operators see each change at the same time.
    pub(super) async fn change(&mut self, world: &World, configs: &Configs, changes: usize) -> Result<Changed> {
        let namespace = configs.changing.as_deref().context("no Services change")?;
        let services = || (0..CHANGING).map(|number| (world.api(namespace), name(number))).collect();
        let mut probes = configs.agents.each_ref().map(|agents| {
            let place = world.api(agents.last().map_or("", String::as_str));
            Probe::new(services(), PATH, WORD, (vec![place], DEFAULT_CONFIG_MAP))
        });
        change(&mut probes, WARM_UP).await?;
        let (before, started) = (self.cpu()?, Instant::now());
        let [probing, readiness] = change(&mut probes, changes).await?.map(Quantiles::of);
        sleep(SETTLE).await;
        let (after, elapsed) = (self.cpu()?, started.elapsed());
        Ok(Changed {
            times: [probing.context("nothing changed")?, readiness.context("nothing changed")?],
            used: [after[0].saturating_sub(before[0]), after[1].saturating_sub(before[1])],
            elapsed,
            changes: u32::try_from(changes)?,
        })
    }

    /// Waits until every target that hangs is known to, and then measures for as long as this.
    pub(super) async fn rest(
        &mut self,
        world: &World,
        plane: &ControlPlane,
        configs: &Configs,
        duration: Duration,
    ) -> Result<Rest> {
        let agent = configs.agents[0].first().context("an operator has a ToolsetConfig")?;
        within(PATIENCE, "every target is healthy or unhealthy", async || {
            is_settled(&toolset_configs(&world.client(), agent).get("default").await?)
        })
        .await?;
        sleep(SETTLE).await;
        let requests_before = plane.audited_requests()?.len();
        let probes_before = self.operators[0].total("dynamictoolset_health_checks_total").await?;
        let (before, started) = (self.cpu()?, Instant::now());
        sleep(duration).await;
        let (after, elapsed) = (self.cpu()?, started.elapsed());
        let probes = self.operators[0].total("dynamictoolset_health_checks_total").await? - probes_before;
        let requests = plane.audited_requests()?.split_off(requests_before);
        let [probing, readiness] = &mut self.operators;
        let users = [probing.user(), readiness.user()];
        let millicores = |place: usize| {
            let used: Duration = after[place].saturating_sub(before[place]);
            used.as_secs_f64() / elapsed.as_secs_f64() * 1000.0
        };
        Ok(Rest {
            cpu: [millicores(0), millicores(1)],
            writes: users.map(|user| {
                let writes = Requests::writes_of(user, &requests);
                writes.total() - writes.on("leases")
            }),
            requests: users.map(|user| Requests::of(user, &requests).total()),
            memory: [probing.memory()?, readiness.memory()?],
            probes,
            elapsed,
        })
    }
}

/// Fails as long as a target is not known to be healthy or unhealthy.
fn is_settled(config: &DynamicObject) -> Result<()> {
    let rejected = config.data.pointer("/status/rejected").and_then(Value::as_array);
    let is_open = |one: &&Value| {
        // The Services that become ready later are no targets yet.
        let is_later = one["service"].as_str().is_some_and(|name| name.starts_with(super::arrivals::NAME));
        let message = one["message"].as_str().unwrap_or_default();
        !is_later && (message.contains("as soon as") || one["reason"] == "ProbeSuspect")
    };
    let open = rejected.into_iter().flatten().filter(is_open).count();
    ensure!(open == 0, "{open} are open");
    Ok(())
}

/// Changes the Services in turn. Returns how long each answer of each operator took, in milliseconds.
async fn change(probes: &mut [Probe; 2], changes: usize) -> Result<[Vec<f64>; 2]> {
    let mut ticks = interval(PERIOD);
    // A late change delays the changes after it, so the distance stays.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first = probes[0].changes() + 1;
    let mut acknowledged = Vec::new();
    for _ in 0..changes {
        ticks.tick().await;
        acknowledged.push(probes[0].change().await?);
        probes[1].made();
    }
    let mut times = [Vec::new(), Vec::new()];
    for (probe, times) in probes.iter_mut().zip(&mut times) {
        let seen = probe.seen_since(first).await?;
        ensure!(seen.len() == acknowledged.len(), "{} of {changes} changes were seen", seen.len());
        times.extend(acknowledged.iter().zip(seen).map(|(from, to)| milliseconds(*from, to)));
    }
    Ok(times)
}

impl Changed {
    /// Adds what was measured. What the operators use without changes is known from their rest.
    pub(super) fn report(&self, rest: &Rest, report: &mut Report) {
        let mut own = [0.0; 2];
        for (place, (name, _)) in OPERATORS.iter().enumerate() {
            let (times, cpu) = (&self.times[place], self.used[place].as_secs_f64() * 1000.0);
            let per_change = cpu / f64::from(self.changes);
            own[place] = (cpu - rest.cpu[place] * self.elapsed.as_secs_f64()) / f64::from(self.changes);
            print(&format!(
                "changes, {name:<10} p50 {:>8} ms, p95 {:>8} ms, CPU per change {} ms, {} ms without that at rest",
                number(Some(times.p50)),
                number(Some(times.p95)),
                number(Some(per_change)),
                number(Some(own[place]))
            ));
            report.number(format_args!("change_{name}_p50_ms"), Some(times.p50));
            report.number(format_args!("change_{name}_p95_ms"), Some(times.p95));
            report.number(format_args!("change_{name}_cpu_ms"), Some(per_change));
            report.number(format_args!("change_{name}_own_cpu_ms"), Some(own[place]));
        }
        let [probing, readiness] = &self.times;
        let p50 = probing.p50 / readiness.p50;
        report.number("change_p50_over_readiness", Some(p50));
        report.number("change_p95_over_readiness", Some(probing.p95 / readiness.p95));
        report.number("change_own_cpu_over_readiness", Some(own[0] / own[1]));
        report.at_most(FRESHNESS, "×", "freshness over that without probes, p50", Some(p50));
    }
}

impl Rest {
    /// Adds what was measured.
    pub(super) fn report(&self, report: &mut Report) {
        let Self { cpu, memory, writes, requests, probes, elapsed } = self;
        print(&format!("at rest for {:.0} s, with {probes} probes", elapsed.as_secs_f64()));
        report.number("rest_probes", Some(*probes));
        for (place, (name, _)) in OPERATORS.iter().enumerate() {
            print(&format!(
                "  {name:<10} {:.2} thousandths of a core, {} writes, {} requests; {}",
                cpu[place], writes[place], requests[place], memory[place]
            ));
            report.number(format_args!("rest_{name}_millicores"), Some(cpu[place]));
            report.number(format_args!("rest_{name}_rss_mib"), Some(mebibytes(memory[place].resident)));
            report.pair(format_args!("rest_{name}_writes"), writes[place]);
            report.pair(format_args!("rest_{name}_requests"), requests[place]);
        }
        let of_probes = (cpu[0] - cpu[1]) * elapsed.as_secs_f64() / probes;
        report.number("rest_cpu_ms_per_probe", Some(of_probes));
        report.number("rest_rss_over_readiness", Some(mebibytes(memory[0].resident) / mebibytes(memory[1].resident)));
        let what = format!("{} writes at rest but the lease", writes[0]);
        report.promise(writes[0] == 0, what);
    }
}

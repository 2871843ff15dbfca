//! The cost of an event with many ToolsetConfigs.
//!
//! ```text
//! team-0, team-100, … ─┬─► ToolsetConfig of agent-0      a Service of team-0 concerns one ToolsetConfig,
//! team-1, team-101, … ─┼┬► ToolsetConfig of agent-1      a Service of the shared namespace concerns all of them
//! shared ──────────────┴┘  …
//! ```
//!
//! Health is off (mode None), because EndpointSlices would add their own events and need a Pod for every tool. The
//! benchmark measures which ToolsetConfigs an event concerns, and what a plan costs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::{
    account, measured,
    operator::Operator,
    population,
    probe::{self, Probe, milliseconds},
    quantiles::Quantiles,
    report::{Report, print},
};
use crate::{
    controlplane::ControlPlane,
    harness::{DEFAULT_CONFIG_MAP, World},
    usage::mebibytes,
};

/// How many namespaces one source may name.
const NAMES: usize = 64;
/// The Service that changes, in the namespace of one and in the namespace of all.
const PROBE: &str = "probe";
/// The first events are not counted.
const WARM_UP: usize = 3;
/// How long after the last ConfigMap the operator may still write, because it writes a status at most once per second. It
/// also limits triggers to one per second and Service, so the same Service can change again after this time.
const SETTLE: Duration = Duration::from_millis(1500);
/// How long the CPU at rest is measured. It is subtracted from the cost of an event.
const REST: Duration = Duration::from_secs(10);

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// ToolsetConfigs, each in a namespace of its own.
    pub configs: usize,
    /// Services in the cluster; one in fifty is an observability system.
    pub services: usize,
    /// Events of each kind.
    pub events: usize,
}

/// Measures and prints. Returns whether the promise is kept.
pub async fn run(options: Options) -> Result<bool> {
    ensure!(
        options.configs > 0 && options.events > 0,
        "there is nothing to measure without a ToolsetConfig or an event"
    );
    let namespaces = options.services.div_ceil(population::PER_NAMESPACE).max(options.configs);
    let share = namespaces.div_ceil(options.configs);
    ensure!(
        share < NAMES,
        "{share} namespaces and the shared one for each ToolsetConfig are more than a source may name ({NAMES}): use \
         more --configs or fewer --services"
    );
    measured("configs", false, async |world, plane| measure(world, plane, options, namespaces).await).await
}

async fn measure(world: &mut World, plane: &mut ControlPlane, options: Options, namespaces: usize) -> Result<bool> {
    let namespaces = population::namespaces(namespaces);
    population::create_and_settle(&world.client(), &population::spread(options.services, 50, &namespaces)?).await?;
    let shared = world.namespace("shared").await?;
    let one = namespaces.first().context("there is no namespace")?;
    for service in [probe::prometheus(one, PROBE, "one"), probe::prometheus(&shared, PROBE, "all")] {
        world.create(&service).await?;
    }
    let mut agents = Vec::new();
    for number in 0..options.configs {
        let agent = world.namespace(&format!("agent-{number}")).await?;
        let mut names: Vec<_> = namespaces.iter().skip(number).step_by(options.configs).collect();
        names.push(&shared);
        let spec = json!({
            "sources": [{"name": "share", "trust": "Trusted", "namespaces": {"from": "Names", "names": names}}],
            "health": {"mode": "None"},
        });
        world.configure(&agent, "default", &spec).await?;
        agents.push(agent);
    }
    let first = agents.first().context("there is no ToolsetConfig")?;
    let account = account(world, first, "operator").await?;
    let mut operator = Operator::start(world, &account, first).await?;
    operator.applied(world, options.configs).await?;
    let ready = operator.age();
    tokio::time::sleep(SETTLE).await;
    let rest = at_rest(&mut operator).await?;
    print(&format!(
        "{} ToolsetConfigs, {} Services in {} namespaces; all applied {:.1} s after the start; at rest {rest:.2} thousandths \
         of a core",
        options.configs,
        options.services,
        namespaces.len() + 1,
        ready.as_secs_f64(),
    ));

    let config_map = (vec![world.api(first)], DEFAULT_CONFIG_MAP);
    let one = Probe::new(vec![(world.api(one), PROBE.to_owned())], probe::PATH, "one", config_map);
    let config_maps = (vec![kube::Api::all(world.client())], DEFAULT_CONFIG_MAP);
    let all = Probe::new(vec![(world.api(&shared), PROBE.to_owned())], probe::PATH, "all", config_maps);
    let mut report = Report::new("configs");
    report.pair("configs", options.configs);
    report.pair("services", options.services);
    report.pair("events", options.events);
    report.pair("ready_ms", ready.as_millis());
    let headers = ["p50", "p95", "plans", "at most", "reconciles", "CPU/event"].map(|text| format!("{text:>11}"));
    print(&format!("\n{:<16}{}", "concerns", headers.concat()));
    let of_one = events(&mut operator, one, 1, options.events, rest).await?;
    of_one.show("one", &mut report);
    events(&mut operator, all, options.configs, options.events, rest).await?.show("all", &mut report);
    plane.require_running()?;

    let memory = operator.memory()?;
    print(&format!("\n{memory}\n"));
    report.pair("rest_millicores", format_args!("{rest:.2}"));
    report.pair("rss_mib", format_args!("{:.2}", mebibytes(memory.resident)));
    report.pair("anonymous_mib", format_args!("{:.2}", mebibytes(memory.anonymous)));
    report.promise(
        of_one.always_one_plan(),
        format_args!("an event that concerns 1 of {} ToolsetConfigs leads to exactly 1 plan", options.configs),
    );
    Ok(report.end())
}

/// CPU while nothing happens, in thousandths of a core.
async fn at_rest(operator: &mut Operator) -> Result<f64> {
    let (before, started) = (operator.cpu()?, Instant::now());
    tokio::time::sleep(REST).await;
    let used = operator.cpu()?.saturating_sub(before);
    Ok(used.as_secs_f64() / started.elapsed().as_secs_f64() * 1000.0)
}

/// What events of one kind cost.
struct Costs {
    /// From the acknowledged change to the last ConfigMap, in milliseconds.
    answer: Quantiles,
    /// Plans per event.
    plans: Quantiles,
    /// The fewest plans that an event led to.
    fewest_plans: f64,
    /// Reconciles per event.
    reconciles: Quantiles,
    /// CPU per event, in milliseconds, without what the operator takes at rest.
    cpu: Quantiles,
}

/// Makes changes that this number of ConfigMaps shows, one after the other, and waits for all effects of each.
async fn events(
    operator: &mut Operator,
    mut probe: Probe,
    config_maps: usize,
    events: usize,
    rest: f64,
) -> Result<Costs> {
    let (mut answers, mut plans, mut reconciles, mut cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for number in 0..WARM_UP + events {
        let before = (operator.plans().await?, operator.reconciles().await?);
        let (cpu_before, started) = (operator.cpu()?, Instant::now());
        let acknowledged = probe.change().await?;
        let seen = probe.seen_in(config_maps).await?;
        tokio::time::sleep(SETTLE).await;
        let (used, elapsed) = (operator.cpu()?.saturating_sub(cpu_before), started.elapsed());
        // The metrics are read after the CPU, because the answer also needs CPU.
        let after = (operator.plans().await?, operator.reconciles().await?);
        if number < WARM_UP {
            continue;
        }
        answers.push(milliseconds(acknowledged, seen));
        plans.push(after.0 - before.0);
        reconciles.push(after.1 - before.1);
        cpu.push(used.as_secs_f64() * 1000.0 - rest * elapsed.as_secs_f64());
    }
    Ok(Costs {
        fewest_plans: plans.iter().copied().fold(f64::INFINITY, f64::min),
        answer: quantiles(answers)?,
        plans: quantiles(plans)?,
        reconciles: quantiles(reconciles)?,
        cpu: quantiles(cpu)?,
    })
}

fn quantiles(values: Vec<f64>) -> Result<Quantiles> {
    Quantiles::of(values).context("no event was measured")
}

impl Costs {
    fn always_one_plan(&self) -> bool {
        // These are counts, so they are whole numbers.
        (self.fewest_plans - 1.0).abs() < 0.5 && (self.plans.max - 1.0).abs() < 0.5
    }

    fn show(&self, name: &str, report: &mut Report) {
        let Self { answer, plans, reconciles, cpu, .. } = self;
        let counts = [plans.p50, plans.max, reconciles.p50].map(|count| format!("{count:>11.0}"));
        print(&format!("{name:<16}{:>8.2} ms{:>8.2} ms{}{:>8.2} ms", answer.p50, answer.p95, counts.concat(), cpu.p50));
        for (which, value) in
            [("p50_ms", answer.p50), ("p95_ms", answer.p95), ("reconciles", reconciles.p50), ("cpu_ms", cpu.p50)]
        {
            report.number(format_args!("{name}_{which}"), Some(value));
        }
        report.pair(format_args!("{name}_plans"), plans.p50);
        report.pair(format_args!("{name}_plans_max"), plans.max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(plans: &[f64]) -> Costs {
        let of = |values: &[f64]| Quantiles::of(values.to_vec()).unwrap();
        let one = of(&[1.0]);
        let fewest_plans = plans.iter().copied().fold(f64::INFINITY, f64::min);
        Costs { answer: one, plans: of(plans), fewest_plans, reconciles: one, cpu: one }
    }

    #[test]
    fn an_event_with_no_plan_or_two_breaks_the_promise() {
        assert!(costs(&[1.0, 1.0, 1.0]).always_one_plan());
        assert!(!costs(&[1.0, 2.0, 1.0]).always_one_plan());
        assert!(!costs(&[1.0, 0.0, 1.0]).always_one_plan());
    }

    #[tokio::test]
    async fn a_share_that_no_source_can_name_is_refused_before_anything_is_started() {
        let error = run(Options { configs: 2, services: 10_000, events: 1 }).await.unwrap_err().to_string();
        assert!(error.starts_with("100 namespaces"), "{error}");
    }
}

//! What health probes cost, and whom they delay, while some of the probed Services hang.
//!
//! ```text
//!              ┌ operator that probes ──────► network of the Pods: most answer, some hang
//! API server ──┤
//!              └ operator that does not ────► nobody
//! ```
//!
//! Both operators have the same tools, see the same changes and run at the same time in the same network, so other load on
//! the machine affects both.

mod arrivals;
mod pair;
mod pods;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use self::{
    arrivals::{Arrivals, Seen},
    pair::{Configs, Pair},
    pods::{Numbers, Pods},
};
use super::{
    measured,
    quantiles::Quantiles,
    report::{Report, number, print},
};
use crate::{
    controlplane::{ControlPlane, controllers_run},
    harness::{World, net::Network, within},
};

/// The label of namespaces that says in which part their Services are tools.
const LABEL: &str = "bench";
/// How long something may take that has no promise.
const PATIENCE: Duration = Duration::from_secs(600);
/// The pause between two looks at something.
const PAUSE: Duration = Duration::from_millis(50);

/// What the operator's budget allows in a second, in total.
const PER_SECOND: f64 = 10.0;
/// The same for one namespace.
const PER_SECOND_OF_NAMESPACE: f64 = 1.0;

/// A round over what the budget needs at least.
const ROUND: f64 = 1.25;
/// How much longer a new Service waits for its first probe if there are other targets, over the time between two requests
/// of the budget.
const WAIT: f64 = 1.0;
/// Freshness over that without probes.
const FRESHNESS: f64 = 1.15;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Targets of probes.
    pub targets: usize,
    /// The namespaces that they are in.
    pub namespaces: usize,
    /// Targets in one namespace.
    pub crowd: usize,
    /// New Services in each part.
    pub arrivals: usize,
    /// Changes of Services.
    pub changes: usize,
    /// How long nothing changes.
    pub rest: Duration,
}

/// The times until new Services entered the two ConfigMaps, with probes and without.
struct Entered {
    probing: Quantiles,
    ready: Quantiles,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    ensure!(
        controllers_run(),
        "a tool needs an endpoint, and there is no kube-controller-manager to make EndpointSlices"
    );
    let network = Network::create()?.context(Network::NEEDS)?;
    measured("probes", true, async |world, plane| measure(world, plane, &network, options).await).await
}

async fn measure(world: &mut World, plane: &ControlPlane, network: &Network, options: Options) -> Result<bool> {
    let mut report = Report::new("probes");
    report.pair("optimised", !cfg!(debug_assertions));
    for (key, value) in [("targets", options.targets), ("namespaces", options.namespaces), ("crowd", options.crowd)] {
        report.pair(key, value);
    }
    let mut pods = Pods::start(network.clone())?;
    let mut arrivals = Arrivals::create(world, 4 * options.arrivals, "new").await?;
    let configs = Configs::create(world, "spread", options.changes).await?;
    let seen = configs.seen(world);

    let mut pair = Pair::start(world, network, &configs).await?;
    // The start of the operators does not count.
    pair.applied(world, &configs).await?;
    let alone = entered(&mut arrivals, options.arrivals, &seen).await?;
    alone.report("alone", None, &mut report);
    pair.stop().await?;

    let spread = spread(world, &mut pods, options).await?;
    let mut pair = Pair::start(world, network, &configs).await?;
    let (round, first) = round(&pods, "target", spread, &mut arrivals, (options.arrivals, &seen)).await?;
    let least = seconds(spread.all, PER_SECOND).max(seconds(spread.all.div_ceil(options.namespaces), 1.0));
    report_round("round", (spread, round, least), &mut report);
    first.report("first_round", Some((&alone, None)), &mut report);
    let later = entered(&mut arrivals, options.arrivals, &seen).await?;
    later.report("with_targets", Some((&alone, Some(WAIT))), &mut report);

    let changed = pair.change(world, &configs, options.changes).await?;
    let rest = pair.rest(world, plane, &configs, options.rest).await?;
    changed.report(&rest, &mut report);
    rest.report(&mut report);
    pair.stop().await?;

    let configs = Configs::create(world, "crowd", 0).await?;
    let seen = configs.seen(world);
    let namespace = world.namespace_with_labels("crowd", &[(LABEL, "crowd")]).await?;
    let crowd = pods.create(world, "crowd", options.crowd, &[namespace]).await?;
    let pair = Pair::start(world, network, &configs).await?;
    let (round, meanwhile) = self::round(&pods, "crowd", crowd, &mut arrivals, (options.arrivals, &seen)).await?;
    report_round("crowd_round", (crowd, round, seconds(crowd.all, PER_SECOND_OF_NAMESPACE)), &mut report);
    meanwhile.report("with_crowd", Some((&alone, Some(WAIT))), &mut report);
    pair.stop().await?;
    print("");
    Ok(report.end())
}

/// Creates the targets in their namespaces.
async fn spread(world: &mut World, pods: &mut Pods, options: Options) -> Result<Numbers> {
    let mut namespaces = Vec::new();
    for number in 0..options.namespaces {
        namespaces.push(world.namespace_with_labels(&format!("team-{number}"), &[(LABEL, "spread")]).await?);
    }
    pods.create(world, "target", options.targets, &namespaces).await
}

/// How long it takes from the first probe until each target that answers was probed once, in seconds. Meanwhile, new
/// Services become ready.
async fn round(
    pods: &Pods,
    prefix: &str,
    numbers: Numbers,
    arrivals: &mut Arrivals,
    (count, seen): (usize, &[Seen; 2]),
) -> Result<(f64, Entered)> {
    let asked_are = async |count: usize| -> Result<Instant> {
        within(PATIENCE, "the targets are probed", async || {
            let asked = pods.asked(prefix)?.len();
            ensure!(asked >= count, "{asked} of {count} are");
            Ok(Instant::now())
        })
        .await
    };
    let began = asked_are(1).await?;
    let (ended, entered) = tokio::try_join!(asked_are(numbers.good), entered(arrivals, count, seen))?;
    Ok(((ended - began).as_secs_f64(), entered))
}

async fn entered(arrivals: &mut Arrivals, count: usize, seen: &[Seen; 2]) -> Result<Entered> {
    let [probing, ready] = arrivals.arrive(count, seen).await?.map(Quantiles::of);
    Ok(Entered { probing: probing.context("nothing entered")?, ready: ready.context("nothing entered")? })
}

impl Entered {
    /// How much later the new Services entered with probes than without, in milliseconds. Both are measured at the same time,
    /// so that other load on the machine does not count.
    fn wait(&self) -> f64 {
        self.probing.p50 - self.ready.p50
    }

    /// Adds the times, and how much longer they waited for a probe than without other targets.
    fn report(&self, part: &str, over: Option<(&Self, Option<f64>)>, report: &mut Report) {
        for (operator, times) in [("probing", &self.probing), ("readiness", &self.ready)] {
            print(&format!(
                "new Services, {part:<13} {operator:<10} p50 {:>9} ms, max {:>9} ms",
                number(Some(times.p50)),
                number(Some(times.max))
            ));
            report.number(format_args!("{part}_{operator}_p50_ms"), Some(times.p50));
            report.number(format_args!("{part}_{operator}_max_ms"), Some(times.max));
        }
        report.number(format_args!("{part}_wait_p50_ms"), Some(self.wait()));
        let Some((alone, limit)) = over else { return };
        let longer = (self.wait() - alone.wait()) / (1000.0 / PER_SECOND);
        report.number(format_args!("{part}_longer_wait_over_pace"), Some(longer));
        if let Some(limit) = limit {
            let what = format!(
                "a new Service, {part}: longer wait for its first probe than without other targets, over the time between \
                 two requests of the budget, p50"
            );
            report.at_most(limit, "×", what, Some(longer));
        }
    }
}

fn report_round(name: &str, (numbers, took, least): (Numbers, f64, f64), report: &mut Report) {
    let Numbers { all, good } = numbers;
    print(&format!(
        "{name}: the {good} of {all} targets that answer were probed in {took:.1} s; the budget needs {least:.1} s"
    ));
    report.number(format_args!("{name}_s"), Some(took));
    report.number(format_args!("{name}_over_budget"), Some(took / least));
    report.at_most(ROUND, "×", format_args!("{name}: over the time that the budget needs"), Some(took / least));
}

/// How many seconds so many probes need.
fn seconds(probes: usize, per_second: f64) -> f64 {
    u32::try_from(probes).map_or(f64::INFINITY, f64::from) / per_second
}

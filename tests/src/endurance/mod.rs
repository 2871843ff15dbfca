//! The operator under changes and faults of all kinds, and the checks of everything that it writes.
//!
//! ```text
//! churn ──► API server ◄── proxy with faults ◄── replica ─┐ one of them leads, and is
//!             │     │  ◄── proxy with faults ◄── replica ─┘ stopped or killed
//!             │     └────► recorder: every version of every output ──► checks
//!             └──────────► plan from scratch ◄── at quiet moments ──► outputs
//! ```
//! A run has rounds. In each round the cluster changes, mostly with faults, and then comes a quiet moment without
//! changes and faults. Every output must then become equal to a plan from scratch, and all versions since the last
//! quiet moment are checked. At the end nothing changes for a while, and nothing may be written.
//!
//! The seed decides the changes, the faults and their order. Their times depend on the machine, so a run with the same
//! seed repeats a failure probably but not certainly.

mod checks;
mod churn;
mod expected;
mod ledger;
mod places;
mod recorder;
mod replicas;
mod services;
mod usage_over_time;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Result, bail, ensure};
use tokio::time::{Instant, sleep};

use self::{
    checks::Check,
    churn::Churn,
    expected::{Expected, Snapshot},
    places::Places,
    recorder::{Recorder, Version},
    replicas::{Disturbance, Replicas},
    usage_over_time::UsageOverTime,
};
use crate::{
    harness::{Applied, ControllerOptions, Faults, Traffic, World, within},
    random::Random,
};

/// How soon after the last fault every output is as planned. A lease lasts 15 s, and a watch that failed often is tried
/// again after up to 30 s.
const CONVERGED: Duration = Duration::from_secs(90);
/// The longest pause of a watch before its next attempt.
const LAST_WATCH: Duration = Duration::from_secs(30);
/// If it takes longer, the run reports the last difference.
const LONG: Duration = Duration::from_secs(10);
/// The time between two reads of the outputs.
const LOOK: Duration = Duration::from_millis(200);
/// The minimum number of rounds. One is without faults, and each disturbance of the leader has one.
const ROUNDS: usize = 4;
/// In a long run, the number of rounds with faults after each round without.
const FAULTY_ROUNDS: usize = 9;

/// The options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides on changes and faults.
    pub seed: u64,
    /// No round starts after this time.
    pub duration: Duration,
    /// The shortest and the longest round with faults. The first round is shorter.
    pub round: (Duration, Duration),
    /// Changes per second.
    pub changes: u32,
    /// How long nothing changes at the end.
    pub rest: Duration,
    /// Whether the replicas are restricted to the namespaces of the run.
    pub restricted: bool,
    /// Whether to empty the logs of the replicas after each round without a problem.
    pub forget_logs: bool,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What is wrong. Empty if every promise is kept.
    pub problems: Vec<String>,
    /// The ends of the logs of the replicas, if anything is wrong.
    pub logs: Vec<String>,
    /// The number of rounds.
    pub rounds: usize,
    /// Changes of Services and endpoints.
    pub changes: usize,
    /// Versions of outputs that were checked.
    pub versions: usize,
    /// Requests with a fault.
    pub faults: usize,
    /// How often a leader was stopped.
    pub stops: usize,
    /// How often a leader was killed.
    pub kills: usize,
    /// Writes that a replica was sending when it was stopped, and that arrived after its lease.
    pub in_flight: usize,
    /// Writes of outputs and statuses that changed nothing while there were faults, because an answer was lost or a
    /// watch was late.
    pub repeated: usize,
    /// The longest time from the last fault to the last output as planned, in seconds.
    pub converged: f64,
    /// The highest memory of a replica, in MiB.
    pub memory: f64,
    /// The highest number of descriptors of a replica.
    pub descriptors: f64,
    /// The medians of the first and the last third of the longest-lived process: memory, then descriptors.
    pub thirds: Option<[(f64, f64); 2]>,
}

/// Runs. `say` gets a line about each round. Fails if the run itself cannot continue. Faults of the operator are in the
/// outcome.
pub async fn run(world: &mut World, options: &Options, mut say: impl FnMut(&str)) -> Result<Outcome> {
    let (churn, places) = Churn::prepare(world, options.seed).await?;
    let watched = options.restricted.then(|| places.apps.clone());
    let mut run = Run {
        recorder: Recorder::start(&world.client(), &places.agents).await?,
        last: BTreeMap::new(),
        statuses: Vec::new(),
        quiet: BTreeMap::new(),
        usage: UsageOverTime::default(),
        outcome: Outcome::default(),
        churn,
        places,
        watched,
    };
    run.first_plan(world).await?;
    let mut replicas =
        Replicas::start(world, run.replica_options(options), &run.places.agents[0], options.seed).await?;
    replicas.ready().await?;
    run.quiet_moment(world, &mut replicas).await?;
    say(&format!("seed {}: every output is as planned after the start", options.seed));

    let (started, mut random) = (Instant::now(), Random::new(options.seed, "rounds"));
    while run.outcome.problems.is_empty() && (run.outcome.rounds < ROUNDS || started.elapsed() < options.duration) {
        let (time, faults, disturbance) = round(run.outcome.rounds, options, &mut random);
        replicas.faults(faults);
        let (changed, disturbed) =
            tokio::join!(run.churn.run(time, options.changes), replicas.disturb(world, disturbance, &mut random, time));
        changed.and(disturbed)?;
        replicas.restore(world).await?;
        replicas.faults(Faults::NONE);
        let (took, waited_for) = run.quiet_moment(world, &mut replicas).await?;
        run.outcome.rounds += 1;
        say(&format!(
            "round {}: {time:.0?}{}, leader: {disturbance:?}; as planned after {took:.1?}; {} changes, {} versions",
            run.outcome.rounds,
            if faults == Faults::NONE { " without faults" } else { "" },
            run.churn.changes,
            run.outcome.versions,
        ));
        if let Some(last) = waited_for.filter(|_| took > LONG) {
            say(&format!("  the last difference: {last}"));
        }
        if options.forget_logs && run.outcome.problems.is_empty() {
            replicas.forget_logs()?;
        }
    }
    if run.outcome.problems.is_empty() {
        run.rest(world, &mut replicas, options.rest).await?;
    }
    if !run.outcome.problems.is_empty() {
        run.outcome.logs = replicas.logs()?;
    }
    Ok(run.end(&replicas))
}

/// How long a round lasts, its faults, and what happens to the leader. The first round is calm.
fn round(number: usize, options: &Options, random: &mut Random) -> (Duration, Faults, Disturbance) {
    let time = random.between(options.round.0, options.round.1);
    if number.is_multiple_of(FAULTY_ROUNDS + 1) {
        return (time / 2, Faults::NONE, Disturbance::Nothing);
    }
    let disturbance = match number {
        // Every run has both.
        1 => Disturbance::Stopped,
        2 => Disturbance::KilledWhoever,
        3 => Disturbance::AllKilled,
        _ => match random.below(5) {
            0 => Disturbance::Nothing,
            1 | 2 => Disturbance::Stopped,
            _ => Disturbance::Killed,
        },
    };
    (time, Faults::MANY, disturbance)
}

/// A run in progress.
struct Run {
    churn: Churn,
    places: Places,
    recorder: Recorder,
    /// The namespaces that the replicas are restricted to.
    watched: Option<Vec<String>>,
    /// The last version of each output.
    last: BTreeMap<(String, String), Version>,
    /// The version of each `ToolsetConfig` at the last quiet moment.
    statuses: Vec<String>,
    /// Each output at the last quiet moment.
    quiet: BTreeMap<String, Expected>,
    usage: UsageOverTime,
    outcome: Outcome,
}

impl Run {
    fn replica_options(&self, options: &Options) -> ControllerOptions {
        let restricted =
            |namespaces: &[String]| Some(if options.restricted { namespaces.to_vec() } else { Vec::new() });
        ControllerOptions {
            watch_namespaces: restricted(&self.places.apps),
            config_namespaces: restricted(&self.places.agents),
            log_level: Some("info".to_owned()),
            ..ControllerOptions::default()
        }
    }

    /// Plans before the operator starts, so that the first version of each output is checked too.
    async fn first_plan(&mut self, world: &World) -> Result<()> {
        within(CONVERGED, "the Pods' endpoints are published", async || {
            let snapshot = Snapshot::read(&world.client(), &self.places, self.watched.as_deref()).await?;
            // A Tenant's tools enter some seconds later than the first version.
            for place in self.places.configs.iter().filter(|place| place.name != "tenant") {
                let expected = snapshot.expected(place)?;
                let listed = expected.services.values().next().cloned().unwrap_or_default();
                let missing = self.churn.with_pods().find(|key| !listed.contains(key));
                ensure!(place.name != "endpoints" || missing.is_none(), "{missing:?} has no ready endpoint");
                self.quiet.insert(place.name.clone(), expected);
            }
            Ok(())
        })
        .await
    }

    /// Waits until every output is as planned, and checks all that was written. Returns how long it took, and what was
    /// waited for last.
    async fn quiet_moment(&mut self, world: &World, replicas: &mut Replicas) -> Result<(Duration, Option<String>)> {
        let began = Instant::now();
        let (mut planned, mut statuses, mut waited_for) = (BTreeMap::new(), Vec::new(), None);
        let converged = within(CONVERGED, "every output is as planned", async || {
            let snapshot = Snapshot::read(&world.client(), &self.places, self.watched.as_deref()).await?;
            planned.clear();
            let mut problem = None;
            for place in &self.places.configs {
                let expected = snapshot.expected(place)?;
                let found = snapshot.problem(place, &expected)?;
                problem = problem.or(found.map(|found| format!("{}/{}: {found}", place.namespace, place.name)));
                planned.insert(place.name.clone(), expected);
            }
            if let Some(problem) = problem {
                sleep(LOOK).await;
                waited_for = Some(problem.clone());
                bail!(problem);
            }
            statuses = snapshot.config_versions();
            // Both have caught up, so nobody writes what was before this moment.
            let seen = replicas.see(snapshot.services()).await;
            waited_for = seen.as_ref().err().map(ToString::to_string).or(waited_for.take());
            seen
        })
        .await;
        let took = began.elapsed();
        if let Err(error) = converged {
            self.outcome.problems.push(format!("{error:#}"));
        }
        self.outcome.converged = self.outcome.converged.max(took.as_secs_f64());
        self.check(&replicas.traffic()).await?;
        (self.quiet, self.statuses) = (planned, statuses);
        self.usage.add(replicas.samples()?);
        Ok((took, waited_for))
    }

    /// Checks what was written since the last quiet moment.
    async fn check(&mut self, traffic: &[Traffic]) -> Result<()> {
        let record = self.recorder.take().await?;
        let ledger = std::mem::take(&mut self.churn.ledger);
        // A write that changes nothing is answered with a version that was there before.
        let outputs = self.last.values().map(|version| version.number.clone());
        let mut seen: BTreeSet<_> = outputs.chain(std::mem::take(&mut self.statuses)).collect();
        for place in &self.places.configs {
            let name = (place.namespace.clone(), place.config_map.clone());
            let (Some(versions), Some(quiet)) = (record.get(&name), self.quiet.get(&place.name)) else { continue };
            let check = Check { place, quiet, ledger: &ledger };
            self.outcome.problems.extend(check.problems(self.last.get(&name), versions));
            self.outcome.versions += versions.len();
            self.last.extend(versions.last().map(|version| (name, version.clone())));
        }
        for one in traffic {
            self.outcome.faults += one.faults;
            self.outcome.in_flight += one.in_flight;
            let late = one.without_lease.iter();
            self.outcome.problems.extend(late.map(|write| format!("a replica without the lease writes: {write}")));
            for write in &one.applied {
                if seen.insert(write.version.clone()) && !ledger.is_by_people(&write.version) {
                    continue;
                }
                if write.calm {
                    let Applied { resource, namespace, name, .. } = write;
                    let problem = format!("a write of {resource} {namespace}/{name} changed nothing, without faults");
                    self.outcome.problems.push(problem);
                } else {
                    self.outcome.repeated += 1;
                }
            }
        }
        Ok(())
    }

    /// Nothing changes, so nothing is written and nothing is reconciled. Then a change is written.
    async fn rest(&mut self, world: &World, replicas: &mut Replicas, time: Duration) -> Result<()> {
        // A watch that failed last in the faults before may still wait for its next attempt, and its list is reconciled.
        let settled = Instant::now() + LAST_WATCH;
        let (more, traffic) = loop {
            replicas.traffic();
            let reconciles = replicas.reconciles().await?;
            sleep(time).await;
            let more = replicas.reconciles().await? - reconciles;
            let traffic = replicas.traffic();
            if more < 0.5 || Instant::now() > settled {
                break (more, traffic);
            }
        };
        let problems = &mut self.outcome.problems;
        if more > 0.5 {
            problems.push(format!("{more} reconciles in {time:?} at rest"));
        }
        for (number, traffic) in traffic.iter().enumerate() {
            // Events wait for their turn, and the lease is renewed.
            let silent = |write: &&String| !write.ends_with(" leases") && !write.ends_with(" events");
            let writes: Vec<_> = traffic.writes.keys().filter(silent).collect();
            if !writes.is_empty() {
                problems.push(format!("replica {number} writes at rest: {writes:?}"));
            }
        }
        self.churn.add("last").await?;
        self.quiet_moment(world, replicas).await?;
        Ok(())
    }

    fn end(mut self, replicas: &Replicas) -> Outcome {
        self.outcome.problems.extend(self.usage.problems());
        let (memory, descriptors) = self.usage.most();
        Outcome {
            changes: self.churn.changes,
            stops: replicas.stops,
            kills: replicas.kills,
            memory,
            descriptors,
            thirds: self.usage.thirds(),
            ..self.outcome
        }
    }
}

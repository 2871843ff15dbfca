//! Whether the operator is as fast as without records, whatever becomes of its records.
//!
//! One operator for each state of Data Storage runs all the time, each with a ToolsetConfig and Services of its own. They get
//! changes in turn, so other load on the machine affects all of them. Two operators send no records: the difference between
//! them is what a difference means.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::StatusCode;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    super::{
        account, measured,
        operator::Operator,
        probe::milliseconds,
        quantiles::Quantiles,
        report::{Report, number, print},
        requests::Requests,
    },
    AGAIN, Case, SETTLE, Subject, WARM_UP,
};
use crate::{
    controlplane::{ControlPlane, controllers_run},
    harness::{ControllerOptions, RecordsBehaviour, RecordsService, World},
    usage::{self, Memory, mebibytes},
};

/// The median of an operator over that of one that sends no records.
const MEDIAN: f64 = 1.15;
/// How much more memory an operator has than one that sends no records, in MiB: the queue of 1,024 records, a batch on its way,
/// and the code that sends them.
const MEMORY: f64 = 4.0;

/// The states of Data Storage, the first of which is compared with the others.
const STATES: [State; 7] =
    [State::Off, State::OffAgain, State::Storing, State::Slow, State::Hanging, State::Failing, State::Absent];

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Changes of each operator.
    pub changes: usize,
    /// The time from the change of one operator to that of the next.
    pub period: Duration,
    /// The tools of each ToolsetConfig.
    pub tools: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Off,
    OffAgain,
    Storing,
    Slow,
    Hanging,
    Failing,
    Absent,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::OffAgain => "off_again",
            Self::Storing => "storing",
            Self::Slow => "slow",
            Self::Hanging => "hanging",
            Self::Failing => "failing",
            Self::Absent => "absent",
        }
    }

    /// The name as a part of the names of objects.
    fn label(self) -> String {
        self.name().replace('_', "-")
    }

    fn behaviour(self) -> Option<RecordsBehaviour> {
        match self {
            Self::Off | Self::OffAgain | Self::Absent => None,
            Self::Storing => Some(RecordsBehaviour::Stores),
            Self::Slow => Some(RecordsBehaviour::StoresSlowly),
            Self::Hanging => Some(RecordsBehaviour::Hangs),
            Self::Failing => Some(RecordsBehaviour::Answers(StatusCode::INTERNAL_SERVER_ERROR)),
        }
    }
}

/// An operator with its ToolsetConfig and its Data Storage.
struct Stand {
    state: State,
    operator: Operator,
    subject: Subject,
    _service: Option<RecordsService>,
}

/// What was measured of one operator.
struct Outcome {
    state: State,
    times: Quantiles,
    /// Writes of its ConfigMaps.
    writes: u32,
    /// CPU per change, in milliseconds.
    cpu: f64,
    memory: Memory,
    dropped: f64,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    ensure!(
        controllers_run(),
        "a tool needs an endpoint, and there is no kube-controller-manager to make EndpointSlices"
    );
    measured("records", true, async |world, plane| measure(world, plane, options).await).await
}

async fn measure(world: &mut World, plane: &ControlPlane, options: Options) -> Result<bool> {
    let turn = options.period * u32::try_from(STATES.len())?;
    let probes = usize::try_from(AGAIN.as_millis().div_ceil(turn.as_millis().max(1)))?;
    let mut stands = Vec::new();
    for state in STATES {
        stands.push(Stand::start(world, state, options.tools, probes).await?);
    }
    let first = stands.first_mut().context("there are no operators")?;
    first.operator.applied(world, STATES.len() * options.tools.max(probes).div_ceil(options.tools)).await?;
    change(&mut stands, WARM_UP, options.period).await?;

    let requests_before = plane.audited_requests()?.len();
    let before = stands.iter().map(|stand| usage::cpu(stand.subject.pid)).collect::<Result<Vec<_>>>()?;
    let times = change(&mut stands, options.changes, options.period).await?;
    sleep(SETTLE).await;
    let requests = plane.audited_requests()?.split_off(requests_before);
    let mut outcomes = Vec::new();
    for ((stand, times), before) in stands.iter().zip(times).zip(before) {
        outcomes.push(stand.outcome(times, before, &requests).await?);
    }

    print(&format!(
        "{} tools, {} changes of each operator, one per {} ms in turn; records are",
        options.tools,
        options.changes,
        options.period.as_millis()
    ));
    let headers = ["p50", "p95", "over off", "CPU/change", "writes", "dropped"].map(|text| format!("{text:>11}"));
    print(&format!("{:<10}{}   memory", "", headers.concat()));
    let off = outcomes.first().context("nothing was measured")?;
    for outcome in &outcomes {
        outcome.print(off);
    }
    print("");
    let mut report = Report::new("freshness-records");
    report.pair("changes", options.changes);
    report.pair("tools", options.tools);
    for outcome in &outcomes {
        outcome.report(off, options.changes, &mut report);
    }
    Ok(report.end())
}

impl Stand {
    async fn start(world: &mut World, state: State, tools: usize, probes: usize) -> Result<Self> {
        let case = Case::create(world, &state.label(), tools, probes).await?;
        let first = case.agents.first().context("a case has a ToolsetConfig")?;
        let account = account(world, first, &format!("operator-{}", state.label())).await?;
        let service = match state.behaviour() {
            Some(behaviour) => Some(RecordsService::that(behaviour).await?),
            None => None,
        };
        let arguments = match &service {
            Some(service) => service.arguments(),
            None if state == State::Absent => vec![format!("--audit-url={}", RecordsService::absent().await?)],
            None => Vec::new(),
        };
        let options = ControllerOptions {
            config_namespaces: Some(case.agents.clone()),
            watch_namespaces: Some(case.sources.clone()),
            arguments,
            ..ControllerOptions::default()
        };
        let mut operator = Operator::start_with(world, &account, first, options).await?;
        let subject = case.subject(world, &mut operator);
        Ok(Self { state, operator, subject, _service: service })
    }

    async fn outcome(
        &self,
        times: Vec<f64>,
        before: Duration,
        requests: &[crate::controlplane::AuditedRequest],
    ) -> Result<Outcome> {
        let changes = f64::from(u32::try_from(times.len())?);
        let used = usage::cpu(self.subject.pid)?.saturating_sub(before);
        let sends = !matches!(self.state, State::Off | State::OffAgain);
        Ok(Outcome {
            state: self.state,
            times: Quantiles::of(times).context("no change was measured")?,
            writes: Requests::writes_of(&self.subject.user, requests).on("configmaps"),
            cpu: used.as_secs_f64() * 1000.0 / changes,
            memory: Memory::of(self.subject.pid)?,
            dropped: if sends { self.operator.total("toolset_audit_dropped_total").await? } else { 0.0 },
        })
    }
}

impl Outcome {
    fn print(&self, off: &Self) {
        let over = self.times.p50 / off.times.p50;
        print(&format!(
            "{:<10}{:>8} ms{:>8} ms{over:>10.2}×{:>8} ms{:>11}{:>11.0}   {}",
            self.state.name(),
            number(Some(self.times.p50)),
            number(Some(self.times.p95)),
            number(Some(self.cpu)),
            self.writes,
            self.dropped,
            self.memory,
        ));
    }

    fn report(&self, off: &Self, changes: usize, report: &mut Report) {
        let name = self.state.name();
        let over = Some(self.times.p50 / off.times.p50);
        let resident = mebibytes(self.memory.resident);
        let more = resident - mebibytes(off.memory.resident);
        report.number(format_args!("{name}_p50_ms"), Some(self.times.p50));
        report.number(format_args!("{name}_p95_ms"), Some(self.times.p95));
        report.number(format_args!("{name}_over_off"), over);
        report.number(format_args!("{name}_cpu_ms"), Some(self.cpu));
        report.pair(format_args!("{name}_writes"), self.writes);
        report.pair(format_args!("{name}_dropped"), self.dropped);
        report.number(format_args!("{name}_rss_mib"), Some(resident));
        let expected = u32::try_from(changes).unwrap_or(u32::MAX);
        let what = format!("records {name}: {} writes of ConfigMaps for {changes} changes", self.writes);
        report.promise(self.writes == expected, what);
        if self.state == State::Off {
            return;
        }
        report.at_most(MEDIAN, "×", format_args!("records {name}: the median over that without records"), over);
        let what = format!("records {name}: more memory than without records");
        report.at_most(MEMORY, " MiB", what, Some(more));
    }
}

/// Changes a Service of each operator in turn. Returns how long each answer took, in milliseconds.
async fn change(stands: &mut [Stand], changes: usize, period: Duration) -> Result<Vec<Vec<f64>>> {
    let mut ticks = interval(period);
    // A late change delays the changes after it, so the distance stays.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let first: Vec<usize> = stands.iter().map(|stand| stand.subject.probe.changes() + 1).collect();
    let mut acknowledged: Vec<Vec<Instant>> = vec![Vec::new(); stands.len()];
    for _ in 0..changes {
        for (stand, acknowledged) in stands.iter_mut().zip(&mut acknowledged) {
            ticks.tick().await;
            acknowledged.push(stand.subject.probe.change().await?);
        }
    }
    let mut times = Vec::new();
    for ((stand, first), acknowledged) in stands.iter_mut().zip(first).zip(acknowledged) {
        let seen = stand.subject.probe.seen_since(first).await?;
        ensure!(seen.len() == acknowledged.len(), "{} of {} changes were seen", seen.len(), acknowledged.len());
        times.push(acknowledged.into_iter().zip(seen).map(|(from, to)| milliseconds(from, to)).collect());
    }
    Ok(times)
}

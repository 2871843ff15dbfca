//! `cargo xtask bench`: what is measured on the real API server and on the real PostgreSQL.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Args, Parser, Subcommand, ValueEnum as _, value_parser};
use e2e::bench::{
    configs,
    datastorage::{self, Part},
    endurance, floor, freshness, idle, memory, probes,
};

/// Measures the operator on a real API server, with leader election on as its chart runs it
///
/// Each benchmark prints what it measured, which promises are kept and which are broken, and one line of key=value pairs.
/// It exits with 1 if a promise is broken. Ctrl-C ends it and leaves nothing behind.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Time from a Service's change to the ConfigMap's, beside that of a bare watch-and-apply loop, and CPU per change
    ///
    /// The operator and the loop are changed in turn, half a period apart. The loop writes an object of the same size as the
    /// operator's ConfigMap, and every other time, as a process of its own, a tiny one. "inside" is the time from the read of
    /// the watch event to the apply, which the operator logs.
    ///
    /// The operator triggers at most once a second for the same Service. So the Services of each program change in
    /// turn, and each of them changes again after 1.2 s or later. With one change per 100 ms, these are twelve
    /// Services. A case with fewer tools has several ToolsetConfigs with that number of tools each, and their Services
    /// change in turn.
    ///
    /// Promised: p50 at most 1.3 times and p95 at most 1.15 times the loop's, p50 at most 1.4 times that of the loop with a
    /// tiny object; 0.7 ms inside, p50; with 15 tools 1 ms CPU per change and 3 times the loop's.
    ///
    /// With --records, nothing of this is measured, but seven operators in turn: two that send no records to Data Storage,
    /// and one each whose Data Storage stores them, is slow, hangs, fails or is absent. Promised: the median of each is at
    /// most 1.15 times that of an operator without records, every change is written once, and it has at most 4 MiB more
    /// memory.
    #[command(after_help = "Examples:
  cargo xtask bench freshness --records --changes 200                 three minutes
  cargo xtask bench freshness                                         15 minutes
  cargo xtask bench freshness --changes 100 --period 100 --tools 15   half a minute
  cargo xtask bench freshness --chart                                 as the chart installs it")]
    Freshness(Freshness),
    /// Which of many ToolsetConfigs an event costs something: plans, reconciles, CPU and time
    ///
    /// Each ToolsetConfig has a source over its share of the namespaces and over one shared namespace. A tool that changes in
    /// its share concerns one ToolsetConfig, a tool that changes in the shared namespace concerns all of them. Health is off
    /// (mode None), so that no Pods are needed and nothing but the events in question happens.
    ///
    /// Promised: an event that concerns one ToolsetConfig leads to exactly one plan.
    #[command(after_help = "Examples:
  cargo xtask bench configs                                          five minutes
  cargo xtask bench configs --configs 10 --services 500 --events 5   one minute")]
    Configs(Configs),
    /// Time to recognise and plan 500, 10,000 and 50,000 Services, and the operator's memory while it watches as many
    ///
    /// The first half measures the CPU time of the library alone. Promised: one change takes at 50,000 Services at most 1.2 times what it takes
    /// at 500, with the same number of tools.
    ///
    /// The second half measures the operator's memory on the API server, after its first lists and after the API server was
    /// restarted, which makes it list again. Promised: at most 20 MiB resident with 10,000 Services, at most 70 MiB with
    /// 50,000. The options are about this half.
    #[command(after_help = "Examples:
  cargo xtask bench recognise                    ten minutes, most of them to create Services
  cargo xtask bench recognise --services 50000   half an hour, some 4 GiB of memory
  cargo xtask bench recognise --services 1000    two minutes
  cargo xtask bench recognise --pure             the first half only, one minute")]
    Recognise(Recognise),
    /// What the operator costs and writes while nothing changes
    ///
    /// Promised: no reconcile and no write but the lease; with 100 Services at most 2 thousandths of a core and at most
    /// 12 MiB resident.
    #[command(after_help = "Examples:
  cargo xtask bench idle                 ten minutes
  cargo xtask bench idle --seconds 60    a minute and a half")]
    Idle(Idle),
    /// Whether the operator keeps its promises under changes and faults of all kinds
    ///
    /// Ten ToolsetConfigs, 20 changes of Services per second, and edits of specs, labels and ConfigMaps. Two replicas
    /// reach the API server through proxies with faults. 30 % of the requests fail, answers are slow, and watches are
    /// cut, silent or empty. The leader is stopped or killed in most rounds. After each round, changes and faults stop
    /// for a moment.
    ///
    /// Promised: after each round, every ConfigMap and every status equals a plan from scratch. No version of a
    /// ConfigMap in between lacks a tool that did not change, lists a tool that did not exist, or repeats the version
    /// before. No replica writes without the lease. At rest nothing is written and nothing is reconciled. Memory and
    /// descriptors do not grow.
    #[command(after_help = "Examples:
  cargo xtask bench endurance                          an hour
  cargo xtask bench endurance --minutes 1              two minutes
  cargo xtask bench endurance --minutes 5 --seed 42    the changes and faults of an earlier run, in the same order")]
    Endurance(Endurance),
    /// What health probes cost and whom they delay, compared with an operator that does not probe
    ///
    /// Two operators have the same tools at the same time. One operator probes them, and the other uses the readiness
    /// of their endpoints. One target in ten hangs: half of the hanging targets accept a connection and never respond,
    /// and the other half never accept a connection. The operators run in a network namespace, in which every target
    /// has its own address. This needs root.
    ///
    /// The benchmark has five parts. First, a few new Services become ready while nothing else is probed. Second, the
    /// operators restart with all targets. A round ends when each target that responds has been probed once. The
    /// benchmark divides the duration of the round by the least time that the budget of 10 probes per second allows.
    /// During the round and after it, new Services become ready in their own namespaces. Third, Services change.
    /// Fourth, nothing changes. Fifth, the round is repeated with all targets in one namespace, which gets one probe
    /// per second.
    ///
    /// Promised: a round takes at most 1.25 times the least time that the budget allows; after the first round, the
    /// wait of a new Service for its first probe (p50) is longer than without other targets by at most the time between
    /// two requests of the budget, even while all targets are in one namespace; freshness (p50) is at most 1.15 times
    /// the freshness without probes; at rest, nothing is written except the lease.
    #[command(after_help = "Examples:
  cargo xtask bench probes                              ten minutes
  cargo xtask bench probes --crowd 50 --changes 100     six minutes")]
    Probes(Probes),
    /// How fast Data Storage writes and reads, beside what PostgreSQL does without it in the same run
    ///
    /// Writing: single records at 64 and at 16 connections, beside `pgbench` with 16 clients that insert one record in a
    /// transaction into the same table. Batches of 256 records at 4 connections, beside one connection that inserts 256
    /// records in a transaction. PostgreSQL writes to the disk before it answers. Everything runs on the same cores.
    ///
    /// Reading: one record by its id, a list of a hundred records of a namespace, the records of a correlation and the history
    /// of a target, beside the same SQL on one connection; a list by a severity that is rare and has no index; ten clients
    /// together; an export, beside COPY of the same records.
    ///
    /// Searches: by words, by meaning and by both, beside the same SQL. The vector of each query comes from a fake provider,
    /// whose own time is measured apart.
    ///
    /// Promised: at 64 connections 1.2 times the floor, at 16 connections 0.6 times, in batches 0.5 times, with the chain of
    /// hashes; the p95 of each read and search at most 3 times that of the SQL, without the provider; the p95 of a write at 16
    /// connections at most 50 ms, of a list 50 ms, of a single record 20 ms, of a search by meaning 100 ms; 500 writes in a
    /// second at 16 connections, and 1,000 queries of 10 clients; nine and a half of the ten nearest texts are found, and a new
    /// record within 250 ms; at most 64 MiB resident.
    ///
    /// With --memory-minutes, nothing of this is measured, but the memory during a mixed load: single records and batches,
    /// lists, histories, searches in every mode and exports. Promised: at most 64 MiB resident at its peak.
    #[command(after_help = "Examples:
  cargo xtask bench datastorage                                          ten minutes
  cargo xtask bench datastorage --part writes --rounds 1 --seconds 5     one minute
  cargo xtask bench datastorage --part reads --part searches --records 10000000 --months 12 --texts 250000
                                                                         an hour and 12 GB of disk
  cargo xtask bench datastorage --memory-minutes 60                      an hour")]
    Datastorage(Datastorage),
    /// The bare loop, which `freshness` starts as a process of its own
    #[command(hide = true)]
    Floor {
        kubeconfig: PathBuf,
        namespace: String,
        /// How long all keys and values of the ConfigMap are together
        #[arg(long)]
        bytes: Option<usize>,
    },
}

#[derive(Debug, Args)]
struct Freshness {
    /// Changes of the operator's Services in each case and at each rate; each of both loops is changed half as often
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = value_parser!(u32).range(2..))]
    changes: u32,
    /// The time between two changes, in milliseconds; may be given several times
    #[arg(
        long = "period",
        value_name = "MILLISECONDS",
        default_values_t = [100, 300],
        value_parser = value_parser!(u64).range(2..)
    )]
    periods: Vec<u64>,
    /// A case: ToolsetConfigs with this number of tools, each with a source of its own; may be given several times
    #[arg(long, value_name = "NUMBER", default_values_t = [1, 15], value_parser = value_parser!(u32).range(1..=200))]
    tools: Vec<u32>,
    /// Other Services in the cluster, one in ten an observability system
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    services: u32,
    /// Install the operator with its chart, and run it with its Deployment's arguments and its ServiceAccount's rights
    #[arg(long)]
    chart: bool,
    /// Compare operators that send records to Data Storage, in any state, with one that sends none; the last number of --tools
    /// and the first --period count
    #[arg(long, conflicts_with_all = ["chart", "services"])]
    records: bool,
}

#[derive(Debug, Args)]
struct Configs {
    /// ToolsetConfigs, each in a namespace of its own
    #[arg(long = "configs", value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    count: u32,
    /// Services in the cluster, one in fifty an observability system, fifty or fewer in a namespace
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = value_parser!(u32).range(1..))]
    services: u32,
    /// Events of each kind
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = value_parser!(u32).range(1..))]
    events: u32,
}

#[derive(Debug, Args)]
struct Recognise {
    /// Services in the cluster, one in fifty an observability system; may be given several times, in ascending order
    #[arg(
        long,
        value_name = "NUMBER",
        default_values_t = [500, 10_000],
        value_parser = value_parser!(u32).range(1..=500_000)
    )]
    services: Vec<u32>,
    /// How many seconds nothing happens before memory is read
    #[arg(long, value_name = "NUMBER", default_value_t = 15)]
    settle: u64,
    /// Only the first half: no API server
    // `cargo xtask bench` does the first half itself, and starts this program for the second one only.
    #[arg(long)]
    pure: bool,
    /// The first half, which ran before, has broken a promise
    #[arg(long, hide = true)]
    pure_broken: bool,
}

#[derive(Debug, Args)]
struct Idle {
    /// For how long
    #[arg(long, value_name = "NUMBER", default_value_t = 600, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
    /// Services in the cluster, one in ten an observability system
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = value_parser!(u32).range(1..))]
    services: u32,
}

#[derive(Debug, Args)]
struct Probes {
    /// Number of targets of probes
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = value_parser!(u32).range(10..=450))]
    targets: u32,
    /// Number of namespaces in which the targets are
    #[arg(long, value_name = "NUMBER", default_value_t = 40, value_parser = value_parser!(u32).range(1..))]
    namespaces: u32,
    /// Number of targets in the part with one namespace
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = value_parser!(u32).range(10..=450))]
    crowd: u32,
    /// Number of new Services in each part
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = value_parser!(u32).range(1..=50))]
    arrivals: u32,
    /// Number of changes of Services for which freshness is measured
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = value_parser!(u32).range(2..))]
    changes: u32,
    /// For how many seconds nothing changes
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
}

#[derive(Debug, Args)]
struct Endurance {
    /// The time during which new rounds start, in minutes
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = value_parser!(u64).range(1..))]
    minutes: u64,
    /// The seed of the changes and faults; printed at the start and at the end [default: random]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Changes per second
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = value_parser!(u32).range(1..=1000))]
    changes: u32,
}

#[derive(Debug, Args)]
struct Datastorage {
    /// What is measured; may be given several times [default: all of them]
    #[arg(long = "part", value_name = "PART")]
    parts: Vec<Part>,
    /// How often writing is measured; the medians count
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    rounds: u32,
    /// The duration of each measurement of a load, in seconds
    #[arg(long, value_name = "NUMBER", default_value_t = 15, value_parser = value_parser!(u64).range(1..))]
    seconds: u64,
    /// The records that are there when reading is measured
    #[arg(long, value_name = "NUMBER", default_value_t = 200_000, value_parser = value_parser!(u32).range(1000..))]
    records: u32,
    /// The months that these records are spread over
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = value_parser!(u32).range(1..=12))]
    months: u32,
    /// The texts with a vector that these records share
    #[arg(long, value_name = "NUMBER", default_value_t = 50_000, value_parser = value_parser!(u32).range(1000..))]
    texts: u32,
    /// The reads of each kind
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = value_parser!(u32).range(20..))]
    reads: u32,
    /// Measure nothing but the memory, during a mixed load of so many minutes
    #[arg(
        long,
        value_name = "NUMBER",
        value_parser = value_parser!(u64).range(1..),
        conflicts_with_all = ["parts", "rounds", "seconds", "records", "months", "texts", "reads"]
    )]
    memory_minutes: Option<u64>,
    /// The records that are written in a second of this load, besides a batch of fifty every five seconds
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 50,
        value_parser = value_parser!(u32).range(1..=1000),
        requires = "memory_minutes"
    )]
    memory_writes: u32,
    /// The reads in a second of this load, besides an export in every minute
    #[arg(
        long,
        value_name = "NUMBER",
        default_value_t = 10,
        value_parser = value_parser!(u32).range(1..=1000),
        requires = "memory_minutes"
    )]
    memory_reads: u32,
}

fn main() -> Result<ExitCode> {
    let bench = Arguments::parse().bench;
    // The loop has one thread, as the operator has.
    let mut builder = match bench {
        Bench::Floor { .. } => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let kept = builder.enable_all().build()?.block_on(run(bench))?;
    Ok(if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether all promises were kept.
async fn run(bench: Bench) -> Result<bool> {
    match bench {
        Bench::Freshness(Freshness { records: true, changes, periods, tools, .. }) => {
            let options = freshness::records::Options {
                changes: usize::try_from(changes)?,
                period: Duration::from_millis(periods.into_iter().next().unwrap_or(100)),
                tools: usize::try_from(tools.into_iter().next_back().unwrap_or(1))?,
            };
            freshness::records::run(options).await
        }
        Bench::Freshness(Freshness { changes, periods, tools, services, chart, .. }) => {
            let options = freshness::Options {
                changes: usize::try_from(changes)?,
                periods: periods.into_iter().map(Duration::from_millis).collect(),
                tools: numbers(tools)?,
                services: usize::try_from(services)?,
                chart,
            };
            freshness::run(options).await
        }
        Bench::Configs(Configs { count, services, events }) => {
            let options = configs::Options {
                configs: usize::try_from(count)?,
                services: usize::try_from(services)?,
                events: usize::try_from(events)?,
            };
            configs::run(options).await
        }
        Bench::Recognise(Recognise { pure: true, pure_broken, .. }) => Ok(!pure_broken),
        Bench::Recognise(Recognise { services, settle, pure_broken, .. }) => {
            let options = memory::Options { services: numbers(services)?, settle: Duration::from_secs(settle) };
            Ok(memory::run(options).await? && !pure_broken)
        }
        Bench::Idle(Idle { seconds, services }) => {
            let duration = Duration::from_secs(seconds);
            idle::run(idle::Options { duration, services: usize::try_from(services)? }).await
        }
        Bench::Probes(Probes { targets, namespaces, crowd, arrivals, changes, seconds }) => {
            let options = probes::Options {
                targets: usize::try_from(targets)?,
                namespaces: usize::try_from(namespaces)?,
                crowd: usize::try_from(crowd)?,
                arrivals: usize::try_from(arrivals)?,
                changes: usize::try_from(changes)?,
                rest: Duration::from_secs(seconds),
            };
            probes::run(options).await
        }
        Bench::Endurance(Endurance { minutes, seed, changes }) => {
            let duration = Duration::from_secs(60 * minutes);
            endurance::run(endurance::Options { duration, seed, changes }).await
        }
        Bench::Datastorage(Datastorage { memory_minutes: Some(minutes), memory_writes, memory_reads, .. }) => {
            let duration = Duration::from_secs(60 * minutes);
            let options = datastorage::memory::Options { duration, writes: memory_writes, reads: memory_reads };
            datastorage::memory::run(options).await
        }
        Bench::Datastorage(options) => {
            let parts = if options.parts.is_empty() { Part::value_variants().to_vec() } else { options.parts };
            let options = datastorage::Options {
                parts,
                rounds: usize::try_from(options.rounds)?,
                duration: Duration::from_secs(options.seconds),
                records: options.records,
                months: options.months,
                texts: options.texts,
                reads: usize::try_from(options.reads)?,
            };
            datastorage::run(options).await
        }
        Bench::Floor { kubeconfig, namespace, bytes } => {
            floor::run(&kubeconfig, &namespace, bytes).await.map(|()| true)
        }
    }
}

/// Each of them once.
fn numbers(numbers: Vec<u32>) -> Result<Vec<usize>> {
    let mut all = numbers.into_iter().map(usize::try_from).collect::<Result<Vec<_>, _>>()?;
    all.dedup();
    Ok(all)
}

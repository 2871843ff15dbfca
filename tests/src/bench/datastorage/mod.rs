//! How fast Data Storage writes, reads and searches, as ratios to what PostgreSQL does without it in the same run.
//!
//! - [`floor`], [`load`]: writing, and what PostgreSQL writes alone.
//! - [`population`]: the records and the vectors that are there when reading is measured.
//! - [`reads`], [`export`], [`searches`]: reading.
//! - [`memory`]: a long mixed load.

mod export;
mod floor;
mod load;
pub mod memory;
mod population;
mod reads;
mod searches;

use std::{fmt, time::Duration};

use anyhow::Result;

use self::{population::Size, reads::Times, searches::Centres};
use super::report::{Report, print};
use crate::{
    datastorage::{Database, Postgres, PostgresOptions, Service, ServiceOptions, Version},
    usage::{self, Memory, mebibytes},
};

/// Single records at 64 connections, over the floor.
///
/// It holds on cores that are free. A busy machine shares its cores between processes: pgbench has sixteen that insert, and the
/// service has one, so it gets less. `singles_64_cpu_ratio` tells what a record costs, which does not depend on that.
const SINGLES_64: f64 = 1.2;
/// The same at 16 connections.
const SINGLES_16: f64 = 0.6;
/// Records in batches of 256, over the floor.
const BATCHES: f64 = 0.5;
/// The p95 of a read, over that of the bare SQL.
const READS: f64 = 3.0;
/// The p95 of a write at 16 connections, in milliseconds.
const WRITE_P95: f64 = 50.0;
/// Records in a second at 16 connections.
const WRITES_PER_SECOND: f64 = 500.0;
/// Queries in a second of 10 clients.
const QUERIES_PER_SECOND: f64 = 1000.0;
/// The p95 of some reads, in milliseconds. That of a search by meaning is without the provider.
const READ_P95: [(&str, f64); 3] = [("get", 20.0), ("list", 50.0), ("vector", 100.0)];
/// A page of a list that has no index, in milliseconds: the time of a query, after which it would fail.
const PAGE: f64 = 5000.0;
/// The part of the ten nearest texts that a search by meaning finds.
const RECALL: f64 = 0.95;
/// From a record to the search by meaning that finds it, in milliseconds.
const SEARCHABLE: f64 = 250.0;
/// Resident memory after all of it, in MiB.
const RESIDENT: f64 = 64.0;
/// With more records than this, the write-ahead log stays small.
const MANY: u32 = 1_000_000;
/// How often exports and lists without an index are read. The best counts.
const ROUNDS: usize = 3;

/// A part of the benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Single records and batches.
    Writes,
    /// Single records, lists, correlations, histories and an export.
    Reads,
    /// Searches by words, by meaning and by both.
    Searches,
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// The parts that are measured.
    pub parts: Vec<Part>,
    /// How often writing is measured. The medians count.
    pub rounds: usize,
    /// The duration of each measurement of a load.
    pub duration: Duration,
    /// The records that are there when reading is measured.
    pub records: u32,
    /// The months that they are spread over.
    pub months: u32,
    /// The texts with a vector that they share.
    pub texts: u32,
    /// The reads of each kind.
    pub reads: usize,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    // As a small production database: everything that is acknowledged is on the disk.
    let settings = PostgresOptions { fsync: true, ..PostgresOptions::default() };
    // Many records need the disk for themselves.
    let wal = if options.records > MANY { "1GB" } else { "4GB" };
    let settings = settings.with("shared_buffers", "512MB").with("max_wal_size", wal);
    let postgres = Postgres::start(Version::of_the_run()?, settings).await?;
    let bare = Database::fresh_in(&postgres).await?;
    let mut report = Report::new("datastorage");
    report.pair("postgres", if Version::of_the_run()? == Version::V16 { 16 } else { 18 });
    let has = |part| options.parts.contains(&part);
    if has(Part::Writes) {
        writes(&postgres, &bare, &options, &mut report).await?;
    }
    if has(Part::Reads) || has(Part::Searches) {
        let database = Database::another_in(&postgres).await?;
        let size = Size { records: options.records, months: options.months, texts: options.texts };
        print(&format!("reads, with {} records in {} months:", size.records, size.months));
        report.pair("records", size.records);
        report.pair("months", size.months);
        population::fill(&database, size).await?;
        if has(Part::Reads) {
            reads(&database, &options, &mut report).await?;
        }
        if has(Part::Searches) {
            searches(&postgres, &database, size, options.reads, &mut report).await?;
        }
    }
    Ok(report.end())
}

/// The service, with limits that a load does not reach.
async fn start_service(database: &Database, further: Vec<String>) -> Result<Service> {
    let limits = ["--rate-limit-writes=1000000", "--rate-limit-burst=1000000", "--rate-limit-in-flight=1000"];
    let arguments = limits.map(str::to_owned).into_iter().chain(further).collect();
    Service::start_with(database, ServiceOptions { quiet: true, arguments, ..ServiceOptions::default() }).await
}

async fn writes(postgres: &Postgres, bare: &Database, options: &Options, report: &mut Report) -> Result<()> {
    let served = Database::another_in(postgres).await?;
    let owner = bare.owner().await?;
    let mut service = start_service(&served, Vec::new()).await?;
    let port = service.port();
    let [mut singles_64, mut singles_16, mut cpus, mut rates, mut batches, mut p95, mut p99] =
        [const { Vec::new() }; 7];
    let [mut floors, mut batch_floors] = [const { Vec::new() }; 2];
    for round in 1..=options.rounds {
        print(&format!("round {round} of {}, {:?} each, records in a second:", options.rounds, options.duration));
        let before = Cpu::now(postgres, &mut service)?;
        let floor = floor::singles(postgres, bare, options.duration).await?;
        let floor_cpu = Cpu::now(postgres, &mut service)?.since(before, floor * options.duration.as_secs_f64());
        let before = Cpu::now(postgres, &mut service)?;
        let at_64 = load::write(port, 64, 1, options.duration).await?;
        let cpu = Cpu::now(postgres, &mut service)?.since(before, f64::from(at_64.requests));
        let at_16 = load::write(port, 16, 1, options.duration).await?;
        let batch_floor = floor::batches(&owner, options.duration).await?;
        let batch = load::write(port, 4, floor::BATCH, options.duration).await?;
        print(&format!("  one INSERT in a transaction, 16 clients {floor:>9.0}"));
        print(&format!("    CPU of one, in microseconds: {floor_cpu}"));
        print(&format!("  single records, 64 connections          {:>9.0}", at_64.per_second));
        print(&format!("    CPU of one, in microseconds: {cpu}"));
        print(&format!("  single records, 16 connections          {:>9.0}", at_16.per_second));
        print(&format!("  256 rows in an INSERT, one connection   {batch_floor:>9.0}"));
        print(&format!("  batches of 256, 4 connections           {:>9.0}", batch.per_second));
        singles_64.push(at_64.per_second / floor);
        singles_16.push(at_16.per_second / floor);
        cpus.push(floor_cpu.all() / cpu.all());
        rates.push(at_16.per_second);
        batches.push(batch.per_second / batch_floor);
        p95.push(at_16.milliseconds.p95);
        p99.push(at_16.milliseconds.p99);
        floors.push(floor);
        batch_floors.push(batch_floor);
    }
    let memory = Memory::of(service.process().pid())?;
    print(&format!("memory: {memory}\n"));

    report.pair("rounds", options.rounds);
    report.number("floor_singles", median(floors));
    report.number("floor_batches", median(batch_floors));
    let (singles_64, singles_16, batches) = (median(singles_64), median(singles_16), median(batches));
    let rate = median(rates);
    let (p95, p99, peak) = (median(p95), median(p99), mebibytes(memory.peak));
    report.number("singles_64_ratio", singles_64);
    // Other programs on the machine take more from one writer than from sixteen, and this ratio does not see it.
    report.number("singles_64_cpu_ratio", median(cpus));
    report.number("singles_16_ratio", singles_16);
    report.number("batches_ratio", batches);
    report.number("writes_16_per_second", rate);
    report.number("write_16_p95_ms", p95);
    report.number("write_16_p99_ms", p99);
    report.number("peak_mib", Some(peak));
    report.at_least(SINGLES_64, " times the floor", "single records at 64 connections", singles_64);
    report.at_least(SINGLES_16, " times the floor", "single records at 16 connections", singles_16);
    report.at_least(BATCHES, " times the floor", "records in batches of 256", batches);
    report.at_least(WRITES_PER_SECOND, "", "single records in a second at 16 connections", rate);
    report.at_most(WRITE_P95, " ms", "p95 of a write at 16 connections", p95);
    report.at_most(RESIDENT, " MiB", "resident memory at its peak", Some(peak));
    Ok(())
}

async fn reads(database: &Database, options: &Options, report: &mut Report) -> Result<()> {
    let service = start_service(database, Vec::new()).await?;
    let (client, port) = (database.service().await?, service.port());
    for times in reads::measure(port, &client, options.reads).await? {
        compare(&times, report);
    }
    let unindexed = reads::unindexed(port, &client, ROUNDS).await?;
    let ratio = unindexed.service / unindexed.sql;
    report.pair("unindexed_pages", unindexed.pages);
    report.number("unindexed_page_ms", Some(unindexed.longest));
    report.number("unindexed_ratio", Some(ratio));
    report.at_most(PAGE, " ms", "a page of a list without an index", Some(unindexed.longest));
    report.at_most(READS, " times the SQL", "a list without an index, all pages", Some(ratio));

    let together = reads::together(port, &client, options.duration).await?;
    print(&format!(
        "10 clients: {:.0} queries in a second, p95 {:.2} ms",
        together.per_second, together.milliseconds.p95
    ));
    report.number("queries_per_second", Some(together.per_second));
    report.at_least(QUERIES_PER_SECOND, "", "queries in a second of 10 clients", Some(together.per_second));

    let rates = export::measure(port, &client, ROUNDS).await?;
    report.pair("export_records", rates.records);
    report.number("export_per_second", Some(rates.service));
    report.number("copy_per_second", Some(rates.copy));
    Ok(())
}

async fn searches(
    postgres: &Postgres,
    database: &Database,
    size: Size,
    count: usize,
    report: &mut Report,
) -> Result<()> {
    let client = database.service().await?;
    let centres = Centres::of(&client, 2 * count).await?;
    let provider = centres.provider().await?;
    let service = start_service(database, provider.flags()).await?;
    let port = service.port();
    report.pair("texts", size.texts);
    for times in searches::measure(port, &provider, &client, &centres, (count, size.codes())).await? {
        compare(&times, report);
    }
    let recall = searches::recall(port, &client, &centres).await?;
    report.number("recall", Some(recall));
    report.at_least(RECALL, "", "recall@10 without a filter", Some(recall));
    let searchable = searches::searchable(port).await?;
    report.number("searchable_p95_ms", Some(searchable.p95));
    report.at_most(SEARCHABLE, " ms", "p95 from a record to the search that finds it", Some(searchable.p95));
    report.number("backlog_per_second", Some(searches::backlog(postgres).await?));
    Ok(())
}

/// Adds a kind of read, and whether its promises are kept.
fn compare(times: &Times, report: &mut Report) {
    let Times { name, service, sql, embedding } = times;
    report.number(format_args!("{name}_p95_ms"), Some(service.p95));
    report.number(format_args!("{name}_p95_sql_ms"), Some(sql.p95));
    if let Some(embedding) = embedding {
        report.number(format_args!("{name}_p95_provider_ms"), Some(embedding.p95));
    }
    let ratio = Some(times.ratio());
    report.number(format_args!("{name}_p95_ratio"), ratio);
    let apart = if embedding.is_some() { ", without the provider" } else { "" };
    report.at_most(READS, " times that of the SQL", format_args!("p95 of {name}{apart}"), ratio);
    if let Some((_, limit)) = READ_P95.iter().find(|(bounded, _)| bounded == name) {
        let without = service.p95 - embedding.map_or(0.0, |times| times.p95);
        report.at_most(*limit, " ms", format_args!("p95 of {name}{apart}"), Some(without));
    }
}

/// The CPU time of the programs that share the cores, in microseconds.
#[derive(Clone, Copy)]
struct Cpu {
    service: f64,
    postgres: f64,
    clients: f64,
}

impl Cpu {
    fn now(postgres: &Postgres, service: &mut Service) -> Result<Self> {
        let us = std::process::id();
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        Ok(Self {
            // Its threads for blocking work end when there is none.
            service: microseconds(usage::cpu_in_ticks(service.process().pid())?),
            postgres: microseconds(usage::cpu_of_family(postgres.pid()?)?),
            // With pgbench, which it starts.
            clients: microseconds(usage::cpu(us)? + usage::cpu_of_ended(us)?),
        })
    }

    fn all(self) -> f64 {
        self.service + self.postgres + self.clients
    }

    /// What each of so many requests cost.
    fn since(self, before: Self, requests: f64) -> Self {
        let each = |now: f64, before: f64| (now - before) / requests;
        Self {
            service: each(self.service, before.service),
            postgres: each(self.postgres, before.postgres),
            clients: each(self.clients, before.clients),
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, postgres, clients } = self;
        write!(f, "service {service:.0}, PostgreSQL {postgres:.0}, clients {clients:.0}")
    }
}

/// The middle value. The lower one of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

//! How fast Data Storage writes and reads, as ratios to what PostgreSQL does without it in the same run.

mod floor;
mod load;
mod population;
mod reads;

use std::time::Duration;

use anyhow::Result;

use super::report::{Report, print};
use crate::{
    datastorage::{Database, Postgres, PostgresOptions, Service, ServiceOptions, Version},
    usage::{Memory, mebibytes},
};

/// Single records at 64 connections, over the floor.
const SINGLES_64: f64 = 1.2;
/// The same at 16 connections.
const SINGLES_16: f64 = 0.6;
/// Records in batches of 256, over the floor.
const BATCHES: f64 = 0.5;
/// The p95 of a read, over that of the bare SQL.
const READS: f64 = 3.0;
/// The p95 of a write at 16 connections, in milliseconds.
const WRITE_P95: f64 = 50.0;
/// Resident memory after all of it, in MiB.
const RESIDENT: f64 = 64.0;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How often writing is measured. The medians count.
    pub rounds: usize,
    /// The duration of each measurement of writing.
    pub duration: Duration,
    /// The records that are there when reading is measured.
    pub records: u32,
    /// The months that they are spread over.
    pub months: u32,
    /// The reads of each kind.
    pub reads: usize,
}

/// Measures and prints. Returns whether the promises are kept.
pub async fn run(options: Options) -> Result<bool> {
    // As a small production database: everything that is acknowledged is on the disk.
    let settings = PostgresOptions { fsync: true, ..PostgresOptions::default() };
    let settings = settings.with("shared_buffers", "512MB").with("max_wal_size", "4GB");
    let postgres = Postgres::start(Version::of_the_run()?, settings).await?;
    let mut report = Report::new("datastorage");
    report.pair("postgres", if Version::of_the_run()? == Version::V16 { 16 } else { 18 });
    writes(&postgres, options, &mut report).await?;
    reads(&postgres, options, &mut report).await?;
    Ok(report.end())
}

/// The service, with limits that a load does not reach.
async fn service(database: &Database) -> Result<Service> {
    let limits = ["--rate-limit-writes=1000000", "--rate-limit-burst=1000000", "--rate-limit-in-flight=1000"];
    Service::start_with(database, ServiceOptions { quiet: true, ..ServiceOptions::arguments(&limits) }).await
}

async fn writes(postgres: &Postgres, options: Options, report: &mut Report) -> Result<()> {
    let (bare, served) = (Database::fresh_in(postgres).await?, Database::another_in(postgres).await?);
    let owner = bare.owner().await?;
    let mut service = service(&served).await?;
    let port = service.port();
    let [mut singles_64, mut singles_16, mut batches, mut p95, mut p99] = [const { Vec::new() }; 5];
    let [mut floors, mut batch_floors] = [const { Vec::new() }; 2];
    for round in 1..=options.rounds {
        print(&format!("round {round} of {}, {:?} each, records in a second:", options.rounds, options.duration));
        let floor = floor::singles(postgres, &bare, options.duration).await?;
        let at_64 = load::write(port, 64, 1, options.duration).await?;
        let at_16 = load::write(port, 16, 1, options.duration).await?;
        let batch_floor = floor::batches(&owner, options.duration).await?;
        let batch = load::write(port, 4, floor::BATCH, options.duration).await?;
        print(&format!("  one INSERT in a transaction, 16 clients {floor:>9.0}"));
        print(&format!("  single records, 64 connections          {:>9.0}", at_64.per_second));
        print(&format!("  single records, 16 connections          {:>9.0}", at_16.per_second));
        print(&format!("  256 rows in an INSERT, one connection   {batch_floor:>9.0}"));
        print(&format!("  batches of 256, 4 connections           {:>9.0}", batch.per_second));
        singles_64.push(at_64.per_second / floor);
        singles_16.push(at_16.per_second / floor);
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
    let (p95, p99, peak) = (median(p95), median(p99), mebibytes(memory.peak));
    report.number("singles_64_ratio", singles_64);
    report.number("singles_16_ratio", singles_16);
    report.number("batches_ratio", batches);
    report.number("write_16_p95_ms", p95);
    report.number("write_16_p99_ms", p99);
    report.number("peak_mib", Some(peak));
    report.at_least(SINGLES_64, " times the floor", "single records at 64 connections", singles_64);
    report.at_least(SINGLES_16, " times the floor", "single records at 16 connections", singles_16);
    report.at_least(BATCHES, " times the floor", "records in batches of 256", batches);
    report.at_most(WRITE_P95, " ms", "p95 of a write at 16 connections", p95);
    report.at_most(RESIDENT, " MiB", "resident memory at its peak", Some(peak));
    Ok(())
}

async fn reads(postgres: &Postgres, options: Options, report: &mut Report) -> Result<()> {
    let database = Database::another_in(postgres).await?;
    print(&format!("reads, with {} records in {} months:", options.records, options.months));
    population::fill(&database, options.records, options.months).await?;
    let service = service(&database).await?;
    let client = database.service().await?;
    report.pair("records", options.records);
    report.pair("months", options.months);
    for times in reads::measure(service.port(), &client, options.reads).await? {
        let ratio = times.service.p95 / times.sql.p95;
        report.number(format_args!("{}_p95_ms", times.name), Some(times.service.p95));
        report.number(format_args!("{}_p95_sql_ms", times.name), Some(times.sql.p95));
        report.number(format_args!("{}_p95_ratio", times.name), Some(ratio));
        report.at_most(READS, " times that of the SQL", format_args!("p95 of {}", times.name), Some(ratio));
    }
    Ok(())
}

/// The middle value. The lower one of two.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied()
}

//! The second half of `cargo xtask bench recognise`.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use e2e::bench::memory;

/// Measures how long it takes to recognise and plan 10,000 Services, then the operator's memory while it watches as many on
/// a real API server: resident, and anonymous. Promised: less than 24 MiB resident; exits with 1 if it is more.
///
/// Each half prints one line of key=value pairs at its end. The options are about the second.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench recognise",
    bin_name = "cargo xtask bench recognise",
    after_help = "Examples:
  cargo xtask bench recognise                    10,000 Services, some minutes to create them
  cargo xtask bench recognise --services 1000    for a first impression"
)]
struct Arguments {
    /// Services in the cluster, one in fifty an observability system.
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    services: u32,
    /// How many seconds the operator runs before its memory is read.
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    settle: u64,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let options = memory::Options {
        services: usize::try_from(arguments.services)?,
        settle: Duration::from_secs(arguments.settle),
    };
    Ok(if memory::run(options).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! `cargo xtask bench idle`.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Parser;
use e2e::bench::idle;

/// Measures what the operator costs and writes on a real API server while nothing changes. Promised, with 100 Services: no
/// write but the lease, less than 2 thousandths of a core, less than 12 MiB resident; exits with 1 if one is broken.
///
/// Prints one line of key=value pairs at its end.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench idle",
    bin_name = "cargo xtask bench idle",
    after_help = "Examples:
  cargo xtask bench idle                 ten minutes
  cargo xtask bench idle --seconds 60    for a first impression"
)]
struct Arguments {
    /// For how long.
    #[arg(long, value_name = "NUMBER", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Services in the cluster, one in ten an observability system.
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    services: u32,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let options = idle::Options {
        duration: Duration::from_secs(arguments.seconds),
        services: usize::try_from(arguments.services)?,
    };
    Ok(if idle::run(options).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! `cargo xtask bench freshness`.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand};
use e2e::bench::{floor, freshness};

/// Measures how long a Service's change takes to reach the ConfigMap, on a real API server: for the operator and, in turn
/// with it, for a bare loop that watches one namespace and applies a ConfigMap. What the loop takes nobody can save.
///
/// Prints p50, p95 and p99 of both and their ratio, memory, CPU and API requests per change, then one line of key=value
/// pairs.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask bench freshness",
    bin_name = "cargo xtask bench freshness",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  cargo xtask bench freshness                              1,000 changes at each of both rates, seven minutes
  cargo xtask bench freshness --changes 100 --period 100   fifteen seconds, for a first impression"
)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Changes at each rate.
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// One change per so many milliseconds; may be given several times.
    #[arg(long = "period", value_name = "MILLISECONDS", default_values_t = [100, 300], value_parser = clap::value_parser!(u64).range(2..))]
    periods: Vec<u64>,
    /// Other Services in the cluster, one in ten an observability system.
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    services: usize,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// The loop, which the benchmark starts as a process of its own.
    #[command(hide = true)]
    Floor { kubeconfig: PathBuf, namespace: String },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Floor { kubeconfig, namespace }) = arguments.part {
        // One thread, as the operator has.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return runtime.block_on(floor::run(&kubeconfig, &namespace));
    }
    let options = freshness::Options {
        changes: usize::try_from(arguments.changes)?,
        periods: arguments.periods.into_iter().map(Duration::from_millis).collect(),
        services: arguments.services,
    };
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(freshness::run(options))
}

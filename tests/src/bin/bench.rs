//! `cargo xtask bench`: what is measured on the real API server.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use e2e::bench::{floor, freshness, idle, memory};

/// Measures the operator on a real API server. Each benchmark prints one line of key=value pairs at its end.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Time from a Service's change to the ConfigMap's, beside that of a bare watch-and-apply loop
    ///
    /// Both run at once and are changed in turn; what the loop takes nobody can save. Prints p50, p95 and p99 of both and
    /// their ratio, memory, CPU and API requests per change.
    #[command(after_help = "Examples:
  cargo xtask bench freshness                              1,000 changes at each of both rates, seven minutes
  cargo xtask bench freshness --changes 100 --period 100   fifteen seconds, for a first impression
  cargo xtask bench freshness --chart                      the operator as its chart installs it")]
    Freshness(Freshness),
    /// Time to recognise and plan 10,000 Services, and the operator's memory while it watches as many
    ///
    /// Promised: less than 24 MiB resident with 10,000 Services; exits with 1 if it is more. The options are about this
    /// second half.
    #[command(after_help = "Examples:
  cargo xtask bench recognise                    10,000 Services, some minutes to create them
  cargo xtask bench recognise --services 1000    for a first impression")]
    Recognise(Recognise),
    /// What the operator costs and writes while nothing changes
    ///
    /// Promised, with 100 Services: no write but the lease, less than 2 thousandths of a core, less than 12 MiB resident;
    /// exits with 1 if one of these is broken.
    #[command(after_help = "Examples:
  cargo xtask bench idle                 ten minutes
  cargo xtask bench idle --seconds 60    for a first impression")]
    Idle(Idle),
    /// The bare loop, which `freshness` starts as a process of its own
    #[command(hide = true)]
    Floor { kubeconfig: PathBuf, namespace: String },
}

#[derive(Debug, Args)]
struct Freshness {
    /// Changes at each rate
    #[arg(long, value_name = "NUMBER", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    changes: u32,
    /// One change per so many milliseconds; may be given several times
    #[arg(
        long = "period",
        value_name = "MILLISECONDS",
        default_values_t = [100, 300],
        value_parser = clap::value_parser!(u64).range(2..)
    )]
    periods: Vec<u64>,
    /// Other Services in the cluster, one in ten an observability system
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    services: u32,
    /// Install the operator with its chart, and run it with its Deployment's arguments and its ServiceAccount's rights
    #[arg(long)]
    chart: bool,
}

#[derive(Debug, Args)]
struct Recognise {
    /// Services in the cluster, one in fifty an observability system
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    services: u32,
    /// How many seconds the operator runs before its memory is read
    #[arg(long, value_name = "NUMBER", default_value_t = 15)]
    settle: u64,
}

#[derive(Debug, Args)]
struct Idle {
    /// For how long
    #[arg(long, value_name = "NUMBER", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Services in the cluster, one in ten an observability system
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    services: u32,
}

fn main() -> Result<ExitCode> {
    let bench = Arguments::parse().bench;
    // The loop has one thread, as the operator has.
    let mut builder = match bench {
        Bench::Floor { .. } => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let met = builder.enable_all().build()?.block_on(run(bench))?;
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Returns whether all promises were kept.
async fn run(bench: Bench) -> Result<bool> {
    match bench {
        Bench::Freshness(Freshness { changes, periods, services, chart }) => {
            let periods = periods.into_iter().map(Duration::from_millis).collect();
            let options = freshness::Options {
                changes: usize::try_from(changes)?,
                periods,
                services: usize::try_from(services)?,
                chart,
            };
            freshness::run(options).await.map(|()| true)
        }
        Bench::Recognise(Recognise { services, settle }) => {
            let settle = Duration::from_secs(settle);
            memory::run(memory::Options { services: usize::try_from(services)?, settle }).await
        }
        Bench::Idle(Idle { seconds, services }) => {
            let duration = Duration::from_secs(seconds);
            idle::run(idle::Options { duration, services: usize::try_from(services)? }).await
        }
        Bench::Floor { kubeconfig, namespace } => floor::run(&kubeconfig, &namespace).await.map(|()| true),
    }
}

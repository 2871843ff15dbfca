//! `cargo xtask`: the project's own commands.
//!
//! One file per command. What talks to Kubernetes is a program of the crate `e2e`, built and started from here, so that
//! `cargo xtask --help` and `cargo xtask test fmt` compile in seconds.

mod bench;
mod chart;
mod corpus;
mod crds;
mod demo;
mod docs;
mod generated;
mod image;
mod krew;
mod programs;
mod test;
mod tools;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows the operator at work: on a control plane of its own, or on a cluster of yours.
    #[command(disable_help_flag = true)]
    Demo {
        /// What `cargo xtask demo --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Runs all checks and tests, or the named tiers of them.
    Test(test::Arguments),
    /// Starts a real Kubernetes control plane without containers, for you or for one command.
    #[command(disable_help_flag = true)]
    Cluster {
        /// What `cargo xtask cluster --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measures the operator: freshness, memory, what it costs at rest.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Writes the CustomResourceDefinitions of `crates/crd-types` to `crds/`.
    Crds(crds::Arguments),
    /// Generates the chart's schema and README from its values, and renders `charts/install.yaml`.
    Chart(generated::Arguments),
    /// Generates the ToolsetConfig reference, and checks the documentation's links, code and examples.
    Docs(generated::Arguments),
    /// Builds the container image, and the list of what is in it, without a container daemon.
    Image(image::Arguments),
    /// Prints the manifest of `kubectl krew install toolset` for a release.
    Krew(krew::Arguments),
    /// Scores the built-in rules on a corpus of Services whose truth is known.
    Corpus(corpus::Arguments),
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Demo { arguments } => demo::run(&arguments),
        Command::Test(arguments) => test::run(&arguments),
        Command::Cluster { arguments } => programs::replace_this_process("cluster", &arguments),
        Command::Bench(bench) => bench::run(&bench),
        Command::Crds(arguments) => crds::run(&arguments),
        Command::Chart(arguments) => chart::run(workspace::root(), arguments.check).map(|()| ExitCode::SUCCESS),
        Command::Docs(arguments) => docs::run(workspace::root(), arguments.check).map(|()| ExitCode::SUCCESS),
        Command::Image(arguments) => image::run(&arguments),
        Command::Krew(arguments) => krew::run(&arguments),
        Command::Corpus(arguments) => corpus::run(&arguments),
    }
}

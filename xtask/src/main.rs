//! `cargo xtask`: the commands of the project.
//!
//! Every command has one file. Programs of the crate `e2e` do the work that needs Kubernetes. This crate builds and
//! starts them, so that `cargo xtask --help` and `cargo xtask test fmt` compile in seconds.

mod bench;
mod chart;
mod corpus;
mod crds;
mod demo;
mod docs;
mod fuzz;
mod generated;
mod image;
mod krew;
mod mcp_client;
mod postgres;
mod programs;
mod test;
mod tools;
mod workspace;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The commands of the project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the operator at work on its own control plane or on your cluster
    #[command(disable_help_flag = true)]
    Demo {
        /// The options that `cargo xtask demo --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run all checks and tests, or some tiers of them
    Test(test::Arguments),
    /// Start a real Kubernetes control plane without containers
    #[command(disable_help_flag = true)]
    Cluster {
        /// The options that `cargo xtask cluster --help` lists.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure the operator and Data Storage
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Generate the CustomResourceDefinitions from crates/crd-types
    Crds(crds::Arguments),
    /// Generate the schema and the README of each chart from its values, and render charts/install.yaml
    Chart(generated::Arguments),
    /// Generate the references of ToolsetConfig and of Data Storage, and check the links and code blocks of the documentation
    Docs(generated::Arguments),
    /// Build a container image and its SBOM without a container daemon
    Image(image::Arguments),
    /// Print the krew manifest for a release
    Krew(krew::Arguments),
    /// Measure the built-in rules with a corpus of Services whose result is known
    Corpus(corpus::Arguments),
    /// Run the fuzz targets with libFuzzer
    Fuzz(fuzz::Arguments),
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
        Command::Fuzz(arguments) => fuzz::run(&arguments),
    }
}

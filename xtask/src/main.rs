//! `cargo xtask`: the project's own commands.
//!
//! One file per command. What talks to Kubernetes is a program of the crate `e2e`, built and started from here, so that
//! `cargo xtask --help` and `cargo xtask test fmt` compile in seconds.

mod corpus;
mod crds;
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
    /// Runs all checks and tests, or the named tiers of them.
    Test(test::Arguments),
    /// Starts a real Kubernetes control plane without containers, for you or for one command.
    #[command(disable_help_flag = true)]
    Cluster {
        /// What `cargo xtask cluster --help` says.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Writes the CustomResourceDefinitions of `crates/crd-types` to `crds/`.
    Crds(crds::Arguments),
    /// Scores the built-in rules on a corpus of Services whose truth is known.
    Corpus(corpus::Arguments),
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Cluster { arguments } => programs::replace_this_process("cluster", &arguments),
        Command::Crds(arguments) => crds::run(&arguments),
        Command::Corpus(arguments) => corpus::run(&arguments),
    }
}

//! `cargo xtask demo`: the operator at work, before your eyes.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::Parser;
use e2e::{
    controlplane::MissingTool,
    demo::{self, Ended, Options},
};

/// The exit code that says that a tool of the machine is missing (`EX_UNAVAILABLE` of sysexits).
const MISSING_TOOL: u8 = 69;
/// As a shell reports a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

/// Shows what the operator does: recognise the observability systems among some thirty Services, write the file that the
/// agent loads, and keep it right while things change.
///
/// On a real Kubernetes control plane of its own, without containers, or on a cluster of yours. Ctrl-C at any time ends it
/// and leaves nothing behind.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask demo",
    bin_name = "cargo xtask demo",
    after_help = "Examples:
  cargo xtask demo                        watch it, about ten seconds after the first run's build
  cargo xtask demo --keep                 and try things yourself until Ctrl-C
  cargo xtask demo --release              with the operator as it is shipped
  cargo xtask demo --context kind-test    the same on a cluster of yours, as you are there

On a cluster of yours the demo creates namespaces toolset-demo-…, and the CustomResourceDefinition
where there is none, and removes both at the end. The operator runs on this machine and looks at
these namespaces only. No Pods are created, so health is not asked for (spec.health.mode: None).
You need the rights to create all that, and kubectl in your PATH.

Colours are used on a terminal; NO_COLOR=1 switches them off."
)]
struct Arguments {
    /// Leave everything running at the end, say how to use it, and clean up at Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Use the cluster of this context of your kubeconfig instead of starting a control plane.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Show the optimised operator, as it is shipped: minutes more to build the first time, and faster answers.
    #[arg(long)]
    release: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match demo::run(Options { keep: arguments.keep, context: arguments.context, optimised: arguments.release }).await {
        Ok(Ended::Shown) => ExitCode::SUCCESS,
        Ok(Ended::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            let (prefix, code) = if error.is::<MissingTool>() { ("", MISSING_TOOL) } else { ("error: ", 1) };
            // Nobody reads a closed standard error.
            _ = writeln!(io::stderr(), "\n{prefix}{error:#}");
            ExitCode::from(code)
        }
    }
}

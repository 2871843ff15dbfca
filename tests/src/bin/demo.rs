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

/// Show the operator at work.
///
/// It recognises the observability systems among thirty Services, writes the file that the agent loads, and keeps the file
/// up to date while the Services change. The demo starts its own Kubernetes control plane, without containers, or uses a
/// cluster of yours. Press Ctrl-C at any time to stop it. It removes everything that it created.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask demo",
    bin_name = "cargo xtask demo",
    after_help = "Examples:
  cargo xtask demo                        run the demo, which takes about ten seconds after the first build
  cargo xtask demo --keep                 keep everything running until Ctrl-C, so that you can try things
  cargo xtask demo --release              use an optimised build of the operator
  cargo xtask demo --with-data-storage    also record the changes in Data Storage, on a PostgreSQL of its own
  cargo xtask demo --context kind-test    use a cluster of yours, with your own permissions

On a cluster of yours, the demo creates namespaces that start with toolset-demo-, and the
CustomResourceDefinition if it is missing. It removes both at the end. The operator runs on this
machine and watches only these namespaces. The demo creates no Pods there, so it disables the health
check (spec.health.mode: None). You need the permissions to create these objects, and kubectl in
your PATH.

To use programs of a control plane that you already have, for example those of envtest, set
KUBEBUILDER_ASSETS to their folder. Colours are used on a terminal. NO_COLOR=1 disables them."
)]
struct Arguments {
    /// Keep everything running at the end, print how to use it, and clean up after Ctrl-C.
    #[arg(long)]
    keep: bool,
    /// Use the cluster of this context of your kubeconfig instead of starting a control plane.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Use an optimised build of the operator. The first build takes minutes longer, and the operator reacts faster.
    #[arg(long)]
    release: bool,
    /// Also start PostgreSQL and Data Storage, which records every change of the ConfigMap. Then show how to find a record and
    /// how to verify all records.
    #[arg(long)]
    with_data_storage: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let options = Options {
        keep: arguments.keep,
        context: arguments.context,
        optimised: arguments.release,
        with_data_storage: arguments.with_data_storage,
    };
    match demo::run(options).await {
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

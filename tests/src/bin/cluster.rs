//! `cargo xtask cluster`: a control plane for a person, or for one command.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::Parser;
use e2e::{
    controlplane::{ControlPlane, MissingTool, Options, Programs, crds_folder},
    stop::Stop,
};
use rustix::process::{Pid, Signal};

/// The exit code that says that a tool of the machine is missing (`EX_UNAVAILABLE` of sysexits).
const MISSING_TOOL: u8 = 69;

/// Start a real Kubernetes control plane on this machine, without containers.
///
/// It consists of etcd, kube-apiserver and kube-controller-manager on free loopback ports. It ends with this command, and
/// its data is removed. The first run compiles the programs with Go and shows the progress. Later runs start in seconds.
/// There are no nodes, so no Pod ever runs.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask cluster",
    bin_name = "cargo xtask cluster",
    after_help = "Examples:
  cargo xtask cluster                               start it, print how to use it, and stop it with Ctrl-C
  cargo xtask cluster -- kubectl get namespaces     run one command on it and exit with its exit code
  cargo xtask cluster --no-crds -- bash             open a shell with the KUBECONFIG of an empty cluster
  cargo xtask cluster --prepare                     only build the programs

To use programs that you already have, for example those of envtest, set KUBEBUILDER_ASSETS to their folder."
)]
struct Arguments {
    /// Do not install the project's CustomResourceDefinitions.
    #[arg(long)]
    no_crds: bool,
    /// Install the CustomResourceDefinitions of this folder instead of the project's.
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_crds")]
    crds: Option<PathBuf>,
    /// Write every request to an audit log, one line of JSON for each.
    #[arg(long)]
    audit_log: bool,
    /// Only build the programs if they are missing, and print the folder they are in.
    #[arg(long)]
    prepare: bool,
    /// A command to run with KUBECONFIG and PATH set. The control plane ends when the command ends.
    #[arg(last = true)]
    command: Vec<OsString>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) if error.is::<MissingTool>() => {
            say(&format!("{error}"));
            ExitCode::from(MISSING_TOOL)
        }
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode> {
    if arguments.prepare {
        let programs = Programs::locate()?;
        say(&programs.kube_apiserver.with_file_name("").display().to_string());
        return Ok(ExitCode::SUCCESS);
    }
    let mut stop = Stop::listen()?;
    let crds = if arguments.no_crds { None } else { Some(arguments.crds.unwrap_or_else(crds_folder)) };
    let options = Options { crds, audit_log: arguments.audit_log, ..Options::default() };
    let started = Instant::now();
    let mut plane = tokio::select! {
        plane = ControlPlane::start(options) => plane?,
        _ = stop.asked() => return Ok(ExitCode::from(130)),
    };
    if arguments.command.is_empty() {
        explain(&plane, started.elapsed());
        wait(&mut plane, &mut stop).await?;
        say("stopped");
        Ok(ExitCode::SUCCESS)
    } else {
        run_command(&plane, &arguments.command, &mut stop).await
    }
}

fn explain(plane: &ControlPlane, took: Duration) {
    let kubeconfig = plane.kubeconfig().display();
    let kubectl = plane.programs().kubectl.display();
    say(&format!("The control plane started in {:.1} s. In another terminal, run:\n", took.as_secs_f64()));
    say(&format!("  export KUBECONFIG={kubeconfig}\n  alias kubectl={kubectl}\n  kubectl get namespaces\n"));
    if let Some(log) = plane.audit_log() {
        say(&format!("All requests are logged to {}.\n", log.display()));
    }
    say("Press Ctrl-C to stop it. This also removes its data.");
}

/// Returns when somebody asks to stop, and fails when a program of the control plane dies.
async fn wait(plane: &mut ControlPlane, stop: &mut Stop) -> Result<()> {
    loop {
        tokio::select! {
            _ = stop.asked() => return Ok(()),
            () = tokio::time::sleep(Duration::from_secs(1)) => plane.require_running()?,
        }
    }
}

async fn run_command(plane: &ControlPlane, command: &[OsString], stop: &mut Stop) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command")?;
    let programs = plane.programs().kubectl.parent().context("kubectl is in no folder")?.to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path)))?;
    let mut child = e2e::controlplane::command(program)
        .args(arguments)
        .env("PATH", path)
        .env("KUBECONFIG", plane.kubeconfig())
        // What the tests look for: never the user's own KUBECONFIG.
        .env("TOOLSET_TEST_KUBECONFIG", plane.kubeconfig())
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let pid = Pid::from_child(&child);
    let ended = tokio::task::spawn_blocking(move || child.wait());
    tokio::pin!(ended);
    loop {
        tokio::select! {
            status = &mut ended => {
                let status = status??;
                // As a shell reports it: the code, or 128 and the signal.
                let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            signal = stop.asked() => {
                // The terminal sends Ctrl-C to the command as well; any other signal came to us alone.
                if signal != Signal::INT {
                    rustix::process::kill_process(pid, signal)?;
                }
            }
        }
    }
}

fn say(text: &str) {
    // Nobody reads a closed standard output.
    _ = writeln!(io::stdout(), "{text}");
}

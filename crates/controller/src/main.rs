//! `toolset-controller`.

use std::{io::Write, process::ExitCode};

use clap::Parser;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whether or not there is a log yet.
            drop(writeln!(std::io::stderr(), "toolset-controller: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<()> {
    // Before anything else: with two providers in the tree rustls could not choose.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("TLS is set up already"))?;
    let args = controller::Args::parse();
    controller::install_log(&args)?;
    // One thread: the work is milliseconds, and a second malloc arena would cost more memory than all views together.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(controller::run(args));
    runtime.shutdown_background();
    ended
}

//! `toolset-controller`.

use std::{io::Write, process::ExitCode};

use clap::Parser;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, because there may be no log yet. Some parsers draw the place of an error on further lines.
            let text = error.chain().map(first_line).fold(String::new(), joined);
            drop(writeln!(std::io::stderr(), "toolset-controller: {text}"));
            ExitCode::FAILURE
        }
    }
}

fn first_line(error: &(dyn std::error::Error + 'static)) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Many errors end in the message of the error below them.
fn joined(text: String, part: String) -> String {
    match text.as_str() {
        "" => part,
        known if known.ends_with(&part) => text,
        _ => text + ": " + &part,
    }
}

fn start() -> anyhow::Result<()> {
    // Before anything else, because with two providers in the tree rustls could not choose.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("TLS is set up already"))?;
    let args = controller::Args::parse();
    controller::install_log(&args)?;
    // One thread, because the work takes milliseconds and a second malloc arena would cost more memory than all Services.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(controller::run(args));
    runtime.shutdown_background();
    ended
}

//! `toolset-controller`.

use std::{io::Write, process::ExitCode};

use clap::Parser;

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line, because there may be no log yet. Some parsers show the position of an error on more lines.
            let text = error.chain().map(first_line).fold(String::new(), joined);
            drop(writeln!(std::io::stderr(), "toolset-controller: {text}"));
            ExitCode::FAILURE
        }
    }
}

fn first_line(error: &(dyn std::error::Error + 'static)) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Joins two messages, unless the first ends with the second, as many errors do.
fn joined(text: String, part: String) -> String {
    match text.as_str() {
        "" => part,
        known if known.ends_with(&part) => text,
        _ => text + ": " + &part,
    }
}

fn start() -> anyhow::Result<()> {
    // This comes first, because rustls cannot choose between the two providers in the dependency tree.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("TLS is set up already"))?;
    let args = controller::Args::parse();
    controller::install_log(&args)?;
    // One thread, because the work takes milliseconds and a second malloc arena would need more memory than all
    // Services.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(controller::run(args));
    runtime.shutdown_background();
    ended
}

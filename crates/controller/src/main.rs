//! `toolset-controller`.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use toolset::visible::escaped;

fn main() -> ExitCode {
    let args = match controller::Args::try_parse() {
        Ok(args) => args,
        // Help and the version.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            say(&one_line(&error.to_string()));
            return ExitCode::from(2);
        }
    };
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.chain().map(first_line).fold(String::new(), joined));
            ExitCode::FAILURE
        }
    }
}

/// Writes one line to standard error, because there may be no log yet.
fn say(text: &str) {
    drop(writeln!(std::io::stderr(), "toolset-controller: {}", escaped(text)));
}

/// The first paragraph of an error of the command line. The others show the usage.
fn one_line(text: &str) -> String {
    let lines = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
    let line = lines.collect::<Vec<_>>().join(" ");
    line.strip_prefix("error: ").unwrap_or(&line).to_owned()
}

/// The first line of an error. Some parsers show the position on more lines.
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

fn start(args: controller::Args) -> anyhow::Result<()> {
    // This comes first, because rustls cannot choose between the two providers in the dependency tree.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("TLS is already set up"))?;
    controller::install_log(&args)?;
    // One thread, because the work takes milliseconds and a second malloc arena would need more memory than all
    // Services.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = match args.probe.clone() {
        Some(address) => runtime.block_on(controller::probe(&address)),
        None => runtime.block_on(controller::run(args)),
    };
    runtime.shutdown_background();
    ended
}

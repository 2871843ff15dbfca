//! The program `datastorage`.

use std::{io::Write as _, process::ExitCode};

use datastorage::{
    args::{Args, Command},
    logging, run,
};

fn main() -> ExitCode {
    let args = Args::read(std::env::args_os()).unwrap_or_else(|error| error.exit());
    // `verify` says with 1 that records were changed.
    let failure = if matches!(args.command, Some(Command::Verify(_))) { ExitCode::from(2) } else { ExitCode::FAILURE };
    match start(args) {
        Ok(code) => code,
        Err(error) => {
            // One line, whatever the errors of libraries contain.
            let line = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
            drop(writeln!(std::io::stderr(), "datastorage: {line}"));
            failure
        }
    }
}

fn start(args: Args) -> anyhow::Result<ExitCode> {
    // This comes first, so that every part of the program uses the same provider.
    rustls::crypto::ring::default_provider().install_default().map_err(|_| anyhow::anyhow!("TLS is already set up"))?;
    logging::install(&args.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(run::run(args));
    runtime.shutdown_background();
    ended
}

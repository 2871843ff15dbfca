//! Runs the subcommand.

use std::{io::Write as _, process::ExitCode};

use anyhow::Result;

use crate::{
    api,
    args::{Args, Command},
    commands, serve,
};

/// Runs the subcommand.
pub async fn run(args: Args) -> Result<ExitCode> {
    match &args.command {
        None => serve::serve(&args.database, &args.serve).await,
        Some(Command::Serve(flags)) => serve::serve(&args.database, flags).await,
        Some(Command::Migrate(flags)) => commands::migrate(&args.database, flags).await,
        Some(Command::Openapi) => openapi(),
        Some(Command::Verify(flags)) => return commands::verify(&args.database, flags).await,
        Some(Command::Check(flags)) => commands::check(&args.database, flags).await,
        Some(Command::DropMonth(flags)) => commands::drop_month(&args.database, flags).await,
        Some(Command::Embed(flags)) => commands::embed(&args.database, flags).await,
    }
    .map(|()| ExitCode::SUCCESS)
}

/// Prints the document as it is committed.
fn openapi() -> Result<()> {
    let text = serde_json::to_string_pretty(&api::openapi_document())?;
    writeln!(std::io::stdout(), "{text}")?;
    Ok(())
}

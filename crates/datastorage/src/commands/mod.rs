//! The subcommands besides `serve`.

mod check;
mod checkpoint;
mod drop_month;
mod embed;
mod migrate;
mod verify;

use std::io::{self, Write as _};

pub use self::{
    check::check, checkpoint::print_checkpoints, drop_month::drop_month, embed::embed, migrate::migrate, verify::verify,
};

/// Writes a line to standard output, where the results of subcommands go. The log goes to standard error.
fn print(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

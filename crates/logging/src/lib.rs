//! Log lines of the programs: JSON by default, with names and values as fields, or text for people.
//!
//! It knows neither the operator nor Data Storage: what differs between them is in [`Log`].

mod levels;
mod text;

use std::io;

use anyhow::Context as _;
use clap::ValueEnum;
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub use self::levels::levels;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object per line.
    Json,
    /// Text for people.
    Text,
}

/// What a program logs, and how.
#[derive(Clone, Copy, Debug)]
pub struct Log<'a> {
    /// The levels that the user wants, as [`levels`] takes them.
    pub level: &'a str,
    /// The format of the lines.
    pub format: Format,
    /// The levels of libraries, such as `hyper=warn`, separated by commas. The user's levels win.
    pub quiet: &'a str,
    /// Whether a line of JSON has the fields of the span around it.
    pub spans: bool,
    /// The characters that a line of text must not contain. They are written out.
    pub is_invisible: fn(char) -> bool,
}

impl Log<'_> {
    /// Installs the log. Fails on levels that do not parse, or if a log is installed already.
    pub fn install(self) -> anyhow::Result<()> {
        let directives = format!("{},{}", self.quiet, self.level);
        // EnvFilter would add 1 MB to the binary, because its filters by field need a regular expression engine.
        let filter: Targets = directives.parse().with_context(|| format!("--log-level {}", self.level))?;
        let layer = match self.format {
            Format::Json => {
                let layer = tracing_subscriber::fmt::layer().with_target(false).json();
                let layer = layer.flatten_event(true).with_current_span(self.spans).with_span_list(false);
                layer.with_writer(io::stderr).boxed()
            }
            Format::Text => text::layer(io::stderr, self.is_invisible).boxed(),
        };
        let installed = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
        installed.map_err(|error| anyhow::anyhow!("cannot install the log: {error}"))
    }
}

//! Log lines. They are JSON by default, and the namespace and name of an object are fields.

use anyhow::Context;
use tracing_subscriber::{Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::args::{Args, LogFormat};

/// The log levels of libraries. They are low, because the operator logs every watch error itself, with its input.
const QUIET: &str = "kube_runtime=error,kube_client=off,hyper_util=warn,tower=warn,rustls=warn";

/// Installs the log subscriber. Fails on directives that do not parse, or if one is installed already.
pub fn install(args: &Args) -> anyhow::Result<()> {
    let directives = format!("{QUIET},{}", args.log_level);
    // EnvFilter would add 1 MB to the binary, because its filters by field need a regular expression engine.
    let filter: Targets = directives.parse().with_context(|| format!("--log-level {}", args.log_level))?;
    let layer = fmt::layer().with_target(false).with_writer(std::io::stderr);
    let layer = match args.log_format {
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => layer.boxed(),
    };
    let installed = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    installed.map_err(|error| anyhow::anyhow!("cannot install the log: {error}"))
}

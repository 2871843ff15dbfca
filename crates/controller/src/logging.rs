//! Log lines: JSON by default, with the object's namespace and name as fields of their own.

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt};

use crate::args::{Args, LogFormat};

/// What the libraries below say again in other words: every watch error is logged here once, with its input.
const QUIET: &str = "kube_runtime=error,kube_client=off,hyper_util=warn,tower=warn,rustls=warn";

/// Installs the log subscriber. Fails on directives that do not parse, or if one is installed already.
pub fn install(args: &Args) -> anyhow::Result<()> {
    let directives = format!("{QUIET},{}", args.log_level);
    let filter = EnvFilter::builder().parse(&directives).with_context(|| format!("--log-level {}", args.log_level))?;
    let builder = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let installed = match args.log_format {
        LogFormat::Json => builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_target(false)
            .try_init(),
        LogFormat::Text => builder.with_target(false).try_init(),
    };
    installed.map_err(|error| anyhow::anyhow!("cannot install the log: {error}"))
}

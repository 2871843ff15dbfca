//! The log of the operator. The namespace and name of an object are fields.

use logging::Log;
use toolset::visible::is_invisible;

use crate::args::Args;

/// The log levels of libraries. They are low, because the operator logs every watch error itself, with its input.
const QUIET: &str = "kube_runtime=error,kube_client=off,hyper_util=warn,tower=warn,rustls=warn";

/// Installs the log. Fails on levels that do not parse, or if a log is installed already.
pub fn install(args: &Args) -> anyhow::Result<()> {
    Log { level: &args.log_level, format: args.log_format, quiet: QUIET, spans: false, is_invisible }.install()
}

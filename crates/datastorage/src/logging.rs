//! The log of the service. It never contains a record or a token.

use crate::args::Log;

/// The levels of libraries, which know neither the request nor what it means.
const QUIET: &str = "kube_client=off,hyper_util=warn,hyper=warn,tower=warn,rustls=warn,tokio_postgres=warn";

/// Installs the log. Fails on levels that do not parse, or if a log is installed already.
pub fn install(log: &Log) -> anyhow::Result<()> {
    let (level, format) = (&log.log_level, log.log_format);
    let is_invisible = |c: char| c.is_control() || audit::is_invisible(c);
    logging::Log { level, format, quiet: QUIET, spans: true, is_invisible }.install()
}

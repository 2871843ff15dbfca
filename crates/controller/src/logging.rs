//! Log lines. They are JSON by default, and the namespace and name of an object are fields.

use std::io::{self, Write};

use anyhow::Context;
use toolset::visible::escaped;
use tracing_subscriber::{Layer as _, filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::args::{Args, LogFormat};

/// The log levels of libraries. They are low, because the operator logs every watch error itself, with its input.
const QUIET: &str = "kube_runtime=error,kube_client=off,hyper_util=warn,tower=warn,rustls=warn";

/// Installs the log subscriber. Fails on directives that do not parse, or if one is installed already.
pub fn install(args: &Args) -> anyhow::Result<()> {
    let directives = format!("{QUIET},{}", args.log_level);
    // EnvFilter would add 1 MB to the binary, because its filters by field need a regular expression engine.
    let filter: Targets = directives.parse().with_context(|| format!("--log-level {}", args.log_level))?;
    let layer = fmt::layer().with_target(false);
    let layer = match args.log_format {
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false).with_span_list(false);
            layer.with_writer(io::stderr).boxed()
        }
        LogFormat::Text => layer.with_writer(|| Escaping(io::stderr())).boxed(),
    };
    let installed = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    installed.map_err(|error| anyhow::anyhow!("cannot install the log: {error}"))
}

/// Writes lines for people. Each write is one line, and every character that controls a terminal is escaped, because
/// names and messages can come from anybody.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        self.0.write_all(format!("{}\n", escaped(text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_text_format_escapes_characters_that_control_a_terminal() {
        let written = Written::default();
        let to = written.clone();
        let layer = fmt::layer().with_target(false).with_writer(move || Escaping(to.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::warn!(name = "a\u{1b}[31m", error = %"b\u{202e}\nc", "message\u{9b}2J\r");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end_matches('\n').contains(toolset::visible::is_invisible), "{text:?}");
        assert!(text.contains("message") && text.contains("202e"), "{text}");
    }
}

//! Log lines. They are JSON by default, with names and values as fields. They never contain a record or a token.

use std::{
    fmt,
    io::{self, Write},
};

use anyhow::Context as _;
use tracing::field::{Field, Visit};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    filter::Targets,
    fmt::{FormatFields, format::Writer},
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::args::{Log, LogFormat};

/// The levels of libraries, which know neither the request nor what it means.
const QUIET: &str = "kube_client=off,hyper_util=warn,hyper=warn,tower=warn,rustls=warn,tokio_postgres=warn";

/// Installs the log. Fails on levels that do not parse, or if a log is installed already.
pub fn install(log: &Log) -> anyhow::Result<()> {
    let directives = format!("{QUIET},{}", log.log_level);
    let filter: Targets = directives.parse().with_context(|| format!("--log-level {}", log.log_level))?;
    let layer = match log.log_format {
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().with_target(false).json();
            let layer = layer.flatten_event(true).with_current_span(true).with_span_list(false);
            layer.with_writer(io::stderr).boxed()
        }
        LogFormat::Text => text(io::stderr).boxed(),
    };
    let installed = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    installed.map_err(|error| anyhow::anyhow!("cannot install the log: {error}"))
}

/// Lines for people: the time, the level, the message, and the fields as `name=value`, without colours.
fn text<S, W>(to: impl Fn() -> W + Send + Sync + 'static) -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    W: Write + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_target(false).with_ansi(false).fmt_fields(Plain);
    layer.with_writer(move || Escaping(to()))
}

/// Writes fields as `name=value`. The library would write values as Rust does, with quotes and `Some`.
struct Plain;

impl<'writer> FormatFields<'writer> for Plain {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = PlainFields { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct PlainFields<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl PlainFields<'_> {
    fn write(&mut self, field: &Field, value: &str) -> fmt::Result {
        let space = if std::mem::take(&mut self.is_first) { "" } else { " " };
        if field.name() == "message" {
            write!(self.writer, "{space}{value}")
        } else if value.is_empty() || value.contains([' ', '"']) {
            write!(self.writer, "{space}{}={value:?}", field.name())
        } else {
            write!(self.writer, "{space}{}={value}", field.name())
        }
    }
}

impl Visit for PlainFields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Escapes characters that control a terminal: names and messages can come from anybody. Each write is one line.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut escaped = String::with_capacity(text.len() + 1);
        for c in text.strip_suffix('\n').unwrap_or(&text).chars() {
            let controls = c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if controls { escaped.extend(c.escape_unicode()) } else { escaped.push(c) }
        }
        escaped.push('\n');
        self.0.write_all(escaped.as_bytes())?;
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
    fn a_line_for_people_has_plain_fields_and_nothing_that_controls_a_terminal() {
        let written = Written::default();
        let to = written.clone();
        let subscriber = tracing_subscriber::registry().with(text(move || to.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(identity = Some("a"), absent = None::<u8>, status = 503, cause = %"no \"x\"\u{1b}[31m\n", "answered");
        });
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let (_, line) = text.split_once("WARN ").unwrap();
        assert_eq!(line, "answered identity=a status=503 cause=\"no \\\"x\\\"\\u{1b}[31m\\n\"\n");
    }
}

//! The text format.

use std::{
    fmt,
    io::{self, Write},
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    Layer,
    field::RecordFields,
    fmt::{FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Lines for people: the time, the level, the message, and the fields as `name=value`. They have no colours, whether
/// standard error is a terminal or not, so a file and a pipe get the same lines.
pub(super) fn layer<S, W>(
    to: impl Fn() -> W + Send + Sync + 'static,
    is_invisible: fn(char) -> bool,
) -> impl Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    W: Write + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_target(false)
        .with_ansi(false)
        .fmt_fields(PlainFields)
        .with_writer(move || Escaping { to: to(), is_invisible })
}

/// Writes fields as `name=value`. The format of the library would put every text into quotes, as in Rust.
struct PlainFields;

impl<'writer> FormatFields<'writer> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = PlainField { writer, is_first: true, result: Ok(()) };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct PlainField<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl PlainField<'_> {
    fn write(&mut self, field: &Field, value: &str) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if field.name() == "message" {
            return self.writer.write_str(value);
        }
        self.writer.write_str(field.name())?;
        self.writer.write_char('=')?;
        // Only a value that would not end at the next space needs quotes.
        if value.is_empty() || value.contains([' ', '"']) {
            write!(self.writer, "\"{}\"", value.replace('"', "\\\""))
        } else {
            self.writer.write_str(value)
        }
    }
}

impl Visit for PlainField<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Writes lines for people. Each write is one line, and every character that controls a terminal is written out, for
/// example as `\u{202e}`, because names and messages can come from anybody.
struct Escaping<W> {
    to: W,
    is_invisible: fn(char) -> bool,
}

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut escaped = String::with_capacity(text.len() + 1);
        for c in text.strip_suffix('\n').unwrap_or(&text).chars() {
            if (self.is_invisible)(c) { escaped.extend(c.escape_default()) } else { escaped.push(c) }
        }
        escaped.push('\n');
        self.to.write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    fn is_invisible(c: char) -> bool {
        c.is_control() || c == '\u{202e}'
    }

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

    /// What the text format writes while `log` runs.
    fn written(log: impl FnOnce()) -> String {
        let written = Written::default();
        let to = written.clone();
        let subscriber = tracing_subscriber::registry().with(layer(move || to.clone(), is_invisible));
        tracing::subscriber::with_default(subscriber, log);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_text_format_escapes_characters_that_control_a_terminal() {
        let text = written(|| {
            tracing::warn!(name = "a\u{1b}[31m", error = %"b\u{202e}\nc", "message\u{9b}2J\r");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(!text.trim_end_matches('\n').contains(is_invisible), "{text:?}");
        assert!(text.contains("message") && text.contains("202e"), "{text}");
    }

    #[test]
    fn the_text_format_has_no_colours_and_no_syntax_of_rust() {
        let text = written(|| {
            let (found, absent) = (Some(7), None::<u64>);
            tracing::info!(
                namespace = "holmes", config_map = %"tools", tools = 9, bytes = found, absent, leader = true,
                error = %"the path \"/x\" is gone", reason = "", "ConfigMap applied"
            );
        });
        let (_, line) = text.split_once("INFO ").unwrap();
        assert_eq!(
            line,
            "ConfigMap applied namespace=holmes config_map=tools tools=9 bytes=7 leader=true \
             error=\"the path \\\"/x\\\" is gone\" reason=\"\"\n"
        );
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}

//! Colours for the terminal.

use std::{
    env,
    io::{self, IsTerminal},
};

use crate::{
    args::ColorWhen,
    text::{IntoText, Text},
};

/// The maximum width of a line of prose, also without a terminal.
const PROSE: usize = 110;
/// The minimum width of a line of prose. On a narrower terminal, the terminal breaks the lines.
const MIN_PROSE: usize = 40;

/// Adds colours to text if colours are enabled. It also knows the width of the terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    enabled: bool,
    /// The width of the terminal. `None` if standard output is not a terminal and `COLUMNS` does not state it.
    pub columns: Option<usize>,
}

/// The width of the lines: `COLUMNS`, or else the width of the terminal.
fn columns() -> Option<usize> {
    let wanted = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|&columns| columns > 0);
    let terminal =
        || terminal_size::terminal_size_of(io::stdout()).map(|(terminal_size::Width(columns), _)| columns.into());
    wanted.or_else(terminal)
}

impl Paint {
    /// Creates the colours for standard output. `auto` follows <https://no-color.org>, so a non-empty `NO_COLOR`
    /// disables colours.
    pub(crate) fn new(when: ColorWhen) -> Self {
        let automatic = || {
            io::stdout().is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && env::var_os("TERM").is_none_or(|term| term != "dumb")
        };
        Self { enabled: when == ColorWhen::Always || when == ColorWhen::Auto && automatic(), columns: columns() }
    }

    /// No colours, and lines of this width.
    #[cfg(test)]
    pub(crate) fn plain(columns: Option<usize>) -> Self {
        Self { enabled: false, columns }
    }

    /// The maximum width of a line of prose. Longer lines are hard to read.
    pub(crate) fn width(self) -> usize {
        self.columns.unwrap_or(PROSE).clamp(MIN_PROSE, PROSE)
    }

    fn code(self, code: u8, text: impl IntoText) -> Text {
        let text = text.into_text();
        if self.enabled && !text.is_empty() { text.coloured(code) } else { text }
    }

    pub(crate) fn bold(self, text: impl IntoText) -> Text {
        self.code(1, text)
    }

    pub(crate) fn dim(self, text: impl IntoText) -> Text {
        self.code(2, text)
    }

    pub(crate) fn good(self, text: impl IntoText) -> Text {
        self.code(32, text)
    }

    pub(crate) fn warn(self, text: impl IntoText) -> Text {
        self.code(33, text)
    }

    pub(crate) fn bad(self, text: impl IntoText) -> Text {
        self.code(31, text)
    }

    pub(crate) fn link(self, text: impl IntoText) -> Text {
        self.code(36, text)
    }
}

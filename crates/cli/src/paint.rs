//! Colours, where they are wanted.

use std::{
    env,
    io::{self, IsTerminal},
};

use crate::args::ColorWhen;

/// Paints text, or leaves it alone; knows how wide the terminal is.
#[derive(Clone, Copy, Debug)]
pub struct Paint {
    on: bool,
    /// The columns of the terminal; `None` where standard output is none.
    pub columns: Option<usize>,
}

impl Paint {
    /// For standard output. `auto` follows <https://no-color.org>: any non-empty `NO_COLOR` switches colours off.
    pub fn new(when: ColorWhen) -> Self {
        let wanted = || {
            io::stdout().is_terminal()
                && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && env::var_os("TERM").is_none_or(|term| term != "dumb")
        };
        Self {
            on: when == ColorWhen::Always || when == ColorWhen::Auto && wanted(),
            columns: terminal_size::terminal_size_of(io::stdout())
                .map(|(terminal_size::Width(columns), _)| columns.into()),
        }
    }

    fn code(self, code: &str, text: &str) -> String {
        if self.on && !text.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    pub fn bold(self, text: &str) -> String {
        self.code("1", text)
    }

    pub fn dim(self, text: &str) -> String {
        self.code("2", text)
    }

    pub fn good(self, text: &str) -> String {
        self.code("32", text)
    }

    pub fn warn(self, text: &str) -> String {
        self.code("33", text)
    }

    pub fn bad(self, text: &str) -> String {
        self.code("31", text)
    }

    pub fn link(self, text: &str) -> String {
        self.code("36", text)
    }
}

//! Prints tables.

use std::iter::repeat_n;

use toolset::Health;

use crate::{paint::Paint, text::wrap_to};

/// The number of spaces between two columns.
const GAP: usize = 2;
/// The minimum width of a last column that is broken into lines.
const MIN_LAST_WIDTH: usize = 30;

/// Adds a colour to a cell.
pub(crate) type Brush = fn(Paint, &str) -> String;

/// A table with a header row. Lines have no trailing spaces.
pub(crate) struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<(String, Brush)>>,
}

/// Adds no colour.
pub(crate) fn plain(_: Paint, text: &str) -> String {
    text.to_owned()
}

/// The colour of a health state.
pub(crate) fn health_colour(health: Health) -> Brush {
    match health {
        Health::Healthy => Paint::good,
        Health::Unhealthy => Paint::bad,
        Health::Unknown => Paint::dim,
    }
}

impl Table {
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        Self { headers: headers.to_vec(), rows: Vec::new() }
    }

    /// Adds a row. An empty cell is shown as `-`.
    pub(crate) fn row(&mut self, cells: Vec<(String, Brush)>) {
        self.rows.push(cells);
    }

    /// The lines of the table, each with `indent` in front. If the last cell of a row is wider than the terminal, the
    /// row takes several lines.
    pub(crate) fn lines(&self, paint: Paint, indent: &str) -> Vec<String> {
        let mut widths: Vec<usize> = self.headers.iter().map(|header| header.chars().count()).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(shown(text).chars().count());
            }
        }
        let offset = indent.len() + widths.iter().rev().skip(1).map(|width| width + GAP).sum::<usize>();
        // Only the last column is broken into lines, and only if it has enough space.
        let max =
            paint.columns.filter(|columns| columns.saturating_sub(offset) >= MIN_LAST_WIDTH).unwrap_or(usize::MAX);
        let line = |cells: Vec<(&str, Brush)>| {
            let last = cells.len().saturating_sub(1);
            let mut line = indent.to_owned();
            for (column, (text, brush)) in cells.iter().take(last).enumerate() {
                line.push_str(&brush(paint, text));
                let blanks = widths.get(column).copied().unwrap_or_default().saturating_sub(text.chars().count()) + GAP;
                line.extend(repeat_n(' ', blanks));
            }
            let Some((text, brush)) = cells.last() else {
                return line;
            };
            let lines = wrap_to(max.saturating_sub(offset), "", text);
            let broken = format!("\n{}", " ".repeat(offset));
            line + &lines.iter().map(|line| brush(paint, line)).collect::<Vec<_>>().join(&broken)
        };
        let header = line(self.headers.iter().map(|header| (*header, Paint::dim as Brush)).collect());
        let rows = self.rows.iter().map(|row| line(row.iter().map(|(text, brush)| (shown(text), *brush)).collect()));
        std::iter::once(header).chain(rows).collect()
    }
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

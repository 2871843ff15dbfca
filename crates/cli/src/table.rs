//! Prints tables.

use toolset::Health;

use crate::{
    paint::Paint,
    text::{IntoText, Text, text, wrap_to},
};

/// The number of spaces between two columns.
const GAP: usize = 2;
/// The minimum width of a last column that is broken into lines.
const MIN_LAST_WIDTH: usize = 30;

/// Adds a colour to a cell.
pub(crate) type Brush = fn(Paint, Text) -> Text;

/// A table with a header row. Lines have no trailing spaces.
pub(crate) struct Table {
    headers: Vec<Text>,
    rows: Vec<Vec<(Text, Brush)>>,
}

/// A cell with its colour. An empty cell is shown as `-`.
pub(crate) fn cell(text: impl IntoText, brush: Brush) -> (Text, Brush) {
    let text = text.into_text();
    (if text.is_empty() { Text::from("-") } else { text }, brush)
}

/// Adds no colour.
pub(crate) fn plain(_: Paint, text: Text) -> Text {
    text
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
        Self { headers: headers.iter().map(Text::from).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<(Text, Brush)>) {
        self.rows.push(cells);
    }

    /// The lines of the table, each with `indent` in front. If the last cell of a row is wider than the terminal, the
    /// row takes several lines.
    pub(crate) fn lines(&self, paint: Paint, indent: &str) -> Vec<Text> {
        let mut widths: Vec<usize> = self.headers.iter().map(Text::width).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.width());
            }
        }
        let offset = indent.len() + widths.iter().rev().skip(1).map(|width| width + GAP).sum::<usize>();
        // Only the last column is broken into lines, and only if it has enough space.
        let max =
            paint.columns.filter(|columns| columns.saturating_sub(offset) >= MIN_LAST_WIDTH).unwrap_or(usize::MAX);
        let lines = |cells: Vec<(&Text, Brush)>| {
            let last = cells.len().saturating_sub(1);
            let mut start = Text::from(indent);
            for (column, (text, brush)) in cells.iter().take(last).enumerate() {
                start += brush(paint, (*text).clone());
                let blanks = widths.get(column).copied().unwrap_or_default().saturating_sub(text.width()) + GAP;
                start += Text::from(" ".repeat(blanks));
            }
            let Some((text, brush)) = cells.last() else {
                return vec![start];
            };
            let mut lines = Vec::new();
            for part in wrap_to(max.saturating_sub(offset), "", (*text).clone()) {
                lines.push(text!(start, brush(paint, part)));
                start = Text::from(" ".repeat(offset));
            }
            lines
        };
        let header = lines(self.headers.iter().map(|header| (header, Paint::dim as Brush)).collect());
        let rows = self.rows.iter().flat_map(|row| lines(row.iter().map(|(text, brush)| (text, *brush)).collect()));
        header.into_iter().chain(rows).collect()
    }
}

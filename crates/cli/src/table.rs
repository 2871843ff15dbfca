//! Columns that line up.

use std::iter::repeat_n;

use crate::{paint::Paint, text::wrap_to};

/// Blanks between two columns.
const GAP: usize = 2;
/// The least room in which the last column is broken into lines.
const LEAST: usize = 30;

/// How a cell is painted.
pub type Brush = fn(Paint, &str) -> String;

/// A table: upper-case headers, two blanks between columns, no trailing blanks.
pub struct Table {
    headers: Vec<&'static str>,
    rows: Vec<Vec<(String, Brush)>>,
}

/// Leaves a cell as it is.
pub fn plain(_: Paint, text: &str) -> String {
    text.to_owned()
}

impl Table {
    pub fn new(headers: &[&'static str]) -> Self {
        Self { headers: headers.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; an empty cell shows as `-`.
    pub fn row(&mut self, cells: Vec<(String, Brush)>) {
        self.rows.push(cells);
    }

    /// The rows, each with `indent` in front; one whose last cell does not fit the terminal takes several lines.
    pub fn lines(&self, paint: Paint, indent: &str) -> Vec<String> {
        let mut widths: Vec<usize> = self.headers.iter().map(|header| header.chars().count()).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(shown(text).chars().count());
            }
        }
        let offset = indent.len() + widths.iter().rev().skip(1).map(|width| width + GAP).sum::<usize>();
        // Only the last column is broken, and only where enough of the screen is left for it.
        let most = paint.columns.filter(|columns| columns.saturating_sub(offset) >= LEAST).unwrap_or(usize::MAX);
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
            let lines = wrap_to(most.saturating_sub(offset), "", text);
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

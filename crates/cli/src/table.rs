//! Columns that line up.

use crate::paint::Paint;

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

    /// The lines, each with `indent` in front.
    pub fn lines(&self, paint: Paint, indent: &str) -> Vec<String> {
        let mut widths: Vec<usize> = self.headers.iter().map(|header| header.chars().count()).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(shown(text).chars().count());
            }
        }
        let line = |cells: Vec<(&str, Brush)>| {
            let last = cells.len().saturating_sub(1);
            let mut line = indent.to_owned();
            for (column, (text, brush)) in cells.into_iter().enumerate() {
                line.push_str(&brush(paint, text));
                if column < last {
                    let blanks =
                        widths.get(column).copied().unwrap_or_default().saturating_sub(text.chars().count()) + 2;
                    line.extend(std::iter::repeat_n(' ', blanks));
                }
            }
            line
        };
        let header = line(self.headers.iter().map(|header| (*header, Paint::dim as Brush)).collect());
        let rows = self.rows.iter().map(|row| line(row.iter().map(|(text, brush)| (shown(text), *brush)).collect()));
        std::iter::once(header).chain(rows).collect()
    }
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

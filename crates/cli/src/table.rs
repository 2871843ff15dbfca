//! Prints tables.

use toolset::Health;

use crate::{
    paint::Paint,
    text::{IntoText, Text, text, wrap},
};

/// The number of spaces between two columns.
const GAP: usize = 2;
/// The minimum width of a last column that is broken into lines.
const MIN_LAST_WIDTH: usize = 30;
/// How far the cells below a row are indented.
const BELOW: usize = 4;

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

/// The colour of a health state by its name.
pub(crate) fn health_colour_of(health: &str) -> Brush {
    [Health::Healthy, Health::Unhealthy]
        .into_iter()
        .find(|one| one.as_str() == health)
        .map_or(Paint::dim, health_colour)
}

impl Table {
    pub(crate) fn new(headers: &[&'static str]) -> Self {
        Self { headers: headers.iter().map(Text::from).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<(Text, Brush)>) {
        self.rows.push(cells);
    }

    /// The lines of the table, each with `indent` in front.
    ///
    /// If the last cell of a row is wider than the terminal, it takes several lines. If the other cells alone are too
    /// wide, the cells that do not fit stand below the row.
    pub(crate) fn lines(&self, paint: Paint, indent: &str) -> Vec<Text> {
        let mut widths: Vec<usize> = self.headers.iter().map(Text::width).collect();
        for row in &self.rows {
            for (width, (text, _)) in widths.iter_mut().zip(row) {
                *width = (*width).max(text.width());
            }
        }
        let layout = Layout { indent, widths: &widths, paint };
        let header = self.headers.iter().map(|header| (header.clone(), Paint::dim as Brush)).collect();
        std::iter::once(&header).chain(&self.rows).flat_map(|row| layout.row(row)).collect()
    }
}

/// How the cells of all rows are placed.
struct Layout<'a> {
    indent: &'a str,
    /// The widths of the columns.
    widths: &'a [usize],
    paint: Paint,
}

impl Layout<'_> {
    /// The column after the first `count` columns.
    fn offset(&self, count: usize) -> usize {
        self.indent.len() + self.widths.iter().take(count).map(|width| width + GAP).sum::<usize>()
    }

    fn row(&self, cells: &[(Text, Brush)]) -> Vec<Text> {
        let last = self.widths.len().saturating_sub(1);
        let last_width = self.widths.last().copied().unwrap_or_default().min(MIN_LAST_WIDTH);
        match self.paint.columns {
            Some(columns) if self.offset(last) + last_width > columns => self.stacked(cells, columns),
            columns => self.flat(cells, columns),
        }
    }

    /// The cells in one line. The last cell is broken between words.
    fn flat(&self, cells: &[(Text, Brush)], columns: Option<usize>) -> Vec<Text> {
        let Some((last, others)) = cells.split_last() else { return Vec::new() };
        let offset = self.offset(others.len());
        let width = columns.map_or(usize::MAX, |columns| columns.saturating_sub(offset));
        let mut start = self.start(others);
        let mut lines = Vec::new();
        for part in wrap(width, "", last.0.clone()) {
            lines.push(text!(start, last.1(self.paint, part)));
            start = Text::from(" ".repeat(offset));
        }
        lines
    }

    /// Cells with the blanks after them.
    fn start(&self, cells: &[(Text, Brush)]) -> Text {
        let mut line = Text::from(self.indent);
        for ((text, brush), width) in cells.iter().zip(self.widths) {
            line += brush(self.paint, text.clone());
            line += Text::from(" ".repeat(width.saturating_sub(text.width()) + GAP));
        }
        line
    }

    /// The cells that fit in one line, and the others below it.
    fn stacked(&self, cells: &[(Text, Brush)], columns: usize) -> Vec<Text> {
        let fitting = (1..cells.len()).rev().find(|&count| self.offset(count) <= columns + GAP).unwrap_or(1);
        let (first, others) = cells.split_at(fitting.min(cells.len()));
        let mut lines = vec![self.start(first).trim_end()];
        let below = format!("{}{}", self.indent, " ".repeat(BELOW));
        let mut line = Text::default();
        for (text, brush) in others {
            let cell = brush(self.paint, text.clone());
            if line.is_empty() {
                line = cell;
            } else if below.len() + line.width() + GAP + text.width() <= columns {
                line = text!(line, " ".repeat(GAP), cell);
            } else {
                lines.extend(wrap(columns, &below, std::mem::replace(&mut line, cell)));
            }
        }
        if !line.is_empty() {
            lines.extend(wrap(columns, &below, line));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://prometheus.monitoring.svc.cluster.local:9090";

    fn lines(columns: Option<usize>) -> Vec<String> {
        let mut table = Table::new(&["TYPE", "SERVICE", "ENDPOINT", "HEALTH"]);
        table.row(vec![
            cell("Prometheus", plain),
            cell("monitoring/prometheus", plain),
            cell(URL, plain),
            cell("", plain),
        ]);
        let paint = Paint::plain(columns);
        table.lines(paint, "  ").iter().map(|line| line.as_str().to_owned()).collect()
    }

    #[test]
    fn a_table_that_fits_has_one_line_a_row() {
        for columns in [None, Some(100)] {
            let lines = lines(columns);
            assert_eq!(lines.len(), 2);
            assert_eq!(lines[1], format!("  Prometheus  monitoring/prometheus  {URL}  -"));
        }
    }

    #[test]
    fn cells_that_do_not_fit_stand_below_the_row_and_stay_whole() {
        assert_eq!(
            lines(Some(60)),
            [
                "  TYPE        SERVICE".to_owned(),
                "      ENDPOINT  HEALTH".to_owned(),
                "  Prometheus  monitoring/prometheus".to_owned(),
                format!("      {URL}  -"),
            ]
        );
        assert_eq!(
            lines(Some(30))[3..],
            [
                "  Prometheus".to_owned(),
                "      monitoring/prometheus".to_owned(),
                format!("      {URL}"),
                "      -".to_owned()
            ]
        );
    }

    #[test]
    fn a_long_last_cell_is_broken_between_words() {
        let mut table = Table::new(&["REASON", "MESSAGE"]);
        table.row(vec![cell("OptedOut", plain), cell(["word"; 20].join(" "), plain)]);
        let paint = Paint::plain(Some(60));
        let lines = table.lines(paint, "");
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.width() <= 60));
    }
}

//! The output of the demo.

use std::{
    env,
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

const INDENT: &str = "   ";
/// Where explanations are broken, even if the terminal is wider.
const READABLE: usize = 100;

/// Standard output: numbered steps, commands, results.
#[derive(Debug)]
pub(super) struct Screen {
    out: io::Stdout,
    colour: bool,
    /// Columns of the terminal; `None` where there is none, and then nothing is cut.
    columns: Option<usize>,
    step: usize,
}

/// How a piece of text looks on a terminal.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ink {
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    Name,
}

impl Screen {
    /// Colours on a terminal only, and not where `NO_COLOR` is set (<https://no-color.org>) or the terminal knows none.
    pub(super) fn new() -> Self {
        let out = io::stdout();
        let terminal = out.is_terminal();
        let unset = |name| env::var_os(name).is_none_or(|value| value.is_empty());
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let columns = || rustix::termios::tcgetwinsize(&out).ok().map(|size| usize::from(size.ws_col));
        let columns = if terminal { columns().filter(|columns| *columns >= 40) } else { None };
        Self { out, colour: terminal && unset("NO_COLOR") && !dumb, columns, step: 0 }
    }

    /// Whether there are colours, for programs whose output is shown.
    pub(super) fn colour(&self) -> bool {
        self.colour
    }

    /// Text in an ink.
    pub(super) fn paint(&self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Good => "32",
            Ink::Warn => "33",
            Ink::Bad => "31",
            Ink::Name => "36",
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// The next step's heading.
    pub(super) fn step(&mut self, text: &str) {
        self.step += 1;
        self.print(&format!(
            "\n{} {}",
            self.paint(Ink::Name, &format!("{:>2}", self.step)),
            self.paint(Ink::Bold, text)
        ));
    }

    /// A heading without a number.
    pub(super) fn heading(&self, text: &str) {
        self.print(&format!("\n{}", self.paint(Ink::Bold, text)));
    }

    /// What happens, and why.
    pub(super) fn say(&self, text: &str) {
        for line in wrapped(text, self.readable() - INDENT.len()) {
            self.print(&format!("{INDENT}{line}"));
        }
    }

    /// Something less important, below a result.
    pub(super) fn aside(&self, text: &str) {
        for line in wrapped(text, self.readable() - INDENT.len() - 2) {
            self.print(&format!("{INDENT}  {}", self.paint(Ink::Dim, &line)));
        }
    }

    /// The command that does the same by hand.
    pub(super) fn command(&self, text: &str) {
        self.print(&format!("{INDENT}{} {}", self.paint(Ink::Dim, "$"), self.paint(Ink::Name, text)));
    }

    /// What came of it.
    pub(super) fn done(&self, text: &str) {
        self.print(&format!("{INDENT}{} {text}", self.paint(Ink::Good, "✓")));
    }

    /// Text as it is, its long lines cut at the terminal's edge.
    pub(super) fn block(&self, text: &str, ink: Ink) {
        for line in text.trim_end().lines() {
            self.print(&format!("{INDENT}  {}", self.paint(ink, &self.cut(line, INDENT.len() + 2))));
        }
    }

    /// Text that brings its own colours.
    pub(super) fn painted(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.print(format!("{INDENT}  {line}").trim_end());
        }
    }

    /// Rows whose columns line up, under headers unless there are none; the last column is cut at the terminal's edge.
    pub(super) fn table(&self, headers: &[&str], rows: &[Vec<(Ink, String)>]) {
        let headers: Vec<_> = headers.iter().map(|header| (Ink::Dim, (*header).to_owned())).collect();
        let lines: Vec<_> = [&headers].into_iter().filter(|headers| !headers.is_empty()).chain(rows).collect();
        let mut widths = vec![0; lines.iter().map(|cells| cells.len()).max().unwrap_or(0)];
        for cells in &lines {
            for (width, (_, cell)) in widths.iter_mut().zip(*cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in lines {
            let mut line = format!("{INDENT}  ");
            let mut before = INDENT.len() + 2;
            for (number, (width, (ink, cell))) in widths.iter().zip(row).enumerate() {
                let last = number + 1 == row.len();
                let cell = if last { self.cut(cell, before) } else { cell.clone() };
                line += &self.paint(*ink, &cell);
                if !last {
                    line += &" ".repeat(width - cell.chars().count() + 2);
                    before += width + 2;
                }
            }
            self.print(line.trim_end());
        }
    }

    /// An empty line.
    pub(super) fn gap(&self) {
        self.print("");
    }

    fn print(&self, line: &str) {
        // Standard output may be closed, but the demo still has to clean up.
        _ = writeln!(self.out.lock(), "{line}");
    }

    fn readable(&self) -> usize {
        self.columns.map_or(READABLE, |columns| columns.min(READABLE))
    }

    fn cut(&self, text: &str, before: usize) -> String {
        let Some(columns) = self.columns else { return text.to_owned() };
        let room = columns.saturating_sub(before);
        if text.chars().count() <= room {
            return text.to_owned();
        }
        text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
    }
}

/// `7.3 ms`, `1.2 s`.
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 1.0 { format!("{:.1} ms", seconds * 1000.0) } else { format!("{seconds:.1} s") }
}

/// `1 Service`, `2 Services`.
pub(super) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let full = lines.last().is_some_and(|line| line.chars().count() + 1 + word.chars().count() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_cut_at_the_edge_of_a_terminal_and_nowhere_else() {
        let narrow = Screen { out: io::stdout(), colour: false, columns: Some(10), step: 0 };
        assert_eq!(narrow.cut("0123456789", 0), "0123456789");
        assert_eq!(narrow.cut("0123456789", 5), "0123…");
        let piped = Screen { out: io::stdout(), colour: false, columns: None, step: 0 };
        assert_eq!(piped.cut("0123456789", 5), "0123456789");
    }

    #[test]
    fn without_colours_text_is_bare() {
        let screen = Screen { out: io::stdout(), colour: false, columns: None, step: 0 };
        assert_eq!(screen.paint(Ink::Good, "fine"), "fine");
        let screen = Screen { out: io::stdout(), colour: true, columns: None, step: 0 };
        assert_eq!(screen.paint(Ink::Good, "fine"), "\u{1b}[32mfine\u{1b}[0m");
    }

    #[test]
    fn explanations_break_between_words() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
    }

    #[test]
    fn times_are_shown_in_the_unit_that_people_think_in() {
        assert_eq!(time(Duration::from_micros(7_340)), "7.3 ms");
        assert_eq!(time(Duration::from_millis(3_940)), "3.9 s");
    }
}

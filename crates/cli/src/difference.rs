//! The lines of two versions of a file.

use std::time::Duration;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// The number of equal lines around a change.
const CONTEXT: usize = 3;

/// Larger files are not compared line by line. What the operator writes is far smaller, but a ConfigMap can have half a
/// million lines, and the comparison calls itself more often the more lines differ.
const MAX_LINES: usize = 20_000;

/// After this time, the rest of a file is compared less exactly.
const TIMEOUT: Duration = Duration::from_millis(500);

/// One key of a ConfigMap before and after.
#[derive(Debug, Serialize)]
pub(crate) struct FileDifference {
    pub key: String,
    pub kind: Kind,
    /// The lines to show. With equal content, all of them.
    pub lines: Vec<Line>,
    pub added: usize,
    pub removed: usize,
}

/// What happens to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    Same,
    Changed,
    New,
    Removed,
}

/// A line of a difference.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Line {
    Same {
        before: usize,
        after: usize,
        text: String,
    },
    Added {
        after: usize,
        text: String,
    },
    Removed {
        before: usize,
        text: String,
    },
    /// The line before this one is the last of its version and does not end with a line break.
    NoLineBreak,
    /// Equal lines that are left out.
    Gap(usize),
    /// The versions have so many lines that they are not compared line by line.
    TooLarge {
        before: usize,
        after: usize,
    },
}

impl FileDifference {
    /// Compares two versions. `None` is a file that does not exist.
    pub(crate) fn new(key: &str, before: Option<&str>, after: Option<&str>) -> Self {
        let kind = match (before, after) {
            (None, _) => Kind::New,
            (_, None) => Kind::Removed,
            (Some(before), Some(after)) if before == after => Kind::Same,
            _ => Kind::Changed,
        };
        let lines = match kind {
            Kind::Same => numbered(after.unwrap_or_default()),
            _ => lines(before.unwrap_or_default(), after.unwrap_or_default()),
        };
        let added = lines.iter().filter(|line| matches!(line, Line::Added { .. })).count();
        let removed = lines.iter().filter(|line| matches!(line, Line::Removed { .. })).count();
        Self { key: key.to_owned(), kind, lines, added, removed }
    }

    /// Whether the lines were compared.
    #[cfg(feature = "ui")]
    pub(crate) fn is_compared(&self) -> bool {
        !matches!(self.lines.as_slice(), [Line::TooLarge { .. }])
    }
}

/// All lines of a file that does not change.
fn numbered(text: &str) -> Vec<Line> {
    let line = |(index, text): (usize, &str)| Line::Same { before: index + 1, after: index + 1, text: text.to_owned() };
    text.lines().enumerate().map(line).collect()
}

/// The lines that differ and the lines around them.
fn lines(before: &str, after: &str) -> Vec<Line> {
    let (old, new) = (split(before), split(after));
    if !before.is_empty() && !after.is_empty() && old.len().max(new.len()) > MAX_LINES {
        return vec![Line::TooLarge { before: old.len(), after: new.len() }];
    }
    let difference = TextDiff::configure().timeout(TIMEOUT).diff_slices(&old, &new);
    let mut lines = Vec::new();
    let mut shown = 0;
    let groups = difference.grouped_ops(CONTEXT);
    for group in &groups {
        let start = group.first().map_or(0, |op| op.old_range().start);
        if start > shown {
            lines.push(Line::Gap(start - shown));
        }
        shown = group.last().map_or(shown, |op| op.old_range().end);
        for change in group.iter().flat_map(|op| difference.iter_changes(op)) {
            let line = change.value();
            // Without its line break only, so that a line with another line break looks different.
            let text = line.strip_suffix('\n').unwrap_or(line).to_owned();
            let (before, after) =
                (change.old_index().map_or(0, |at| at + 1), change.new_index().map_or(0, |at| at + 1));
            lines.push(match change.tag() {
                ChangeTag::Equal => Line::Same { before, after, text },
                ChangeTag::Insert => Line::Added { after, text },
                ChangeTag::Delete => Line::Removed { before, text },
            });
            if !line.ends_with('\n') {
                lines.push(Line::NoLineBreak);
            }
        }
    }
    if !groups.is_empty() && old.len() > shown {
        lines.push(Line::Gap(old.len() - shown));
    }
    lines
}

/// The lines of a text with their line breaks.
fn split(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lines_far_from_a_change_are_left_out() {
        let before = (1..=20).map(|number| format!("line {number}")).collect::<Vec<_>>().join("\n") + "\n";
        let after = before.replace("line 10\n", "line ten\n");
        let difference = FileDifference::new("a.yaml", Some(&before), Some(&after));
        assert_eq!((difference.kind, difference.added, difference.removed), (Kind::Changed, 1, 1));
        assert_eq!(difference.lines.first(), Some(&Line::Gap(6)));
        assert_eq!(difference.lines.last(), Some(&Line::Gap(7)));
        assert!(difference.lines.contains(&Line::Removed { before: 10, text: "line 10".to_owned() }));
        assert!(difference.lines.contains(&Line::Added { after: 10, text: "line ten".to_owned() }));
        assert_eq!(difference.lines.len(), 10);
    }

    #[test]
    fn a_file_that_does_not_change_is_shown_as_it_is() {
        let difference = FileDifference::new("a.yaml", Some("a\nb\n"), Some("a\nb\n"));
        assert_eq!((difference.kind, difference.lines.len()), (Kind::Same, 2));
    }

    #[test]
    fn a_new_file_has_only_new_lines() {
        let difference = FileDifference::new("a.yaml", None, Some("a\nb\n"));
        assert_eq!((difference.kind, difference.added, difference.removed), (Kind::New, 2, 0));
        let gone = FileDifference::new("a.yaml", Some("a\n"), None);
        assert_eq!((gone.kind, gone.added, gone.removed), (Kind::Removed, 0, 1));
    }

    #[test]
    fn a_difference_in_the_last_line_break_is_shown() {
        let difference = FileDifference::new("a.yaml", Some("a"), Some("a\n"));
        let line = || "a".to_owned();
        let expected =
            [Line::Removed { before: 1, text: line() }, Line::NoLineBreak, Line::Added { after: 1, text: line() }];
        assert_eq!(difference.lines, expected);
    }

    #[test]
    fn a_difference_between_line_breaks_is_shown() {
        let difference = FileDifference::new("a.yaml", Some("a\r\n"), Some("a\n"));
        assert_eq!(difference.lines.first(), Some(&Line::Removed { before: 1, text: "a\r".to_owned() }));
        assert_eq!(difference.lines.last(), Some(&Line::Added { after: 1, text: "a".to_owned() }));
    }

    #[test]
    fn a_file_with_too_many_lines_is_not_compared_line_by_line() {
        let before = "a\n".repeat(450_000);
        let difference = FileDifference::new("a.yaml", Some(&before), Some("b\n"));
        assert_eq!(difference.lines, [Line::TooLarge { before: 450_000, after: 1 }]);
        assert_eq!((difference.kind, difference.added, difference.removed), (Kind::Changed, 0, 0));
    }

    /// The stack of this thread is as small as that of a task of the page.
    #[test]
    fn the_largest_files_that_are_compared_fit_the_stack() {
        let unlike = |factor: usize| -> String {
            let lines = (0..MAX_LINES).map(|line| (line.wrapping_mul(factor) % 7_919).to_string() + "\n");
            lines.collect()
        };
        let versions = [
            ("a\n".repeat(MAX_LINES), "b\na\n".repeat(MAX_LINES / 2)),
            ("a\n".repeat(MAX_LINES), "b\n".repeat(MAX_LINES)),
            (unlike(31), unlike(7_901)),
        ];
        for (before, after) in versions {
            let compare = move || FileDifference::new("a.yaml", Some(&before), Some(&after));
            let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(compare).unwrap();
            let difference = thread.join().unwrap();
            assert!(difference.added > 0 && difference.removed > 0);
        }
    }
}

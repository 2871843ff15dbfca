//! The lines of two versions of a file.

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

/// The number of equal lines around a change.
const CONTEXT: usize = 3;

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
    /// Equal lines that are left out.
    Gap(usize),
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
}

/// All lines of a file that does not change.
fn numbered(text: &str) -> Vec<Line> {
    let line = |(index, text): (usize, &str)| Line::Same { before: index + 1, after: index + 1, text: text.to_owned() };
    text.lines().enumerate().map(line).collect()
}

fn lines(before: &str, after: &str) -> Vec<Line> {
    let difference = TextDiff::from_lines(before, after);
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
            let text = change.value().trim_end_matches(['\n', '\r']).to_owned();
            let (before, after) =
                (change.old_index().map_or(0, |at| at + 1), change.new_index().map_or(0, |at| at + 1));
            lines.push(match change.tag() {
                ChangeTag::Equal => Line::Same { before, after, text },
                ChangeTag::Insert => Line::Added { after, text },
                ChangeTag::Delete => Line::Removed { before, text },
            });
        }
    }
    let all = before.lines().count();
    if !groups.is_empty() && all > shown {
        lines.push(Line::Gap(all - shown));
    }
    lines
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
}

//! `[REDACTED:<class>]`: what stands in the place of a secret.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memmem;

use super::{Class, Counts};

/// What stands before the class in the place of a secret.
const START: &str = "[REDACTED:";

/// The most bytes of the word of a class.
const LONGEST_CLASS: usize = 23;

/// The marker of a class.
pub(super) fn marker(class: Class) -> String {
    format!("{START}{}]", class.as_str())
}

/// Whether a text is exactly one marker.
pub(super) fn is_marker(text: &str) -> bool {
    marker_end(text) == Some(text.len())
}

/// Where the marker ends with which a text begins.
fn marker_end(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(START)?;
    // No class has a longer name. Without this bound, many beginnings of markers would take quadratic time.
    let close = rest.bytes().take(LONGEST_CLASS + 1).position(|b| b == b']')?;
    Class::ALL.iter().any(|class| class.as_str() == &rest[..close]).then_some(START.len() + close + 1)
}

/// A text without its markers.
pub(super) fn without_markers(text: &str) -> Cow<'_, str> {
    let markers = Markers::of(text).0;
    if markers.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut rest = String::new();
    let mut kept = 0;
    for marker in markers {
        rest.push_str(text.get(kept..marker.start).unwrap_or_default());
        kept = marker.end;
    }
    rest.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(rest)
}

/// How long a text is when every secret that was replaced counts as one character. With it a limit holds for a text
/// that was redacted as it did for the text that came in.
pub(crate) fn length_without_markers(text: &str, length: fn(&str) -> usize) -> usize {
    let markers = Markers::of(text).0;
    markers.iter().fold(length(text), |total, marker| total - (marker.len() - 1))
}

/// Where the markers of a text are, in its order.
struct Markers(Vec<Range<usize>>);

impl Markers {
    fn of(text: &str) -> Self {
        let starts = memmem::find_iter(text.as_bytes(), START);
        Self(starts.filter_map(|at| marker_end(&text[at..]).map(|length| at..at + length)).collect())
    }

    /// A range that cuts no marker in two; none if the range lies within a marker: that secret is gone already.
    fn around(&self, range: Range<usize>) -> Option<Range<usize>> {
        let first = self.0.get(self.0.partition_point(|marker| marker.end <= range.start));
        let last = self.0.get(self.0.partition_point(|marker| marker.end < range.end));
        let start = first.map_or(range.start, |marker| marker.start.min(range.start));
        let end = last.filter(|marker| marker.start < range.end).map_or(range.end, |marker| marker.end);
        let inside = first.is_some_and(|marker| marker.start == start && marker.end == end);
        (!inside).then_some(start..end)
    }
}

/// A text whose secrets are replaced from its beginning to its end.
pub(super) struct Edit<'a> {
    text: &'a str,
    redacted: String,
    kept: usize,
    /// Looked for when the first secret is found: most texts have none.
    markers: Option<Markers>,
}

impl<'a> Edit<'a> {
    /// Nothing is replaced yet.
    pub(super) fn of(text: &'a str) -> Self {
        Self { text, redacted: String::new(), kept: 0, markers: None }
    }

    /// Replaces a secret and says where the rest of the text begins; none if the secret is gone already.
    pub(super) fn hide(&mut self, secret: Range<usize>, class: Class, counts: &mut Counts) -> Option<usize> {
        let secret = self.markers.get_or_insert_with(|| Markers::of(self.text)).around(secret)?;
        self.redacted.push_str(self.text.get(self.kept..secret.start).unwrap_or_default());
        self.redacted.extend([START, class.as_str(), "]"]);
        self.kept = secret.end;
        counts.add(class, 1);
        Some(secret.end)
    }

    /// The whole text; none if nothing was replaced.
    pub(super) fn end(mut self) -> Option<String> {
        if self.kept == 0 {
            return None;
        }
        self.redacted.push_str(&self.text[self.kept..]);
        Some(self.redacted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_counts_as_one_character() {
        let length = |text: &str| length_without_markers(text, |t| t.chars().count());
        assert_eq!(length("a [REDACTED:jwt] b"), 5);
        assert_eq!(length("[REDACTED:jwt][REDACTED:password]"), 2);
        assert_eq!(length("[REDACTED:nothing] [REDACTED:"), "[REDACTED:nothing] [REDACTED:".len());
    }

    #[test]
    fn the_longest_class_is_known() {
        assert_eq!(Class::ALL.iter().map(|class| class.as_str().len()).max(), Some(LONGEST_CLASS));
    }
}

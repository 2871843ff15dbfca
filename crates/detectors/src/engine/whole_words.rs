//! Whole words of a label's value or of a name. No rule looks for a substring: `lokitown` is not `loki`.

/// The words of a value: its runs of ASCII letters and digits.
pub(crate) fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether `list` has `word`, in any case.
pub(crate) fn contains(list: &[&str], word: &str) -> bool {
    list.iter().any(|one| one.eq_ignore_ascii_case(word))
}

/// Whether `word` is `expected` in any case, with or without a version's digits at its end (`elasticsearch7`).
pub(crate) fn is(word: &str, expected: &str) -> bool {
    without_version(word).eq_ignore_ascii_case(expected)
}

/// Whether the words of one of the sequences occur in `value` in their order. Other words may be between them.
pub(crate) fn has_sequence(value: &str, sequences: &[&[&str]]) -> bool {
    sequences.iter().any(|sequence| {
        let mut words = split(value);
        sequence.iter().all(|expected| words.any(|word| is(word, expected)))
    })
}

/// The word without the digits at its end.
pub(crate) fn without_version(word: &str) -> &str {
    word.trim_end_matches(|c: char| c.is_ascii_digit())
}

/// Whether `word` ends with `end`, in any case.
pub(crate) fn ends_with(word: &str, end: &str) -> bool {
    word.len() >= end.len() && word.as_bytes()[word.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

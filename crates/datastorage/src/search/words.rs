//! The words of a query, separated as the words of records are.

/// The query in the form that `websearch_to_tsquery` reads.
///
/// The words of records are separated by every punctuation mark (function `record_words` of the schema). Here, a mark within a
/// word becomes a comma: the database then looks for the parts side by side, so that `java.lang.OutOfMemoryError`, `1.4.2` and
/// `restart_pod` are phrases. Quotes stay, and a hyphen before a word, which excludes it.
pub(super) fn of(query: &str) -> String {
    let mut words = String::with_capacity(query.len());
    let mut before = None;
    let mut rest = query.chars().peekable();
    while let Some(c) = rest.next() {
        let next = rest.peek().copied();
        let excludes = c == '-' && before.is_none_or(char::is_whitespace) && next.is_some_and(starts);
        let joins = words.ends_with(char::is_alphanumeric) && next.is_some_and(|next| !next.is_whitespace());
        if !c.is_ascii_punctuation() || c == '"' || excludes {
            words.push(c);
        } else if joins {
            words.push(',');
        }
        before = Some(c);
    }
    words
}

/// Whether a character begins a word or a phrase.
fn starts(c: char) -> bool {
    c.is_alphanumeric() || c == '"'
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn marks_within_a_word_join_its_parts_to_a_phrase() {
        assert_eq!(of("java.lang.OutOfMemoryError: heap"), "java,lang,OutOfMemoryError heap");
        assert_eq!(of("payments-api:1.4.2 restart_pod"), "payments,api,1,4,2 restart,pod");
        assert_eq!(of("exitCode=137, code::x"), "exitCode,137 code,x");
    }

    #[test]
    fn marks_outside_of_words_are_dropped() {
        assert_eq!(of("/var/log/ (x) ... --dry-run !y"), "var,log x  dry,run y");
    }

    #[test]
    fn phrases_and_exclusions_stay() {
        assert_eq!(
            of(r#""exit code 137" -prod -"out of memory" or b"#),
            r#""exit code 137" -prod -"out of memory" or b"#
        );
        assert_eq!(of(r#""a-b""#), r#""a,b""#);
    }

    #[test]
    fn letters_of_all_languages_stay() {
        assert_eq!(of("Größe überschritten 超过"), "Größe überschritten 超过");
    }
}

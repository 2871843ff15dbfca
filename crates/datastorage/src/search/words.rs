//! The words of a query, separated as the words of records are.

/// The most words of a query of which some are enough. A pasted log has hundreds, and the database reads a list of records for
/// each.
const MOST: usize = 16;
/// The most words of a query of which each is left out in turn. The statement has their square.
const MOST_TO_LEAVE_OUT: usize = 8;

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

/// Wider forms of the words of [`of`], for a query that no record has all words of: all words but one, then at least one word.
///
/// Empty if the query has a single word, or says by itself how its words belong together: with quotes, `or`, or an exclusion.
pub(super) fn wider(words: &str) -> Vec<String> {
    let mut each: Vec<&str> = Vec::new();
    for word in words.split_whitespace() {
        if word.starts_with('-') || word.contains('"') || word.eq_ignore_ascii_case("or") {
            return Vec::new();
        }
        if !each.contains(&word) && each.len() < MOST {
            each.push(word);
        }
    }
    if each.len() < 2 {
        return Vec::new();
    }
    let mut wider = Vec::new();
    if (3..=MOST_TO_LEAVE_OUT).contains(&each.len()) {
        let without = |left_out: usize| {
            let others = each.iter().enumerate().filter(|(place, _)| *place != left_out).map(|(_, word)| *word);
            others.collect::<Vec<_>>().join(" ")
        };
        wider.push((0..each.len()).map(without).collect::<Vec<_>>().join(" or "));
    }
    wider.push(each.join(" or "));
    wider
}

/// Whether a character begins a word or a phrase.
fn starts(c: char) -> bool {
    c.is_alphanumeric() || c == '"'
}

#[cfg(test)]
mod tests {
    use super::{MOST, of, wider};

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

    #[test]
    fn a_query_of_plain_words_is_widened_to_all_but_one_and_then_to_one() {
        assert_eq!(
            wider("payments api restart"),
            ["api restart or payments restart or payments api", "payments or api or restart"]
        );
        assert_eq!(wider(&of("payments-api OOM")), ["payments,api or OOM"]);
        assert_eq!(wider("quota quota exceeded"), ["quota or exceeded"]);
    }

    #[test]
    fn a_query_that_says_how_its_words_belong_together_is_not_widened() {
        for query in ["quota", "1.4.2", "", "a or b", "a OR b", "heap -java", r#"heap "out of memory""#] {
            assert!(wider(&of(query)).is_empty(), "{query}");
        }
    }

    #[test]
    fn a_long_query_is_widened_to_its_first_words_alone() {
        let words: Vec<String> = (0..100).map(|number| format!("w{number}")).collect();
        assert_eq!(wider(&words.join(" ")), [words[..MOST].join(" or ")]);
    }
}

//! Formats text for the terminal.

/// The maximum width of a line.
const WIDTH: usize = 110;

/// Breaks text between words. The first line starts with `first`, and the other lines start with as many spaces.
pub(crate) fn wrap(first: &str, text: &str) -> Vec<String> {
    wrap_to(WIDTH, first, text)
}

/// As `wrap`, with a maximum width.
pub(crate) fn wrap_to(max: usize, first: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat(width(first));
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && width(&line) + 1 + width(word) > max {
            lines.push(std::mem::replace(&mut line, indent.clone()));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

/// The number of columns that text takes. Colour codes take none.
pub(crate) fn width(text: &str) -> usize {
    text.split('\u{1b}')
        .enumerate()
        .map(|(index, part)| match (index, part.split_once('m')) {
            (1.., Some((_, shown))) => shown.chars().count(),
            _ => part.chars().count(),
        })
        .sum()
}

/// Makes a sentence from a message about the Service. `is headless` becomes `It is headless`.
pub(crate) fn sentence(message: &str) -> String {
    let about_it = ["is ", "serves ", "looks ", "has "].iter().any(|verb| message.starts_with(verb));
    if about_it { format!("It {message}") } else { capitalised(message) }
}

/// Makes the first letter upper case.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_breaks_between_words_and_is_indented() {
        let text = ["word"; 40].join(" ");
        let lines = wrap("  label  ", &text);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines.iter().skip(1).all(|line| line.starts_with("         word")));
        assert_eq!(lines.iter().map(|line| line.matches("word").count()).sum::<usize>(), 40);
    }

    #[test]
    fn colour_codes_have_no_width() {
        assert_eq!(width("\u{1b}[32mgood\u{1b}[0m news"), 9);
        assert_eq!(width("good news"), 9);
        assert_eq!(width(""), 0);
    }

    #[test]
    fn a_word_that_is_too_long_has_its_own_line() {
        let long = "x".repeat(300);
        assert_eq!(wrap("", &format!("a {long} b")), ["a".to_owned(), long, "b".to_owned()]);
    }

    #[test]
    fn a_message_becomes_a_sentence() {
        assert_eq!(sentence("is headless"), "It is headless");
        assert_eq!(sentence("annotation a is missing"), "Annotation a is missing");
    }
}

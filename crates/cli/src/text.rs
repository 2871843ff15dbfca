//! Text that fits a screen.

/// How wide text gets before it is broken.
const WIDTH: usize = 110;

/// Breaks text between words; the first line comes after `first`, the others after as many blanks.
pub fn wrap(first: &str, text: &str) -> Vec<String> {
    wrap_to(WIDTH, first, text)
}

/// As `wrap`, at a width.
pub fn wrap_to(most: usize, first: &str, text: &str) -> Vec<String> {
    let indent = " ".repeat(width(first));
    let mut lines = Vec::new();
    let mut line = first.to_owned();
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && width(&line) + 1 + width(word) > most {
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

/// How many columns text takes; the codes that paint it take none.
pub fn width(text: &str) -> usize {
    text.split('\u{1b}')
        .enumerate()
        .map(|(index, part)| match (index, part.split_once('m')) {
            (1.., Some((_, shown))) => shown.chars().count(),
            _ => part.chars().count(),
        })
        .sum()
}

/// A message as a sentence about the Service: `is headless` becomes `It is headless`.
pub fn sentence(message: &str) -> String {
    let about_it = ["is ", "serves ", "looks ", "has "].iter().any(|verb| message.starts_with(verb));
    if about_it { format!("It {message}") } else { capitalised(message) }
}

/// With an upper-case first letter.
pub fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_breaks_between_words_and_lines_up() {
        let text = ["word"; 40].join(" ");
        let lines = wrap("  label  ", &text);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH));
        assert!(lines.iter().skip(1).all(|line| line.starts_with("         word")));
        assert_eq!(lines.iter().map(|line| line.matches("word").count()).sum::<usize>(), 40);
    }

    #[test]
    fn paint_takes_no_room() {
        assert_eq!(width("\u{1b}[32mgood\u{1b}[0m news"), 9);
        assert_eq!(width("good news"), 9);
        assert_eq!(width(""), 0);
    }

    #[test]
    fn a_word_that_is_too_long_stands_alone_and_whole() {
        let long = "x".repeat(300);
        assert_eq!(wrap("", &format!("a {long} b")), ["a".to_owned(), long, "b".to_owned()]);
    }

    #[test]
    fn a_message_becomes_a_sentence() {
        assert_eq!(sentence("is headless"), "It is headless");
        assert_eq!(sentence("annotation a is missing"), "Annotation a is missing");
    }
}

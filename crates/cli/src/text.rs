//! Text for a terminal.

use std::ops::AddAssign;

use toolset::visible::escaped;

/// Text for people. Every character that controls a terminal is escaped, except our own colours and line breaks.
///
/// Names, annotations and messages can come from anybody, so all output for people is of this type. It has no
/// `Display`, so that escaped text cannot become a part of text that is not escaped yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

impl<S: AsRef<str>> From<S> for Text {
    fn from(text: S) -> Self {
        Self(escaped(text.as_ref()).into_owned())
    }
}

impl AddAssign for Text {
    fn add_assign(&mut self, more: Self) {
        self.0.push_str(&more.0);
    }
}

impl Text {
    /// The text with a colour, as the number of an escape sequence.
    pub(crate) fn coloured(self, code: u8) -> Self {
        Self(format!("\u{1b}[{code}m{}\u{1b}[0m", self.0))
    }

    /// The lines with line breaks between them.
    pub(crate) fn joined(lines: &[Self]) -> Self {
        Self(lines.iter().map(|line| line.0.as_str()).collect::<Vec<_>>().join("\n"))
    }

    /// The texts with an empty line between them.
    pub(crate) fn paragraphs(texts: &[Self]) -> Self {
        Self(texts.iter().map(|text| text.0.as_str()).collect::<Vec<_>>().join("\n\n"))
    }

    /// The text and a line break.
    pub(crate) fn ended(mut self) -> Self {
        self.0.push('\n');
        self
    }

    /// The text without spaces at its end.
    pub(crate) fn trim_end(&self) -> Self {
        Self(self.0.trim_end().to_owned())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What to write to the terminal.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The number of columns that the text takes. Colour codes take none.
    pub(crate) fn width(&self) -> usize {
        width(&self.0)
    }
}

/// Puts parts together. A part is text that is escaped here, or a [`Text`].
macro_rules! text {
    ($($part:expr),+ $(,)?) => {{
        let mut text = $crate::text::Text::default();
        $(text += $crate::text::IntoText::into_text($part);)+
        text
    }};
}
pub(crate) use text;

/// What can be a part of a text.
pub(crate) trait IntoText {
    fn into_text(self) -> Text;
}

impl IntoText for Text {
    fn into_text(self) -> Text {
        self
    }
}

impl<S: AsRef<str>> IntoText for S {
    fn into_text(self) -> Text {
        Text::from(self)
    }
}

/// Breaks text between words, so that no line is wider than `max`, unless a word is. The first line starts with `first`,
/// and the other lines start with as many spaces.
pub(crate) fn wrap(max: usize, first: impl IntoText, text: impl IntoText) -> Vec<Text> {
    let (first, text) = (first.into_text().0, text.into_text().0);
    let indent = " ".repeat(width(&first));
    let mut lines = Vec::new();
    let mut line = first;
    let mut empty = true;
    for word in text.split(' ') {
        if !empty && width(&line) + 1 + width(word) > max {
            lines.push(Text(std::mem::replace(&mut line, indent.clone())));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(Text(line));
    lines
}

/// The text as one word of a shell. All text in a command to copy goes through it, because names can come from anybody.
pub(crate) fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    // zsh replaces a word that starts with `=`.
    if !text.is_empty() && !text.starts_with('=') && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A Service as an argument of `explain`. A name that starts like a flag is never read as one.
#[cfg(feature = "ui")]
pub(crate) fn service_argument(name: &str) -> String {
    if name.starts_with('-') { kubectl_service(name) } else { quoted(name) }
}

/// A Service as the arguments of kubectl. A name that starts like a flag is never read as one.
pub(crate) fn kubectl_service(name: &str) -> String {
    if name.starts_with('-') { quoted(&format!("service/{name}")) } else { format!("service {}", quoted(name)) }
}

fn width(text: &str) -> usize {
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

/// A number with a noun, for example `2 lines`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// Makes the first letter upper case.
pub(crate) fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(lines: &[Text]) -> Vec<&str> {
        lines.iter().map(Text::as_str).collect()
    }

    #[test]
    fn long_text_breaks_between_words_and_is_indented() {
        let text = ["word"; 40].join(" ");
        let lines = wrap(60, "  label  ", text);
        let lines = strings(&lines);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.chars().count() <= 60));
        assert!(lines.iter().skip(1).all(|line| line.starts_with("         word")));
        assert_eq!(lines.iter().map(|line| line.matches("word").count()).sum::<usize>(), 40);
    }

    #[test]
    fn colour_codes_have_no_width() {
        assert_eq!(text!(Text::from("good").coloured(32), " news").width(), 9);
        assert_eq!(Text::from("good news").width(), 9);
        assert_eq!(Text::default().width(), 0);
    }

    #[test]
    fn only_our_own_colours_and_line_breaks_stay() {
        let line = text!("a\u{1b}[31m", Text::from("b\u{202e}\n").coloured(32), String::from("\u{9b}"));
        assert_eq!(line.as_str(), "a\\u{1b}[31m\u{1b}[32mb\\u{202e}\\n\u{1b}[0m\\u{9b}");
        assert_eq!(Text::joined(&[line.clone(), Text::from("c")]).as_str(), format!("{}\nc", line.as_str()));
    }

    #[test]
    fn a_word_that_is_too_long_has_its_own_line() {
        let long = "x".repeat(300);
        assert_eq!(strings(&wrap(60, "", format!("a {long} b"))), ["a", long.as_str(), "b"]);
    }

    #[test]
    fn a_message_becomes_a_sentence() {
        assert_eq!(sentence("is headless"), "It is headless");
        assert_eq!(sentence("annotation a is missing"), "Annotation a is missing");
    }

    #[test]
    fn a_shell_reads_a_quoted_text_as_one_word() {
        for plain in ["grafana", "team/loki", "app=x,tier=y", "https://a.example:1/b"] {
            assert_eq!(quoted(plain), plain);
        }
        for (text, word) in [
            ("", "''"),
            ("my file", "'my file'"),
            ("$(touch x)", "'$(touch x)'"),
            ("app=x;reboot", "'app=x;reboot'"),
            ("it's", r"'it'\''s'"),
            ("=ls", "'=ls'"),
            ("~root", "'~root'"),
            ("a\nb", "'a\nb'"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }

    #[test]
    fn the_name_of_a_service_is_not_read_as_a_flag() {
        assert_eq!(kubectl_service("grafana"), "service grafana");
        assert_eq!(kubectl_service("--kubeconfig=x"), "service/--kubeconfig=x");
        assert_eq!(kubectl_service("-$x"), "'service/-$x'");
    }
}

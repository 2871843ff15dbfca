//! How templates write text. Names, annotations and messages can come from anybody.

use std::fmt;

use askama::filters::{Escaper, Html};
use toolset::visible::escaped;

/// Writes control characters and invisible characters out, and then escapes HTML. All templates use it.
#[derive(Clone, Copy)]
pub(crate) struct Visible;

impl Escaper for Visible {
    fn write_escaped_str<W: fmt::Write>(&self, dest: W, string: &str) -> fmt::Result {
        Html.write_escaped_str(dest, &escaped(string))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_and_invisible_characters_are_escaped() {
        let mut shown = String::new();
        Visible.write_escaped_str(&mut shown, "<b>\"a\u{202e}\u{1b}[31m' &").unwrap();
        assert_eq!(shown, "&#60;b&#62;&#34;a\\u{202e}\\u{1b}[31m&#39; &#38;");
    }
}

//! Which characters a field takes.

use crate::{FieldError, Reason};

/// The characters of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charset {
    /// A label as DNS takes it, or nothing.
    Label,
    /// Letters, digits and `._:/@-`, all ASCII.
    Word,
    /// What can be printed: no controls, no marks that turn or hide text, neither `<` nor `>`.
    Printable,
    /// Everything. U+0000 is refused earlier.
    Free,
}

impl Charset {
    /// What is wrong with a text.
    pub(crate) fn check(self, field: &str, text: &str) -> Result<(), FieldError> {
        let (fits, expected) = match self {
            Self::Label => (is_label(text), "lower case letters, digits and '-', with a letter or digit at both ends"),
            Self::Word => (text.chars().all(is_word), "letters, digits and ._:/@-"),
            Self::Printable => (text.chars().all(is_printable), "printable characters except <, > and invisible marks"),
            Self::Free => (true, ""),
        };
        if fits {
            return Ok(());
        }
        Err(FieldError::new(
            field,
            reason(text),
            format!("contains characters that are not allowed; expected {expected}"),
        ))
    }
}

/// Of two kinds of refused characters the reason says what they look like. Nothing depends on it: what is accepted is
/// never part of a statement or of a page.
fn reason(text: &str) -> Reason {
    if text.contains(['<', '>']) || text.to_ascii_lowercase().contains("javascript:") {
        Reason::XssDetected
    } else if text.contains(['\'', ';']) {
        Reason::SqlInjectionDetected
    } else {
        Reason::Invalid
    }
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().all(|b| inner(b) || b == b'-')
        && text.bytes().next().is_none_or(inner)
        && text.bytes().last().is_none_or(inner)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._:/@-".contains(c)
}

fn is_printable(c: char) -> bool {
    !c.is_control() && !matches!(c, '<' | '>') && !is_invisible(c)
}

/// Whether a character is one with which a text can hide another one: a mark of direction, a separator of lines, or a
/// character without width.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{61c}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

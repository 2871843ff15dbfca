//! Text for people. Control characters control a terminal, and some other characters reorder or hide text.

use std::{borrow::Cow, fmt::Write as _};

/// Whether a character changes how other characters are shown, or is not shown at all: control characters, bidirectional
/// controls, zero-width characters, line separators, and the invisible ones that Unicode calls default ignorable. The
/// exception is the selectors of an emoji's form, which only change the character in front of them.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}')
}

/// The text with every such character written out, for example as `\u{202e}`. A newline becomes `\n`, so text from
/// somebody else cannot start a line of its own.
pub fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_invisible(c) {
            // Writing to a String does not fail.
            _ = write!(shown, "{}", c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn characters_that_control_a_terminal_are_written_out() {
        assert_eq!(escaped("a\u{1b}[31mb\u{9b}2J"), "a\\u{1b}[31mb\\u{9b}2J");
        assert_eq!(escaped("a\u{202e}b\u{2066}c\u{61c}"), "a\\u{202e}b\\u{2066}c\\u{61c}");
        assert_eq!(escaped("a\nb\tc\r\u{7f}\u{2028}"), "a\\nb\\tc\\r\\u{7f}\\u{2028}");
        assert_eq!(escaped("\u{e0041}\u{200b}\u{feff}"), "\\u{e0041}\\u{200b}\\u{feff}");
    }

    #[test]
    fn what_people_write_stays() {
        for text in ["größe – ok", "日本語", "مرحبا", "a\\b", "⚠\u{fe0f} →", ""] {
            assert!(matches!(escaped(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_invisible_is_left_of_any_text(text in any::<String>()) {
            let shown = escaped(&text);
            prop_assert!(!shown.contains(is_invisible), "{:?}", shown);
        }
    }
}

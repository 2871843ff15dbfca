//! Whether what an expression found is a secret.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Words that stand where a secret would stand and are none: `password: incorrect`.
const WORDS: &[&str] = &[
    "and",
    "changed",
    "disabled",
    "empty",
    "enabled",
    "error",
    "expired",
    "expected",
    "failed",
    "false",
    "flag",
    "found",
    "incorrect",
    "invalid",
    "is",
    "mismatch",
    "missing",
    "must",
    "nil",
    "no",
    "none",
    "not",
    "null",
    "option",
    "optional",
    "or",
    "redacted",
    "rejected",
    "required",
    "rotated",
    "to",
    "true",
    "undefined",
    "unknown",
    "unset",
    "was",
    "wrong",
    "yes",
];

/// The expression alone decides.
pub(super) fn anything(_: &str) -> bool {
    true
}

/// Neither a word about secrets nor a placeholder of a template nor already hidden.
pub(super) fn not_a_word_about_secrets(found: &str) -> bool {
    let word = found.trim_end_matches(['.', ',', ')', ']', '}', '!', '?', ':']);
    let template = ["${", "$(", "{{", "<", "%("].iter().any(|start| word.starts_with(start));
    let hidden = word.chars().all(|c| c == '*' || c == '.' || c == '•') || word.chars().all(|c| c == 'x' || c == 'X');
    !template && !hidden && !WORDS.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// What could have been made by a machine: long enough and with a digit, or very long. `unexpected token: identifier`
/// is none.
pub(super) fn likely_token(found: &str) -> bool {
    let digit = found.bytes().any(|b| b.is_ascii_digit());
    not_a_word_about_secrets(found) && ((found.len() >= 8 && digit) || found.len() >= 32)
}

/// The Base64 of `user:password`. `basic authentication` is none.
pub(super) fn basic(found: &str) -> bool {
    let bare = found.trim_end_matches('=');
    let decoded = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare));
    decoded.is_ok_and(|bytes| bytes.contains(&b':') && bytes.iter().all(|b| !b.is_ascii_control()))
}

//! Whether what an expression found is a secret.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Words that stand where a secret would stand and are none: `password: incorrect`, `token:read`.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "and", "change", "changed", "disabled", "empty", "enabled", "error", "expected", "expired", "expires", "expiry",
    "failed", "false", "flag", "found", "incorrect", "invalid", "is", "latest", "mismatch", "missing", "must",
    "nil", "no", "none", "not", "null", "option", "optional", "or", "policy", "read", "redacted", "refresh",
    "rejected", "renewed", "required", "reset", "revoked", "rotate", "rotated", "rotation", "to", "true",
    "undefined", "unknown", "unset", "update", "updated", "was", "write", "wrong", "yes",
];

/// The expression alone decides.
pub(super) fn anything(_: &str) -> bool {
    true
}

/// Neither a word about secrets nor a placeholder of a template nor already hidden.
///
/// A long value takes time only where it is a secret: what stands behind a name that is none is looked at again.
pub(super) fn not_a_word_about_secrets(found: &str) -> bool {
    if ["${", "$(", "{{", "<", "%("].iter().any(|start| found.starts_with(start)) {
        return false;
    }
    let word = found.trim_end_matches(['.', ',', ')', ']', '}', '!', '?', ':']);
    let hidden = word.chars().all(|c| c == '*' || c == '.' || c == '•') || word.chars().all(|c| c == 'x' || c == 'X');
    !hidden && !is_version(word) && !WORDS.iter().any(|w| w.eq_ignore_ascii_case(word))
}

/// `v1.2.3`, as the tag of an image whose name ends in `password`.
fn is_version(word: &str) -> bool {
    let numbers =
        |text: &str| text.split('.').all(|n| (1..=4).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit()));
    word.len() <= 12 && word.contains('.') && word.strip_prefix('v').is_some_and(numbers)
}

/// What could have been made by a machine: long enough and with a digit, or very long. `unexpected token: identifier`
/// is none.
pub(super) fn likely_token(found: &str) -> bool {
    let machine = found.len() >= 32 || (found.len() >= 8 && found.bytes().any(|b| b.is_ascii_digit()));
    machine && not_a_word_about_secrets(found)
}

/// The Base64 of `user:password`. `basic authentication` is none.
pub(super) fn basic(found: &str) -> bool {
    let bare = found.trim_end_matches('=');
    let decoded = STANDARD_NO_PAD.decode(bare).or_else(|_| URL_SAFE_NO_PAD.decode(bare));
    decoded.is_ok_and(|bytes| bytes.contains(&b':') && bytes.iter().all(|b| !b.is_ascii_control()))
}

//! Which type and value the agent's reader gives to a scalar.
//!
//! These are the rules of `PyYAML` 6.0 (`yaml/resolver.py` and `SafeConstructor` in `yaml/constructor.py`). They are
//! older than YAML 1.2: `yes` is true, `010` is 8, `1:30` is 90, `1e3` and `0o17` are text, because a float needs a dot
//! and a signed exponent.

use super::tree::{Node, Tag};

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    Binary,
    Text,
    /// `<<`, which merges mappings.
    Merge,
    /// `=`, which `PyYAML` takes for text only in a key.
    Value,
}

/// The type of a plain scalar without a tag.
pub(super) fn type_of(text: &str) -> Type {
    let Some(first) = text.bytes().next() else { return Type::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' if is_bool(text) => Type::Bool,
        b'n' | b'N' if matches!(text, "null" | "Null" | "NULL") => Type::Null,
        b'~' if text == "~" => Type::Null,
        b'<' if text == "<<" => Type::Merge,
        b'=' if text == "=" => Type::Value,
        b'0'..=b'9' | b'+' | b'-' | b'.' if is_float(text) => Type::Float,
        b'0'..=b'9' | b'+' | b'-' if is_int(text) => Type::Int,
        b'0'..=b'9' if is_timestamp(text) => Type::Timestamp,
        _ => Type::Text,
    }
}

/// The value of a scalar of a type. `Err` says why the agent's reader refuses it, or why it cannot be carried over.
pub(super) fn value_of(type_: Type, text: &str) -> Result<Node, &'static str> {
    match type_ {
        Type::Null => Ok(Node::Null),
        Type::Bool => bool_of(text).map(Node::Bool),
        Type::Int => int_of(text),
        Type::Float => float_of(text).map(Node::Float),
        Type::Timestamp if is_date(text) => Ok(tagged(Tag::Timestamp, text)),
        Type::Timestamp => Err("there is no such date or time"),
        Type::Binary if is_base64(text) => Ok(tagged(Tag::Binary, text)),
        Type::Binary => Err("it is not base64"),
        Type::Text => Ok(Node::from(text.to_owned())),
        Type::Merge => Err("it is reserved for merging mappings"),
        Type::Value => Err("it is reserved"),
    }
}

fn tagged(tag: Tag, text: &str) -> Node {
    Node::Tagged(tag, Box::new(Node::from(text.to_owned())))
}

fn is_bool(text: &str) -> bool {
    let spelled = |word: &str| {
        text == word || text == word.to_ascii_uppercase() || {
            let (first, rest) = word.split_at(1);
            text.strip_prefix(&first.to_ascii_uppercase()) == Some(rest)
        }
    };
    text.len() <= 5 && ["yes", "no", "true", "false", "on", "off"].into_iter().any(spelled)
}

fn bool_of(text: &str) -> Result<bool, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => Err("it is neither true nor false"),
    }
}

/// What is left after the characters that `wanted` takes.
fn after(text: &str, wanted: impl Fn(u8) -> bool) -> &str {
    let end = text.bytes().position(|byte| !wanted(byte)).unwrap_or(text.len());
    // All wanted characters are ASCII, so the end is between characters.
    text.get(end..).unwrap_or_default()
}

const fn is_digit_or_gap(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

fn starts_with_digit(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit())
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

/// What is left after `(:[0-5]?[0-9])+`. `None` if there is no such part.
fn after_sixties(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(part) = rest.strip_prefix(':') {
        let next = after(part, |byte| byte.is_ascii_digit());
        let digits = &part[..part.len() - next.len()];
        let fine = digits.len() == 1 || digits.len() == 2 && digits.starts_with(|c: char| matches!(c, '0'..='5'));
        if !fine {
            return None;
        }
        rest = next;
    }
    (rest.len() < text.len()).then_some(rest)
}

/// ```text
/// [-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?
/// \.[0-9][0-9_]*(?:[eE][-+][0-9]+)?
/// [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*
/// [-+]?\.(?:inf|Inf|INF)
/// \.(?:nan|NaN|NAN)
/// ```
fn is_float(text: &str) -> bool {
    let is_exponent = |rest: &str| {
        rest.is_empty()
            || rest.strip_prefix(['e', 'E']).and_then(|rest| rest.strip_prefix(['-', '+'])).is_some_and(is_number)
    };
    if let Some(fraction) = text.strip_prefix('.').filter(|fraction| starts_with_digit(fraction)) {
        return is_exponent(after(fraction, is_digit_or_gap));
    }
    let bare = unsigned(text);
    if matches!(bare, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    if !starts_with_digit(bare) {
        return false;
    }
    let rest = after(bare, is_digit_or_gap);
    let (rest, sixties) = after_sixties(rest).map_or((rest, false), |rest| (rest, true));
    let Some(fraction) = rest.strip_prefix('.') else { return false };
    let rest = after(fraction, is_digit_or_gap);
    if sixties { rest.is_empty() } else { is_exponent(rest) }
}

/// ```text
/// [-+]?0b[0-1_]+
/// [-+]?0[0-7_]+
/// [-+]?(?:0|[1-9][0-9_]*)
/// [-+]?0x[0-9a-fA-F_]+
/// [-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+
/// ```
fn is_int(text: &str) -> bool {
    let bare = unsigned(text);
    let all = |digits: &str, wanted: fn(u8) -> bool| !digits.is_empty() && after(digits, wanted).is_empty();
    if let Some(digits) = bare.strip_prefix('0') {
        return digits.is_empty()
            || digits.strip_prefix('b').is_some_and(|digits| all(digits, |byte| matches!(byte, b'0' | b'1' | b'_')))
            || digits
                .strip_prefix('x')
                .is_some_and(|digits| all(digits, |byte| byte.is_ascii_hexdigit() || byte == b'_'))
            || all(digits, |byte| matches!(byte, b'0'..=b'7' | b'_'));
    }
    if !starts_with_digit(bare) {
        return false;
    }
    let rest = after(bare, is_digit_or_gap);
    rest.is_empty() || after_sixties(rest) == Some("")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The most digits that Python converts.
const MAX_DIGITS: usize = 4300;
const NO_NUMBER: &str = "it is not a number";

fn int_of(text: &str) -> Result<Node, &'static str> {
    let joined = text.replace('_', "");
    let bare = unsigned(&joined);
    let (radix, digits) = match bare {
        "0" => (10, bare),
        _ if bare.starts_with("0b") => (2, &bare[2..]),
        _ if bare.starts_with("0x") => (16, &bare[2..]),
        // Only a tagged one can have the `o`.
        _ if bare.starts_with('0') => (8, bare.strip_prefix("0o").unwrap_or(bare)),
        _ => (10, bare),
    };
    let number = if radix == 10 && digits.contains(':') {
        sixties(digits)?
    } else {
        if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
            return Err(NO_NUMBER);
        }
        if radix == 10 && digits.len() > MAX_DIGITS {
            return Err("it has too many digits");
        }
        i128::from_str_radix(digits, radix).ok()
    };
    Ok(match number {
        Some(number) if joined.starts_with('-') => Node::Int(-number),
        Some(number) => Node::Int(number),
        None => tagged(Tag::Int, text),
    })
}

/// A whole number in base 60. `None` if it is too large.
fn sixties(digits: &str) -> Result<Option<i128>, &'static str> {
    let mut number = Some(0_i128);
    for part in digits.split(':') {
        if !is_number(part) || part.len() > MAX_DIGITS {
            return Err(NO_NUMBER);
        }
        number = number.and_then(|known| known.checked_mul(60)?.checked_add(part.parse().ok()?));
    }
    Ok(number)
}

fn float_of(text: &str) -> Result<f64, &'static str> {
    let joined = text.replace('_', "").to_ascii_lowercase();
    let sign = if joined.starts_with('-') { -1.0 } else { 1.0 };
    let parse = |text: &str| text.parse::<f64>().map_err(|_| NO_NUMBER);
    Ok(sign
        * match unsigned(&joined) {
            ".inf" => f64::INFINITY,
            ".nan" => f64::NAN,
            bare if bare.contains(':') => {
                // With more parts, the powers of 60 are no longer exact.
                const MAX_PARTS: usize = 13;
                let (mut sum, mut power) = (0.0, 1.0);
                for (index, part) in bare.rsplit(':').enumerate() {
                    if index == MAX_PARTS {
                        return Err("it has too many parts");
                    }
                    sum += parse(part)? * power;
                    power *= 60.0;
                }
                sum
            }
            bare => parse(bare)?,
        })
}

/// ```text
/// [0-9]{4}-[0-9]{2}-[0-9]{2}
/// [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?
///     (?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?
/// ```
fn is_timestamp(text: &str) -> bool {
    Timestamp::read(text).is_some_and(|read| read.time.is_some() || text.len() == "2001-12-14".len())
}

/// Whether Python has such a date, and such a time of day and zone.
fn is_date(text: &str) -> bool {
    let Some(Timestamp { date: [year, month, day], time }) = Timestamp::read(text) else { return false };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    let is_time =
        |([hour, minute, second], zone): ([u32; 3], u32)| hour < 24 && minute < 60 && second < 60 && zone < 24 * 60;
    year > 0 && (1..=days).contains(&day) && time.is_none_or(is_time)
}

struct Timestamp {
    /// Year, month and day.
    date: [u32; 3],
    /// Hour, minute and second, and the minutes of the zone.
    time: Option<([u32; 3], u32)>,
}

impl Timestamp {
    fn read(text: &str) -> Option<Self> {
        let is_gap = |byte: u8| matches!(byte, b' ' | b'\t');
        let (year, rest) = digits(text, 4, 4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
        let date = [year, month, day];
        if rest.is_empty() {
            return Some(Self { date, time: None });
        }
        let rest = match rest.strip_prefix(['T', 't']) {
            Some(rest) => rest,
            None => Some(after(rest, is_gap)).filter(|left| left.len() < rest.len())?,
        };
        let (hour, rest) = digits(rest, 1, 2)?;
        let (minute, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
        let (second, rest) = digits(rest.strip_prefix(':')?, 2, 2)?;
        let rest = rest.strip_prefix('.').map_or(rest, |rest| after(rest, |byte| byte.is_ascii_digit()));
        let zone = match after(rest, is_gap) {
            "Z" => 0,
            "" if rest.is_empty() => 0,
            zone => {
                let (hours, rest) = digits(zone.strip_prefix(['-', '+'])?, 1, 2)?;
                let (minutes, rest) = match rest.strip_prefix(':') {
                    Some(rest) => digits(rest, 2, 2)?,
                    None => (0, rest),
                };
                if !rest.is_empty() {
                    return None;
                }
                hours * 60 + minutes
            }
        };
        Some(Self { date, time: Some(([hour, minute, second], zone)) })
    }
}

/// A number of at least `min` and at most `max` digits, and what is left.
fn digits(text: &str, min: usize, max: usize) -> Option<(u32, &str)> {
    let count = text.bytes().take(max).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(count).filter(|_| count >= min)?;
    Some((number.parse().ok()?, rest))
}

/// Whether it is complete base64. Python also reads other text, which it takes parts of.
fn is_base64(text: &str) -> bool {
    let joined: String = text.split([' ', '\n']).collect();
    let bytes = joined.trim_end_matches('=');
    let alphabet = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
    joined.len().is_multiple_of(4) && joined.len() - bytes.len() <= 2 && bytes.chars().all(alphabet)
}

#[cfg(test)]
mod tests;

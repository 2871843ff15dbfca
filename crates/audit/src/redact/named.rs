//! Secrets that are told by the name before them, in a text: `password=...`, `"apiKey": "..."`.
//!
//! One pass over the text finds the names of all classes, and what follows a name is read by hand: one expression a
//! class, each with its value, would take a pass each and another one over every value.

use std::ops::Range;
use std::sync::LazyLock;

use regex_automata::Input;
use regex_automata::meta::Regex;

use super::checks::{anything, likely_token, not_a_word_about_secrets};
use super::marker::Edit;
use super::{Class, Counts};

/// How a value follows its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// The name is the end of a key of JSON: in quotes, in escaped quotes (JSON in a string of JSON) or in single
    /// quotes, as Python prints a dict.
    Json,
    /// `name=`, `name:`, `name => ` or `name := `.
    Assigned,
}

/// A name and what it says about the value after it.
struct Name {
    form: Form,
    class: Class,
    /// As the search reads it.
    expression: &'static str,
    check: fn(&str) -> bool,
}

const fn json(class: Class, expression: &'static str, check: fn(&str) -> bool) -> Name {
    Name { form: Form::Json, class, expression, check }
}

const fn assigned(class: Class, expression: &'static str, check: fn(&str) -> bool) -> Name {
    Name { form: Form::Assigned, class, expression, check }
}

/// The names. Of two that begin at the same place, the first one counts.
const NAMES: &[Name] = &[
    json(Class::AwsSecretKey, "secret[_-]?access[_-]?key", anything),
    assigned(Class::AwsSecretKey, "secret[_-]?access[_-]?key|aws[_-]?secret(?:[_-]?key)?", not_a_word_about_secrets),
    json(Class::PasswordJson, "password|passwd|passphrase|pwd", not_a_word_about_secrets),
    assigned(Class::Password, "password|passwd|passphrase|pwd", not_a_word_about_secrets),
    json(Class::ApiKeyJson, "api[_-]?key", not_a_word_about_secrets),
    assigned(Class::ApiKey, "api[_ -]?key", not_a_word_about_secrets),
    json(
        Class::ClientSecret,
        "(?:client|app|consumer|shared|webhook)[_-]?secret|secret[_-]?key",
        not_a_word_about_secrets,
    ),
    assigned(
        Class::ClientSecret,
        "(?:client|app|consumer|shared|webhook)[_ -]?secret|secret[_-]?key",
        not_a_word_about_secrets,
    ),
    json(Class::AccessToken, "(?:access|refresh|id|auth|session|oauth)[_-]?token", not_a_word_about_secrets),
    assigned(Class::AccessToken, "(?:access|refresh|id|auth|session|oauth)[_ -]?token", likely_token),
    json(Class::Token, "token", not_a_word_about_secrets),
    assigned(Class::Token, "token", likely_token),
];

/// All names as one automaton. The end of a match is all that is asked of it, so one pass forward is enough.
static COMPILED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let patterns: Vec<String> = NAMES.iter().map(Name::pattern).collect();
    // The beginnings of so many names stand everywhere: looking for them first would cost more than it saves.
    let config = Regex::config().auto_prefilter(false);
    Regex::builder().configure(config).build_many(&patterns).ok()
});

impl Name {
    fn pattern(&self) -> String {
        let name = self.expression;
        match self.form {
            Form::Json => format!(r#"(?i-u:{name})\\*["'][ \t\r\n]*:"#),
            Form::Assigned => format!(r"(?i-u:{name})[ \t]*[=:]"),
        }
    }
}

/// The classes that have a name.
#[cfg(test)]
pub(super) fn classes() -> impl Iterator<Item = Class> {
    NAMES.iter().map(|name| name.class)
}

/// Whether the names can be searched for.
pub(super) fn compiles() -> bool {
    COMPILED.is_some()
}

/// The text without the secrets that have a name; none if there is none.
pub(super) fn text(text: &str, counts: &mut Counts) -> Option<String> {
    let names = COMPILED.as_ref()?;
    let mut edit = Edit::of(text);
    let mut values = Values { text, bytes: text.as_bytes(), bare: 0..0 };
    let mut input = Input::new(text);
    while let Some(found) = names.search_half(&input) {
        let mut next = found.offset();
        if let Some(name) = NAMES.get(found.pattern().as_usize())
            && let Some(secret) = values.after(name.form, next)
            && text.get(secret.clone()).is_some_and(name.check)
            && let Some(end) = edit.hide(secret, name.class, counts)
        {
            next = end;
        }
        // After what is no secret, the search goes on behind the name: a secret may stand in the value.
        input.set_start(next);
    }
    edit.end()
}

/// Reads values.
struct Values<'a> {
    text: &'a str,
    bytes: &'a [u8],
    /// The last run of characters that may stand in a value without quotes. What is read twice takes no time twice.
    bare: Range<usize>,
}

impl Values<'_> {
    /// The value after a name and its `=` or `:`, which ends at this place.
    fn after(&mut self, form: Form, at: usize) -> Option<Range<usize>> {
        let blank = |b: &u8| matches!(b, b' ' | b'\t') || (form == Form::Json && matches!(b, b'\r' | b'\n'));
        let second = form == Form::Assigned
            && matches!(
                (self.bytes.get(at - 1), self.bytes.get(at)),
                (Some(b'='), Some(b'>')) | (Some(b':'), Some(b'='))
            );
        let at = at + usize::from(second);
        let at = at + self.bytes.get(at..)?.iter().take_while(|b| blank(b)).count();
        match self.bytes.get(at..)? {
            [b'"', ..] => self.quoted(at + 1, b'"'),
            [b'\'', ..] => self.quoted(at + 1, b'\''),
            [b'\\', b'"', ..] => self.escaped(at + 2),
            [b'`' | b',' | b';' | b'&' | b'|' | b'=' | b'>', ..] => None,
            _ if form == Form::Assigned => self.bare(at),
            _ => None,
        }
    }

    /// Up to the quote, or to the end of a text that was cut off.
    fn quoted(&self, start: usize, quote: u8) -> Option<Range<usize>> {
        let mut at = start;
        loop {
            match self.bytes.get(at..)? {
                [b'\\', _, ..] => at += 1 + self.text.get(at + 1..)?.chars().next()?.len_utf8(),
                [] | [b'\\'] => break,
                [b, ..] if *b == quote => break,
                _ => at += 1,
            }
        }
        (start < at).then_some(start..at)
    }

    /// Up to the escaped quote, or to a quote, or to the end of a text that was cut off.
    fn escaped(&self, start: usize) -> Option<Range<usize>> {
        let mut at = start;
        loop {
            match self.bytes.get(at..)? {
                [b'\\', b'\\', b'\\', b'"', ..] => at += 4,
                [] | [b'\\'] | [b'"', ..] | [b'\\', b'"', ..] => break,
                [b'\\', ..] => at += 1 + self.text.get(at + 1..)?.chars().next()?.len_utf8(),
                _ => at += 1,
            }
        }
        (start < at).then_some(start..at)
    }

    /// Up to white space, a quote or a separator.
    fn bare(&mut self, start: usize) -> Option<Range<usize>> {
        if !self.bare.contains(&start) {
            let ends = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n' | b'"' | b'\'' | b'`' | b',' | b';' | b'&');
            let length = self.bytes.get(start..)?.iter().take_while(|b| !ends(b)).count();
            self.bare = start..start + length;
        }
        (start < self.bare.end).then_some(start..self.bare.end)
    }
}

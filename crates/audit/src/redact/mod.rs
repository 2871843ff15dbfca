//! Redaction: a secret is replaced by `[REDACTED:<class>]`, the text around it stays.
//!
//! Every expression takes linear time, whatever the text. What is redacted once is not redacted again: a text that was
//! stored and read back stays as it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexSet, RegexSetBuilder};
use serde_json::{Map, Value};

mod checks;
mod class;
mod keys;
mod kubernetes;
mod rules;

use checks::not_a_word_about_secrets;
pub use class::Class;
use keys::Named;
use rules::{RULES, Rule};

/// The version of the rules. It is stored with every record: where it differs, a retry is compared by its identifying
/// fields only, because the same text may have been redacted differently.
pub const VERSION: i16 = 1;

/// What stands before the class in the place of a secret.
const MARKER: &str = "[REDACTED:";

/// The most bytes of the word of a class.
const LONGEST_CLASS: usize = 23;

/// How often a text is gone through at most. The second round finds nothing, except where one secret stood within
/// another.
const ROUNDS: usize = 8;

/// The text without its secrets, and how many of each class there were.
pub fn text(text: &str) -> (Cow<'_, str>, Vec<(Class, u32)>) {
    let mut counts = Counts::default();
    let text = scan(text, &mut counts);
    (text, counts.found())
}

/// Redacts every string of a value, keys included, and says how many secrets of each class there were.
pub fn value(value: &mut Value) -> Vec<(Class, u32)> {
    let mut counts = Counts::default();
    walk(value, &mut counts);
    counts.found()
}

/// The class of the secret that an identifier holds, if it holds one.
///
/// An identifier with a secret is refused rather than redacted: two histories with redacted correlation ids would
/// become one.
///
/// Only a secret with a form of its own counts: `alert/password=reset` is a name like any other.
pub fn secret_prefix(identifier: &str) -> Option<Class> {
    let Some(all) = &*COMPILED else { return Some(Class::Token) };
    all.hints.matches(identifier).iter().find_map(|index| {
        let (rule, expression) = (RULES.get(index).filter(|rule| rule.has_form)?, all.expressions.get(index)?);
        let Some(expression) = expression.get_or_init(|| compiled(rule.pattern)) else { return Some(rule.class) };
        apply(rule, expression, identifier, &mut Counts::default()).map(|_| rule.class)
    })
}

/// How long a text is when every secret that was replaced counts as one character. With it a limit holds for a text
/// that was redacted as it did for the text that came in.
pub(crate) fn length_without_markers(text: &str, length: fn(&str) -> usize) -> usize {
    let mut total = length(text);
    let mut rest = text;
    while let Some(at) = rest.find(MARKER) {
        rest = &rest[at..];
        let end = marker_end(rest);
        if let Some(end) = end {
            total -= end - 1;
        }
        rest = &rest[end.unwrap_or(MARKER.len())..];
    }
    total
}

/// How much longer than its limit a text may be with its markers. A marker may be longer than the secret, but a client
/// can also send markers, and they must not make a record of any size.
pub(crate) const GROWTH: usize = 4;

/// How many secrets of each class.
#[derive(Default)]
pub(crate) struct Counts([u32; Class::ALL.len()]);

impl Counts {
    fn add(&mut self, class: Class, count: u32) {
        self.0[class.index()] = self.0[class.index()].saturating_add(count);
    }

    fn total(&self) -> u64 {
        self.0.iter().map(|n| u64::from(*n)).sum()
    }

    /// The classes that were found.
    pub(crate) fn found(&self) -> Vec<(Class, u32)> {
        Class::ALL.iter().zip(self.0).filter(|(_, n)| *n > 0).map(|(class, n)| (*class, n)).collect()
    }
}

/// The hints of all rules as one set, and each rule's expression, made when it is first needed.
struct Compiled {
    hints: RegexSet,
    expressions: [OnceLock<Option<Regex>>; RULES.len()],
}

static COMPILED: LazyLock<Option<Compiled>> = LazyLock::new(|| {
    // Bytes outside of ASCII cannot be part of a hint: without Unicode the automaton is small and fast.
    let hints =
        RegexSetBuilder::new(RULES.iter().map(|rule| rule.hint)).case_insensitive(true).unicode(false).build().ok()?;
    Some(Compiled { hints, expressions: [const { OnceLock::new() }; RULES.len()] })
});

/// An expression of this module. That each of them compiles is tested; what cannot be searched is withheld as a whole.
fn compiled(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

/// In place of a text that cannot be searched.
fn withheld(text: &str, class: Class, counts: &mut Counts) -> Cow<'static, str> {
    if !is_marker(text) {
        counts.add(class, 1);
    }
    Cow::Owned(marker(class))
}

/// Redacts one text.
pub(crate) fn scan<'a>(text: &'a str, counts: &mut Counts) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        let before = counts.total();
        text = round(text, counts);
        if counts.total() == before {
            break;
        }
    }
    text
}

fn round<'a>(text: Cow<'a, str>, counts: &mut Counts) -> Cow<'a, str> {
    let Some(all) = &*COMPILED else { return withheld(&text, Class::Token, counts) };
    let mut text = kubernetes::text(text, counts);
    let hints = all.hints.matches(&text);
    for index in &hints {
        let (Some(rule), Some(expression)) = (RULES.get(index), all.expressions.get(index)) else { continue };
        let Some(expression) = expression.get_or_init(|| compiled(rule.pattern)) else {
            return withheld(&text, rule.class, counts);
        };
        if let Some(redacted) = apply(rule, expression, &text, counts) {
            text = Cow::Owned(redacted);
        }
    }
    text
}

/// The text after one rule; none if the rule found nothing.
fn apply(rule: &Rule, expression: &Regex, text: &str, counts: &mut Counts) -> Option<String> {
    let markers = Markers::of(text);
    let mut redacted = String::new();
    let mut kept = 0;
    for found in expression.captures_iter(text) {
        let Some(secret) = found.iter().skip(1).flatten().next() else { continue };
        if !(rule.check)(secret.as_str()) {
            continue;
        }
        let Some(secret) = markers.around(secret.range()) else { continue };
        redacted.push_str(text.get(kept..secret.start).unwrap_or_default());
        redacted.push_str(&marker(rule.class));
        kept = secret.end;
        counts.add(rule.class, 1);
    }
    if kept == 0 {
        return None;
    }
    redacted.push_str(&text[kept..]);
    Some(redacted)
}

/// Where the markers of a text are, in its order.
struct Markers(Vec<Range<usize>>);

impl Markers {
    fn of(text: &str) -> Self {
        let starts = text.match_indices(MARKER).map(|(at, _)| at);
        Self(starts.filter_map(|at| marker_end(&text[at..]).map(|length| at..at + length)).collect())
    }

    /// A range that cuts no marker in two; none if the range lies within a marker: that secret is gone already.
    fn around(&self, range: Range<usize>) -> Option<Range<usize>> {
        let first = self.0.get(self.0.partition_point(|marker| marker.end <= range.start));
        let last = self.0.get(self.0.partition_point(|marker| marker.end < range.end));
        let start = first.map_or(range.start, |marker| marker.start.min(range.start));
        let end = last.filter(|marker| marker.start < range.end).map_or(range.end, |marker| marker.end);
        let inside = first.is_some_and(|marker| marker.start == start && marker.end == end);
        (!inside).then_some(start..end)
    }
}

fn walk(value: &mut Value, counts: &mut Counts) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(redacted) = scan(text, counts) {
                *text = redacted;
            }
        }
        Value::Array(items) => {
            arguments(items, counts);
            for item in items {
                walk(item, counts);
            }
        }
        Value::Object(object) => walk_object(object, counts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Redacts an object: by the names of its members, then every string and every name.
pub(crate) fn walk_object(object: &mut Map<String, Value>, counts: &mut Counts) {
    kubernetes::object(object, counts);
    // An entry of a container's `env`.
    let by_name = object.get("name").and_then(Value::as_str).and_then(keys::of);
    if let (Some(named), Some(value)) = (by_name, object.get_mut("value")) {
        hide_named(value, named, counts);
    }
    for (name, value) in object.iter_mut() {
        if let Some(named) = keys::of(name) {
            hide_named(value, named, counts);
        }
        walk(value, counts);
    }
    let renamed: Vec<(String, String)> = object
        .keys()
        .filter_map(|name| match scan(name, counts) {
            Cow::Owned(redacted) => Some((name.clone(), redacted)),
            Cow::Borrowed(_) => None,
        })
        .collect();
    rename(object, renamed);
}

/// Gives members their redacted names. Names that become the same are told apart by a number. The numbers go on where
/// they ended, so thousands of equal names take linear time.
fn rename(object: &mut Map<String, Value>, renamed: Vec<(String, String)>) {
    let taken: Vec<(String, Option<Value>)> =
        renamed.into_iter().map(|(name, redacted)| (redacted, object.remove(&name))).collect();
    let mut numbers: HashMap<String, u32> = HashMap::new();
    for (redacted, value) in taken {
        let Some(value) = value else { continue };
        let mut free = redacted.clone();
        if object.contains_key(&free) {
            let number = numbers.entry(redacted.clone()).or_insert(1);
            while object.contains_key(&free) {
                *number += 1;
                free = format!("{redacted}#{number}");
            }
        }
        object.insert(free, value);
    }
}

/// Redacts what follows a flag in the arguments of a command: `["--password", "..."]`.
fn arguments(items: &mut [Value], counts: &mut Counts) {
    let mut named = None;
    for item in items {
        let Value::String(text) = item else {
            named = None;
            continue;
        };
        let flag = text.strip_prefix('-').map(|flag| flag.trim_start_matches('-').to_owned());
        if let (Some(named), None) = (named, &flag)
            && not_a_word_about_secrets(text)
        {
            hide_named(item, named, counts);
        }
        named = flag.and_then(|flag| keys::of(&flag));
    }
}

/// Replaces the strings under a name if they are secrets.
fn hide_named(value: &mut Value, named: Named, counts: &mut Counts) {
    match value {
        Value::String(text) if named.is_secret(text) => hide_string(value, named.class, counts),
        Value::Array(items) => items.iter_mut().for_each(|item| hide_named(item, named, counts)),
        Value::Object(object) => {
            if let Some(value @ Value::String(_)) = object.get_mut("value") {
                hide_named(value, named, counts);
            }
        }
        _ => {}
    }
}

/// A text without its markers.
fn without_markers(text: &str) -> Cow<'_, str> {
    let markers = Markers::of(text).0;
    if markers.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut rest = String::new();
    let mut kept = 0;
    for marker in markers {
        rest.push_str(text.get(kept..marker.start).unwrap_or_default());
        kept = marker.end;
    }
    rest.push_str(text.get(kept..).unwrap_or_default());
    Cow::Owned(rest)
}

/// Replaces a string, or the strings of an array, as a whole.
fn hide_string(value: &mut Value, class: Class, counts: &mut Counts) {
    match value {
        Value::String(text) if !text.is_empty() && !is_marker(text) => {
            *text = marker(class);
            counts.add(class, 1);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| hide_string(item, class, counts)),
        _ => {}
    }
}

fn marker(class: Class) -> String {
    format!("{MARKER}{}]", class.as_str())
}

/// Whether a text is exactly one marker.
fn is_marker(text: &str) -> bool {
    marker_end(text) == Some(text.len())
}

/// Where the marker ends with which a text begins.
fn marker_end(text: &str) -> Option<usize> {
    let rest = text.strip_prefix(MARKER)?;
    // No class has a longer name. Without this bound, many beginnings of markers would take quadratic time.
    let close = rest.bytes().take(LONGEST_CLASS + 1).position(|b| b == b']')?;
    Class::ALL.iter().any(|class| class.as_str() == &rest[..close]).then_some(MARKER.len() + close + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_compiles_and_every_class_has_a_rule() {
        assert!(COMPILED.is_some() && kubernetes::compiles());
        for rule in RULES {
            assert!(compiled(rule.pattern).is_some(), "{}", rule.pattern);
        }
        for class in Class::ALL {
            let found = *class == Class::KubernetesSecret || RULES.iter().any(|rule| rule.class == *class);
            assert!(found, "{}", class.as_str());
        }
        assert_eq!(Class::ALL.len(), 26);
        assert_eq!(Class::ALL.iter().map(|class| class.as_str().len()).max(), Some(LONGEST_CLASS));
    }

    #[test]
    fn a_marker_counts_as_one_character() {
        let length = |text: &str| length_without_markers(text, |t| t.chars().count());
        assert_eq!(length("a [REDACTED:jwt] b"), 5);
        assert_eq!(length("[REDACTED:jwt][REDACTED:password]"), 2);
        assert_eq!(length("[REDACTED:nothing] [REDACTED:"), "[REDACTED:nothing] [REDACTED:".len());
    }
}

//! Redaction: a secret is replaced by `[REDACTED:<class>]`, the text around it stays.
//!
//! Every expression takes linear time, whatever the text. What is redacted once is not redacted again: a text that was
//! stored and read back stays as it is.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock};

use regex::{Match, Regex, RegexSet, RegexSetBuilder};
use serde_json::{Map, Value};

mod checks;
mod class;
mod keys;
mod kubernetes;
mod marker;
mod named;
mod rules;

use checks::not_a_word_about_secrets;
pub use class::Class;
use keys::Named;
pub(crate) use marker::length_without_markers;
use marker::{Edit, is_marker, marker};
use rules::{RULES, Rule};

/// The version of the rules. It is stored with every record: where it differs, a retry is compared by its identifying
/// fields only, because the same text may have been redacted differently.
pub const VERSION: i16 = 1;

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
pub fn secret_in(identifier: &str) -> Option<Class> {
    text(identifier).1.first().map(|(class, _)| *class)
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
    if !named::compiles() {
        return withheld(&text, Class::Token, counts);
    }
    // Most texts have no hint, and to ask whether there is one takes less time than to ask for all.
    let hints = all.hints.is_match(&text).then(|| all.hints.matches(&text));
    for index in hints.iter().flatten() {
        let (Some(rule), Some(expression)) = (RULES.get(index), all.expressions.get(index)) else { continue };
        let Some(expression) = expression.get_or_init(|| compiled(rule.pattern)) else {
            return withheld(&text, rule.class, counts);
        };
        if let Some(redacted) = apply(rule, expression, &text, counts) {
            text = Cow::Owned(redacted);
        }
    }
    match named::text(&text, counts) {
        Some(redacted) => Cow::Owned(redacted),
        None => text,
    }
}

/// The text after one rule; none if the rule found nothing.
fn apply(rule: &Rule, expression: &Regex, text: &str, counts: &mut Counts) -> Option<String> {
    let mut edit = Edit::of(text);
    let mut hide = |secret: Match<'_>| {
        if (rule.check)(secret.as_str()) {
            edit.hide(secret.range(), rule.class, counts);
        }
    };
    if expression.captures_len() == 1 {
        expression.find_iter(text).for_each(&mut hide);
    } else {
        expression.captures_iter(text).filter_map(|found| found.iter().skip(1).flatten().next()).for_each(&mut hide);
    }
    edit.end()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_expression_compiles_and_every_class_has_a_rule() {
        assert!(COMPILED.is_some() && kubernetes::compiles() && named::compiles());
        for rule in RULES {
            assert!(compiled(rule.pattern).is_some(), "{}", rule.pattern);
        }
        for class in Class::ALL {
            let rules = RULES.iter().map(|rule| rule.class).chain(named::classes()).chain([Class::KubernetesSecret]);
            assert!(rules.into_iter().any(|of| of == *class), "{}", class.as_str());
        }
        assert_eq!(Class::ALL.len(), 26);
    }
}

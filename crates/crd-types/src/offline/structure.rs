//! The part of an OpenAPI schema that custom resources may use ("structural"), checked as the API server checks it.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use super::{Problem, closest};
use crate::patterns;

/// A copy without the fields that are null: no field of ours may be null, so the API server drops them.
pub(super) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// The unknown fields of `object`, and everything that makes it unsound.
pub(super) fn check(schema: &Value, object: &Value) -> (Vec<Problem>, Vec<Problem>) {
    let mut check = Check { unknown: Vec::new(), unsound: Vec::new() };
    check.node(schema, object, "");
    (check.unknown, check.unsound)
}

/// What is wrong with the name of an object.
pub(super) fn name(path: &str, name: &str) -> Option<Problem> {
    let fits = name.chars().count() <= 253 && matches(patterns::SUBDOMAIN, name);
    (!fits).then(|| {
        Problem::new(path, format!("{} is no name; {}", quoted(name), patterns::in_words(patterns::SUBDOMAIN)))
    })
}

struct Check {
    unknown: Vec<Problem>,
    unsound: Vec<Problem>,
}

impl Check {
    fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.unsound.push(Problem::new(path, message));
    }

    fn node(&mut self, schema: &Value, value: &Value, path: &str) {
        let int_or_string = schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
        let expected = schema.get("type").and_then(Value::as_str);
        let fits = match expected {
            _ if int_or_string => value.is_string() || is_integer(value),
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => is_integer(value),
            Some("number") => value.is_number(),
            _ => true,
        };
        if !fits {
            let expected = if int_or_string { "a number or a name" } else { words(expected) };
            self.refuse(path, format!("expected {expected}, found {}", found(value)));
            return;
        }
        self.allowed_values(schema, value, path);
        match value {
            Value::Object(fields) => self.object(schema, fields, path),
            Value::Array(items) => self.array(schema, items, path),
            Value::String(text) => self.string(schema, text, path),
            Value::Number(_) => self.number(schema, value, path),
            Value::Bool(_) | Value::Null => {}
        }
    }

    fn allowed_values(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(allowed) = schema.get("enum").and_then(Value::as_array) else {
            return;
        };
        if allowed.contains(value) {
            return;
        }
        let names: Vec<&str> = allowed.iter().filter_map(Value::as_str).collect();
        let advice = match value.as_str().and_then(|text| closest(text, names.iter().copied())) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("write one of {}", names.join(", ")),
        };
        self.refuse(path, format!("{} is not known; {advice}", found(value)));
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        let nothing = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        for required in strings(schema, "required") {
            if !fields.contains_key(required) {
                self.refuse(&join(path, required), "is missing");
            }
        }
        self.count(schema, fields.len(), ("minProperties", "maxProperties"), "entries", path);
        let values = schema.get("additionalProperties").filter(|values| values.is_object());
        for (key, value) in fields {
            let here = join(path, key);
            match properties.get(key).or(values) {
                Some(schema) => self.node(schema, value, &here),
                // apiVersion, kind and metadata: every object has them, and no schema of ours says so.
                None if path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) => {}
                // A plain object without a description of its fields.
                None if properties.is_empty() && path.is_empty() => {}
                None => {
                    let known = properties.keys().map(String::as_str);
                    let advice = match closest(key, known.clone()) {
                        Some(name) => format!("did you mean {name}?"),
                        None => format!("known here: {}", known.collect::<Vec<_>>().join(", ")),
                    };
                    self.unknown.push(Problem::new(&here, format!("unknown field; {advice}")));
                }
            }
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], path: &str) {
        self.count(schema, items.len(), ("minItems", "maxItems"), "entries", path);
        let keys: Vec<&str> = strings(schema, "x-kubernetes-list-map-keys").collect();
        let unique = schema.get("x-kubernetes-list-type").is_some_and(|kind| kind == "set" || kind == "map");
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let here = format!("{path}[{index}]");
            if let Some(schema) = schema.get("items") {
                self.node(schema, item, &here);
            }
            let identity = if keys.is_empty() {
                found(item)
            } else {
                keys.iter().filter_map(|key| item.get(*key)).map(found).collect::<Vec<_>>().join("/")
            };
            if unique && !seen.insert(identity.clone()) {
                self.refuse(&here, format!("{identity} is here twice; remove one"));
            }
        }
    }

    fn string(&mut self, schema: &Value, text: &str, path: &str) {
        self.count(schema, text.chars().count(), ("minLength", "maxLength"), "characters", path);
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !text.is_empty()
            && !matches(pattern, text)
        {
            self.refuse(path, format!("{} does not fit; {}", quoted(text), patterns::in_words(pattern)));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(number) = value.as_f64() else { return };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        if let Some(least) = bound("minimum").filter(|least| number < *least) {
            self.refuse(path, format!("{value} is too small; the least is {least}"));
        }
        if let Some(most) = bound("maximum").filter(|most| number > *most) {
            self.refuse(path, format!("{value} is too large; the most is {most}"));
        }
    }

    fn count(&mut self, schema: &Value, count: usize, (least, most): (&str, &str), what: &str, path: &str) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        match bound(least).filter(|least| count < *least) {
            Some(1) => self.refuse(path, "is empty; fill it in or remove it"),
            Some(least) => self.refuse(path, format!("has {count} {what}; at least {least} are needed")),
            None => {}
        }
        if let Some(most) = bound(most).filter(|most| count > *most) {
            self.refuse(path, format!("has {count} {what}; at most {most} are allowed"));
        }
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn strings<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A key that somebody made up may be long; a problem is one line.
fn join(path: &str, key: &str) -> String {
    let short: String = key.chars().take(80).collect();
    let key = if short.len() < key.len() { format!("{short}…") } else { short };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A pattern that does not compile matches nothing; a test compiles every pattern of the schema.
fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

fn words(expected: Option<&str>) -> &'static str {
    match expected {
        Some("object") => "fields (a mapping)",
        Some("array") => "a list",
        Some("string") => "text",
        Some("boolean") => "true or false",
        Some("integer") => "a whole number",
        _ => "a number",
    }
}

/// A value as a message shows it, short.
fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "fields (a mapping)".to_owned(),
    }
}

/// Text in quotes, its control characters escaped, cut where it gets long.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

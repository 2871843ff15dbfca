//! Checks an object against a structural OpenAPI schema, as the API server does.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::{Map, Value};

use super::{problem::Problem, suggest::closest};
use crate::patterns;

/// Drops the fields that are null. No field of a ToolsetConfig is nullable, so the API server drops them too.
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

/// The problems with the structure of an object.
#[derive(Default)]
pub(super) struct StructureProblems {
    /// The fields that the schema does not have.
    pub(super) unknown: Vec<Problem>,
    /// The values that the schema does not allow.
    pub(super) invalid: Vec<Problem>,
}

/// Checks `object` against `schema`.
pub(super) fn check(schema: &Value, object: &Value) -> StructureProblems {
    let mut problems = StructureProblems::default();
    problems.node(schema, object, "");
    problems
}

/// Checks the name of an object.
pub(super) fn check_name(path: &str, name: &str) -> Option<Problem> {
    let valid = name.chars().count() <= 253 && matches(patterns::SUBDOMAIN, name);
    (!valid).then(|| {
        let rule = patterns::describe(patterns::SUBDOMAIN);
        Problem::new(path, format!("{} is not a valid name; {rule}", quoted(name)))
    })
}

impl StructureProblems {
    fn reject(&mut self, path: &str, message: impl Into<String>) {
        self.invalid.push(Problem::new(path, message));
    }

    fn node(&mut self, schema: &Value, value: &Value, path: &str) {
        let int_or_string = schema.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
        let expected = schema.get("type").and_then(Value::as_str);
        let matches_type = match expected {
            _ if int_or_string => value.is_string() || is_integer(value),
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("boolean") => value.is_boolean(),
            Some("integer") => is_integer(value),
            Some("number") => value.is_number(),
            _ => true,
        };
        if !matches_type {
            let expected = if int_or_string { "a number or a name" } else { type_name(expected) };
            self.reject(path, format!("must be {expected}, not {}", shown(value)));
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
            None => format!("use one of {}", names.join(", ")),
        };
        self.reject(path, format!("{} is not a supported value; {advice}", shown(value)));
    }

    fn object(&mut self, schema: &Value, fields: &Map<String, Value>, path: &str) {
        let nothing = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        for required in strings(schema, "required") {
            if !fields.contains_key(required) {
                self.reject(&join(path, required), "is required");
            }
        }
        self.count(schema, fields.len(), ("minProperties", "maxProperties"), "entries", path);
        let values = schema.get("additionalProperties").filter(|values| values.is_object());
        for (key, value) in fields {
            let here = join(path, key);
            match properties.get(key).or(values) {
                Some(schema) => self.node(schema, value, &here),
                // Every object has these fields, but the schema of a custom resource does not list them.
                None if path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&key.as_str()) => {}
                // The schema does not describe the fields of the object.
                None if properties.is_empty() && path.is_empty() => {}
                None => {
                    let known = properties.keys().map(String::as_str);
                    let advice = match closest(key, known.clone()) {
                        Some(name) => format!("did you mean {name}?"),
                        None => format!("the known fields are {}", known.collect::<Vec<_>>().join(", ")),
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
                shown(item)
            } else {
                keys.iter().filter_map(|key| item.get(*key)).map(shown).collect::<Vec<_>>().join("/")
            };
            if unique && !seen.insert(identity.clone()) {
                self.reject(&here, format!("{identity} is a duplicate; remove one of the entries"));
            }
        }
    }

    fn string(&mut self, schema: &Value, text: &str, path: &str) {
        self.count(schema, text.chars().count(), ("minLength", "maxLength"), "characters", path);
        if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
            && !text.is_empty()
            && !matches(pattern, text)
        {
            self.reject(path, format!("{} is not valid; {}", quoted(text), patterns::describe(pattern)));
        }
    }

    fn number(&mut self, schema: &Value, value: &Value, path: &str) {
        let Some(number) = value.as_f64() else { return };
        let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
        if let Some(minimum) = bound("minimum").filter(|minimum| number < *minimum) {
            self.reject(path, format!("must be at least {minimum}, not {value}"));
        }
        if let Some(maximum) = bound("maximum").filter(|maximum| number > *maximum) {
            self.reject(path, format!("must be at most {maximum}, not {value}"));
        }
    }

    fn count(&mut self, schema: &Value, count: usize, (minimum, maximum): (&str, &str), what: &str, path: &str) {
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64).and_then(|bound| usize::try_from(bound).ok());
        match bound(minimum).filter(|minimum| count < *minimum) {
            Some(1) => self.reject(path, "must not be empty; set a value or remove the field"),
            Some(minimum) => self.reject(path, format!("must have at least {minimum} {what}, not {count}")),
            None => {}
        }
        if let Some(maximum) = bound(maximum).filter(|maximum| count > *maximum) {
            self.reject(path, format!("must have at most {maximum} {what}, not {count}"));
        }
    }
}

fn is_integer(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn strings<'a>(schema: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    schema.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// Appends a key to a path. A long key is cut, so that a problem stays on one line.
fn join(path: &str, key: &str) -> String {
    let short: String = key.chars().take(80).collect();
    let key = if short.len() < key.len() { format!("{short}…") } else { short };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// A pattern that does not compile matches nothing. A test compiles every pattern of the schema.
fn matches(pattern: &str, text: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

fn type_name(expected: Option<&str>) -> &'static str {
    match expected {
        Some("object") => "an object",
        Some("array") => "a list",
        Some("string") => "a string",
        Some("boolean") => "true or false",
        Some("integer") => "a whole number",
        _ => "a number",
    }
}

/// A value in the short form that messages use.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A string in quotes. Control characters are escaped, and a long string is cut.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

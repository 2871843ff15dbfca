//! `values.schema.json`: Helm refuses a misspelt value instead of ignoring it.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::values::Entry;

/// The schema of the values, `additionalProperties: false` at every level that the chart defines.
///
/// Fails if an entry's path goes through another entry.
pub(super) fn schema(entries: &[Entry], definitions: Value) -> Result<String> {
    // Helm hands every chart a `global`, whether it uses it or not.
    let mut root = group();
    properties(&mut root)?.insert("global".to_owned(), json!({"type": "object"}));
    for entry in entries {
        let (key, groups) = entry.path.split_last().context("an entry without a path")?;
        let mut parent = &mut root;
        for name in groups {
            parent = properties(parent)?.entry(name.clone()).or_insert_with(group);
        }
        properties(parent)?.insert(key.clone(), of_entry(entry)?);
    }
    if let Value::Object(root) = &mut root {
        // What Helm 3 reads as well.
        root.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        root.insert("$defs".to_owned(), definitions);
    }
    Ok(serde_json::to_string_pretty(&root)? + "\n")
}

fn group() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}})
}

fn properties(group: &mut Value) -> Result<&mut Map<String, Value>> {
    group.get_mut("properties").and_then(Value::as_object_mut).context("a value inside a documented value")
}

fn of_entry(entry: &Entry) -> Result<Value> {
    let mut schema = Map::new();
    let Value::Object(added) = &entry.schema else { bail!("{}: @schema is no object", entry.path.join(".")) };
    // Beside a $ref, draft 07 ignores everything.
    if !added.contains_key("$ref") {
        schema.insert("type".to_owned(), json!(type_of(&entry.default)));
    }
    schema.extend(added.clone());
    schema.insert("description".to_owned(), json!(entry.description));
    Ok(Value::Object(schema))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &[&str], schema: Value, default: Value) -> Entry {
        Entry { path: path.iter().map(|key| (*key).to_owned()).collect(), description: "Text.".into(), schema, default }
    }

    fn parsed(entries: &[Entry]) -> Value {
        serde_json::from_str(&schema(entries, json!({})).unwrap()).unwrap()
    }

    #[test]
    fn every_level_refuses_what_it_does_not_know() {
        let schema = parsed(&[entry(&["a", "b", "c"], json!({}), json!(1))]);
        for pointer in ["", "/properties/a", "/properties/a/properties/b"] {
            assert_eq!(schema.pointer(pointer).unwrap()["additionalProperties"], json!(false), "{pointer}");
        }
        assert_eq!(schema.pointer("/properties/a/properties/b/properties/c/type"), Some(&json!("integer")));
    }

    #[test]
    fn a_comment_adds_to_what_the_default_implies_and_may_replace_it() {
        let schema = parsed(&[
            entry(&["a"], json!({"minimum": 1}), json!(1)),
            entry(&["b"], json!({"type": ["integer", "string"]}), json!(1)),
            entry(&["c"], json!({"$ref": "#/$defs/x"}), json!({})),
        ]);
        assert_eq!(schema["properties"]["a"], json!({"type": "integer", "minimum": 1, "description": "Text."}));
        assert_eq!(schema["properties"]["b"]["type"], json!(["integer", "string"]));
        assert_eq!(schema["properties"]["c"].get("type"), None);
    }
}

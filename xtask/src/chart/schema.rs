//! Generates `values.schema.json`, so that Helm rejects a misspelled value instead of ignoring it.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::values::DocumentedValue;

/// The schema of the values. Every level that the chart defines has `additionalProperties: false`.
///
/// Fails if a documented value is inside another documented value.
pub(super) fn schema(values: &[DocumentedValue], definitions: Value) -> Result<String> {
    // Helm passes `global` of a parent chart to every chart, so it can have keys of other charts.
    let mut root = group();
    properties(&mut root)?.insert("global".to_owned(), json!({"type": "object", "properties": {}}));
    for value in values {
        let (key, groups) = value.path.split_last().context("a documented value has no path")?;
        let mut parent = &mut root;
        for name in groups {
            parent = properties(parent)?.entry(name.clone()).or_insert_with(group);
        }
        properties(parent)?.insert(key.clone(), of_value(value)?);
    }
    if let Value::Object(root) = &mut root {
        // Helm 3 supports this version too.
        root.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        root.insert("$defs".to_owned(), definitions);
    }
    Ok(serde_json::to_string_pretty(&root)? + "\n")
}

fn group() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}})
}

fn properties(group: &mut Value) -> Result<&mut Map<String, Value>> {
    group
        .get_mut("properties")
        .and_then(Value::as_object_mut)
        .context("a documented value is inside another documented value")
}

fn of_value(value: &DocumentedValue) -> Result<Value> {
    let mut schema = Map::new();
    let Value::Object(added) = &value.schema else { bail!("{}: @schema is not an object", value.path.join(".")) };
    // Draft 07 ignores other keywords next to `$ref`.
    if !added.contains_key("$ref") {
        schema.insert("type".to_owned(), json!(type_of(&value.default)));
    }
    schema.extend(added.clone());
    schema.insert("description".to_owned(), json!(value.description));
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

    fn value(path: &[&str], schema: Value, default: Value) -> DocumentedValue {
        DocumentedValue {
            path: path.iter().map(|key| (*key).to_owned()).collect(),
            description: "Text.".into(),
            schema,
            default,
        }
    }

    fn parsed(values: &[DocumentedValue]) -> Value {
        serde_json::from_str(&schema(values, json!({})).unwrap()).unwrap()
    }

    #[test]
    fn every_level_rejects_unknown_keys() {
        let schema = parsed(&[value(&["a", "b", "c"], json!({}), json!(1))]);
        for pointer in ["", "/properties/a", "/properties/a/properties/b"] {
            assert_eq!(schema.pointer(pointer).unwrap()["additionalProperties"], json!(false), "{pointer}");
        }
        assert_eq!(schema.pointer("/properties/a/properties/b/properties/c/type"), Some(&json!("integer")));
    }

    #[test]
    fn global_values_may_have_keys_of_other_charts() {
        let schema = parsed(&[value(&["global", "imageRegistry"], json!({}), json!(""))]);
        let global = &schema["properties"]["global"];
        assert_eq!(global.get("additionalProperties"), None);
        assert_eq!(global["properties"]["imageRegistry"]["type"], "string");
    }

    #[test]
    fn a_comment_extends_the_schema_of_the_default_or_replaces_it() {
        let schema = parsed(&[
            value(&["a"], json!({"minimum": 1}), json!(1)),
            value(&["b"], json!({"type": ["integer", "string"]}), json!(1)),
            value(&["c"], json!({"$ref": "#/$defs/x"}), json!({})),
        ]);
        assert_eq!(schema["properties"]["a"], json!({"type": "integer", "minimum": 1, "description": "Text."}));
        assert_eq!(schema["properties"]["b"]["type"], json!(["integer", "string"]));
        assert_eq!(schema["properties"]["c"].get("type"), None);
    }
}

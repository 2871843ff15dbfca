//! Generates the reference of the ToolsetConfig from its CRD.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

const HEAD: &str = "\
<!-- Generated from the CustomResourceDefinition by `cargo xtask docs`. -->
# ToolsetConfig reference

This page describes every field of the kind `ToolsetConfig` in `toolset.kubernaut.io/v1alpha1`. The short name is `tsc`, and
`kubectl explain tsc.spec` shows the same descriptions. A field in **bold** is required. The API server also enforces the rules
that are listed below a table.
";

/// The page in Markdown.
///
/// Fails if the CRD is not valid YAML or has no schema.
pub(super) fn page(crd: &str) -> Result<String> {
    let crd: Value = serde_saphyr::from_str(crd).context("the CustomResourceDefinition is not valid YAML")?;
    let schema =
        crd.pointer("/spec/versions/0/schema/openAPIV3Schema").context("the CustomResourceDefinition has no schema")?;
    let mut page = HEAD.to_owned();
    for part in ["spec", "status"] {
        let schema =
            schema.pointer(&format!("/properties/{part}")).with_context(|| format!("the schema has no {part}"))?;
        object(&mut page, part, schema)?;
    }
    Ok(page)
}

/// Writes the heading, the description, the fields and the rules of an object, and then the objects that it contains.
fn object(page: &mut String, path: &str, schema: &Value) -> Result<()> {
    let empty = Map::new();
    let fields = schema["properties"].as_object().unwrap_or(&empty);
    let required: Vec<_> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    write!(page, "\n## {path}\n\n{}\n\n| field | type | default | meaning |\n|---|---|---|---|\n", text(schema))?;
    for (name, field) in fields {
        let shown = if required.contains(&name.as_str()) { format!("**`{name}`**") } else { format!("`{name}`") };
        let inner = inside(path, name, field);
        let shown = match &inner {
            Some((path, _)) => format!("[{shown}](#{})", path.to_lowercase().replace(['.', '[', ']'], "")),
            None => shown,
        };
        let default = field.get("default").map(|value| format!("`{}`", cell(&value.to_string()))).unwrap_or_default();
        writeln!(page, "| {shown} | {} | {default} | {} |", cell(&kind(field)), cell(&text(field)))?;
    }
    let mut all: Vec<String> = rules(schema).map(cell).collect();
    // The rules of an object are listed below its own table.
    let values = fields.iter().filter(|(_, field)| field.get("properties").is_none());
    all.extend(values.flat_map(|(name, field)| rules(field).map(move |rule| format!("`{name}`: {}", cell(rule)))));
    if !all.is_empty() {
        writeln!(page, "\nRules:\n\n- {}", all.join("\n- "))?;
    }
    for (name, field) in fields {
        if let Some((path, schema)) = inside(path, name, field) {
            object(page, &path, schema)?;
        }
    }
    Ok(())
}

/// The messages of the CEL rules of a schema.
fn rules(schema: &Value) -> impl Iterator<Item = &str> {
    let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
    rules.filter_map(|rule| rule["message"].as_str())
}

/// The path and the schema of the object that a field contains, directly or in a list. `None` if it contains no object.
fn inside<'a>(path: &str, name: &str, field: &'a Value) -> Option<(String, &'a Value)> {
    let has_fields = |schema: &Value| schema["properties"].as_object().is_some_and(|fields| !fields.is_empty());
    if has_fields(field) {
        return Some((format!("{path}.{name}"), field));
    }
    let items = field.get("items")?;
    has_fields(items).then(|| (format!("{path}.{name}[]"), items))
}

fn text(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// The type and its bounds as text.
fn kind(schema: &Value) -> String {
    let number = |key: &str| schema[key].as_i64();
    let range = |minimum: Option<i64>, maximum: Option<i64>| match (minimum, maximum) {
        (Some(minimum), Some(maximum)) => format!(", {minimum} to {maximum}"),
        (Some(minimum), None) => format!(", at least {minimum}"),
        (None, Some(maximum)) => format!(", at most {maximum}"),
        (None, None) => String::new(),
    };
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<_> = values.iter().filter_map(Value::as_str).map(|value| format!("`{value}`")).collect();
        return values.join(", ");
    }
    match schema["type"].as_str() {
        Some("array") => {
            let inner = kind(&schema["items"]);
            format!("list of {inner}{}", range(number("minItems"), number("maxItems")))
        }
        Some("string") => {
            let pattern = schema["pattern"].as_str().map(|pattern| format!(", `{pattern}`")).unwrap_or_default();
            let format = schema["format"].as_str().map(|format| format!(" ({format})")).unwrap_or_default();
            let maximum =
                number("maxLength").map(|length| format!(", at most {length} characters")).unwrap_or_default();
            format!("string{format}{maximum}{pattern}")
        }
        Some("integer") => format!("integer{}", range(number("minimum"), number("maximum"))),
        Some("object") if schema.get("additionalProperties").is_some() => {
            format!("map of {}{}", kind(&schema["additionalProperties"]), range(None, number("maxProperties")))
        }
        Some(other) => other.to_owned(),
        None if schema["x-kubernetes-int-or-string"] == true => "integer or string".to_owned(),
        None => "anything".to_owned(),
    }
}

/// Escapes text for a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRD: &str = "
spec:
  versions:
  - schema:
      openAPIV3Schema:
        properties:
          spec:
            description: What is wanted.
            required: [name]
            x-kubernetes-validations: [{rule: 'true', message: a or b}]
            properties:
              name:
                type: string
                maxLength: 40
                pattern: '^a|b$'
                description: Its name.
                x-kubernetes-validations: [{rule: 'true', message: must be short}]
              mode: {type: string, enum: [Fast, Slow], default: Fast, description: How.}
              sources:
                type: array
                maxItems: 3
                items:
                  type: object
                  description: One of them.
                  properties: {weight: {type: integer, minimum: 1, maximum: 9}}
          status: {description: What is., properties: {}}
";

    #[test]
    fn fields_are_shown_with_type_bounds_default_and_meaning() {
        let page = page(CRD).unwrap();
        for line in [
            "## spec\n\nWhat is wanted.\n",
            "| **`name`** | string, at most 40 characters, `^a\\|b$` |  | Its name. |\n",
            "| `mode` | `Fast`, `Slow` | `\"Fast\"` | How. |\n",
            "| [`sources`](#specsources) | list of object, at most 3 |  |  |\n",
            "Rules:\n\n- a or b\n- `name`: must be short\n",
            "## spec.sources[]\n\nOne of them.\n",
            "| `weight` | integer, 1 to 9 |  |  |\n",
        ] {
            assert!(page.contains(line), "{line}\nis not in\n{page}");
        }
    }

    #[test]
    fn a_crd_without_a_schema_is_an_error() {
        assert!(page("spec: {versions: []}").is_err());
    }
}

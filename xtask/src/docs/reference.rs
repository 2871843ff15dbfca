//! The reference of the ToolsetConfig, from its CRD.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

const HEAD: &str = "\
<!-- Generated from the CustomResourceDefinition by `cargo xtask docs`. -->
# ToolsetConfig reference

`toolset.kubernaut.io/v1alpha1`, kind `ToolsetConfig`, short name `tsc`. What `kubectl explain tsc.spec --recursive` shows, on one page.
A field in **bold** is required. Rules between fields stand below the table of their object.
";

/// The whole page.
///
/// Fails if the CRD is not as the API server has it.
pub(super) fn page(crd: &str) -> Result<String> {
    let crd: Value = serde_saphyr::from_str(crd).context("the CustomResourceDefinition is not YAML")?;
    let schema = crd.pointer("/spec/versions/0/schema/openAPIV3Schema").context("it has no schema")?;
    let mut page = HEAD.to_owned();
    for part in ["spec", "status"] {
        let schema = schema.pointer(&format!("/properties/{part}")).with_context(|| format!("it has no {part}"))?;
        object(&mut page, part, schema)?;
    }
    Ok(page)
}

/// A heading, what the object is, its fields, its rules, and then the objects inside of it.
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
    let rules = |schema: &Value| -> Vec<String> {
        let rules = schema["x-kubernetes-validations"].as_array().into_iter().flatten();
        rules.filter_map(|rule| rule["message"].as_str().map(str::to_owned)).collect()
    };
    let mut all = rules(schema);
    // An object's own rules stand below its own table.
    all.extend(fields.values().filter(|field| field.get("properties").is_none()).flat_map(rules));
    if !all.is_empty() {
        page.push_str("\nRules:\n\n");
        for rule in all {
            writeln!(page, "- {}", cell(&rule))?;
        }
    }
    for (name, field) in fields {
        if let Some((path, schema)) = inside(path, name, field) {
            object(page, &path, schema)?;
        }
    }
    Ok(())
}

/// The object that a field holds, or a list of it, with its path; `None` for everything else.
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

/// The type in words, with its bounds.
fn kind(schema: &Value) -> String {
    let number = |key: &str| schema[key].as_i64();
    let range = |least: Option<i64>, most: Option<i64>| match (least, most) {
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", at least {least}"),
        (None, Some(most)) => format!(", at most {most}"),
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
            let most = number("maxLength").map(|most| format!(", at most {most} characters")).unwrap_or_default();
            format!("string{format}{most}{pattern}")
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

/// What would end a cell of a table.
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
              name: {type: string, maxLength: 40, pattern: '^a|b$', description: Its name.}
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
            "- a or b\n",
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

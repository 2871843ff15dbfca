//! Generates the README of the chart from a template and the table of values.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::values::DocumentedValue;

const PLACEHOLDER: &str = "<!-- values -->\n";

/// The template with the table of values in place of `<!-- values -->`.
///
/// Fails if the template does not contain this line.
pub(super) fn readme(template: &str, values: &[DocumentedValue]) -> Result<String> {
    ensure!(template.contains(PLACEHOLDER), "README.md.in has no line {}", PLACEHOLDER.trim());
    let mut table = String::from("| value | default | description |\n|---|---|---|\n");
    for value in values {
        let (path, default) = (value.path.join("."), shown(&value.default)?);
        let description = value.description.replace('|', "\\|");
        writeln!(table, "| `{path}` | {default} | {description} |")?;
    }
    let text = template.replace(PLACEHOLDER, &table);
    Ok(format!("<!-- Generated from README.md.in and values.yaml by `cargo xtask chart`. -->\n{text}"))
}

fn shown(default: &Value) -> Result<String> {
    let text = match default {
        Value::String(text) if !text.is_empty() => text.clone(),
        other => serde_json::to_string(other)?,
    };
    Ok(format!("`{}`", text.replace('|', "\\|")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_bar_in_a_description_does_not_end_the_cell() {
        let value = DocumentedValue {
            path: vec!["a".into(), "b".into()],
            description: "json|text".into(),
            schema: json!({}),
            default: json!(""),
        };
        let text = readme("Top\n<!-- values -->\n", &[value]).unwrap();
        assert!(text.ends_with("| `a.b` | `\"\"` | json\\|text |\n"), "{text}");
    }

    #[test]
    fn a_template_without_the_placeholder_is_an_error() {
        assert!(readme("Top\n", &[]).is_err());
    }
}

//! The chart's README: its text with the table of values put in.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::values::Entry;

const PLACE: &str = "<!-- values -->\n";

/// The template with its `<!-- values -->` replaced by the table.
///
/// Fails if the template does not say where the table goes.
pub(super) fn readme(template: &str, entries: &[Entry]) -> Result<String> {
    ensure!(template.contains(PLACE), "README.md.in has no line {}", PLACE.trim());
    let mut table = String::from("| value | default | what it does |\n|---|---|---|\n");
    for entry in entries {
        let (path, default) = (entry.path.join("."), shown(&entry.default)?);
        let description = entry.description.replace('|', "\\|");
        writeln!(table, "| `{path}` | {default} | {description} |")?;
    }
    let text = template.replace(PLACE, &table);
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
        let entry = Entry {
            path: vec!["a".into(), "b".into()],
            description: "json|text".into(),
            schema: json!({}),
            default: json!(""),
        };
        let text = readme("Top\n<!-- values -->\n", &[entry]).unwrap();
        assert!(text.ends_with("| `a.b` | `\"\"` | json\\|text |\n"), "{text}");
    }

    #[test]
    fn a_template_without_a_place_for_the_table_is_an_error() {
        assert!(readme("Top\n", &[]).is_err());
    }
}

//! Reads `values.yaml` with its comments.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// A value of the chart with its documentation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DocumentedValue {
    /// The path of keys.
    pub(super) path: Vec<String>,
    /// The description from the comment, on one line.
    pub(super) description: String,
    /// The schema from the comment.
    pub(super) schema: Value,
    /// The default.
    pub(super) default: Value,
}

/// The documented values, in the order of the file.
///
/// Fails if a value has no comment, or a comment's schema is not JSON.
pub(super) fn parse(text: &str) -> Result<Vec<DocumentedValue>> {
    let defaults: Value = serde_saphyr::from_str(text).context("is not YAML")?;
    let mut values = Vec::new();
    let mut groups: Vec<(usize, String)> = Vec::new();
    let mut comment = Comment::default();
    // The indentation of the current documented value. The lines inside of it are a part of the value.
    let mut inside: Option<usize> = None;
    for (number, line) in text.lines().enumerate() {
        let at = || format!("line {}", number + 1);
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if content.is_empty() {
            comment = Comment::default();
            continue;
        }
        if inside.is_some_and(|level| indent > level) {
            continue;
        }
        inside = None;
        if let Some(remark) = content.strip_prefix('#') {
            comment.add(remark.trim()).with_context(at)?;
            continue;
        }
        let (key, rest) = content.split_once(':').with_context(|| format!("{}: not a key of a mapping", at()))?;
        groups.retain(|(level, _)| *level < indent);
        let path: Vec<_> = groups.iter().map(|(_, name)| name.clone()).chain([key.to_owned()]).collect();
        let comment = std::mem::take(&mut comment);
        if comment.description.is_empty() {
            ensure!(rest.trim().is_empty(), "{}: {} has no `# --` comment", at(), path.join("."));
            groups.push((indent, key.to_owned()));
            continue;
        }
        let pointer = format!("/{}", path.join("/"));
        let default = defaults.pointer(&pointer).with_context(|| format!("{}: no such value", at()))?.clone();
        let schema = comment.schema.unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        values.push(DocumentedValue { path, description: comment.description, schema, default });
        inside = Some(indent);
    }
    Ok(values)
}

#[derive(Default)]
struct Comment {
    description: String,
    schema: Option<Value>,
}

impl Comment {
    fn add(&mut self, remark: &str) -> Result<()> {
        if let Some(text) = remark.strip_prefix("-- ") {
            text.clone_into(&mut self.description);
        } else if let Some(json) = remark.strip_prefix("@schema ") {
            self.schema = Some(serde_json::from_str(json).context("@schema is not JSON")?);
        } else if self.schema.is_some() {
            bail!("a description must not continue after @schema");
        } else if !self.description.is_empty() {
            self.description.push(' ');
            self.description.push_str(remark);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_documented_value_has_its_comment_and_its_complete_default() {
        let values = parse("# A heading.\n\ngroup:\n  # -- What it\n  # is.\n  # @schema {\"x\": 1}\n  key:\n    a: {b: 1}\n  # -- More.\n  other: 2\n").unwrap();
        assert_eq!(
            values,
            [
                DocumentedValue {
                    path: vec!["group".into(), "key".into()],
                    description: "What it is.".into(),
                    schema: json!({"x": 1}),
                    default: json!({"a": {"b": 1}}),
                },
                DocumentedValue {
                    path: vec!["group".into(), "other".into()],
                    description: "More.".into(),
                    schema: json!({}),
                    default: json!(2),
                },
            ]
        );
    }

    #[test]
    fn a_value_without_a_comment_is_an_error() {
        let error = parse("group:\n  key: 1\n").unwrap_err();
        assert!(error.to_string().contains("group.key has no"), "{error}");
    }

    #[test]
    fn a_schema_that_is_not_json_is_an_error_with_its_line() {
        let error = parse("# -- Text.\n# @schema {\nkey: 1\n").unwrap_err();
        assert!(format!("{error:#}").starts_with("line 2: @schema is not JSON"), "{error:#}");
    }
}

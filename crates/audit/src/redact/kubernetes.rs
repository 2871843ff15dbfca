//! The values of Kubernetes Secrets: in manifests as YAML or JSON within a text, and in JSON values.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem;
use regex::{Captures, Regex};
use serde_json::{Map, Value};

use super::marker::{is_marker, marker};
use super::{Class, Counts, compiled};

/// The expressions for a manifest in a text.
struct Expressions {
    /// Whether a text speaks of the kind Secret, as YAML or as JSON (also as JSON in a string of JSON).
    kind: Regex,
    /// A block of YAML: the line `data:` and the lines below it that are indented further. An expression cannot compare
    /// indentations, so there is one alternative each for none, two and four spaces.
    yaml: Regex,
    /// A line of such a block that holds a value.
    line: Regex,
    /// A line of such a block that continues a value.
    continued: Regex,
    /// The object under `data` or `stringData` in JSON; a text that was cut off may lack its end.
    json: Regex,
    /// A member of such an object.
    member: Regex,
}

static EXPRESSIONS: LazyLock<Option<Expressions>> = LazyLock::new(|| {
    Some(Expressions {
        kind: compiled(r#"kind\\*["']?[ \t]*:[ \t]*\\*["']?Secret(?:List)?\\*["']?(?:[ \t\r\n,}]|\z)"#)?,
        yaml: compiled(concat!(
            r"(?m)^(?:- |  - )?(?:",
            r"(?:data|stringData):[ \t]*\r?\n(?:(?:[ \t]+[^\n]*)?(?:\n|\z))+",
            r"|  (?:data|stringData):[ \t]*\r?\n(?:(?: {3,}[^\n]*)?(?:\n|\z))+",
            r"|    (?:data|stringData):[ \t]*\r?\n(?:(?: {5,}[^\n]*)?(?:\n|\z))+)",
        ))?,
        line: compiled(r#"(?m)^([ \t]+["']?[A-Za-z0-9._-]+["']?:[ \t]*)([^ \t\r\n][^\r\n]*)"#)?,
        continued: compiled(r"(?m)^([ \t]+)([A-Za-z0-9+/=]{16,})[ \t\r]*$")?,
        json: compiled(r#"(?:data|stringData)\\*["'][ \t\r\n]*:[ \t\r\n]*\{[^{}]*"#)?,
        member: compiled(concat!(
            r#"(\\*["'][ \t\r\n]*:[ \t\r\n]*)"#,
            r#"(?:(")((?s:[^"\\]|\\.)+)|(\\")((?:\\\\\\"|[^"\\]|\\[^"])+)|(')((?s:[^'\\]|\\.)+))"#,
        ))?,
    })
});

/// Replaces the values of Secrets in a text.
pub(super) fn text<'a>(text: Cow<'a, str>, counts: &mut Counts) -> Cow<'a, str> {
    let Some(all) = &*EXPRESSIONS else { return super::withheld(&text, Class::KubernetesSecret, counts) };
    if memmem::find(text.as_bytes(), b"Secret").is_none() || !all.kind.is_match(&text) {
        return text;
    }
    let mut found = 0;
    let step = blocks(&all.yaml, &text, |block| all.block_of_yaml(block, &mut found));
    let step = blocks(&all.json, &step, |block| all.block_of_json(block, &mut found));
    if found == 0 {
        return text;
    }
    counts.add(Class::KubernetesSecret, found);
    Cow::Owned(step)
}

impl Expressions {
    fn block_of_yaml(&self, block: &str, found: &mut u32) -> String {
        let step = replace(&self.line, block, |parts| hide(&parts[1], &parts[2], found));
        replace(&self.continued, &step, |parts| hide(&parts[1], &parts[2], found)).into_owned()
    }

    fn block_of_json(&self, block: &str, found: &mut u32) -> String {
        replace(&self.member, block, |parts| {
            let (open, value) = [(2, 3), (4, 5), (6, 7)]
                .into_iter()
                .find_map(|(open, value)| Some((parts.get(open)?.as_str(), parts.get(value)?.as_str())))
                .unwrap_or_default();
            hide(&format!("{}{open}", &parts[1]), value, found)
        })
        .into_owned()
    }
}

/// Replaces what an expression without groups finds.
fn blocks(regex: &Regex, text: &str, mut by: impl FnMut(&str) -> String) -> String {
    let mut replaced = String::with_capacity(text.len());
    let mut kept = 0;
    for block in regex.find_iter(text) {
        replaced.push_str(text.get(kept..block.start()).unwrap_or_default());
        replaced.push_str(&by(block.as_str()));
        kept = block.end();
    }
    replaced.push_str(text.get(kept..).unwrap_or_default());
    replaced
}

fn replace<'a>(regex: &Regex, text: &'a str, by: impl FnMut(&Captures<'_>) -> String) -> Cow<'a, str> {
    regex.replace_all(text, by)
}

fn hide(before: &str, value: &str, found: &mut u32) -> String {
    if is_marker(value) || matches!(value, "|" | ">" | "|-" | ">-" | "{}") {
        return format!("{before}{value}");
    }
    *found += 1;
    format!("{before}{}", marker(Class::KubernetesSecret))
}

/// Replaces the values of a Secret that is a JSON value itself.
pub(super) fn object(object: &mut Map<String, Value>, counts: &mut Counts) {
    if object.get("kind").and_then(Value::as_str) != Some("Secret") {
        return;
    }
    for name in ["data", "stringData"] {
        let Some(Value::Object(values)) = object.get_mut(name) else { continue };
        for value in values.values_mut() {
            super::hide_string(value, Class::KubernetesSecret, counts);
        }
    }
}

#[cfg(test)]
pub(super) fn compiles() -> bool {
    EXPRESSIONS.is_some()
}

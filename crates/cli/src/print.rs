//! Prints data for programs.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;
use toolset::visible::is_invisible;

use crate::{args::ModelFormat, failure::Failure, outcome::Output};

/// The data in a format for programs. Both formats have the same fields.
pub(crate) fn model(value: &impl Serialize, format: ModelFormat) -> Result<Output, Failure> {
    match format {
        ModelFormat::Json => json(value),
        ModelFormat::Yaml => yaml(value),
    }
    .map(Output::Exact)
}

/// One object, or several as a list: an object with the field `items`.
pub(crate) fn models<T: Serialize>(mut values: Vec<T>, format: ModelFormat) -> Result<Output, Failure> {
    match values.pop() {
        Some(only) if values.is_empty() => model(&only, format),
        last => list(&values.into_iter().chain(last).collect::<Vec<_>>(), format),
    }
}

/// A list: an object with the field `items`.
pub(crate) fn list<T: Serialize>(items: &[T], format: ModelFormat) -> Result<Output, Failure> {
    model(&BTreeMap::from([("items", items)]), format)
}

pub(crate) fn yaml(value: &impl Serialize) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| Failure::input(format!("error: cannot write YAML: {error}")))
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::input(format!("error: cannot write JSON: {error}")))?;
    Ok(escaped(&text) + "\n")
}

/// Writes characters that control a terminal as `\u` and four digits. They can only be in a string, so it stays the same
/// JSON. `serde_json` does this for some of them.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c == '\n' || !is_invisible(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String does not fail.
                _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_character_that_controls_a_terminal_and_is_the_same_data() {
        let value = "a\u{9b}b\u{202e}\u{7f}\u{e0041}\u{1b}\n\"é".to_owned();
        let text = json(&value).unwrap();
        assert!(!text.trim_end().contains(is_invisible), "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }
}

//! Prints data for programs.

use std::collections::BTreeMap;

use serde::Serialize;

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
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::input(format!("error: cannot write JSON: {error}")))?;
    text.push('\n');
    Ok(text)
}

//! `validate`: validates ToolsetConfigs without a cluster and prints one line per problem.

use crate::{
    failure::Failure,
    input::{self, Named, object_name},
    outcome::Outcome,
    text::Text,
};
use serde_json::Value;

/// Validates every ToolsetConfig in the files and ignores other kinds.
pub(crate) fn run(named: Named<'_>) -> Result<Outcome, Failure> {
    let mut problems = Vec::new();
    let mut valid = Vec::new();
    for document in input::documents(named)? {
        let place = &document.place;
        match document.value {
            Err(problem) => problems.push(format!("{place}: {problem}")),
            Ok(value) if document.of_directory && value.get("kind").is_none() => {}
            Ok(value) => {
                for (place, config) in configs(place, &value) {
                    let name = object_name("ToolsetConfig", config);
                    let found = crd_types::validate(config);
                    if found.is_empty() {
                        valid.push(Text::from(format!("{place}: {name} is valid")));
                    }
                    problems.extend(found.iter().map(|problem| format!("{place}: {name}: {problem}")));
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Input(problems));
    }
    if valid.is_empty() {
        return Err(Failure::input("error: the input contains no ToolsetConfig"));
    }
    Ok(Outcome::shown(Text::joined(&valid).ended(), Vec::new()))
}

/// The ToolsetConfigs of a document. A document is one object or a list of objects.
fn configs<'a>(place: &str, value: &'a Value) -> Vec<(String, &'a Value)> {
    let kind = value.get("kind").and_then(Value::as_str).unwrap_or_default();
    if kind.ends_with("List") {
        let items = value.get("items").and_then(Value::as_array).into_iter().flatten();
        return items
            .enumerate()
            .flat_map(|(index, item)| configs(&format!("{place}, item {}", index + 1), item))
            .collect();
    }
    let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let is_config =
        kind == "ToolsetConfig" || api_version.starts_with("toolset.kubernaut.io/") || value.get("kind").is_none();
    if is_config { vec![(place.to_owned(), value)] } else { Vec::new() }
}

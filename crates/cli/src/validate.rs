//! `validate`: the API server's checks without one, one line per problem.

use std::path::PathBuf;

use crate::{
    failure::Failure,
    input::{self, who},
    outcome::Outcome,
};
use serde_json::Value;

/// Checks every ToolsetConfig in the files; other kinds are left alone.
pub fn run(files: &[PathBuf]) -> Result<Outcome, Failure> {
    let mut problems = Vec::new();
    let mut fine = Vec::new();
    for document in input::documents(files)? {
        let place = &document.place;
        match document.value {
            Err(problem) => problems.push(format!("{place}: {problem}")),
            Ok(value) => {
                for (place, config) in configs(place, &value) {
                    let who = who("ToolsetConfig", config);
                    let found = crd_types::validate(config);
                    if found.is_empty() {
                        fine.push(format!("{place}: {who} is valid\n"));
                    }
                    problems.extend(found.iter().map(|problem| format!("{place}: {who}: {problem}")));
                }
            }
        }
    }
    if !problems.is_empty() {
        return Err(Failure::Input(problems));
    }
    if fine.is_empty() {
        return Err(Failure::input("error: the input holds no ToolsetConfig"));
    }
    Ok(Outcome::of(fine.concat()))
}

/// The ToolsetConfigs of a document: itself, or entries of a list.
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
    let ours =
        kind == "ToolsetConfig" || api_version.starts_with("toolset.kubernaut.io/") || value.get("kind").is_none();
    if ours { vec![(place.to_owned(), value)] } else { Vec::new() }
}

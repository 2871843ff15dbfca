//! `validate`: validates ToolsetConfigs without a cluster and prints one line per problem.

use serde::Serialize;
use serde_json::Value;

use crate::{
    args::ModelFormat,
    failure::Failure,
    input::{self, Named, object_name},
    outcome::Outcome,
    print,
    text::Text,
};

/// The exit code if a ToolsetConfig is not valid.
const INVALID: u8 = 1;

/// What was found in one document.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Validated {
    /// The file and the document.
    place: String,
    /// The ToolsetConfig. `None` if the document cannot be read.
    object: Option<String>,
    /// Empty if it is valid.
    problems: Vec<String>,
}

impl Validated {
    /// One line for each problem.
    fn lines(&self) -> impl Iterator<Item = String> {
        let object = self.object.as_ref().map(|object| format!("{object}: ")).unwrap_or_default();
        self.problems.iter().map(move |problem| format!("{}: {object}{problem}", self.place))
    }
}

/// Validates every ToolsetConfig in the files and ignores other kinds.
pub(crate) fn run(named: Named<'_>, format: Option<ModelFormat>) -> Result<Outcome, Failure> {
    let found = validated(named)?;
    let problems: Vec<String> = found.iter().flat_map(Validated::lines).collect();
    if found.is_empty() {
        return Err(Failure::input("error: the input contains no ToolsetConfig"));
    }
    if let Some(format) = format {
        let code = if problems.is_empty() { 0 } else { INVALID };
        return Ok(Outcome::new(print::list(&found, format)?, Vec::new()).with_code(code));
    }
    if !problems.is_empty() {
        return Err(Failure::Input(problems));
    }
    let valid: Vec<Text> = found
        .iter()
        .map(|one| Text::from(format!("{}: {} is valid", one.place, one.object.as_deref().unwrap_or_default())))
        .collect();
    Ok(Outcome::shown(Text::joined(&valid).ended(), Vec::new()))
}

fn validated(named: Named<'_>) -> Result<Vec<Validated>, Failure> {
    let mut found = Vec::new();
    for document in input::documents(named)? {
        let place = document.place;
        match document.value {
            Err(problem) => found.push(Validated { place, object: None, problems: vec![problem] }),
            Ok(value) if document.of_directory && value.get("kind").is_none() => {}
            Ok(value) => found.extend(configs(&place, &value).into_iter().map(|(place, config)| Validated {
                place,
                object: Some(object_name("ToolsetConfig", config)),
                problems: crd_types::validate(config).iter().map(ToString::to_string).collect(),
            })),
        }
    }
    Ok(found)
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

//! Splits a file into documents.

use serde_json::Value;
use serde_saphyr::{Error, budget::BudgetBreach};

/// A document of a file.
pub(crate) struct Document {
    /// The file and the number of the document, for example `services.yaml, document 2`. A file with one document has
    /// no number.
    pub place: String,
    /// The value, or a message that says what is wrong with the document.
    pub value: Result<Value, String>,
    /// Whether it is of a file that the user names by its directory.
    pub of_directory: bool,
}

/// The place and the value of a document, or what is wrong with it.
type Parsed = (String, Result<Value, String>);

/// The documents of a file that are not empty.
pub(super) fn split(file: &str, text: &str, of_directory: bool) -> Vec<Document> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // JSON is also YAML, but the JSON parser is much faster and its messages are about JSON.
    let looks_like_json = text.trim_start().starts_with(['{', '[']) && !text.lines().any(|line| is_marker(line, "---"));
    let documents = if looks_like_json { json(file, text) } else { None };
    let documents = documents.unwrap_or_else(|| yaml(file, text));
    documents.into_iter().map(|(place, value)| Document { place, value, of_directory }).collect()
}

/// Parses a stream of JSON values. Returns `None` if the text is YAML in flow style, which starts like JSON.
fn json(file: &str, text: &str) -> Option<Vec<Parsed>> {
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let values = match values {
        Ok(values) => values,
        Err(error) => {
            return match parse_yaml(text, 0) {
                Ok(_) => None,
                Err(Problem::Limit(limit)) => Some(vec![(file.to_owned(), Err(limit))]),
                Err(Problem::Syntax(_)) => Some(vec![(file.to_owned(), Err(format!("not valid JSON: {error}")))]),
            };
        }
    };
    let several = values.len() > 1;
    let place = |index: usize| if several { format!("{file}, document {}", index + 1) } else { file.to_owned() };
    let checked = |value: Value| if is_deeper(&value, MAX_DEPTH) { Err(too_deep()) } else { Ok(value) };
    Some(values.into_iter().enumerate().map(|(index, value)| (place(index), checked(value))).collect())
}

/// Parses YAML documents. In YAML, `---` and `...` at the start of a line always separate documents.
fn yaml(file: &str, text: &str) -> Vec<Parsed> {
    let mut parts: Vec<(usize, String)> = vec![(0, String::new())];
    for (number, line) in text.lines().enumerate() {
        if is_marker(line, "---") {
            // The rest of the line is a part of the document.
            parts.push((number, line[3..].to_owned() + "\n"));
        } else if is_marker(line, "...") {
            parts.push((number + 1, String::new()));
        } else if let Some((_, part)) = parts.last_mut() {
            part.push_str(line);
            part.push('\n');
        }
    }
    parts.retain(|(_, part)| !is_empty(part));
    let several = parts.len() > 1;
    let mut documents = Vec::new();
    for (index, (line, part)) in parts.into_iter().enumerate() {
        let place = if several { format!("{file}, document {}", index + 1) } else { file.to_owned() };
        match parse_yaml(&part, line) {
            Ok(Value::Null) => {}
            Ok(value) => documents.push((place, Ok(value))),
            // Kubernetes has no such syntax, and the templates of a chart are not objects yet.
            Err(Problem::Syntax(problem)) if part.contains("{{") => {
                let advice = "if this is a template of a Helm chart, pass the output of helm template instead";
                documents.push((place, Err(format!("{problem}; {advice}"))));
            }
            Err(Problem::Syntax(problem) | Problem::Limit(problem)) => documents.push((place, Err(problem))),
        }
    }
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

/// Whether a document has only blank lines, comments and directives.
fn is_empty(part: &str) -> bool {
    part.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with(['#', '%']))
}

/// The most levels of a document. Objects of Kubernetes have about 20, and schemas in its CRDs about 50.
const MAX_DEPTH: usize = 64;

/// How many values aliases may stand for.
const MAX_EXPANDED: usize = 100_000;

/// How much text aliases may stand for.
const MAX_EXPANDED_BYTES: usize = 64 * 1024 * 1024;

/// Why a document cannot be parsed.
#[derive(Debug)]
enum Problem {
    Syntax(String),
    /// It is too deep, or its aliases stand for too much.
    Limit(String),
}

/// Parses one document. `first` is the number of lines before `text` in its file.
fn parse_yaml(text: &str, first: usize) -> Result<Value, Problem> {
    let options = serde_saphyr::options! {
        // The Services of a cluster exceed the default budget. The depth and the aliases stay limited.
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: text.len() + MAX_EXPANDED_BYTES,
            max_recorded_anchor_events: MAX_EXPANDED,
            enforce_alias_anchor_ratio: false,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_EXPANDED },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location().map(|location| (location.line() + first as u64, location.column()));
        let place = place.filter(|(line, _)| *line > 0);
        let at = place.map(|(line, column)| format!("line {line}, column {column}: ")).unwrap_or_default();
        let error = error.without_snippet();
        if let Some(limit) = limit(error) {
            return Problem::Limit(format!("{at}{limit}"));
        }
        let message = error.to_string();
        let message = message.lines().next().unwrap_or_default();
        Problem::Syntax(format!("{at}not valid YAML: {}", without_place(message)))
    })
}

fn too_deep() -> String {
    format!("the document has more than {MAX_DEPTH} levels")
}

/// Whether a value has more levels. The parser allows 128.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let within = |value: &Value| is_deeper(value, levels - 1);
    match value {
        Value::Array(values) => levels == 0 || values.iter().any(within),
        Value::Object(fields) => levels == 0 || fields.values().any(within),
        _ => false,
    }
}

/// The limit that the document exceeds.
fn limit(error: &Error) -> Option<String> {
    match error {
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => Some(too_deep()),
        Error::AliasError { error, .. } => limit(error),
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            Some("the aliases of the document stand for too many values".to_owned())
        }
        _ => None,
    }
}

/// Removes the line number from a message of the parser, because it counts from the start of the document.
fn without_place(message: &str) -> &str {
    message.split_once(" at line ").map_or(message, |(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::{
        super::object::{self, Kinds},
        *,
    };

    fn nested(levels: usize) -> String {
        format!("{}1{}\n", "{a: ".repeat(levels), "}".repeat(levels))
    }

    fn first(text: &str) -> Result<Value, String> {
        split("a.yaml", text, false).swap_remove(0).value
    }

    /// A ToolsetConfig with so many levels in a field that does not exist.
    fn config(levels: usize) -> [String; 3] {
        let head = "apiVersion: toolset.kubernaut.io/v1alpha1\nkind: ToolsetConfig\nmetadata: {name: a}\nspec:\n";
        let head_json = r#"{"apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig", "metadata": {"name": "a"}, "spec": "#;
        let inner = levels - 1;
        [
            format!("{head}  a: {}", nested(inner - 1)),
            head.to_owned()
                + &(1..inner).map(|level| "  ".repeat(level) + "a:\n").collect::<String>()
                + &"  ".repeat(inner)
                + "- a\n",
            format!("{head_json}{}1{}}}", "{\"a\": ".repeat(inner), "}".repeat(inner)),
        ]
    }

    #[test]
    fn the_deepest_document_fits_the_stack_of_a_thread() {
        for text in config(MAX_DEPTH) {
            let value = first(&text).unwrap();
            assert!(object::read(value, &mut Kinds::default()).is_err(), "it has an unknown field");
        }
    }

    #[test]
    fn a_document_with_more_levels_is_an_error() {
        for levels in [MAX_DEPTH + 1, 100, 128] {
            let [flow, blocks, json] = config(levels);
            for text in [flow, blocks, json, "- ".repeat(levels) + "a"] {
                let problem = first(&text).unwrap_err();
                assert!(problem.ends_with("the document has more than 64 levels"), "{problem}");
            }
        }
        for levels in [1_000, 100_000] {
            for text in [nested(levels), "- ".repeat(levels) + "a", "[".repeat(levels), "{\"a\":".repeat(levels)] {
                first(&text).unwrap_err();
            }
        }
    }

    #[test]
    fn aliases_cannot_make_a_document_large() {
        let tenfold = |n: usize| format!("a{n}: &a{n} [{}]\n", vec![format!("*a{}", n - 1); 10].join(", "));
        let bomb: String = (1..12).map(tenfold).collect();
        let problem = first(&format!("a0: &a0 [x]\n{bomb}")).unwrap_err();
        assert_eq!(problem, "line 6, column 15: the aliases of the document stand for too many values");
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), "*a, ".repeat(50_000));
        let problem = first(&long).unwrap_err();
        assert!(problem.ends_with("the aliases of the document stand for too many values"), "{problem}");
        let usual = format!("a: &a {{k: v}}\nb: [{}]\n", "*a, ".repeat(1_000));
        assert!(first(&usual).is_ok());
    }
}

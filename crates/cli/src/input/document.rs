//! Splits a file into documents.

use serde_json::Value;

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
        Err(_) if parse_yaml(text, 0).is_ok() => return None,
        Err(error) => {
            return Some(vec![(file.to_owned(), Err(format!("not valid JSON: {error}")))]);
        }
    };
    let several = values.len() > 1;
    let place = |index: usize| if several { format!("{file}, document {}", index + 1) } else { file.to_owned() };
    Some(values.into_iter().enumerate().map(|(index, value)| (place(index), Ok(value))).collect())
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
            Err(problem) if part.contains("{{") => {
                let advice = "if this is a template of a Helm chart, pass the output of helm template instead";
                documents.push((place, Err(format!("{problem}; {advice}"))));
            }
            Err(problem) => documents.push((place, Err(problem))),
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

/// Parses one document. `first` is the number of lines before `text` in its file.
fn parse_yaml(text: &str, first: usize) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        // The Services of a cluster exceed the default budget. Aliases stay limited.
        budget: None,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map(|location| (location.line() + first as u64, location.column()));
        let message = error.without_snippet().to_string();
        let message = message.lines().next().unwrap_or_default();
        match at {
            Some((line, column)) if line > 0 => {
                format!("line {line}, column {column}: not valid YAML: {}", without_place(message))
            }
            _ => format!("not valid YAML: {message}"),
        }
    })
}

/// Removes the line number from a message of the parser, because it counts from the start of the document.
fn without_place(message: &str) -> &str {
    message.split_once(" at line ").map_or(message, |(text, _)| text)
}

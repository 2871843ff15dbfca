//! A file's documents: where each begins, and its value or what is wrong with it.

use serde_json::Value;

/// One document of a file.
pub struct Document {
    /// File and document, in words, e.g. `services.yaml, document 2`; without a number in a file of one document.
    pub place: String,
    /// What it holds, or what is wrong with it, in words.
    pub value: Result<Value, String>,
}

/// The documents of a file that are not empty.
pub fn split(file: &str, text: &str) -> Vec<Document> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // JSON is YAML too, but its own reader is much faster and complains in its own words.
    let looks_like_json = text.trim_start().starts_with(['{', '[']) && !text.lines().any(|line| is_marker(line, "---"));
    let documents = if looks_like_json { json(file, text) } else { None };
    documents.unwrap_or_else(|| yaml(file, text))
}

/// A stream of JSON values; `None` if it is something else that begins like one (YAML's flow style).
fn json(file: &str, text: &str) -> Option<Vec<Document>> {
    let values: Result<Vec<Value>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let values = match values {
        Ok(values) => values,
        Err(_) if parse_yaml(text, 0).is_ok() => return None,
        Err(error) => {
            return Some(vec![Document { place: file.to_owned(), value: Err(format!("not valid JSON: {error}")) }]);
        }
    };
    let several = values.len() > 1;
    let place = |index: usize| if several { format!("{file}, document {}", index + 1) } else { file.to_owned() };
    Some(
        values
            .into_iter()
            .enumerate()
            .map(|(index, value)| Document { place: place(index), value: Ok(value) })
            .collect(),
    )
}

/// YAML documents. `---` and `...` at the beginning of a line can stand nowhere but between documents.
fn yaml(file: &str, text: &str) -> Vec<Document> {
    let mut parts: Vec<(usize, String)> = vec![(0, String::new())];
    for (number, line) in text.lines().enumerate() {
        if is_marker(line, "---") {
            // What follows the marker on its line belongs to the document.
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
            Ok(value) => documents.push(Document { place, value: Ok(value) }),
            Err(problem) => documents.push(Document { place, value: Err(problem) }),
        }
    }
    documents
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r']))
}

/// Nothing but blanks, comments and directives.
fn is_empty(part: &str) -> bool {
    part.lines().map(str::trim).all(|line| line.is_empty() || line.starts_with(['#', '%']))
}

/// `first` is the number of lines before `text` in its file, for the messages.
fn parse_yaml(text: &str, first: usize) -> Result<Value, String> {
    let options = serde_saphyr::options! {
        // A cluster's Services are more nodes than the usual budget allows; aliases stay limited.
        budget: None,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let at = error.location().map(|location| (location.line() + first as u64, location.column()));
        let said = error.without_snippet().to_string();
        let said = said.lines().next().unwrap_or_default();
        match at {
            Some((line, column)) if line > 0 => {
                format!("line {line}, column {column}: not valid YAML: {}", without_place(said))
            }
            _ => format!("not valid YAML: {said}"),
        }
    })
}

/// The reader's message without the place in it, which counts from the beginning of the document.
fn without_place(message: &str) -> &str {
    message.split_once(" at line ").map_or(message, |(said, _)| said)
}

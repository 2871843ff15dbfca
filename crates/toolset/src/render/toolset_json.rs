//! Format `ToolsetJSON`, for readers of the predecessor. All six fields are required and not empty, and types are in
//! lower case.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::tool::Tool;

#[derive(Serialize)]
struct File<'a> {
    tools: Vec<JsonTool<'a>>,
}

#[derive(Serialize)]
struct JsonTool<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    type_: String,
    endpoint: String,
    description: String,
    namespace: &'a str,
    metadata: BTreeMap<&'static str, String>,
}

/// The namespace of a tool that is not a Service, because the field may not be empty.
const OUTSIDE: &str = "external";

/// The file, sorted by namespace and name, with a final newline.
pub(super) fn render(tools: &[Tool]) -> String {
    let mut entries: Vec<JsonTool<'_>> = tools.iter().map(entry).collect();
    entries.sort_by(|a, b| (a.namespace, a.name).cmp(&(b.namespace, b.name)));
    // This cannot fail, because it holds only strings and maps of strings.
    let mut text = serde_json::to_string_pretty(&File { tools: entries }).unwrap_or_default();
    text.push('\n');
    text
}

fn entry(tool: &Tool) -> JsonTool<'_> {
    let mut metadata =
        BTreeMap::from([("trust", tool.trust.as_str().to_owned()), ("confidence", tool.confidence.to_string())]);
    if !tool.source.is_empty() {
        metadata.insert("source", tool.source.clone());
    }
    if let Some(path) = &tool.health_path {
        metadata.insert("healthEndpoint", format!("{}{path}", tool.endpoint.origin()));
    }
    JsonTool {
        name: &tool.name,
        type_: tool.type_name().to_ascii_lowercase(),
        endpoint: tool.endpoint.to_string(),
        description: tool.description.clone().unwrap_or_else(|| description(tool)),
        namespace: tool.key.as_ref().map_or(OUTSIDE, |key| &key.namespace),
        metadata,
    }
}

/// A fixed description. Of a Service it holds only the name and namespace, which are checked.
fn description(tool: &Tool) -> String {
    match &tool.key {
        Some(key) => format!("{} ({} in namespace {})", tool.type_name(), key.name, key.namespace),
        None => format!("{} {}", tool.type_name(), tool.name),
    }
}

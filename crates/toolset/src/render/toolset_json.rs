//! Format `ToolsetJSON`, for readers of the predecessor. All six fields are required and not empty, and types are in
//! lower case.

use std::collections::BTreeMap;

use crd_types::Trust;
use detectors::Product;
use serde::Serialize;
use serde_json::Value;

use crate::{listed_tool::ListedTool, tool::Tool};

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

/// Rewrites a file without the tools that `keeps` is false for.
///
/// Fails if it is not such a file.
pub(crate) fn retain(
    text: &str,
    cluster_domain: &str,
    keeps: &mut dyn FnMut(&ListedTool) -> bool,
) -> Result<String, String> {
    let mut file: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let tools = file.get_mut("tools").and_then(Value::as_array_mut).ok_or("it has no list of tools")?;
    let before = tools.len();
    tools.retain(|tool| listed(tool, cluster_domain).is_none_or(|listed| keeps(&listed)));
    if tools.len() == before {
        // What is unchanged is not written in another way.
        return Ok(text.to_owned());
    }
    let text = serde_json::to_string_pretty(&file).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn listed(tool: &Value, cluster_domain: &str) -> Option<ListedTool> {
    let url = tool.get("endpoint")?.as_str()?;
    let type_ = tool.get("type")?.as_str()?;
    let trust = tool.pointer("/metadata/trust").and_then(Value::as_str);
    Some(ListedTool {
        key: ListedTool::service_of(url, cluster_domain),
        url: url.to_owned(),
        types: vec![match type_.parse() {
            Ok(product) => (product, None),
            Err(()) => (Product::Custom, Some(type_.to_owned())),
        }],
        trust: trust.and_then(|trust| Trust::ALL.iter().copied().find(|one| one.as_str() == trust)),
        credentials: false,
    })
}

/// A fixed description. Of a Service it holds only the name and namespace, which are checked.
fn description(tool: &Tool) -> String {
    match &tool.key {
        Some(key) => format!("{} ({} in namespace {})", tool.type_name(), key.name, key.namespace),
        None => format!("{} {}", tool.type_name(), tool.name),
    }
}

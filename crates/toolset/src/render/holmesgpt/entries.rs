//! Entries for single tools: `type: http` for what has no toolset in the agent and for everything from a Tenant, and
//! `mcp_servers`.

use crd_types::{State, Trust};

use super::{
    credentials::{self, Placed},
    http_api::{self, HttpApi},
    text,
    toolsets::Toolset,
};
use crate::{
    endpoint::Endpoint,
    tool::{Note, Tool},
    yaml::Block,
};

/// An entry of `toolsets` with `type: http`. It allows only GET, and only paths that answer queries.
pub(super) fn http(tool: &Tool, name: &str, notes: &mut Vec<Note>) -> Block {
    let api = http_api::of(tool.product);
    let endpoint = &tool.endpoint;
    // A Tenant's entry allows only the queries of its product, whatever the spec says.
    let paths: Vec<String> = if tool.settings.paths.is_empty() || tool.trust == Trust::Tenant {
        let root = api.root(&endpoint.path);
        api.paths.iter().map(|path| format!("{root}{path}")).collect()
    } else {
        tool.settings.paths.iter().map(|path| below(endpoint, path)).collect()
    };
    let mut call =
        Block::new().with("hosts", vec![endpoint.origin()]).with("paths", paths).with("methods", vec!["GET"]);
    if let Some(Placed::Auth(auth)) = credentials::place(Toolset::Http, tool, notes) {
        call.set("auth", auth);
    }
    if let Some(url) = check_url(tool, api) {
        call.set("health_check_url", url);
    }
    let mut config = Block::new().with("endpoints", vec![call]);
    if let Some((map, name, value)) = credentials::tenant(Toolset::Http, tool) {
        config.set_within(map, name, value);
    }
    if tool.settings.verify_tls == Some(State::Disabled) {
        config.set("verify_ssl", false);
    }
    if let Some(seconds) = tool.settings.timeout_seconds {
        config.set("timeout_seconds", seconds);
    }
    Block::new()
        .with("type", "http")
        .with("enabled", true)
        .with("description", described(tool, notes))
        .with("config", config)
        .with("llm_instructions", text::usage(tool, name, notes))
}

/// An entry of `mcp_servers`.
pub(super) fn mcp(tool: &Tool, notes: &mut Vec<Note>) -> Block {
    // SSE is the older one of the two transports. By convention its path ends in /sse, which the agent appends in that
    // mode.
    let mode = if tool.endpoint.path.ends_with("/sse") { "sse" } else { "streamable-http" };
    let mut config = Block::new().with("mode", mode).with("url", tool.endpoint.to_string());
    if let Some(Placed::Header { map, name, value }) = credentials::place(Toolset::Mcp, tool, notes) {
        config.set_within(map, name, value);
    }
    if tool.settings.verify_tls == Some(State::Disabled) {
        config.set("verify_ssl", false);
    }
    let mut entry =
        Block::new().with("enabled", true).with("description", described(tool, notes)).with("config", config);
    if let Some(said) = text::instructions(tool, notes) {
        entry.set("llm_instructions", said.to_owned());
    }
    entry
}

/// The description. A Tenant's entry always says that it is one, also if an override describes it.
fn described(tool: &Tool, notes: &mut Vec<Note>) -> String {
    let fixed = text::fixed_line(tool);
    match text::line(tool, notes) {
        Some(said) if tool.trust == Trust::Tenant => format!("{fixed}. {said}"),
        Some(said) => said.to_owned(),
        None => fixed,
    }
}

/// A path from the settings, below the endpoint's own path.
fn below(endpoint: &Endpoint, path: &str) -> String {
    let prefix = endpoint.path.as_str();
    let is_below =
        path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || rest.starts_with('*'));
    if prefix.is_empty() || is_below { path.to_owned() } else { format!("{prefix}{path}") }
}

/// The URL that the agent calls before it offers the tool. A Tenant's entry has none, because the agent puts the answer
/// of a failed check into its prompt, and the tenant's server would write it. A path that somebody named starts at the host's root, as in
/// a full URL. A product's own path starts at the endpoint's path.
fn check_url(tool: &Tool, api: &HttpApi) -> Option<String> {
    if tool.trust == Trust::Tenant {
        return None;
    }
    match (&tool.health_path, api.check) {
        (Some(path), _) => Some(format!("{}{path}", tool.endpoint.origin())),
        (None, Some(path)) => Some(format!("{}{}{path}", tool.endpoint.origin(), api.root(&tool.endpoint.path))),
        (None, None) => None,
    }
}

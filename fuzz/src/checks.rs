//! What holds for every output.

use std::collections::BTreeSet;

use crd_types::{ToolsetConfig, Trust};
use serde_json::Value;
use toolset::{Plan, Rendered, Tool, checked, visible::is_invisible};
use url::{Host, Url};

use crate::{Outcome, words};

/// The most bytes of an output.
const MAX_BYTES: usize = 512 * 1024;

/// Every string of a value, keys included.
pub fn strings<'v>(value: &'v Value, each: &mut impl FnMut(&'v str)) {
    match value {
        Value::String(text) => each(text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, each)),
        Value::Object(fields) => {
            for (key, item) in fields {
                each(key);
                strings(item, each);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The URLs in a text, each up to a character that ends one.
fn urls(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("://").map(|(at, _)| {
        let start = text[..at]
            .rfind(|c: char| !c.is_ascii_alphabetic())
            .map_or(0, |before| before + text[before..].chars().next().map_or(1, char::len_utf8));
        let rest = &text[start..];
        &rest[..rest.find(|c: char| c.is_whitespace() || "\"'<>,;)".contains(c)).unwrap_or(rest.len())]
    })
}

/// Whether the URL calls the tool: with its scheme, host and port, at or below its path, and with nothing else.
fn calls(url: &Url, tool: &Tool) -> bool {
    let endpoint = &tool.endpoint;
    let host = match url.host() {
        Some(Host::Domain(host)) => host == endpoint.host,
        Some(Host::Ipv4(address)) => address.to_string() == endpoint.host,
        _ => false,
    };
    host && url.scheme() == endpoint.scheme.as_str()
        && url.port_or_known_default() == Some(endpoint.port)
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
}

/// Whether an endpoint of a Service is its own and nothing else.
pub fn endpoint_is_own(tool: &Tool, domain: &str) -> Outcome {
    let endpoint = &tool.endpoint;
    if let Some(key) = &tool.key {
        let own = format!("{}.{}.svc.{domain}", key.name, key.namespace);
        check!(endpoint.host == own, "the tool of {key} calls {}", endpoint.host);
    }
    check!(
        checked::path_prefix(&endpoint.path).as_ref() == Ok(&endpoint.path),
        "the path {:?} is no checked one",
        endpoint.path
    );
    let text = endpoint.to_string();
    let url = Url::parse(&text).ok();
    check!(url.as_ref().is_some_and(|url| calls(url, tool) && url.query().is_none()), "{text} is read as {url:?}");
    Ok(())
}

/// What holds for a plan and its output. `from_base` tells that the output also holds what a user wrote.
pub fn output(config: &ToolsetConfig, domain: &str, plan: &Plan, rendered: &Rendered, from_base: bool) -> Outcome {
    for tool in &plan.tools {
        endpoint_is_own(tool, domain)?;
        check!(
            tool.trust == Trust::Trusted || tool.credentials.is_none() && tool.tenant_id.is_none(),
            "the tool {} of a tenant has credentials or a tenant ID",
            tool.name
        );
    }
    check!(
        plan.tools.iter().filter(|tool| tool.key.is_some()).count() + plan.rejected.len() == plan.candidates_total,
        "a candidate is neither a tool nor rejected"
    );
    check!(plan.rejected.iter().all(|rejection| !rejection.message.is_empty()), "a rejection has no message");
    check!(rendered.bytes <= MAX_BYTES, "the output has {} bytes", rendered.bytes);
    for (key, text) in &rendered.data {
        let read: Value = if key.contains('.') {
            let read = serde_saphyr::from_str(text);
            check!(read.is_ok() || from_base, "{key} is not YAML: {text}");
            read.unwrap_or_default()
        } else {
            Value::String(text.to_string())
        };
        if from_base {
            continue;
        }
        written(config, plan, key, text, &read)?;
    }
    Ok(())
}

/// What holds for one file that holds nothing but the operator's own entries.
fn written(config: &ToolsetConfig, plan: &Plan, key: &str, text: &str, read: &Value) -> Outcome {
    for forbidden in [words::TAINT, words::MARK, words::SECRET, "evil.example", "${", "{%", "$(", "`"] {
        check!(!text.contains(forbidden), "{key} has {forbidden:?}: {text}");
    }
    check!(
        text.chars().all(|c| matches!(c, '\n' | '\t') || !is_invisible(c)),
        "{key} has a control character: {text:?}"
    );
    // The spec and the predecessor's overrides describe tools in the words of the platform, which can contain a URL.
    let of_platform = plan.tools.iter().filter_map(|tool| tool.description.as_deref());
    let of_platform: Vec<&str> = of_platform.filter(|description| description.contains("://")).collect();
    let mut broken = None;
    strings(read, &mut |text| {
        let text = &of_platform.iter().fold(text.to_owned(), |text, description| text.replace(description, ""));
        let foreign = |url: &&str| !Url::parse(url).is_ok_and(|url| plan.tools.iter().any(|tool| calls(&url, tool)));
        if let Some(url) = urls(text).find(foreign) {
            broken.get_or_insert_with(|| format!("{key} has the URL {url}, which calls no tool of the plan"));
        }
        for (at, _) in text.match_indices("{{") {
            let name = text[at..].strip_prefix("{{ env.").and_then(|rest| rest.split_once(" }}")).map(|(name, _)| name);
            if !name.is_some_and(|name| is_named(config, name)) {
                broken.get_or_insert_with(|| format!("{key} expands {text:?}"));
            }
        }
    });
    check!(broken.is_none(), "{}: {text}", broken.unwrap_or_default());
    tenants_are_alone(plan, key, read)
}

/// Whether the spec names this variable of the agent.
fn is_named(config: &ToolsetConfig, name: &str) -> bool {
    let overrides = config.spec.overrides.iter().filter_map(|rule| rule.credentials.as_ref());
    let tools = config.spec.tools.iter().filter_map(|tool| tool.credentials.as_ref());
    overrides.chain(tools).any(|all| all.env == name || all.username_env.as_deref() == Some(name))
}

/// An entry that names a tenant's host is of that tenant alone: no Trusted tool is in it, nor anything that the agent
/// would expand, nor a check whose answer would reach the prompt.
fn tenants_are_alone(plan: &Plan, key: &str, read: &Value) -> Outcome {
    let origins = |trust| -> BTreeSet<String> {
        plan.tools
            .iter()
            .filter(|tool| tool.trust == trust)
            .map(|tool| format!("{}://{}:", tool.endpoint.scheme, tool.endpoint.host))
            .collect()
    };
    let (trusted, tenants) = (origins(Trust::Trusted), origins(Trust::Tenant));
    let sections = read.as_object().into_iter().flatten();
    let entries = sections.filter_map(|(_, section)| section.as_object()).flatten();
    for (name, entry) in entries {
        let text = entry.to_string();
        let Some(tenant) = tenants.iter().find(|origin| text.contains(origin.as_str())) else { continue };
        check!(
            !trusted.iter().any(|origin| text.contains(origin.as_str())),
            "entry {name} of {key} has {tenant} and a Trusted tool: {text}"
        );
        check!(
            !text.contains("{{") && !text.contains("health_check_url"),
            "entry {name} of {key} gives {tenant} too much: {text}"
        );
        check!(entry["type"] == "http", "entry {name} of {key} gives {tenant} a toolset of the agent: {text}");
        check!(!text.contains("X-Scope-OrgID"), "entry {name} of {key} gives {tenant} a tenant ID: {text}");
    }
    Ok(())
}

/// What the files and the status say about Trusted tools, word for word.
pub fn about_trusted(plan: &Plan, rendered: &Rendered) -> Vec<String> {
    let trusted: Vec<_> = plan.tools.iter().filter(|tool| tool.trust == Trust::Trusted).collect();
    let hosts: Vec<String> = trusted.iter().map(|tool| tool.endpoint.origin()).collect();
    let mut all: Vec<String> = trusted.iter().map(|tool| format!("{tool:?}")).collect();
    let rejected = plan.rejected.iter().filter(|rejection| rejection.trust == Trust::Trusted);
    all.extend(rejected.map(|rejection| format!("{rejection:?}")));
    for (key, text) in &rendered.data {
        if !key.contains('.') {
            all.push(format!("{key}={text}"));
            continue;
        }
        let file: Value = serde_saphyr::from_str(text).unwrap_or_default();
        for (section, value) in file.as_object().into_iter().flatten() {
            let entries: Vec<String> = match value {
                Value::Array(entries) => entries.iter().map(ToString::to_string).collect(),
                Value::Object(entries) => entries.iter().map(|(name, entry)| format!("{name}: {entry}")).collect(),
                other => vec![other.to_string()],
            };
            let of_trusted = entries.into_iter().filter(|entry| hosts.iter().any(|host| entry.contains(host.as_str())));
            all.extend(of_trusted.map(|entry| format!("{section} {entry}")));
        }
    }
    all
}

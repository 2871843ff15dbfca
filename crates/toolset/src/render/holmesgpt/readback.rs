//! Reads the tools of a written file back, and removes some of them. Everything else stays as it is written.

use crd_types::Trust;
use detectors::Product;

use super::{
    base::{self, URL_FIELDS},
    text::TENANT_PROVIDED,
    toolsets::Toolset,
    write_file,
};
use crate::{
    listed_tool::ListedTool,
    yaml::{Block, Key, Node},
};

/// Rewrites a file without the tools that `keeps` is false for.
///
/// Fails if the file cannot be read.
pub(crate) fn retain(
    text: &str,
    cluster_domain: &str,
    keeps: &mut dyn FnMut(&ListedTool) -> bool,
) -> Result<String, String> {
    let file = base::parse_within(text, usize::MAX)?;
    let (mut toolsets, mut servers) = (file.toolsets().clone(), file.servers().clone());
    let mut removed = false;
    let mut keeps = |listed: &ListedTool| {
        let kept = keeps(listed);
        removed |= !kept;
        kept
    };
    toolsets.retain(|name, entry| match shared(name.as_str()) {
        Some(toolset) => retain_instances(toolset, entry, cluster_domain, &mut keeps),
        None => alone(name, entry, cluster_domain).is_none_or(|listed| keeps(&listed)),
    });
    servers.retain(|_, entry| server(entry, cluster_domain).is_none_or(|listed| keeps(&listed)));
    // What is unchanged is not written in another way.
    if removed { Ok(write_file(toolsets, servers)) } else { Ok(text.to_owned()) }
}

fn shared(name: &str) -> Option<Toolset> {
    Toolset::SHARED.into_iter().find(|toolset| toolset.entries().contains(&name))
}

/// Removes instances. False if none is left.
fn retain_instances(
    toolset: Toolset,
    entry: &mut Block,
    cluster_domain: &str,
    keeps: &mut dyn FnMut(&ListedTool) -> bool,
) -> bool {
    let types: Vec<_> = Product::ALL
        .iter()
        .filter(|product| Toolset::of(**product, Trust::Trusted) == toolset)
        .map(|product| (*product, None))
        .collect();
    let Some(Node::Map(config)) = entry.get("config") else { return true };
    let Some(Node::List(instances)) = config.get("instances") else { return true };
    let mut left = instances.clone();
    left.retain(|instance| {
        let Some(instance) = instance.as_map() else { return true };
        let url = URL_FIELDS.iter().find_map(|field| instance.get(field)?.as_text());
        let listed = |url: &str| ListedTool {
            key: ListedTool::service_of(url, cluster_domain),
            url: url.to_owned(),
            types: types.clone(),
            trust: None,
            credentials: has_credentials(instance),
        };
        url.is_none_or(|url| {
            let listed = listed(url);
            // Only a Trusted Service is an instance.
            keeps(&ListedTool { trust: listed.key.as_ref().map(|_| Trust::Trusted), ..listed })
        })
    });
    if left.len() == instances.len() {
        return true;
    }
    let mut config = config.clone();
    let any = !left.is_empty();
    config.set("instances", Node::List(left));
    entry.set("config", config);
    any
}

/// An entry of `type: http`. `None` if it is no tool of ours.
fn alone(name: &Key, entry: &Block, cluster_domain: &str) -> Option<ListedTool> {
    let Some(Node::List(endpoints)) = entry.get("config")?.as_map()?.get("endpoints") else { return None };
    let call = endpoints.first()?.as_map()?;
    let Some(Node::List(hosts)) = call.get("hosts") else { return None };
    let url = hosts.first()?.as_text()?;
    let key = ListedTool::service_of(url, cluster_domain);
    let tenant = entry.get("description").and_then(Node::as_text).is_some_and(|text| text.starts_with(TENANT_PROVIDED));
    let types = key.as_ref().map(|key| {
        let suffix = format!("-{}-{}", key.namespace, key.name);
        types_of(name.as_str().strip_suffix(&suffix))
    });
    Some(ListedTool {
        trust: key.as_ref().map(|_| if tenant { Trust::Tenant } else { Trust::Trusted }),
        types: types.unwrap_or_default(),
        url: url.to_owned(),
        credentials: has_credentials(call),
        key,
    })
}

/// The types of an entry whose name begins with `prefix`. Every type if the name does not say it.
fn types_of(prefix: Option<&str>) -> Vec<(Product, Option<String>)> {
    match prefix.map(|prefix| (prefix, prefix.parse::<Product>())) {
        Some((_, Ok(product))) => vec![(product, None)],
        Some((prefix, Err(()))) => vec![(Product::Custom, Some(prefix.to_owned()))],
        None => Product::ALL.iter().map(|product| (*product, None)).collect(),
    }
}

fn server(entry: &Block, cluster_domain: &str) -> Option<ListedTool> {
    let config = entry.get("config")?.as_map()?;
    let url = config.get("url")?.as_text()?;
    let key = ListedTool::service_of(url, cluster_domain);
    Some(ListedTool {
        trust: key.as_ref().map(|_| Trust::Trusted),
        url: url.to_owned(),
        types: vec![(Product::MCP, None)],
        credentials: has_credentials(config),
        key,
    })
}

/// Whether a variable of the agent's environment is in it.
fn has_credentials(block: &Block) -> bool {
    block.iter().any(|(_, node)| node_has_credentials(node))
}

fn node_has_credentials(node: &Node) -> bool {
    match node {
        Node::Map(block) => has_credentials(block),
        Node::List(list) => list.iter().any(node_has_credentials),
        other => other.as_text().is_some_and(|text| text.contains("{{ env.")),
    }
}

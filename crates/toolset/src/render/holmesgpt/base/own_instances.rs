//! The base file's part of a toolset that also holds discovered tools.

use crate::{
    render::holmesgpt::toolsets::Toolset,
    yaml::{self, Block, Node},
};

/// The base file's part of a shared toolset, to be merged with the tools of ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::render::holmesgpt) struct OwnInstances {
    /// Its fields beside `enabled` and `config`.
    pub fields: Block,
    /// Its instances, each with everything that it inherits. They come after ours.
    pub instances: Vec<Block>,
}

/// Groups of fields that exclude each other. An instance inherits either all or none of a group from the fields beside
/// `instances`. This is the agent's rule. We follow it so that credentials do not leak between the user's instances and
/// ours.
const INHERITED_TOGETHER: [&[&str]; 2] =
    [&["api_key", "username", "password", "bearer_token"], &["client_cert", "client_key"]];

/// The fields that can hold an instance's URL, old names included.
const URL_FIELDS: [&str; 3] = ["prometheus_url", "api_url", "url"];

/// The most bytes that all instances of a toolset inherit together. A small file could otherwise become an output that
/// the API server refuses.
const MAX_INHERITED: usize = 64 * 1024;

impl OwnInstances {
    /// Splits an entry. What cannot be merged with ours is added to `problems`.
    pub(in crate::render::holmesgpt) fn of(
        toolset: Toolset,
        name: &str,
        entry: Option<&Block>,
        problems: &mut Vec<String>,
    ) -> Self {
        let Some(entry) = entry else { return Self::default() };
        let mut fields = entry.clone();
        let enabled = fields.remove("enabled");
        let config = fields.remove("config");
        let mut own = Self { fields, instances: Vec::new() };
        match enabled.as_ref().map(is_on) {
            Some(Some(true)) => {}
            Some(Some(false)) => {
                problems.push(format!(
                    "toolset {name:?} is disabled in the base file, but the operator enables it, because it discovered tools for it. To keep it disabled, disable it in spec.baseline or spec.detectors"
                ));
                return own;
            }
            Some(None) => {
                problems.push(format!(
                    "toolset {name:?} has an invalid value in enabled, so its config is omitted. Set enabled to true or false"
                ));
                return own;
            }
            None => return own,
        }
        let config = match config {
            Some(Node::Map(config)) if !config.is_empty() => config,
            _ => return own,
        };
        let mut shared = config.clone();
        let listed = match shared.remove("instances") {
            Some(Node::List(listed)) if !listed.is_empty() => listed,
            // Without instances the agent names the only one `default`.
            _ => vec![Node::Map(Block::new().with("name", "default"))],
        };
        let inherited = yaml::to_yaml(&shared).map_or(0, |text| text.len()).saturating_mul(listed.len());
        if listed.len() > 1 && inherited > MAX_INHERITED {
            problems.push(format!(
                "the instances of toolset {name:?} inherit {inherited} bytes in total, and the maximum is {MAX_INHERITED}, so they are omitted. Move large fields to the instances that need them"
            ));
            return own;
        }
        for (index, instance) in listed.iter().enumerate() {
            let Some(instance) = instance.as_map() else { continue };
            let mut whole = inherit(&shared, instance);
            let changed = match whole.get("name") {
                Some(Node::Text(text)) if !text.is_empty() => None,
                // The model asks for an instance by text.
                Some(Node::Int(number)) if *number != 0 => Some(number.to_string()),
                _ => Some(format!("instance-{index}")),
            };
            if let Some(changed) = changed {
                whole.set("name", changed);
            }
            if URL_FIELDS.iter().any(|field| whole.get(field).is_some()) {
                own.instances.push(whole);
            } else {
                problems.push(format!(
                    "an instance of toolset {name:?} has no {field}, so it cannot be listed together with the discovered tools. Add {field}",
                    field = toolset.url_field()
                ));
            }
        }
        own
    }
}

/// An instance with what it inherits. Its name comes first.
fn inherit(shared: &Block, instance: &Block) -> Block {
    let replaced = |key: &str| {
        INHERITED_TOGETHER
            .iter()
            .any(|group| group.contains(&key) && group.iter().any(|field| instance.get(field).is_some()))
    };
    let name = instance.iter().filter(|(key, _)| key.as_text() == Some("name"));
    let inherited = shared.iter().filter(|(key, _)| !key.as_text().is_some_and(replaced));
    let fields = name.chain(inherited).chain(instance.iter());
    Block::of_fields(fields.map(|(key, value)| (key.clone(), value.clone())).collect())
}

/// Whether the agent takes a value of `enabled` for true. `None` if it refuses the entry for it. These are the rules of
/// pydantic 2 for a `bool`.
fn is_on(value: &Node) -> Option<bool> {
    match value {
        Node::Bool(value) => Some(*value),
        Node::Int(number @ (0 | 1)) => Some(*number == 1),
        Node::Float(0.0) => Some(false),
        Node::Float(1.0) => Some(true),
        Node::Text(text) => match text.to_ascii_lowercase().as_str() {
            "0" | "off" | "f" | "false" | "n" | "no" => Some(false),
            "1" | "on" | "t" | "true" | "y" | "yes" => Some(true),
            _ => None,
        },
        _ => None,
    }
}

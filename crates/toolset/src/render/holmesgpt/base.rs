//! `spec.output.base`: a file of the user's own toolsets, which ours is merged over.
//!
//! The agent reads only one file, so the user's own toolsets must be in ours: `SaaS` sources, MCP servers, the toolsets
//! that the agent's chart switches on. People edit the `ConfigMap` with the base file, so a mistake in it costs only
//! the entry that it is in, never the whole file.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::toolsets::Toolset;
use crate::yaml::{self, BadKey, Block, Key, Node, Read};

/// The most bytes of a base file, as it is and with its aliases expanded: half of the output's budget.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// The user's own entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BaseFile {
    toolsets: BTreeMap<Key, Block>,
    servers: BTreeMap<Key, Block>,
    problems: Vec<String>,
}

impl BaseFile {
    /// The entries of `toolsets`.
    pub const fn toolsets(&self) -> &BTreeMap<Key, Block> {
        &self.toolsets
    }

    /// The entries of `mcp_servers`.
    pub const fn servers(&self) -> &BTreeMap<Key, Block> {
        &self.servers
    }

    /// What could not be taken, and why.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The names of all entries. No entry of ours may have one of them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.toolsets.keys().chain(self.servers.keys()).map(Key::as_str)
    }
}

/// Reads a base file. `Err` says why it cannot be used. Single entries that cannot be used are in
/// [`BaseFile::problems`].
pub fn parse(text: &str) -> Result<BaseFile, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("has {} bytes; at most {MAX_BYTES} are taken", text.len()));
    }
    let options = serde_saphyr::options! {
        // As PyYAML reads them.
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    let root: Root = serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?;
    let mut file = BaseFile::default();
    for (section, entries) in [("toolsets", root.toolsets), ("mcp_servers", root.servers)] {
        let Some(entries) = entries else { continue };
        for (name, value) in entries.0 {
            match entry(&name, value) {
                Ok((key, block)) if section == "toolsets" => _ = file.toolsets.insert(key, block),
                Ok((key, block)) => _ = file.servers.insert(key, block),
                Err(why) => file.problems.push(format!("{section} {name:?} {why}")),
            }
        }
    }
    // Aliases can turn a small file into a large one.
    let all: Block =
        file.toolsets.iter().chain(&file.servers).map(|(k, v)| (k.clone(), Node::Map(v.clone()))).collect();
    match yaml::to_yaml(&all) {
        Ok(written) if written.len() > MAX_BYTES => {
            Err(format!("has {} bytes with its aliases expanded; at most {MAX_BYTES} are taken", written.len()))
        }
        Ok(_) => Ok(file),
        Err(why) => Err(why),
    }
}

/// One entry. `Err` says why the agent would reject it.
fn entry(name: &str, value: Read) -> Result<(Key, Block), String> {
    let Some(key) = Key::new(name) else {
        let why = match name {
            "" => "its name is empty; give it a name",
            _ if name.contains('.') => "the agent rejects the whole file if a name contains a dot; rename it",
            _ => "its name contains a line break or another control character; rename it",
        };
        return Err(format!("is left out: {why}"));
    };
    match value.0 {
        Ok(Node::Map(block)) => Ok((key, block)),
        Ok(Node::Null) => {
            Err("is left out: the agent rejects the whole file if an entry is empty; write {enabled: true}".to_owned())
        }
        Ok(_) => Err("is left out: it is not a mapping".to_owned()),
        Err(BadKey(key)) => Err(format!("is left out: the agent refuses a whole file for the key {key:?} in it")),
    }
}

/// The base file's part of a shared toolset, to be merged with the tools of ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct OwnInstances {
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

impl OwnInstances {
    /// Splits an entry. What cannot be merged with ours is added to `problems`.
    pub(super) fn of(toolset: Toolset, name: &str, entry: Option<&Block>, problems: &mut Vec<String>) -> Self {
        let Some(entry) = entry else { return Self::default() };
        let mut fields = entry.clone();
        let enabled = fields.remove("enabled");
        let config = fields.remove("config");
        let mut own = Self { fields, instances: Vec::new() };
        if enabled != Some(Node::Bool(true)) {
            if enabled.is_some() {
                problems.push(format!(
                    "toolsets {name:?} is switched off there, but tools were found for it; to keep it off, disable it in spec.baseline or spec.detectors"
                ));
            }
            return own;
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
        for (index, instance) in listed.iter().enumerate() {
            let Some(instance) = instance.as_map() else { continue };
            let mut whole = inherit(&shared, instance);
            if whole.get("name").and_then(Node::as_text).is_none() {
                whole.set("name", format!("instance-{index}"));
            }
            if URL_FIELDS.iter().any(|field| whole.get(field).is_some()) {
                own.instances.push(whole);
            } else {
                problems.push(format!(
                    "toolsets {name:?} has an instance without {}, so it cannot be listed with the tools that were found; give it one",
                    toolset.url_field()
                ));
            }
        }
        own
    }
}

/// An instance with what it inherits.
fn inherit(shared: &Block, instance: &Block) -> Block {
    let mut whole = Block::new();
    if let Some(name) = instance.get("name") {
        whole.set("name", name.clone());
    }
    let replaced = |key: &str| {
        INHERITED_TOGETHER
            .iter()
            .any(|group| group.contains(&key) && group.iter().any(|field| instance.get(field).is_some()))
    };
    for (key, value) in shared.iter().filter(|(key, _)| !replaced(key.as_str())) {
        whole.insert(key.clone(), value.clone());
    }
    for (key, value) in instance.iter() {
        whole.insert(key.clone(), value.clone());
    }
    whole
}

/// The two sections that the agent reads.
#[derive(Default)]
struct Root {
    toolsets: Option<Entries>,
    servers: Option<Entries>,
}

/// Entries by name, in order. Null reads as no entries.
struct Entries(Vec<(String, Read)>);

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RootVisitor;
        impl<'de> Visitor<'de> for RootVisitor {
            type Value = Root;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping with toolsets and mcp_servers")
            }

            fn visit_unit<E>(self) -> Result<Root, E> {
                Ok(Root::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Root, A::Error> {
                let mut root = Root::default();
                while let Some(section) = map.next_key::<String>()? {
                    match section.as_str() {
                        "toolsets" => root.toolsets = Some(map.next_value()?),
                        "mcp_servers" => root.servers = Some(map.next_value()?),
                        _ => _ = map.next_value::<IgnoredAny>()?,
                    }
                }
                Ok(root)
            }
        }
        deserializer.deserialize_any(RootVisitor)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;
        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from names to entries")
            }

            fn visit_unit<E>(self) -> Result<Entries, E> {
                Ok(Entries(Vec::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
                match seq.next_element::<IgnoredAny>()? {
                    None => Ok(Entries(Vec::new())),
                    Some(_) => {
                        Err(serde::de::Error::custom("a list where the agent wants a mapping from names to entries"))
                    }
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_any(EntriesVisitor)
    }
}

#[cfg(test)]
mod tests;

//! `spec.output.base`: a file of the user's own toolsets, which ours is merged over.
//!
//! The agent reads only one file, so the user's own toolsets must be in ours: `SaaS` sources, MCP servers, the toolsets
//! that the agent's chart switches on. People edit the `ConfigMap` with the base file, so a mistake in it costs only
//! the entry that it is in, never the whole file.

mod own_instances;

use std::collections::BTreeMap;

pub(super) use self::own_instances::OwnInstances;
use crate::yaml::{self, Block, Document, Key, Node, Problem, Shape, Values};

/// The most bytes of a base file, as it is and with its aliases expanded: half of the output's budget.
pub(super) const MAX_BYTES: usize = 256 * 1024;

/// The user's own entries.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BaseFile {
    toolsets: BTreeMap<Key, Block>,
    servers: BTreeMap<Key, Block>,
    problems: Vec<String>,
    /// The bytes of its entries when they are written.
    bytes: usize,
}

impl BaseFile {
    /// Counts an entry, unless the file is then too large. Aliases can turn a small file into a large one.
    fn count(&mut self, max: usize, (key, block): (Key, Block)) -> Result<(Key, Block), String> {
        let text = yaml::to_yaml(&block)?;
        // Every line is indented, because it is inside of the entry and the section.
        let bytes = self.bytes + key.as_str().len() + text.len() + 4 * text.lines().count();
        if bytes > max {
            return Err(Problem::TooLarge.to_string());
        }
        self.bytes = bytes;
        Ok((key, block))
    }

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

    /// The names of the enabled entries of another file that are not just this file's: it has no entry of the same
    /// content. So an entry of the user that instances were added to is one of them.
    pub(super) fn others<'a>(
        &self,
        toolsets: &'a BTreeMap<Key, Block>,
        servers: &'a BTreeMap<Key, Block>,
    ) -> impl Iterator<Item = &'a str> {
        let of = |entries: &'a BTreeMap<Key, Block>, own: &BTreeMap<Key, Block>| {
            let other = |(name, entry): &(&Key, &Block)| {
                let is_off = entry.get("enabled").is_some_and(|value| *value == false.into());
                !is_off && own.get(*name).is_none_or(|own| !is_same(own, entry))
            };
            entries.iter().filter(other).map(|(name, _)| name.as_str()).collect::<Vec<_>>()
        };
        of(toolsets, &self.toolsets).into_iter().chain(of(servers, &self.servers))
    }
}

/// Reads a base file as the agent does. `Err` says why it cannot be used. Single entries that cannot be used are in
/// [`BaseFile::problems`].
pub fn parse(text: &str) -> Result<BaseFile, String> {
    parse_within(MAX_BYTES, text)
}

/// The same with another limit.
pub(super) fn parse_within(max: usize, text: &str) -> Result<BaseFile, String> {
    if text.len() > max {
        return Err(format!("it has {} bytes, and the maximum is {max}", text.len()));
    }
    let (text, separators) = yaml::normalised(text);
    let document = Document::parse(&text, &separators)?;
    let mut values = Values::of(&document, max);
    let mut file = BaseFile::default();
    for section in ["toolsets", "mcp_servers"] {
        read_section(section, max, &mut values, &mut file)?;
    }
    Ok(file)
}

/// Whether two entries are written in the same way. `.nan` is not equal to itself.
fn is_same(a: &Block, b: &Block) -> bool {
    a == b || yaml::to_yaml(a).is_ok_and(|a| yaml::to_yaml(b).is_ok_and(|b| a == b))
}

/// Reads one of the two sections that the agent reads. Null and an empty list read as no entries.
fn read_section(section: &str, max: usize, values: &mut Values<'_>, file: &mut BaseFile) -> Result<(), String> {
    let whole = |problem: Problem| problem.to_string();
    let root = match values.root().map_err(whole)? {
        Shape::Nothing => return Ok(()),
        Shape::Map(fields) => fields,
        Shape::List { .. } | Shape::Scalar => {
            return Err("it is not a mapping with toolsets and mcp_servers".to_owned());
        }
    };
    let found = root.iter().rev().find(|(key, _)| values.node(*key).is_ok_and(|key| key.as_text() == Some(section)));
    let Some((_, entries)) = found else { return Ok(()) };
    let fields = match values.shape(*entries).map_err(whole)? {
        Shape::Nothing | Shape::List { is_empty: true } => return Ok(()),
        Shape::Map(fields) => fields,
        Shape::List { .. } => {
            return Err(format!("{section} is a list, but must be a mapping from names to entries"));
        }
        Shape::Scalar => {
            return Err(format!("{section} is a single value, but must be a mapping"));
        }
    };
    // As for the agent, the last one of several entries with the same name counts.
    let mut named = BTreeMap::new();
    for (key, entry) in fields.iter() {
        match values.node(*key) {
            Ok(Node::Text(name)) => _ = named.insert(name.into_owned(), *entry),
            Ok(_) => {
                let name = values.in_words(*key);
                let why = "the agent does not read its name as text; put it in quotes";
                file.problems.push(format!("entry {name:?} of {section} is omitted: {why}"));
            }
            Err(problem) => {
                file.problems.push(format!("entry {:?} of {section} is omitted: {problem}", values.in_words(*key)));
            }
        }
    }
    for (name, id) in named {
        match entry(&name, values.optional(id)).and_then(|entry| file.count(max, entry)) {
            Ok((key, block)) if section == "toolsets" => _ = file.toolsets.insert(key, block),
            Ok((key, block)) => _ = file.servers.insert(key, block),
            Err(why) => file.problems.push(format!("entry {name:?} of {section} is omitted: {why}")),
        }
    }
    Ok(())
}

/// One entry, or why the agent would reject it.
fn entry(name: &str, value: Result<Node, Problem>) -> Result<(Key, Block), String> {
    let Some(key) = Key::new(name) else {
        let why = match name {
            "" => "its name is empty; give it a name",
            _ if name.contains('.') => "the agent rejects the whole file if a name contains a dot; rename it",
            _ => "its name contains a line break or another control character; rename it",
        };
        return Err(why.to_owned());
    };
    match value {
        Ok(Node::Map(block)) => Ok((key, block)),
        Ok(Node::Null) => {
            Err("the agent rejects the whole file if an entry is empty; write {enabled: true}".to_owned())
        }
        Ok(_) => Err("it is not a mapping; write it as {enabled: true, …}".to_owned()),
        Err(problem) => Err(problem.to_string()),
    }
}

#[cfg(test)]
mod tests;

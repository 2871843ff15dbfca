//! The tree: values, mappings and their keys.

use std::{borrow::Cow, collections::HashMap};

use serde::{Serialize, Serializer, ser::SerializeMap};

/// A name that the agent's loader accepts as a mapping key: not empty, no dot, no control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Cow<'static, str>);

impl Key {
    /// `None` if the agent's loader refuses it.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        let fine = !text.is_empty() && !text.contains(|c: char| c == '.' || c.is_control());
        fine.then_some(Self(Cow::Owned(text)))
    }

    /// The key itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The key of a field of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub struct Field(Node);

impl Field {
    /// A key from a user's own file. `Err` has the text that the agent's loader refuses, or `None` if the value is a
    /// list or a mapping.
    pub(crate) fn new(key: Node) -> Result<Self, Option<String>> {
        match key {
            Node::Text(text) if text.contains('.') => Err(Some(text.into_owned())),
            Node::List(_) | Node::Map(_) => Err(None),
            Node::Tagged(_, value) if matches!(*value, Node::List(_) | Node::Map(_)) => Err(None),
            key => Ok(Self(key)),
        }
    }

    /// The key, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        self.0.as_text()
    }

    /// What Python compares keys by. It takes `True`, `1` and `1.0` for the same key.
    fn identity(&self) -> Identity<'_> {
        match &self.0 {
            Node::Text(text) => Identity::Text(text),
            Node::Bool(value) => Identity::Number((*value).into()),
            Node::Int(value) => Identity::Number(*value),
            Node::Float(value) => whole(*value).map_or(Identity::Float(value.to_bits()), Identity::Number),
            other => Identity::Other(format!("{other:?}")),
        }
    }
}

#[derive(PartialEq, Eq, Hash)]
enum Identity<'a> {
    Text(&'a str),
    Number(i128),
    Float(u64),
    Other(String),
}

/// The whole number that is equal to a float.
fn whole(value: f64) -> Option<i128> {
    const LIMIT: f64 = 1e38;
    #[allow(clippy::cast_possible_truncation, reason = "it is a whole number within the limits of i128")]
    let number = || value as i128;
    (value.fract() == 0.0 && value.abs() < LIMIT).then(number)
}

impl From<Key> for Field {
    fn from(key: Key) -> Self {
        Self(Node::Text(key.0))
    }
}

/// A type that YAML has a tag for and that has no other notation here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// A whole number beyond `i128`.
    Int,
    /// A date, with or without a time.
    Timestamp,
    /// Bytes, in base64.
    Binary,
    /// A mapping without values.
    Set,
    /// A list of mappings with one field each.
    OrderedMap,
    /// As `OrderedMap`.
    Pairs,
}

impl Tag {
    /// The tag in full.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Int => "tag:yaml.org,2002:int",
            Self::Timestamp => "tag:yaml.org,2002:timestamp",
            Self::Binary => "tag:yaml.org,2002:binary",
            Self::Set => "tag:yaml.org,2002:set",
            Self::OrderedMap => "tag:yaml.org,2002:omap",
            Self::Pairs => "tag:yaml.org,2002:pairs",
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Only in a user's own file, inside an entry.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text. It is quoted where a YAML 1.1 reader would read it as something else.
    Text(Cow<'static, str>),
    /// A value of another type. Only in a user's own file.
    Tagged(Tag, Box<Node>),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping.
    Map(Block),
}

impl Node {
    /// The mapping, if it is one.
    pub fn as_map(&self) -> Option<&Block> {
        match self {
            Self::Map(block) => Some(block),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl From<bool> for Node {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i32> for Node {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<&'static str> for Node {
    fn from(value: &'static str) -> Self {
        Self::Text(Cow::Borrowed(value))
    }
}

impl From<String> for Node {
    fn from(value: String) -> Self {
        Self::Text(Cow::Owned(value))
    }
}

impl From<Block> for Node {
    fn from(value: Block) -> Self {
        Self::Map(value)
    }
}

impl<T: Into<Node>> From<Vec<T>> for Node {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

/// A mapping in the order in which it was built. No key of text in it has a dot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block(Vec<(Field, Node)>);

impl Block {
    /// An empty mapping.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets one of our own keys. A new value takes the place of an earlier one.
    pub fn set(&mut self, key: &'static str, value: impl Into<Node>) {
        debug_assert!(!key.is_empty() && !key.contains('.'));
        self.insert(Key(Cow::Borrowed(key)), value.into());
    }

    /// As [`Block::set`], to chain calls.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Node>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets any key. A new value takes the place of an earlier one.
    pub fn insert(&mut self, key: impl Into<Field>, value: Node) {
        let key = key.into();
        match self.0.iter_mut().find(|(known, _)| known.identity() == key.identity()) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// A mapping from any number of fields. A later value takes the place of an earlier one.
    pub(crate) fn of_fields(fields: Vec<(Field, Node)>) -> Self {
        let mut places = HashMap::with_capacity(fields.len());
        // The place of each field: that of the first one with its key.
        let of: Vec<usize> = fields
            .iter()
            .map(|(key, _)| {
                let next = places.len();
                *places.entry(key.identity()).or_insert(next)
            })
            .collect();
        let mut block: Vec<(Field, Node)> = Vec::with_capacity(places.len());
        drop(places);
        for (place, (key, value)) in of.into_iter().zip(fields) {
            match block.get_mut(place) {
                Some((_, old)) => *old = value,
                None => block.push((key, value)),
            }
        }
        Self(block)
    }

    /// Sets a key in the mapping under `outer`, which is created if there is none.
    pub fn set_within(&mut self, outer: &'static str, key: Key, value: impl Into<Node>) {
        let mut inner = self.get(outer).and_then(Node::as_map).cloned().unwrap_or_default();
        inner.insert(key, value.into());
        self.set(outer, inner);
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find_map(|(known, value)| (known.as_text() == Some(key)).then_some(value))
    }

    /// Takes the value under `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let position = self.0.iter().position(|(known, _)| known.as_text() == Some(key))?;
        Some(self.0.remove(position).1)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Field, &Node)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(Key, Node)> for Block {
    fn from_iter<I: IntoIterator<Item = (Key, Node)>>(entries: I) -> Self {
        Self::of_fields(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (Field(key), value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i128(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Tagged(tag, value) => {
                serde_saphyr::Tagged(&**value, Some(tag.as_str().to_owned())).serialize(serializer)
            }
            Self::List(values) => values.serialize(serializer),
            Self::Map(block) => block.serialize(serializer),
        }
    }
}

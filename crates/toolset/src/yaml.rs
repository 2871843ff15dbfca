//! A YAML tree with keys that the agent can load.
//!
//! The agent refuses a whole file because of one mapping key with a dot, which python-benedict reads as a path of keys.
//! So a [`Block`] cannot hold such a key. Our own keys are literals, and every other key is a [`Key`].

use std::{
    borrow::{Borrow, Cow},
    fmt,
};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

/// A mapping key that the agent's loader accepts: not empty, no dot, no control character.
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

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
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
    Int(i64),
    /// A whole number beyond `i64`.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// Text. It is quoted where a YAML 1.1 reader would read it as something else.
    Text(Cow<'static, str>),
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

/// A mapping in the order in which it was built.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block(Vec<(Key, Node)>);

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
    pub fn insert(&mut self, key: Key, value: Node) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Sets a key in the mapping under `outer`, which is created if there is none.
    pub fn set_within(&mut self, outer: &'static str, key: Key, value: impl Into<Node>) {
        let mut inner = self.get(outer).and_then(Node::as_map).cloned().unwrap_or_default();
        inner.insert(key, value.into());
        self.set(outer, inner);
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.iter().find_map(|(known, value)| (known.as_str() == key).then_some(value))
    }

    /// Takes the value under `key` out.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        let position = self.0.iter().position(|(known, _)| known.as_str() == key)?;
        Some(self.0.remove(position).1)
    }

    /// All entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Node)> {
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
        let mut block = Self::new();
        for (key, value) in entries {
            block.insert(key, value);
        }
        block
    }
}

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key.as_str(), value)?;
        }
        map.end()
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Unsigned(value) => serializer.serialize_u64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => values.serialize(serializer),
            Self::Map(block) => block.serialize(serializer),
        }
    }
}

/// A value as it was read: a [`Node`], or the key that the agent's loader would refuse in it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Read(pub Result<Node, BadKey>);

/// A mapping key that the agent's loader would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadKey(pub String);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Read, E> {
        Ok(Read(Ok(Node::Null)))
    }

    fn visit_none<E>(self) -> Result<Read, E> {
        Ok(Read(Ok(Node::Null)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Read, E> {
        Ok(Read(Ok(Node::Bool(value))))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Read, E> {
        Ok(Read(Ok(Node::Int(value))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Read, E> {
        Ok(Read(Ok(i64::try_from(value).map_or(Node::Unsigned(value), Node::Int))))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Read, E> {
        Ok(Read(Ok(Node::Float(value))))
    }

    fn visit_str<E>(self, value: &str) -> Result<Read, E> {
        Ok(Read(Ok(Node::from(value.to_owned()))))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Read, A::Error> {
        let mut values = Ok(Vec::new());
        while let Some(Read(value)) = seq.next_element()? {
            values = values.and_then(|mut known| {
                known.push(value?);
                Ok(known)
            });
        }
        Ok(Read(values.map(Node::List)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read, A::Error> {
        let mut block = Ok(Block::new());
        while let Some(name) = map.next_key::<String>()? {
            let Read(value) = map.next_value()?;
            block = block.and_then(|mut known| {
                known.insert(Key::new(name.clone()).ok_or(BadKey(name))?, value?);
                Ok(known)
            });
        }
        Ok(Read(block.map(Node::Map)))
    }
}

/// Writes a mapping as YAML that a YAML 1.1 reader reads back as it is. The agent uses `PyYAML`, which is one.
///
/// Fails only if the emitter refuses a value. It refuses none that a [`Node`] can hold.
pub(crate) fn to_yaml(block: &Block) -> Result<String, String> {
    serde_saphyr::to_string(block).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Node, BadKey> {
        serde_saphyr::from_str::<Read>(text).unwrap().0
    }

    #[test]
    fn what_is_written_reads_back_as_it_was() {
        let text = "a: 1\nb: [yes, 'yes', null, 1.5, -3]\nc: {d: {e: x}, f: []}\n";
        let node = read(text).unwrap();
        let written = to_yaml(node.as_map().unwrap()).unwrap();
        assert_eq!(read(&written), Ok(node), "{written}");
    }

    #[test]
    fn a_key_that_the_agent_refuses_is_found_at_any_depth_and_named() {
        for text in ["a.b: 1", "a: {b: {c.d: 1}}", "a: [{b.c: 1}, 2]", "'': 1", "1.5: x"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read("a: [1, {x.y: 2}]"), Err(BadKey("x.y".to_owned())));
    }

    #[test]
    fn setting_a_key_again_keeps_its_place() {
        let block = Block::new().with("a", 1).with("b", 2).with("a", 3);
        assert_eq!(to_yaml(&block).unwrap(), "a: 3\nb: 2\n");
    }
}

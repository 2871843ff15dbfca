//! Reading a tree as a YAML 1.2 reader does.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::tree::{Block, Key, Node};

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
        Ok(Read(Ok(Node::Int(value.into()))))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Read, E> {
        Ok(Read(Ok(Node::Int(value.into()))))
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

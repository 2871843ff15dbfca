//! A reader of JSON that is stricter than most: a key that occurs twice, U+0000, numbers beyond ±2^53, deep and large
//! values are errors.
//!
//! Programs disagree about which of two equal keys counts, so what a duplicate means depends on the reader; the
//! database keeps no U+0000; a number beyond ±2^53 is not the same number for everybody.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{FieldError, Reason};

/// The deepest nesting below a field, the field's own value included.
const MAX_DEPTH: usize = 16;
/// The most values of `data`.
const MAX_NODES: usize = 4_096;
/// The most values of all other fields together, which have one each except for `actor`.
const MAX_OTHERS: usize = 64;
/// The largest integer that every reader of JSON takes for the same number.
pub(crate) const MAX_INTEGER: i64 = 1 << 53;

/// The fields of an object and what was wrong with their values.
pub(crate) struct Fields {
    pub(crate) values: BTreeMap<String, Value>,
    pub(crate) errors: Vec<FieldError>,
}

/// Reads one object. Fails if the bytes are not JSON or not an object; everything else is collected.
pub(crate) fn read(json: &[u8]) -> Result<Fields, FieldError> {
    let body = |message: String| FieldError::new("body", Reason::Invalid, message);
    let mut reader = serde_json::Deserializer::from_slice(json);
    let fields = reader.deserialize_any(Top).map_err(|e| body(e.to_string()))?;
    reader.end().map_err(|e| body(e.to_string()))?;
    fields.ok_or_else(|| {
        let message = format!("more than {MAX_OTHERS} values outside of data; put other data into the field data");
        FieldError::new("body", Reason::LengthExceeded, message)
    })
}

/// The object of the fields. None if it has too many.
struct Top;

impl<'de> Visitor<'de> for Top {
    type Value = Option<Fields>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<Fields>, A::Error> {
        let mut fields = Fields { values: BTreeMap::new(), errors: Vec::new() };
        let mut others = MAX_OTHERS;
        while let Some(name) = map.next_key::<String>()? {
            let is_data = name == "data" && !fields.values.contains_key("data");
            let room = if is_data { MAX_NODES } else { others };
            let mut state = State { room, spent: false, faults: BTreeSet::new() };
            let value = map.next_value_seed(Node { state: &mut state, depth: 1 })?;
            if !is_data {
                others = state.room;
                if state.spent {
                    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    return Ok(None);
                }
            }
            fields.errors.extend(state.faults.into_iter().map(|fault| fault.of(&name)));
            match fields.values.entry(name) {
                Entry::Vacant(free) => _ = free.insert(value),
                Entry::Occupied(taken) => {
                    let message = "the key occurs twice; use it once";
                    fields.errors.push(FieldError::new(shown(taken.key()), Reason::Invalid, message));
                }
            }
        }
        Ok(Some(fields))
    }
}

/// A name of the client's in an answer: not longer than a line, without secrets.
pub(crate) fn shown(name: &str) -> String {
    crate::redact::text(&name.chars().take(64).collect::<String>()).0.into_owned()
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    Twice(String),
    Deep,
    Large,
    Zero,
    Number,
}

impl Fault {
    fn of(self, field: &str) -> FieldError {
        let (reason, message) = match self {
            Self::Twice(key) => (Reason::Invalid, format!("the key {key:?} occurs twice in one object; use it once")),
            Self::Deep => (Reason::LengthExceeded, format!("has more than {MAX_DEPTH} levels")),
            Self::Large => (Reason::LengthExceeded, format!("more than {MAX_NODES} values")),
            Self::Zero => (Reason::Invalid, "contains U+0000".to_owned()),
            Self::Number => (Reason::Invalid, "contains a number outside of ±2^53; send it as a string".to_owned()),
        };
        FieldError::new(shown(field), reason, message)
    }
}

struct State {
    /// How many values more there may be.
    room: usize,
    /// There were more.
    spent: bool,
    faults: BTreeSet<Fault>,
}

impl State {
    fn text(&mut self, text: &str) {
        if text.contains('\0') {
            self.faults.insert(Fault::Zero);
        }
    }

    fn number(&mut self, beyond: bool) {
        if beyond {
            self.faults.insert(Fault::Number);
        }
    }
}

/// One value below a field.
struct Node<'a> {
    state: &'a mut State,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        let Some(room) = self.state.room.checked_sub(1) else {
            self.state.spent = true;
            self.state.faults.insert(Fault::Large);
            return IgnoredAny::deserialize(reader).map(|_| Value::Null);
        };
        self.state.room = room;
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        self.state.number(value.unsigned_abs() > MAX_INTEGER.unsigned_abs());
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.state.number(value > MAX_INTEGER.unsigned_abs());
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // Every double beyond 2^53 is a whole number.
        self.state.number(value.abs() > 9_007_199_254_740_992.0);
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        self.state.text(value);
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        self.state.text(&value);
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let deep = self.depth > MAX_DEPTH;
        let mut items = Vec::new();
        if deep {
            self.state.faults.insert(Fault::Deep);
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        while let Some(item) = seq.next_element_seed(Node { state: &mut *self.state, depth: self.depth + 1 })? {
            if !self.state.spent {
                items.push(item);
            }
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        if self.depth > MAX_DEPTH {
            self.state.faults.insert(Fault::Deep);
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        while let Some(name) = map.next_key::<String>()? {
            self.state.text(&name);
            let value = map.next_value_seed(Node { state: &mut *self.state, depth: self.depth + 1 })?;
            if self.state.spent {
                continue;
            }
            if members.contains_key(&name) {
                self.state.faults.insert(Fault::Twice(shown(&name)));
            } else {
                members.insert(name, value);
            }
        }
        Ok(Value::Object(members))
    }
}

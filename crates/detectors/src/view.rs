//! [`ServiceView`]: the parts of a Service that the rules read, small enough to keep ten thousand of them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The namespace and name of a Service, ordered by namespace, then name. A clone allocates nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The Service's namespace.
    pub namespace: Arc<str>,
    /// The Service's name.
    pub name: Arc<str>,
}

impl ServiceKey {
    /// A key. It shares an `Arc<str>`, and copies any other text.
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A read-only map of strings in one allocation, sorted by key.
///
/// A `BTreeMap<String, String>` of a typical Service's labels needs four to five times the memory.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct StringMap {
    /// For each entry the lengths of key and value, each as one character, and then both.
    text: Box<str>,
}

impl StringMap {
    /// The value of `key`. The time is linear, because these maps have few entries.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find_map(|(one, value)| (one == key).then_some(value))
    }

    /// Whether there is an entry with this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// All entries, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        Entries { rest: &self.text }
    }

    /// Whether every entry of `self` is in `other` with the same value.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|(k, v)| other.get(k) == Some(v))
    }
}

/// The entries that are left.
struct Entries<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, &'a str);

    // Recognition spends half of its time here, and a call costs as much as the work.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "measured: without it, recognition takes a tenth longer")]
    fn next(&mut self) -> Option<Self::Item> {
        let mut characters = self.rest.chars();
        let (key, value) = (from_character(characters.next()?), from_character(characters.next()?));
        let (entry, others) = characters.as_str().split_at_checked(key + value)?;
        self.rest = others;
        entry.split_at_checked(key)
    }
}

/// The first code point that is a surrogate, and how many there are. They are no characters, so lengths skip them.
const SURROGATES: (u32, u32) = (0xD800, 0x800);

/// A length as a character. `None` for a length of more than a million, which no label, selector or kept annotation has.
fn to_character(length: usize) -> Option<char> {
    let code = u32::try_from(length).ok()?;
    char::from_u32(if code < SURROGATES.0 { code } else { code.checked_add(SURROGATES.1)? })
}

fn from_character(character: char) -> usize {
    let code = u32::from(character);
    let length = if code < SURROGATES.0 { code } else { code - SURROGATES.1 };
    usize::try_from(length).unwrap_or(usize::MAX)
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for StringMap {
    /// Takes entries in any order. Of two with the same key it keeps the last. It drops an entry whose key or value has
    /// more than a million bytes.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut entries: Vec<(K, V)> = entries.into_iter().collect();
        // A stable sort, so that the last of two with the same key stays the last.
        entries.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
        let mut text =
            String::with_capacity(entries.iter().map(|(k, v)| k.as_ref().len() + v.as_ref().len() + 2).sum());
        for (position, (key, value)) in entries.iter().enumerate() {
            let (key, value) = (key.as_ref(), value.as_ref());
            let is_last = entries.get(position + 1).is_none_or(|(next, _)| next.as_ref() != key);
            if is_last
                && let (Some(key_length), Some(value_length)) = (to_character(key.len()), to_character(value.len()))
            {
                text.extend([key_length, value_length]);
                text.push_str(key);
                text.push_str(value);
            }
        }
        Self { text: text.into_boxed_str() }
    }
}

impl fmt::Debug for StringMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for StringMap {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for StringMap {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::collections::BTreeMap::<String, String>::deserialize(deserializer).map(|map| map.into_iter().collect())
    }
}

/// `spec.type` of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServiceType {
    /// Reachable inside the cluster. This is the API server's default.
    #[default]
    ClusterIP,
    /// Reachable on a port of every node too.
    NodePort,
    /// Reachable through a load balancer too.
    LoadBalancer,
    /// A DNS alias for another name. It has neither Pods nor ports of its own.
    ExternalName,
}

/// `protocol` of a Service's port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP. HTTP endpoints use it.
    #[default]
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
    /// SCTP.
    #[serde(rename = "SCTP")]
    Sctp,
}

/// `targetPort` of a Service's port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetPort {
    /// A number.
    Number(u16),
    /// The name of a container port.
    Name(Box<str>),
}

/// One port of a Service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PortView {
    /// The name. Only a Service's single port can be without one.
    pub name: Option<Box<str>>,
    /// The number that clients use, 1..=65535.
    pub port: u16,
    /// The port of the Pods. `None` means the same number, which the API server and `convert` write out.
    pub target: Option<TargetPort>,
    /// The transport protocol.
    pub protocol: Protocol,
    /// `appProtocol`.
    pub app_protocol: Option<Box<str>>,
}

/// The parts of a Service that the rules, the selection and the trust checks read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// The namespace and name.
    pub key: ServiceKey,
    /// A hash of `metadata.uid`, or 0 in offline input without one. It tells whether an EndpointSlice belongs to this
    /// Service or to an earlier one of the same name.
    pub uid: u64,
    /// All labels.
    pub labels: StringMap,
    /// Annotations whose value has at most 256 characters. Longer values of this project's own annotations are cut to
    /// 257 characters, so that they are rejected as too long and not ignored.
    pub annotations: StringMap,
    /// `spec.selector`. It is empty if the endpoints are managed by something else.
    pub selector: StringMap,
    /// `spec.ports`, in the Service's order.
    pub ports: Box<[PortView]>,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// Whether `spec.clusterIP` is `None`.
    pub headless: bool,
    /// Whether there are `spec.externalIPs`. Traffic for those addresses goes to the Pods of this Service.
    pub external_ips: bool,
    /// `metadata.creationTimestamp` in seconds since 1970, or 0 in offline input without one.
    pub created: i64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_string_map_holds_what_a_tree_holds(
            entries in proptest::collection::vec((".{0,12}", ".{0,300}"), 0..8),
            absent in ".{0,12}",
        ) {
            let tree: BTreeMap<String, String> = entries.iter().cloned().collect();
            let map: StringMap = entries.into_iter().collect();
            prop_assert_eq!(map.len(), tree.len());
            prop_assert_eq!(map.is_empty(), tree.is_empty());
            prop_assert!(map.iter().eq(tree.iter().map(|(key, value)| (key.as_str(), value.as_str()))));
            prop_assert_eq!(map.get(&absent), tree.get(&absent).map(String::as_str));
            for (key, value) in &tree {
                prop_assert_eq!(map.get(key), Some(value.as_str()));
            }
        }
    }

    #[test]
    fn lengths_around_the_surrogates_are_kept() {
        for length in [0, 127, 128, 0xD7FF, 0xD800, 0xDFFF, 0xE000, 0x10_0000] {
            let value = "x".repeat(length);
            let map: StringMap = [("key", value.as_str())].into_iter().collect();
            assert_eq!(map.get("key").map(str::len), Some(length));
        }
    }
}

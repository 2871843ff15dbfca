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

/// A read-only map of strings in two allocations, sorted by key.
///
/// A `BTreeMap<String, String>` of a typical Service's labels needs three to four times the memory.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct StringMap {
    /// All keys and values, one after the other.
    text: Box<str>,
    /// Where each of them ends in `text`. Keys and values alternate.
    ends: Box<[u32]>,
}

impl StringMap {
    /// The value of `key`. The time is linear, because these maps have few entries.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut start = 0;
        for &[key_end, value_end] in self.ends.as_chunks::<2>().0 {
            let (key_end, value_end) = (key_end as usize, value_end as usize);
            // The length distinguishes most keys, without a look at the text.
            if key_end - start == key.len() && &self.text[start..key_end] == key {
                return Some(&self.text[key_end..value_end]);
            }
            start = value_end;
        }
        None
    }

    /// Whether there is an entry with this key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.ends.len() / 2
    }

    /// All entries, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut start = 0;
        self.ends.as_chunks::<2>().0.iter().map(move |&[key_end, value_end]| {
            let (key_end, value_end) = (key_end as usize, value_end as usize);
            let entry = (&self.text[start..key_end], &self.text[key_end..value_end]);
            start = value_end;
            entry
        })
    }

    /// Whether every entry of `self` is in `other` with the same value.
    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|(k, v)| other.get(k) == Some(v))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for StringMap {
    /// Takes entries in any order. Of two with the same key it keeps the last. It drops entries after 4 GiB of text.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let sorted: std::collections::BTreeMap<String, String> =
            entries.into_iter().map(|(k, v)| (k.as_ref().to_owned(), v.as_ref().to_owned())).collect();
        let mut text = String::new();
        let mut ends = Vec::with_capacity(sorted.len() * 2);
        for (key, value) in &sorted {
            let key_end = text.len() + key.len();
            let (Ok(k), Ok(v)) = (u32::try_from(key_end), u32::try_from(key_end + value.len())) else { break };
            text.push_str(key);
            text.push_str(value);
            ends.extend([k, v]);
        }
        Self { text: text.into_boxed_str(), ends: ends.into_boxed_slice() }
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
    /// The port of the Pods. `None` only in offline input, because the API server sets it to `port` by default.
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

//! [`ServiceView`]: what the rules see of a Service, packed small enough to keep ten thousand of them.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Namespace and name of a Service; orders by namespace, then name. A clone costs no allocation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    /// The Service's namespace.
    pub namespace: Arc<str>,
    /// The Service's name.
    pub name: Arc<str>,
}

impl ServiceKey {
    /// A key from its two parts.
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
/// A `BTreeMap<String, String>` of a typical Service's labels takes three to four times the bytes.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct StringMap {
    /// Keys and values one after the other.
    text: Box<str>,
    /// Where each of them ends in `text`, keys and values alternating.
    ends: Box<[u32]>,
}

impl StringMap {
    /// The value of `key`. Linear: these maps hold a handful of entries.
    pub fn get(&self, key: &str) -> Option<&str> {
        let mut start = 0;
        for &[key_end, value_end] in self.ends.as_chunks::<2>().0 {
            let (key_end, value_end) = (key_end as usize, value_end as usize);
            // Most keys are told apart by their length, without touching the text.
            if key_end - start == key.len() && &self.text[start..key_end] == key {
                return Some(&self.text[key_end..value_end]);
            }
            start = value_end;
        }
        None
    }

    /// Whether `key` is there, whatever its value.
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
    /// Entries in any order; of two with the same key the last wins. Entries beyond 4 GiB of text are dropped.
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
    /// Reachable inside the cluster; the API server's default.
    #[default]
    ClusterIP,
    /// As `ClusterIP`, and on a port of every node.
    NodePort,
    /// As `NodePort`, and through a load balancer.
    LoadBalancer,
    /// A DNS alias for a name elsewhere: no pods, no ports of its own.
    ExternalName,
}

/// `protocol` of a Service's port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// The only one an HTTP endpoint can have.
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
    /// The port's name; the API server lets a Service's only port go without.
    pub name: Option<Box<str>>,
    /// The number a client calls, 1..=65535.
    pub port: u16,
    /// Where the pods listen; the API server fills it with `port` when it is not given. `None` only in hand-written input.
    pub target: Option<TargetPort>,
    /// Transport protocol.
    pub protocol: Protocol,
    /// `appProtocol`, as written.
    pub app_protocol: Option<Box<str>>,
}

/// What the rules, the selection and the trust checks see of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceView {
    /// Namespace and name.
    pub key: ServiceKey,
    /// All labels.
    pub labels: StringMap,
    /// Annotations whose value has at most 256 characters; longer values of our own annotations are cut to 257 characters,
    /// so that they are refused as too long rather than overlooked.
    pub annotations: StringMap,
    /// `spec.selector`; empty for a Service whose endpoints somebody else maintains.
    pub selector: StringMap,
    /// `spec.ports`, in the Service's order.
    pub ports: Box<[PortView]>,
    /// `spec.type`.
    pub service_type: ServiceType,
    /// `spec.clusterIP: None`.
    pub headless: bool,
    /// Whether `spec.externalIPs` is non-empty: traffic for those addresses goes to this Service's pods.
    pub external_ips: bool,
    /// `metadata.creationTimestamp` in seconds since 1970; 0 where it is not known (offline input).
    pub created: i64,
}

//! Finds objects that occur more than once in the input.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{object::DEFAULT_NAMESPACE, workload::has_template};

/// The maximum number of objects to name, because somebody may pass a whole file twice.
const MAX_NAMED: usize = 5;

/// How often each object is in the input, and where it is last.
#[derive(Default)]
pub(super) struct Copies(BTreeMap<String, (usize, String)>);

impl Copies {
    /// Counts an object of a kind of which the last copy is used.
    pub(super) fn add(&mut self, place: &str, value: &Value) {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let metadata = value.get("metadata").unwrap_or(&Value::Null);
        let (kind, name, namespace) = (text(value, "kind"), text(metadata, "name"), text(metadata, "namespace"));
        let api_version = text(value, "apiVersion");
        let namespace = if namespace.is_empty() { DEFAULT_NAMESPACE } else { &namespace };
        let object = match (api_version.as_str(), kind.as_str()) {
            ("v1", "Namespace") => format!("{kind} {name}"),
            ("v1", "Service" | "ConfigMap" | "Pod") | ("discovery.k8s.io/v1", "EndpointSlice") => {
                format!("{kind} {namespace}/{name}")
            }
            (api_version, kind) if has_template(api_version, kind) => format!("{kind} {namespace}/{name}"),
            _ => return,
        };
        let (count, last) = self.0.entry(object).or_default();
        *count += 1;
        place.clone_into(last);
    }

    /// A note for each object that is in the input more than once.
    pub(super) fn notes(&self) -> Vec<String> {
        let several: Vec<_> = self.0.iter().filter(|(_, (count, _))| *count > 1).collect();
        let named = several.iter().take(MAX_NAMED).map(|(object, (count, last))| {
            let times = if *count == 2 { "twice".to_owned() } else { format!("{count} times") };
            format!("{object} is in the input {times}; the last one is used ({last})")
        });
        let more = several.len().saturating_sub(MAX_NAMED);
        let rest =
            (more > 0).then(|| format!("{more} more objects are in the input more than once; the last ones are used"));
        named.chain(rest).collect()
    }
}

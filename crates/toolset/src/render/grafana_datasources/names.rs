//! The names of data sources.
//!
//! Grafana finds a data source by its name, and it overwrites or deletes one of that name, even if somebody else made it. So every name
//! of ours has a form that nobody gives to a data source by chance, and no other name is ever written.

use detectors::ServiceKey;

use crate::{checked, tool::Tool};

/// The end of every name.
const MARK: &str = " (discovered)";
/// The place of the namespace for a tool of `spec.tools`. No namespace has a dot in its name.
const OF_THE_SPEC: &str = "spec.tools";

/// What a data source is called after: the namespace and the name of a Service, or `spec.tools` and the name there.
pub(super) fn origin(tool: &Tool) -> (&str, &str) {
    match (&tool.key, &tool.stated_name) {
        (Some(key), _) => (&key.namespace, &key.name),
        (None, stated) => (OF_THE_SPEC, stated.as_deref().unwrap_or(&tool.name)),
    }
}

/// The name of a tool's data source.
pub(super) fn of_tool(tool: &Tool) -> String {
    let (namespace, name) = origin(tool);
    of_service(namespace, name)
}

/// The name of a Service's data source.
pub(super) fn of_service(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}{MARK}")
}

/// The name of the data source of a tool of `spec.tools`.
pub(super) fn of_stated(name: &str) -> String {
    of_service(OF_THE_SPEC, name)
}

/// The Service of a data source. `None` for a tool of `spec.tools`, and for a name that does not have our form.
pub(super) fn service_of(name: &str) -> Option<ServiceKey> {
    let (namespace, service) = name.strip_suffix(MARK).filter(|_| is_ours(name))?.split_once('/')?;
    (namespace != OF_THE_SPEC).then(|| ServiceKey::new(namespace, service))
}

/// Whether a name has our form.
pub(super) fn is_ours(name: &str) -> bool {
    let parts = name.strip_suffix(MARK).and_then(|origin| origin.split_once('/'));
    parts.is_some_and(|(namespace, name)| match namespace {
        OF_THE_SPEC => checked::is_tool_name(name),
        _ => checked::is_dns_label(namespace) && checked::is_dns_label(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_our_form_are_ours() {
        for ours in ["monitoring/prometheus (discovered)", "a/b (discovered)", "spec.tools/corp_1 (discovered)"] {
            assert!(is_ours(ours), "{ours}");
            assert_eq!(service_of(ours).is_none(), ours.starts_with("spec.tools"), "{ours}");
        }
        for other in [
            "Prometheus",
            "monitoring/prometheus",
            "monitoring/prometheus (discovered) ",
            "prometheus (discovered)",
            "a/b/c (discovered)",
            "A/b (discovered)",
            "a/$B (discovered)",
            "a/b\n (discovered)",
            "other.tools/corp (discovered)",
            "spec.tools/ (discovered)",
            "/ (discovered)",
            "",
        ] {
            assert!(!is_ours(other), "{other}");
        }
    }
}

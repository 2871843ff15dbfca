//! The data keys of the formats.

use std::borrow::Cow;

use crd_types::ToolsetConfig;
use kube::ResourceExt;

use crate::digest;

/// A data key that the operator writes.
pub type DataKey = Cow<'static, str>;

/// The data key of format `HolmesGPT`.
pub const HOLMESGPT_KEY: &str = "custom_toolset.yaml";
/// The data key of format `ToolsetJSON`.
pub const TOOLSET_JSON_KEY: &str = "toolset.json";
/// The data keys of format `Environment`, which are names of variables.
pub const VARIABLES: [&str; 10] = [
    "PROMETHEUS_URL",
    "ALERTMANAGER_URL",
    "GRAFANA_URL",
    "LOKI_URL",
    "TEMPO_URL",
    "JAEGER_URL",
    "ELASTICSEARCH_URL",
    "OPENSEARCH_URL",
    "VM_INSTANCE_ENTRYPOINT",
    "VM_INSTANCE_TYPE",
];

/// The start and the end of the data key of format `GrafanaDatasources`.
const GRAFANA_KEY: (&str, &str) = ("toolset-operator.", ".yaml");
/// The most characters of a data key.
const MAX_KEY: usize = 253;

/// The data key of format `GrafanaDatasources`. Grafana's sidecar puts the files of all ConfigMaps into one folder, so the
/// key names the ToolsetConfig. No namespace has a dot, so no two ToolsetConfigs have the same key.
pub fn grafana_key(config: &ToolsetConfig) -> DataKey {
    let (start, end) = GRAFANA_KEY;
    let (namespace, name) = (config.namespace().unwrap_or_default(), config.name_any());
    let key = |name: &str| format!("{start}{namespace}.{name}{end}");
    let whole = key(&name);
    if whole.len() <= MAX_KEY {
        return whole.into();
    }
    let digits = &digest::of_text(&name)[..16];
    let room = MAX_KEY - key("").len() - digits.len() - 1;
    key(&format!("{}-{digits}", &name[..room])).into()
}

/// Whether a format has this data key. Such a key may also be somebody else's. Whose it is, only its field manager
/// says.
pub fn is_of_a_format(key: &str) -> bool {
    let (start, end) = GRAFANA_KEY;
    let is_grafanas = key.strip_prefix(start).is_some_and(|rest| rest.ends_with(end));
    key == HOLMESGPT_KEY || key == TOOLSET_JSON_KEY || VARIABLES.contains(&key) || is_grafanas
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(namespace: &str, name: &str) -> DataKey {
        let mut config = crate::fixtures::trusting_monitoring();
        (config.metadata.namespace, config.metadata.name) = (Some(namespace.to_owned()), Some(name.to_owned()));
        grafana_key(&config)
    }

    #[test]
    fn no_two_toolset_configs_have_the_same_file_in_grafana() {
        assert_eq!(key("monitoring", "grafana"), "toolset-operator.monitoring.grafana.yaml");
        assert_ne!(key("a", "b-c"), key("a-b", "c"));
        assert!(is_of_a_format(&key("a", "b.c")));
    }

    #[test]
    fn a_long_name_is_cut_to_a_key_of_its_own() {
        let (namespace, long) = ("n".repeat(63), "a.".repeat(126) + "a");
        let cut = key(&namespace, &long);
        assert_eq!(cut.len(), MAX_KEY);
        assert!(is_of_a_format(&cut) && cut.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
        assert_ne!(cut, key(&namespace, &format!("{}b", &long[..252])));
    }

    #[test]
    fn the_keys_of_the_environment_are_valid_names_of_variables_everywhere() {
        let fine = |c: char| c.is_ascii_uppercase() || c == '_';
        assert!(
            VARIABLES.iter().all(|name| name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(fine))
        );
    }
}

//! The data keys of the formats.

use std::borrow::Cow;

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

/// Whether a format has this data key. Such a key may also be somebody else's. Whose it is, only its field manager
/// says.
pub fn is_of_a_format(key: &str) -> bool {
    key == HOLMESGPT_KEY || key == TOOLSET_JSON_KEY || VARIABLES.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_the_environment_are_valid_names_of_variables_everywhere() {
        let fine = |c: char| c.is_ascii_uppercase() || c == '_';
        assert!(
            VARIABLES.iter().all(|name| name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(fine))
        );
    }
}

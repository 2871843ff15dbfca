//! Label selectors, as Kubernetes evaluates them.

use detectors::StringMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

/// Whether a selector matches these labels. An empty selector matches everything. An operator that the API server would refuse
/// matches nothing.
pub fn matches(selector: &LabelSelector, labels: &StringMap) -> bool {
    let exact = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    exact
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = labels.get(&expression.key);
            let among = |value: &str| expression.values.iter().flatten().any(|one| one == value);
            match expression.operator.as_str() {
                "In" => value.is_some_and(among),
                "NotIn" => !value.is_some_and(among),
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(json: serde_json::Value) -> LabelSelector {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_selector_matches_as_kubernetes_does() {
        let labels: StringMap = [("tier", "gold"), ("team", "a")].into_iter().collect();
        let cases = [
            (serde_json::json!({}), true),
            (serde_json::json!({"matchLabels": {"tier": "gold"}}), true),
            (serde_json::json!({"matchLabels": {"tier": "silver"}}), false),
            (
                serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold", "x"]}]}),
                true,
            ),
            (serde_json::json!({"matchExpressions": [{"key": "absent", "operator": "NotIn", "values": ["x"]}]}), true),
            (serde_json::json!({"matchExpressions": [{"key": "absent", "operator": "Exists"}]}), false),
            (serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}), false),
            (serde_json::json!({"matchExpressions": [{"key": "tier", "operator": "Near"}]}), false),
        ];
        for (json, expected) in cases {
            assert_eq!(matches(&selector(json.clone()), &labels), expected, "{json}");
        }
    }
}

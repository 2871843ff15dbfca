//! Whether a ToolsetConfig's inputs allow a plan, and whether they allow a write.

use std::collections::BTreeMap;

use crd_types::ToolsetConfig;
use tokio::time::Instant;
use toolset::status::{InputState, required_inputs};

use crate::inputs::{Input, Inputs, Standing, Summary, WatchId};

/// What the inputs of one ToolsetConfig allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Not everything needed has been listed once: what is known may be partial. No plan, no write.
    Shut,
    /// Everything is known, but not everything is fresh enough to write. The ConfigMap is held as it is.
    Held,
    /// Plan and write.
    Open,
}

/// What the gate was decided from.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What is allowed.
    pub gate: Gate,
    /// Each required input's state, for the status.
    pub states: BTreeMap<Input, InputState>,
    /// Since when EndpointSlices have been in trouble: health stands still from then on.
    pub health_stands_since: Option<Instant>,
}

/// Decides from the state of the watches.
///
/// - Services or the ConfigMap itself forbidden or stale: no write.
/// - EndpointSlices forbidden or stale: the last health stands, Services still come and go.
/// - Namespaces forbidden or stale: the last membership stands.
pub fn decide(config: &ToolsetConfig, inputs: &Inputs, now: Instant) -> Verdict {
    let mut verdict = Verdict { gate: Gate::Open, states: BTreeMap::new(), health_stands_since: None };
    for input in required_inputs(config) {
        let summary = summary(config, inputs, input, now);
        if !summary.listed {
            verdict.gate = Gate::Shut;
        } else if summary.standing != Standing::Synced {
            match input {
                Input::EndpointSlice => verdict.health_stands_since = Some(summary.troubled_since.unwrap_or(now)),
                Input::Namespace => {}
                Input::Service | Input::ConfigMap | Input::ToolsetConfig => {
                    if verdict.gate == Gate::Open {
                        verdict.gate = Gate::Held;
                    }
                }
            }
        }
        verdict.states.insert(input, state(summary));
    }
    verdict
}

/// The ConfigMaps of others are no concern of this ToolsetConfig.
fn summary(config: &ToolsetConfig, inputs: &Inputs, input: Input, now: Instant) -> Summary {
    if input != Input::ConfigMap {
        return inputs.summary(input, now);
    }
    let (namespace, output) = (config.metadata.namespace.as_deref(), &config.spec.output);
    let names = std::iter::once(&output.config_map_name).chain(output.base.as_ref().map(|base| &base.config_map_name));
    let ids: Vec<_> = names.map(|name| WatchId::one(Input::ConfigMap, namespace, name)).collect();
    inputs.summary_of(now, &ids)
}

fn state(summary: Summary) -> InputState {
    match summary.standing {
        Standing::Synced => InputState::Synced,
        Standing::Pending => InputState::Pending,
        Standing::Forbidden => InputState::Forbidden { message: summary.words },
        Standing::Stale if summary.words.is_empty() => InputState::Stale { message: "no answer".to_owned() },
        Standing::Stale => InputState::Stale { message: summary.words },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{error::Cause, inputs::STALE_AFTER};

    fn config(spec: &serde_json::Value) -> ToolsetConfig {
        let mut object = serde_json::json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": "c", "namespace": "n"},
            "spec": {"sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}]}
        });
        for (key, value) in spec.as_object().unwrap() {
            object["spec"][key] = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn ids() -> [WatchId; 3] {
        [
            WatchId::all(Input::Service),
            WatchId::all(Input::EndpointSlice),
            WatchId::one(Input::ConfigMap, Some("n"), "kubernaut-toolset-config"),
        ]
    }

    fn all_listed(now: Instant) -> Inputs {
        let inputs = Inputs::default();
        for id in ids() {
            inputs.started(&id, now);
            inputs.listed(&id, now);
        }
        inputs
    }

    #[test]
    fn nothing_is_planned_before_every_required_input_has_listed() {
        let (inputs, now) = (Inputs::default(), Instant::now());
        let config = config(&serde_json::json!({}));
        for id in ids() {
            assert_eq!(decide(&config, &inputs, now).gate, Gate::Shut);
            inputs.started(&id, now);
            inputs.listed(&id, now);
        }
        assert_eq!(decide(&config, &inputs, now).gate, Gate::Open);
    }

    #[test]
    fn endpoint_slices_are_not_waited_for_without_health() {
        let (inputs, now) = (all_listed(Instant::now()), Instant::now());
        inputs.stopped(&WatchId::all(Input::EndpointSlice));
        assert_eq!(decide(&config(&serde_json::json!({})), &inputs, now).gate, Gate::Shut);
        assert_eq!(decide(&config(&serde_json::json!({"health": {"mode": "None"}})), &inputs, now).gate, Gate::Open);
    }

    #[test]
    fn namespaces_are_waited_for_only_by_who_selects_by_label() {
        let (inputs, now) = (all_listed(Instant::now()), Instant::now());
        inputs.started(&WatchId::all(Input::Namespace), now);
        inputs.failed(&WatchId::all(Input::Namespace), Cause::Forbidden, "no", now);
        assert_eq!(decide(&config(&serde_json::json!({})), &inputs, now).gate, Gate::Open);
        let by_label = serde_json::json!({"sources": [
            {"name": "s", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": {}}}
        ]});
        let verdict = decide(&config(&by_label), &inputs, now);
        assert_eq!(verdict.gate, Gate::Shut);
        assert!(matches!(verdict.states[&Input::Namespace], InputState::Forbidden { .. }));
    }

    #[test]
    fn a_forbidden_service_watch_holds_the_output() {
        let (inputs, now) = (all_listed(Instant::now()), Instant::now());
        inputs.failed(&WatchId::all(Input::Service), Cause::Forbidden, "no", now);
        assert_eq!(decide(&config(&serde_json::json!({})), &inputs, now).gate, Gate::Held);
    }

    #[test]
    fn without_endpoint_slices_health_stands_still_and_services_come_and_go() {
        let now = Instant::now();
        let inputs = all_listed(now);
        let later = now + STALE_AFTER;
        inputs.contact(&WatchId::all(Input::Service), later);
        inputs.contact(&ids()[2], later);
        let verdict = decide(&config(&serde_json::json!({})), &inputs, later);
        assert_eq!((verdict.gate, verdict.health_stands_since), (Gate::Open, Some(later)));
    }
}

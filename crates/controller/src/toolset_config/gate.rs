//! Whether the inputs of a ToolsetConfig allow a plan, and whether they allow a write.

use std::collections::BTreeMap;

use crd_types::ToolsetConfig;
use tokio::time::Instant;
use toolset::status::{Input, InputState, required_inputs};

use crate::cluster::{InputHealth, WatchHealth, WatchId, Watches, config_map_watches};

/// What the inputs of one ToolsetConfig allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Not every required input has listed once, so what is known may be partial. No plan, no write.
    Shut,
    /// Everything is known, but not everything is up to date. The ConfigMap is not changed.
    Held,
    /// Plan and write.
    Open,
}

/// What the inputs allow, and why.
#[derive(Clone, Debug)]
pub(super) struct GateDecision {
    pub(super) gate: Gate,
    /// The state of each required input, for the status.
    pub(super) inputs: BTreeMap<Input, InputState>,
    /// Since when EndpointSlices have been forbidden or stale. The health of tools does not change after that.
    pub(super) health_frozen_since: Option<Instant>,
}

impl GateDecision {
    /// Whether the API server refuses one of the inputs.
    pub(super) fn is_forbidden(&self) -> bool {
        self.inputs.values().any(|state| matches!(state, InputState::Forbidden { .. }))
    }
}

/// Decides from the health of the watches.
///
/// - If Services or the ConfigMap are forbidden or stale, nothing is written.
/// - If EndpointSlices are forbidden or stale, the last known health is used. Services are still added and removed.
/// - If Namespaces are forbidden or stale, the last known labels are used.
pub(super) fn decide(config: &ToolsetConfig, watches: &Watches, now: Instant) -> GateDecision {
    let mut decision = GateDecision { gate: Gate::Open, inputs: BTreeMap::new(), health_frozen_since: None };
    for input in required_inputs(config) {
        let health = health(config, watches, input, now);
        if !health.listed {
            decision.gate = Gate::Shut;
        } else if health.health != WatchHealth::Synced {
            match input {
                Input::EndpointSlice => decision.health_frozen_since = Some(health.problem_since.unwrap_or(now)),
                Input::Namespace => {}
                Input::Service | Input::ConfigMap | Input::ToolsetConfig => {
                    if decision.gate == Gate::Open {
                        decision.gate = Gate::Held;
                    }
                }
            }
        }
        decision.inputs.insert(input, state(health));
    }
    decision
}

/// The health of one input. For ConfigMaps, only those count that this ToolsetConfig writes or reads.
fn health(config: &ToolsetConfig, watches: &Watches, input: Input, now: Instant) -> InputHealth {
    if input != Input::ConfigMap {
        return watches.input_health(input, now);
    }
    let ids: Vec<WatchId> = config_map_watches(config).collect();
    watches.health_of(now, &ids)
}

fn state(health: InputHealth) -> InputState {
    match health.health {
        WatchHealth::Synced => InputState::Synced,
        WatchHealth::Pending => InputState::Pending,
        WatchHealth::Forbidden => InputState::Forbidden { message: health.message },
        WatchHealth::Stale if health.message.is_empty() => InputState::Stale { message: "no answer".to_owned() },
        WatchHealth::Stale => InputState::Stale { message: health.message },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::Cause, cluster::STALE_AFTER};

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

    fn all_listed(now: Instant) -> Watches {
        let watches = Watches::default();
        for id in ids() {
            watches.started(&id, now);
            watches.listed(&id, now);
        }
        watches
    }

    #[test]
    fn nothing_is_planned_before_every_required_input_has_listed() {
        let (watches, now) = (Watches::default(), Instant::now());
        let config = config(&serde_json::json!({}));
        for id in ids() {
            assert_eq!(decide(&config, &watches, now).gate, Gate::Shut);
            watches.started(&id, now);
            watches.listed(&id, now);
        }
        assert_eq!(decide(&config, &watches, now).gate, Gate::Open);
    }

    #[test]
    fn endpoint_slices_are_not_waited_for_without_health() {
        let (watches, now) = (all_listed(Instant::now()), Instant::now());
        watches.stopped(&WatchId::all(Input::EndpointSlice));
        assert_eq!(decide(&config(&serde_json::json!({})), &watches, now).gate, Gate::Shut);
        assert_eq!(decide(&config(&serde_json::json!({"health": {"mode": "None"}})), &watches, now).gate, Gate::Open);
    }

    #[test]
    fn namespaces_are_waited_for_only_if_a_source_selects_by_label() {
        let (watches, now) = (all_listed(Instant::now()), Instant::now());
        watches.started(&WatchId::all(Input::Namespace), now);
        watches.failed(&WatchId::all(Input::Namespace), Cause::Forbidden, "no", now);
        assert_eq!(decide(&config(&serde_json::json!({})), &watches, now).gate, Gate::Open);
        let by_label = serde_json::json!({"sources": [
            {"name": "s", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": {}}}
        ]});
        let decision = decide(&config(&by_label), &watches, now);
        assert_eq!(decision.gate, Gate::Shut);
        assert!(matches!(decision.inputs[&Input::Namespace], InputState::Forbidden { .. }));
    }

    #[test]
    fn a_forbidden_service_watch_holds_the_output() {
        let (watches, now) = (all_listed(Instant::now()), Instant::now());
        watches.failed(&WatchId::all(Input::Service), Cause::Forbidden, "no", now);
        assert_eq!(decide(&config(&serde_json::json!({})), &watches, now).gate, Gate::Held);
    }

    #[test]
    fn without_endpoint_slices_health_is_frozen_and_services_come_and_go() {
        let now = Instant::now();
        let watches = all_listed(now);
        let later = now + STALE_AFTER;
        watches.contact(&WatchId::all(Input::Service), later);
        watches.contact(&ids()[2], later);
        let decision = decide(&config(&serde_json::json!({})), &watches, later);
        assert_eq!((decision.gate, decision.health_frozen_since), (Gate::Open, Some(later)));
    }
}

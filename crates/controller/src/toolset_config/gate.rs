//! Whether the inputs of a ToolsetConfig allow a plan, and whether they allow a write.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet},
};

use crd_types::{HealthMode, NamespacesFrom, Source, ToolsetConfig};
use detectors::StringMap;
use tokio::time::Instant;
use toolset::{
    select::source::covers,
    status::{Input, InputState, Inputs, required_inputs},
};

use crate::cluster::{InputHealth, WatchHealth, WatchId, Watches, config_map_watches};

/// What the inputs of one ToolsetConfig allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// Not every required input has listed once, so what is known may be partial. No plan, no write.
    Shut,
    /// Everything is known, but not everything is up to date. No Service is added to the ConfigMap.
    Held,
    /// Plan and write.
    Open,
}

/// What the inputs allow, and why.
#[derive(Clone, Debug)]
pub(super) struct GateDecision {
    pub(super) gate: Gate,
    /// The state of the required inputs, for the status.
    pub(super) inputs: Inputs,
    /// The namespaces in which health does not change.
    pub(super) frozen: Frozen,
}

/// Since when health has stood still, because EndpointSlices or Services are forbidden or stale.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frozen {
    /// Of every namespace.
    pub(super) all: Option<Instant>,
    /// Of single namespaces.
    pub(super) namespaces: BTreeMap<String, Instant>,
}

/// What is known of the inputs.
pub(super) struct Known<'a> {
    pub(super) watches: &'a Watches,
    /// The namespaces to which the watches of Services and EndpointSlices are restricted. Empty means all.
    pub(super) watch_namespaces: &'a [String],
    /// The labels of a namespace, if it has been seen.
    pub(super) labels: &'a dyn Fn(&str) -> Option<StringMap>,
    /// The namespaces of the Services in the ConfigMap that the index lacks, although nothing says that they are gone.
    pub(super) unseen_in_output: &'a dyn Fn() -> BTreeSet<String>,
}

impl GateDecision {
    /// Whether the API server refuses one of the inputs.
    pub(super) fn is_forbidden(&self) -> bool {
        self.inputs.states.values().any(|state| matches!(state, InputState::Forbidden { .. }))
    }

    /// Whether an input is forbidden or stale, and not only not listed yet.
    pub(super) fn is_in_trouble(&self) -> bool {
        self.is_forbidden() || self.inputs.states.values().any(|state| matches!(state, InputState::Stale { .. }))
    }

    /// Whether there is a Service that cannot enter the output.
    pub(super) fn holds_new(&self) -> bool {
        self.gate != Gate::Open || !self.inputs.held_namespaces.is_empty()
    }

    /// Whether a Service of this namespace can enter the output.
    pub(super) fn admits_new_from(&self, namespace: &str) -> bool {
        let held = self.inputs.held_namespaces.get(namespace);
        self.gate == Gate::Open && held.is_none_or(|(input, _)| *input != Input::Service)
    }
}

/// Decides from the health of the watches.
///
/// - If Services or the ConfigMap are forbidden or stale, no Service is added, and a tool is removed only if the spec
///   excludes it.
/// - If EndpointSlices are forbidden or stale, the last known health is used. Services are still added and removed.
/// - If Namespaces are forbidden or stale, the last known labels are used.
/// - If one of several watched namespaces is forbidden or stale, this concerns only the Services of this namespace.
pub(super) fn decide(config: &ToolsetConfig, known: &Known<'_>, now: Instant) -> GateDecision {
    let mut decision = GateDecision { gate: Gate::Open, inputs: Inputs::default(), frozen: Frozen::default() };
    let selected = selected_namespaces(config, known);
    decision.inputs.unwatched_namespaces = unwatched_namespaces(config, known.watch_namespaces);
    for input in required_inputs(config) {
        let health = match input {
            Input::Service | Input::EndpointSlice if !known.watch_namespaces.is_empty() => {
                decision.of_namespaces(known, input, &selected, now)
            }
            Input::ConfigMap => {
                // Only the ConfigMaps that this ToolsetConfig writes or reads count.
                let ids: Vec<WatchId> = config_map_watches(config).collect();
                Some(known.watches.health_of(now, &ids))
            }
            _ => Some(known.watches.input_health(input, now)),
        };
        if let Some(health) = health {
            decision.of_input(config, input, health, now);
        }
    }
    decision
}

impl GateDecision {
    /// Takes the health of a whole input into account.
    fn of_input(&mut self, config: &ToolsetConfig, input: Input, health: InputHealth, now: Instant) {
        let since = health.problem_since.unwrap_or(now);
        // Without health, EndpointSlices matter only to Tenants, whose Services wait until they can be seen.
        let only_tenants = input == Input::EndpointSlice && config.spec.health.mode == HealthMode::None;
        if !health.listed {
            if !(only_tenants && health.health == WatchHealth::Forbidden) {
                self.gate = Gate::Shut;
            }
        } else if health.health != WatchHealth::Synced {
            match input {
                Input::EndpointSlice => self.freeze(since),
                Input::Namespace => {}
                Input::Service | Input::ConfigMap | Input::ToolsetConfig => {
                    self.freeze(since);
                    if self.gate == Gate::Open {
                        self.gate = Gate::Held;
                    }
                }
            }
        }
        self.inputs.states.insert(input, state(health));
    }

    fn freeze(&mut self, since: Instant) {
        self.frozen.all = Some(self.frozen.all.map_or(since, |all| all.min(since)));
    }

    /// Takes the health of an input that is watched by namespace into account. Returns the health of the whole input, or
    /// `None` if only some of the namespaces are held.
    fn of_namespaces(
        &mut self,
        known: &Known<'_>,
        input: Input,
        selected: &[&String],
        now: Instant,
    ) -> Option<InputHealth> {
        let health = |namespace: &String| known.watches.health_of(now, &[WatchId::within(input, namespace)]);
        let (mut held, mut others): (Vec<_>, Vec<_>) = selected
            .iter()
            .map(|namespace| (*namespace, health(namespace)))
            .partition(|(_, health)| matches!(health.health, WatchHealth::Forbidden | WatchHealth::Stale));
        let unseen = LazyCell::new(known.unseen_in_output);
        let lost = |(namespace, _): &(&String, InputHealth)| unseen.contains(*namespace);
        // A Service that is in the output and was never seen cannot be planned.
        if let Some(position) = held.iter().position(lost) {
            return Some(InputHealth { listed: false, ..held.swap_remove(position).1 });
        }
        if others.is_empty() && !held.is_empty() {
            let worst = held.iter().position(|(_, health)| !health.listed).unwrap_or_default();
            return Some(held.swap_remove(worst).1);
        }
        for (namespace, health) in held {
            let since = health.problem_since.unwrap_or(now);
            let frozen = self.frozen.namespaces.entry(namespace.clone()).or_insert(since);
            *frozen = since.min(*frozen);
            self.inputs.held_namespaces.entry(namespace.clone()).or_insert((input, state(health)));
        }
        let pending = others.iter().position(|(_, health)| health.health != WatchHealth::Synced);
        pending.map(|position| others.swap_remove(position).1)
    }
}

/// The watched namespaces that a source covers, or may cover.
fn selected_namespaces<'a>(config: &ToolsetConfig, known: &Known<'a>) -> Vec<&'a String> {
    let own = config.metadata.namespace.as_deref();
    let may_cover = |source: &Source, namespace: &str| {
        if source.namespaces.from != NamespacesFrom::Selector {
            return covers(source, own, namespace, None);
        }
        let labels = (known.labels)(namespace);
        labels.is_none() || covers(source, own, namespace, labels.as_ref())
    };
    let selected = |namespace: &&String| config.spec.sources.iter().any(|source| may_cover(source, namespace));
    known.watch_namespaces.iter().filter(selected).collect()
}

/// The namespaces that a source names and the operator does not watch, with that source.
fn unwatched_namespaces(config: &ToolsetConfig, watched: &[String]) -> BTreeMap<String, String> {
    let mut unwatched = BTreeMap::new();
    if watched.is_empty() {
        return unwatched;
    }
    for source in &config.spec.sources {
        let named = match source.namespaces.from {
            NamespacesFrom::Names => source.namespaces.names.clone(),
            NamespacesFrom::Same => config.metadata.namespace.iter().cloned().collect(),
            NamespacesFrom::All | NamespacesFrom::Selector => Vec::new(),
        };
        for namespace in named.into_iter().filter(|namespace| !watched.contains(namespace)) {
            unwatched.entry(namespace).or_insert_with(|| source.name.clone());
        }
    }
    unwatched
}

fn state(health: InputHealth) -> InputState {
    match health.health {
        WatchHealth::Synced => InputState::Synced,
        WatchHealth::Pending => InputState::Pending,
        WatchHealth::Forbidden => InputState::Forbidden { message: health.message },
        WatchHealth::Stale if health.message.is_empty() => {
            InputState::Stale { message: "the API server does not respond".to_owned() }
        }
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

    fn gate_of(config: &ToolsetConfig, watches: &Watches, namespaces: &[&str], now: Instant) -> GateDecision {
        gate_with(config, watches, namespaces, &[], now)
    }

    /// The decision if the watches are restricted to these namespaces, and the ConfigMap holds Services of those.
    fn gate_with(
        config: &ToolsetConfig,
        watches: &Watches,
        namespaces: &[&str],
        in_output: &[&str],
        now: Instant,
    ) -> GateDecision {
        let namespaces: Vec<String> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        let known = Known {
            watches,
            watch_namespaces: &namespaces,
            labels: &|_| None,
            unseen_in_output: &|| in_output.iter().map(|name| (*name).to_owned()).collect(),
        };
        decide(config, &known, now)
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
            assert_eq!(gate_of(&config, &watches, &[], now).gate, Gate::Shut);
            watches.started(&id, now);
            watches.listed(&id, now);
        }
        assert_eq!(gate_of(&config, &watches, &[], now).gate, Gate::Open);
    }

    #[test]
    fn a_base_is_waited_for_only_where_the_file_for_holmesgpt_is_written() {
        let (watches, now) = (all_listed(Instant::now()), Instant::now());
        for (format, gate) in [("HolmesGPT", Gate::Shut), ("ToolsetJSON", Gate::Open)] {
            let output = serde_json::json!({"formats": [format], "base": {"configMapName": "base"}});
            let config = config(&serde_json::json!({"output": output}));
            assert_eq!(gate_of(&config, &watches, &[], now).gate, gate, "{format}");
        }
    }

    #[test]
    fn endpoint_slices_are_not_waited_for_without_health() {
        let (watches, now) = (all_listed(Instant::now()), Instant::now());
        watches.stopped(&WatchId::all(Input::EndpointSlice));
        assert_eq!(gate_of(&config(&serde_json::json!({})), &watches, &[], now).gate, Gate::Shut);
        assert_eq!(
            gate_of(&config(&serde_json::json!({"health": {"mode": "None"}})), &watches, &[], now).gate,
            Gate::Open
        );
    }

    #[test]
    fn namespaces_are_waited_for_only_if_a_source_selects_by_label() {
        let (watches, now) = (all_listed(Instant::now()), Instant::now());
        watches.started(&WatchId::all(Input::Namespace), now);
        watches.failed(&WatchId::all(Input::Namespace), Cause::Forbidden, "no", now);
        assert_eq!(gate_of(&config(&serde_json::json!({})), &watches, &[], now).gate, Gate::Open);
        let by_label = serde_json::json!({"sources": [
            {"name": "s", "trust": "Trusted", "namespaces": {"from": "Selector", "selector": {}}}
        ]});
        let decision = gate_of(&config(&by_label), &watches, &[], now);
        assert_eq!(decision.gate, Gate::Shut);
        assert!(matches!(decision.inputs.states[&Input::Namespace], InputState::Forbidden { .. }));
    }

    #[test]
    fn a_forbidden_service_watch_holds_the_output() {
        let (watches, now) = (all_listed(Instant::now()), Instant::now());
        watches.failed(&WatchId::all(Input::Service), Cause::Forbidden, "no", now);
        assert_eq!(gate_of(&config(&serde_json::json!({})), &watches, &[], now).gate, Gate::Held);
    }

    #[test]
    fn without_endpoint_slices_health_is_frozen_and_services_come_and_go() {
        let now = Instant::now();
        let watches = all_listed(now);
        let later = now + STALE_AFTER;
        watches.contact(&WatchId::all(Input::Service), later);
        watches.contact(&ids()[2], later);
        let decision = gate_of(&config(&serde_json::json!({})), &watches, &[], later);
        assert_eq!((decision.gate, decision.frozen.all), (Gate::Open, Some(later)));
    }

    /// Watches of Services and EndpointSlices in namespaces `a` and `b`, all of which have listed.
    fn two_namespaces(now: Instant) -> Watches {
        let watches = all_listed(now);
        for input in [Input::Service, Input::EndpointSlice] {
            watches.stopped(&WatchId::all(input));
            for namespace in ["a", "b"] {
                watches.started(&WatchId::within(input, namespace), now);
                watches.listed(&WatchId::within(input, namespace), now);
            }
        }
        watches
    }

    fn selecting(namespaces: &[&str]) -> ToolsetConfig {
        config(&serde_json::json!({"sources": [
            {"name": "s", "trust": "Trusted", "namespaces": {"from": "Names", "names": namespaces}}
        ]}))
    }

    #[test]
    fn one_forbidden_namespace_holds_only_its_part_of_what_selects_from_it() {
        let now = Instant::now();
        let (watches, both) = (two_namespaces(now), ["a", "b"]);
        watches.failed(&WatchId::within(Input::Service, "b"), Cause::Forbidden, "no", now);

        let of_a = gate_of(&selecting(&["a"]), &watches, &both, now);
        assert_eq!((of_a.gate, of_a.inputs.held_namespaces.len()), (Gate::Open, 0));
        let of_both = gate_of(&selecting(&both), &watches, &both, now);
        assert_eq!(of_both.gate, Gate::Open);
        assert!(of_both.admits_new_from("a") && !of_both.admits_new_from("b"));
        assert_eq!((of_both.frozen.all, of_both.frozen.namespaces.get("b")), (None, Some(&now)));
        let of_b = gate_of(&selecting(&["b"]), &watches, &both, now);
        assert_eq!(of_b.gate, Gate::Held, "nothing else is left");
        assert!(of_b.is_forbidden());
    }

    #[test]
    fn a_forbidden_namespace_that_was_never_listed_holds_all_only_if_the_output_has_something_of_it() {
        let now = Instant::now();
        let (watches, both) = (two_namespaces(now), ["a", "b"]);
        let of_b = WatchId::within(Input::Service, "b");
        watches.started(&of_b, now);
        assert_eq!(gate_of(&selecting(&both), &watches, &both, now).gate, Gate::Shut, "it may still list");
        watches.failed(&of_b, Cause::Forbidden, "no", now);
        let decision = gate_of(&selecting(&both), &watches, &both, now);
        assert_eq!((decision.gate, decision.inputs.held_namespaces.len()), (Gate::Open, 1));
        let decision = gate_with(&selecting(&both), &watches, &both, &["b"], now);
        assert_eq!((decision.gate, decision.is_forbidden()), (Gate::Shut, true));
    }

    #[test]
    fn a_namespace_that_does_not_exist_holds_nothing() {
        let now = Instant::now();
        let (watches, both) = (two_namespaces(now), ["a", "b"]);
        let of_b = WatchId::within(Input::Service, "b");
        watches.started(&of_b, now);
        watches.namespace_gone(&of_b, now);
        let decision = gate_with(&selecting(&both), &watches, &both, &["b"], now);
        assert_eq!((decision.gate, decision.inputs.held_namespaces.len()), (Gate::Open, 0));
    }

    #[test]
    fn a_source_outside_the_watched_namespaces_is_reported() {
        let now = Instant::now();
        let decision = gate_of(&selecting(&["a", "elsewhere"]), &two_namespaces(now), &["a", "b"], now);
        assert_eq!(decision.inputs.unwatched_namespaces.get("elsewhere").map(String::as_str), Some("s"));
        assert_eq!((decision.gate, decision.inputs.unwatched_namespaces.len()), (Gate::Open, 1));
    }

    #[test]
    fn forbidden_endpoint_slices_let_trusted_services_go_on_without_health() {
        let now = Instant::now();
        let watches = all_listed(now);
        let slices = WatchId::all(Input::EndpointSlice);
        watches.started(&slices, now);
        let tenants = config(&serde_json::json!({
            "sources": [{"name": "s", "trust": "Tenant", "namespaces": {"from": "All"}}],
            "health": {"mode": "None"},
        }));
        assert_eq!(gate_of(&tenants, &watches, &[], now).gate, Gate::Shut, "they are on their way");
        watches.failed(&slices, Cause::Forbidden, "no", now);
        let decision = gate_of(&tenants, &watches, &[], now);
        assert_eq!((decision.gate, decision.is_forbidden()), (Gate::Open, true));
    }
}

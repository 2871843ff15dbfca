//! What is to be done about the ConfigMap. Pure: facts in, one decision out.

use crd_types::{ConflictPolicy, Mode, ToolsetConfig};
use kube::ResourceExt;
use serde_json::Value;
use toolset::{
    ConfigMapView, Drift, Ownership, Rendered,
    manifest::{drift, ownership},
    render::DATA_KEYS,
    status::OutputState,
};

use crate::{gate::Gate, inputs::Cached, metrics::Operation};

/// What the decision rests on.
pub struct Facts<'a> {
    /// The ToolsetConfig.
    pub config: &'a ToolsetConfig,
    /// What the inputs allow; never [`Gate::Shut`], which allows no plan.
    pub gate: Gate,
    /// The ToolsetConfig that goes before this one for the same ConfigMap.
    pub older_rival: Option<String>,
    /// The ConfigMap as last seen.
    pub existing: &'a Cached,
    /// What it is to hold.
    pub rendered: &'a Rendered,
    /// The object to apply.
    pub object: &'a Value,
    /// What this process last applied.
    pub last: Option<&'a Value>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Leave it alone, and say why.
    Leave(OutputState),
    /// It is gone during a hold: put back what was last applied.
    Restore,
    /// It is being deleted; the event of its end wakes us.
    AwaitEnd,
    /// It is as it should be.
    Nothing,
    /// Write what was planned.
    Write {
        /// Why.
        operation: Operation,
        /// What it lacks.
        found: Drift,
    },
}

/// The message of a hold.
pub fn held() -> OutputState {
    OutputState::Held { message: "the ConfigMap is held as it is until the inputs recover".to_owned() }
}

/// Decides.
pub fn decide(facts: &Facts<'_>) -> Decision {
    let name = &facts.config.spec.output.config_map_name;
    let view = facts.existing.view.as_deref();
    if facts.config.spec.mode == Mode::Preview {
        return Decision::Leave(OutputState::Preview);
    }
    if let Some(older) = &facts.older_rival {
        let message = format!(
            "ToolsetConfig {older} is older and writes ConfigMap {name}; give one of them another output.configMapName"
        );
        return Decision::Leave(OutputState::Conflict { message });
    }
    if facts.gate == Gate::Held {
        return match (view, facts.last) {
            (None, Some(_)) => Decision::Restore,
            _ => Decision::Leave(held()),
        };
    }
    if view.is_some_and(|view| view.terminating) {
        return Decision::AwaitEnd;
    }
    let adopts = match view.map_or(Ownership::Ours, |view| ownership(facts.config, view)) {
        Ownership::Ours => false,
        Ownership::Predecessor => true,
        Ownership::Stranger { .. } if facts.config.spec.output.conflict_policy == ConflictPolicy::Adopt => true,
        Ownership::Stranger { who } => {
            let message = format!(
                "ConfigMap {name} belongs to {who}; set output.conflictPolicy: Adopt to take it over, or choose another \
                 output.configMapName"
            );
            return Decision::Leave(OutputState::Conflict { message });
        }
    };
    let Some(found) = difference(facts, view) else { return Decision::Nothing };
    // The same object was applied before, so it is not we who changed our mind.
    let repair = facts.last.is_some_and(|last| last == facts.object);
    let operation = match view {
        Some(_) if adopts => Operation::Adopt,
        _ if repair => Operation::Repair,
        Some(_) => Operation::Update,
        None => Operation::Create,
    };
    Decision::Write { operation, found }
}

fn difference(facts: &Facts<'_>, view: Option<&ConfigMapView>) -> Option<Drift> {
    let Some(view) = view else { return Some(Drift::Missing) };
    // A key that can be ours but is not asked for, and that we do not own, is somebody else's: it stays.
    let foreign = |key: &str| {
        DATA_KEYS.contains(&key) && !facts.rendered.data.contains_key(key) && !facts.existing.owned.contains(key)
    };
    if !view.data.keys().any(|key| foreign(key)) {
        return drift(facts.config, view, facts.rendered);
    }
    let mut ours = view.clone();
    ours.data.retain(|key, _| !foreign(key));
    drift(facts.config, &ours, facts.rendered)
}

/// The ToolsetConfig that writes the same ConfigMap and goes before this one: the older, then the lesser name. One that is
/// being deleted goes before nobody.
pub fn older_rival<'a>(config: &ToolsetConfig, all: impl IntoIterator<Item = &'a ToolsetConfig>) -> Option<String> {
    let rank = |config: &ToolsetConfig| {
        let created = config.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, config.name_any())
    };
    let mine = rank(config);
    let rivals = all.into_iter().filter(|other| {
        other.metadata.namespace == config.metadata.namespace
            && other.metadata.deletion_timestamp.is_none()
            && other.spec.output.config_map_name == config.spec.output.config_map_name
    });
    rivals.map(rank).filter(|rank| *rank < mine).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use toolset::{Context, manifest::config_map};

    use super::*;

    fn config(extra: &[(&str, Value)]) -> ToolsetConfig {
        let mut object = serde_json::json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": "c", "namespace": "n", "uid": "config", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}], "output": {}}
        });
        for (pointer, value) in extra {
            *object.pointer_mut(pointer).unwrap() = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn rendered(text: &str) -> Rendered {
        Rendered {
            data: BTreeMap::from([("toolset.json".to_owned(), text.to_owned())]),
            hash: format!("hash of {text}"),
            ..Rendered::default()
        }
    }

    /// The ConfigMap as the API server would hold it after `object` was applied.
    fn applied(object: &Value) -> Cached {
        let mut object = object.clone();
        object["metadata"]["uid"] = Value::String("map".to_owned());
        object["metadata"]["managedFields"] = serde_json::json!([
            {"manager": "toolset-operator", "operation": "Apply", "fieldsV1": {"f:data": {"f:toolset.json": {}}}}
        ]);
        Cached::of(&serde_json::from_value(object).unwrap())
    }

    struct Case {
        config: ToolsetConfig,
        gate: Gate,
        rival: Option<String>,
        existing: Cached,
        rendered: Rendered,
        last: Option<Value>,
    }

    impl Case {
        /// All is well: what was applied is there and wanted.
        fn at_rest() -> Self {
            let (config, rendered) = (config(&[]), rendered("a"));
            let object = Self::object_of(&config, &rendered);
            Self { config, gate: Gate::Open, rival: None, existing: applied(&object), rendered, last: Some(object) }
        }

        fn object_of(config: &ToolsetConfig, rendered: &Rendered) -> Value {
            config_map(&Context { config, cluster_domain: "cluster.local" }, rendered, None)
        }

        fn decide(&self) -> Decision {
            decide(&Facts {
                config: &self.config,
                gate: self.gate,
                older_rival: self.rival.clone(),
                existing: &self.existing,
                rendered: &self.rendered,
                object: &Self::object_of(&self.config, &self.rendered),
                last: self.last.as_ref(),
            })
        }

        fn operation(&self) -> Operation {
            match self.decide() {
                Decision::Write { operation, .. } => operation,
                other => panic!("not a write: {other:?}"),
            }
        }

        fn change(&mut self, change: impl FnOnce(&mut ConfigMapView)) {
            let mut view = (**self.existing.view.as_ref().unwrap()).clone();
            change(&mut view);
            self.existing.view = Some(Arc::new(view));
        }
    }

    #[test]
    fn what_is_as_it_should_be_is_not_written() {
        assert_eq!(Case::at_rest().decide(), Decision::Nothing);
    }

    #[test]
    fn new_content_is_an_update_and_somebody_elses_change_a_repair() {
        let mut case = Case::at_rest();
        case.change(|view| drop(view.data.insert("toolset.json".to_owned(), "edited".to_owned())));
        assert_eq!(case.operation(), Operation::Repair);
        case.rendered = rendered("b");
        assert_eq!(case.operation(), Operation::Update);
    }

    #[test]
    fn a_missing_config_map_is_created_and_a_deleted_one_repaired() {
        let mut case = Case::at_rest();
        case.existing = Cached::default();
        assert_eq!(case.operation(), Operation::Repair);
        case.last = None;
        assert_eq!(case.operation(), Operation::Create);
    }

    #[test]
    fn another_deletion_policy_is_an_update_not_a_repair() {
        let mut case = Case::at_rest();
        case.config = config(&[("/spec/output", serde_json::json!({"deletionPolicy": "Orphan"}))]);
        assert_eq!(case.operation(), Operation::Update);
    }

    #[test]
    fn a_strangers_config_map_is_left_alone_until_adopt() {
        let mut case = Case::at_rest();
        case.change(|view| {
            view.labels.clear();
            view.controller = None;
        });
        assert!(matches!(case.decide(), Decision::Leave(OutputState::Conflict { .. })));
        case.config = config(&[("/spec/output", serde_json::json!({"conflictPolicy": "Adopt"}))]);
        assert_eq!(case.operation(), Operation::Adopt);
    }

    #[test]
    fn a_key_that_is_not_asked_for_goes_if_it_is_ours_and_stays_if_it_is_not() {
        let mut case = Case::at_rest();
        case.change(|view| drop(view.data.insert("custom_toolset.yaml".to_owned(), "x".to_owned())));
        assert_eq!(case.decide(), Decision::Nothing, "somebody else's");
        case.existing.owned.insert("custom_toolset.yaml".to_owned());
        assert!(matches!(case.decide(), Decision::Write { .. }));
    }

    #[test]
    fn during_a_hold_only_a_deleted_config_map_comes_back_and_only_if_this_process_wrote_it() {
        let mut case = Case::at_rest();
        (case.gate, case.rendered) = (Gate::Held, rendered("b"));
        assert_eq!(case.decide(), Decision::Leave(held()));
        case.existing = Cached::default();
        assert_eq!(case.decide(), Decision::Restore);
        case.last = None;
        assert_eq!(case.decide(), Decision::Leave(held()));
    }

    #[test]
    fn preview_writes_nothing_and_repairs_nothing() {
        let mut case = Case::at_rest();
        case.existing = Cached::default();
        case.config.spec.mode = Mode::Preview;
        assert_eq!(case.decide(), Decision::Leave(OutputState::Preview));
    }

    #[test]
    fn what_is_being_deleted_is_waited_for() {
        let mut case = Case::at_rest();
        case.change(|view| view.terminating = true);
        assert_eq!(case.decide(), Decision::AwaitEnd);
    }

    #[test]
    fn of_two_for_one_config_map_the_older_writes_and_then_the_lesser_name() {
        let named = |name: &str, created: &str| {
            config(&[
                ("/metadata/name", serde_json::json!(name)),
                ("/metadata/creationTimestamp", serde_json::json!(created)),
            ])
        };
        let (old, b, a) = (
            named("z", "2026-01-01T00:00:00Z"),
            named("b", "2026-01-02T00:00:00Z"),
            named("a", "2026-01-02T00:00:00Z"),
        );
        let all = [&old, &b, &a];
        assert_eq!(older_rival(&old, all), None);
        assert_eq!(older_rival(&b, all).as_deref(), Some("z"));
        assert_eq!(older_rival(&b, [&b, &a]).as_deref(), Some("a"));
        let mut leaving = old.clone();
        leaving.metadata.deletion_timestamp.clone_from(&old.metadata.creation_timestamp);
        assert_eq!(older_rival(&a, [&leaving, &b, &a]), None);
    }
}

//! Decides what to do with the ConfigMap. Pure.

use crd_types::{ConflictPolicy, Mode, ToolsetConfig};
use kube::ResourceExt;
use toolset::{
    config_map::{Drift, Manifest, Ownership, ownership},
    status::OutputState,
};

use crate::{cluster::ConfigMapState, metrics::Operation};

/// What the decision depends on.
pub(super) struct Situation<'a> {
    pub(super) config: &'a ToolsetConfig,
    /// Whether an input cannot be read, so that no Service may enter the output.
    pub(super) held: bool,
    /// The older ToolsetConfig that writes the same ConfigMap.
    pub(super) older_rival: Option<String>,
    /// The ConfigMap as last seen.
    pub(super) existing: &'a ConfigMapState,
    /// The planned ConfigMap.
    pub(super) manifest: &'a Manifest,
    /// What this process last applied.
    pub(super) applied: Option<&'a Manifest>,
    /// Whether the ConfigMap was last written for another spec, or this process does not know.
    pub(super) spec_changed: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Leave it as it is, and report why.
    Leave(OutputState),
    /// It was deleted or changed during a hold. Restore what was last applied.
    Restore,
    /// It is being deleted. The event of its deletion triggers the next reconcile.
    AwaitDeletion,
    /// It is as planned.
    Nothing,
    /// Write what was planned.
    Write(Change),
}

/// A write and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) operation: Operation,
    /// The first difference between the ConfigMap and the plan.
    pub(super) found: Drift,
    /// Whether somebody else changed the ConfigMap since this process last applied it. Then the brake applies to every
    /// operation.
    pub(super) reverts: bool,
    /// Whether the plan has changed since then. A changed plan is written once without a delay.
    pub(super) plan_changed: bool,
}

/// The message of an output that is held.
pub(super) const HELD: &str = "An input cannot be read. Until it recovers, the operator adds no tool to the \
                               ConfigMap, and removes a tool only if the spec excludes it.";

/// The state of an output that is held. The ConfigMap is left as it is.
pub(super) fn held() -> OutputState {
    OutputState::Held { message: HELD.to_owned(), written: false }
}

/// Decides.
pub(super) fn decide(situation: &Situation<'_>) -> Decision {
    let name = &situation.config.spec.output.config_map_name;
    let view = situation.existing.view.as_deref();
    if situation.config.spec.mode == Mode::Preview {
        return Decision::Leave(OutputState::Preview);
    }
    if let Some(older) = &situation.older_rival {
        let message = format!(
            "ConfigMap {name} is already written by ToolsetConfig {older}, which is older. Delete one of them, or create \
             a ToolsetConfig with another output.configMapName instead of this one."
        );
        return Decision::Leave(OutputState::Conflict { message });
    }
    // During a hold, the plan has only Services that are in the output. So it differs only by what the spec changes.
    if situation.held && !(situation.spec_changed && (view.is_some() || situation.applied.is_some())) {
        let owned = &situation.existing.owned;
        let lost = |applied: &Manifest| match view {
            None => true,
            Some(view) => {
                !view.terminating
                    && ownership(situation.config, view) == Ownership::Ours
                    && applied.drift(view, owned).is_some()
                    && applied.obstacle(view, owned).is_none()
            }
        };
        return if situation.applied.is_some_and(lost) { Decision::Restore } else { Decision::Leave(held()) };
    }
    if view.is_some_and(|view| view.terminating && view.foreign_finalizers().is_empty()) {
        return Decision::AwaitDeletion;
    }
    let adopts = match view.map_or(Ownership::Ours, |view| ownership(situation.config, view)) {
        Ownership::Ours => false,
        Ownership::Predecessor => true,
        Ownership::Stranger { .. } if situation.config.spec.output.conflict_policy == ConflictPolicy::Adopt => true,
        Ownership::Stranger { who } => {
            let message = format!(
                "ConfigMap {name} belongs to {who}. To take it over, set output.conflictPolicy to Adopt. Otherwise, \
                 create a ToolsetConfig with another output.configMapName."
            );
            return Decision::Leave(OutputState::Conflict { message });
        }
        Ownership::Controlled { by } => {
            let message = format!(
                "ConfigMap {name} is controlled by {by}, and an object can have only one controller. Remove the owner \
                 reference from the ConfigMap, or create a ToolsetConfig with another output.configMapName."
            );
            return Decision::Leave(OutputState::Conflict { message });
        }
    };
    let owned = &situation.existing.owned;
    let Some(found) = view.map_or(Some(Drift::Missing), |view| situation.manifest.drift(view, owned)) else {
        return Decision::Nothing;
    };
    if let Some(message) = view.and_then(|view| situation.manifest.obstacle(view, owned)) {
        return Decision::Leave(OutputState::Conflict { message });
    }
    let lacks = |manifest: &Manifest| view.is_none_or(|view| manifest.drift(view, owned).is_some());
    let operation = match view {
        Some(_) if adopts => Operation::Adopt,
        // The same manifest was applied before, so somebody else changed the ConfigMap.
        _ if situation.applied == Some(situation.manifest) => Operation::Repair,
        Some(_) => Operation::Update,
        None => Operation::Create,
    };
    Decision::Write(Change {
        operation,
        found,
        reverts: situation.applied.is_some_and(lacks),
        plan_changed: situation.applied != Some(situation.manifest),
    })
}

/// The name of the ToolsetConfig that writes the same ConfigMap and takes precedence over this one. The oldest takes
/// precedence, and among equally old ones the first by name. A ToolsetConfig that is being deleted is ignored.
pub(super) fn older_rival<'a>(
    config: &ToolsetConfig,
    all: impl IntoIterator<Item = &'a ToolsetConfig>,
) -> Option<String> {
    let age = |config: &ToolsetConfig| {
        let created = config.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (created, config.name_any())
    };
    let mine = age(config);
    let rivals = all.into_iter().filter(|other| {
        other.metadata.namespace == config.metadata.namespace
            && other.metadata.deletion_timestamp.is_none()
            && other.spec.output.config_map_name == config.spec.output.config_map_name
    });
    rivals.map(age).filter(|age| *age < mine).min().map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use serde_json::Value;
    use toolset::{Rendered, config_map::ConfigMapView};

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
            data: BTreeMap::from([("toolset.json".into(), text.into())]),
            hash: format!("hash of {text}").into(),
            ..Rendered::default()
        }
    }

    /// The ConfigMap as the API server would hold it after `manifest` was applied.
    fn applied(manifest: &Manifest) -> ConfigMapState {
        let mut object: Value = serde_json::from_slice(&manifest.to_json(Some("map"))).unwrap();
        object["metadata"]["managedFields"] = serde_json::json!([
            {"manager": "toolset-operator", "operation": "Apply", "fieldsV1": {"f:data": {"f:toolset.json": {}}}}
        ]);
        ConfigMapState::of(&serde_json::from_value(object).unwrap())
    }

    struct Case {
        config: ToolsetConfig,
        held: bool,
        rival: Option<String>,
        existing: ConfigMapState,
        rendered: Rendered,
        applied: Option<Manifest>,
        spec_changed: bool,
    }

    impl Case {
        /// The ConfigMap is as applied and as planned.
        fn at_rest() -> Self {
            let (config, rendered) = (config(&[]), rendered("a"));
            let manifest = Manifest::new(&config, &rendered);
            Self {
                existing: applied(&manifest),
                config,
                held: false,
                rival: None,
                rendered,
                applied: Some(manifest),
                spec_changed: false,
            }
        }

        fn decide(&self) -> Decision {
            decide(&Situation {
                config: &self.config,
                held: self.held,
                older_rival: self.rival.clone(),
                existing: &self.existing,
                manifest: &Manifest::new(&self.config, &self.rendered),
                applied: self.applied.as_ref(),
                spec_changed: self.spec_changed,
            })
        }

        fn operation(&self) -> Operation {
            match self.decide() {
                Decision::Write(change) => change.operation,
                other => panic!("not a write: {other:?}"),
            }
        }

        fn reverts(&self) -> bool {
            matches!(self.decide(), Decision::Write(Change { reverts: true, .. }))
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
        case.change(|view| drop(view.data.insert("toolset.json".to_owned(), "edited".into())));
        assert_eq!(case.operation(), Operation::Repair);
        case.rendered = rendered("b");
        assert_eq!(case.operation(), Operation::Update);
    }

    #[test]
    fn a_missing_config_map_is_created_and_a_deleted_one_repaired() {
        let mut case = Case::at_rest();
        case.existing = ConfigMapState::default();
        assert_eq!(case.operation(), Operation::Repair);
        case.applied = None;
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
        case.change(|view| drop(view.data.insert("custom_toolset.yaml".to_owned(), "x".into())));
        assert_eq!(case.decide(), Decision::Nothing, "somebody else's");
        case.existing.owned.data.insert("custom_toolset.yaml".to_owned());
        assert!(matches!(case.decide(), Decision::Write(_)));
    }

    #[test]
    fn during_a_hold_a_config_map_is_restored_only_if_this_process_wrote_it() {
        let mut case = Case::at_rest();
        (case.held, case.rendered) = (true, rendered("b"));
        assert_eq!(case.decide(), Decision::Leave(held()));
        case.change(|view| drop(view.data.insert("toolset.json".to_owned(), "edited".into())));
        assert_eq!(case.decide(), Decision::Restore);
        case.existing = ConfigMapState::default();
        assert_eq!(case.decide(), Decision::Restore);
        case.applied = None;
        assert_eq!(case.decide(), Decision::Leave(held()));
        case.spec_changed = true;
        assert_eq!(case.decide(), Decision::Leave(held()), "nothing is known of what was in it");
    }

    #[test]
    fn during_a_hold_a_changed_spec_is_written() {
        let mut case = Case::at_rest();
        (case.held, case.rendered, case.spec_changed) = (true, rendered("less"), true);
        assert_eq!(case.operation(), Operation::Update);
        case.existing = ConfigMapState::default();
        assert_eq!(case.operation(), Operation::Create);
    }

    #[test]
    fn a_write_over_a_foreign_change_is_a_revert_for_every_operation() {
        let mut case = Case::at_rest();
        case.rendered = rendered("b");
        assert!(!case.reverts(), "only the plan changed");
        case.change(|view| drop(view.data.insert("toolset.json".to_owned(), "edited".into())));
        assert!(case.reverts(), "both changed");
        case.config.spec.output.conflict_policy = ConflictPolicy::Adopt;
        case.change(|view| (view.labels, view.controller) = Default::default());
        assert_eq!(case.operation(), Operation::Adopt);
        assert!(case.reverts(), "somebody took it over");
        case.applied = None;
        assert!(!case.reverts(), "this process has not applied anything yet");
    }

    #[test]
    fn preview_writes_nothing_and_repairs_nothing() {
        let mut case = Case::at_rest();
        case.existing = ConfigMapState::default();
        case.config.spec.mode = Mode::Preview;
        assert_eq!(case.decide(), Decision::Leave(OutputState::Preview));
    }

    #[test]
    fn a_deletion_is_waited_for_unless_somebody_else_delays_it() {
        let mut case = Case::at_rest();
        case.rendered = rendered("b");
        case.change(|view| (view.terminating, view.finalizers) = (true, vec!["foregroundDeletion".to_owned()]));
        assert_eq!(case.decide(), Decision::AwaitDeletion);
        case.change(|view| view.finalizers.push("example.com/keep".to_owned()));
        assert_eq!(case.operation(), Operation::Update, "the agent still reads it");
    }

    #[test]
    fn what_the_api_server_would_refuse_is_a_conflict_also_with_adopt() {
        let conflict = |change: fn(&mut ConfigMapView)| {
            let mut case = Case::at_rest();
            case.config = config(&[("/spec/output", serde_json::json!({"conflictPolicy": "Adopt"}))]);
            case.rendered = rendered("b");
            case.change(change);
            match case.decide() {
                Decision::Leave(OutputState::Conflict { message }) => message,
                other => panic!("not a conflict: {other:?}"),
            }
        };
        let controlled = conflict(|view| {
            let (kind, name, uid) = ("Deployment".to_owned(), "other".to_owned(), "x".to_owned());
            view.controller = Some(toolset::config_map::Owner { kind, name, uid });
        });
        assert!(controlled.contains("Deployment other") && controlled.contains("owner reference"), "{controlled}");
        let immutable = conflict(|view| view.immutable = true);
        assert!(immutable.contains("immutable") && immutable.contains("Delete"), "{immutable}");
        let binary = conflict(|view| view.binary_keys.extend(["toolset.json".to_owned()]));
        assert!(binary.contains("binaryData") && binary.contains("toolset.json"), "{binary}");
    }

    #[test]
    fn a_key_that_an_immutable_config_map_would_lose_is_a_conflict_too() {
        let mut case = Case::at_rest();
        case.existing.owned.data.insert("custom_toolset.yaml".to_owned());
        case.change(|view| {
            view.data.insert("custom_toolset.yaml".to_owned(), "x".into());
            view.immutable = true;
        });
        assert!(matches!(case.decide(), Decision::Leave(OutputState::Conflict { .. })), "{:?}", case.decide());
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

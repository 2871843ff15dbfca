use std::collections::BTreeMap;

use serde_json::json;

use super::{
    ConfigMapView, Drift, HASH_ANNOTATION, LABELS, Manifest, OwnedFields, Owner, Ownership, ownership, refused_as_base,
};
use crate::{
    Rendered,
    fixtures::{config, trusting_monitoring},
};

fn rendered() -> Rendered {
    Rendered {
        data: BTreeMap::from([("custom_toolset.yaml".into(), "a".into()), ("toolset.json".into(), "b".into())]),
        hash: "h".into(),
        ..Rendered::default()
    }
}

fn wanted() -> Manifest {
    Manifest::new(&trusting_monitoring(), &rendered())
}

/// What our field manager owns after the apply.
fn owned() -> OwnedFields {
    wanted().owned_fields()
}

fn json(manifest: &Manifest, uid: Option<&str>) -> serde_json::Value {
    serde_json::from_slice(&manifest.to_json(uid)).unwrap()
}

fn owner() -> Owner {
    Owner { kind: "ToolsetConfig".to_owned(), name: "default".to_owned(), uid: "c0ffee".to_owned() }
}

fn applied() -> ConfigMapView {
    ConfigMapView {
        uid: "u".to_owned(),
        labels: LABELS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        annotations: BTreeMap::from([(HASH_ANNOTATION.to_owned(), "h".to_owned())]),
        controller: Some(owner()),
        blocks_owner_deletion: true,
        data: rendered().data.into_iter().map(|(key, text)| (key.into_owned(), text)).collect(),
        ..ConfigMapView::default()
    }
}

#[test]
fn nothing_is_written_to_a_config_map_that_is_as_applied() {
    assert_eq!(wanted().drift(&applied(), &owned()), None);
}

#[test]
fn a_strangers_keys_labels_and_annotations_are_no_drift() {
    let mut existing = applied();
    existing.data.insert("overrides.yaml".to_owned(), "x".into());
    existing.labels.insert("team".to_owned(), "a".to_owned());
    existing.annotations.insert("note".to_owned(), "n".to_owned());
    assert_eq!(wanted().drift(&existing, &owned()), None);
}

#[test]
fn every_part_of_ours_that_changes_is_drift() {
    let differs = |change: fn(&mut ConfigMapView)| {
        let mut existing = applied();
        change(&mut existing);
        wanted().drift(&existing, &owned())
    };
    assert_eq!(
        differs(|cm| {
            cm.data.remove("toolset.json");
        }),
        Some(Drift::Data("toolset.json".to_owned()))
    );
    assert_eq!(
        differs(|cm| {
            cm.data.insert("custom_toolset.yaml".to_owned(), "edited".into());
        }),
        Some(Drift::Data("custom_toolset.yaml".to_owned()))
    );
    assert_eq!(
        differs(|cm| {
            cm.labels.remove(LABELS[0].0);
        }),
        Some(Drift::Label(LABELS[0].0.to_owned()))
    );
    assert_eq!(
        differs(|cm| {
            cm.annotations.clear();
        }),
        Some(Drift::Annotation)
    );
    assert_eq!(
        differs(|cm| {
            cm.controller = None;
        }),
        Some(Drift::Owner)
    );
}

#[test]
fn a_format_that_is_no_longer_asked_for_is_drift_while_its_key_is_there() {
    let mut only_yaml = rendered();
    only_yaml.data.remove("toolset.json");
    let wanted = Manifest::new(&trusting_monitoring(), &only_yaml);
    assert_eq!(wanted.drift(&applied(), &owned()), Some(Drift::Data("toolset.json".to_owned())));
    assert_eq!(wanted.drift(&applied(), &OwnedFields::default()), None, "a stranger's key of that name stays");
}

#[test]
fn orphan_means_no_owner_reference() {
    let mut orphan = trusting_monitoring();
    orphan.spec.output.deletion_policy = crd_types::DeletionPolicy::Orphan;
    let wanted = Manifest::new(&orphan, &rendered());
    assert_eq!(wanted.drift(&applied(), &owned()), Some(Drift::Owner));
    assert!(json(&wanted, None)["metadata"].get("ownerReferences").is_none());
}

#[test]
fn an_apply_onto_an_existing_object_carries_its_uid() {
    assert_eq!(json(&wanted(), Some("u"))["metadata"]["uid"], json!("u"));
    let created = json(&wanted(), None);
    assert!(created["metadata"].get("uid").is_none());
    assert_eq!(created["metadata"]["ownerReferences"][0]["controller"], json!(true));
}

#[test]
fn a_config_map_is_ours_by_owner_or_by_label_if_nobody_controls_it() {
    let config = config(json!({"sources": []}));
    let labels = |pairs: &[(&str, &str)]| ConfigMapView {
        labels: pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..ConfigMapView::default()
    };
    assert_eq!(ownership(&config, &applied()), Ownership::Ours);
    assert_eq!(ownership(&config, &labels(&[("app.kubernetes.io/managed-by", "toolset-operator")])), Ownership::Ours);
    let old = labels(&[("managed-by", "kubernaut"), ("component", "dynamic-toolset")]);
    assert_eq!(ownership(&config, &old), Ownership::Predecessor);
    for stranger in [labels(&[]), labels(&[("app.kubernetes.io/managed-by", "Helm")])] {
        assert!(matches!(ownership(&config, &stranger), Ownership::Stranger { .. }));
    }
    let mut taken = applied();
    taken.controller = Some(Owner { uid: "other".to_owned(), ..owner() });
    assert!(matches!(ownership(&config, &taken), Ownership::Controlled { .. }));
}

#[test]
fn what_was_applied_has_no_drift_and_keeps_what_others_wrote() {
    let mut before = applied();
    before.data.insert("overrides.yaml".to_owned(), "theirs".into());
    before.data.insert("custom_toolset.yaml".to_owned(), "edited".into());
    before.labels = [("team".to_owned(), "a".to_owned())].into();
    before.other_managers = vec!["kubectl-edit".to_owned()];
    let after = wanted().applied_onto(Some(&before), "u", &owned());
    assert_eq!(wanted().drift(&after, &owned()), None);
    assert_eq!((&*after.data["overrides.yaml"], after.labels["team"].as_str()), ("theirs", "a"));
    assert!(after.other_managers.is_empty());
    let created = wanted().applied_onto(None, "u", &OwnedFields::default());
    assert_eq!((wanted().drift(&created, &owned()), created.uid.as_str()), (None, "u"));
}

#[test]
fn a_key_that_is_no_longer_wanted_goes_only_if_it_is_ours() {
    let mut only_yaml = rendered();
    only_yaml.data.remove("toolset.json");
    let wanted = Manifest::new(&trusting_monitoring(), &only_yaml);
    assert!(!wanted.applied_onto(Some(&applied()), "u", &owned()).data.contains_key("toolset.json"));
    assert!(wanted.applied_onto(Some(&applied()), "u", &OwnedFields::default()).data.contains_key("toolset.json"));
}

fn labelled(labels: &serde_json::Value) -> Manifest {
    let output = json!({"labels": labels});
    Manifest::new(&config(json!({"sources": [], "output": output})), &rendered())
}

#[test]
fn a_label_of_the_spec_is_written_kept_and_removed_with_the_spec() {
    let manifest = labelled(&json!({"team": "a", "grafana_datasource": "1"}));
    let labels = json(&manifest, None)["metadata"]["labels"].clone();
    assert_eq!((&labels["team"], &labels[LABELS[0].0]), (&json!("a"), &json!(LABELS[0].1)));

    assert_eq!(manifest.drift(&applied(), &owned()), Some(Drift::Label("grafana_datasource".to_owned())));
    let mut after = manifest.applied_onto(Some(&applied()), "u", &owned());
    assert_eq!(manifest.drift(&after, &manifest.owned_fields()), None);
    after.labels.insert("team".to_owned(), "edited".to_owned());
    assert_eq!(manifest.drift(&after, &manifest.owned_fields()), Some(Drift::Label("team".to_owned())));

    assert_eq!(wanted().drift(&after, &owned()), None, "a stranger's label stays");
    let left = wanted().drift(&after, &manifest.owned_fields());
    assert_eq!(left, Some(Drift::Label("grafana_datasource".to_owned())));
    let after = wanted().applied_onto(Some(&after), "u", &manifest.owned_fields());
    assert_eq!(after.labels, applied().labels);
}

#[test]
fn a_label_of_the_spec_cannot_replace_one_by_which_the_config_map_is_recognised() {
    let manifest = labelled(&json!({"app.kubernetes.io/managed-by": "Helm"}));
    assert_eq!(json(&manifest, None)["metadata"]["labels"]["app.kubernetes.io/managed-by"], "toolset-operator");
}

#[test]
fn an_output_is_no_base_and_everything_else_is() {
    let with_label = |key: &str, value: &str| ConfigMapView {
        labels: BTreeMap::from([(key.to_owned(), value.to_owned())]),
        ..ConfigMapView::default()
    };
    let owned_by = |kind: &str| ConfigMapView {
        controller: Some(Owner { kind: kind.to_owned(), ..owner() }),
        ..ConfigMapView::default()
    };
    for key in ["app.kubernetes.io/managed-by", "managed-by"] {
        for manager in ["toolset-operator", "kubernaut"] {
            let why = refused_as_base(&with_label(key, manager)).unwrap();
            assert!(why.contains(manager), "{why}");
        }
        for other in ["Helm", "argocd", "kubernaut-agent", ""] {
            assert_eq!(refused_as_base(&with_label(key, other)), None, "{key}: {other}");
        }
    }
    let both = ConfigMapView {
        labels: BTreeMap::from([
            ("app.kubernetes.io/managed-by".to_owned(), "Helm".to_owned()),
            ("managed-by".to_owned(), "kubernaut".to_owned()),
        ]),
        ..ConfigMapView::default()
    };
    assert!(refused_as_base(&both).is_some());
    assert!(refused_as_base(&owned_by("ToolsetConfig")).unwrap().contains("ToolsetConfig default"));
    assert_eq!(refused_as_base(&owned_by("Application")), None);
    assert_eq!(refused_as_base(&ConfigMapView::default()), None);
}

#[test]
fn the_label_for_the_sidecar_stays_beside_others_unless_the_spec_sets_it() {
    for (labels, expected) in [
        (json!({}), "1"),
        (json!({"team": "a"}), "1"),
        (json!({"grafana_datasource": "yes"}), "yes"),
        (json!({"grafana_datasource": ""}), ""),
    ] {
        let output = json!({"formats": ["GrafanaDatasources"], "labels": labels});
        let manifest = Manifest::new(&config(json!({"sources": [], "output": output})), &rendered());
        assert_eq!(json(&manifest, None)["metadata"]["labels"]["grafana_datasource"], expected, "{labels}");
    }
}

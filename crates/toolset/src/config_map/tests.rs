use std::collections::BTreeMap;

use serde_json::json;

use super::{ConfigMapView, Drift, HASH_ANNOTATION, LABELS, Manifest, Owner, Ownership, ownership, refused_as_base};
use crate::{
    Rendered,
    fixtures::{config, trusting_monitoring},
};

fn rendered() -> Rendered {
    Rendered {
        data: BTreeMap::from([("custom_toolset.yaml", "a".into()), ("toolset.json", "b".into())]),
        hash: "h".into(),
        ..Rendered::default()
    }
}

fn wanted() -> Manifest {
    Manifest::new(&trusting_monitoring(), &rendered())
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
        data: rendered().data.into_iter().map(|(key, text)| (key.to_owned(), text)).collect(),
        ..ConfigMapView::default()
    }
}

#[test]
fn nothing_is_written_to_a_config_map_that_is_as_applied() {
    assert_eq!(wanted().drift(&applied(), |_| true), None);
}

#[test]
fn a_strangers_keys_labels_and_annotations_are_no_drift() {
    let mut existing = applied();
    existing.data.insert("overrides.yaml".to_owned(), "x".into());
    existing.labels.insert("team".to_owned(), "a".to_owned());
    existing.annotations.insert("note".to_owned(), "n".to_owned());
    assert_eq!(wanted().drift(&existing, |_| true), None);
}

#[test]
fn every_part_of_ours_that_changes_is_drift() {
    let differs = |change: fn(&mut ConfigMapView)| {
        let mut existing = applied();
        change(&mut existing);
        wanted().drift(&existing, |_| true)
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
            cm.labels.clear();
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
    assert_eq!(wanted.drift(&applied(), |_| true), Some(Drift::Data("toolset.json".to_owned())));
    assert_eq!(wanted.drift(&applied(), |_| false), None, "a stranger's key of that name stays");
}

#[test]
fn orphan_means_no_owner_reference() {
    let mut orphan = trusting_monitoring();
    orphan.spec.output.deletion_policy = crd_types::DeletionPolicy::Orphan;
    let wanted = Manifest::new(&orphan, &rendered());
    assert_eq!(wanted.drift(&applied(), |_| true), Some(Drift::Owner));
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
    let after = wanted().applied_onto(Some(&before), "u", |_| true);
    assert_eq!(wanted().drift(&after, |_| true), None);
    assert_eq!((&*after.data["overrides.yaml"], after.labels["team"].as_str()), ("theirs", "a"));
    assert!(after.other_managers.is_empty());
    let created = wanted().applied_onto(None, "u", |_| false);
    assert_eq!((wanted().drift(&created, |_| true), created.uid.as_str()), (None, "u"));
}

#[test]
fn a_key_that_is_no_longer_wanted_goes_only_if_it_is_ours() {
    let mut only_yaml = rendered();
    only_yaml.data.remove("toolset.json");
    let wanted = Manifest::new(&trusting_monitoring(), &only_yaml);
    assert!(!wanted.applied_onto(Some(&applied()), "u", |_| true).data.contains_key("toolset.json"));
    assert!(wanted.applied_onto(Some(&applied()), "u", |_| false).data.contains_key("toolset.json"));
}

#[test]
fn an_output_is_no_base_and_everything_else_is() {
    let labelled = |key: &str, value: &str| ConfigMapView {
        labels: BTreeMap::from([(key.to_owned(), value.to_owned())]),
        ..ConfigMapView::default()
    };
    let owned = |kind: &str| ConfigMapView {
        controller: Some(Owner { kind: kind.to_owned(), ..owner() }),
        ..ConfigMapView::default()
    };
    for key in ["app.kubernetes.io/managed-by", "managed-by"] {
        for manager in ["toolset-operator", "kubernaut"] {
            let why = refused_as_base(&labelled(key, manager)).unwrap();
            assert!(why.contains(manager), "{why}");
        }
        for other in ["Helm", "argocd", "kubernaut-agent", ""] {
            assert_eq!(refused_as_base(&labelled(key, other)), None, "{key}: {other}");
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
    assert!(refused_as_base(&owned("ToolsetConfig")).unwrap().contains("ToolsetConfig default"));
    assert_eq!(refused_as_base(&owned("Application")), None);
    assert_eq!(refused_as_base(&ConfigMapView::default()), None);
}

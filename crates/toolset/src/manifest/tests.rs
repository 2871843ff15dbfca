use std::collections::BTreeMap;

use serde_json::json;

use super::{ConfigMapView, Drift, HASH_ANNOTATION, LABELS, Owner, Ownership, config_map, drift, ownership};
use crate::{
    Context, DEFAULT_CLUSTER_DOMAIN, Rendered,
    fixtures::{config, trusting_monitoring},
};

fn rendered() -> Rendered {
    Rendered {
        data: BTreeMap::from([
            ("custom_toolset.yaml".to_owned(), "a".to_owned()),
            ("toolset.json".to_owned(), "b".to_owned()),
        ]),
        hash: "h".to_owned(),
        ..Rendered::default()
    }
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
        data: rendered().data,
        ..ConfigMapView::default()
    }
}

#[test]
fn nothing_is_written_to_a_config_map_that_is_as_applied() {
    assert_eq!(drift(&trusting_monitoring(), &applied(), &rendered()), None);
}

#[test]
fn a_strangers_keys_labels_and_annotations_are_no_drift() {
    let mut existing = applied();
    existing.data.insert("overrides.yaml".to_owned(), "x".to_owned());
    existing.labels.insert("team".to_owned(), "a".to_owned());
    existing.annotations.insert("note".to_owned(), "n".to_owned());
    assert_eq!(drift(&trusting_monitoring(), &existing, &rendered()), None);
}

#[test]
fn every_part_of_ours_that_changes_is_drift() {
    let differs = |change: fn(&mut ConfigMapView)| {
        let mut existing = applied();
        change(&mut existing);
        drift(&trusting_monitoring(), &existing, &rendered())
    };
    assert_eq!(
        differs(|cm| {
            cm.data.remove("toolset.json");
        }),
        Some(Drift::Data("toolset.json".to_owned()))
    );
    assert_eq!(
        differs(|cm| {
            cm.data.insert("custom_toolset.yaml".to_owned(), "edited".to_owned());
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
    let mut wanted = rendered();
    wanted.data.remove("toolset.json");
    assert_eq!(drift(&trusting_monitoring(), &applied(), &wanted), Some(Drift::Data("toolset.json".to_owned())));
}

#[test]
fn orphan_means_no_owner_reference() {
    let mut orphan = trusting_monitoring();
    orphan.spec.output.deletion_policy = crd_types::DeletionPolicy::Orphan;
    assert_eq!(drift(&orphan, &applied(), &rendered()), Some(Drift::Owner));
    let ctx = Context { config: &orphan, cluster_domain: DEFAULT_CLUSTER_DOMAIN };
    assert!(config_map(&ctx, &rendered(), None)["metadata"].get("ownerReferences").is_none());
}

#[test]
fn an_apply_onto_an_existing_object_carries_its_uid() {
    let config = trusting_monitoring();
    let ctx = Context { config: &config, cluster_domain: DEFAULT_CLUSTER_DOMAIN };
    assert_eq!(config_map(&ctx, &rendered(), Some("u"))["metadata"]["uid"], json!("u"));
    let created = config_map(&ctx, &rendered(), None);
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
    assert!(matches!(ownership(&config, &taken), Ownership::Stranger { .. }));
}

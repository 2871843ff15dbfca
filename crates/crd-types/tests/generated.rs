//! The generated CRD is up to date, and the Rust types set the same defaults as the schema.

use std::{fs, path::Path};

use crd_types::{OutputFormat, Product, State, ToolsetConfig, ToolsetConfigSpec, ToolsetConfigStatus, crds, crds_yaml};
use kube::core::cel::apply_defaults;
use serde_json::{Value, json};

#[test]
fn the_crd_in_the_repository_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crds/toolsetconfigs.toolset.kubernaut.io.yaml");
    let committed = fs::read_to_string(file).expect("the generated CRD");
    assert!(committed == crds_yaml().expect("YAML"), "crds/ is out of date; run `cargo xtask crds`");
}

#[test]
fn the_emitted_yaml_reads_back_as_the_crd() {
    let read: Value = serde_saphyr::from_str(&crds_yaml().expect("YAML")).expect("one document");
    let read: k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition =
        serde_json::from_value(read).expect("a CRD");
    assert_eq!(vec![read], crds());
}

#[test]
fn serde_sets_the_same_defaults_as_the_api_server() {
    let schema = serde_json::to_value(&crds()[0].spec.versions[0].schema).expect("JSON")["openAPIV3Schema"].clone();
    let sparse = json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1",
        "kind": "ToolsetConfig",
        "metadata": {"name": "default"},
        "spec": {
            "sources": [{"name": "a", "trust": "Trusted", "namespaces": {"from": "All"}}],
            "detectors": [{"type": "Loki"}],
            "baseline": [{"name": "internet"}],
            "health": {"effect": "Report"},
            "consumer": {"deploymentRef": {"name": "holmes"}},
            "output": {"base": {"configMapName": "mine"}},
        },
    });
    let bare = json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1",
        "kind": "ToolsetConfig",
        "metadata": {"name": "default"},
        "spec": {"sources": [{"name": "a", "trust": "Trusted", "namespaces": {"from": "All"}}]},
    });
    for object in [sparse, bare] {
        let served: ToolsetConfig = serde_json::from_value(apply_defaults(&schema, &object)).expect("readable");
        let offline: ToolsetConfig = serde_json::from_value(object).expect("readable");
        assert_eq!(served, offline);
        let written = serde_json::to_value(&offline).expect("JSON");
        assert_eq!(written, apply_defaults(&schema, &written), "every default is set");
    }
}

#[test]
fn the_defaults_are_those_of_the_documentation() {
    let spec: ToolsetConfigSpec = serde_json::from_value(json!({"sources": []})).expect("readable");
    assert_eq!(spec.output.config_map_name, "kubernaut-toolset-config");
    assert_eq!(spec.output.formats, [OutputFormat::HolmesGPT, OutputFormat::ToolsetJSON]);
    assert_eq!(spec.health.withhold_after_seconds, 120);
    assert_eq!(spec.consumer.min_interval_seconds, 300);
    assert_eq!(
        serde_json::to_value(&spec).expect("JSON"),
        json!({
            "mode": "Apply",
            "sources": [],
            "evidence": {"pods": "Enabled", "identity": "Disabled"},
            "health": {"mode": "Endpoints", "effect": "Withhold", "withholdAfterSeconds": 120},
            "output": {
                "configMapName": "kubernaut-toolset-config",
                "formats": ["HolmesGPT", "ToolsetJSON"],
                "conflictPolicy": "Fail",
                "deletionPolicy": "Delete",
            },
            "consumer": {"revisionEntry": "Enabled", "reload": "None", "minIntervalSeconds": 300, "observe": "None"},
        })
    );
}

#[test]
fn every_detector_is_enabled_by_default_except_mcp() {
    let spec: ToolsetConfigSpec =
        serde_json::from_value(json!({"sources": [], "detectors": [{"type": "Loki", "state": "Disabled"}]}))
            .expect("readable");
    for type_ in Product::ALL.iter().copied() {
        let expected = match type_ {
            Product::Loki | Product::MCP => State::Disabled,
            _ => State::Enabled,
        };
        assert_eq!(spec.detector(type_).state, expected, "{type_}");
    }
    let spec: ToolsetConfigSpec =
        serde_json::from_value(json!({"sources": [], "detectors": [{"type": "MCP"}]})).expect("readable");
    assert_eq!(spec.detector(Product::MCP).state, State::Enabled);
}

#[test]
fn an_empty_status_has_no_empty_fields() {
    let status = serde_json::to_value(ToolsetConfigStatus::default()).expect("JSON");
    assert_eq!(status, json!({"truncated": false}));
}

//! Validates the examples beside this file offline. A test on a real API server runs the same files.

#![allow(clippy::expect_used, clippy::panic, reason = "a failure in a helper function fails the test")]

use std::{collections::BTreeSet, fs, path::Path};

use crd_types::{ToolsetConfig, crds, validate, validate_update};
use serde_json::Value;

#[test]
fn accepted_examples_are_accepted_and_readable() {
    for example in examples("accepted") {
        assert_eq!(problems(&validate(&example)), Vec::<String>::new(), "{}", name(&example));
        let read = validate(&example).is_empty().then(|| read_as_operator(&example));
        assert!(read.is_some_and(|read| read.is_ok()), "{} cannot be read", name(&example));
    }
}

#[test]
fn refused_examples_are_refused_for_the_reason_they_name() {
    for example in examples("refused") {
        let found = problems(&validate(&example));
        let expected = expected(&example);
        assert!(found.iter().any(|problem| problem.contains(&expected)), "{}: {found:?}", name(&example));
    }
}

#[test]
fn refused_updates_are_refused_only_because_of_what_was_there_before() {
    let documents = examples("refused-updates");
    assert_eq!(documents.len() % 2, 0);
    for pair in documents.chunks(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert_eq!(name(before), name(after));
        assert_eq!(problems(&validate(before)), Vec::<String>::new(), "{}", name(before));
        assert_eq!(problems(&validate(after)), Vec::<String>::new(), "{}", name(after));
        assert_eq!(problems(&validate_update(before, before)), Vec::<String>::new(), "{}", name(before));
        let found = problems(&validate_update(after, before));
        assert!(found.iter().any(|problem| problem.contains(&expected(after))), "{}: {found:?}", name(after));
    }
}

#[test]
fn every_rule_of_the_schema_is_broken_by_an_example() {
    let mut unbroken: BTreeSet<String> = BTreeSet::new();
    walk(&schema(), "", &mut |_, node| {
        for rule in node["x-kubernetes-validations"].as_array().into_iter().flatten() {
            unbroken.insert(rule["message"].as_str().expect("every rule has a message").to_owned());
        }
    });
    for example in examples("refused").iter().chain(&examples("refused-updates")) {
        if example["metadata"].get("annotations").is_some() {
            let expected = expected(example);
            unbroken.retain(|message| !message.contains(&expected));
        }
    }
    assert_eq!(unbroken, BTreeSet::new());
}

#[test]
fn names_of_examples_are_unique() {
    let mut seen = BTreeSet::new();
    for example in examples("accepted").iter().chain(&examples("refused")) {
        assert!(seen.insert(name(example)), "{} exists twice", name(example));
    }
}

#[test]
fn every_list_map_and_text_is_bounded() {
    walk(&schema(), "", &mut |path, node| {
        let has = |key: &str| node.get(key).is_some();
        match node["type"].as_str() {
            Some("array") => assert!(has("maxItems") && has("x-kubernetes-list-type"), "{path}"),
            Some("object") if has("additionalProperties") => assert!(has("maxProperties"), "{path}"),
            Some("string") => assert!(has("maxLength") || has("enum") || has("format"), "{path}"),
            Some("integer") => assert!(has("minimum") || path.starts_with(".status"), "{path}"),
            _ => {}
        }
    });
}

#[test]
fn every_field_is_described_and_none_may_be_null() {
    walk(&schema(), "", &mut |path, node| {
        assert!(node.get("nullable").is_none(), "{path}");
        let entry = path.ends_with("[]") || path.ends_with("{}") || path.is_empty();
        assert!(entry || node["description"].is_string(), "{path} has no description");
    });
}

#[test]
fn every_pattern_compiles() {
    walk(&schema(), "", &mut |path, node| {
        if let Some(pattern) = node["pattern"].as_str() {
            assert!(regex::Regex::new(pattern).is_ok(), "{path}");
        }
    });
}

#[test]
fn unknown_fields_and_misspelled_values_are_reported() {
    let object = yaml(
        "{apiVersion: toolset.kubernaut.io/v1alpha1, kind: ToolsetConfig, metadata: {name: a}, spec: {sorces: [], \
         sources: [{name: a, trust: Trusted, namespaces: {from: All}, colour: red}]}}",
    );
    assert_eq!(
        problems(&validate(&object)),
        [
            "spec.sorces: unknown field; did you mean sources?",
            "spec.sources[0].colour: unknown field; the known fields are allow, name, namespaces, serviceSelector, trust",
        ]
    );
    let object = yaml(
        "{apiVersion: toolset.kubernaut.io/v1alpha1, kind: ToolsetConfig, metadata: {name: a}, spec: {sources: [{name: a, \
         trust: trusted, namespaces: {from: Everywhere}}]}}",
    );
    assert_eq!(
        problems(&validate(&object)),
        [
            "spec.sources[0].namespaces.from: \"Everywhere\" is not a supported value; use one of All, Same, Names, Selector",
            "spec.sources[0].trust: \"trusted\" is not a supported value; did you mean Trusted?",
        ]
    );
}

#[test]
fn an_object_of_another_kind_or_without_a_name_is_refused() {
    let object = yaml(
        "{apiVersion: v1, kind: Service, metadata: {}, spec: {sources: [{name: a, trust: Trusted, namespaces: {from: All}}]}}",
    );
    assert_eq!(
        problems(&validate(&object)),
        [
            "apiVersion: must be toolset.kubernaut.io/v1alpha1",
            "kind: must be ToolsetConfig",
            "metadata.name: is required",
        ]
    );
    assert_eq!(problems(&validate(&yaml("{metadata: {generateName: a-}}"))).len(), 3, "no spec, apiVersion or kind");
}

/// Reads the example as the operator does.
fn read_as_operator(example: &Value) -> Result<ToolsetConfig, String> {
    serde_json::from_value(without_nulls(example)).map_err(|error| error.to_string())
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            fields.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), without_nulls(v))).collect()
        }
        Value::Array(items) => items.iter().map(without_nulls).collect(),
        other => other.clone(),
    }
}

fn schema() -> Value {
    let crd = crds().into_iter().next().expect("a CRD");
    let version = crd.spec.versions.into_iter().next().expect("a version");
    serde_json::to_value(version.schema.expect("a schema").open_api_v3_schema).expect("JSON")
}

/// Visits every node of the schema with its path. In a path, `[]` is an entry of a list and `{}` is a value of a map.
fn walk(node: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, node);
    for (key, child) in node["properties"].as_object().into_iter().flatten() {
        walk(child, &format!("{path}.{key}"), visit);
    }
    if let Some(child) = node.get("items") {
        walk(child, &format!("{path}[]"), visit);
    }
    if let Some(child) = node.get("additionalProperties") {
        walk(child, &format!("{path}{{}}"), visit);
    }
}

fn examples(folder: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let documents: Vec<Value> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).expect("a file");
            serde_saphyr::from_multiple::<Value>(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect();
    assert!(!documents.is_empty());
    documents
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("YAML")
}

fn name(example: &Value) -> String {
    example["metadata"]["name"].as_str().expect("a name").to_owned()
}

fn expected(example: &Value) -> String {
    example["metadata"]["annotations"]["example/problem"].as_str().expect("an expected problem").to_owned()
}

fn problems(problems: &[crd_types::Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

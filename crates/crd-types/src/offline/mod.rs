//! Validates a `ToolsetConfig` without an API server: first the structure, then the CEL rules.
//!
//! The order is that of the API server. Nulls are dropped, defaults are set, the structure is checked, and the CEL
//! rules are evaluated only if the structure is valid. One thing differs. The API server drops unknown fields, and this
//! module reports them.

mod problem;
mod structure;
mod suggest;

use std::sync::LazyLock;

use kube::core::cel::{CompiledSchema, Validator, apply_defaults, compile_schema};
use serde_json::Value;

pub use self::{problem::Problem, suggest::closest};
use crate::crd::crds;

/// Validates `object` as a new `ToolsetConfig`. The result is empty if the API server would accept the object.
pub fn validate(object: &Value) -> Vec<Problem> {
    check(object, None)
}

/// Validates `object` as an update of `old`. In addition to `validate`, it checks the fields that must not change.
pub fn validate_update(object: &Value, old: &Value) -> Vec<Problem> {
    check(object, Some(old))
}

fn check(object: &Value, old: Option<&Value>) -> Vec<Problem> {
    let mut problems = check_identity(object);
    let Some(CompiledCrd { schema, rules }) = COMPILED_CRD.as_ref() else {
        problems.push(Problem::new("", "the object was not validated, because the built-in schema cannot be compiled"));
        return problems;
    };
    let complete = |value: &Value| apply_defaults(schema, &structure::without_nulls(value));
    let object = complete(object);
    let found = structure::check(schema, &object);
    let valid = found.invalid.is_empty();
    problems.extend(found.invalid);
    problems.extend(found.unknown);
    if valid && let Err(errors) = Validator::new().validate_compiled(rules, &object, old.map(complete).as_ref()) {
        problems.extend(errors.into_iter().map(|error| Problem::new(&error.field_path, error.message)));
    }
    problems.dedup();
    problems
}

/// The schema and the compiled CEL rules of the only version of the CRD.
struct CompiledCrd {
    schema: Value,
    rules: CompiledSchema,
}

static COMPILED_CRD: LazyLock<Option<CompiledCrd>> = LazyLock::new(|| {
    let version = crds().into_iter().next()?.spec.versions.into_iter().next()?;
    let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
    let rules = compile_schema(&schema);
    Some(CompiledCrd { schema, rules })
});

/// Checks `apiVersion`, `kind` and `metadata`, because the schema of a custom resource does not describe them.
fn check_identity(object: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (api_version, kind) = ("toolset.kubernaut.io/v1alpha1", "ToolsetConfig");
    if text("apiVersion") != Some(api_version) {
        problems.push(Problem::new("apiVersion", format!("must be {api_version}")));
    }
    if text("kind") != Some(kind) {
        problems.push(Problem::new("kind", format!("must be {kind}")));
    }
    let metadata = object.get("metadata");
    let name = metadata.and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    let generated = metadata.is_some_and(|metadata| metadata.get("generateName").is_some());
    match name {
        Some(name) => problems.extend(structure::check_name("metadata.name", name)),
        None if generated => {}
        None => problems.push(Problem::new("metadata.name", "is required")),
    }
    problems
}

//! What the API server would say to a `ToolsetConfig`, without one: the schema's structure, then its CEL rules.
//!
//! As the API server does it: nulls are dropped, defaults filled in, the structure checked, and only if that is sound the
//! rules between fields are evaluated. Unlike the API server, which drops unknown fields without a word, this says so.

mod structure;
mod suggest;

use std::{fmt, sync::LazyLock};

use kube::core::cel::{CompiledSchema, Validator, apply_defaults, compile_schema};
use serde_json::Value;

pub use self::suggest::closest;
use crate::crds;

/// One thing that the API server would refuse, or drop.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, e.g. `spec.sources[0].trust`; empty for the object itself.
    pub path: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Problem {
    fn new(path: &str, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}

/// Everything that keeps the API server from taking `object` as a new `ToolsetConfig`, in the order of the schema. Empty
/// means that it would be taken.
pub fn validate(object: &Value) -> Vec<Problem> {
    check(object, None)
}

/// As `validate`, for `object` replacing `old`: what may not change is checked too.
pub fn validate_update(object: &Value, old: &Value) -> Vec<Problem> {
    check(object, Some(old))
}

fn check(object: &Value, old: Option<&Value>) -> Vec<Problem> {
    let mut problems = identity(object);
    let Some(Known { schema, rules }) = KNOWN.as_ref() else {
        problems.push(Problem::new("", "cannot be checked: this program has no schema to check it against"));
        return problems;
    };
    let complete = |value: &Value| apply_defaults(schema, &structure::without_nulls(value));
    let object = complete(object);
    let (unknown, unsound) = structure::check(schema, &object);
    let sound = unsound.is_empty();
    problems.extend(unsound);
    problems.extend(unknown);
    if sound && let Err(errors) = Validator::new().validate_compiled(rules, &object, old.map(complete).as_ref()) {
        problems.extend(errors.into_iter().map(|error| Problem::new(&error.field_path, error.message)));
    }
    problems.dedup();
    problems
}

/// The schema of the one version there is, and its rules, compiled once.
struct Known {
    schema: Value,
    rules: CompiledSchema,
}

static KNOWN: LazyLock<Option<Known>> = LazyLock::new(|| {
    let version = crds().into_iter().next()?.spec.versions.into_iter().next()?;
    let schema = serde_json::to_value(version.schema?.open_api_v3_schema?).ok()?;
    let rules = compile_schema(&schema);
    Some(Known { schema, rules })
});

/// What is wrong with `apiVersion`, `kind` and `metadata`, which no schema of a custom resource describes.
fn identity(object: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    let (api_version, kind) = ("toolset.kubernaut.io/v1alpha1", "ToolsetConfig");
    if text("apiVersion") != Some(api_version) {
        problems.push(Problem::new("apiVersion", format!("write {api_version}")));
    }
    if text("kind") != Some(kind) {
        problems.push(Problem::new("kind", format!("write {kind}")));
    }
    let metadata = object.get("metadata");
    let name = metadata.and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    let generated = metadata.is_some_and(|metadata| metadata.get("generateName").is_some());
    match name {
        Some(name) => problems.extend(structure::name("metadata.name", name)),
        None if generated => {}
        None => problems.push(Problem::new("metadata.name", "give the ToolsetConfig a name")),
    }
    problems
}

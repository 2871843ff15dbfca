//! Generates the CustomResourceDefinitions.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::spec::ToolsetConfig;

/// All CustomResourceDefinitions of the operator.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crd = ToolsetConfig::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(schema);
        }
    }
    vec![crd]
}

/// All CustomResourceDefinitions as one YAML stream. Every document starts with `---`.
///
/// Fails if a CustomResourceDefinition cannot be serialized.
pub fn crds_yaml() -> Result<String, EmitError> {
    let mut stream = String::new();
    for crd in crds() {
        let mut document = serde_json::to_value(&crd)?;
        whole_numbers(&mut document);
        stream.push_str("---\n");
        stream.push_str(&serde_saphyr::to_string(&document)?);
    }
    Ok(stream)
}

/// A CustomResourceDefinition could not be written as YAML.
#[derive(Debug, thiserror::Error)]
pub enum EmitError {
    /// It cannot be serialized as JSON.
    #[error("cannot write the CustomResourceDefinition as JSON")]
    Json(#[from] serde_json::Error),
    /// It cannot be serialized as YAML.
    #[error("cannot write the CustomResourceDefinition as YAML")]
    Yaml(#[from] serde_saphyr::SerializeError),
}

/// Corrects two properties of the derived schema that the derive macro cannot configure.
///
/// The macro sets `nullable` for every `Option`. Helm templates often set a field to null, and then the API server must
/// drop the null before it applies defaults. With `nullable` the null would stay, and `has()` would be true. The macro
/// also keeps the line breaks of doc comments, which do not belong to the text.
fn tidy(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if let Some(description) = &mut schema.description {
        *description = description.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        tidy(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => tidy(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(tidy),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
}

/// Writes `minimum` and `maximum` as whole numbers. In the Rust type they are floating-point numbers.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(whole) = number.as_f64().and_then(|number| format!("{number}").parse::<i64>().ok()) {
                *number = whole.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

//! The CustomResourceDefinitions, as the API server takes them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use crate::ToolsetConfig;

/// Every CustomResourceDefinition of the operator.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crd = ToolsetConfig::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(schema);
        }
    }
    vec![crd]
}

/// The same as one YAML stream, each document opened by `---`.
///
/// Fails only if the emitter does, for which a value that is JSON gives it no reason.
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
    /// Not even as JSON.
    #[error("cannot represent the CustomResourceDefinition as JSON")]
    Json(#[from] serde_json::Error),
    /// Not as YAML.
    #[error("cannot represent the CustomResourceDefinition as YAML")]
    Yaml(#[from] serde_saphyr::SerializeError),
}

/// Two things that the derive cannot be told.
///
/// It writes `nullable` for every `Option`. Without it the API server drops an explicit null before it fills in defaults, as
/// Helm templates expect; with it the null would stay, and `has()` would find it. And a doc comment's line breaks are those
/// of the source, not of the text.
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

/// `minimum` and `maximum` are floating point numbers in the schema's type; in the file they are whole, as people write them.
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

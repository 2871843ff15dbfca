//! The CustomResourceDefinitions, as the API server takes them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::ToolsetConfig;

/// Every CustomResourceDefinition of the operator.
pub fn crds() -> Vec<CustomResourceDefinition> {
    let mut crd = ToolsetConfig::crd();
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            forbid_null(schema);
        }
    }
    vec![crd]
}

/// The same as one YAML stream, documents separated by `---`.
///
/// Fails only if the emitter does, which for a value that is JSON it has no reason to.
pub fn crds_yaml() -> Result<String, serde_saphyr::ser::Error> {
    let mut stream = String::new();
    for crd in crds() {
        stream.push_str("---\n");
        stream.push_str(&serde_saphyr::to_string(&crd)?);
    }
    Ok(stream)
}

/// Takes `nullable` away, which the derive writes for every `Option`. The API server then drops an explicit null before it
/// fills in defaults, as Helm templates expect; with `nullable` it would keep it, and `has()` would find it.
fn forbid_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        forbid_null(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => forbid_null(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(forbid_null),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forbid_null(values);
    }
}

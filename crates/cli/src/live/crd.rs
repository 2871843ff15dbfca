//! The CustomResourceDefinition in the cluster, compared with the one of this program.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, Client};
use serde_json::Value;

use super::of_request;

/// What the cluster has of the CustomResourceDefinition.
pub(crate) enum Crd {
    Missing,
    /// It is the one of this program.
    Same,
    /// It has another schema.
    Different,
    /// It has not the version of the API that this program uses. The versions that it has.
    OtherVersion(Vec<String>),
    /// It cannot be read.
    Unreadable(String),
}

/// The version of the API that this program uses.
pub(crate) const API_VERSION: &str = "v1alpha1";

/// Compares the CustomResourceDefinition of the cluster with ours.
pub(crate) async fn compare(client: &Client) -> Crd {
    let Some(ours) = crd_types::crds().into_iter().next() else { return Crd::Missing };
    let name = ours.metadata.name.clone().unwrap_or_default();
    match Api::<CustomResourceDefinition>::all(client.clone()).get_opt(&name).await {
        Ok(None) => Crd::Missing,
        Ok(Some(theirs)) => match (schema(&ours), schema(&theirs)) {
            (Some(ours), Some(theirs)) if ours == theirs => Crd::Same,
            (_, Some(_)) => Crd::Different,
            (_, None) => Crd::OtherVersion(theirs.spec.versions.into_iter().map(|version| version.name).collect()),
        },
        Err(error) => Crd::Unreadable(of_request(&error)),
    }
}

/// The schema of our version, without what the API server adds or writes in another way.
fn schema(crd: &CustomResourceDefinition) -> Option<Value> {
    let version = crd.spec.versions.iter().find(|version| version.name == API_VERSION)?;
    let mut schema = serde_json::to_value(version.schema.as_ref()?).ok()?;
    normalise(&mut schema);
    Some(schema)
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(normalise);
            fields.retain(|_, value| !value.is_null());
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        // 1 and 1.0 are the same bound.
        Value::Number(number) => {
            if let Some(float) = number.as_f64().and_then(serde_json::Number::from_f64) {
                *number = float;
            }
        }
        _ => {}
    }
}

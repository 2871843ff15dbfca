//! One object: what kind it is, and what of it matters.

use std::collections::BTreeMap;

use crd_types::{ToolsetConfig, closest};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, Namespace, Service},
        discovery::v1::EndpointSlice,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toolset::{NamespaceView, SliceView, convert};

/// Where an object without a namespace goes, as with `kubectl apply`.
pub const DEFAULT_NAMESPACE: &str = "default";

/// An object, as much of it as matters.
pub enum Object {
    Service(Box<detectors::ServiceView>),
    /// `None` for a slice that belongs to no Service.
    Slice(Option<SliceView>),
    Namespace(NamespaceView),
    ConfigMap(Box<ConfigMap>),
    Config(Box<ToolsetConfig>),
    /// Of no kind that the operator reads.
    Other,
}

/// How many of which kind were seen.
#[derive(Default)]
pub struct Kinds {
    pub services: usize,
    pub slices: usize,
    pub namespaces: usize,
    others: BTreeMap<String, usize>,
}

impl Kinds {
    /// What to say to somebody whose input holds no Service.
    pub fn without_services(&self) -> String {
        if self.others.is_empty() {
            return "the input holds no Services".to_owned();
        }
        let seen: Vec<String> = self.others.iter().take(6).map(|(kind, count)| format!("{count} {kind}")).collect();
        format!("the input holds no Services, only {}", seen.join(", "))
    }
}

/// For a list: the API version and, if it is a typed one, the kind of its entries.
pub fn list_of(value: &Value) -> Option<(String, Option<String>)> {
    let kind = value.get("kind")?.as_str()?;
    let entries = kind.strip_suffix("List")?;
    let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or("v1").to_owned();
    Some((api_version, (!entries.is_empty()).then(|| entries.to_owned())))
}

/// Reads one object. `Err` holds what is wrong with it, each with the object's kind and name.
pub fn read(value: Value, kinds: &mut Kinds) -> Result<Object, Vec<String>> {
    if !value.is_object() {
        return Err(vec!["not a Kubernetes object: expected fields (apiVersion, kind, metadata, …)".to_owned()]);
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    match (api_version.as_str(), kind.as_str()) {
        (_, "") => Err(vec!["not a Kubernetes object: it has no kind".to_owned()]),
        ("v1", "Service") => {
            kinds.services += 1;
            let mut service: Service = typed(&kind, value)?;
            default_namespace(&mut service.metadata);
            Ok(Object::Service(Box::new(convert::service(&service.metadata, service.spec.as_ref()))))
        }
        ("discovery.k8s.io/v1", "EndpointSlice") => {
            kinds.slices += 1;
            let mut slice: EndpointSlice = typed(&kind, value)?;
            default_namespace(&mut slice.metadata);
            Ok(Object::Slice(convert::slice(
                &slice.metadata,
                slice.endpoints.iter().map(|endpoint| endpoint.conditions.as_ref()),
            )))
        }
        ("v1", "Namespace") => {
            kinds.namespaces += 1;
            Ok(Object::Namespace(convert::namespace(&typed::<Namespace>(&kind, value)?.metadata)))
        }
        ("v1", "ConfigMap") => {
            *kinds.others.entry(kind.clone()).or_default() += 1;
            let mut map: ConfigMap = typed(&kind, value)?;
            default_namespace(&mut map.metadata);
            Ok(Object::ConfigMap(Box::new(map)))
        }
        (_, "ToolsetConfig") => {
            *kinds.others.entry(kind.clone()).or_default() += 1;
            config(value).map(|config| Object::Config(Box::new(config)))
        }
        _ => {
            let ours = ["Service", "EndpointSlice", "Namespace", "ToolsetConfig"];
            // Only a slip: `service`, `Servcie`. A kind of one of these names in another group is somebody else's.
            match closest(&kind, ours) {
                Some(meant) if !ours.contains(&kind.as_str()) && !api_version.contains('.') => {
                    Err(vec![format!("unknown kind {kind:?}; did you mean {meant}?")])
                }
                _ => {
                    *kinds.others.entry(kind).or_default() += 1;
                    Ok(Object::Other)
                }
            }
        }
    }
}

/// A ToolsetConfig, checked as the API server checks it.
fn config(value: Value) -> Result<ToolsetConfig, Vec<String>> {
    let who = who("ToolsetConfig", &value);
    let problems: Vec<String> = crd_types::validate(&value).iter().map(|problem| format!("{who}: {problem}")).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut config: ToolsetConfig = typed("ToolsetConfig", without_nulls(value))?;
    default_namespace(&mut config.metadata);
    Ok(config)
}

/// Kind, namespace and name, as far as it has them.
pub fn who(kind: &str, value: &Value) -> String {
    let metadata = |key: &str| value.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
    match (metadata("namespace"), metadata("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        (_, None) => kind.to_owned(),
    }
}

fn typed<T: DeserializeOwned>(kind: &str, value: Value) -> Result<T, Vec<String>> {
    let who = who(kind, &value);
    let named = value.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    if named.is_none_or(str::is_empty) {
        return Err(vec![format!("{who} has no metadata.name")]);
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        vec![format!("{who}: {path}: {}", error.into_inner())]
    })
}

fn default_namespace(metadata: &mut ObjectMeta) {
    metadata.namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
}

/// The API server drops nulls before anybody reads the object.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

//! Reads one object.

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

use super::workload::{self, Template, ThinPod};
use crate::pods::Workload;

/// The namespace of an object that names none.
pub(crate) const DEFAULT_NAMESPACE: &str = "default";

/// An object, reduced to the fields that the operator reads.
pub(super) enum Object {
    Service(Box<detectors::ServiceView>),
    /// `None` if the slice belongs to no Service.
    Slice(Option<SliceView>),
    Namespace(NamespaceView),
    /// A Pod, or an object with a template for Pods.
    Workload(Box<Workload>),
    ConfigMap(Box<ConfigMap>),
    Config(Box<ToolsetConfig>),
    /// An object of another kind, which the operator does not read.
    Other,
}

/// The number of objects of each kind.
#[derive(Default)]
pub(super) struct Kinds {
    pub services: usize,
    pub slices: usize,
    pub namespaces: usize,
    others: BTreeMap<String, usize>,
}

impl Kinds {
    /// The note for an input without Services.
    pub(super) fn without_services(&self) -> String {
        if self.others.is_empty() {
            return "the input contains no Services".to_owned();
        }
        let seen: Vec<String> = self.others.iter().take(6).map(|(kind, count)| format!("{count} {kind}")).collect();
        format!("the input contains no Services, only {}", seen.join(", "))
    }
}

/// The API version of a list and, if the list is typed, the kind of its entries. `None` if the value is not a list.
pub(super) fn list_of(value: &Value) -> Option<(String, Option<String>)> {
    let kind = value.get("kind")?.as_str()?;
    let entries = kind.strip_suffix("List")?;
    let api_version = value.get("apiVersion").and_then(Value::as_str).unwrap_or("v1").to_owned();
    Some((api_version, (!entries.is_empty()).then(|| entries.to_owned())))
}

/// Whether a value can be a Kubernetes object.
pub(super) fn has_kind(value: &Value) -> bool {
    value.get("kind").and_then(Value::as_str).is_some_and(|kind| !kind.is_empty())
}

/// Reads one object. `Err` holds the problems, each with the kind and the name of the object.
pub(super) fn read(value: Value, kinds: &mut Kinds) -> Result<Object, Vec<String>> {
    if !value.is_object() {
        return Err(vec!["not a Kubernetes object; an object has the fields apiVersion, kind and metadata".to_owned()]);
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    match (api_version.as_str(), kind.as_str()) {
        (_, "") => Err(vec!["not a Kubernetes object, because it has no kind".to_owned()]),
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
            Ok(Object::Slice(convert::slice(&slice.metadata, slice.endpoints.iter().map(Into::into))))
        }
        ("v1", "Namespace") => {
            kinds.namespaces += 1;
            Ok(Object::Namespace(convert::namespace(&typed::<Namespace>(&kind, value)?.metadata)))
        }
        ("v1", "Pod") => {
            *kinds.others.entry(kind.clone()).or_default() += 1;
            let mut pod: ThinPod = secretive(&kind, value)?;
            default_namespace(&mut pod.metadata);
            Ok(Object::Workload(Box::new(pod.into())))
        }
        (api_version, _) if workload::has_template(api_version, &kind) => {
            *kinds.others.entry(kind.clone()).or_default() += 1;
            let mut template: Template = secretive(&kind, value)?;
            default_namespace(template.metadata_mut());
            Ok(template.into_workload(&kind).map_or(Object::Other, |workload| Object::Workload(Box::new(workload))))
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
            let known = [
                "Service",
                "EndpointSlice",
                "Namespace",
                "ToolsetConfig",
                "Pod",
                "Deployment",
                "StatefulSet",
                "DaemonSet",
            ];
            // Suggests a kind only for a misspelling such as `service` or `Servcie`. A kind with one of these names in
            // another API group is a different kind.
            match closest(&kind, known) {
                Some(meant) if !known.contains(&kind.as_str()) && !api_version.contains('.') => {
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

/// Reads a ToolsetConfig and validates it as the API server does.
fn config(value: Value) -> Result<ToolsetConfig, Vec<String>> {
    let name = object_name("ToolsetConfig", &value);
    let problems: Vec<String> =
        crd_types::validate(&value).iter().map(|problem| format!("{name}: {problem}")).collect();
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut config: ToolsetConfig = typed("ToolsetConfig", without_nulls(value))?;
    default_namespace(&mut config.metadata);
    Ok(config)
}

/// The kind, the namespace and the name of an object, as messages write them. Missing parts are left out.
pub(crate) fn object_name(kind: &str, value: &Value) -> String {
    let metadata = |key: &str| value.get("metadata").and_then(|metadata| metadata.get(key)).and_then(Value::as_str);
    match (metadata("namespace"), metadata("name")) {
        (Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (None, Some(name)) => format!("{kind} {name}"),
        (_, None) => kind.to_owned(),
    }
}

/// The most characters of a message about a field. A message can quote a value, and a value can be a whole file.
const MAX_MESSAGE: usize = 300;

fn typed<T: DeserializeOwned>(kind: &str, value: Value) -> Result<T, Vec<String>> {
    read_as(kind, value, |error| shortened(error.to_string()))
}

/// The message without its middle if it is very long. Its end says what was expected.
fn shortened(message: String) -> String {
    let length = message.chars().count();
    if length <= MAX_MESSAGE {
        return message;
    }
    let half = MAX_MESSAGE / 2;
    let (start, end): (String, String) =
        (message.chars().take(half).collect(), message.chars().skip(length - half).collect());
    format!("{start}…{end}")
}

/// As [`typed`], without the values of the object in messages: a value of a variable can be a secret.
fn secretive<T: DeserializeOwned>(kind: &str, value: Value) -> Result<T, Vec<String>> {
    read_as(kind, without_nulls(value), |error| {
        let message = error.to_string();
        match message.rsplit_once(", expected ") {
            Some((_, expected)) => format!("the value must be {expected}"),
            None => "the value is not valid".to_owned(),
        }
    })
}

fn read_as<T: DeserializeOwned>(
    kind: &str,
    value: Value,
    message: impl Fn(&serde_json::Error) -> String,
) -> Result<T, Vec<String>> {
    let object = object_name(kind, &value);
    let name = value.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    if name.is_none_or(str::is_empty) {
        return Err(vec![format!("{object} has no metadata.name")]);
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        vec![format!("{object}: {path}: {}", message(error.inner()))]
    })
}

fn default_namespace(metadata: &mut ObjectMeta) {
    metadata.namespace.get_or_insert_with(|| DEFAULT_NAMESPACE.to_owned());
}

/// Drops nulls, as the API server does.
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

//! Reads objects from files and standard input. A file is YAML or JSON with one or more documents. A document is an
//! object or a list as `kubectl get` prints it.
//!
//! If an object cannot be read, the command fails and reports all problems with file, document and object. It does not
//! continue with the other Services, because the result would be wrong.

mod copies;
mod document;
mod files;
mod object;
mod workload;

use std::collections::BTreeMap;

use copies::Copies;
use document::Document;
pub(crate) use files::Named;
pub(crate) use object::{DEFAULT_NAMESPACE, object_name};
use object::{Kinds, Object};
use serde_json::Value;
use toolset::Index;
pub(crate) use workload::ThinPod;

use crate::{
    failure::Failure,
    pods::{self, Workload},
    snapshot::{Snapshot, default_config},
};

/// The maximum number of documents to name that are not Kubernetes objects.
const MAX_SKIPPED: usize = 3;

/// Reads a snapshot from files.
pub(crate) fn snapshot(named: Named<'_>) -> Result<Snapshot, Failure> {
    snapshot_with_workloads(named).map(|(snapshot, _)| snapshot)
}

/// Reads a snapshot from files, with their Pods and Pod templates. What another ToolsetConfig would give can need more of
/// them than the snapshot holds.
pub(crate) fn snapshot_with_workloads(named: Named<'_>) -> Result<(Snapshot, Vec<Workload>), Failure> {
    let mut read = ReadObjects::default();
    read.files(named)?;
    read.into_snapshot()
}

/// Reads the ToolsetConfig of the files, if they have one. Services, EndpointSlices, Namespaces and Pods are an error,
/// because `--live` would ignore them.
pub(crate) fn config_only(named: Named<'_>) -> Result<Option<crd_types::ToolsetConfig>, Failure> {
    let mut read = ReadObjects::default();
    read.files(named)?;
    if read.kinds.services + read.kinds.slices + read.kinds.namespaces + read.workloads.len() > 0 {
        return Err(Failure::Usage(
            "error: with --live, the Services come from the cluster; remove Services, EndpointSlices, Namespaces, Pods and Pod templates from the files".to_owned(),
        ));
    }
    read.fail_on_problems()?;
    Ok(read.config.map(|(_, config)| config))
}

/// Reads a snapshot from a text. `name` is what messages call the text.
#[cfg(all(test, feature = "ui"))]
pub(crate) fn snapshot_of_text(name: &str, text: &str) -> Result<Snapshot, Failure> {
    let mut read = ReadObjects::default();
    read.documents(document::split(name, text, false));
    read.into_snapshot().map(|(snapshot, _)| snapshot)
}

/// Reads the one ToolsetConfig of a text, and validates it. `Err` holds the problems.
#[cfg(feature = "ui")]
pub(crate) fn config_of_text(text: &str) -> Result<crd_types::ToolsetConfig, Vec<String>> {
    let mut read = ReadObjects::default();
    read.documents(document::split("the text", text, false));
    if !read.problems.is_empty() {
        let without_prefix =
            |problem: String| problem.strip_prefix("error: the text: ").map(str::to_owned).unwrap_or(problem);
        return Err(read.problems.into_iter().map(without_prefix).collect());
    }
    let Some((_, config)) = read.config else {
        return Err(vec!["The text contains no ToolsetConfig.".to_owned()]);
    };
    if read.objects > 1 {
        return Err(vec!["The text contains other objects. Remove everything but the ToolsetConfig.".to_owned()]);
    }
    Ok(config)
}

/// Reads the documents of the files. Fails if a file cannot be opened or is not UTF-8.
pub(crate) fn documents(named: Named<'_>) -> Result<Vec<Document>, Failure> {
    let mut documents = Vec::new();
    for file in named.resolved()? {
        let name = file.name();
        let text = file.read().map_err(|error| Failure::input(format!("error: {name}: {error}")))?;
        documents.extend(document::split(&name, &text, file.of_directory));
    }
    Ok(documents)
}

#[derive(Default)]
struct ReadObjects {
    services: Vec<detectors::ServiceView>,
    slices: Vec<toolset::SliceView>,
    namespaces: Vec<toolset::NamespaceView>,
    workloads: Vec<Workload>,
    config_maps: BTreeMap<(String, String), k8s_openapi::api::core::v1::ConfigMap>,
    config: Option<(String, crd_types::ToolsetConfig)>,
    kinds: Kinds,
    /// How many objects of any kind there are.
    #[cfg(feature = "ui")]
    objects: usize,
    copies: Copies,
    /// The documents that are not Kubernetes objects, in directories.
    skipped: Vec<String>,
    problems: Vec<String>,
}

impl ReadObjects {
    fn files(&mut self, named: Named<'_>) -> Result<(), Failure> {
        self.documents(documents(named)?);
        Ok(())
    }

    fn documents(&mut self, documents: Vec<Document>) {
        for document in documents {
            match document.value {
                Ok(value) if document.of_directory && !object::has_kind(&value) => self.skipped.push(document.place),
                Ok(value) => self.value(&document.place, value, None),
                Err(problem) => self.problems.push(format!("error: {}: {problem}", document.place)),
            }
        }
    }

    /// Adds an object or a list of objects. The entries of a typed list may omit their kind.
    fn value(&mut self, place: &str, mut value: Value, kind: Option<(&str, &str)>) {
        if let (Some((api_version, kind)), Some(fields)) = (kind, value.as_object_mut()) {
            fields.entry("apiVersion").or_insert_with(|| api_version.into());
            fields.entry("kind").or_insert_with(|| kind.into());
        }
        let Some((api_version, list)) = object::list_of(&value) else {
            return self.object(place, value);
        };
        let items = match value.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => items,
            // A program writes null for a list that is empty.
            Some(Value::Null) => Vec::new(),
            Some(_) => return self.problems.push(format!("error: {place}: items is not a list")),
            None => return self.problems.push(format!("error: {place}: the list has no field items")),
        };
        for (index, item) in items.into_iter().enumerate() {
            let place = format!("{place}, item {}", index + 1);
            self.value(&place, item, list.as_deref().map(|kind| (api_version.as_str(), kind)));
        }
    }

    fn object(&mut self, place: &str, value: Value) {
        self.copies.add(place, &value);
        #[cfg(feature = "ui")]
        {
            self.objects += 1;
        }
        match object::read(value, &mut self.kinds) {
            Ok(Object::Service(view)) => self.services.push(*view),
            Ok(Object::Slice(view)) => self.slices.extend(view),
            Ok(Object::Workload(workload)) => self.workloads.push(*workload),
            Ok(Object::Namespace(view)) => self.namespaces.push(view),
            Ok(Object::ConfigMap(map)) => {
                let key =
                    (map.metadata.namespace.clone().unwrap_or_default(), map.metadata.name.clone().unwrap_or_default());
                self.config_maps.insert(key, *map);
            }
            Ok(Object::Config(config)) => match &self.config {
                None => self.config = Some((place.to_owned(), *config)),
                Some((first, _)) => {
                    self.problems.push(format!(
                        "error: {place}: only one ToolsetConfig is allowed, and {first} has one already"
                    ));
                }
            },
            Ok(Object::Other) => {}
            Err(problems) => {
                self.problems.extend(problems.into_iter().map(|problem| format!("error: {place}: {problem}")));
            }
        }
    }

    fn skipped_note(&self) -> Option<String> {
        let named = self.skipped.iter().take(MAX_SKIPPED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = self.skipped.len().saturating_sub(MAX_SKIPPED);
        match (self.skipped.len(), more) {
            (0, _) => None,
            (1, _) => Some(format!("{named} is skipped, because it has no kind, so it is not a Kubernetes object")),
            (_, 0) => {
                Some(format!("{named} are skipped, because they have no kind, so they are not Kubernetes objects"))
            }
            (_, more) => Some(format!(
                "{named} and {more} more are skipped, because they have no kind, so they are not Kubernetes objects"
            )),
        }
    }

    fn fail_on_problems(&mut self) -> Result<(), Failure> {
        let problems = std::mem::take(&mut self.problems);
        if problems.is_empty() { Ok(()) } else { Err(Failure::Input(problems)) }
    }

    fn into_snapshot(mut self) -> Result<(Snapshot, Vec<Workload>), Failure> {
        self.fail_on_problems()?;
        let mut notes = self.copies.notes();
        notes.extend(self.skipped_note());
        if self.services.is_empty() {
            notes.push(self.kinds.without_services());
        }
        let slices_known = !self.slices.is_empty();
        let config_given = self.config.is_some();
        let mut index = Index::default();
        for namespace in self.namespaces {
            index.apply_namespace(namespace);
        }
        for service in self.services {
            index.apply_service(service);
        }
        for slice in self.slices {
            index.apply_slice(slice);
        }
        let config = self.config.map_or_else(default_config, |(_, config)| config);
        let pods = pods::of_input(&self.workloads, &config, &mut index);
        let snapshot = Snapshot {
            index,
            config,
            config_given,
            pods,
            config_maps: self.config_maps,
            slices_known,
            live: false,
            default_namespace: DEFAULT_NAMESPACE.to_owned(),
            notes,
        };
        Ok((snapshot, self.workloads))
    }
}

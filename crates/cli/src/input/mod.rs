//! Reads objects from files and standard input. A file is YAML or JSON with one or more documents. A document is an
//! object or a list as `kubectl get` prints it.
//!
//! If an object cannot be read, the command fails and reports all problems with file, document and object. It does not
//! continue with the other Services, because the result would be wrong.

mod copies;
mod document;
mod object;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use copies::Copies;
use document::Document;
pub(crate) use object::{DEFAULT_NAMESPACE, object_name};
use object::{Kinds, Object};
use serde_json::Value;
use toolset::Index;

use crate::{
    failure::Failure,
    snapshot::{Snapshot, default_config},
};

/// Reads a snapshot from files.
pub(crate) fn snapshot(files: &[PathBuf]) -> Result<Snapshot, Failure> {
    let mut read = ReadObjects::default();
    read.files(files)?;
    read.into_snapshot()
}

/// Reads the ToolsetConfig of the files, if they have one. Services, EndpointSlices and Namespaces are an error,
/// because `--live` would ignore them.
pub(crate) fn config_only(files: &[PathBuf]) -> Result<Option<crd_types::ToolsetConfig>, Failure> {
    let mut read = ReadObjects::default();
    read.files(files)?;
    if read.kinds.services + read.kinds.slices + read.kinds.namespaces > 0 {
        return Err(Failure::Usage(
            "error: with --live, the Services come from the cluster; remove Services, EndpointSlices and Namespaces from the files".to_owned(),
        ));
    }
    read.fail_on_problems()?;
    Ok(read.config.map(|(_, config)| config))
}

/// Reads the documents of the files. Fails if a file cannot be opened or is not UTF-8.
pub(crate) fn documents(files: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    if files.iter().filter(|file| is_stdin(file)).count() > 1 {
        return Err(Failure::Usage("error: standard input (-f -) can be read only once".to_owned()));
    }
    let mut documents = Vec::new();
    for file in files {
        let name = if is_stdin(file) { "standard input".to_owned() } else { file.display().to_string() };
        let text = read(file).map_err(|error| Failure::input(format!("error: {name}: {error}")))?;
        documents.extend(document::split(&name, &text));
    }
    Ok(documents)
}

fn is_stdin(file: &Path) -> bool {
    file == Path::new("-")
}

fn read(file: &Path) -> io::Result<String> {
    let bytes = if is_stdin(file) {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        bytes
    } else {
        fs::read(file)?
    };
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not UTF-8 text"))
}

#[derive(Default)]
struct ReadObjects {
    services: Vec<detectors::ServiceView>,
    slices: Vec<toolset::SliceView>,
    namespaces: Vec<toolset::NamespaceView>,
    config_maps: BTreeMap<(String, String), k8s_openapi::api::core::v1::ConfigMap>,
    config: Option<(String, crd_types::ToolsetConfig)>,
    kinds: Kinds,
    copies: Copies,
    problems: Vec<String>,
}

impl ReadObjects {
    fn files(&mut self, files: &[PathBuf]) -> Result<(), Failure> {
        for document in documents(files)? {
            match document.value {
                Ok(value) => self.value(&document.place, value, None),
                Err(problem) => self.problems.push(format!("error: {}: {problem}", document.place)),
            }
        }
        Ok(())
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
        match object::read(value, &mut self.kinds) {
            Ok(Object::Service(view)) => self.services.push(*view),
            Ok(Object::Slice(view)) => self.slices.extend(view),
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

    fn fail_on_problems(&mut self) -> Result<(), Failure> {
        let problems = std::mem::take(&mut self.problems);
        if problems.is_empty() { Ok(()) } else { Err(Failure::Input(problems)) }
    }

    fn into_snapshot(mut self) -> Result<Snapshot, Failure> {
        self.fail_on_problems()?;
        let mut notes = self.copies.notes();
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
        Ok(Snapshot {
            index,
            config: self.config.map_or_else(default_config, |(_, config)| config),
            config_given,
            config_maps: self.config_maps,
            slices_known,
            live: false,
            default_namespace: DEFAULT_NAMESPACE.to_owned(),
            notes,
        })
    }
}

//! Reads objects from a cluster with the permissions of the user.

mod configs;
mod connect;
pub(crate) mod crd;
pub(crate) mod operator;
mod pods;
mod problem;
mod reach;

use std::collections::BTreeMap;

use crd_types::{NamespacesFrom, ToolsetConfig};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, ResourceExt};
use toolset::{Index, convert};

use self::pods::Targets;
pub(crate) use self::{
    configs::Several,
    connect::{block_on, connect, contexts},
    problem::{of_request, refused},
    reach::Reach,
};
#[cfg(feature = "ui")]
pub(crate) use self::{
    pods::{Failed, Tasks, is_of_service, pods_of, unreadable_namespaces},
    reach::namespaces_note,
};
use crate::{
    failure::Failure,
    snapshot::{Objects, Snapshot, default_config},
};

/// What to read.
pub(crate) struct Request<'a> {
    /// The ToolsetConfig of a file. It replaces those of the cluster.
    pub given: Option<ToolsetConfig>,
    /// The ToolsetConfig of `--config`.
    pub named: Option<&'a str>,
    /// The namespace to read if the user may not read all of them. By default it is the one of the client.
    pub namespace: Option<&'a str>,
    /// What to do if there are several ToolsetConfigs.
    pub several: Several,
}

/// Reads the cluster. The index has what the Pods say for all of the ToolsetConfigs.
pub(crate) async fn read(client: &Client, request: Request<'_>) -> Result<Objects, Failure> {
    let mut notes = Vec::new();
    let mut reach = Reach::new(client, request.namespace);
    let configs = match request.given {
        Some(config) => vec![config],
        None => configs::choose(&mut reach, request.named, request.several, &mut notes).await?,
    };
    let config_given = !configs.is_empty();
    let configs = if config_given { configs } else { vec![default_config()] };
    let mut index = Index::default();
    for service in reach.list::<Service>("Services").await? {
        index.apply_service(convert::service(&service.metadata, service.spec.as_ref()));
    }
    let mut sources = configs.iter().flat_map(|config| &config.spec.sources);
    if sources.any(|source| source.namespaces.from == NamespacesFrom::Selector) {
        for namespace in reach.namespaces(&mut notes).await? {
            index.apply_namespace(convert::namespace(&namespace.metadata));
        }
    }
    let mut targets = Targets::default();
    let slices_known = match reach.list::<EndpointSlice>("EndpointSlices").await {
        Ok(slices) => {
            for slice in slices {
                let endpoints = slice.endpoints.iter().map(Into::into);
                if let Some(view) = convert::slice(&slice.metadata, endpoints) {
                    targets.add(&index, &slice, &view);
                    index.apply_slice(view);
                }
            }
            true
        }
        Err(failure) => {
            notes.push(format!(
                "EndpointSlices cannot be read, so the health of the tools is unknown, and Services of Tenant sources wait (AwaitingEndpointSlices): {}",
                message_of(&failure)
            ));
            false
        }
    };
    let pods = targets.read(client, &configs, &mut index, &mut notes).await;
    let mut found = BTreeMap::new();
    for config in &configs {
        found.extend(config_maps(client, config, &mut notes).await);
    }
    notes.extend(reach.note());
    let snapshot = Snapshot {
        index,
        config: default_config(),
        config_given,
        config_maps: found,
        pods,
        slices_known,
        live: true,
        default_namespace: client.default_namespace().to_owned(),
        notes,
    };
    Ok(Objects { snapshot, configs })
}

/// Reads the ConfigMap of the output and the ConfigMap of the base file.
///
/// The ConfigMap of the output shows which tools are in the output. It may also hold the key `overrides.yaml` of the
/// Dynamic Toolset Service.
pub(crate) async fn config_maps(
    client: &Client,
    config: &ToolsetConfig,
    notes: &mut Vec<String>,
) -> BTreeMap<(String, String), ConfigMap> {
    let namespace = config.namespace().unwrap_or_default();
    let api = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let mut found = BTreeMap::new();
    for name in config.spec.output.config_map_names() {
        match api.get_opt(name).await {
            Ok(Some(map)) => {
                found.insert((namespace.clone(), name.clone()), map);
            }
            Ok(None) => {}
            Err(error) => notes.push(format!(
                "ConfigMap {namespace}/{name} is ignored: {}",
                message_of(&refused("ConfigMaps", &error))
            )),
        }
    }
    found
}

/// The text of a failure without its prefix, for use in a note.
pub(crate) fn message_of(failure: &Failure) -> String {
    let text = failure.lines().collect::<Vec<_>>().join("; ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

//! Reads objects from a cluster with the permissions of the user.

mod connect;
mod pods;
mod problem;

use std::{collections::BTreeMap, fmt::Debug};

use crd_types::{NamespacesFrom, ToolsetConfig};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};
use serde::de::DeserializeOwned;
use toolset::{Index, convert};

use self::pods::Targets;
#[cfg(feature = "ui")]
pub(crate) use self::pods::{Tasks, is_of_service, pods_of};
pub(crate) use self::{
    connect::{block_on, connect},
    problem::{of_request, refused},
};
use crate::{
    args::{Cluster, From},
    failure::Failure,
    input,
    snapshot::{Snapshot, default_config},
};

/// The maximum number of objects in one page of a list.
const PAGE: u32 = 500;

/// Reads a snapshot of the cluster.
pub(crate) fn snapshot(cluster: &Cluster, from: &From) -> Result<Snapshot, Failure> {
    let given = input::config_only(from.named())?;
    if given.is_some() && from.config.is_some() {
        return Err(Failure::Usage(
            "error: --config cannot be used with a ToolsetConfig in -f; remove one of them".to_owned(),
        ));
    }
    block_on(async {
        let client = connect(cluster).await?;
        read(&client, from, given).await
    })
}

/// Reads a snapshot with a client. `given` is the ToolsetConfig of a file.
pub(crate) async fn read(client: &Client, from: &From, given: Option<ToolsetConfig>) -> Result<Snapshot, Failure> {
    let mut notes = Vec::new();
    let config = match given {
        Some(config) => Some(config),
        None => choose(client, from.config.as_deref(), &mut notes).await?,
    };
    let config_given = config.is_some();
    let config = config.unwrap_or_else(default_config);
    let mut index = Index::default();
    let services = list(&Api::<Service>::all(client.clone()), "Services").await?;
    for service in services {
        index.apply_service(convert::service(&service.metadata, service.spec.as_ref()));
    }
    let by_labels = config.spec.sources.iter().any(|source| source.namespaces.from == NamespacesFrom::Selector);
    if by_labels {
        let namespaces = list(&Api::<Namespace>::all(client.clone()), "Namespaces").await?;
        for namespace in namespaces {
            index.apply_namespace(convert::namespace(&namespace.metadata));
        }
    }
    let mut targets = Targets::default();
    let slices_known = match list(&Api::<EndpointSlice>::all(client.clone()), "EndpointSlices").await {
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
                "the health of the tools is unknown, and Services of Tenant sources wait (AwaitingEndpointSlices), because EndpointSlices cannot be read: {}",
                message_of(&failure)
            ));
            false
        }
    };
    let pods = targets.read(client, &config, &mut index, &mut notes).await;
    let config_maps = config_maps(client, &config, &mut notes).await;
    let default_namespace = client.default_namespace().to_owned();
    Ok(Snapshot { index, config, config_given, config_maps, pods, slices_known, live: true, default_namespace, notes })
}

/// Selects the ToolsetConfig that `--config` names, or the only one of the cluster.
async fn choose(
    client: &Client,
    wanted: Option<&str>,
    notes: &mut Vec<String>,
) -> Result<Option<ToolsetConfig>, Failure> {
    if let Some(wanted) = wanted {
        let Some((namespace, name)) = wanted.split_once('/') else {
            return Err(Failure::Usage(format!("error: --config {wanted} is not valid; use NAMESPACE/NAME")));
        };
        let api = Api::<ToolsetConfig>::namespaced(client.clone(), namespace);
        let found = api.get_opt(name).await.map_err(|error| refused("ToolsetConfigs", &error))?;
        return found.map(Some).ok_or_else(|| {
            Failure::input(format!(
                "error: the cluster has no ToolsetConfig {wanted}; check the name with kubectl get tsc -A"
            ))
        });
    }
    let all = match list(&Api::<ToolsetConfig>::all(client.clone()), "ToolsetConfigs").await {
        Ok(all) => all,
        Err(failure) => {
            notes.push(format!(
                "every namespace is Trusted, because no ToolsetConfig can be read: {}",
                message_of(&failure)
            ));
            return Ok(None);
        }
    };
    let mut names: Vec<String> =
        all.iter().map(|config| format!("{}/{}", config.namespace().unwrap_or_default(), config.name_any())).collect();
    names.sort();
    match names.len() {
        0 | 1 => Ok(all.into_iter().next()),
        _ => Err(Failure::Usage(format!(
            "error: the cluster has several ToolsetConfigs; select one with --config: {}",
            names.join(", ")
        ))),
    }
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

/// Lists all objects of one kind, page by page.
async fn list<K>(api: &Api<K>, what: &str) -> Result<Vec<K>, Failure>
where
    K: Clone + Debug + DeserializeOwned + Resource<DynamicType = ()>,
{
    let mut all = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = api.list(&params).await.map_err(|error| refused(what, &error))?;
        all.extend(page.items);
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(all),
        }
    }
}

/// The text of a failure without its prefix, for use in a note.
fn message_of(failure: &Failure) -> String {
    let text = failure.lines().collect::<Vec<_>>().join("; ");
    text.strip_prefix("error: ").unwrap_or(&text).to_owned()
}

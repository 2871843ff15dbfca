//! What leads from a Service to its Pods: the Service, its EndpointSlices and the Pods behind them. They are read as
//! evidence, and when the operator is about to connect to the Pods.

use std::{borrow::Cow, fmt};

use detectors::pods::PodView;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::Pod,
        discovery::v1::{EndpointConditions, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, Client, Resource, api::ListParams, runtime::watcher};
use serde::Deserialize;
use toolset::convert;

use super::{
    client::within_timeout,
    error::{Cause, Error},
    name::NamespacedName,
    observed::Observer,
    thin::{ThinService, metadata, stands_for},
    watching::Watching,
};

/// The label of an EndpointSlice that names its Service.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// An EndpointSlice with its addresses.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackendSlice {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) address_type: String,
    pub(crate) endpoints: Option<Vec<BackendEndpoint>>,
    pub(crate) ports: Option<Vec<SlicePort>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct BackendEndpoint {
    pub(crate) addresses: Vec<String>,
    conditions: Option<EndpointConditions>,
    pub(crate) target_ref: Option<Target>,
}

impl BackendEndpoint {
    /// Whether it serves, as the readiness of a Service counts.
    pub(crate) fn is_serving(&self) -> bool {
        convert::is_serving(self.conditions.as_ref())
    }

    /// Whether it takes requests. Unknown counts as ready, as the API requires.
    pub(crate) fn is_ready(&self) -> bool {
        let conditions = self.conditions.as_ref();
        conditions.and_then(|conditions| conditions.ready).unwrap_or(true)
            && !conditions.and_then(|conditions| conditions.terminating).unwrap_or_default()
    }
}

/// A Pod with what is read of its spec as evidence. It is dropped after that.
#[derive(Clone, Deserialize)]
pub(crate) struct EvidencePod {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: PodView,
}

impl fmt::Debug for EvidencePod {
    /// Without the spec, because it has the values of variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvidencePod").finish_non_exhaustive()
    }
}

/// What an address of an EndpointSlice belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Target {
    pub(crate) kind: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct SlicePort {
    pub(crate) name: Option<String>,
    pub(crate) port: Option<i32>,
    pub(crate) protocol: Option<String>,
}

/// A Pod without what the operator does not need, such as the values of its variables.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct BackendPod {
    #[serde(deserialize_with = "metadata")]
    pub(crate) metadata: ObjectMeta,
    #[serde(default)]
    pub(crate) spec: PodSpec,
    #[serde(default)]
    pub(crate) status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodSpec {
    pub(crate) host_network: bool,
    pub(crate) containers: Vec<Container>,
    pub(crate) init_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) ports: Vec<ContainerPort>,
    /// `Always` makes a sidecar of an init container.
    pub(crate) restart_policy: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerPort {
    pub(crate) name: Option<String>,
    pub(crate) protocol: Option<String>,
    #[serde(rename = "containerPort")]
    pub(crate) number: i32,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PodStatus {
    pub(crate) phase: String,
    #[serde(rename = "podIPs")]
    pub(crate) pod_ips: Vec<PodIp>,
    /// The addresses of its node. Clusters before Kubernetes 1.30 report only the first one.
    #[serde(rename = "hostIPs")]
    pub(crate) host_ips: Vec<PodIp>,
    #[serde(rename = "hostIP")]
    pub(crate) host_ip: Option<String>,
    pub(crate) container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ContainerStatus {
    pub(crate) name: String,
    pub(crate) image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodIp {
    pub(crate) ip: String,
}

stands_for!(BackendSlice, EndpointSlice, NamespaceResourceScope);
stands_for!(BackendPod, Pod, NamespaceResourceScope);
stands_for!(EvidencePod, Pod, NamespaceResourceScope);

/// The Service. `None` if it does not exist.
pub(crate) async fn service(client: &Client, name: &NamespacedName) -> Result<Option<ThinService>, Error> {
    let api: Api<ThinService> = Api::namespaced(client.clone(), &name.namespace);
    within_timeout(api.get_opt(&name.name)).await
}

/// The EndpointSlices that name the Service. Anybody can have made them.
pub(crate) async fn slices(client: &Client, service: &NamespacedName) -> Result<Vec<BackendSlice>, Error> {
    let api: Api<BackendSlice> = Api::namespaced(client.clone(), &service.namespace);
    let of_service = ListParams::default().labels(&format!("{SERVICE_NAME}={}", service.name));
    within_timeout(api.list(&of_service)).await.map(|list| list.items)
}

/// Watches the EndpointSlices that name the Service.
pub(crate) fn watch_slices(
    client: &Client,
    service: &NamespacedName,
    observer: impl Observer + 'static,
) -> Watching<BackendSlice> {
    let of_service = watcher::Config::default().labels(&format!("{SERVICE_NAME}={}", service.name));
    Watching::new(client, |client| Api::namespaced(client, &service.namespace), of_service, observer)
}

/// A Pod. `None` if it does not exist.
pub(crate) async fn pod(client: &Client, name: &NamespacedName) -> Result<Option<BackendPod>, Error> {
    let api: Api<BackendPod> = Api::namespaced(client.clone(), &name.namespace);
    within_timeout(api.get_opt(&name.name)).await
}

/// A Pod with its spec. `None` if it does not exist.
pub(crate) async fn evidence_pod(client: &Client, name: &NamespacedName) -> Result<Option<EvidencePod>, Error> {
    let api: Api<EvidencePod> = Api::namespaced(client.clone(), &name.namespace);
    within_timeout(api.get_opt(&name.name)).await
}

/// The addresses of the API server in the EndpointSlice `kubernetes` of the namespace `default`. The API server keeps this
/// slice. Empty if there is none.
///
/// An operator that watches the namespace may list its slices, and needs no further permission. Otherwise it needs one to
/// get this slice.
pub(crate) async fn api_server_addresses(client: &Client, may_list: bool) -> Result<Vec<String>, Error> {
    let api: Api<BackendSlice> = Api::namespaced(client.clone(), "default");
    let get = async || within_timeout(api.get_opt("kubernetes")).await.map(|slice| slice.into_iter().collect());
    let slices: Vec<BackendSlice> = if may_list {
        let only = ListParams::default().fields("metadata.name=kubernetes");
        match within_timeout(api.list(&only)).await {
            Err(error) if error.cause() == Cause::Forbidden => get().await?,
            listed => listed?.items,
        }
    } else {
        get().await?
    };
    let endpoints = slices.into_iter().filter_map(|slice| slice.endpoints).flatten();
    Ok(endpoints.flat_map(|endpoint| endpoint.addresses).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slice_is_read_with_its_addresses_and_ports() {
        let slice: BackendSlice = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "s"}, "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.1.2.3"], "conditions": {"ready": true},
                 "targetRef": {"kind": "Pod", "namespace": "n", "name": "p", "uid": "u"}},
                {"addresses": ["10.1.2.4"], "conditions": {"ready": false}},
                {"addresses": ["10.1.2.5"], "conditions": {"ready": true, "terminating": true}},
                {"addresses": ["10.1.2.6"]}
            ],
            "ports": [{"name": "http", "port": 5050, "protocol": "TCP"}]
        }))
        .unwrap();
        let ready: Vec<bool> = slice.endpoints.iter().flatten().map(BackendEndpoint::is_ready).collect();
        assert_eq!(ready, [true, false, false, true]);
        assert_eq!(slice.ports.unwrap()[0].port, Some(5050));
    }

    #[test]
    fn a_pod_is_read_without_its_variables() {
        let pod: BackendPod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p", "labels": {"app": "holmes"}},
            "spec": {"containers": [{
                "name": "holmes", "image": "holmes:0.45.0", "ports": [{"containerPort": 5050}],
                "env": [{"name": "TOKEN", "value": "secret"}],
            }]},
            "status": {
                "podIPs": [{"ip": "10.1.2.3"}], "hostIP": "192.168.0.7", "hostIPs": [{"ip": "192.168.0.7"}],
                "containerStatuses": [{"name": "holmes", "image": "docker.io/holmes:0.45.0"}],
            }
        }))
        .unwrap();
        assert_eq!(pod.status.pod_ips[0].ip, "10.1.2.3");
        assert_eq!(pod.status.host_ip.as_deref(), Some("192.168.0.7"));
        assert_eq!((pod.status.host_ips.len(), pod.status.container_statuses.len()), (1, 1));
        assert!(!format!("{pod:?}").contains("secret"));
        assert_eq!(pod.metadata.labels.unwrap()["app"], "holmes");
    }

    #[test]
    fn a_pod_that_is_evidence_does_not_show_its_variables() {
        let pod: EvidencePod = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "p"},
            "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "TOKEN", "value": "secret"}]}]},
        }))
        .unwrap();
        assert_eq!(pod.spec.containers[0].env[0].value.as_deref(), Some("secret"));
        assert!(!format!("{pod:?}").contains("secret"));
    }

    #[test]
    fn a_pod_that_has_no_address_yet_is_read() {
        let pod: BackendPod =
            serde_json::from_str(r#"{"metadata": {"name": "p"}, "spec": {"containers": []}}"#).unwrap();
        assert!(pod.status.pod_ips.is_empty() && !pod.spec.host_network);
    }
}

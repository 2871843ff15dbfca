//! Pods without a kubelet. The test sets whether they are ready, and the real EndpointSlice controller does the rest.

use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, Result};
use k8s_openapi::{
    api::core::v1::{Node, Pod, Service},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, from_value, json};

/// The node of all Pods, because the EndpointSlice controller ignores Pods whose node does not exist.
pub(super) const NODE: &str = "e2e";
/// Its address.
const NODE_ADDRESS: &str = "172.18.0.2";

/// Pod addresses are never used twice, because two Services must not seem to share a Pod.
static NEXT_ADDRESS: AtomicU16 = AtomicU16::new(1);

/// A Pod behind a Service.
#[derive(Clone, Debug)]
pub struct Backend {
    pods: Api<Pod>,
    name: String,
    address: String,
}

impl Backend {
    /// Creates a Pod that the Service selects, and makes it ready.
    pub async fn create(client: &Client, service: &Service) -> Result<Self> {
        let container = json!({"name": "app", "image": "app.example/app:1", "ports": named_ports(service)});
        let backend = Self::not_ready(client, service, container).await?;
        backend.set_ready(true).await?;
        Ok(backend)
    }

    /// Creates a Pod with this container that the Service selects. It has an address and is not ready yet.
    pub async fn not_ready(client: &Client, service: &Service, container: Value) -> Result<Self> {
        let namespace = service.namespace().context("the Service has no namespace")?;
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        let labels = selector.with_context(|| format!("the Service {} has no selector", service.name_any()))?;
        let number = NEXT_ADDRESS.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", service.name_any());
        let pod = json!({
            "metadata": {"name": name, "labels": labels},
            "spec": {
                "nodeName": NODE,
                "containers": [container],
                "automountServiceAccountToken": false,
            },
        });
        Self::with_pod(client, &namespace, pod, address(number)).await
    }

    /// Creates a ready Pod on the network of its node, with the node's address.
    pub async fn on_host_network(client: &Client, service: &Service) -> Result<Self> {
        let namespace = service.namespace().context("the Service has no namespace")?;
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        let pod = json!({
            "metadata": {"name": format!("{}-host", service.name_any()), "labels": selector},
            "spec": {
                "nodeName": NODE, "hostNetwork": true, "automountServiceAccountToken": false,
                "containers": [{"name": "app", "image": "app.example/app:1"}],
            },
        });
        let backend = Self::with_pod(client, &namespace, pod, NODE_ADDRESS.to_owned()).await?;
        backend.set_ready(true).await?;
        Ok(backend)
    }

    async fn with_pod(client: &Client, namespace: &str, pod: Value, address: String) -> Result<Self> {
        create_node(client).await?;
        let pods = Api::namespaced(client.clone(), namespace);
        let pod = pods.create(&PostParams::default(), &from_value(pod)?).await?;
        let backend = Self { pods, name: pod.name_any(), address };
        backend.patch_status(with_address(&backend.address)).await?;
        Ok(backend)
    }

    /// The Pod's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The Pod's address, which nothing answers.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Says, as the kubelet would, whether the Pod passes its readiness probe.
    pub async fn set_ready(&self, ready: bool) -> Result<()> {
        let status = if ready { "True" } else { "False" };
        self.patch_status(json!({"conditions": [{"type": "Ready", "status": status}]})).await
    }

    /// Deletes the Pod while its containers still run: its endpoint is terminating until [`delete`](Self::delete),
    /// since no kubelet reports their end.
    pub async fn terminate(&self) -> Result<()> {
        self.pods.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Deletes the Pod; its endpoint is gone.
    pub async fn delete(&self) -> Result<()> {
        self.pods.delete(&self.name, &at_once()).await?;
        Ok(())
    }

    async fn patch_status(&self, status: Value) -> Result<()> {
        let patch = Patch::Merge(json!({"status": status}));
        self.pods.patch_status(&self.name, &PatchParams::default(), &patch).await?;
        Ok(())
    }
}

/// The status of a Pod with a new address.
pub(super) fn running() -> Value {
    with_address(&address(NEXT_ADDRESS.fetch_add(1, Ordering::Relaxed)))
}

fn with_address(address: &str) -> Value {
    json!({
        "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
        "hostIP": NODE_ADDRESS, "hostIPs": [{"ip": NODE_ADDRESS}],
    })
}

fn address(number: u16) -> String {
    let [high, low] = number.to_be_bytes();
    format!("10.244.{high}.{low}")
}

/// The container's ports that the Service names; without them the endpoint would have no port.
fn named_ports(service: &Service) -> Value {
    let ports = service.spec.iter().flat_map(|spec| spec.ports.iter().flatten());
    let named = ports.filter_map(|port| match &port.target_port {
        Some(IntOrString::String(name)) => {
            Some(json!({"name": name, "containerPort": port.port, "protocol": port.protocol}))
        }
        _ => None,
    });
    named.collect()
}

/// Deletion that waits for no kubelet.
pub(super) fn at_once() -> DeleteParams {
    DeleteParams::default().grace_period(0)
}

/// Applied rather than created: tests do it side by side.
pub(super) async fn create_node(client: &Client) -> Result<()> {
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.patch(NODE, &PatchParams::apply("e2e"), &Patch::Apply(node)).await?;
    Ok(())
}

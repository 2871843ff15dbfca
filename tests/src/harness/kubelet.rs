//! A kubelet without containers. It makes the Pods of Deployments ready, and ends those that are being deleted.

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, pin_mut};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Pod, Service},
};
use kube::{
    Api, Client, ResourceExt as _,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use serde_json::{Value, from_value, json};
use tokio::task::JoinHandle;

use super::{
    World,
    backend::{NODE, at_once, create_node, running},
};

/// Runs the Pods of one namespace until it is dropped.
pub struct Kubelet(JoinHandle<()>);

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl World {
    /// Starts a kubelet for the Pods of a namespace that are bound to its node.
    pub async fn kubelet(&self, namespace: &str) -> Result<Kubelet> {
        create_node(&self.client()).await?;
        Ok(Kubelet(tokio::spawn(run(self.client(), namespace.to_owned()))))
    }

    /// Creates a Deployment with this container, whose Pods the Service selects.
    pub async fn deploy(&self, service: &Service, name: &str, container: Value) -> Result<Deployment> {
        let namespace = service.namespace().context("the Service has no namespace")?;
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone()).context("it has no selector")?;
        let mut labels = json!(selector);
        labels["deployment"] = json!(name);
        let deployment: Deployment = from_value(json!({
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "selector": {"matchLabels": {"deployment": name}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "nodeName": NODE, "automountServiceAccountToken": false, "containers": [container],
                    },
                },
            },
        }))?;
        self.create(&deployment).await
    }
}

async fn run(client: Client, namespace: String) {
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    let changed = watcher(pods.clone(), watcher::Config::default()).default_backoff().applied_objects();
    pin_mut!(changed);
    while let Some(pod) = changed.next().await {
        let Ok(pod) = pod else { continue };
        // An error means that the Pod has changed again, and another event follows.
        let _changed_again = play(&pods, &pod).await;
    }
}

async fn play(pods: &Api<Pod>, pod: &Pod) -> Result<()> {
    let is_bound = pod.spec.as_ref().is_some_and(|spec| spec.node_name.as_deref() == Some(NODE));
    if !is_bound {
        return Ok(());
    }
    if pod.metadata.deletion_timestamp.is_some() {
        pods.delete(&pod.name_any(), &at_once()).await?;
    } else if pod.status.as_ref().is_none_or(|status| status.pod_ip.is_none()) {
        let mut status = running();
        status["conditions"] = json!([{"type": "Ready", "status": "True"}]);
        let patch = kube::api::Patch::Merge(json!({"status": status}));
        pods.patch_status(&pod.name_any(), &kube::api::PatchParams::default(), &patch).await?;
    }
    Ok(())
}

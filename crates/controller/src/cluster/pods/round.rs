//! One round of requests: the EndpointSlices of a Service, and the Pods that stand for those behind it.

use std::{collections::BTreeMap, fmt};

use detectors::ServiceView;
use kube::Client;
use toolset::{
    convert,
    pods::{PodRef, ReadPod, Representative, representatives_of_known, selects},
};

use crate::{
    api::{
        Cause, NamespacedName,
        backends::{self, BackendEndpoint, BackendSlice},
    },
    metrics::{Metrics, PodRead},
};

/// The Pods that were read, by uid. `None` for one that says nothing about the Service.
pub(super) type Pods = BTreeMap<String, Option<ReadPod>>;

/// What a round asks for.
pub(super) struct Question {
    pub(super) view: ServiceView,
    /// The Pods that were read for this selector and these ports.
    pub(super) known: Pods,
    /// How many Pods may be known after it.
    pub(super) room: usize,
}

/// The answers of a round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// What stands for the Pods behind the Service now. Empty if it has none.
    pub(super) pods: Pods,
    /// How many Pods were read.
    pub(super) read: usize,
    /// Whether there was no room for all.
    pub(super) is_cut: bool,
}

/// Why a round failed. It contains no text of the API server, because an error can repeat a part of a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The operator may not get Pods.
    Refused,
    /// A Pod was replaced after the EndpointSlices were read.
    Replaced,
    /// The EndpointSlices name a Pod that does not exist.
    Gone,
    /// Anything else.
    Failed(Cause),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str(Cause::Forbidden.as_str()),
            Self::Replaced => f.write_str("Replaced"),
            Self::Gone => f.write_str("Gone"),
            Self::Failed(cause) => f.write_str(cause.as_str()),
        }
    }
}

/// Asks for the Pods of one Service, one after the other, and stops at the first failure.
pub(super) async fn ask(client: &Client, question: Question, metrics: &Metrics) -> Result<Answer, Failure> {
    let Question { view, mut known, room } = question;
    let name = NamespacedName::new(&*view.key.namespace, &*view.key.name);
    let slices = backends::slices(client, &name).await.map_err(|error| Failure::Failed(error.cause()))?;
    let refs = pod_refs(&view, &slices);
    drop(slices);
    let chosen = representatives_of_known(&refs, |uid| known.contains_key(uid));
    let mut answer = Answer { is_cut: chosen.len() > room, ..Answer::default() };
    for one in chosen.into_iter().take(room) {
        let pod = if let Some(known) = known.remove(&one.uid) {
            known.map(|known| ReadPod { stem: one.stem, serving: one.serving, ..known })
        } else {
            answer.read += 1;
            read(client, &view, &one, metrics).await?
        };
        answer.pods.insert(one.uid, pod);
    }
    Ok(answer)
}

/// Reads one Pod. Its spec is dropped here, and only facts are left.
async fn read(
    client: &Client,
    view: &ServiceView,
    chosen: &Representative,
    metrics: &Metrics,
) -> Result<Option<ReadPod>, Failure> {
    let read = backends::evidence_pod(client, &NamespacedName::new(&*view.key.namespace, &*chosen.name)).await;
    metrics.pod_read(match &read {
        Ok(Some(_)) => PodRead::Read,
        Ok(None) => PodRead::Gone,
        Err(error) if error.cause() == Cause::Forbidden => PodRead::Forbidden,
        Err(_) => PodRead::Failed,
    });
    match read {
        Ok(Some(pod)) if pod.metadata.uid.as_deref() == Some(&*chosen.uid) => {
            // Whoever writes slices chooses the Pods in them.
            let is_selected = selects(view, pod.metadata.labels.as_ref());
            Ok(is_selected.then(|| ReadPod::of(view, chosen, &pod.metadata, &pod.spec)))
        }
        Ok(Some(_)) => Err(Failure::Replaced),
        Ok(None) => Err(Failure::Gone),
        Err(error) => match error.cause() {
            Cause::Forbidden => Err(Failure::Refused),
            Cause::Decode => Ok(None),
            cause => Err(Failure::Failed(cause)),
        },
    }
}

/// The Pods of the Service's namespace in the slices that the EndpointSlice controller made for it.
fn pod_refs(view: &ServiceView, slices: &[BackendSlice]) -> Vec<PodRef> {
    let of_service = |slice: &&BackendSlice| {
        convert::is_managed(&slice.metadata) && convert::owning_service(&slice.metadata) == view.uid
    };
    let endpoints = slices.iter().filter(of_service).flat_map(|slice| slice.endpoints.iter().flatten());
    let pod = |endpoint: &BackendEndpoint| {
        let target = endpoint.target_ref.as_ref()?;
        let is_own = target.kind == "Pod" && *target.namespace == *view.key.namespace && !target.uid.is_empty();
        is_own.then(|| PodRef { name: target.name.clone(), uid: target.uid.clone(), serving: endpoint.is_serving() })
    };
    endpoints.filter_map(pod).collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::{Value, json};

    use super::*;

    fn view() -> ServiceView {
        let service: Service = serde_json::from_value(json!({
            "metadata": {"namespace": "n", "name": "s", "uid": "of s"},
            "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]},
        }))
        .unwrap();
        convert::service(&service.metadata, service.spec.as_ref())
    }

    /// The names of the Pods behind a slice with these fields instead of its own.
    fn found(change: &[(&str, Value)]) -> Vec<String> {
        let mut slice = json!({
            "metadata": {
                "name": "s-x", "namespace": "n",
                "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "s", "uid": "of s", "controller": true}],
            },
            "addressType": "IPv4",
            "endpoints": [{
                "addresses": ["10.0.0.1"], "conditions": {"ready": true},
                "targetRef": {"kind": "Pod", "namespace": "n", "name": "p", "uid": "u"},
            }],
        });
        for (pointer, value) in change {
            *slice.pointer_mut(pointer).unwrap() = value.clone();
        }
        let slice: BackendSlice = serde_json::from_value(slice).unwrap();
        pod_refs(&view(), &[slice]).into_iter().map(|pod| pod.name).collect()
    }

    #[test]
    fn only_pods_of_the_namespace_in_slices_of_the_service_are_found() {
        assert_eq!(found(&[]), ["p"]);
        for (pointer, value) in [
            ("/endpoints/0/targetRef/namespace", json!("other")),
            ("/endpoints/0/targetRef/kind", json!("Node")),
            ("/endpoints/0/targetRef/uid", json!("")),
            ("/endpoints/0/targetRef", json!(null)),
            ("/metadata/labels/endpointslice.kubernetes.io~1managed-by", json!("somebody")),
            ("/metadata/ownerReferences/0/uid", json!("of another")),
            ("/metadata/ownerReferences", json!([])),
            ("/endpoints", json!(null)),
        ] {
            assert_eq!(found(&[(pointer, value)]), Vec::<String>::new(), "{pointer}");
        }
    }

    #[test]
    fn a_pod_serves_as_the_slice_says() {
        let serving = |conditions: Value| {
            let slice = json!({
                "metadata": {
                    "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
                    "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "s", "uid": "of s"}],
                },
                "endpoints": [{
                    "addresses": ["10.0.0.1"], "conditions": conditions,
                    "targetRef": {"kind": "Pod", "namespace": "n", "name": "p", "uid": "u"},
                }],
            });
            pod_refs(&view(), &[serde_json::from_value(slice).unwrap()])[0].serving
        };
        assert!(serving(json!({})) && serving(json!({"serving": true, "ready": true})));
        assert!(!serving(json!({"ready": false})) && !serving(json!({"serving": true, "terminating": true})));
    }
}

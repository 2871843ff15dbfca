use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use axum::http::{Request, Response};
use k8s_openapi::api::core::v1::Service;
use kube::client::Body;
use serde_json::{Value, from_value, json};
use toolset::convert;
use tower::service_fn;

use super::*;
use crate::dial::address::parse;

/// An API server with these slices and Pods. Instead of a Pod, it can return a status code.
#[derive(Default)]
struct World {
    slices: Vec<Value>,
    pods: BTreeMap<&'static str, Value>,
    service: Value,
    requests: Arc<Mutex<Vec<String>>>,
}

impl World {
    /// A Service whose slice has Pods with these names.
    fn with(pods: &[&'static str]) -> Self {
        let mut world = Self { slices: vec![slice(pods)], ..Self::default() };
        world.pods = pods.iter().enumerate().map(|(number, name)| (*name, pod(name, number))).collect();
        world
    }

    fn set(mut self, name: &'static str, pointer: &str, value: Value) -> Self {
        *self.pods.get_mut(name).unwrap().pointer_mut(pointer).unwrap() = value;
        self
    }

    fn client(&self) -> Client {
        let list = json!({"metadata": {"resourceVersion": "1"}, "items": self.slices});
        let pods: BTreeMap<String, Value> =
            self.pods.iter().map(|(name, pod)| ((*name).to_owned(), pod.clone())).collect();
        let requests = Arc::clone(&self.requests);
        let service = service_fn(move |request: Request<Body>| {
            let path = request.uri().path().to_owned();
            let answer = match path.strip_prefix("/api/v1/namespaces/n/pods/") {
                Some(name) => pods.get(name).cloned().unwrap_or(json!(404)),
                None => list.clone(),
            };
            requests.lock().unwrap().push(path);
            async move {
                let (code, body) = match answer.as_u64() {
                    Some(code) => (code, json!({"kind": "Status", "code": code, "message": "x", "reason": "x"})),
                    None => (200, answer),
                };
                let response = Response::builder().status(u16::try_from(code).unwrap());
                Ok::<_, Infallible>(response.body(Body::from(body.to_string().into_bytes())).unwrap())
            }
        });
        Client::new(service, "default")
    }

    async fn resolved(&self, most: usize) -> Result<Vec<Backend>, Unresolved> {
        let mut spec = json!({"selector": {"app": "a"}, "ports": [{"port": 80, "targetPort": 8080}]});
        spec.as_object_mut().unwrap().extend(self.service.as_object().cloned().unwrap_or_default());
        let metadata = json!({"namespace": "n", "name": "s", "uid": "of s"});
        let service: Service = from_value(json!({"metadata": metadata, "spec": spec})).unwrap();
        let view = convert::service(&service.metadata, service.spec.as_ref());
        let reserved = Reserved { api_server: [parse("10.96.0.1").unwrap()].into(), ..Reserved::default() };
        resolve(&self.client(), &view, 80, &reserved, most).await
    }

    async fn uids(&self) -> Result<Vec<String>, Unresolved> {
        self.resolved(3).await.map(|found| found.into_iter().map(|one| one.uid).collect())
    }

    fn read(&self) -> usize {
        self.requests.lock().unwrap().iter().filter(|path| path.contains("/pods/")).count()
    }
}

fn slice(pods: &[&str]) -> Value {
    let endpoint = |(number, name): (usize, &&str)| {
        json!({
            "addresses": [format!("10.1.2.{}", number + 1)], "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "namespace": "n", "name": name, "uid": format!("of {name}")},
        })
    };
    json!({
        "metadata": {
            "name": "s-x",
            "labels": {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": "s", "uid": "of s", "controller": true}],
        },
        "addressType": "IPv4",
        "endpoints": pods.iter().enumerate().map(endpoint).collect::<Vec<_>>(),
        "ports": [{"port": 8080, "protocol": "TCP"}],
    })
}

fn pod(name: &str, number: usize) -> Value {
    json!({
        "metadata": {"name": name, "uid": format!("of {name}"), "labels": {"app": "a", "pod-template-hash": "5d4f"}},
        "spec": {"hostNetwork": false, "containers": []},
        "status": {"phase": "Running", "podIPs": [{"ip": format!("10.1.2.{}", number + 1)}], "hostIP": "192.168.0.7"},
    })
}

#[tokio::test]
async fn the_serving_pods_are_found_in_order_and_no_more_are_read_than_allowed() {
    let world = World::with(&["b", "a", "d", "c"]);
    let found = world.resolved(3).await.unwrap();
    let uids: Vec<&str> = found.iter().map(|one| one.uid.as_str()).collect();
    assert_eq!((uids, world.read()), (vec!["of a", "of b", "of c"], 3));
    assert_eq!(found[0].addresses, ["10.1.2.2:8080".parse().unwrap()]);
    assert_eq!(found[0].template, "5d4f");
}

#[tokio::test]
async fn the_template_is_a_hash_in_the_labels_or_the_uid_of_the_pod() {
    for (labels, expected) in [
        (json!({"app": "a", "controller-revision-hash": "s-1"}), "s-1"),
        (json!({"app": "a", "controller-revision-hash": "s-1", "pod-template-hash": "5d4f"}), "5d4f"),
        (json!({"app": "a"}), "of a"),
    ] {
        let found = World::with(&["a"]).set("a", "/metadata/labels", labels).resolved(3).await.unwrap();
        assert_eq!(found[0].template, expected);
    }
}

#[tokio::test]
async fn pods_that_must_not_be_called_are_left_out_if_another_pod_may_be_called() {
    let world = World::with(&["a", "b"]).set("a", "/spec/hostNetwork", json!(true));
    assert_eq!(world.uids().await.unwrap(), ["of b"]);
    let world = world.set("b", "/metadata/labels", json!({}));
    assert_eq!(world.uids().await, Err(Unresolved::NotAllowed(NotAllowed::Pod(PodRefused::HostNetwork))));
    let message = NotAllowed::Pod(PodRefused::HostNetwork).to_string();
    assert_eq!(message, "its Pod uses the host network, so its address is the address of its node");
}

#[tokio::test]
async fn without_the_permission_to_get_pods_no_pod_is_called() {
    let mut world = World::with(&["a", "b"]);
    world.pods.insert("a", json!(403));
    assert_eq!(world.uids().await, Err(Unresolved::NotAllowed(NotAllowed::Forbidden)));
    assert_eq!(world.read(), 1);
}

#[tokio::test]
async fn a_failure_of_the_api_server_is_not_a_prohibition() {
    for (code, expected) in [(500, Cause::Unavailable), (429, Cause::Throttled)] {
        let mut world = World::with(&["a", "b"]);
        world.pods.insert("b", json!(code));
        assert_eq!(world.uids().await, Err(Unresolved::Failed(expected)));
    }
}

#[tokio::test]
async fn pods_that_were_replaced_meanwhile_are_left_out() {
    let world = World::with(&["a", "b"]).set("a", "/metadata/uid", json!("of a later a"));
    assert_eq!(world.uids().await.unwrap(), ["of b"]);
    let mut world = world;
    world.pods.remove("b");
    assert_eq!(world.uids().await, Err(Unresolved::Failed(Cause::NotFound)), "all of them");
}

#[tokio::test]
async fn without_a_selector_or_a_tcp_port_the_endpointslices_are_not_read() {
    for (service, expected) in [
        (json!({"type": "ExternalName", "externalName": "evil.example"}), NotAllowed::ExternalName),
        (json!({"selector": {}}), NotAllowed::NoSelector),
        (json!({"ports": [{"port": 81}]}), NotAllowed::NoPort),
        (json!({"ports": [{"port": 80, "protocol": "UDP"}]}), NotAllowed::NoPort),
    ] {
        let world = World { service, ..World::with(&["a"]) };
        assert_eq!(world.uids().await, Err(Unresolved::NotAllowed(expected)));
        assert!(world.requests.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn pods_in_slices_that_the_controller_did_not_create_are_not_read() {
    let mut strange = slice(&["a"]);
    strange["metadata"]["ownerReferences"] = json!([]);
    let mut world = World::with(&["a"]);
    world.slices = vec![strange];
    assert_eq!(world.uids().await, Err(Unresolved::NotAllowed(NotAllowed::Slice(Ignored::NotManaged))));
    assert_eq!(world.read(), 0);
}

#[tokio::test]
async fn without_a_serving_endpoint_the_result_is_empty() {
    let mut world = World::with(&["a"]);
    world.slices[0]["endpoints"][0]["conditions"] = json!({"ready": false});
    assert_eq!(world.uids().await, Ok(Vec::new()));
    world.slices.clear();
    assert_eq!(world.uids().await, Ok(Vec::new()));
    assert_eq!(world.read(), 0);
}

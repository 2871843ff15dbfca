//! A cluster that is played: objects, and a user who may not read all of them.

use serde_json::{Value, json};

use super::{
    Run,
    server::{Answer, Request, Server, forbidden, not_found, ok},
};

/// The paths of the kinds that the program reads.
const PATHS: [(&str, &str, &str); 10] = [
    ("Service", "/api/v1", "services"),
    ("Namespace", "/api/v1", "namespaces"),
    ("ConfigMap", "/api/v1", "configmaps"),
    ("Pod", "/api/v1", "pods"),
    ("EndpointSlice", "/apis/discovery.k8s.io/v1", "endpointslices"),
    ("Deployment", "/apis/apps/v1", "deployments"),
    ("StatefulSet", "/apis/apps/v1", "statefulsets"),
    ("Lease", "/apis/coordination.k8s.io/v1", "leases"),
    ("ToolsetConfig", "/apis/toolset.kubernaut.io/v1alpha1", "toolsetconfigs"),
    ("CustomResourceDefinition", "/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
];

/// Objects, and what the user may not read.
pub(crate) struct Cluster {
    objects: Vec<Value>,
    /// Whether the user may read a path, without its query.
    allowed: fn(&str) -> bool,
}

impl Cluster {
    /// A cluster whose user may read everything.
    pub(crate) fn new(objects: impl IntoIterator<Item = Value>) -> Self {
        Self { objects: objects.into_iter().collect(), allowed: |_| true }
    }

    pub(crate) fn allowing(mut self, allowed: fn(&str) -> bool) -> Self {
        self.allowed = allowed;
        self
    }

    pub(crate) fn start(self) -> Server {
        Server::start(move |request| self.answer(request))
    }

    /// Runs the program with this cluster.
    pub(crate) fn run(self, args: &[&str]) -> Run {
        self.start().run(args)
    }

    /// The answer to one request.
    pub(crate) fn answer(&self, request: &Request) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if request.method == "POST" && path.ends_with("/selfsubjectaccessreviews") {
            return self.review(&serde_json::from_str(&request.body).expect("JSON"));
        }
        if path == "/version" {
            let version = json!({"major": "1", "minor": "36", "gitVersion": "v1.36.3", "gitCommit": "", "gitTreeState": "",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": ""});
            return ok(&version);
        }
        if !(self.allowed)(path) {
            return forbidden(&format!("{path} is forbidden"));
        }
        let known = PATHS.iter().find_map(|(kind, prefix, plural)| {
            let rest = path.strip_prefix(prefix)?.strip_prefix('/')?;
            let (namespace, rest) = match rest.strip_prefix("namespaces/").and_then(|rest| rest.split_once('/')) {
                Some((namespace, rest)) if *kind != "Namespace" => (Some(namespace), rest),
                _ => (None, rest),
            };
            let rest = rest.strip_prefix(plural)?;
            match rest.strip_prefix('/') {
                Some(name) => (!name.contains('/')).then_some((*kind, namespace, Some(name))),
                None => rest.is_empty().then_some((*kind, namespace, None)),
            }
        });
        let Some((kind, namespace, name)) = known else { return not_found() };
        let labels = query.split('&').find_map(|part| part.strip_prefix("labelSelector=")).unwrap_or_default();
        let labels = labels.replace("%2F", "/").replace("%3D", "=");
        let found = self.objects.iter().filter(|object| {
            let metadata = &object["metadata"];
            let is_labelled = labels.split_once('=').is_none_or(|(key, value)| metadata["labels"][key] == value);
            object["kind"] == kind
                && namespace.is_none_or(|namespace| metadata["namespace"] == namespace)
                && is_labelled
        });
        match name {
            None => {
                let items: Vec<&Value> = found.collect();
                ok(&json!({"apiVersion": "v1", "kind": format!("{kind}List"), "metadata": {}, "items": items}))
            }
            Some(name) => {
                found.into_iter().find(|object| object["metadata"]["name"] == name).map_or_else(not_found, ok)
            }
        }
    }

    /// Says whether the user may do something. Lists in all namespaces have the path without a namespace.
    fn review(&self, review: &Value) -> Answer {
        let of = &review["spec"]["resourceAttributes"];
        let text = |key: &str| of[key].as_str().unwrap_or_default();
        let prefix =
            PATHS.iter().find(|(_, _, plural)| *plural == text("resource")).map_or("", |(_, prefix, _)| prefix);
        let namespace = match text("namespace") {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        let allowed = (self.allowed)(&format!("{prefix}{namespace}/{}", text("resource")));
        ok(&json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": review["spec"],
            "status": {"allowed": allowed}}))
    }
}

/// A Service with Pods, as a chart makes it.
pub(crate) fn service(namespace: &str, name: &str, app: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{namespace}/{name}"), "labels": {"app.kubernetes.io/name": app}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "selector": {"app.kubernetes.io/name": app}, "ports": [{"name": "http", "port": port}]},
    })
}

/// A ready EndpointSlice of the control plane for this Service.
pub(crate) fn slice(namespace: &str, service: &str) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{service}-1"), "namespace": namespace,
            "labels": {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"},
            "ownerReferences": [{"apiVersion": "v1", "kind": "Service", "name": service, "uid": format!("{namespace}/{service}")}],
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": true}}],
    })
}

/// A ToolsetConfig that trusts one namespace.
pub(crate) fn config(namespace: &str, name: &str, trusted: &str) -> Value {
    json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
        "metadata": {"name": name, "namespace": namespace, "uid": format!("{namespace}/{name}"), "generation": 1},
        "spec": {
            "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": [trusted]}}],
            "output": {"configMapName": format!("{name}-output")},
        },
    })
}

//! What `status`, `check` and `version` say about an operator in the cluster.

#![allow(clippy::expect_used, reason = "a failed `expect` in a helper function fails the test")]

mod support;

use serde_json::{Value, json};
use support::{
    cluster::{Cluster, config, service, slice},
    program, run,
    server::Server,
};

fn crd() -> Value {
    serde_saphyr::from_str(&run(&["crds"]).stdout).expect("a CRD")
}

fn operator(args: &[&str], available: i32) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "toolset-operator", "namespace": "toolset-system", "labels": {"app.kubernetes.io/part-of": "toolset-operator"}},
        "spec": {"replicas": 1, "selector": {}, "template": {"spec": {"containers": [
            {"name": "controller", "image": format!("registry.example/toolset-operator:{}", env!("CARGO_PKG_VERSION")), "args": args},
        ]}}},
        "status": {"availableReplicas": available},
    })
}

fn lease(holder: &str, renewed: &str) -> Value {
    json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "toolset-operator", "namespace": "toolset-system"},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": renewed},
    })
}

/// An agent that mounts the ConfigMap.
fn agent(mount: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "holmes", "namespace": "holmes"},
        "spec": {"replicas": 1, "selector": {}, "template": {"spec": {
            "volumes": [{"name": "toolsets", "configMap": {"name": "default-output"}}],
            "containers": [{"name": "holmes", "image": "holmes", "volumeMounts": [mount]}],
        }}},
        "status": {"readyReplicas": 1},
    })
}

fn whole() -> Value {
    json!({"name": "toolsets", "mountPath": "/etc/holmes/config"})
}

fn output() -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "default-output", "namespace": "holmes"}, "data": {}})
}

fn ready(mut config: Value) -> Value {
    config["status"] = json!({
        "observedGeneration": 1,
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "AsExpected", "message": "ConfigMap default-output is up to date with 1 tool.", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "AgentLoaded", "status": "False", "reason": "AgentBehind", "message": "1 of 2 replicas is behind.", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ],
        "summary": {"candidates": 3, "tools": 1, "unhealthy": 0, "rejected": 2},
        "detectors": [{"type": "Grafana", "candidates": 1, "tools": 1}],
        "tools": [],
        "rejected": [
            {"namespace": "monitoring", "service": "a", "type": "Loki", "reason": "NotAnEndpoint", "message": "m"},
            {"namespace": "monitoring", "service": "b", "type": "Loki", "reason": "NotAnEndpoint", "message": "m"},
        ],
        "truncated": false,
        "output": {"configMap": "default-output", "hash": "sha256:aa", "bytes": 512, "entries": 1},
        "agent": {"version": "0.45.0", "revision": "", "replicas": 2, "current": 1, "loaded": "1/2", "toolsets": []},
    });
    config
}

/// Everything as it should be.
fn healthy() -> Vec<Value> {
    vec![
        crd(),
        operator(&["--config-namespaces=holmes", "--watch-namespaces", "monitoring,shop"], 1),
        lease("toolset-operator-1", "2099-01-01T00:00:00.000000Z"),
        service("monitoring", "grafana", "grafana", 3000),
        slice("monitoring", "grafana"),
        ready(config("holmes", "default", "monitoring")),
        output(),
        agent(&whole()),
    ]
}

/// The same with another object of a kind and a name.
fn with(changed: Value) -> Vec<Value> {
    let is_same =
        |one: &Value| one["kind"] == changed["kind"] && one["metadata"]["name"] == changed["metadata"]["name"];
    let mut all: Vec<Value> = healthy().into_iter().filter(|one| !is_same(one)).collect();
    all.push(changed);
    all
}

#[test]
fn check_of_a_healthy_installation_finds_nothing_broken() {
    let run = Cluster::new(healthy()).run(&["check"]);
    run.says(&[
        "✓ You are allowed to list services, list endpointslices",
        "✓ The CRD is installed (v1alpha1) and has the same schema as this plugin.",
        "✓ Deployment toolset-system/toolset-operator runs version",
        "✓ toolset-operator-1 holds Lease toolset-system/toolset-operator.",
        "✓ The operator handles ToolsetConfigs in holmes.",
        "ToolsetConfig holmes/default",
        "✓ Ready: ConfigMap default-output is up to date with 1 tool.",
        "✓ ConfigMap holmes/default-output exists.",
        "✓ Deployment holmes uses ConfigMap default-output; 1 of 1 replicas are ready.",
        "! AgentLoaded is False (AgentBehind)",
        "No problem was found (1 warning).",
    ]);
}

#[test]
fn check_says_what_is_broken_and_what_to_do_and_exits_with_1() {
    let without_status = config("elsewhere", "default", "monitoring");
    let sub_path = json!({"name": "toolsets", "mountPath": "/x", "subPath": "custom_toolset.yaml"});
    let mut all = healthy();
    all.retain(|one| one["metadata"]["name"] != "default-output");
    let without_crd = healthy().into_iter().filter(|one| one["kind"] != "CustomResourceDefinition").collect();
    let cases: [(Vec<Value>, &[&str]); 9] = [
        (without_crd, &["✗ The CRD of ToolsetConfigs is not installed.", "kubectl toolset crds | kubectl apply"]),
        (
            with(operator(&["--config-namespaces=holmes"], 0)),
            &["✗", "0 of 1 replicas are available", "kubectl describe"],
        ),
        (
            with(lease("one", "2020-01-01T00:00:00.000000Z")),
            &["✗ Lease toolset-system/toolset-operator was last renewed"],
        ),
        (with(lease("", "2099-01-01T00:00:00.000000Z")), &["No replica holds Lease"]),
        (
            [healthy(), vec![without_status]].concat(),
            &["✗ No operator handles ToolsetConfigs in namespace elsewhere, only in holmes.", "configNamespaces"],
        ),
        (with(config("holmes", "default", "monitoring")), &["✗ It has no status, so no operator has processed it."]),
        (with(ready(config("holmes", "default", "search"))), &["does not watch: search", "watchNamespaces"]),
        (all, &["✗ ConfigMap holmes/default-output does not exist."]),
        (with(agent(&sub_path)), &["with subPath, so changes never reach its Pods"]),
    ];
    for (objects, texts) in cases {
        let run = Cluster::new(objects).run(&["check"]);
        assert_eq!(run.code, 1, "{}{}", run.stdout, run.stderr);
        for text in texts {
            assert!(run.stdout.contains(text), "{text:?} is not in\n{}", run.stdout);
        }
    }
}

#[test]
fn check_works_with_rights_in_one_namespace_and_prints_data() {
    let only_holmes = |path: &str| path.contains("/namespaces/holmes/") && !path.contains("apiextensions");
    let run = Cluster::new(healthy()).allowing(only_holmes).run(&["check", "-n", "holmes"]);
    run.says(&[
        "You are allowed to list services",
        "(in namespace holmes)",
        "! The CRD cannot be read",
        "ToolsetConfig holmes/default",
    ]);
    let json = Cluster::new(healthy()).run(&["check", "-o", "json"]).json();
    assert_eq!(json["items"][1]["findings"][0]["result"], "Ok", "{json}");
    let none = Cluster::new([crd()]).run(&["check"]);
    assert_eq!(none.code, 1);
    for text in ["Install the Helm chart", "! There is no ToolsetConfig"] {
        assert!(none.stdout.contains(text), "{text:?} is not in\n{}", none.stdout);
    }
}

#[test]
fn status_shows_every_toolset_config_and_the_problems() {
    let both = || Cluster::new([healthy(), vec![config("search-agent", "default", "search")]].concat());
    let run = both().run(&["status", "-A"]);
    run.says(&[
        "holmes/default is ready (AsExpected)",
        "tools     1: Grafana 1",
        "rejected  2: NotAnEndpoint 2",
        "output    ConfigMap holmes/default-output, 512 bytes",
        "agent     1 of 2 replicas have loaded the output (version 0.45.0)",
        "condition AgentLoaded is False (AgentBehind): 1 of 2 replicas is behind.",
        "search-agent/default has no status",
        "kubectl toolset check",
    ]);
    let one = both().run(&["status", "default", "-n", "holmes", "-o", "json"]).json();
    assert_eq!((&one["ready"], &one["rejectedByReason"]["NotAnEndpoint"]), (&"True".into(), &2.into()));
    let all = both().run(&["status", "-A", "-o", "json"]).json();
    assert_eq!(all["items"].as_array().map(Vec::len), Some(2));
    let empty = both().run(&["status"]);
    assert_eq!((empty.code, empty.stdout.as_str()), (0, ""));
    assert!(empty.stderr.contains("there is no ToolsetConfig in namespace default; use -A"), "{}", empty.stderr);
    both().run(&["status", "nothing", "-n", "holmes"]).refused(&["ToolsetConfig nothing was not found"]);
}

#[test]
fn version_says_the_skew_in_words() {
    let same = Cluster::new(healthy()).run(&["version"]);
    same.says(&["client", "operator", "CRD         v1alpha1, same schema"]);
    assert!(!same.stdout.contains("disagree"), "{}", same.stdout);
    let mut old = operator(&[], 1);
    old["spec"]["template"]["spec"]["containers"][0]["image"] = "toolset-operator:0.0.1".into();
    let run = Cluster::new(with(old)).run(&["version"]);
    run.says(&["has version 0.0.1", "can disagree with the operator"]);
    let mut other = crd();
    other["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["more"] =
        json!({"type": "string"});
    let run = Cluster::new(with(other)).run(&["version", "-o", "json"]);
    let json = run.json();
    assert_eq!(json["crd"]["sameSchema"], false, "{json}");
    let nobody = Cluster::new(healthy()).allowing(|_| false).run(&["version"]);
    nobody.says(&["operator    unknown", "CRD         unknown"]);
    assert!(nobody.stderr.contains("the version of the operator is unknown"), "{}", nobody.stderr);
}

#[test]
fn version_of_the_client_needs_no_cluster() {
    let run = support::Run::of(program().args(["version", "--client"]));
    run.says(&[env!("CARGO_PKG_VERSION")]);
    assert_eq!(run.stderr, "");
    let broken = support::Run::of(program().args(["version"]));
    assert_eq!(broken.code, 1);
    assert!(broken.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", broken.stdout);
    assert!(broken.stderr.contains("no kubeconfig was found"), "{}", broken.stderr);
}

#[test]
fn status_of_all_namespaces_says_that_there_is_no_toolset_config() {
    let none = Cluster::new([]).run(&["status", "-A"]);
    none.says(&[]);
    assert_eq!((none.stdout.as_str(), none.stderr.trim_end()), ("", "note: there is no ToolsetConfig in the cluster"));

    let restricted =
        Cluster::new([]).allowing(|path| path.contains("/namespaces/")).run(&["status", "-A", "-n", "mon"]);
    restricted.says(&[]);
    assert!(restricted.stderr.contains("note: there is no ToolsetConfig in namespace mon\n"), "{}", restricted.stderr);
}

#[test]
fn check_goes_on_without_the_permissions_of_the_user() {
    let objects = Cluster::new([]);
    let server = Server::start(move |request| {
        if request.path.contains("/selfsubjectaccessreviews") {
            return ("501 Not Implemented", String::new());
        }
        objects.answer(request)
    });
    let run = server.run(&["check"]);
    for text in ["! Your permissions are unknown", "✗ No Deployment with the label"] {
        assert!(run.stdout.contains(text), "{text:?} is not in {}{}", run.stdout, run.stderr);
    }
    let nobody = Server::start(|_| ("401 Unauthorized", String::new()));
    nobody.run(&["check"]).refused(&["cannot read your permissions"]);
}

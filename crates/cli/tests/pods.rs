//! Pods and Pod templates in the input of `kubectl toolset render` and `explain`.

#![allow(clippy::unwrap_used, reason = "a failed `unwrap` in a helper function fails the test")]

mod support;

use serde_json::{Value, json};
use support::{Run, fixture, run, run_with_input};

/// A Service that only says that it is a Grafana.
fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": "grafana", "namespace": "monitoring"},
        "spec": {
            "clusterIP": "10.0.0.1", "selector": {"app": "grafana"}, "ports": [{"name": "http", "port": 80, "targetPort": 3000}],
        },
    })
}

/// The spec of a Grafana that is served below a path. The value of one more variable is a secret.
fn spec(path: &str) -> Value {
    json!({"containers": [{
        "name": "grafana", "image": "registry.internal.example/mirror/grafana/grafana:11.1.0",
        "ports": [{"name": "http", "containerPort": 3000}],
        "env": [
            {"name": "GF_SERVER_ROOT_URL", "value": format!("https://example.com{path}")},
            {"name": "GF_SERVER_SERVE_FROM_SUB_PATH", "value": "true"},
            {"name": "GF_SECURITY_ADMIN_PASSWORD", "value": "hunter2"},
        ],
    }]})
}

fn labels() -> Value {
    json!({"app": "grafana"})
}

fn controller(kind: &str, api_version: &str, name: &str, path: &str) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind,
        "metadata": {"name": name, "namespace": "monitoring"},
        "spec": {"selector": {"matchLabels": labels()}, "template": {"metadata": {"labels": labels()}, "spec": spec(path)}},
    })
}

fn deployment(path: &str) -> Value {
    controller("Deployment", "apps/v1", "grafana", path)
}

fn pod(name: &str, owner: Option<(&str, &str)>, path: &str) -> Value {
    let owners: Vec<Value> = owner
        .map(
            |(kind, name)| json!({"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": "r", "controller": true}),
        )
        .into_iter()
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "monitoring", "uid": format!("uid of {name}"), "ownerReferences": owners,
            "labels": {"app": "grafana", "pod-template-hash": "7d4b9c8f6d"},
        },
        "spec": spec(path),
    })
}

fn input(objects: &[Value]) -> String {
    objects.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn render(objects: &[Value]) -> Run {
    run_with_input(&["render", "-f", "-", "-o", "json"], &input(objects))
}

/// The path of the only tool.
fn path(run: &Run) -> String {
    let plan = run.json();
    let tools = plan["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 1, "{plan}");
    tools[0]["path"].as_str().unwrap().to_owned()
}

fn words(run: &Run) -> String {
    assert_eq!(run.code, 0, "{}", run.stderr);
    run.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_template_of_a_controller_shows_the_path_wherever_it_is_in_the_input() {
    for (kind, api_version) in [
        ("Deployment", "apps/v1"),
        ("Deployment", "extensions/v1beta1"),
        ("StatefulSet", "apps/v1"),
        ("DaemonSet", "apps/v1"),
        ("ReplicaSet", "apps/v1"),
        ("ReplicationController", "v1"),
        ("DeploymentConfig", "apps.openshift.io/v1"),
    ] {
        let template = controller(kind, api_version, "grafana", "/grafana");
        assert_eq!(path(&render(&[service(), template.clone()])), "/grafana", "{kind}");
        assert_eq!(path(&render(&[template, service()])), "/grafana", "{kind}");
    }
}

#[test]
fn the_pods_of_a_job_and_objects_of_other_groups_show_nothing() {
    for (kind, api_version) in [("Job", "batch/v1"), ("Deployment", "example.com/v1")] {
        assert_eq!(path(&render(&[service(), controller(kind, api_version, "grafana", "/grafana")])), "", "{kind}");
    }
}

#[test]
fn only_the_pods_that_the_service_selects_in_its_namespace_count() {
    let mut elsewhere = deployment("/grafana");
    elsewhere["metadata"]["namespace"] = json!("default");
    let mut other = deployment("/grafana");
    other["spec"]["template"]["metadata"]["labels"] = json!({"app": "other"});
    assert_eq!(path(&render(&[service(), elsewhere, other])), "");
}

#[test]
fn a_pod_wins_over_the_template_of_its_controller() {
    let of_deployment = pod("grafana-7d4b9c8f6d-x2x4z", Some(("ReplicaSet", "grafana-7d4b9c8f6d")), "/live");
    let run = render(&[deployment("/new"), of_deployment.clone(), service()]);
    assert_eq!(path(&run), "/live");
    let explained = run_with_input(
        &["explain", "monitoring/grafana", "-f", "-"],
        &input(&[deployment("/new"), of_deployment, service()]),
    );
    let text = words(&explained);
    assert!(text.contains("read Pod grafana-7d4b9c8f6d-x2x4z of ReplicaSet grafana (1 Pod serves)"), "{text}");
    assert!(!text.contains("Pod template"), "{text}");
}

#[test]
fn a_deployment_wins_over_its_replica_sets() {
    let mut old = controller("ReplicaSet", "apps/v1", "grafana-7d4b9c8f6d", "/old");
    old["spec"]["template"]["metadata"]["labels"]["pod-template-hash"] = json!("7d4b9c8f6d");
    assert_eq!(path(&render(&[old, deployment("/new"), service()])), "/new");
}

#[test]
fn a_pod_that_does_not_run_counts_only_if_nothing_else_is_there() {
    let mut ended = pod("grafana-old", None, "/old");
    ended["status"] = json!({"phase": "Failed"});
    assert_eq!(path(&render(&[service(), ended.clone(), deployment("/new")])), "/new");
    assert_eq!(path(&render(&[service(), ended])), "/old");
}

#[test]
fn controllers_that_differ_are_said_to_be_ambiguous_and_only_what_they_agree_on_counts() {
    let canary = controller("Deployment", "apps/v1", "grafana-canary", "/canary");
    let all = [service(), deployment("/grafana"), canary];
    assert_eq!(path(&render(&all)), "");
    let text = words(&run_with_input(&["explain", "monitoring/grafana", "-f", "-"], &input(&all)));
    for expected in ["AmbiguousPods", "Deployment grafana (Pod template", "Deployment grafana-canary (Pod template"] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn pods_do_not_count_in_a_tenant_source_or_if_they_are_disabled() {
    let config = |trust: &str, pods: &str| {
        json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": "default", "namespace": "holmes"},
            "spec": {"sources": [{"name": "a", "trust": trust, "namespaces": {"from": "All"}}], "evidence": {"pods": pods}},
        })
    };
    let mut opted_in = service();
    opted_in["metadata"]["annotations"] =
        json!({"kubernaut.io/toolset": "enabled", "kubernaut.io/toolset-type": "grafana"});
    for (trust, pods, expected, why) in [
        ("Trusted", "Enabled", "/grafana", "read Deployment grafana"),
        ("Trusted", "Disabled", "", "The Pods are not used, because spec.evidence.pods is Disabled"),
        ("Tenant", "Enabled", "", "The Pods are not used, because the source is Tenant"),
    ] {
        let all = [opted_in.clone(), deployment("/grafana"), config(trust, pods)];
        assert_eq!(path(&render(&all)), expected, "{trust} {pods}");
        let text = words(&run_with_input(&["explain", "monitoring/grafana", "-f", "-"], &input(&all)));
        assert!(text.contains(why), "{why:?} is not in\n{text}");
    }
}

#[test]
fn what_somebody_states_is_never_changed_by_a_pod() {
    let mut stated = service();
    stated["metadata"]["annotations"] = json!({"kubernaut.io/toolset-path": "/mine"});
    assert_eq!(path(&render(&[stated, deployment("/grafana")])), "/mine");
}

#[test]
fn an_explanation_shows_what_was_read_and_what_it_changed_but_no_secret() {
    let text = words(&run_with_input(
        &["explain", "monitoring/grafana", "-f", "-"],
        &input(&[service(), deployment("/grafana")]),
    ));
    for expected in [
        "read Deployment grafana (Pod template, 1 replica)",
        "path none → /grafana",
        "confidence",
        "image grafana",
        "GF_SERVER_SERVE_FROM_SUB_PATH",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    for secret in ["hunter2", "registry.internal.example", "https://example.com"] {
        assert!(!text.contains(secret), "{secret:?} is in\n{text}");
    }
}

#[test]
fn an_explanation_without_pods_says_what_a_pod_could_settle() {
    let text = words(&run_with_input(&["explain", "monitoring/grafana", "-f", "-"], &input(&[service()])));
    for expected in ["no Pod and no Pod template", "could show", "the path", "-f deployment.yaml"] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
}

#[test]
fn an_assumption_is_in_the_conclusion_and_in_json_with_what_settles_it() {
    let text = words(&run_with_input(&["explain", "monitoring/grafana", "-f", "-"], &input(&[service()])));
    assert!(text.contains("assumptions"), "{text}");
    let plan = render(&[service()]).json();
    let notes: Vec<&str> = plan["tools"][0]["notes"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(notes.iter().any(|note| note.contains("kubernaut.io/toolset-path")), "{notes:?}");
    assert_ne!(plan["tools"][0]["evidence"], "");
    let plan = render(&[service(), deployment("/grafana")]).json();
    let notes = plan["tools"][0]["notes"].to_string();
    assert!(!notes.contains("toolset-path"), "{notes}");
}

#[test]
fn a_broken_pod_is_named_with_its_field_but_not_with_a_value() {
    let mut broken = deployment("/grafana");
    broken["spec"]["template"]["spec"]["containers"][0]["env"][2]["value"] = json!(424_242);
    let run = render(&[service(), broken]);
    run.refused(&["Deployment monitoring/grafana: spec.template.spec.containers[0].env[2].value: the value must be"]);
    assert!(!run.stderr.contains("424242"), "{}", run.stderr);
    let mut nameless = pod("x", None, "/");
    nameless["metadata"]["name"] = json!(null);
    render(&[nameless]).refused(&["Pod has no metadata.name"]);
}

#[test]
fn empty_fields_of_templates_are_accepted_as_the_api_server_does() {
    let mut empty = deployment("/grafana");
    let container = &mut empty["spec"]["template"]["spec"]["containers"][0];
    container["args"] = json!(null);
    container["env"][2] = json!({"name": "EMPTY", "value": null});
    empty["spec"]["template"]["spec"]["initContainers"] = json!(null);
    empty["spec"]["replicas"] = json!(null);
    assert_eq!(path(&render(&[service(), empty])), "/grafana");
}

#[test]
fn an_input_with_only_deployments_says_that_it_has_no_services() {
    let run = render(&[deployment("/grafana")]);
    assert!(run.stderr.contains("the input contains no Services, only 1 Deployment"), "{}", run.stderr);
}

#[test]
fn a_misspelled_kind_is_suggested_for_pods_and_controllers_too() {
    for (kind, meant) in [("Deploymnet", "Deployment"), ("pod", "Pod"), ("Servcie", "Service")] {
        let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}});
        render(&[object]).refused(&[&format!("did you mean {meant}?")]);
    }
}

#[test]
fn a_pod_that_is_in_the_input_twice_is_reported() {
    let run = render(&[service(), deployment("/first"), deployment("/last")]);
    assert_eq!(path(&run), "/last");
    assert!(
        run.stderr.contains("Deployment monitoring/grafana is in the input twice; the last one is used"),
        "{}",
        run.stderr
    );
}

#[test]
fn pods_cannot_be_given_with_live() {
    run_with_input(&["render", "--live", "-f", "-"], &deployment("/grafana").to_string())
        .misused(&["remove Services, EndpointSlices, Namespaces, Pods and Pod templates"]);
}

#[test]
fn a_directory_is_read_file_by_file_and_its_subdirectories_on_demand() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("deep/.hidden")).unwrap();
    std::fs::write(at("a.yaml"), service().to_string()).unwrap();
    std::fs::write(at("deep/b.yml"), deployment("/grafana").to_string()).unwrap();
    std::fs::write(at("deep/.hidden/c.json"), "{").unwrap();
    std::fs::write(at("notes.txt"), "not YAML: [").unwrap();
    std::fs::write(at("values.yaml"), "replicas: 1\n").unwrap();
    let directory = folder.path().to_str().unwrap();
    let flat = run(&["render", "-f", directory, "-o", "json"]);
    assert_eq!(path(&flat), "");
    assert!(flat.stderr.contains("skipped") && flat.stderr.contains("values.yaml"), "{}", flat.stderr);
    assert_eq!(path(&run(&["render", "-f", directory, "-R", "-o", "json"])), "/grafana");
    assert_eq!(run(&["validate", "-f", directory]).code, 1, "it has no ToolsetConfig");
    // A file that the user names is not skipped.
    run(&["render", "-f", at("values.yaml").to_str().unwrap()]).refused(&["it has no kind"]);
}

#[test]
fn a_directory_without_manifests_and_the_template_of_a_chart_come_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().to_str().unwrap();
    run(&["render", "-f", directory]).refused(&[directory, ".yaml", "-R"]);
    std::fs::write(folder.path().join("a.yaml"), "kind: Service\nmetadata:\n  {{- toYaml .Values.metadata }}\n")
        .unwrap();
    run(&["render", "-f", directory]).refused(&["helm template"]);
}

#[test]
fn the_fixtures_need_no_pods() {
    let run = run(&["render", "-f", &fixture("stack.yaml"), "-o", "json"]);
    assert_eq!(run.json()["tools"].as_array().unwrap().len(), 3);
}

//! Which cluster and which namespace a command uses, and what its messages do not say.

mod support;

use serde_json::{Value, json};
use support::{
    Run, program,
    server::{Request, Server, not_found, ok},
};

const SECRETS: [&str; 3] = ["t0ken-of-mine", "passw0rd-of-mine", "dDBrZW4"];

/// A cluster that has one Service, `grafana` in `namespace`.
fn cluster_with_grafana_in(namespace: &'static str) -> Server {
    Server::start(move |request: &Request| match request.path.split('?').next().unwrap_or_default() {
        "/api/v1/services" => ok(&json!({"apiVersion": "v1", "kind": "ServiceList", "metadata": {}, "items": [
            {"metadata": {"name": "grafana", "namespace": namespace}, "spec": {"clusterIP": "10.0.0.1", "selector": {"app": "grafana"}, "ports": [{"port": 3000}]}},
        ]})),
        path if path.ends_with("/endpointslices") => {
            ok(&json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSliceList", "metadata": {}, "items": []}))
        }
        path if path.ends_with("/toolsetconfigs") => ok(
            &json!({"apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfigList", "metadata": {}, "items": []}),
        ),
        _ => not_found(),
    })
}

#[test]
fn the_flags_of_the_connection_work_before_and_after_the_command() {
    let server = cluster_with_grafana_in("monitoring");
    let kubeconfig = server.kubeconfig("other", &json!({}), None);
    let kubeconfig = kubeconfig.display().to_string();
    let flags = ["--kubeconfig", &kubeconfig, "--context", "c", "-n", "monitoring", "--request-timeout", "1m"];
    let after = [&["explain", "grafana"], &flags[..]].concat();
    let before = [&flags[..], &["explain", "grafana"]].concat();
    for args in [after, before] {
        let run = Run::of(program().args(&args));
        run.says(&["monitoring/grafana is"]);
        assert!(!run.stderr.contains("was not found"), "{}", run.stderr);
    }
}

#[test]
fn the_namespace_of_the_context_is_the_default_and_the_flag_wins() {
    let server = cluster_with_grafana_in("team");
    let kubeconfig = server.kubeconfig("other", &json!({}), Some("team")).display().to_string();
    let run = Run::of(program().args(["explain", "grafana", "--kubeconfig", &kubeconfig]));
    run.says(&["team/grafana is"]);
    assert!(!run.stderr.contains("was not found"), "{}", run.stderr);
    Run::of(program().args(["explain", "grafana", "-n", "shop", "--kubeconfig", &kubeconfig]))
        .refused(&["Service grafana was not found in namespace shop", "exists in team"]);
}

#[test]
fn several_kubeconfigs_are_merged_and_a_missing_one_is_ignored() {
    let server = cluster_with_grafana_in("monitoring");
    let first = server.write(
        "first",
        "{apiVersion: v1, kind: Config, current-context: mine, contexts: [{name: mine, context: {cluster: c, user: u, namespace: monitoring}}]}",
    );
    let second = server.kubeconfig("second", &json!({}), Some("elsewhere"));
    let joined = std::env::join_paths([&first, &"/nonexistent".into(), &second]).unwrap();
    let run = Run::of(program().args(["explain", "grafana"]).env("KUBECONFIG", &joined));
    run.says(&["monitoring/grafana is"]);
    assert!(!run.stderr.contains("was not found"), "the first file has the context: {}", run.stderr);
    let run = Run::of(program().args(["explain", "grafana", "--context", "mne"]).env("KUBECONFIG", &joined));
    run.misused(&["the kubeconfig has no context mne", "did you mean mine?"]);
}

#[test]
fn without_a_kubeconfig_the_message_says_what_to_do() {
    let run = Run::of(program().args(["explain", "grafana"]));
    run.refused(&["no kubeconfig was found", "KUBECONFIG", "--kubeconfig", "-f"]);
    Run::of(program().args(["explain", "grafana", "--kubeconfig", "/nonexistent"]))
        .refused(&["cannot read the kubeconfig /nonexistent", "No such file"]);
    for flag in ["--kubeconfig", "--context"] {
        Run::of(program().args(["render", "-f", "services.yaml", flag, "x"])).misused(&[flag, "requires --live"]);
    }
    Run::of(program().args(["explain", "grafana", "--request-timeout", "soon"])).misused(&["30s"]);
}

#[test]
fn no_message_has_a_part_of_a_credential() {
    let echo = Server::start(|request: &Request| ("502 Bad Gateway", request.headers.join("\n")));
    let broken = Server::start(|request: &Request| ("200 OK", json!({"items": request.headers}).to_string()));
    let plugin = |script: &str| {
        json!({"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script, "t0ken-of-mine"],
            "env": [{"name": "TOKEN", "value": "t0ken-of-mine"}], "interactiveMode": "Never",
        }})
    };
    let users: [(Value, &str); 7] = [
        (json!({"token": "t0ken-of-mine"}), ""),
        (json!({"username": "me", "password": "passw0rd-of-mine"}), ""),
        (json!({"token": "t0ken-of-mine\nnext"}), "bearer token"),
        (plugin("echo t0ken-of-mine; echo t0ken-of-mine >&2; exit 3"), "credential plugin failed with exit status: 3"),
        (plugin("echo '{\"status\": [\"t0ken-of-mine\"'"), "not an ExecCredential"),
        (
            plugin("echo '{\"kind\": \"ExecCredential\", \"apiVersion\": \"client.authentication.k8s.io/v1\"}'"),
            "no credentials",
        ),
        (json!({"client-certificate-data": "dDBrZW4!", "client-key-data": "dDBrZW4!"}), "base64"),
    ];
    for server in [&echo, &broken] {
        for (user, expected) in &users {
            let kubeconfig = server.kubeconfig("kubeconfig", user, None);
            let run = Run::of(program().args(["explain", "grafana"]).env("KUBECONFIG", &kubeconfig));
            run.refused(&[expected]);
            assert_without_secrets(&run);
        }
    }
    let place = "clusters: [{name: c, cluster: {server: 'SERVER'}}], contexts: [{name: c, context: {cluster: c, user: u}}], current-context: c";
    for (content, expected) in [
        ("users: [{name: u, user: {token: [t0ken-of-mine]}}]".to_owned(), "is not valid"),
        ("users: [{name: u, user: {token: t0ken-of-mine".to_owned(), "is not valid"),
        (
            format!("{{{}, users: []}}", place.replace("SERVER", "https://me:passw0rd-of-mine@[")),
            "the server of the cluster is not a valid URL",
        ),
        (
            format!(
                "{{{}, users: []}}",
                place.replace(
                    "{server: 'SERVER'",
                    "{server: 'http://127.0.0.1:1', proxy-url: 'http://me:passw0rd-of-mine@127.0.0.1:1'"
                )
            ),
            "does not support proxies",
        ),
        (format!("{{{}, users: []}}", place.replace("SERVER", "http://me:passw0rd-of-mine@127.0.0.1:1")), "refused"),
    ] {
        let kubeconfig = echo.write("broken", &content);
        let run = Run::of(program().args(["explain", "grafana"]).env("KUBECONFIG", &kubeconfig));
        run.refused(&[expected]);
        assert_without_secrets(&run);
    }
}

fn assert_without_secrets(run: &Run) {
    for secret in SECRETS {
        assert!(!run.stderr.contains(secret), "{:?}", run.stderr);
    }
}

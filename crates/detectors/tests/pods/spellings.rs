//! Ways to write a setting.

use detectors::pods::PodView;
use serde_json::{Value, json};

use crate::fixture::{container, found, service};

fn with_args(image: &str, port: u16, args: &[&str]) -> PodView {
    container(json!({ "name": "main", "image": image, "args": args, "ports": [{ "containerPort": port }] }))
}

fn in_shell(image: &str, port: u16, script: &str) -> PodView {
    let command = ["sh", "-c", script];
    container(json!({ "name": "main", "image": image, "command": command, "ports": [{ "containerPort": port }] }))
}

#[test]
fn a_query_or_a_fragment_ends_the_host_of_a_url() {
    let service = service("prometheus", "web:9090");
    for url in ["http://x?next=/evil", "http://x#/evil"] {
        let pod = with_args("prom/prometheus:v3.1.0", 9090, &[&format!("--web.external-url={url}")]);
        assert_eq!(found(&service, &pod), "Prometheus High http://:9090/ None", "{url}");
    }
}

#[test]
fn a_path_that_no_endpoint_can_have_is_unknown() {
    let service = service("prometheus", "web:9090");
    for path in ["/./prom", "/prom/.", "/prom/../x", "/a//b", "//prom"] {
        let pod = with_args("prom/prometheus:v3.1.0", 9090, &[&format!("--web.route-prefix={path}")]);
        assert_eq!(found(&service, &pod), "Prometheus High http://:9090/~ None", "{path}");
    }
}

#[test]
fn arguments_of_grafana_beat_variables() {
    let service = service("grafana", "http:3000");
    let args = ["cfg:server.root_url=http://x/a", "cfg:server.serve_from_sub_path=true"];
    assert_eq!(found(&service, &with_args("grafana/grafana:11.4.0", 3000, &args)), "Grafana High http://:3000/a Basic");
    let env: Value = json!([
        { "name": "GF_SERVER_ROOT_URL", "value": "http://x/b" },
        { "name": "GF_SERVER_SERVE_FROM_SUB_PATH", "value": "true" },
    ]);
    let with = |args: &[&str]| {
        let image = "grafana/grafana:11.4.0";
        container(
            json!({ "name": "main", "image": image, "args": args, "env": env, "ports": [{ "containerPort": 3000 }] }),
        )
    };
    assert_eq!(found(&service, &with(&args)), "Grafana High http://:3000/a Basic");
    let off = ["cfg:server.serve_from_sub_path=false"];
    assert_eq!(found(&service, &with(&off)), "Grafana High http://:3000/ Basic");
    // Defaults on the command line are weaker than variables and the file.
    let defaults = ["cfg:default.server.root_url=http://x/c", "cfg:default.server.serve_from_sub_path=true"];
    assert_eq!(found(&service, &with(&defaults)), "Grafana High http://:3000/b Basic");
    let alone = with_args("grafana/grafana:11.4.0", 3000, &defaults);
    assert_eq!(found(&service, &alone), "Grafana High http://:3000/c~ Basic");
}

#[test]
fn a_mount_over_the_defaults_of_grafana_decides_like_its_file() {
    let pod = container(json!({
        "name": "grafana",
        "image": "grafana/grafana:11.4.0",
        "ports": [{ "containerPort": 3000 }],
        "volumeMounts": [{ "mountPath": "/usr/share/grafana/conf/defaults.ini" }],
    }));
    assert_eq!(found(&service("grafana", "http:3000"), &pod), "Grafana High http~://:3000/~ Basic~");
}

#[test]
fn the_second_version_of_jaeger_takes_settings_as_arguments() {
    let service = service("jaeger", "http-query:16686");
    let image = "jaegertracing/jaeger:2.1.0";
    let set = "--set=extensions.jaeger_query.base_path=/jaeger";
    for args in [&["--config=/c.yaml", set] as &[&str], &["--set", "extensions.jaeger_query.base_path=/jaeger"]] {
        let found = found(&service, &with_args(image, 16686, args));
        assert!(found.contains(":16686/jaeger None"), "{args:?}: {found}");
    }
}

#[test]
fn a_comment_of_a_script_sets_nothing() {
    let service = service("prometheus", "web:9090");
    let script =
        "set -e\n# old: --web.route-prefix=/old\nexec /bin/prometheus --config.file=/c # --web.route-prefix=/x";
    assert_eq!(
        found(&service, &in_shell("prom/prometheus:v3.1.0", 9090, script)),
        "Prometheus High http~://:9090/~ None~"
    );
    let script = "exec /bin/prometheus --web.route-prefix=\"/a#b\" --web.route-prefix=/prom";
    assert!(found(&service, &in_shell("prom/prometheus:v3.1.0", 9090, script)).contains(":9090/prom"));
}

#[test]
fn a_file_of_arguments_can_hold_any_flag() {
    let pod = with_args("prom/prometheus:v3.1.0", 9090, &["@/etc/prometheus/args"]);
    assert_eq!(found(&service("prometheus", "web:9090"), &pod), "Prometheus High http~://:9090/~ None~");
}

#[test]
fn flags_with_a_value_of_their_own_can_stand_before_the_subcommand() {
    let service = service("thanos-query", "http:10902");
    let with = |args: &[&str]| found(&service, &with_args("thanosio/thanos:v0.36.0", 10902, args));
    assert_eq!(with(&["--log.level", "debug", "query", "--endpoint=a"]), "Thanos High http://:10902/ None");
    assert_eq!(with(&["--log.level", "debug", "store"]), "- store");
    assert_eq!(with(&["--log.level", "$(LEVEL)", "store"]), "- store");
    let script = in_shell("thanosio/thanos:v0.36.0", 10902, "exec /bin/thanos --log.level debug store --data-dir=/x");
    assert_eq!(found(&service, &script), "- store");
}

#[test]
fn victoriametrics_listens_on_each_address_of_a_list() {
    let image = "victoriametrics/victoria-metrics:v1.108.0";
    for args in [&["-httpListenAddr=:8428,:8429"] as &[&str], &["-httpListenAddr=:8428", "-httpListenAddr=:8429"]] {
        for port in [8428, 8429] {
            let service = service("victoria-metrics", &format!("http:{port}"));
            let found = found(&service, &with_args(image, port, args));
            assert_eq!(found, format!("VictoriaMetrics High http://:{port}/ None"), "{args:?}");
        }
    }
    // Each address has its own TLS.
    let service = service("victoria-metrics", "http:8428");
    for tls in [&["-httpListenAddr=:8428,:8429", "-tls=false,true"] as &[&str], &["-tls", "-tls=false"]] {
        let found = found(&service, &with_args(image, 8428, tls));
        assert!(found.starts_with("VictoriaMetrics High http~://"), "{tls:?}: {found}");
    }
}

#[test]
fn grafana_with_its_stores_in_one_container_leaves_their_ports_to_the_service() {
    let pod =
        container(json!({ "name": "lgtm", "image": "grafana/otel-lgtm:0.8", "ports": [{ "containerPort": 3000 }] }));
    for (name, port) in [("prometheus", 9090), ("loki", 3100), ("tempo", 3200)] {
        let service = service(name, &format!("http:{port}"));
        let by_service = detectors::recognise(&service).into_iter().next().map(|finding| finding.outcome);
        let with_pod = crate::fixture::findings(&service, &pod).into_iter().next().map(|finding| finding.outcome);
        assert!(by_service.is_some(), "{name}");
        assert_eq!(with_pod, by_service, "{name}");
    }
    assert!(found(&service("grafana", "http:3000"), &pod).starts_with("Grafana High http://:3000/"));
}

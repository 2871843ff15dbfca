//! What each product's settings decide.

use detectors::{ServiceView, pods::PodView};
use serde_json::{Value, json};

use crate::fixture::{container, found, service};

/// A container with these arguments.
fn with_args(image: &str, port: u16, args: &[&str]) -> PodView {
    container(json!({ "name": "main", "image": image, "args": args, "ports": [{ "containerPort": port }] }))
}

/// A container with these variables.
fn with_env(image: &str, port: u16, env: &[(&str, &str)]) -> PodView {
    let env: Vec<Value> = env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    container(json!({ "name": "main", "image": image, "env": env, "ports": [{ "containerPort": port }] }))
}

fn prometheus() -> ServiceView {
    service("prometheus", "web:9090")
}

#[test]
fn prometheus_serves_under_its_route_prefix_else_under_the_path_of_its_external_url() {
    let url = |args: &[&str]| found(&prometheus(), &with_args("prom/prometheus:v3.1.0", 9090, args));
    assert_eq!(url(&[]), "Prometheus High http://:9090/ None");
    assert_eq!(url(&["--web.route-prefix=/prom"]), "Prometheus High http://:9090/prom None");
    assert_eq!(url(&["--web.external-url=https://example.com/prom/"]), "Prometheus High http://:9090/prom None");
    assert_eq!(url(&["-web.external-url", "/prom"]), "Prometheus High http://:9090/prom None");
    let both = ["--web.external-url=https://example.com/prom", "--web.route-prefix=/"];
    assert_eq!(url(&both), "Prometheus High http://:9090/ None");
}

#[test]
fn a_web_config_decides_tls_and_users_of_prometheus() {
    let url = |args: &[&str]| found(&prometheus(), &with_args("prom/prometheus:v3.1.0", 9090, args));
    assert_eq!(url(&["--web.config.file=/etc/web.yml"]), "Prometheus High http~://:9090/ None~");
    let operators = "--web.config.file=/etc/prometheus/web_config/web-config.yaml";
    assert_eq!(url(&[operators]), "Prometheus High http~://:9090/ None");
}

#[test]
fn an_agent_answers_no_queries() {
    let agents: [&[&str]; 4] = [
        &["--agent"],
        &["--enable-feature=agent"],
        &["--enable-feature=memory-snapshot-on-shutdown,agent"],
        &["--storage.agent.path=/data"],
    ];
    for args in agents {
        assert_eq!(found(&prometheus(), &with_args("prom/prometheus:v2.53.0", 9090, args)), "- agent", "{args:?}");
    }
    let others = &["--enable-feature=exemplar-storage"];
    let pod = with_args("prom/prometheus:v2.53.0", 9090, others);
    assert_eq!(found(&prometheus(), &pod), "Prometheus High http://:9090/ None");
}

#[test]
fn a_probe_shows_the_prefix_and_the_scheme_of_prometheus() {
    let pod = container(json!({
        "name": "prometheus",
        "image": "quay.io/prometheus/prometheus:v3.1.0",
        "args": ["--web.config.file=/etc/prometheus/web_config/web-config.yaml", "--web.route-prefix=/prom"],
        "ports": [{ "name": "http-web", "containerPort": 9090 }],
        "readinessProbe": { "httpGet": { "path": "/prom/-/ready", "port": "http-web", "scheme": "HTTPS" } },
    }));
    let service = service("prometheus", "http-web:9090>http-web");
    assert_eq!(found(&service, &pod), "Prometheus High https://:9090/prom None");
}

#[test]
fn alertmanager_moves_with_its_external_url() {
    let service = service("alertmanager", "http:9093");
    let url = |args: &[&str]| found(&service, &with_args("prom/alertmanager:v0.27.0", 9093, args));
    assert_eq!(url(&["--web.external-url=http://x/alerts"]), "Alertmanager High http://:9093/alerts None");
    let root = ["--web.external-url=http://x/alerts", "--web.route-prefix=/"];
    assert_eq!(url(&root), "Alertmanager High http://:9093/ None");
}

#[test]
fn only_two_commands_of_thanos_answer_queries() {
    let url = |args: &[&str]| {
        found(&service("thanos-query", "http:9090"), &with_args("quay.io/thanos/thanos:v0.36.0", 9090, args))
    };
    let listen = "--http-address=:9090";
    assert_eq!(url(&["query", listen]), "Thanos High http://:9090/ None");
    assert_eq!(url(&["query-frontend", listen]), "Thanos High http://:9090/ None");
    assert_eq!(url(&["query", listen, "--web.route-prefix=/thanos"]), "Thanos High http://:9090/thanos None");
    assert_eq!(url(&["query", listen, "--web.external-prefix=/thanos"]), "Thanos High http://:9090/thanos None");
    assert_eq!(url(&["query", listen, "--http.config=/etc/http.yml"]), "Thanos High http~://:9090/ None~");
    for command in ["sidecar", "store", "receive", "rule", "compact"] {
        assert_eq!(url(&[command, listen]), format!("- {command}"));
    }
    assert_eq!(url(&["tools", "bucket", "web", listen]), "- tools");
}

#[test]
fn mimir_has_its_prefix_and_asks_for_a_tenant_unless_it_is_told_not_to() {
    let service = service("mimir", "http:8080");
    let url = |args: &[&str]| found(&service, &with_args("grafana/mimir:2.14.0", 8080, args));
    assert_eq!(url(&[]), "Mimir High http://:8080/prometheus Tenant");
    assert_eq!(url(&["-auth.multitenancy-enabled=false"]), "Mimir High http://:8080/prometheus None");
    assert_eq!(url(&["-config.file=/etc/mimir.yaml"]), "Mimir High http://:8080/prometheus Tenant~");
    assert_eq!(url(&["-http.prometheus-http-prefix=/prom"]), "Mimir High http://:8080/prom Tenant");
    assert_eq!(url(&["-server.path-prefix=/metrics/"]), "Mimir High http://:8080/metrics/prometheus Tenant");
    assert_eq!(url(&["-server.http-tls-cert-path=/tls.crt"]), "Mimir High https://:8080/prometheus Tenant");
    assert_eq!(url(&["-target=querier"]), "- querier");
    assert_eq!(url(&["-target=read,backend"]), "Mimir High http://:8080/prometheus Tenant");
}

#[test]
fn cortex_has_the_api_of_mimir() {
    let service = service("cortex", "http:80");
    let url = |image: &str, args: &[&str]| found(&service, &with_args(image, 80, args));
    // No rule finds anything in a Service named cortex, so its Pods are never read.
    assert_eq!(url("quay.io/cortexproject/cortex:v1.16.0", &[]), "nothing");
    let service = self::service("mimir", "http:80");
    let url = |image: &str, args: &[&str]| found(&service, &with_args(image, 80, args));
    assert_eq!(url("cortexproject/cortex:v1.16.0", &["-auth.enabled=false"]), "Mimir High http://:80/prometheus None");
    assert_eq!(
        url("cortexproject/cortex:v0.7.0", &["-target=query-frontend"]),
        "Mimir High http://:80/api/prom Tenant"
    );
    assert_eq!(url("cortexproject/cortex:v1.16.0", &["-target=alertmanager"]), "- alertmanager");
}

#[test]
fn loki_asks_for_a_tenant_by_default_and_moves_with_its_path_prefix() {
    let service = service("loki", "http-metrics:3100");
    let url = |args: &[&str]| found(&service, &with_args("grafana/loki:3.3.0", 3100, args));
    assert_eq!(url(&[]), "Loki High http://:3100/ Tenant");
    assert_eq!(url(&["-auth.enabled=false"]), "Loki High http://:3100/ None");
    assert_eq!(url(&["-config.file=/etc/loki.yaml"]), "Loki High http://:3100/ Tenant~");
    assert_eq!(url(&["-server.path-prefix=/loki-a"]), "Loki High http://:3100/loki-a Tenant");
    for role in ["write", "backend", "querier", "distributor", "ingester"] {
        assert_eq!(url(&[&format!("-target={role}")]), format!("- {role}"));
    }
    assert_eq!(url(&["-target=bloom-builder"]), "- an internal component");
}

#[test]
fn tempo_moves_only_its_api() {
    let service = service("tempo", "http:3200");
    let pod = container(json!({
        "name": "tempo",
        "image": "grafana/tempo:2.6.0",
        "args": ["-http-api-prefix=/traces", "-multitenancy.enabled=true"],
        "ports": [{ "name": "http", "containerPort": 3200 }],
        "readinessProbe": { "httpGet": { "path": "/ready", "port": 3200 } },
    }));
    assert_eq!(found(&service, &pod), "Tempo High http://:3200/traces Tenant");
}

#[test]
fn tempo_owns_a_port_that_loki_uses() {
    let pod = with_args("grafana/tempo:1.5.0", 3100, &["-config.file=/conf/tempo.yaml"]);
    let url = found(&service("loki", "http:3100"), &pod);
    assert_eq!(url, "Tempo High http://:3100/ Unknown~");
}

#[test]
fn the_first_version_of_jaeger_takes_its_base_path_from_a_flag_or_a_variable() {
    let service = service("jaeger-query", "http-query:16686");
    let image = "jaegertracing/all-in-one:1.60";
    let flag = with_args(image, 16686, &["--query.base-path=/jaeger"]);
    assert_eq!(found(&service, &flag), "Jaeger High http://:16686/jaeger None");
    let variable = with_env(image, 16686, &[("QUERY_BASE_PATH", "/jaeger")]);
    assert_eq!(found(&service, &variable), "Jaeger High http://:16686/jaeger None");
    let tls = with_env(image, 16686, &[("QUERY_HTTP_TLS_ENABLED", "true")]);
    assert_eq!(found(&service, &tls), "Jaeger High https://:16686/ None");
}

#[test]
fn the_second_version_of_jaeger_reads_only_its_file() {
    let service = service("jaeger", "http-query:16686");
    let image = "jaegertracing/jaeger:2.1.0";
    let variable = with_env(image, 16686, &[("QUERY_BASE_PATH", "/jaeger")]);
    assert_eq!(found(&service, &variable), "Jaeger High http://:16686/ None");
    let file = with_args(image, 16686, &["--config=/etc/jaeger/config.yaml"]);
    assert_eq!(found(&service, &file), "Jaeger High http~://:16686/~ None");
}

#[test]
fn the_file_of_the_opentelemetry_operator_is_no_role() {
    let pod = container(json!({
        "name": "otc-container",
        "image": "jaegertracing/jaeger:2.1.0",
        "args": ["--config=/conf/collector.yaml"],
        "ports": [{ "name": "jaeger-query", "containerPort": 16686 }, { "name": "otlp-grpc", "containerPort": 4317 }],
    }));
    let service = service("jaeger-inmemory", "jaeger-query:16686 otlp-grpc:4317");
    assert_eq!(found(&service, &pod), "Jaeger High http~://:16686/~ None");
}

#[test]
fn a_probe_on_the_query_port_of_jaeger_shows_the_base_path() {
    let pod = container(json!({
        "name": "jaeger",
        "image": "jaegertracing/jaeger:2.1.0",
        "args": ["--config=/etc/jaeger/config.yaml"],
        "ports": [{ "containerPort": 16686 }, { "containerPort": 13133 }],
        "readinessProbe": { "httpGet": { "path": "/jaeger/", "port": 16686 } },
        "livenessProbe": { "httpGet": { "path": "/status", "port": 13133 } },
    }));
    assert_eq!(found(&service("jaeger", "http-query:16686"), &pod), "Jaeger High http://:16686/jaeger None");
}

#[test]
fn a_page_of_jaeger_in_a_probe_is_not_part_of_the_base_path() {
    for (path, expected) in
        [("/search", "/"), ("/x/search", "/x"), ("/x/api/services", "/x"), ("/x/static/a.js", "/x"), ("/", "/")]
    {
        let pod = container(json!({
            "name": "jaeger",
            "image": "jaegertracing/jaeger:2.1.0",
            "args": ["--config=/etc/jaeger/config.yaml"],
            "ports": [{ "containerPort": 16686 }],
            "readinessProbe": { "httpGet": { "path": path, "port": 16686 } },
        }));
        let found = found(&service("jaeger", "http-query:16686"), &pod);
        assert_eq!(found, format!("Jaeger High http://:16686{expected} None"), "{path}");
    }
}

#[test]
fn a_probe_of_another_page_of_jaeger_says_nothing_of_the_base_path() {
    for path in ["/healthz", "/index.html", "/ui", "/services", "/trace/1", "/status", "/-/healthy", "/jaeger"] {
        let with = |args: &[&str]| {
            container(json!({
                "name": "jaeger",
                "image": "jaegertracing/jaeger:2.1.0",
                "args": args,
                "ports": [{ "containerPort": 16686 }],
                "readinessProbe": { "httpGet": { "path": path, "port": 16686 } },
            }))
        };
        let service = service("jaeger", "http-query:16686");
        assert_eq!(found(&service, &with(&["--config=/c.yaml"])), "Jaeger High http://:16686/~ None", "{path}");
        assert_eq!(found(&service, &with(&[])), "Jaeger High http://:16686/ None", "{path}");
    }
}

#[test]
fn a_probe_does_not_beat_the_known_base_path_of_jaeger() {
    let pod = container(json!({
        "name": "jaeger",
        "image": "jaegertracing/all-in-one:1.60",
        "ports": [{ "containerPort": 16686 }],
        "readinessProbe": { "httpGet": { "path": "/jaeger/", "port": 16686 } },
    }));
    assert_eq!(found(&service("jaeger", "http-query:16686"), &pod), "Jaeger High http://:16686/ None");
}

#[test]
fn grafana_moves_only_if_it_serves_from_the_sub_path() {
    let service = service("grafana", "http:3000");
    let url = |env: &[(&str, &str)]| found(&service, &with_env("grafana/grafana:11.4.0", 3000, env));
    let root = ("GF_SERVER_ROOT_URL", "https://example.com/grafana/");
    assert_eq!(url(&[root]), "Grafana High http://:3000/ Basic");
    assert_eq!(url(&[root, ("GF_SERVER_SERVE_FROM_SUB_PATH", "true")]), "Grafana High http://:3000/grafana Basic");
    assert_eq!(url(&[root, ("GF_SERVER_SERVE_FROM_SUB_PATH", "false")]), "Grafana High http://:3000/ Basic");
    let template = ("GF_SERVER_ROOT_URL", "%(protocol)s://%(domain)s:%(http_port)s/g/");
    assert_eq!(url(&[template, ("GF_SERVER_SERVE_FROM_SUB_PATH", "true")]), "Grafana High http://:3000/g Basic");
    assert_eq!(url(&[("GF_SERVER_PROTOCOL", "https")]), "Grafana High https://:3000/ Basic");
    assert_eq!(url(&[("GF_AUTH_ANONYMOUS_ENABLED", "true")]), "Grafana High http://:3000/ None");
    assert_eq!(url(&[("GF_AUTH_PROXY_ENABLED", "true")]), "Grafana High http://:3000/ Basic~");
}

#[test]
fn a_grafana_ini_decides_what_no_variable_states() {
    let service = service("grafana", "service:80>grafana");
    let with = |env: Value| {
        container(json!({
            "name": "grafana",
            "image": "docker.io/grafana/grafana:11.4.0",
            "env": env,
            "ports": [{ "name": "grafana", "containerPort": 3000 }],
            "volumeMounts": [{ "name": "config", "mountPath": "/etc/grafana/grafana.ini", "subPath": "grafana.ini" }],
            "readinessProbe": { "httpGet": { "path": "/api/health", "port": 3000 } },
        }))
    };
    assert_eq!(found(&service, &with(json!([]))), "Grafana High http://:80/~ Basic~");
    let sub_path = json!([
        { "name": "GF_SERVER_ROOT_URL", "value": "http://x/dash" },
        { "name": "GF_SERVER_SERVE_FROM_SUB_PATH", "value": "true" },
    ]);
    assert_eq!(found(&service, &with(sub_path)), "Grafana High http://:80/dash Basic~");
}

#[test]
fn victoriametrics_has_its_prefix_before_everything() {
    let single = service("victoria-metrics", "http:8428");
    let args: &[&str] = &["--http.pathPrefix=/vm", "-tls", "-httpAuth.username=x"];
    let pod = with_args("victoriametrics/victoria-metrics:v1.108.0", 8428, args);
    assert_eq!(found(&single, &pod), "VictoriaMetrics High https://:8428/vm Basic");
    let select = service("vmselect", "http:8481");
    let pod = with_args("victoriametrics/vmselect:v1.108.0-cluster", 8481, &["--http.pathPrefix=/vm"]);
    assert_eq!(found(&select, &pod), "VictoriaMetrics High http://:8481/vm/select/0/prometheus None");
}

#[test]
fn victoriametrics_takes_flags_from_variables_if_it_is_told_to() {
    let service = service("victoria-metrics", "http:8428");
    let with = |value: Value| {
        container(json!({
            "name": "vmsingle",
            "image": "victoriametrics/victoria-metrics:v1.108.0",
            "args": ["--envflag.enable", "--envflag.prefix=VM_"],
            "env": [{ "name": "VM_http_pathPrefix", "value": "/from-env" }, value],
            "ports": [{ "containerPort": 8428 }],
        }))
    };
    let url = found(&service, &with(json!({ "name": "VM_httpAuth_username", "value": "x" })));
    assert_eq!(url, "VictoriaMetrics High http://:8428/from-env Basic");
    let secret = json!({ "name": "VM_tls", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "tls" } } });
    assert_eq!(found(&service, &with(secret)), "VictoriaMetrics High http~://:8428/from-env None");
}

#[test]
fn one_image_of_victorialogs_has_all_roles() {
    let url = |name: &str, port: u16, args: &[&str]| {
        let container = json!({
            "name": name,
            "image": "victoriametrics/victoria-logs:v1.15.0",
            "args": args,
            "ports": [{ "containerPort": port }],
        });
        found(&service("victorialogs", &format!("http:{port}")), &self::container(container))
    };
    assert_eq!(url("logs", 9428, &["-storageDataPath=/data"]), "VictoriaLogs High http://:9428/ None");
    let front = "-storageNode=a:9491";
    let select = ["-httpListenAddr=:9471", front, "-insert.disable"];
    assert_eq!(url("logs", 9471, &select), "VictoriaLogs High http://:9471/ None");
    assert_eq!(url("logs", 9481, &["-httpListenAddr=:9481", front, "-select.disable"]), "- vlinsert");
    assert_eq!(url("logs", 9491, &["-httpListenAddr=:9491", "-storageDataPath=/data"]), "- vlstorage");
    assert_eq!(url("vlinsert", 9428, &[front]), "- vlinsert");
}

#[test]
fn equal_flags_of_victoriatraces_leave_the_role_to_the_container() {
    let url = |name: &str, port: u16| {
        let container = json!({
            "name": name,
            "image": "victoriametrics/victoria-traces:v0.5.0",
            "args": [format!("-httpListenAddr=:{port}"), "-storageNode=a:10491"],
            "ports": [{ "containerPort": port }],
        });
        found(&service("victoriatraces", &format!("http:{port}")), &self::container(container))
    };
    assert_eq!(url("vtselect", 10471), "VictoriaTraces High http://:10471/ None");
    assert_eq!(url("vtinsert", 10481), "- vtinsert");
}

#[test]
fn zipkin_can_be_told_to_answer_no_queries() {
    let service = service("zipkin", "http:9411");
    let url = |env: &[(&str, &str)]| found(&service, &with_env("openzipkin/zipkin-slim:3", 9411, env));
    assert_eq!(url(&[]), "Zipkin High http://:9411/ None");
    assert_eq!(url(&[("QUERY_ENABLED", "false")]), "- collector");
}

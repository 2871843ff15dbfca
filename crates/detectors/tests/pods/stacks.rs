//! Pods as charts, operators and quick starts write them.

use serde_json::json;

use crate::fixture::{container, found, labelled, pod, service};

#[test]
fn prometheus_operator_beside_its_reloader() {
    let pod = pod(json!([
        {
            "name": "prometheus",
            "image": "quay.io/prometheus/prometheus:v2.55.0",
            "args": [
                "--config.file=/etc/prometheus/config_out/prometheus.env.yaml",
                "--web.enable-lifecycle",
                "--web.external-url=http://prometheus.example/prom",
                "--web.route-prefix=/prom",
                "--storage.tsdb.path=/prometheus",
                "--web.config.file=/etc/prometheus/web_config/web-config.yaml",
            ],
            "ports": [{ "name": "http-web", "containerPort": 9090 }],
            "readinessProbe": { "httpGet": { "path": "/prom/-/ready", "port": "http-web", "scheme": "HTTP" } },
        },
        {
            "name": "config-reloader",
            "image": "quay.io/prometheus-operator/prometheus-config-reloader:v0.78.2",
            "args": ["--listen-address=:8080", "--reload-url=http://127.0.0.1:9090/prom/-/reload"],
            "ports": [{ "name": "reloader-web", "containerPort": 8080 }],
        },
    ]));
    let service = service("prometheus", "http-web:9090>http-web reloader-web:8080>reloader-web");
    assert_eq!(found(&service, &pod), "Prometheus High http://:9090/prom None");
}

#[test]
fn the_frontend_of_google_managed_prometheus() {
    let pod = container(json!({
        "name": "frontend",
        "image": "gke.gcr.io/prometheus-engine/frontend:v0.13.1-gke.0",
        "args": ["--web.listen-address=:9090", "--query.project-id=example"],
        "ports": [{ "name": "web", "containerPort": 9090 }],
        "readinessProbe": { "httpGet": { "path": "/-/ready", "port": "web" } },
    }));
    assert_eq!(found(&service("prometheus", "web:9090>web"), &pod), "Prometheus High http://:9090/ None");
}

#[test]
fn a_program_that_is_called_frontend_is_not_the_frontend_of_prometheus() {
    let pod = container(json!({
        "name": "frontend",
        "image": "gcr.io/google-samples/microservices-demo/frontend:v0.10.1",
        "ports": [{ "name": "web", "containerPort": 9090 }],
    }));
    let found = found(&service("prometheus", "web:9090>web"), &pod);
    assert!(!found.contains("High"), "{found}");
}

#[test]
fn linkerd_viz_names_the_port_of_prometheus_admin() {
    let pod = container(json!({
        "name": "prometheus",
        "image": "prom/prometheus:v2.55.1",
        "args": ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"],
        "ports": [{ "name": "admin", "containerPort": 9090 }],
        "readinessProbe": { "httpGet": { "path": "/-/ready", "port": 9090 } },
    }));
    let service = labelled("prometheus", "component=prometheus linkerd.io/extension=viz", "admin:9090");
    assert_eq!(found(&service, &pod), "Prometheus High http://:9090/ None");
}

#[test]
fn istios_jaeger_keeps_the_path_that_the_addon_is_known_for() {
    let pod = container(json!({
        "name": "jaeger",
        "image": "docker.io/jaegertracing/jaeger:2.14.0",
        "args": ["--config=/etc/jaeger/config.yaml"],
        "readinessProbe": { "httpGet": { "path": "/status", "port": 13133 } },
    }));
    let tracing = labelled("tracing", "app=jaeger", "http-query:80>16686 grpc-query:16685");
    assert_eq!(found(&tracing, &pod), "Jaeger High http~://:80/jaeger~ None");
    let zipkin = labelled("zipkin", "app=jaeger", "http-query:9411");
    assert!(found(&zipkin, &pod).starts_with("- "), "{}", found(&zipkin, &pod));
}

#[test]
fn the_gateway_of_a_lokistack_keeps_the_tenant_in_the_path_open() {
    let pod = container(json!({
        "name": "gateway",
        "image": "quay.io/observatorium/api:latest",
        "args": [
            "--web.listen=0.0.0.0:8080",
            "--web.internal.listen=0.0.0.0:8081",
            "--logs.read.endpoint=https://lokistack-query-frontend-http:3100",
            "--logs.tail.endpoint=https://lokistack-query-frontend-http:3100",
            "--tenants.config=/var/run/tenants.yaml",
            "--tls.server.cert-file=/var/run/tls/tls.crt",
        ],
        "ports": [{ "name": "internal", "containerPort": 8081 }, { "name": "public", "containerPort": 8080 }],
    }));
    let labels = "@name=lokistack @component=lokistack-gateway";
    let service = labelled("lokistack-gateway-http", labels, "public:8080>public");
    assert_eq!(found(&service, &pod), "Loki High https://:8080/~ Bearer");
}

#[test]
fn a_grafana_operators_pod_reads_its_file() {
    let pod = container(json!({
        "name": "grafana",
        "image": "docker.io/grafana/grafana:11.3.0",
        "args": ["-config=/etc/grafana/grafana.ini"],
        "ports": [{ "name": "grafana-http", "containerPort": 3000 }],
        "readinessProbe": { "httpGet": { "path": "/api/health", "port": 3000, "scheme": "HTTP" } },
    }));
    let service = service("grafana", "grafana:3000>grafana-http");
    assert_eq!(found(&service, &pod), "Grafana High http://:3000/~ Basic~");
}

#[test]
fn a_bundle_of_grafana_and_its_stores_has_grafana_on_its_port() {
    let pod = container(json!({
        "name": "lgtm",
        "image": "grafana/otel-lgtm:0.8.1",
        "ports": [{ "containerPort": 3000 }, { "containerPort": 4317 }, { "containerPort": 9090 }],
    }));
    let found = found(&service("grafana", "grafana:3000 otlp:4317"), &pod);
    assert!(found.starts_with("Grafana High http://:3000/"), "{found}");
}

#[test]
fn openfaas_writes_everything_into_the_command() {
    let pod = container(json!({
        "name": "prometheus",
        "image": "prom/prometheus:v2.11.0",
        "command": ["prometheus", "--config.file=/etc/prometheus/prometheus.yml", "--web.route-prefix=/x"],
        "ports": [{ "containerPort": 9090 }],
        "readinessProbe": { "exec": { "command": ["wget", "--quiet", "--spider", "http://127.0.0.1:9090/x/-/healthy"] } },
    }));
    assert_eq!(found(&service("prometheus", "-:9090"), &pod), "Prometheus High http://:9090/x None");
}

#[test]
fn an_alertmanager_that_only_its_proxies_reach() {
    let pod = pod(json!([
        {
            "name": "alertmanager",
            "image": "quay.io/openshift/origin-prometheus-alertmanager:4.15",
            "args": ["--config.file=/etc/a.yml", "--storage.path=/alertmanager", "--web.listen-address=127.0.0.1:9093"],
        },
        {
            "name": "alertmanager-proxy",
            "image": "quay.io/openshift/origin-oauth-proxy:4.15",
            "args": ["-provider=openshift", "-https-address=:9095", "-http-address=", "-upstream=http://localhost:9093"],
            "ports": [{ "name": "web", "containerPort": 9095 }],
        },
        {
            "name": "kube-rbac-proxy-metric",
            "image": "quay.io/openshift/origin-kube-rbac-proxy:4.15",
            "args": ["--secure-listen-address=0.0.0.0:9097", "--upstream=http://127.0.0.1:9093", "--allow-paths=/metrics"],
            "ports": [{ "name": "metrics", "containerPort": 9097 }],
        },
    ]));
    let service = labelled("alertmanager-main", "@name=alertmanager", "web:9094>web metrics:9097>metrics");
    assert_eq!(found(&service, &pod), "Alertmanager High https://:9094/ Bearer");
}

#[test]
fn grafana_of_advanced_cluster_management_behind_its_proxy() {
    let pod = pod(json!([
        { "name": "grafana-dashboard-loader", "image": "quay.io/stolostron/grafana-dashboard-loader:2.11" },
        {
            "name": "grafana",
            "image": "registry.redhat.io/rhacm2/acm-grafana-rhel9@sha256:0a1b",
            "args": ["-config=/etc/grafana/grafana.ini"],
            "env": [
                { "name": "GF_SECURITY_ADMIN_USER", "value": "x" },
                { "name": "GF_INSTALL_PLUGINS", "value": "" },
                { "name": "GF_PATHS_DATA", "value": "/x" },
            ],
            "ports": [{ "name": "http", "containerPort": 3001 }],
            "volumeMounts": [{ "mountPath": "/etc/grafana/grafana.ini" }],
        },
        {
            "name": "grafana-proxy",
            "image": "registry.redhat.io/openshift4/ose-oauth-proxy-rhel9:v4.15",
            "args": ["--provider=openshift", "--upstream=http://localhost:3001", "--https-address=:9443"],
            "ports": [{ "name": "public", "containerPort": 9443 }],
        },
    ]));
    let found = found(&service("grafana", "https:3000>public"), &pod);
    assert_eq!(found, "Grafana High https://:3000/~ Bearer");
}

#[test]
fn an_alertmanager_that_listens_on_the_loopback_address_beside_a_reloader() {
    let pod = pod(json!([
        { "name": "config-reloader", "image": "quay.io/stolostron/configmap-reloader:2.11" },
        {
            "name": "alertmanager",
            "image": "quay.io/stolostron/prometheus-alertmanager:2.11",
            "args": ["--config.file=/etc/a.yaml", "--cluster.listen-address=[$(POD_IP)]:9094", "--web.listen-address=127.0.0.1:9093"],
        },
        {
            "name": "alertmanager-proxy",
            "image": "quay.io/stolostron/origin-oauth-proxy:4.15",
            "args": ["--provider=openshift", "--upstream=http://localhost:9093", "--https-address=:9095"],
            "ports": [{ "name": "https", "containerPort": 9095 }],
        },
    ]));
    assert_eq!(found(&service("alertmanager", "https:9095"), &pod), "Alertmanager High https://:9095/ Bearer");
}

#[test]
fn an_operators_elasticsearch_of_a_private_build() {
    let pod = container(json!({
        "name": "elasticsearch",
        "image": "registry.example/search/engine:8.17.0",
        "env": [{ "name": "READINESS_PROBE_PROTOCOL", "value": "https" }],
        "ports": [{ "name": "https", "containerPort": 9200 }, { "name": "transport", "containerPort": 9300 }],
    }));
    let labels = "common.k8s.elastic.co/type=elasticsearch elasticsearch.k8s.elastic.co/cluster-name=logs";
    assert_eq!(found(&labelled("logs-es-http", labels, "https:9200"), &pod), "Elasticsearch High https://:9200/ Basic");
}

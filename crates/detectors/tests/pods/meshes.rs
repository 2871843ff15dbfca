//! Meshes add a proxy to a Pod and move its probes.

use serde_json::json;

use crate::fixture::{container, found, pod, service};

#[test]
fn a_probe_that_istio_moved_says_nothing() {
    let pod = pod(json!([
        {
            "name": "prometheus",
            "image": "prom/prometheus:v3.1.0",
            "args": ["--web.config.file=/etc/web.yml", "--web.route-prefix=/prom"],
            "ports": [{ "name": "web", "containerPort": 9090 }],
            "readinessProbe": { "httpGet": { "path": "/app-health/prometheus/readyz", "port": 15020, "scheme": "HTTP" } },
        },
        {
            "name": "istio-proxy",
            "image": "docker.io/istio/proxyv2:1.24.0",
            "env": [{ "name": "ISTIO_KUBE_APP_PROBERS", "value": "{\"/app-health/prometheus/readyz\":{}}" }],
            "ports": [{ "name": "http-envoy-prom", "containerPort": 15090 }],
            "readinessProbe": { "httpGet": { "path": "/healthz/ready", "port": 15021 } },
        },
    ]));
    let service = service("prometheus", "web:9090");
    assert_eq!(found(&service, &pod), "Prometheus High http~://:9090/prom None~");
}

#[test]
fn a_moved_probe_is_no_sign_that_there_is_no_prefix() {
    let pod = pod(json!([
        {
            "name": "jaeger",
            "image": "jaegertracing/jaeger:2.1.0",
            "args": ["--config=/etc/jaeger/config.yaml"],
            "ports": [{ "containerPort": 16686 }],
            "readinessProbe": { "httpGet": { "path": "/app-health/jaeger/readyz", "port": 15020 } },
        },
        { "name": "istio-proxy", "image": "istio/proxyv2:1.24.0", "ports": [{ "containerPort": 15090 }] },
    ]));
    assert_eq!(found(&service("jaeger", "http-query:16686"), &pod), "Jaeger High http~://:16686/~ None");
}

#[test]
fn a_moved_probe_on_the_products_own_port_says_nothing_either() {
    let pod = container(json!({
        "name": "kibana",
        "image": "docker.elastic.co/kibana/kibana:8.17.0",
        "ports": [{ "containerPort": 5601 }],
        "volumeMounts": [{ "mountPath": "/usr/share/kibana/config" }],
        "readinessProbe": { "httpGet": { "path": "/app-health/kibana/login", "port": 5601 } },
    }));
    assert_eq!(found(&service("kibana", "http:5601"), &pod), "Kibana High http~://:5601/~ Basic~");
}

#[test]
fn the_proxy_of_a_mesh_is_not_the_product() {
    let pod = pod(json!([
        {
            "name": "linkerd-proxy",
            "image": "cr.l5d.io/linkerd/proxy:edge-24.11.8",
            "ports": [{ "name": "linkerd-proxy", "containerPort": 4143 }, { "name": "linkerd-admin", "containerPort": 4191 }],
        },
        {
            "name": "grafana",
            "image": "grafana/grafana:11.4.0",
            "ports": [{ "name": "http", "containerPort": 3000 }],
        },
    ]));
    assert_eq!(found(&service("grafana", "http:80>http"), &pod), "Grafana High http://:80/ Basic");
}

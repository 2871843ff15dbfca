//! Proxies in front of a product.

use detectors::{Product, ServiceView};
use serde_json::{Value, json};

use crate::fixture::{found, found_as, pod, service};

const RELEASE_IMAGE: &str = "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0a1b";

fn prometheus() -> Value {
    json!({
        "name": "prometheus",
        "image": RELEASE_IMAGE,
        "args": ["--config.file=/etc/p.yml", "--storage.tsdb.path=/prometheus", "--web.listen-address=127.0.0.1:9090"],
    })
}

fn rbac_proxy(name: &str, port_name: &str, port: u16, upstream: &str, more: &[&str]) -> Value {
    let mut args = vec![format!("--secure-listen-address=0.0.0.0:{port}"), format!("--upstream={upstream}")];
    args.extend(more.iter().map(|arg| (*arg).to_owned()));
    json!({
        "name": name,
        "image": RELEASE_IMAGE,
        "args": args,
        "ports": [{ "name": port_name, "containerPort": port }],
    })
}

#[test]
fn openshifts_proxy_decides_port_scheme_and_authentication() {
    let pod = pod(json!([
        prometheus(),
        rbac_proxy("kube-rbac-proxy-web", "web", 9091, "http://127.0.0.1:9090", &[]),
        rbac_proxy("kube-rbac-proxy", "metrics", 9092, "http://127.0.0.1:9090", &["--allow-paths=/metrics"]),
    ]));
    let service = service("prometheus-k8s", "web:9091>web metrics:9092>metrics");
    assert_eq!(found(&service, &pod), "Prometheus High https://:9091/ Bearer");
}

#[test]
fn a_proxy_for_metrics_is_no_endpoint() {
    let pod = pod(json!([
        prometheus(),
        rbac_proxy("kube-rbac-proxy-metrics", "metrics", 9091, "http://127.0.0.1:9090", &["--allow-paths=/metrics"]),
        rbac_proxy("kube-rbac-proxy-federate", "federate", 9092, "http://127.0.0.1:9090", &["--allow-paths=/federate"]),
    ]));
    let service = service("prometheus", "web:9091>metrics federate:9092>federate");
    assert_eq!(found(&service, &pod), "- another program, a proxy for metrics");
}

#[test]
fn a_proxy_that_asks_for_a_label_is_no_endpoint() {
    let pod = pod(json!([
        {
            "name": "thanos-query",
            "image": RELEASE_IMAGE,
            "args": ["query", "--endpoint=x", "--query.replica-label=r", "--http-address=127.0.0.1:9090"],
        },
        {
            "name": "prom-label-proxy",
            "image": RELEASE_IMAGE,
            "args": ["--insecure-listen-address=127.0.0.1:9095", "--upstream=http://127.0.0.1:9090", "--label=namespace"],
        },
        rbac_proxy("kube-rbac-proxy-web", "web", 9091, "http://127.0.0.1:9090", &[]),
        rbac_proxy("kube-rbac-proxy", "tenancy", 9092, "http://127.0.0.1:9095", &["--allow-paths=/api/v1/query"]),
    ]));
    let querier = service("thanos-querier", "web:9091>web tenancy:9092>tenancy");
    assert_eq!(found(&querier, &pod), "Thanos High https://:9091/ Bearer");
    let tenancy = service("thanos-querier", "http:9092>tenancy");
    assert_eq!(found(&tenancy, &pod), "- another program, a proxy that requires a label");
}

#[allow(clippy::needless_pass_by_value, reason = "fixtures are written in place")]
fn with_oauth_proxy(upstream: &str, product: Value) -> Value {
    json!([
        product,
        {
            "name": "oauth-proxy",
            "image": "registry.redhat.io/openshift4/ose-oauth-proxy:v4.15",
            "args": ["-provider=openshift", "-https-address=:8443", "-http-address=", format!("-upstream={upstream}")],
            "ports": [{ "name": "public", "containerPort": 8443 }],
        },
    ])
}

#[test]
fn the_product_behind_an_oauth_proxy_keeps_its_path() {
    let jaeger = json!({
        "name": "jaeger",
        "image": "registry.redhat.io/rhosdt/jaeger-all-in-one-rhel8:1.57",
        "args": ["--query.base-path=/jaeger", "--query.http-server.host-port=127.0.0.1:16686"],
        "ports": [{ "containerPort": 16686 }],
    });
    let pod = pod(with_oauth_proxy("http://localhost:16686/", jaeger));
    let service = service("jaeger-query", "https-query:443>8443");
    assert_eq!(found(&service, &pod), "Jaeger High https://:443/jaeger Bearer");
}

#[test]
fn a_plain_port_beside_the_proxy_goes_first() {
    let thanos = json!({
        "name": "thanos-query",
        "image": "quay.io/thanos/thanos:v0.36.0",
        "args": ["query", "--http-address=0.0.0.0:9090"],
        "ports": [{ "name": "http", "containerPort": 9090 }],
    });
    let pod = pod(with_oauth_proxy("http://localhost:9090", thanos));
    let certificate = [("service.beta.openshift.io/serving-cert-secret-name", "tls")].into_iter().collect();
    let service = ServiceView { annotations: certificate, ..service("thanos-query", "http:9090 https:9091>8443") };
    assert_eq!(found(&service, &pod), "Thanos High http://:9090/ None");
}

#[test]
fn oauth2_proxy_takes_a_bearer_token_only_if_it_is_told_to() {
    let with = |more: &str| {
        pod(json!([
            { "name": "grafana", "image": "grafana/grafana:11.4.0" },
            {
                "name": "oauth2-proxy",
                "image": "quay.io/oauth2-proxy/oauth2-proxy:v7.7.0",
                "args": ["--http-address=0.0.0.0:4180", "--upstream=http://127.0.0.1:3000", more],
                "ports": [{ "containerPort": 4180 }],
            },
        ]))
    };
    let service = service("grafana", "http:80>4180");
    assert_eq!(found(&service, &with("--provider=oidc")), "Grafana High http://:80/ Basic~");
    assert_eq!(found(&service, &with("--skip-jwt-bearer-tokens=true")), "Grafana High http://:80/ Bearer");
}

#[test]
fn a_web_server_before_the_only_product_leaves_path_and_authentication_open() {
    let with = |proxy: Value| {
        pod(json!([
            proxy,
            {
                "name": "prometheus",
                "image": "rancher/mirrored-prometheus-prometheus:v2.42.0",
                "args": ["--web.listen-address=127.0.0.1:9090"],
            },
        ]))
    };
    let service = service("prometheus", "nginx-http:80>nginx-http");
    let ports = json!([{ "name": "nginx-http", "containerPort": 8081 }]);
    let nginx = with(json!({ "name": "proxy", "image": "rancher/mirrored-library-nginx:1.24", "ports": ports }));
    let named = with(json!({ "name": "apache-proxy", "image": "registry.example/web:1", "ports": ports }));
    for pod in [nginx, named] {
        let found = found_as(Product::Prometheus, &service, &pod);
        assert!(found.starts_with("Prometheus "), "{found}");
        assert!(found.ends_with("http~://:80/~ Unknown~"), "{found}");
    }
}

#[test]
fn grafana_that_declares_the_port_of_the_proxy_beside_it_does_not_listen_there() {
    let pod = pod(json!([
        { "name": "grafana", "image": "rancher/mirrored-grafana-grafana:9.1.5", "ports": [{ "name": "http", "containerPort": 8080 }] },
        { "name": "grafana-proxy", "image": "rancher/mirrored-library-nginx:1.24" },
    ]));
    let found = found(&service("grafana", "nginx-http:80>8080"), &pod);
    assert!(found.ends_with("http~://:80/~ Unknown~"), "{found}");
}

#[test]
fn a_web_server_alone_leaves_everything_to_the_service() {
    let pod = pod(json!([{
        "name": "nginx",
        "image": "nginxinc/nginx-unprivileged:1.27",
        "ports": [{ "name": "http-metrics", "containerPort": 8080 }],
        "readinessProbe": { "httpGet": { "path": "/", "port": "http-metrics" } },
    }]));
    let service =
        crate::fixture::labelled("loki-gateway", "@name=loki @component=gateway", "http-metrics:80>http-metrics");
    let found = found(&service, &pod);
    assert!(found.starts_with("Loki High http://:80/~"), "{found}");
}

#[test]
fn a_proxy_alone_gives_way_to_the_service_that_it_names() {
    let pod = pod(json!([{
        "name": "oauth-proxy",
        "image": "quay.io/openshift/origin-oauth-proxy:4.15",
        "args": ["--https-address=:9091", "--upstream=http://thanos-query-frontend.monitoring.svc:9090"],
        "ports": [{ "name": "web", "containerPort": 9091 }],
    }]));
    let service = service("thanos-querier", "web:9091>web");
    let finding = crate::fixture::findings(&service, &pod).into_iter().next().expect("a finding");
    assert_eq!(finding.product, Product::Thanos);
    assert!(finding.rank.tier > 1, "the Service itself is preferred");
    assert!(found(&service, &pod).ends_with("https://:9091/~ Bearer"), "{}", found(&service, &pod));
}

#[test]
fn the_proxy_of_openshifts_elasticsearch_asks_for_a_token() {
    let pod = pod(json!([
        { "name": "elasticsearch", "image": "registry.redhat.io/openshift-logging/elasticsearch6-rhel9:v5.8", "ports": [{ "name": "cluster", "containerPort": 9300 }, { "name": "restapi", "containerPort": 9200 }] },
        {
            "name": "proxy",
            "image": "registry.redhat.io/openshift-logging/elasticsearch-proxy-rhel9:v5.8",
            "args": ["--listening-address=:60000", "--tls-cert=/x", "--upstream-ca=/y"],
            "ports": [{ "name": "metrics", "containerPort": 60001 }, { "name": "restapi-proxy", "containerPort": 60000 }],
        },
    ]));
    let found = found(&service("elasticsearch", "elasticsearch:9200>60000"), &pod);
    assert_eq!(found, "Elasticsearch High https://:9200/ Bearer");
}

#[test]
fn a_proxy_before_another_container_is_not_before_the_product() {
    let pod = pod(json!([
        prometheus(),
        { "name": "thanos", "image": "registry.example/sidecar:1" },
        rbac_proxy("kube-rbac-proxy-thanos", "thanos-proxy", 10903, "http://127.0.0.1:10902", &[]),
    ]));
    let service = service("prometheus", "thanos-proxy:10902>thanos-proxy");
    let found = found_as(Product::Prometheus, &service, &pod);
    assert!(!found.contains("High"), "{found}");
}

fn before_grafana(image: &str, args: &[&str]) -> detectors::pods::PodView {
    pod(json!([
        { "name": "front", "image": image, "args": args, "ports": [{ "containerPort": 3001 }] },
        { "name": "grafana", "image": "grafana/grafana:11.4.0", "ports": [{ "containerPort": 3000 }] },
    ]))
}

#[test]
fn gatekeeper_and_the_old_name_of_oauth2_proxy_are_proxies() {
    let service = service("grafana", "http:80>3001");
    let upstream = "--upstream-url=http://127.0.0.1:3000";
    let gatekeeper = |more: &[&str]| {
        let args = [&[upstream, "--listen=:3001"], more].concat();
        found(&service, &before_grafana("quay.io/gogatekeeper/gatekeeper:2.9", &args))
    };
    assert_eq!(gatekeeper(&[]), "Grafana High http://:80/ Basic~");
    assert_eq!(gatekeeper(&["--tls-cert=/x", "--no-redirects"]), "Grafana High https://:80/ Bearer");
    let args = ["-http-address=:3001", "-upstream=http://localhost:3000/"];
    let oauth2 = before_grafana("quay.io/pusher/oauth2_proxy:v5.1.0", &args);
    assert_eq!(found(&service, &oauth2), "Grafana High http://:80/ Basic~");
}

#[test]
fn a_program_that_passes_requests_to_the_only_product_is_its_proxy() {
    let service = service("grafana", "http:80>3001");
    for flag in
        ["--upstream=http://127.0.0.1:3000", "--proxy-url=http://localhost:3000/", "--target-url=http://localhost:3000"]
    {
        let found = found(&service, &before_grafana("registry.example/gate:1", &[flag]));
        assert_eq!(found, "Grafana Medium http~://:80/ Basic~", "{flag}");
    }
    // It passes them to something else.
    let found = found(&service, &before_grafana("registry.example/gate:1", &["--upstream=http://127.0.0.1:9999"]));
    assert!(!found.contains("High"), "{found}");
}

//! Programs that are no product, and containers that nothing identifies.

use detectors::Product;
use serde_json::{Value, json};

use crate::fixture::{container, found, found_as, service};

fn with_image(name: &str, image: &str, port: u16) -> detectors::pods::PodView {
    container(json!({ "name": name, "image": image, "ports": [{ "containerPort": port }] }))
}

#[test]
fn the_image_of_another_program_ends_a_candidate() {
    for (service_name, port, image) in [
        ("alertmanager", "http:9093", "metalmatze/alertmanager-bot:0.4.3"),
        ("prometheus", "http:9090", "quay.io/prometheuscommunity/prometheus-adapter:v0.12.0"),
        ("prometheus", "http:9091", "prom/pushgateway:v1.10.0"),
        ("prometheus", "web:9090", "registry.example/team/prometheus-exporter:3"),
        ("grafana", "http:3000", "registry.example/plutono:v7.5.22"),
        ("jaeger", "http:16686", "grafana/tempo-query:2.6.0"),
        ("elasticsearch", "http:9200", "lmenezes/cerebro:0.9.4"),
        ("loki", "http:3100", "grafana/promtail:3.0.0"),
        ("victoriametrics", "http:8428", "victoriametrics/vmagent:v1.108.0"),
    ] {
        let number = port.split(':').nth(1).and_then(|number| number.parse().ok()).expect("a number");
        let found = found(&service(service_name, port), &with_image("main", image, number));
        assert!(found.starts_with("- "), "{image}: {found}");
    }
}

#[test]
fn a_service_in_which_the_rules_find_nothing_stays_so() {
    let pod = with_image("grafana", "grafana/grafana:11.4.0", 3000);
    assert_eq!(found(&service("shop", "http:8080>3000"), &pod), "nothing");
}

#[test]
fn an_unknown_image_is_as_the_service_says() {
    let service = service("grafana", "http:3000");
    let pod = with_image("main", "registry.example/team/app:1", 3000);
    let alone = detectors::recognise(&service);
    assert_eq!(detectors::pods::recognise_with_pods(&service, &detectors::pods::read(&service, &pod)), alone);
}

#[test]
fn a_variable_that_names_a_product_is_not_the_product() {
    let pod = container(json!({
        "name": "shop",
        "image": "registry.example/shop:1",
        "env": [
            { "name": "PROMETHEUS_URL", "value": "http://prometheus:9090" },
            { "name": "ELASTICSEARCH_HOSTS", "value": "http://es:9200" },
            { "name": "ELASTIC_PASSWORD", "value": "x" },
            { "name": "GRAFANA_URL", "value": "http://grafana" },
            { "name": "SW_STORAGE", "value": "elasticsearch" },
            { "name": "METRICS_STORAGE_TYPE", "value": "prometheus" },
        ],
        "args": ["-datasource.url=http://prometheus:9090", "-prometheus-url=http://prometheus:9090"],
        "ports": [{ "containerPort": 9090 }],
        "readinessProbe": { "httpGet": { "path": "/-/ready", "port": 9090 } },
    }));
    let found = found(&service("prometheus", "web:9090"), &pod);
    assert!(!found.contains("High"), "{found}");
}

#[allow(clippy::needless_pass_by_value, reason = "fixtures are written in place")]
fn named(name: &str, args: Value, env: Value, port: u16) -> detectors::pods::PodView {
    container(json!({
        "name": name,
        "image": "quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0a1b",
        "args": args,
        "env": env,
        "ports": [{ "containerPort": port }],
    }))
}

#[test]
fn two_marks_identify_where_the_image_says_nothing() {
    // One word of the Service and two marks of the Pod agree.
    let prometheus = named("main", json!(["--storage.tsdb.path=/data", "--config.file=/etc/p.yml"]), json!([]), 9090);
    assert_eq!(found(&service("prometheus", "web:9090"), &prometheus), "Prometheus High http://:9090/ None");
    let thanos = named("main", json!(["query", "--endpoint=dnssrv+x", "--http-address=:9090"]), json!([]), 9090);
    assert_eq!(found(&service("thanos-query", "http:9090"), &thanos), "Thanos High http://:9090/ None");
    let env = json!([{ "name": "GF_SERVER_ROOT_URL", "value": "http://x/d" }, { "name": "GF_SERVER_SERVE_FROM_SUB_PATH", "value": "true" }]);
    let grafana = named("dashboards", json!([]), env, 3000);
    assert_eq!(found(&service("grafana", "http:3000"), &grafana), "Grafana High http://:3000/d Basic");
    let env = json!([{ "name": "DISABLE_SECURITY_PLUGIN", "value": "true" }, { "name": "discovery.seed_hosts", "value": "x" }]);
    let opensearch = named("node", json!([]), env, 9200);
    assert_eq!(found(&service("opensearch", "http:9200"), &opensearch), "OpenSearch High http://:9200/ None");
}

#[test]
fn two_marks_alone_are_medium() {
    // `observability` says nothing of Prometheus; the number makes the Service a candidate for another product.
    let pod = named(
        "main",
        json!(["--storage.tsdb.path=/data", "--config.file=/etc/p.yml", "--web.listen-address=:16686"]),
        json!([]),
        16686,
    );
    let found = found_as(Product::Prometheus, &service("observability", "http:16686"), &pod);
    assert_eq!(found, "Prometheus Medium http://:16686/ None");
}

#[test]
fn one_mark_identifies_only_beside_the_containers_name() {
    let args = json!(["--storage.tsdb.path=/data"]);
    let named_after_it = named("prometheus", args.clone(), json!([]), 9090);
    assert_eq!(found(&service("prometheus", "web:9090"), &named_after_it), "Prometheus High http://:9090/ None");
    let alone = found(&service("prometheus", "web:9090"), &named("main", args, json!([]), 9090));
    assert!(!alone.contains("High"), "{alone}");
}

#[test]
fn the_name_of_a_container_alone_identifies_nothing() {
    let found = found(&service("prometheus", "web:9090"), &named("prometheus", json!([]), json!([]), 9090));
    assert!(!found.contains("High"), "{found}");
}

#[test]
fn a_probe_alone_identifies_nothing() {
    let service = service("observability", "http:16686");
    let pod = container(json!({
        "name": "main",
        "image": "registry.example/app:1",
        "ports": [{ "containerPort": 16686 }],
        "readinessProbe": { "httpGet": { "path": "/", "port": 16686, "scheme": "HTTPS" } },
    }));
    let found = found(&service, &pod);
    assert!(found.starts_with("Jaeger Low https://"), "the probe shows the scheme only: {found}");
}

#[test]
fn an_mcp_server_is_not_the_product_it_talks_to() {
    let pod = with_image("mcp", "mcp/grafana-mcp-server:1", 8000);
    let found = found_as(Product::Grafana, &service("grafana", "http:8000"), &pod);
    assert!(!found.contains("http://"), "{found}");
    let mcp = found_as(Product::MCP, &service("tools", "mcp:8000"), &pod);
    assert_eq!(mcp, "MCP Medium http~://:8000/mcp~ Unknown~");
}

#[test]
fn shared_marks_identify_only_beside_the_containers_name() {
    let args = json!(["--config.file=/etc/a.yml", "--storage.path=/data", "--web.route-prefix=/alerts"]);
    let service = service("alertmanager", "http:9093");
    let named_after_it = named("alertmanager", args.clone(), json!([]), 9093);
    assert_eq!(found(&service, &named_after_it), "Alertmanager High http://:9093/alerts None");
    let alone = found(&service, &named("main", args, json!([]), 9093));
    assert!(!alone.contains("High"), "{alone}");
}

#[test]
fn elasticsearch_of_a_private_build_has_no_known_version() {
    let env =
        json!([{ "name": "ES_JAVA_OPTS", "value": "-Xms1g" }, { "name": "discovery.type", "value": "single-node" }]);
    let found = found(&service("elasticsearch", "http:9200"), &named("search", json!([]), env, 9200));
    assert_eq!(found, "Elasticsearch High http~://:9200/ Basic~");
}

#[test]
fn a_word_of_an_unknown_image_is_weaker_than_the_containers_own_settings() {
    let env = json!([{ "name": "GF_SECURITY_ADMIN_USER", "value": "a" }, { "name": "GF_SECURITY_ADMIN_PASSWORD", "value": "b" }]);
    let pod = |image: &str, args: Value, env: Value| {
        let ports = json!([{ "containerPort": 3000 }]);
        container(json!({ "name": "grafana", "image": image, "args": args, "env": env, "ports": ports }))
    };
    let service = service("grafana", "http:3000");
    let patched = pod("registry.example/grafana-webhook-patched:1", json!([]), env);
    assert_eq!(found(&service, &patched), "Grafana High http://:3000/ Basic");
    // Flags of one plain word are those of many programs.
    let operator = pod("registry.example/storage-operator:1", json!(["--store=a", "--endpoint=b"]), json!([]));
    assert!(found(&service, &operator).contains("an operator"), "{}", found(&service, &operator));
}

#[test]
fn a_readable_image_of_another_program_speaks_against_a_service_that_is_not_certain() {
    for (name, port, image) in [
        ("grafana", 3000, "registry.example/acme/storefront:v1"),
        ("loki", 3100, "acme/loki-chat:v1"),
        ("jaeger", 16686, "acme/jaeger-game"),
        ("elasticsearch", 9200, "acme/search:2"),
    ] {
        let pod = with_image(name, image, port);
        let finding = crate::fixture::findings(&service(name, &format!("http:{port}")), &pod).remove(0);
        assert_eq!(finding.confidence, detectors::Confidence::Low, "{image}");
        let hint = finding.hint.expect("a hint");
        let component = image.rsplit('/').next().and_then(|last| last.split(':').next()).expect("a name");
        assert!(hint.contains(&format!("image {component} of container {name}")), "{hint}");
        // Labels that are certain stay so: mirrors and vendors have names of their own.
        let labels = format!("@name={name} @component={}", if name == "jaeger" { "query" } else { name });
        let certain = crate::fixture::labelled(name, &labels, &format!("http:{port}"));
        assert_eq!(
            detectors::pods::recognise_with_pods(&certain, &detectors::pods::read(&certain, &pod)),
            detectors::recognise(&certain),
            "{image}",
        );
    }
}

#[test]
fn an_image_that_can_be_the_product_leaves_the_finding_alone() {
    let service = service("grafana", "http:3000");
    for image in
        ["acme/grafana-custom:9", "acme/platform/dashboards", "$REGISTRY/my-grafana:1", "$IMAGE", "acme/app@sha256:0a"]
    {
        let facts = detectors::pods::read(&service, &with_image("main", image, 3000));
        assert_eq!(detectors::pods::recognise_with_pods(&service, &facts), detectors::recognise(&service), "{image}");
    }
    let pod = container(json!({
        "name": "main",
        "image": "acme/storefront:1",
        "env": [{ "name": "GF_PATHS_DATA", "value": "/x" }],
        "ports": [{ "containerPort": 3000 }],
    }));
    assert!(!found(&service, &pod).contains("Low"), "a variable of Grafana");
}

#[test]
fn an_image_of_the_name_on_another_port_does_not_make_it_certain() {
    for (name, image) in [
        ("tempo", "acme/tempo:v1"),
        ("loki", "acme/loki:v1"),
        ("kibana", "acme/kibana:v1"),
        ("thanos", "acme/thanos:v1"),
    ] {
        let service = service(name, "http:80>8080");
        let alone = detectors::recognise(&service);
        let with = crate::fixture::findings(&service, &with_image(name, image, 8080));
        assert_eq!(with, alone, "{image}");
    }
    // The default port, a stated one and a file that can state one are the product's.
    let tempo = |args: Value, port: u16| {
        let ports = json!([{ "containerPort": port }]);
        let pod = container(json!({ "name": "tempo", "image": "acme/tempo:v1", "args": args, "ports": ports }));
        found(&service("tempo", &format!("http:{port}")), &pod)
    };
    assert!(tempo(json!([]), 3200).starts_with("Tempo High"), "{}", tempo(json!([]), 3200));
    assert!(tempo(json!(["-server.http-listen-port=8080"]), 8080).starts_with("Tempo High"));
    assert!(tempo(json!(["-config.file=/x"]), 8080).starts_with("Tempo High"));
    assert!(tempo(json!(["-multitenancy.enabled=false"]), 8080).starts_with("Tempo High"));
}

//! Elasticsearch, `OpenSearch`, Kibana and `OpenSearch` Dashboards: security is on or off by version, build and setting.

use detectors::{ServiceView, pods::PodView};
use serde_json::{Value, json};

use crate::fixture::{container, found, service};

fn elasticsearch() -> ServiceView {
    service("elasticsearch", "http:9200 transport:9300")
}

fn opensearch() -> ServiceView {
    service("opensearch", "http:9200 transport:9300")
}

fn with_env(image: &str, port: u16, env: &[(&str, &str)]) -> PodView {
    let env: Vec<Value> = env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    container(json!({ "name": "node", "image": image, "env": env, "ports": [{ "containerPort": port }] }))
}

#[test]
fn elasticsearch_has_tls_and_users_since_version_8() {
    let url = |image: &str| found(&elasticsearch(), &with_env(image, 9200, &[]));
    assert_eq!(url("docker.elastic.co/elasticsearch/elasticsearch:8.17.0"), "Elasticsearch High https://:9200/ Basic");
    assert_eq!(url("docker.elastic.co/elasticsearch/elasticsearch:7.17.3"), "Elasticsearch High http://:9200/ None");
    assert_eq!(url("docker.elastic.co/elasticsearch/elasticsearch-oss:6.8.0"), "Elasticsearch High http://:9200/ None");
    assert_eq!(url("elasticsearch@sha256:0a1b"), "Elasticsearch High http~://:9200/ Basic~");
}

#[test]
fn settings_of_elasticsearch_beat_its_version() {
    let url = |env: &[(&str, &str)]| found(&elasticsearch(), &with_env("elasticsearch:8.17.0", 9200, env));
    assert_eq!(url(&[("xpack.security.enabled", "false")]), "Elasticsearch High http://:9200/ None");
    let no_tls = [("xpack.security.enabled", "true"), ("xpack.security.http.ssl.enabled", "false")];
    assert_eq!(url(&no_tls), "Elasticsearch High http://:9200/ Basic");
    let flag = container(json!({
        "name": "es",
        "image": "elasticsearch:8.17.0",
        "args": ["elasticsearch", "-E", "xpack.security.enabled=false"],
        "ports": [{ "containerPort": 9200 }],
    }));
    assert_eq!(found(&elasticsearch(), &flag), "Elasticsearch High http://:9200/ None");
    let short = container(json!({
        "name": "es",
        "image": "elasticsearch:8.17.0",
        "args": ["-Expack.security.enabled=false"],
        "ports": [{ "containerPort": 9200 }],
    }));
    assert_eq!(found(&elasticsearch(), &short), "Elasticsearch High http://:9200/ None");
}

#[test]
fn a_mounted_elasticsearch_yml_decides_what_no_variable_states() {
    let pod = container(json!({
        "name": "es",
        "image": "elasticsearch:8.17.0",
        "ports": [{ "containerPort": 9200 }],
        "volumeMounts": [{ "name": "config", "mountPath": "/usr/share/elasticsearch/config/elasticsearch.yml" }],
    }));
    assert_eq!(found(&elasticsearch(), &pod), "Elasticsearch High https~://:9200/ Basic~");
}

#[test]
fn eck_always_has_users_and_states_the_scheme() {
    let with = |protocol: &str| {
        container(json!({
            "name": "elasticsearch",
            "image": "registry.example/es:8.17.0",
            "env": [
                { "name": "READINESS_PROBE_PROTOCOL", "value": protocol },
                { "name": "PROBE_PASSWORD_PATH", "value": "/mnt/elastic-internal/pod-mounted-users/x" },
            ],
            "ports": [{ "name": protocol, "containerPort": 9200 }, { "name": "transport", "containerPort": 9300 }],
        }))
    };
    // The image says nothing here. The variable and the container's name do.
    assert_eq!(found(&elasticsearch(), &with("http")), "Elasticsearch High http://:9200/ Basic");
    assert_eq!(found(&elasticsearch(), &with("https")), "Elasticsearch High https://:9200/ Basic");
}

#[test]
fn eck_without_the_variable_is_known_by_its_mounts_and_its_port_name() {
    let pod = container(json!({
        "name": "elasticsearch",
        "image": "docker.elastic.co/elasticsearch/elasticsearch:8.17.0",
        "ports": [{ "name": "https", "containerPort": 9200 }],
        "volumeMounts": [
            { "name": "x", "mountPath": "/mnt/elastic-internal/xpack-file-realm" },
            { "name": "y", "mountPath": "/usr/share/elasticsearch/config/elasticsearch.yml" },
        ],
    }));
    assert_eq!(found(&elasticsearch(), &pod), "Elasticsearch High https://:9200/ Basic");
}

#[test]
fn bitnamis_builds_are_open_unless_security_is_on() {
    let es =
        |env: &[(&str, &str)]| found(&elasticsearch(), &with_env("docker.io/bitnami/elasticsearch:8.17.0", 9200, env));
    assert_eq!(es(&[]), "Elasticsearch High http://:9200/ None");
    assert_eq!(es(&[("ELASTICSEARCH_ENABLE_SECURITY", "true")]), "Elasticsearch High https://:9200/ Basic");
    let plain = [("ELASTICSEARCH_ENABLE_SECURITY", "true"), ("ELASTICSEARCH_ENABLE_REST_TLS", "false")];
    assert_eq!(es(&plain), "Elasticsearch High http://:9200/ Basic");
    let os = |env: &[(&str, &str)]| found(&opensearch(), &with_env("mirror.example/opensearch:2.18.0", 9200, env));
    assert_eq!(os(&[("BITNAMI_DEBUG", "false")]), "OpenSearch High http://:9200/ None");
    let plain = [("OPENSEARCH_ENABLE_SECURITY", "true"), ("OPENSEARCH_ENABLE_REST_TLS", "false")];
    assert_eq!(os(&plain), "OpenSearch High http://:9200/ Basic");
}

#[test]
fn opensearch_has_tls_and_users_unless_its_plugin_is_off() {
    let url = |env: &[(&str, &str)]| found(&opensearch(), &with_env("opensearchproject/opensearch:2.18.0", 9200, env));
    assert_eq!(url(&[]), "OpenSearch High https://:9200/ Basic");
    assert_eq!(url(&[("DISABLE_SECURITY_PLUGIN", "true")]), "OpenSearch High http://:9200/ None");
    assert_eq!(url(&[("plugins.security.disabled", "true")]), "OpenSearch High http://:9200/ None");
    assert_eq!(url(&[("plugins.security.ssl.http.enabled", "false")]), "OpenSearch High http://:9200/ Basic");
}

#[test]
fn a_variable_from_a_config_map_leaves_security_open() {
    let pod = container(json!({
        "name": "opensearch",
        "image": "opensearchproject/opensearch:2.18.0",
        "env": [
            { "name": "DISABLE_SECURITY_PLUGIN", "valueFrom": { "configMapKeyRef": { "name": "c", "key": "k" } } },
            { "name": "OPENSEARCH_JAVA_OPTS", "value": "-Xms1g" },
        ],
        "ports": [{ "containerPort": 9200 }],
    }));
    assert_eq!(found(&opensearch(), &pod), "OpenSearch High https~://:9200/ Basic~");
}

#[test]
fn the_operators_probe_calls_opensearch_with_a_user() {
    let pod = container(json!({
        "name": "opensearch",
        "image": "docker.io/opensearchproject/opensearch:2.18.0",
        "ports": [{ "name": "http", "containerPort": 9200 }],
        "volumeMounts": [{ "name": "config", "mountPath": "/usr/share/opensearch/config/opensearch.yml" }],
        "readinessProbe": { "exec": { "command": [
            "/bin/bash", "-c", "curl -k -u \"$(cat /mnt/admin/username):$(cat /mnt/admin/password)\" --silent --fail https://localhost:9200",
        ] } },
    }));
    assert_eq!(found(&opensearch(), &pod), "OpenSearch High https://:9200/ Basic");
}

#[test]
fn old_images_answer_only_where_http_is_on() {
    let image = "quay.io/pires/docker-elasticsearch-kubernetes:6.2.4";
    let url = |env: &[(&str, &str)]| found(&service("elasticsearch", "http:9200"), &with_env(image, 9200, env));
    let client = [("HTTP_ENABLE", "true"), ("NODE_MASTER", "false"), ("NODE_DATA", "false")];
    assert_eq!(url(&client), "Elasticsearch High http://:9200/ None");
    assert_eq!(url(&[("HTTP_ENABLE", "false")]), "- a node without HTTP");
}

#[test]
fn kibana_answers_under_its_base_path_only_if_it_rewrites() {
    let service = service("kibana", "http:5601");
    let url = |env: &[(&str, &str)]| found(&service, &with_env("docker.elastic.co/kibana/kibana:7.17.3", 5601, env));
    let base = ("SERVER_BASEPATH", "/kibana");
    assert_eq!(url(&[base]), "Kibana High http://:5601/ Basic~");
    assert_eq!(url(&[base, ("SERVER_REWRITEBASEPATH", "true")]), "Kibana High http://:5601/kibana Basic~");
    assert_eq!(url(&[("SERVER_SSL_ENABLED", "true")]), "Kibana High https://:5601/ Basic~");
    assert_eq!(url(&[("ELASTICSEARCH_HOSTS", "https://es:9200")]), "Kibana High http://:5601/ Basic~");
    assert_eq!(url(&[("XPACK_SECURITY_ENABLED", "false")]), "Kibana High http://:5601/ None");
}

#[test]
fn the_probe_of_eck_shows_the_scheme_and_the_base_path_of_kibana() {
    let pod = container(json!({
        "name": "kibana",
        "image": "docker.elastic.co/kibana/kibana:8.17.0",
        "ports": [{ "name": "https", "containerPort": 5601 }],
        "volumeMounts": [{ "name": "config", "mountPath": "/usr/share/kibana/config" }],
        "readinessProbe": { "httpGet": { "path": "/kb/login", "port": 5601, "scheme": "HTTPS" } },
    }));
    assert_eq!(found(&service("kibana", "https:5601"), &pod), "Kibana High https://:5601/kb Basic~");
}

#[test]
fn a_setting_of_dashboards_beats_a_probe_that_was_left_as_it_was() {
    let pod = container(json!({
        "name": "dashboards",
        "image": "bitnami/opensearch-dashboards:2.18.0",
        "env": [{ "name": "OPENSEARCH_DASHBOARDS_SERVER_ENABLE_TLS", "value": "true" }],
        "ports": [{ "name": "http", "containerPort": 5601 }],
        "readinessProbe": { "httpGet": { "path": "/", "port": "http" } },
    }));
    assert_eq!(found(&service("opensearch-dashboards", "http:5601"), &pod), "Kibana High https://:5601/ None");
}

fn elasticsearch_8(env: &[(&str, &str)], mounts: &[&str]) -> String {
    let env: Vec<Value> = env.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let mounts: Vec<Value> = mounts.iter().map(|path| json!({ "mountPath": path })).collect();
    let pod = container(json!({
        "name": "es",
        "image": "docker.elastic.co/elasticsearch/elasticsearch:8.17.4",
        "env": env,
        "volumeMounts": mounts,
        "ports": [{ "containerPort": 9200 }],
    }));
    found(&service("elasticsearch", "http:9200"), &pod)
}

#[test]
fn elasticsearch_takes_settings_under_the_names_of_its_image() {
    let off = [("ES_SETTING_XPACK_SECURITY_ENABLED", "false")];
    assert_eq!(elasticsearch_8(&off, &[]), "Elasticsearch High http://:9200/ None");
    let plain = [("ES_SETTING_XPACK_SECURITY_HTTP_SSL_ENABLED", "false")];
    assert_eq!(elasticsearch_8(&plain, &[]), "Elasticsearch High http://:9200/ Basic");
}

#[test]
fn elasticsearch_without_auto_configuration_has_users_and_no_tls() {
    let off = [("xpack.security.autoconfiguration.enabled", "false")];
    assert_eq!(elasticsearch_8(&off, &[]), "Elasticsearch High http://:9200/ Basic");
    let file = ["/usr/share/elasticsearch/config/elasticsearch.yml"];
    assert_eq!(elasticsearch_8(&off, &file), "Elasticsearch High http~://:9200/ Basic~");
}

#[test]
fn elasticsearch_with_data_of_before_can_have_no_tls() {
    assert_eq!(elasticsearch_8(&[], &[]), "Elasticsearch High https://:9200/ Basic");
    let data = ["/usr/share/elasticsearch/data"];
    assert_eq!(elasticsearch_8(&[], &data), "Elasticsearch High https~://:9200/ Basic");
    let stated = [("xpack.security.http.ssl.enabled", "true")];
    assert_eq!(elasticsearch_8(&stated, &data), "Elasticsearch High https://:9200/ Basic");
}

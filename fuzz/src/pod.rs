//! The spec of a Pod from bytes.

use detectors::pods::PodView;
use serde_json::{Value, json};

use crate::{input::Input, words, world};

const IMAGES: &[&str] = &[
    "prometheus",
    "alertmanager",
    "thanos",
    "grafana",
    "loki",
    "tempo",
    "mimir",
    "cortex",
    "all-in-one",
    "jaeger",
    "zipkin",
    "elasticsearch",
    "opensearch",
    "kibana",
    "opensearch-dashboards",
    "victoria-metrics",
    "vmselect",
    "victoria-logs",
    "victoria-traces",
    "nginx",
    "oauth-proxy",
    "oauth2-proxy",
    "kube-rbac-proxy",
    "prom-label-proxy",
    "prometheus-auth",
    "pushgateway",
    "shop",
    "mcp-server",
    "istio-proxy",
    "proxyv2",
    "haproxy",
    "envoy",
];

const FLAGS: &[&str] = &[
    "--web.route-prefix",
    "--web.external-url",
    "--web.config.file",
    "--storage.tsdb.path",
    "--config.file",
    "--enable-feature",
    "--agent",
    "--web.external-prefix",
    "--http.config",
    "-target",
    "-server.path-prefix",
    "-http.prometheus-http-prefix",
    "-http-api-prefix",
    "-server.http-tls-cert-path",
    "-auth.enabled",
    "-auth.multitenancy-enabled",
    "-tls",
    "-http.pathPrefix",
    "-httpAuth.username",
    "-storageNode",
    "--query.base-path",
    "--query.http.tls.enabled",
    "--upstream",
    "--upstreams",
    "--secure-listen-address",
    "--https-address",
    "--http-address",
    "--insecure-listen-address",
    "--listen-address",
    "--proxy-url",
    "--allow-paths",
    "--config",
    "--label",
    "--web.listen-address",
    "-httpListenAddr",
    "-envflag.enable",
    "-c",
    "-E",
    "query",
    "run",
];

const VARIABLES: &[&str] = &[
    "GF_SERVER_ROOT_URL",
    "GF_SERVER_SERVE_FROM_SUB_PATH",
    "GF_SERVER_PROTOCOL",
    "GF_AUTH_ANONYMOUS_ENABLED",
    "GF_SERVER_HTTP_PORT",
    "QUERY_BASE_PATH",
    "SERVER_BASEPATH",
    "SERVER_REWRITEBASEPATH",
    "SERVER_SSL_ENABLED",
    "DISABLE_SECURITY_PLUGIN",
    "xpack.security.enabled",
    "xpack.security.http.ssl.enabled",
    "ELASTICSEARCH_ENABLE_SECURITY",
    "READINESS_PROBE_PROTOCOL",
    "ISTIO_KUBE_APP_PROBERS",
    "VM_tls",
    "MCP_PORT",
    "V0",
    "V1",
    "V2",
];

/// Values of listed settings. The secret stands only where no part of the value may be kept.
const VALUES: &[&str] = &[
    "true",
    "false",
    "http",
    "https",
    "all",
    "read",
    "write",
    "/prom",
    "/grafana/",
    "prom",
    "/a/../b",
    "//evil",
    "/a b",
    "%(protocol)s://%(domain)s:%(http_port)s/grafana/",
    "http://127.0.0.1:9090",
    "https://localhost:9090/prom",
    "http://s3cr3t-w0rd:s3cr3t-w0rd@grafana.example/sub?token=s3cr3t-w0rd#s3cr3t-w0rd",
    "http://user:s3cr3t-w0rd@127.0.0.1:9090/",
    ":9090",
    "0.0.0.0:8443",
    "http://prometheus-operated.monitoring.svc:9090",
    "$(V0)",
    "$(V1)/x",
    "$(",
    "$$(V0)",
    "8080",
    "agent",
    "?x=s3cr3t-w0rd",
    "/?s3cr3t-w0rd",
    "https://x?s3cr3t-w0rd=/s3cr3t-w0rd",
    "{{ env.TOKEN }}",
    "\u{a7}",
    "\r\n",
    "query",
    "minio/prometheus",
];

const PROBES: &[&str] = &[
    "/-/ready",
    "/prom/-/ready",
    "/-/healthy",
    "/api/health",
    "/ready",
    "/health",
    "/vm/health",
    "/login",
    "/api/status",
    "/jaeger/",
    "/?s3cr3t-w0rd",
    "/a/../-/ready",
    "//-/ready",
    "/{{x}}/-/ready",
    "/app-health/x/readyz",
    "/",
    "",
];

/// A product as its charts run it: image, port, and the settings that decide about its endpoint.
struct Known {
    image: &'static str,
    port: u16,
    flags: &'static [&'static str],
    variables: &'static [&'static str],
}

const fn known(
    image: &'static str,
    port: u16,
    flags: &'static [&'static str],
    variables: &'static [&'static str],
) -> Known {
    Known { image, port, flags, variables }
}

const KNOWN: &[Known] = &[
    known("prometheus", 9090, &["--web.route-prefix", "--web.external-url", "--web.config.file", "--agent"], &[]),
    known("alertmanager", 9093, &["--web.route-prefix", "--web.external-url"], &[]),
    known("thanos", 9090, &["query", "--web.route-prefix", "--web.external-prefix", "--http.config"], &[]),
    known("grafana", 3000, &[], &["GF_SERVER_ROOT_URL", "GF_SERVER_SERVE_FROM_SUB_PATH", "GF_SERVER_PROTOCOL"]),
    known("loki", 3100, &["-server.path-prefix", "-target", "-auth.enabled"], &[]),
    known("tempo", 3200, &["-http-api-prefix", "-target"], &[]),
    known("mimir", 8080, &["-http.prometheus-http-prefix", "-server.path-prefix", "-target"], &[]),
    known("all-in-one", 16686, &["--query.base-path", "--query.http.tls.enabled"], &["QUERY_BASE_PATH"]),
    known("kibana", 5601, &[], &["SERVER_BASEPATH", "SERVER_REWRITEBASEPATH", "SERVER_SSL_ENABLED"]),
    known("victoria-metrics", 8428, &["-http.pathPrefix", "-tls", "-httpAuth.username"], &["VM_http_pathPrefix"]),
    known("elasticsearch", 9200, &["-E"], &["xpack.security.enabled", "xpack.security.http.ssl.enabled"]),
    known("oauth-proxy", 8443, &["--https-address", "--http-address", "--upstream"], &[]),
    known("kube-rbac-proxy", 8443, &["--secure-listen-address", "--upstream", "--allow-paths"], &[]),
];

/// The spec of a Pod in JSON.
pub fn spec(input: &mut Input<'_>) -> Value {
    json!({
        "containers": input.several(3, container),
        "initContainers": input.several(1, container),
        "hostNetwork": input.any::<bool>(),
    })
}

/// What is read of the spec of a Pod.
pub fn view(input: &mut Input<'_>) -> PodView {
    serde_json::from_value(spec(input)).unwrap_or_default()
}

fn container(input: &mut Input<'_>) -> Value {
    let known = if input.any() { KNOWN.get(input.up_to(KNOWN.len() - 1)) } else { None };
    let image = format!(
        "{}{}{}",
        input.word(&["", "registry.example:5000/s3cr3t-w0rd/", "rancher/mirrored-", "$REGISTRY/"]),
        known.map_or_else(|| input.word(IMAGES), |known| known.image),
        input.word(&["", ":v2.0.1", "@sha256:0123", ":s3cr3t-w0rd"]),
    );
    let name = if input.one_in(8) { input.text(words::ANNOTATIONS, 2) } else { input.word(IMAGES).to_owned() };
    let (flags, variables) = known.map_or((FLAGS, VARIABLES), |known| (known.flags, known.variables));
    let args = input.several(5, |input| argument(input, flags));
    let mut env = input.several(4, |input| variable(input, variables));
    env.push(json!({"name": "PASSWORD", "value": words::SECRET}));
    let mut ports =
        input.several(3, |input| json!({"containerPort": world::port_number(input), "name": input.word(words::PORTS)}));
    ports.extend(known.map(|known| json!({"containerPort": known.port, "name": "http"})));
    let mut container = json!({
        "name": name, "image": image, "args": args, "env": env, "ports": ports,
        "command": input.several(2, |input| input.word(&["sh", "-c", "/run.sh", "prometheus", "exec", "/bin/thanos query", "s3cr3t-w0rd"])),
        "readinessProbe": input.sometimes(2, probe),
        "livenessProbe": input.sometimes(4, probe),
    });
    if input.one_in(6) {
        container["envFrom"] = json!([{"secretRef": {"name": "s"}}]);
    }
    if input.one_in(6) {
        container["volumeMounts"] =
            json!([{"name": "c", "mountPath": input.word(&["/etc/grafana", "/etc/jaeger", "/s3cr3t-w0rd"])}]);
    }
    container
}

fn argument(input: &mut Input<'_>, flags: &[&'static str]) -> String {
    let flag = input.word(flags);
    match input.up_to(5_u8) {
        0 => flag.to_owned(),
        1 => input.word(VALUES).to_owned(),
        2 => input.text(flags, 3),
        3 => format!("{flag}={}", input.text(VALUES, 3)),
        _ => format!("{flag}={}", input.word(VALUES)),
    }
}

fn variable(input: &mut Input<'_>, names: &[&'static str]) -> Value {
    let name = input.word(names);
    if input.one_in(4) {
        let from = input.word(&["secretKeyRef", "configMapKeyRef", "fieldRef", "resourceFieldRef"]);
        return json!({"name": name, "valueFrom": {from: {"name": "s3cr3t-w0rd", "key": "s3cr3t-w0rd"}}});
    }
    json!({"name": name, "value": input.word(VALUES)})
}

fn probe(input: &mut Input<'_>) -> Value {
    let port = if input.any() { json!(world::port_number(input)) } else { json!(input.word(words::PORTS)) };
    match input.up_to(3_u8) {
        0 => json!({"tcpSocket": {"port": port}}),
        1 => {
            json!({"exec": {"command": ["sh", "-c", format!("curl -k -u s3cr3t-w0rd:s3cr3t-w0rd {}{}", input.word(VALUES), input.word(PROBES))]}})
        }
        _ => json!({"httpGet": {
            "port": port, "path": input.word(PROBES), "scheme": input.word(&["HTTP", "HTTPS", ""]),
            "httpHeaders": [{"name": "Authorization", "value": "s3cr3t-w0rd"}],
        }}),
    }
}

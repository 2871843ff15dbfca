//! The texts that inputs consist of: those that products and charts write, and those that attack.

/// A text that no output may contain. A path, a name and a label can hold it.
pub const TAINT: &str = "t4inted-text";
/// A text that no output may contain, and that no checked text of a Service can hold.
pub const MARK: &str = "\u{a7}";
/// The value of a variable that no text may contain.
pub const SECRET: &str = "s3cr3t-w0rd";

/// Namespaces of the platform.
pub const TRUSTED: &[&str] = &["monitoring", "tracing"];
/// Namespaces of tenants.
pub const TENANTS: &[&str] = &["team", "main", "grafana", "monitoring-b", "1e3"];

/// Names of Services.
pub const SERVICES: &[&str] = &[
    "prometheus",
    "grafana",
    "loki",
    "jaeger",
    "main",
    "prometheus-server",
    "monitoring",
    "a",
    "null",
    "prometheus-operated",
];

/// Label keys that rules read.
pub const LABEL_KEYS: &[&str] = &[
    "app.kubernetes.io/name",
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/part-of",
    "app",
    "k8s-app",
    "chart",
    "release",
    "tier",
    "operated-prometheus",
    "variant",
];

/// Label values that rules read.
pub const LABEL_VALUES: &[&str] = &[
    "prometheus",
    "grafana",
    "loki",
    "tempo",
    "mimir",
    "thanos",
    "query",
    "jaeger",
    "all-in-one",
    "elasticsearch",
    "opensearch",
    "kibana",
    "alertmanager",
    "server",
    "gateway",
    "true",
    "headless",
    "t4inted-text",
    "victoria-metrics-single",
    "vmselect",
    "zipkin",
    "mcp-server",
];

/// Values of this project's own annotations: those that fit, those that nearly fit, and attacks.
pub const ANNOTATIONS: &[&str] = &[
    "enabled",
    "disabled",
    "true",
    "prometheus",
    "Grafana",
    "loki",
    "jaeger",
    "mcp",
    "custom",
    "vector-database",
    "http",
    "https",
    "9090",
    "80",
    "web",
    "/",
    "/base",
    "/base/",
    "a-name",
    "main",
    "..",
    ".",
    "/",
    "//",
    "\\",
    "@",
    "#",
    "?",
    "%2f",
    ":",
    "http://",
    "https://",
    "prometheus.monitoring.svc",
    ".cluster.local",
    "@evil.example/x",
    "//evil.example",
    "[::ffff:a9fe:a9fe]",
    "0251.0376.0251.0376",
    "2852039166",
    "localhost.",
    "{{ env.TOKEN }}",
    "{% x %}",
    "${HOME}",
    "$(id)",
    "`id`",
    "\r\nHost: evil",
    "\u{202e}",
    "\u{200b}",
    "\u{a7}",
    "x",
];

/// Names of ports.
pub const PORTS: &[&str] =
    &["http", "web", "http-web", "service", "https", "http-query", "http-metrics", "metrics", "grpc", "t4inted-text"];

/// Numbers of ports.
pub const NUMBERS: &[u16] =
    &[9090, 80, 443, 3000, 3100, 3200, 8080, 9093, 9200, 16686, 8428, 8481, 5601, 9411, 1, 65535];

/// Texts for the model, and what a YAML reader could take for something else.
pub const TEXTS: &[&str] = &[
    "yes",
    "No",
    "on",
    "null",
    "~",
    "1",
    "1_000",
    "0o17",
    "017",
    "0x1F",
    "1e3",
    ".inf",
    ".nan",
    "12:30:45",
    "2026-11-20",
    "=",
    "<<",
    "- a",
    "? a",
    "a: b",
    "a #b",
    "#",
    "!tag",
    "&a",
    "*a",
    "|",
    ">",
    "%",
    "@",
    "'",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    " ",
    "  ",
    "\n",
    "\n ",
    "\n\n",
    "\t",
    ": ",
    " #",
    "---",
    "...",
    "gr\u{f6}\u{df}e",
    "\u{1f600}",
    "\u{a0}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{fffd}",
    "a",
    "lorem ipsum",
    "{ {",
    "$",
    "`",
    "{{",
    "?",
    "!!str",
    "-",
    "+",
    ".",
    "0",
];

//! Programs that are no product: their images beside products' names, or behind ports that products use too.

use super::image::Image;
use crate::engine::whole_words;

/// A program that is no product.
struct Other {
    /// As in [`Program`](super::program::Program).
    images: &'static [&'static str],
    /// What it is, for people.
    program: &'static str,
}

const fn other(program: &'static str, images: &'static [&'static str]) -> Other {
    Other { images, program }
}

/// The names are those of the programs' own images.
const OTHERS: &[Other] = &[
    other(
        "an agent that collects data",
        &[
            "agent",
            "alloy",
            "fluent-bit",
            "fluentd",
            "fluentd-elasticsearch",
            "filebeat",
            "metricbeat",
            "logstash",
            "logstash-oss",
            "opentelemetry-collector",
            "opentelemetry-collector-contrib",
            "opentelemetry-collector-k8s",
            "otelcol",
            "promtail",
            "telegraf",
            "vector",
            "vlagent",
            "vmagent",
        ],
    ),
    other(
        "an alert forwarder",
        &[
            "alertmanager-bot",
            "alertmanager-discord",
            "alertmanager-sns-forwarder",
            "alertmanager-to-github",
            "alertmanager-webhook-logger",
            "prometheus-msteams",
            "prometheus-webhook-dingtalk",
            "karma",
            "kthxbye",
        ],
    ),
    other("the Prometheus Pushgateway", &["pushgateway", "prometheus-pushgateway"]),
    other(
        "the Prometheus Adapter",
        &[
            "prometheus-adapter",
            "k8s-prometheus-adapter",
            "k8s-prometheus-adapter-amd64",
            "prometheus-kafka-adapter",
            "prometheus-example-app",
        ],
    ),
    other("a rule evaluator", &["rule-evaluator", "vmalert", "thanos-rule-syncer"]),
    other(
        "a configuration reloader",
        &[
            "config-reloader",
            "configmap-reload",
            "prometheus-config-reloader",
            "k8s-sidecar",
            "grafana-dashboard-loader",
        ],
    ),
    other(
        "an internal component of VictoriaMetrics",
        &[
            "vminsert",
            "vmstorage",
            "vmbackup",
            "vmbackupmanager",
            "vmanomaly",
            "victoriametrics-vminsert",
            "victoriametrics-vmstorage",
            "victoriametrics-vmagent",
            "victoriametrics-vmalert",
        ],
    ),
    other("vmauth", &["vmauth", "victoriametrics-vmauth"]),
    other(
        "an internal component of Jaeger",
        &[
            "jaeger-collector",
            "jaeger-agent",
            "jaeger-ingester",
            "jaeger-webhook",
            "jaeger-es-rollover",
            "jaeger-es-index-cleaner",
            "spark-dependencies",
            "jaeger-remote-storage",
        ],
    ),
    other("the Jaeger API for Tempo", &["tempo-query", "grafana-tempo-query", "tempo-jaeger-query"]),
    other("a test program for Loki or Tempo", &["loki-canary", "tempo-vulture", "grafana-tempo-vulture"]),
    other("an example application", &["example-hotrod"]),
    other("a fork with another API", &["plutono", "vali"]),
    other("an Elasticsearch console", &["elasticsearch-hq", "elasticsearch-head", "cerebro", "elasticvue"]),
    other("an Elasticsearch tool", &["elasticsearch-curator", "curator", "elasticsearch-dump"]),
    other("the Grafana image renderer", &["grafana-image-renderer"]),
    other("a profiler", &["pyroscope", "parca"]),
    other("Percona Monitoring", &["pmm-server"]),
    other("SkyWalking", &["skywalking-oap-server", "skywalking-ui"]),
    other("Graylog", &["graylog"]),
    other("a cache", &["memcached", "redis", "valkey"]),
    other("the Linkerd Viz API", &["metrics-api"]),
    other("the Thanos receive controller", &["thanos-receive-controller"]),
    other("kube-state-metrics", &["kube-state-metrics"]),
];

/// Words in the name of an image that is no product's.
const WORDS: &[(&str, &str)] = &[
    ("exporter", "an exporter"),
    ("operator", "an operator"),
    ("reloader", "a configuration reloader"),
    ("adapter", "an adapter"),
    ("curator", "an Elasticsearch tool"),
    ("webhook", "a webhook"),
    ("mcp", MCP),
];

/// The description of MCP servers, which are a product too.
pub(crate) const MCP: &str = "an MCP server";

/// What in the image says which program it is.
pub(crate) enum Named {
    /// Its name.
    Image(&'static str),
    /// A word of its name.
    Word(&'static str),
}

/// What the image is, if it is a known one.
pub(crate) fn by_image(image: &Image<'_>) -> Option<(&'static str, Named)> {
    let by_name = OTHERS.iter().find_map(|other| Some((other.program, Named::Image(image.name_in(other.images)?))));
    by_name.or_else(|| {
        let known = |word: &str| WORDS.iter().find(|(known, _)| whole_words::contains(&[known], word));
        image.words().find_map(known).map(|(word, program)| (*program, Named::Word(word)))
    })
}

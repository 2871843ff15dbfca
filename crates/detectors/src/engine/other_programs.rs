//! Words beside a product's name that make it the name of another program or component.

use super::{rule::Rule, whole_words};

/// Words that do so wherever they are: `prometheus-adapter`, `mcp-grafana`, `jaeger-agent`. A word that ends with
/// `exporter` is one of them. Chats are, because programs forward alerts to them: `ntfy-alertmanager`.
const OTHER_PROGRAMS: &[&str] = &[
    "adapter",
    "adaptor",
    "admission",
    "agent",
    "alloy",
    "backup",
    "blackbox",
    "collector",
    "curator",
    "dingtalk",
    "discord",
    "exporter",
    "exporters",
    "feishu",
    "filebeat",
    "fluentbit",
    "fluentd",
    "gossip",
    "gotify",
    "hotrod",
    "logstash",
    "mcp",
    "memberlist",
    "metricbeat",
    "msteams",
    "ntfy",
    "operator",
    "promtail",
    "proxy",
    "pushgateway",
    "reloader",
    "renderer",
    "sidecar",
    "sync",
    "telegram",
    "webhook",
    "webhooks",
    "wechat",
    "wecom",
];

/// Words that do so only after the product's name. Before it they name its owner or the release: `metrics-grafana`,
/// `kafka-prometheus`.
const OTHER_COMPONENTS: &[&str] = &[
    "alert",
    "alerts",
    "bot",
    "bridge",
    "cache",
    "canary",
    "cassandra",
    "cleaner",
    "config",
    "controller",
    "cron",
    "db",
    "discovery",
    "example",
    "federator",
    "fluent",
    "forwarder",
    "generator",
    "hook",
    "importer",
    "job",
    "kafka",
    "loadgen",
    "mariadb",
    "memcached",
    "metrics",
    "migration",
    "migrator",
    "mongo",
    "mongodb",
    "mysql",
    "peer",
    "peers",
    "postgres",
    "postgresql",
    "push",
    "redis",
    "relay",
    "sample",
    "scrape",
    "scraper",
    "setup",
    "shipper",
    "snmp",
    "target",
    "targets",
    "transport",
    "zookeeper",
];

/// Whether `word` names another program wherever it is.
pub(crate) fn is_program(word: &str) -> bool {
    whole_words::contains(OTHER_PROGRAMS, word) || whole_words::ends_with(word, "exporter")
}

/// Whether `word`, after the product's name, names a component of it that answers no queries.
pub(crate) fn is_component(word: &str, rule: &Rule) -> bool {
    whole_words::contains(OTHER_COMPONENTS, word) || whole_words::contains(rule.other_components, word)
}

/// Whether a word of `value` names another program, or a component that answers no queries.
pub(crate) fn are_named_in(value: &str, rule: &Rule) -> bool {
    whole_words::split(value).any(|word| is_program(word) || is_component(word, rule))
}

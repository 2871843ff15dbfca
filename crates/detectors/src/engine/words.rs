//! Whole words: what a label's value or a Service's name says, never a substring of it.

use super::rule::Rule;
use crate::Product;

/// Words that make something else of a product's name wherever they stand beside it: `prometheus-adapter`,
/// `mcp-grafana`, `jaeger-agent`. A word that ends in `exporter` counts like the word itself.
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
    "exporter",
    "exporters",
    "filebeat",
    "fluentbit",
    "fluentd",
    "gossip",
    "hotrod",
    "logstash",
    "mcp",
    "memberlist",
    "metricbeat",
    "operator",
    "promtail",
    "proxy",
    "pushgateway",
    "reloader",
    "renderer",
    "sidecar",
    "sync",
    "webhook",
    "webhooks",
];

/// Words that say so only behind the product's name: before it they are the owner's or the release's (`metrics-grafana`,
/// `kafka-prometheus`).
const OTHER_PARTS: &[&str] = &[
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

/// At most this many words of a value are read; a Service's name has 63 characters.
const MAX_WORDS: usize = 24;

/// What a value says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Saying<'a> {
    /// The product it names: of several the last, since owners stand before (`prometheus-grafana` is a Grafana).
    pub product: Option<Product>,
    /// The word that makes something else of it.
    pub contradiction: Option<&'a str>,
    /// What stands behind the product's name, e.g. `query-frontend`.
    pub rest: &'a str,
}

/// Reads a value. `release` is the Helm release, whose name in front says nothing.
pub(crate) fn read<'a>(value: &'a str, release: Option<&str>, rules: &[&Rule]) -> Saying<'a> {
    if let Some(rest) = release.and_then(|release| value.strip_prefix(release)).and_then(|rest| rest.strip_prefix('-'))
    {
        let saying = read_words(rest, rules);
        if saying.product.is_some() {
            return saying;
        }
    }
    read_words(value, rules)
}

fn read_words<'a>(value: &'a str, rules: &[&Rule]) -> Saying<'a> {
    let mut words = [""; MAX_WORDS];
    let mut count = 0;
    for word in split(value).take(MAX_WORDS) {
        words[count] = word;
        count += 1;
    }
    let words = &words[..count];
    let mut mention: Option<(usize, usize, &Rule)> = None;
    for rule in rules {
        for sequence in rule.words {
            for start in 0..words.len() {
                let end = start + sequence.len();
                let later = mention.is_none_or(|(first, last, _)| end > last || (end == last && start < first));
                if later
                    && end <= words.len()
                    && words[start..end].iter().zip(*sequence).all(|(word, own)| says(word, own))
                {
                    mention = Some((start, end, rule));
                }
            }
        }
    }
    let contradiction = words.iter().enumerate().find_map(|(at, word)| {
        let own = mention.is_some_and(|(start, end, _)| (start..end).contains(&at));
        let behind = mention.is_some_and(|(_, end, _)| at >= end);
        let part = |rule: &Rule| contains(rule.parts, word);
        let contradicts = is_other_program(word)
            || (behind && (contains(OTHER_PARTS, word) || mention.is_some_and(|(_, _, rule)| part(rule))));
        (!own && contradicts).then_some(*word)
    });
    let rest = match mention {
        Some((_, end, _)) if end < words.len() => &value[offset(value, words[end])..],
        _ => "",
    };
    Saying { product: mention.map(|(_, _, rule)| rule.product), contradiction, rest }
}

/// The words of a value: runs of letters and digits.
pub(crate) fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether `word` is `own` in any case, with or without a version's digits behind it (`elasticsearch7`).
pub(crate) fn says(word: &str, own: &str) -> bool {
    word.eq_ignore_ascii_case(own) || word.trim_end_matches(|c: char| c.is_ascii_digit()).eq_ignore_ascii_case(own)
}

/// Whether `word` names another program beside whatever product stands with it.
pub(crate) fn is_other_program(word: &str) -> bool {
    contains(OTHER_PROGRAMS, word) || ends_with(word, "exporter")
}

/// Whether any word of `value` names another program or a part that serves no queries.
pub(crate) fn names_another_part<'a>(value: &'a str, rule: &Rule) -> Option<&'a str> {
    split(value).find(|word| is_other_program(word) || contains(OTHER_PARTS, word) || contains(rule.parts, word))
}

/// Whether `list` holds `word`, in any case.
pub(crate) fn contains(list: &[&str], word: &str) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(word))
}

fn ends_with(word: &str, end: &str) -> bool {
    word.len() >= end.len() && word.as_bytes()[word.len() - end.len()..].eq_ignore_ascii_case(end.as_bytes())
}

/// Where `part`, a slice of `whole`, starts in it.
fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

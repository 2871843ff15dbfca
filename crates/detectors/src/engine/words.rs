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

/// At most this many words of a value are read; a Service's name has 63 characters.
const MAX_WORDS: usize = 24;

/// The words of all products, and with which letter and length each of their names starts: most words of a cluster are
/// ruled out by that alone.
pub(crate) struct Vocabulary {
    rules: &'static [&'static Rule],
    /// Per first letter, one bit per length of a first word.
    starts: [u32; 26],
}

impl Vocabulary {
    /// The words of these rules.
    pub const fn of(rules: &'static [&'static Rule]) -> Self {
        let mut starts = [0; 26];
        let mut rule = 0;
        while rule < rules.len() {
            let mut sequence = 0;
            while sequence < rules[rule].words.len() {
                let first = rules[rule].words[sequence][0].as_bytes();
                starts[(first[0] - b'a') as usize] |= 1 << first.len();
                sequence += 1;
            }
            rule += 1;
        }
        Self { rules, starts }
    }

    /// Whether some product's name may start with this word.
    fn may_start(&self, word: &str) -> bool {
        let first = word.bytes().next().map_or(0, |byte| byte.to_ascii_lowercase());
        first.is_ascii_lowercase() && word.len() < 32 && self.starts[usize::from(first - b'a')] & (1 << word.len()) != 0
    }

    /// Reads a value. `release` is the Helm release, whose name in front says nothing.
    pub fn read<'a>(&self, value: &'a str, release: Option<&str>) -> Saying<'a> {
        let behind_release = release.and_then(|release| value.strip_prefix(release)?.strip_prefix('-'));
        if let Some(saying) = behind_release.map(|rest| self.read_words(rest))
            && saying.rule.is_some()
        {
            return saying;
        }
        self.read_words(value)
    }

    fn read_words<'a>(&self, text: &'a str) -> Saying<'a> {
        let mut words = [""; MAX_WORDS];
        let mut count = 0;
        for word in split(text).take(MAX_WORDS) {
            words[count] = word;
            count += 1;
        }
        let mut saying = Saying { text, ..Saying::default() };
        for start in 0..count {
            if !self.may_start(without_version(words[start])) {
                continue;
            }
            for rule in self.rules {
                for sequence in rule.words {
                    let end = start + sequence.len();
                    // The last one counts, and of those that end together the longest.
                    if end > saying.end
                        && end <= count
                        && words[start..end].iter().zip(*sequence).all(|(word, own)| says(word, own))
                    {
                        saying = Saying { rule: Some(rule), start, end, text };
                    }
                }
            }
        }
        saying
    }
}

/// What a value says.
#[derive(Clone, Copy, Default)]
pub(crate) struct Saying<'a> {
    /// The product it names: of several the last, since owners stand before (`prometheus-grafana` is a Grafana).
    rule: Option<&'static Rule>,
    /// Which words name it.
    start: usize,
    end: usize,
    text: &'a str,
}

impl<'a> Saying<'a> {
    /// The product it names.
    pub fn product(&self) -> Option<Product> {
        self.rule.map(|rule| rule.product)
    }

    /// The word that makes something else of it.
    pub fn contradiction(&self) -> Option<&'a str> {
        split(self.text).enumerate().find_map(|(at, word)| {
            let own = (self.start..self.end).contains(&at);
            let part = |rule: &Rule| contains(OTHER_PARTS, word) || contains(rule.parts, word);
            let behind = at >= self.end && self.rule.is_some_and(part);
            (!own && (behind || is_other_program(word))).then_some(word)
        })
    }

    /// What stands behind the product's name, e.g. `query-frontend`.
    pub fn rest(&self) -> &'a str {
        let next = split(self.text).nth(self.end).filter(|_| self.rule.is_some());
        next.map_or("", |next| &self.text[offset(self.text, next)..])
    }
}

/// The words of a value: runs of letters and digits.
pub(crate) fn split(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether `word` is `own` in any case, with or without a version's digits behind it (`elasticsearch7`).
pub(crate) fn says(word: &str, own: &str) -> bool {
    without_version(word).eq_ignore_ascii_case(own)
}

fn without_version(word: &str) -> &str {
    let digits = word.bytes().rev().take_while(u8::is_ascii_digit).count();
    &word[..word.len() - digits]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VOCABULARY;

    fn product(value: &str) -> Option<Product> {
        VOCABULARY.read(value, None).product()
    }

    #[test]
    fn the_last_product_named_counts() {
        assert_eq!(product("prometheus-grafana"), Some(Product::Grafana));
        assert_eq!(product("grafana-loki"), Some(Product::Loki));
        assert_eq!(product("jaeger-elasticsearch-master"), Some(Product::Elasticsearch));
        assert_eq!(product("victoria-metrics-alert-alertmanager"), Some(Product::Alertmanager));
        assert_eq!(product("loki-prometheus-server"), Some(Product::Prometheus));
    }

    #[test]
    fn of_names_that_end_together_the_longer_counts() {
        assert_eq!(product("opensearch-dashboards"), Some(Product::Kibana));
        assert_eq!(product("elastic-search"), Some(Product::Elasticsearch));
        assert_eq!(product("enterprise-logs"), Some(Product::Loki));
    }

    #[test]
    fn words_are_whole_in_any_case_and_without_a_version() {
        assert_eq!(product("Grafana"), Some(Product::Grafana));
        assert_eq!(product("elasticsearch7"), Some(Product::Elasticsearch));
        assert_eq!(product("my_jaeger.svc"), Some(Product::Jaeger));
        assert_eq!(product("lokitown"), None);
        assert_eq!(product("temporal"), None);
        assert_eq!(product("7"), None);
        assert_eq!(product(""), None);
        assert_eq!(product("é-loki"), Some(Product::Loki));
    }

    #[test]
    fn a_contradiction_is_a_word_beside_the_products_own() {
        let contradiction = |value: &str| VOCABULARY.read(value, None).contradiction().map(str::to_owned);
        assert_eq!(contradiction("prometheus-node-exporter"), Some("node".to_owned()));
        assert_eq!(contradiction("redis-exporter"), Some("exporter".to_owned()));
        assert_eq!(contradiction("nodeexporter"), Some("nodeexporter".to_owned()));
        assert_eq!(contradiction("mcp-grafana"), Some("mcp".to_owned()));
        assert_eq!(contradiction("grafana-metrics"), Some("metrics".to_owned()));
        assert_eq!(contradiction("metrics-grafana"), None);
        assert_eq!(contradiction("victoria-metrics-single"), None);
        assert_eq!(contradiction("kafka-prometheus"), None);
        assert_eq!(contradiction("checkout"), None);
    }

    #[test]
    fn a_releases_name_in_front_says_nothing() {
        let read = |value, release| VOCABULARY.read(value, Some(release));
        assert_eq!(read("metrics-exporter-grafana", "metrics-exporter").contradiction(), None);
        assert_eq!(read("prometheus-node-exporter", "prometheus").contradiction(), Some("node"));
        assert_eq!(read("grafana", "grafana").product(), Some(Product::Grafana));
        assert_eq!(read("loki-gateway", "loki").rest(), "gateway");
    }

    #[test]
    fn what_stands_behind_the_name_is_kept_as_written() {
        assert_eq!(VOCABULARY.read("thanos-query-frontend", None).rest(), "query-frontend");
        assert_eq!(VOCABULARY.read("thanos", None).rest(), "");
        assert_eq!(VOCABULARY.read("checkout-api", None).rest(), "");
    }
}

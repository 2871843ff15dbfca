//! Finds the product that a label's value or a Service's name mentions.

use super::{
    other_programs,
    rule::Rule,
    telling_port::PortBits,
    whole_words::{is, split, without_version},
};
use crate::product::Product;

/// The number of words of a value that are read. The name of a Service has at most 63 characters.
const MAX_WORDS: usize = 24;

/// The names of all products.
///
/// Two tables say how these names can start and how long they can be. They rule out nearly every value in a cluster, so
/// that it is not compared with any name.
pub(crate) struct Vocabulary {
    rules: &'static [&'static Rule],
    /// Per first letter, one bit for each length of a first word of a product's name.
    first_words: [u64; LETTERS],
    /// Per first letter, one bit for each length of an exact name.
    names: [u64; LETTERS],
    /// Per first letter, one bit for each length of the name of a chart.
    charts: [u64; LETTERS],
    telling_ports: PortBits,
}

const LETTERS: usize = 26;

impl Vocabulary {
    /// The names in these rules. They start with a lower-case letter and have fewer than 64 characters.
    pub(crate) const fn of(rules: &'static [&'static Rule]) -> Self {
        let (mut first_words, mut names, mut charts) = ([0; LETTERS], [0; LETTERS], [0; LETTERS]);
        let mut at = 0;
        while at < rules.len() {
            let rule = rules[at];
            let mut word = 0;
            while word < rule.name_words.len() {
                add(&mut first_words, rule.name_words[word][0]);
                word += 1;
            }
            let mut name = 0;
            while name < rule.names.len() {
                add(&mut names, rule.names[name].value);
                name += 1;
            }
            let mut chart = 0;
            while chart < rule.charts.len() {
                add(&mut charts, rule.charts[chart].value);
                chart += 1;
            }
            at += 1;
        }
        Self { rules, first_words, names, charts, telling_ports: PortBits::telling(rules) }
    }

    /// The product that `value` mentions. The name of the Helm release at the start of `value` is not a mention, unless
    /// nothing else is.
    pub(crate) fn mention<'a>(&self, value: &'a str, release: Option<&str>) -> Mention<'a> {
        let after_release = release.and_then(|release| value.strip_prefix(release)?.strip_prefix('-'));
        let mention = after_release.map(|rest| self.mention_in(rest)).filter(|mention| mention.rule.is_some());
        mention.unwrap_or_else(|| self.mention_in(value))
    }

    /// The ports that tell a product without anything else.
    pub(crate) fn telling_ports(&self) -> PortBits {
        self.telling_ports
    }

    /// The rules that have `value` as an exact name.
    pub(crate) fn named(&self, value: &str) -> impl Iterator<Item = &'static Rule> {
        let rules = if has(&self.names, value) { self.rules } else { &[] };
        rules.iter().copied().filter(move |rule| rule.name(value).is_some())
    }

    /// Whether the name of a product's chart begins like this.
    pub(crate) fn can_install(&self, chart: &str) -> bool {
        let first = chart.bytes().next().map_or(0, |byte| byte.to_ascii_lowercase());
        first.is_ascii_lowercase() && self.charts[usize::from(first - b'a')] != 0
    }

    /// The rules whose product a chart with this name installs.
    pub(crate) fn installed_by(&self, chart: &str) -> impl Iterator<Item = &'static Rule> {
        let rules = if has(&self.charts, chart) { self.rules } else { &[] };
        rules.iter().copied().filter(move |rule| rule.chart(chart).is_some())
    }

    fn mention_in<'a>(&self, text: &'a str) -> Mention<'a> {
        let mut mention = Mention { text, rule: None, start: 0, end: 0 };
        if !split(text).any(|word| self.can_start(word)) {
            return mention;
        }
        let mut words = [""; MAX_WORDS];
        let mut count = 0;
        for word in split(text).take(MAX_WORDS) {
            words[count] = word;
            count += 1;
        }
        for start in 0..count {
            if !self.can_start(words[start]) {
                continue;
            }
            for rule in self.rules {
                for name in rule.name_words {
                    let end = start + name.len();
                    // The last name counts. Of those that end at the same word, the longest does.
                    if end > mention.end
                        && end <= count
                        && words[start..end].iter().zip(*name).all(|(word, expected)| is(word, expected))
                    {
                        mention = Mention { text, rule: Some(rule), start, end };
                    }
                }
            }
        }
        mention
    }

    fn can_start(&self, word: &str) -> bool {
        has(&self.first_words, without_version(word))
    }
}

const fn add(table: &mut [u64; LETTERS], word: &str) {
    let word = word.as_bytes();
    table[(word[0] - b'a') as usize] |= 1 << word.len();
}

/// Whether a word with this first letter and length is in the table.
fn has(table: &[u64; LETTERS], word: &str) -> bool {
    let first = word.bytes().next().map_or(0, |byte| byte.to_ascii_lowercase());
    first.is_ascii_lowercase() && word.len() < 64 && table[usize::from(first - b'a')] & (1 << word.len()) != 0
}

/// A product's name in a value.
#[derive(Clone, Copy)]
pub(crate) struct Mention<'a> {
    text: &'a str,
    /// The product. Of several it is the last, because owners come first: `prometheus-grafana` is a Grafana.
    rule: Option<&'static Rule>,
    /// Which words are its name.
    start: usize,
    end: usize,
}

impl<'a> Mention<'a> {
    /// The product that is mentioned, if one is.
    pub(crate) fn product(&self) -> Option<Product> {
        self.rule.map(|rule| rule.product)
    }

    /// The word that makes it the name of another program or component.
    pub(crate) fn contradiction(&self) -> Option<&'a str> {
        split(self.text).enumerate().find_map(|(at, word)| {
            let own = (self.start..self.end).contains(&at);
            let component = at >= self.end && self.rule.is_some_and(|rule| other_programs::is_component(word, rule));
            (!own && (component || other_programs::is_program(word))).then_some(word)
        })
    }

    /// The words before the product's name.
    pub(crate) fn before(&self) -> impl Iterator<Item = &'a str> {
        split(self.text).take(self.start)
    }

    /// The words after the product's name.
    pub(crate) fn after(&self) -> impl Iterator<Item = &'a str> {
        split(self.text).skip(self.end)
    }

    /// The text after the product's name, e.g. `query-frontend`.
    pub(crate) fn rest(&self) -> &'a str {
        let next = split(self.text).nth(self.end).filter(|_| self.rule.is_some());
        next.map_or("", |next| &self.text[offset(self.text, next)..])
    }
}

/// The position of `part`, a slice of `whole`, in it.
fn offset(whole: &str, part: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize).min(whole.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        alertmanager, elasticsearch, grafana, jaeger, kibana, loki, opensearch, prometheus, thanos, victoriametrics,
    };

    static VOCABULARY: Vocabulary = Vocabulary::of(&[
        &prometheus::RULE,
        &thanos::RULE,
        &victoriametrics::RULE,
        &alertmanager::RULE,
        &grafana::RULE,
        &loki::RULE,
        &jaeger::RULE,
        &elasticsearch::RULE,
        &opensearch::RULE,
        &kibana::RULE,
    ]);

    fn product(value: &str) -> Option<Product> {
        VOCABULARY.mention(value, None).product()
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
        let contradiction = |value: &str| VOCABULARY.mention(value, None).contradiction().map(str::to_owned);
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
        let mention = |value, release| VOCABULARY.mention(value, Some(release));
        assert_eq!(mention("metrics-exporter-grafana", "metrics-exporter").contradiction(), None);
        assert_eq!(mention("prometheus-node-exporter", "prometheus").contradiction(), Some("node"));
        assert_eq!(mention("grafana", "grafana").product(), Some(Product::Grafana));
        assert_eq!(mention("loki-gateway", "loki").rest(), "gateway");
    }

    #[test]
    fn what_stands_behind_the_name_is_kept_as_written() {
        assert_eq!(VOCABULARY.mention("thanos-query-frontend", None).rest(), "query-frontend");
        assert_eq!(VOCABULARY.mention("thanos", None).rest(), "");
        assert_eq!(VOCABULARY.mention("checkout-api", None).rest(), "");
    }
}

//! Programs that work with a product are named `<product>-<word>`. Their ports are those of any web server, so nothing
//! but the word tells them from the product.

use detectors::{Confidence, Outcome, Product};

use crate::fixture::{Fixture, service};

const PRODUCTS: &[&str] = &[
    "prometheus",
    "alertmanager",
    "grafana",
    "loki",
    "tempo",
    "mimir",
    "thanos",
    "jaeger",
    "zipkin",
    "elasticsearch",
    "opensearch",
    "kibana",
    "victoria-metrics",
    "victoria-logs",
    "victoria-traces",
];
/// Words of real programs of this kind.
const RECEIVERS: &[&str] =
    &["msteams", "to-github", "webhook-dingtalk", "ntfy", "telegram", "discord", "matrix", "jira", "sns", "sms", "irc"];
const SEPARATORS: &[&str] = &["-", "--", "_", "."];
/// Ports as such programs declare them.
const PORTS: &[&str] = &[
    "-:2000>http",
    "-:80>8080",
    "http:80>http",
    "http:80>8080",
    "http:8080>http",
    "http:8080",
    "-:8080",
    "web:8080>web",
    "web:80>web",
    "https:443>8443",
    "http:9087",
    "-:9087>http",
    "metrics:9100",
    "http:8080 metrics:9090",
    "-:3000",
    "http:3000>http",
    "api:5000>api",
    "http-metrics:8080>http-metrics",
    "ui:80>http",
    "server:8080",
    "service:80>3000",
    "query:8080",
];
/// Each product with its own number.
const NUMBERS: &[(&str, u16)] = &[
    ("prometheus", 9090),
    ("alertmanager", 9093),
    ("grafana", 3000),
    ("loki", 3100),
    ("tempo", 3200),
    ("mimir", 9009),
    ("thanos", 10902),
    ("jaeger", 16686),
    ("zipkin", 9411),
    ("elasticsearch", 9200),
    ("elastic", 9200),
    ("opensearch", 9200),
    ("kibana", 5601),
    ("opensearch-dashboards", 5601),
    ("victoria-metrics", 8428),
    ("vmselect", 8481),
    ("victoria-logs", 9428),
    ("victoria-traces", 10428),
];
/// Names that any web server gives its port, and `-` for none.
const GENERIC_NAMES: &[&str] = &[
    "-",
    "http",
    "https",
    "metrics",
    "http-metrics",
    "api",
    "rest",
    "tcp",
    "server",
    "ui",
    "service",
    "query",
    "dashboard",
];

/// A generator with a fixed seed, so that every run sees the same Services (xorshift64, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0)
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.roll() % all.len()]
    }

    /// A word that nobody uses, such as `kodaru`. Shorter ones can be English: `demo`.
    fn word(&mut self) -> String {
        const STARTS: &[&str] = &["b", "d", "f", "k", "m", "r", "s", "t", "v", "z", "pl", "gr"];
        let mut word = String::new();
        for _ in 0..3 + self.roll() % 3 {
            word.push_str(self.pick(STARTS));
            word.push_str(self.pick(&["a", "e", "i", "o", "u"]));
        }
        word
    }

    /// A Service of the program with this name.
    fn service_of(&mut self, program: &str) -> Fixture {
        let name = program.replace(['_', '.'], "-");
        let placed = match self.roll() % 7 {
            0 => service(&name).both(&format!("app={program}")),
            1 => service(&name).both(&format!("@name={program} @instance={program}")),
            2 => service(&name).selector(&format!("app={program}")),
            3 => service(&name).selector(&format!("@name={program}")),
            4 => service(&name)
                .labels(&format!("app={program} chart={program}-1.3.4 release={program} heritage=Helm"))
                .selector(&format!("app={program} release={program}")),
            5 => service(&name)
                .labels(&format!("@name={program} @instance=alerts helm.sh/chart={program}-0.4.1 @managed-by=Helm"))
                .selector(&format!("@name={program} @instance=alerts")),
            _ => service(&name).both(&format!("k8s-app={program} component={program}")),
        };
        placed.ports(self.pick(PORTS))
    }

    /// A port with the product's own number, as port or as target port.
    fn port_to(&mut self, number: u16) -> String {
        let name = self.pick(GENERIC_NAMES);
        match self.roll() % 4 {
            0 => format!("{name}:80>{number}"),
            1 => format!("{name}:{number}>http"),
            _ => format!("{name}:{number}"),
        }
    }
}

#[test]
fn none_of_thousands_of_invented_programs_beside_a_product_is_taken_for_it() {
    let mut dice = Dice(0x5EED_0B5E_55AB_1E01);
    let mut wrong = Vec::new();
    for round in 0..6000 {
        let word = if round % 4 == 0 { dice.pick(RECEIVERS).to_owned() } else { dice.word() };
        let program = format!("{}{}{word}", dice.pick(PRODUCTS), dice.pick(SEPARATORS));
        let fixture = dice.service_of(&program);
        if fixture.chosen().is_some() {
            wrong.push(format!("{}: {:?}", fixture.chosen_url(), fixture.view()));
        }
    }
    assert!(wrong.is_empty(), "{} of 6000, for example {}", wrong.len(), wrong[0]);
}

#[test]
fn the_products_own_number_under_a_name_that_anybody_uses_makes_none_of_them_the_product() {
    let mut dice = Dice(0x0DD5_0F0A_B0A7_2B1E);
    let mut wrong = Vec::new();
    for round in 0..10_000 {
        let word = if round % 4 == 0 { dice.pick(RECEIVERS).to_owned() } else { dice.word() };
        let (product, number) = NUMBERS[dice.roll() % NUMBERS.len()];
        let program = format!("{product}{}{word}", dice.pick(SEPARATORS));
        let port = dice.port_to(number);
        let fixture = dice.service_of(&program).ports(&port);
        if fixture.chosen().is_some() {
            wrong.push(format!("{}: {:?}", fixture.chosen_url(), fixture.view()));
        }
    }
    assert!(wrong.is_empty(), "{} of 10000, for example {}", wrong.len(), wrong[0]);
}

#[test]
fn with_a_number_of_its_own_under_a_common_name_they_are_candidates() {
    for (name, port) in [
        ("alertmanager-signal", "-:9093"),
        ("alertmanager-signal", "http:9093"),
        ("elastic-foo", "http:9200"),
        ("loki-foo", "-:3100"),
        ("loki-foo", "http-metrics:3100"),
        ("jaeger-foo", "ui:16686"),
        ("tempo-foo", "http:80>3200"),
        ("prometheus-foo", "prometheus:9090"),
    ] {
        let fixture = service(name).both(&format!("app={name}")).ports(port);
        assert_eq!(fixture.chosen_url(), "-", "{name} {port}");
        let finding = &fixture.findings()[0];
        assert_eq!(finding.confidence, Confidence::Low, "{name} {port}");
        assert!(matches!(finding.outcome, Outcome::Endpoint(_)), "{name} {port}");
    }
}

#[test]
fn a_port_name_that_an_operator_or_the_product_itself_gives_makes_up_for_the_word() {
    for (name, port, url) in [
        ("prometheus-receiver", "web:9090", "Prometheus http://:9090"),
        ("prometheus-kodaru", "http-web:9090>http-web", "Prometheus http://:9090"),
        ("alertmanager-kodaru", "web:9093>web", "Alertmanager http://:9093"),
        ("jaeger-kodaru", "http-query:16686", "Jaeger http://:16686"),
        ("tempo-kodaru", "tempo-prom-metrics:3200", "Tempo http://:3200"),
        ("grafana-kodaru", "web:3000", "-"),
        ("loki-kodaru", "web:3100", "-"),
    ] {
        let fixture = service(name).both(&format!("app={name}")).ports(port);
        assert_eq!(fixture.chosen_url(), url, "{name} {port}");
    }
}

#[test]
fn a_word_that_describes_one_product_describes_no_other() {
    for name in ["mimir-search", "loki-search", "prometheus-search"] {
        let fixture =
            service(name).both(&format!("@name={name} @instance={name}")).ports("http-metrics:8080 http:9090");
        assert_eq!(fixture.chosen_url(), "-", "{name}");
    }
    let search = service("elasticsearch").both("@name=elasticsearch @component=search").ports("http:9200");
    assert_eq!(search.chosen_url(), "Elasticsearch http://:9200");
}

#[test]
fn a_port_named_after_a_role_counts_on_the_products_number_only() {
    for (labels, port) in [
        ("app=jaeger-server", "ui:8080"),
        ("@name=server @instance=jaeger-server", "ui:8080"),
        ("app=jaeger-server", "query:8080"),
    ] {
        assert_eq!(service("jaeger-server").both(labels).ports(port).chosen_url(), "-", "{labels} {port}");
    }
    let chart = service("x-query").both("@name=jaeger @component=query").ports("query:80>query admin:16687>admin");
    assert_eq!(chart.chosen_url(), "Jaeger http://:80");
    let own = service("jaeger-server").both("app=jaeger-server").ports("ui:80>16686");
    assert_eq!(own.chosen_url(), "Jaeger http://:80");
}

#[test]
fn a_program_that_its_name_label_calls_web_or_server_is_another_one() {
    for (name, label, port) in [
        ("grafana-web", "web", "web:80>3000"),
        ("jaeger-server", "server", "http:16686"),
        ("zipkin-search", "search", "http:80>9411"),
        ("loki-ui", "ui", "http:3100"),
    ] {
        let fixture = service(name).both(&format!("@name={label} @instance={name}")).ports(port);
        assert_eq!(fixture.chosen_url(), "-", "{name}");
    }
    let suite = service("prometheus").labels("@name=monitoring").selector("tier=mesh").ports("-:9090");
    assert_eq!(suite.chosen_url(), "Prometheus http://:9090");
    let scraped = service("backend-prometheus").both("app=backend").ports("http:9090");
    assert_eq!(scraped.chosen_url(), "-");
}

#[test]
fn an_owners_word_before_the_name_and_a_role_after_it_leave_it_the_product() {
    for (name, port, url) in [
        ("osm-grafana", "grafana-dashboard:3000", "Grafana http://:3000"),
        ("openebs-grafana", "-:32515>3000", "Grafana http://:32515"),
        ("my-prometheus", "-:9090", "Prometheus http://:9090"),
        ("main-prometheus", "web:9090", "Prometheus http://:9090"),
        ("prometheus-server", "http:80>9090", "Prometheus http://:80"),
        ("prometheus-k8s", "web:9090>web", "Prometheus http://:9090"),
        ("prometheus-prod", "web:9090", "Prometheus http://:9090"),
        ("prometheus-receiver", "web:9090", "Prometheus http://:9090"),
        ("loki-gateway", "http:80>8080", "-"),
        ("jaeger-query", "http-query:80>16686", "Jaeger http://:80"),
        ("grafana-dashboard", "dashboard:3000", "Grafana http://:3000"),
        ("grafana-nodeport", "-:3000", "Grafana http://:3000"),
        ("kibana-dash", "http:5601", "Kibana http://:5601"),
    ] {
        let fixture = service(name).both(&format!("app={name}")).ports(port);
        assert_eq!(fixture.chosen_url(), url, "{name}");
    }
}

#[test]
fn a_usual_port_needs_the_products_own_name_and_a_second_piece() {
    let exact = service("grafana").both("app=grafana").ports("http:80>http");
    assert_eq!(exact.chosen_url(), "Grafana http://:80");
    let behind_apache = service("kibana-dash").selector("@name=kibana @component=dashboard").ports("http:80");
    assert_eq!(behind_apache.chosen_url(), "Kibana http://:80");
    let by_role = service("prom-metrics").selector("@name=prometheus @component=server").ports("http:80");
    assert_eq!(by_role.chosen_url(), "Prometheus http://:80");
    for owned in ["my-grafana", "grafana-prod"] {
        let fixture = service(owned).both(&format!("app={owned}")).ports("http:80>http");
        assert_eq!(fixture.chosen_url(), "-", "{owned}");
        assert_eq!(fixture.findings()[0].confidence, Confidence::Low);
    }
}

#[test]
fn nobody_is_told_to_annotate_a_receiver_as_the_product() {
    for name in
        ["alertmanager-ntfy", "ntfy-alertmanager", "alertmanager-telegram", "prometheus-msteams", "alertmanager-kodaru"]
    {
        let product = if name.starts_with("prometheus") { Product::Prometheus } else { Product::Alertmanager };
        for ports in ["http:80>http", "-:2000>http", "http:8080", "http:9093"] {
            let fixture = service(name).both(&format!("app={name}")).ports(ports);
            let explanations = detectors::explain(fixture.view());
            let one = explanations.iter().find(|one| one.product == product).expect("every product explains");
            let taken = one.finding.as_ref().is_some_and(|found| found.confidence > Confidence::Low);
            let text = format!("{name} {ports}: {}", one.hint);
            assert!(taken || !one.hint.contains("toolset-type="), "{text}");
            assert!(taken || one.hint.contains("another program"), "{text}");
        }
    }
}

#[test]
fn a_role_or_a_port_of_its_own_cannot_be_borrowed_by_the_name_alone() {
    let named = service("prometheus-kodaru").both("app=prometheus-kodaru").ports("metrics:9090");
    assert!(named.chosen().is_none());
    let scraped = service("prometheus-kodaru")
        .both("app=prometheus-kodaru")
        .annotations("prometheus.io/port=7070")
        .ports("-:7070");
    assert!(scraped.chosen().is_none());
    let proxied = service("grafana-kodaru").both("app=grafana-kodaru").ports("oauth-proxy:8443");
    assert!(proxied.chosen().is_none());
    assert!(proxied.findings().iter().all(|found| !matches!(found.outcome, Outcome::NotAnEndpoint { .. })));
}

//! What `explain` says.

use detectors::{Confidence, Explanation, Product, explain};

use crate::fixture::{Fixture, service};

fn of(product: Product, fixture: &Fixture) -> Explanation {
    explain(fixture.view())
        .into_iter()
        .find(|explanation| explanation.product == product)
        .expect("every product explains")
}

#[test]
fn every_product_explains_in_the_fixed_order() {
    let products: Vec<Product> =
        explain(service("x").view()).into_iter().map(|explanation| explanation.product).collect();
    assert_eq!(products, Product::ALL);
}

#[test]
fn nothing_is_without_a_hint_that_can_be_acted_on() {
    for fixture in [
        service("shop").both("app=shop").ports("http:8080"),
        service("prometheus-proxy").both("app=prometheus-proxy").ports("http:9090"),
        service("loki-distributor").both("@name=loki @component=distributor").ports("http-metrics:3100"),
        service("prometheus").both("app=prometheus").ports("strange:1234"),
        service("thanos").both("@name=thanos").ports("http:10902"),
        service("es").both("app=es").ports("http:9200"),
    ] {
        for explanation in explain(fixture.view()) {
            assert!(explanation.hint.contains("kubernaut.io/toolset"), "{explanation:?}");
        }
    }
}

#[test]
fn a_contradicting_word_is_named_with_its_place() {
    let explanation =
        of(Product::Prometheus, &service("prometheus-proxy").both("app=prometheus-proxy").ports("http:9090"));
    assert!(explanation.finding.is_none());
    assert!(explanation.hint.contains("`proxy` in label app=prometheus-proxy"), "{}", explanation.hint);
    assert!(explanation.evidence.iter().any(|evidence| !evidence.supports));
}

#[test]
fn another_product_is_named() {
    let explanation = of(Product::Zipkin, &service("zipkin").selector("app=jaeger").ports("http:9411"));
    assert!(explanation.hint.contains("selector app=jaeger names Jaeger"), "{}", explanation.hint);
}

#[test]
fn a_component_that_answers_no_queries_points_to_the_one_that_does() {
    let explanation = of(
        Product::Loki,
        &service("loki-distributor").both("@name=loki @component=distributor").ports("http-metrics:3100"),
    );
    assert!(explanation.hint.contains("distributor") && explanation.hint.contains("gateway"), "{}", explanation.hint);
}

#[test]
fn a_missing_port_is_described_by_what_was_looked_for() {
    let explanation = of(
        Product::Prometheus,
        &service("prometheus").both("@name=prometheus @component=server").ports("strange:1234"),
    );
    assert!(explanation.hint.contains("9090"), "{}", explanation.hint);
    assert!(
        explanation.evidence.iter().any(|evidence| evidence.detail.contains("strange 1234")),
        "{:?}",
        explanation.evidence
    );
}

#[test]
fn evidence_says_where_it_comes_from() {
    let explanation = of(Product::Grafana, &service("grafana").both("@name=grafana").ports("service:80>3000"));
    let details: Vec<&str> = explanation.evidence.iter().map(|evidence| &*evidence.detail).collect();
    assert!(details.contains(&"label app.kubernetes.io/name=grafana"), "{details:?}");
    assert!(details.contains(&"selector app.kubernetes.io/name=grafana"), "{details:?}");
    assert!(details.contains(&"the Service's name grafana"), "{details:?}");
    assert!(details.iter().any(|detail| detail.starts_with("port service 80 to 3000")), "{details:?}");
}

#[test]
fn an_assumed_path_is_said_with_the_setting_that_moves_it() {
    let operated = service("prometheus-k8s")
        .labels("prometheus=k8s")
        .selector("app=prometheus prometheus=k8s")
        .ports("web:9090>web");
    let explanation = of(Product::Prometheus, &operated);
    assert!(explanation.finding.as_ref().is_some_and(|finding| finding.assumed.path));
    assert!(explanation.hint.contains("routePrefix"), "{}", explanation.hint);
    assert!(explanation.hint.contains("kubernaut.io/toolset-path"), "{}", explanation.hint);
    let search = of(Product::Elasticsearch, &service("es").both("@name=elasticsearch").ports("http:9200"));
    assert!(!search.hint.contains("toolset-path"), "{}", search.hint);
}

#[test]
fn a_port_with_a_wanted_number_is_refused_with_the_reason() {
    for (fixture, product, port, reason) in [
        (
            service("grafana").both("@name=grafana").ports("metrics:3000").headless(),
            Product::Grafana,
            "metrics 3000",
            "its name",
        ),
        (
            service("kibana").both("@name=kibana").ports("metrics:5601 http:9601"),
            Product::Kibana,
            "metrics 5601",
            "its name",
        ),
        (
            service("elasticsearch").both("@name=elasticsearch").ports("http:9114"),
            Product::Elasticsearch,
            "http 9114",
            "its number",
        ),
    ] {
        let explanation = of(product, &fixture);
        let against = explanation.evidence.iter().find(|evidence| !evidence.supports && evidence.detail.contains(port));
        let detail = &against.expect("says why not").detail;
        assert!(detail.contains(reason), "{detail}");
        assert!(!detail.starts_with("no port"), "{detail}");
        assert!(explanation.hint.contains(reason), "{}", explanation.hint);
    }
}

#[test]
fn a_word_that_can_name_another_program_is_outweighed_with_the_reason() {
    let fixture = service("prometheus-receiver").both("app=prometheus-receiver").ports("web:9090>web");
    let explanation = of(Product::Prometheus, &fixture);
    assert!(explanation.finding.is_some_and(|finding| finding.confidence == Confidence::Medium));
    assert!(explanation.evidence.iter().any(|evidence| evidence.detail.contains("`receiver`") && !evidence.supports));
    let hint = &explanation.hint;
    assert!(hint.contains("`receiver`") && hint.contains("port web 9090") && hint.contains("although"), "{hint}");
}

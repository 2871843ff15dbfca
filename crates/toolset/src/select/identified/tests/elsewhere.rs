//! Questions about an endpoint that the built-in rules do not find.

use super::*;

/// Prometheus answers on the second port of this Service. The rules choose the first one.
fn on_another_port() -> ServiceView {
    let mut view = service("monitoring", NAME, &[("http", 9090), ("real", 9091)]);
    view.labels = certain().labels;
    view.selector = certain().selector;
    view
}

fn to_another_port(more: &serde_json::Value) -> ToolsetConfig {
    let mut endpoint = json!({"port": "real"});
    endpoint.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let rule = json!({"name": "o", "match": {"namespace": "monitoring", "service": NAME}, "endpoint": endpoint});
    with(&json!({"overrides": [rule]}))
}

#[test]
fn a_service_is_asked_where_an_override_says_that_it_is_called() {
    let config = to_another_port(&json!({}));
    let world = |answers: Vec<IdentityEvidence>| {
        let mut index = index([on_another_port()]);
        index.apply_identity(&ServiceKey::new("monitoring", NAME), answers);
        index
    };
    let [question] = questions(&config, &world(vec![])).try_into().unwrap();
    assert_eq!((question.target.port, question.assumed.scheme), (9091, true));

    let of_rules = IdentityEvidence { port: 9090, ..denied() };
    let plan = planned(&config, &world(vec![of_rules.clone()]));
    assert_eq!(shown(&plan), "Prometheus High http://:9091", "the port of the rules does not count");
    assert_eq!(shown(&planned(&probing(), &world(vec![of_rules]))), "NotTheProduct");

    let plan =
        planned(&config, &world(vec![IdentityEvidence { port: 9091, stated: question.stated(), ..confirmed("/new") }]));
    assert_eq!(shown(&plan), "Prometheus High https://:9091/new");
    assert_eq!(plan.tools[0].from_identity, Parts { scheme: true, path: true, ..Parts::NOTHING });
    assert_eq!(
        shown(&planned(&config, &world(vec![IdentityEvidence { port: 9091, stated: question.stated(), ..denied() }]))),
        "NotTheProduct"
    );

    let config = to_another_port(&json!({"scheme": "http"}));
    assert_eq!(questions(&config, &world(vec![])), [], "nothing is left to ask");
}

#[test]
fn an_entry_keeps_the_scheme_of_the_port_that_was_asked() {
    let config = to_another_port(&json!({}));
    let index = index([on_another_port()]);
    let kept = |port| shown(&remembering(&config, &index, &remembered(Product::Prometheus, port)));
    assert_eq!(kept(9091), "Prometheus High https://:9091/kept");
    assert_eq!(kept(9090), "Prometheus High http://:9091/kept");
}

#[test]
fn a_service_that_only_a_signature_recognises_is_asked_for_its_scheme() {
    let mut view = labelled(service("monitoring", NAME, &[("api", 7000)]), &[("team", "a")]);
    view.selector = view.labels.clone();
    let signature = |more: &serde_json::Value| {
        let mut signature =
            json!({"name": "s", "type": "Prometheus", "port": "api", "selector": {"matchLabels": {"team": "a"}}});
        signature.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with(&json!({"signatures": [signature]}))
    };
    let open = signature(&json!({}));
    let [question] = questions(&open, &world([view.clone()], None)).try_into().unwrap();
    assert_eq!((question.product, question.target.port), (Product::Prometheus, 7000));
    assert_eq!(after(&open, view.clone(), confirmed("/new")), "Prometheus High https://:7000/new");
    assert_eq!(after(&open, view.clone(), denied()), "Prometheus High http://:7000");
    assert_eq!(questions(&signature(&json!({"scheme": "https"})), &world([view.clone()], None)), []);
    assert_eq!(questions(&probing(), &world([view], None)), []);
}

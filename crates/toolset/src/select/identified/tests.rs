use crd_types::ToolsetConfig;
use detectors::{Product, Scheme, ServiceKey};
use serde_json::json;

use super::{super::remembered::RememberedTool, *};
use crate::{
    DEFAULT_CLUSTER_DOMAIN, Endpoint, Index, Plan,
    fixtures::{annotated, config, grafana, index, labelled, planned, prometheus, service, trusting_monitoring},
    identity::Stated,
    pipeline,
    select::evidence::each_question,
};

const NAME: &str = "api-prometheus";

fn probing() -> ToolsetConfig {
    with(&json!({}))
}

/// A `ToolsetConfig` that enables identity probes, with further fields.
fn with(more: &serde_json::Value) -> ToolsetConfig {
    let mut spec = json!({
        "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}}],
        "evidence": {"identity": "Probe"},
    });
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config(spec)
}

/// A Service that can be Prometheus because of its name. It can also be the metrics Service of another program.
fn weak() -> ServiceView {
    let mut view = labelled(service("monitoring", NAME, &[("http", 9090)]), &[("app", "api")]);
    view.selector = view.labels.clone();
    view
}

/// A Service that is Prometheus because of its labels. Its scheme and its path are assumed.
fn certain() -> ServiceView {
    prometheus("monitoring", NAME)
}

fn questions(config: &ToolsetConfig, index: &Index) -> Vec<IdentityQuestion> {
    let mut all = Vec::new();
    each_question(config, index, |question| all.push(question));
    all
}

fn answered(verdict: IdentityVerdict, scheme: Option<Scheme>, path: Option<&str>) -> IdentityEvidence {
    IdentityEvidence {
        product: Product::Prometheus,
        port: 9090,
        stated: Stated::default(),
        verdict,
        scheme,
        path: path.map(ToOwned::to_owned),
        said: "GET /x: the class".to_owned(),
    }
}

fn confirmed(path: &str) -> IdentityEvidence {
    answered(IdentityVerdict::Confirmed, Some(Scheme::Https), Some(path))
}

fn denied() -> IdentityEvidence {
    answered(IdentityVerdict::Denied { is: "Pushgateway" }, Some(Scheme::Http), None)
}

fn unknown(scheme: Option<Scheme>) -> IdentityEvidence {
    answered(IdentityVerdict::Unknown, scheme, None)
}

/// An index with these Services. `answer` is the evidence for the first port of the Service with the usual name.
fn world(views: impl IntoIterator<Item = ServiceView>, answer: Option<IdentityEvidence>) -> Index {
    world_of(&probing(), views, answer)
}

/// The same if the evidence answers the question of this `ToolsetConfig`.
fn world_of(
    config: &ToolsetConfig,
    views: impl IntoIterator<Item = ServiceView>,
    answer: Option<IdentityEvidence>,
) -> Index {
    let mut index = index(views);
    let key = ServiceKey::new("monitoring", NAME);
    if let (Some(answer), Some(port)) = (answer, index.service(&key).map(|service| service.view.ports[0].port)) {
        let stated =
            questions(config, &index).iter().find(|question| question.key == key).map(IdentityQuestion::stated);
        index.apply_identity(&key, vec![IdentityEvidence { port, stated: stated.unwrap_or_default(), ..answer }]);
    }
    index
}

/// The plan for this Service alone, with this evidence.
fn after(config: &ToolsetConfig, view: ServiceView, answer: IdentityEvidence) -> String {
    shown(&planned(config, &world([view], Some(answer))))
}

/// `High https://:9090/path`, or the reason of the rejection.
fn shown(plan: &Plan) -> String {
    match (plan.tools.as_slice(), plan.rejected.as_slice()) {
        ([tool], []) => {
            let Endpoint { scheme, port, path, .. } = &tool.endpoint;
            format!("{} {} {scheme}://:{port}{path}", tool.product, tool.confidence)
        }
        ([], [rejected]) => rejected.reason.to_string(),
        (tools, rejected) => format!("{} tools, {} rejected", tools.len(), rejected.len()),
    }
}

/// The plan, if the output contains the Service as this tool.
fn remembering(config: &ToolsetConfig, index: &Index, before: &RememberedTool) -> Plan {
    with_memory(config, index, &Remembered::Tool(before.clone()))
}

/// The plan, if this is remembered about the Service.
fn with_memory(config: &ToolsetConfig, index: &Index, before: &Remembered) -> Plan {
    let outcome = pipeline::run(pipeline::Input {
        config,
        cluster_domain: DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        remembered: Some(&|_| Some(before.clone())),
        health: pipeline::HealthInput::Unobserved,
        legacy_overrides: None,
        base: None,
        previous: None,
    });
    outcome.plan
}

fn remembered(product: Product, port: u16) -> RememberedTool {
    let key = ServiceKey::new("monitoring", NAME);
    RememberedTool {
        product,
        endpoint: Endpoint::of_service(&key, Scheme::Https, port, "/kept", DEFAULT_CLUSTER_DOMAIN).unwrap(),
        confidence: Confidence::High,
        from_pods: Parts::NOTHING,
        from_identity: Parts { product: true, port: false, scheme: true, path: true },
        identity: "GET /before: confirmed".to_owned(),
    }
}

#[test]
fn a_service_with_too_little_evidence_becomes_a_tool_when_it_is_confirmed() {
    let plan = planned(&probing(), &world([weak()], None));
    assert_eq!(shown(&plan), "NotEnoughEvidence");

    let plan = planned(&probing(), &world([weak()], Some(confirmed("/prom"))));

    assert_eq!(shown(&plan), "Prometheus High https://:9090/prom");
    let tool = &plan.tools[0];
    assert_eq!(tool.from_identity, Parts { product: true, port: false, scheme: true, path: true });
    assert_eq!(tool.identity, "GET /x: the class");
    assert_eq!(tool.decided_by, "identity probe, GET /x: the class");
    assert!(!tool.assumed.scheme && !tool.assumed.path, "{:?}", tool.assumed);
}

#[test]
fn a_confirmation_without_a_path_keeps_the_assumed_path() {
    let answer = answered(IdentityVerdict::Confirmed, Some(Scheme::Http), None);
    let plan = planned(&probing(), &world([weak()], Some(answer)));
    assert_eq!(shown(&plan), "Prometheus High http://:9090");
    assert!(plan.tools[0].assumed.path && !plan.tools[0].from_identity.path);
}

#[test]
fn a_service_with_high_confidence_is_probed_only_if_its_scheme_is_assumed() {
    let of = |view| questions(&probing(), &world([view], None));
    let [question] = of(certain()).try_into().unwrap();
    assert_eq!((question.product, question.target.port), (Product::Prometheus, 80));
    assert!(question.assumed.scheme && question.assumed.path);
    assert_eq!(of(annotated(certain(), &[("kubernaut.io/toolset-scheme", "https")])), []);
    assert_eq!(after(&probing(), certain(), confirmed("/prom")), "Prometheus High https://:80/prom");
}

#[test]
fn a_look_alike_is_rejected_even_if_the_rules_give_high_confidence() {
    for view in [weak(), certain()] {
        let plan = planned(&probing(), &world([view], Some(denied())));
        let [rejected] = plan.rejected.as_slice() else { panic!("{:?}", plan.rejected) };
        assert_eq!(rejected.reason, ServiceReason::NotTheProduct);
        assert!(rejected.message.contains("is that of Pushgateway (GET /x"), "{}", rejected.message);
    }
}

#[test]
fn a_denied_look_alike_displaces_no_other_service() {
    // Both are of one release, so only the preferred one of them becomes a tool.
    let plain = |service| {
        let mut view = prometheus("monitoring", service);
        view.labels = certain().labels;
        view.selector = certain().selector;
        view
    };
    let twin = || ServiceView { headless: true, ..plain("z") };
    let names = |answer| {
        let all = planned(&probing(), &world([plain(NAME), twin()], answer));
        all.tools.iter().map(|tool| tool.key.as_ref().unwrap().name.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(None), [NAME]);
    assert_eq!(names(Some(denied())), ["z"]);
}

#[test]
fn a_product_from_an_annotation_or_a_signature_is_not_denied() {
    let stated = annotated(weak(), &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "prometheus")]);
    assert_eq!(after(&probing(), stated, denied()), "Prometheus High http://:9090");
    let signature = json!([{
        "name": "mine", "type": "Prometheus", "port": 9090,
        "selector": {"matchLabels": {"team": "a"}},
    }]);
    let mut signed = weak();
    signed.labels = [("team", "a")].into_iter().collect();
    assert_eq!(after(&with(&json!({"signatures": signature})), signed, denied()), "Prometheus High http://:9090");
}

#[test]
fn responses_complete_the_values_of_annotations_and_do_not_change_them() {
    let stated = |more: &[(&str, &str)]| {
        let type_ = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "prometheus")];
        annotated(weak(), &[&type_, more].concat())
    };
    let https = "Prometheus High https://:9090";
    assert_eq!(after(&probing(), stated(&[]), confirmed("/prom")), format!("{https}/prom"));
    let path = [("kubernaut.io/toolset-path", "/mine")];
    assert_eq!(after(&probing(), stated(&path), confirmed("/prom")), format!("{https}/mine"));
    let scheme = [("kubernaut.io/toolset-scheme", "http")];
    assert_eq!(after(&probing(), stated(&scheme), confirmed("/prom")), "Prometheus High http://:9090");
}

#[test]
fn an_override_replaces_the_values_of_a_response_and_removes_its_note() {
    let rule = json!([{
        "name": "o", "match": {"namespace": "monitoring", "service": NAME},
        "endpoint": {"path": "/mine", "scheme": "http"},
    }]);
    let config = with(&json!({"overrides": rule}));
    let plan = planned(&config, &world_of(&config, [weak()], Some(confirmed("/mine"))));
    assert_eq!(shown(&plan), "Prometheus High http://:9090/mine");
    assert_eq!(plan.tools[0].from_identity, Parts { product: true, ..Parts::NOTHING });
    // The response to the question of another ToolsetConfig is about another path.
    for answer in [confirmed("/prom"), denied()] {
        assert_eq!(shown(&planned(&config, &world([weak()], Some(answer)))), "NotEnoughEvidence");
    }
}

#[test]
fn a_response_that_proves_nothing_changes_only_the_advice() {
    for scheme in [None, Some(Scheme::Http)] {
        let plan = planned(&probing(), &world([weak()], Some(unknown(scheme))));
        let [rejected] = plan.rejected.as_slice() else { panic!("{:?}", plan.tools) };
        assert_eq!(rejected.reason, ServiceReason::NotEnoughEvidence);
        assert!(
            rejected.message.ends_with("The identity probe did not confirm the product: GET /x: the class."),
            "{rejected:?}"
        );
    }
    assert_eq!(after(&probing(), certain(), unknown(None)), "Prometheus High http://:80");
    assert_eq!(after(&probing(), certain(), unknown(Some(Scheme::Https))), "Prometheus High https://:80");
}

#[test]
fn a_service_that_must_not_be_probed_is_planned_as_without_probes_and_shows_why() {
    let why = "its Pod uses the host network";
    let asked = |view: ServiceView| questions(&probing(), &world([view], None)).remove(0);
    let plan = |view: ServiceView| {
        let evidence = IdentityEvidence::not_asked(&asked(view.clone()), why);
        planned(&probing(), &world([view], Some(evidence)))
    };

    let weak = plan(weak());
    let [rejected] = weak.rejected.as_slice() else { panic!("{:?}", weak.tools) };
    assert_eq!(rejected.reason, ServiceReason::NotEnoughEvidence);
    let said = "The identity probe was not sent, because its Pod uses the host network.";
    assert!(rejected.message.ends_with(said), "{rejected:?}");

    let sure = plan(certain());
    let without = planned(&probing(), &world([certain()], None));
    assert_eq!(shown(&sure), shown(&without));
    assert_eq!(sure.tools[0].identity, "not sent, because its Pod uses the host network");
    assert_eq!(sure.tools[0].from_identity, Parts::NOTHING);
}

#[test]
fn a_tool_that_must_no_longer_be_probed_keeps_what_a_response_has_proved() {
    let before = remembered(Product::Prometheus, 9090);
    let asked = questions(&probing(), &world([weak()], None)).remove(0);
    let index = world([weak()], Some(IdentityEvidence::not_asked(&asked, "its Pod uses the host network")));
    let plan = remembering(&probing(), &index, &before);
    assert_eq!(shown(&plan), "Prometheus High https://:9090/kept");
    assert_eq!((plan.tools[0].from_identity, &plan.tools[0].identity), (before.from_identity, &before.identity));
}

#[test]
fn evidence_for_another_port_or_another_product_does_not_count() {
    let mut index = world([weak()], None);
    let key = ServiceKey::new("monitoring", NAME);
    let other_port = IdentityEvidence { port: 1, ..confirmed("") };
    let other_product = IdentityEvidence { product: Product::Loki, ..confirmed("") };
    index.apply_identity(&key, vec![other_port, other_product]);
    assert_eq!(shown(&planned(&probing(), &index)), "NotEnoughEvidence");
}

#[test]
fn without_identity_probes_there_are_no_questions_and_no_evidence_counts() {
    let config = trusting_monitoring();
    for answer in [confirmed("/prom"), denied()] {
        let index = world([weak()], Some(answer));
        assert_eq!(questions(&config, &index), []);
        assert_eq!(shown(&planned(&config, &index)), "NotEnoughEvidence");
        let kept = remembering(&config, &index, &remembered(Product::Prometheus, 9090));
        assert_eq!(shown(&kept), "NotEnoughEvidence");
    }
}

#[test]
fn tenants_have_no_questions_and_their_evidence_does_not_count() {
    let tenants = with(&json!({"sources": [{"name": "t", "trust": "Tenant", "namespaces": {"from": "All"}}]}));
    let opted_in =
        annotated(weak(), &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "prometheus")]);
    for view in [weak(), opted_in] {
        let (before, after) = (world([view.clone()], None), world([view], Some(confirmed("/prom"))));
        assert_eq!(questions(&tenants, &after), []);
        assert_eq!(shown(&planned(&tenants, &before)), shown(&planned(&tenants, &after)));
    }
}

#[test]
fn there_is_no_question_about_a_product_that_no_response_proves() {
    let stated =
        |type_| annotated(weak(), &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)]);
    let enabled = with(&json!({"detectors": [{"type": "MCP", "state": "Enabled"}]}));
    assert_eq!(questions(&enabled, &world([stated("vector-database")], None)), []);
    assert_eq!(questions(&enabled, &world([stated("mcp")], None)), []);
    assert_eq!(questions(&enabled, &world([stated("prometheus")], None)).len(), 1);
}

#[test]
fn there_is_no_question_about_a_rejected_service() {
    let asked = |config: &ToolsetConfig, view| !questions(config, &world([view], None)).is_empty();
    assert!(asked(&probing(), weak()));
    assert!(!asked(&probing(), annotated(weak(), &[("kubernaut.io/toolset", "disabled")])));
    assert!(!asked(&probing(), annotated(weak(), &[("kubernaut.io/toolset-port", "nope")])));
    assert!(!asked(&with(&json!({"mode": "Suspended"})), weak()));
    let disabled = json!({"detectors": [{"type": "Prometheus", "state": "Disabled"}]});
    assert!(!asked(&with(&disabled), certain()));
    let without_selector = ServiceView { selector: detectors::StringMap::default(), ..weak() };
    assert!(!asked(&probing(), without_selector));
    let alias = ServiceView { service_type: detectors::ServiceType::ExternalName, ..weak() };
    assert!(!asked(&probing(), alias));
    assert!(!asked(&probing(), prometheus("elsewhere", NAME)));
}

#[test]
fn a_tool_keeps_what_a_response_has_proved_until_the_next_proof() {
    let before = remembered(Product::Prometheus, 9090);
    let plan = remembering(&probing(), &world([weak()], None), &before);
    assert_eq!(shown(&plan), "Prometheus High https://:9090/kept");
    let tool = &plan.tools[0];
    assert_eq!((tool.from_identity, &tool.identity), (before.from_identity, &before.identity));

    let answered = world([weak()], Some(confirmed("/new")));
    assert_eq!(shown(&remembering(&probing(), &answered, &before)), "Prometheus High https://:9090/new");
    let denied = world([weak()], Some(denied()));
    assert_eq!(shown(&remembering(&probing(), &denied, &before)), "NotTheProduct");
}

#[test]
fn a_response_that_proves_nothing_removes_nothing_from_a_tool() {
    let before = remembered(Product::Prometheus, 9090);
    let silent = remembering(&probing(), &world([weak()], Some(unknown(None))), &before);
    assert_eq!(shown(&silent), "Prometheus High https://:9090/kept");
    assert_eq!(silent.tools[0].from_identity, before.from_identity);
    assert_eq!(silent.tools[0].identity, "GET /x: the class", "the last probe");

    let plain = remembering(&probing(), &world([weak()], Some(unknown(Some(Scheme::Http)))), &before);
    assert_eq!(shown(&plain), "Prometheus High http://:9090/kept", "the scheme is proven anew");
}

#[test]
fn a_proof_of_another_product_is_not_kept() {
    let plan = remembering(&probing(), &world([weak()], None), &remembered(Product::Grafana, 9090));
    assert_eq!(shown(&plan), "NotEnoughEvidence");
    let view = grafana("monitoring", NAME);
    let plan = remembering(&probing(), &world([view], None), &remembered(Product::Prometheus, 80));
    assert_eq!(shown(&plan), "Grafana High http://:80");
}

#[test]
fn an_annotation_replaces_what_an_earlier_response_has_proved() {
    let stated = annotated(weak(), &[("kubernaut.io/toolset-path", "/mine"), ("kubernaut.io/toolset-scheme", "http")]);
    let plan = remembering(&probing(), &world([stated], None), &remembered(Product::Prometheus, 9090));
    assert_eq!(shown(&plan), "Prometheus High http://:9090/mine");
}

#[test]
fn a_service_keeps_its_evidence_while_it_selects_the_same_pods() {
    let mut index = world([weak()], Some(confirmed("/prom")));
    index.apply_service(annotated(weak(), &[("note", "new")]));
    assert_eq!(shown(&planned(&probing(), &index)), "Prometheus High https://:9090/prom");
    let other = ServiceView { selector: [("app", "api"), ("v", "2")].into_iter().collect(), ..weak() };
    index.apply_service(other);
    assert_eq!(shown(&planned(&probing(), &index)), "NotEnoughEvidence");
}

mod denied;
mod elsewhere;

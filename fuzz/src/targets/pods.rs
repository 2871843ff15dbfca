//! Pod evidence: any spec of a Pod is read, a path that comes of it is a checked one, and no value of a variable is in
//! any text.

use std::collections::BTreeSet;

use detectors::{
    Outcome as Recognised, PortView, Protocol, ServiceView, TargetPort,
    pods::{PodFacts, PodView, explain_with_pods, read, recognise_with_pods},
};
use k8s_openapi::api::core::v1::PodSpec;
use serde_json::{Value, json};
use toolset::{DEFAULT_CLUSTER_DOMAIN, Index, checked, pods::PodEvidence};

use super::pipeline::outcome;
use crate::{Broken, Outcome, checks, input::Input, pod, spec, words, world};

/// Checks the Pods of one Service.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let mut view = world::service(&mut input);
    if input.one_in(8) {
        // Any JSON, also with fields of other types.
        if let Ok(any) = serde_json::from_str::<PodView>(&input.rest()) {
            return says(&view, &read(&view, &any), false);
        }
        return Ok(());
    }
    let mut all = Vec::new();
    for _ in 0..=input.up_to(2_u8) {
        let spec = pod::spec(&mut input);
        if all.is_empty() && input.any() {
            leads_to(&mut view, &spec);
        }
        let direct: PodView = serde_json::from_value(spec.clone()).map_err(|error| Broken(error.to_string()))?;
        let facts = read(&view, &direct);
        // The command line reads Pods as objects of the API.
        if let Ok(typed) = serde_json::from_value::<PodSpec>(spec)
            && let Ok(through_api) = toolset::pods::view(&typed)
        {
            let same = read(&view, &through_api);
            check!(facts == same, "the object of the API gives {same:?}, and the JSON {facts:?}");
        }
        says(&view, &facts, true)?;
        all.push(facts);
    }
    let (facts, ambiguous) = PodFacts::agreed(&all);
    says(&view, &facts, true)?;
    if let [only] = &all[..] {
        check!(*only == facts && !ambiguous, "a single Pod does not agree with itself: {only:?}");
    }
    in_the_output(&view, PodEvidence { facts, ambiguous })
}

/// Gives the Service the ports of the first container, as a chart does.
fn leads_to(view: &mut ServiceView, spec: &Value) {
    let declared = spec["containers"][0]["ports"].as_array().into_iter().flatten();
    let numbers = declared.filter_map(|port| port["containerPort"].as_u64().and_then(|port| u16::try_from(port).ok()));
    let mut ports = view.ports.to_vec();
    for number in numbers.filter(|number| *number > 0) {
        let target = Some(TargetPort::Number(number));
        ports.retain(|port| port.port != number);
        ports.push(PortView { name: None, port: number, target, protocol: Protocol::Tcp, app_protocol: None });
    }
    view.ports = ports.into();
}

fn says(view: &ServiceView, facts: &PodFacts, secret: bool) -> Outcome {
    let findings = recognise_with_pods(view, facts);
    let products: BTreeSet<_> = findings.iter().map(|finding| finding.product).collect();
    check!(products.len() == findings.len(), "a product is found twice: {findings:?}");
    for finding in &findings {
        if let Recognised::Endpoint(target) = &finding.outcome {
            check!(
                checked::path_prefix(&target.path).as_deref() == Ok(&*target.path),
                "{finding:?} has a path that is not allowed"
            );
            check!(
                view.ports.iter().any(|port| port.port == target.port),
                "{finding:?} is on a port that is not declared"
            );
        }
    }
    let explained = explain_with_pods(view, facts);
    if secret {
        for text in [format!("{facts:?}"), format!("{findings:?}"), format!("{explained:?}")] {
            check!(!text.contains(words::SECRET), "a value of a variable is in {text}");
        }
    }
    Ok(())
}

fn in_the_output(view: &ServiceView, evidence: PodEvidence) -> Outcome {
    let config =
        spec::config_of(&json!({"sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}]}));
    let config = config.ok_or_else(|| Broken("the spec is not valid".to_owned()))?;
    let mut index = Index::default();
    index.apply_service(view.clone());
    index.apply_pods(&view.key, Some(evidence));
    let (plan, rendered) = outcome(&config, &index, None, None);
    checks::output(&config, DEFAULT_CLUSTER_DOMAIN, &plan, &rendered, false)?;
    let plan = format!("{plan:?}");
    check!(!plan.contains(words::SECRET), "a value of a variable is in {plan}");
    Ok(())
}

//! The value `probing`: it opens the egress of the operator's network policy to Pods, and does nothing else.

use std::ffi::OsString;

use anyhow::{Context as _, Result, ensure};
use e2e::chart::{Helm, of_kind, only};
use serde_json::{Value, json};

use crate::rendered::{EVERYTHING, refused};

const EGRESS: &str = "networkPolicy: {egress: {enabled: true}}";

/// The egress rules of the operator's network policy. `None` if it does not restrict egress.
fn egress(helm: &Helm, values: &str) -> Result<Option<Vec<Value>>> {
    let rendered = helm.template(values)?;
    let spec = &only(&rendered, "NetworkPolicy")?["spec"];
    let restricts = spec["policyTypes"].as_array().is_some_and(|types| types.contains(&json!("Egress")));
    let rules = spec.get("egress").map(|rules| rules.as_array().cloned().context("no list"));
    ensure!(restricts == rules.is_some(), "{spec:#}");
    rules.transpose()
}

/// What `probing` adds to the egress rules.
fn opened(helm: &Helm, values: &str) -> Result<Value> {
    let restricted = egress(helm, &format!("{EGRESS}\n{values}\nprobing: {{enabled: false}}"))?;
    opened_beside(helm, &restricted.context("egress is open")?, values, "enabled: true")
}

fn opened_beside(helm: &Helm, before: &[Value], values: &str, probing: &str) -> Result<Value> {
    let after = egress(helm, &format!("{EGRESS}\n{values}\nprobing: {{{probing}}}"))?.context("egress is open")?;
    let new: Vec<_> = after.iter().filter(|rule| !before.contains(rule)).cloned().collect();
    ensure!(after.len() == before.len() + 1 && new.len() == 1, "{before:?} became {after:?}");
    Ok(new[0].clone())
}

#[test]
fn egress_opens_to_pods_with_the_value_and_only_then() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let every_pod = json!({"to": [{"namespaceSelector": {}}], "ports": [{"protocol": "TCP"}]});
    assert_eq!(opened(&helm, "")?, every_pod);
    // Only the API server is left without it.
    let restricted = egress(&helm, EGRESS)?.context("egress is open")?;
    assert_eq!(restricted, [json!({"ports": [{"port": 443, "protocol": "TCP"}, {"port": 6443, "protocol": "TCP"}]})]);
    // What is not restricted needs no opening.
    assert_eq!(egress(&helm, "probing: {enabled: true}")?, None);
    assert_eq!(
        of_kind(&helm.template("{networkPolicy: {enabled: false}, probing: {enabled: true}}")?, "NetworkPolicy").len(),
        0
    );
    Ok(())
}

#[test]
fn it_opens_to_the_watched_or_the_listed_namespaces_and_ports() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let within = |namespaces: Value| json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": namespaces}]});
    let selector = |rule: Value| rule["to"][0]["namespaceSelector"].clone();
    assert_eq!(selector(opened(&helm, "watchNamespaces: [b, a]")?), within(json!(["a", "b"])));
    let before = egress(&helm, &format!("{EGRESS}\nwatchNamespaces: [b, a]"))?.context("egress is open")?;
    let with = |probing: &str| opened_beside(&helm, &before, "watchNamespaces: [b, a]", probing);
    assert_eq!(selector(with("enabled: true, namespaces: [b]")?), within(json!(["b"])));
    assert_eq!(
        with("enabled: true, ports: [9090, 3100]")?["ports"],
        json!([{"port": 9090, "protocol": "TCP"}, {"port": 3100, "protocol": "TCP"}])
    );
    refused(
        &helm,
        "{watchNamespaces: [a], probing: {namespaces: [c]}}",
        "namespace c, which is not one of watchNamespaces",
    )?;
    refused(&helm, "probing: {ports: [0]}", "at '/probing/ports/0'")?;
    refused(&helm, "probing: {enable: true}", "at '/probing': additional properties 'enable'")
}

#[test]
fn no_rule_opens_to_an_address_of_a_node_or_of_a_metadata_service() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    for rule in egress(&helm, EVERYTHING)?.context("egress is open")? {
        let peers = rule.get("to").and_then(Value::as_array).cloned();
        let are_pods = |peers: Vec<Value>| {
            peers.iter().all(|peer| peer.get("namespaceSelector").is_some() && peer.get("ipBlock").is_none())
        };
        // Only the API server, DNS and Data Storage can be anywhere, on ports that the values name.
        let named = rule["ports"].as_array().is_some_and(|ports| ports.iter().all(|port| port["port"].is_number()));
        ensure!(peers.map_or(named, are_pods), "{rule}");
    }
    Ok(())
}

/// Everything but the network policies.
fn beside_the_policy(helm: &Helm, values: &str) -> Result<Vec<Value>> {
    let mut rendered = helm.template(values)?;
    rendered.retain(|object| object["kind"] != "NetworkPolicy");
    Ok(rendered)
}

#[test]
fn it_grants_nothing_and_changes_nothing_else() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let everything = EVERYTHING.replace("probing: {enabled: true}\n", "");
    // Who watches the namespace `default` can list its EndpointSlices.
    for values in ["", "watchNamespaces: [a, default]\n", &everything] {
        let with = |probing: &str| beside_the_policy(&helm, &format!("{values}probing: {{enabled: {probing}}}"));
        ensure!(with("true")? == with("false")?, "{values}: more than the NetworkPolicy differs");
    }
    Ok(())
}

#[test]
fn an_operator_of_single_namespaces_may_also_read_the_addresses_that_it_never_calls() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let single = |values: &str| beside_the_policy(&helm, &format!("watchNamespaces: [a]\n{values}"));
    let (without, with) = (single("")?, single("probing: {enabled: true}")?);
    let new: Vec<_> = with.iter().filter(|object| !without.contains(object)).cloned().collect();
    assert_eq!(new.len(), 2, "{new:?}");
    let role = only(&new, "Role")?;
    assert_eq!(
        (&role["metadata"]["namespace"], &role["metadata"]["name"]),
        (&json!("default"), &json!("holmes-toolset-operator-apiserver"))
    );
    assert_eq!(
        role["rules"],
        json!([{
            "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "resourceNames": ["kubernetes"],
            "verbs": ["get"],
        }])
    );
    only(&new, "RoleBinding")?;
    // An agent needs it as well.
    let agents = single("agents: [{toolsetConfig: default, service: holmes, port: 80}]")?;
    ensure!(agents.contains(role));
    Ok(())
}

#[test]
fn the_notes_say_whose_probes_reach_no_pod() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let config = |name: &str, spec: &str| format!("{{name: {name}, spec: {{sources: [], {spec}}}}}");
    let configs = [
        config("a", "health: {mode: Probe}"),
        config("b", "health: {mode: Endpoints}"),
        config("c", "evidence: {identity: Probe}"),
        config("d", "health: null"),
    ];
    let said = |values: &str| -> Result<bool> {
        let file = helm.values(&format!("toolsetConfigs: [{}]\n{values}", configs.join(", ")))?;
        let chart = e2e::chart::OPERATOR.folder();
        let arguments = ["install", "toolset-operator", "--dry-run=client", "--values"].map(OsString::from);
        let notes = helm.run(arguments.into_iter().chain([file.into_os_string(), chart.into_os_string()]))?;
        Ok(notes.contains("reach no Pod in this installation: a, c. Set probing.enabled to true."))
    };
    for (values, expected) in [
        (EGRESS.to_owned(), true),
        (format!("{EGRESS}\nprobing: {{enabled: true}}"), false),
        ("watchNamespaces: [m]".to_owned(), true),
        ("watchNamespaces: [m]\nprobing: {enabled: true}".to_owned(), false),
        ("watchNamespaces: [m, default]".to_owned(), false),
        (String::new(), false),
    ] {
        ensure!(said(&values)? == expected, "{values}");
    }
    Ok(())
}

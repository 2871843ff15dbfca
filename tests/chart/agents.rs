//! The value `agents`: the list, the keys and the certificates that the operator's pod mounts, and what is refused.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};
use e2e::chart::{Helm, arguments, of_kind, only};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::rendered::{EVERYTHING, refused};

/// The volume or the mount with a name.
fn named<'a>(list: &'a Value, name: &str) -> Result<&'a Value> {
    let found = list.as_array().and_then(|list| list.iter().find(|one| one["name"] == name));
    found.with_context(|| format!("nothing in {list} is called {name}"))
}

#[test]
fn an_agent_is_named_in_a_mounted_file_and_may_be_found_but_no_secret_is_read() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let rendered = helm.template(EVERYTHING)?;
    let (list, config_map) = agents(&rendered)?;
    let (key, ca) = (file("key", "robusta-holmes-api-key/apiKey"), file("ca", "robusta-holmes-tls/ca.crt"));
    assert_eq!(
        list,
        json!({"agents": [
            {"namespace": "holmes", "toolsetConfig": "default", "service": "holmes-holmes", "port": 80},
            {"namespace": "agents", "toolsetConfig": "other", "service": "robusta-holmes", "port": "http",
             "scheme": "https", "apiKeyFile": key, "caFile": ca},
        ]})
    );
    let deployment = only(&rendered, "Deployment")?;
    let folder = "/etc/toolset-operator/agents";
    ensure!(arguments(deployment)?.contains(&format!("--agents-dir={folder}")));
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(
        named(&pod["containers"][0]["volumeMounts"], "agents")?,
        &json!({"name": "agents", "mountPath": folder, "readOnly": true})
    );
    let secret = |name: &str, key: &str, path: &str| json!({"secret": {"name": name, "optional": true, "items": [{"key": key, "path": path}]}});
    assert_eq!(
        named(&pod["volumes"], "agents")?,
        &json!({"name": "agents", "projected": {"sources": [
            {"configMap": {"name": config_map, "optional": true}},
            secret("robusta-holmes-tls", "ca.crt", &ca),
            secret("robusta-holmes-api-key", "apiKey", &key),
        ]}})
    );
    let roles = of_kind(&rendered, "Role");
    let of = |name: &str, namespace: &str| -> Result<Value> {
        let role =
            roles.iter().find(|role| role["metadata"]["name"] == name && role["metadata"]["namespace"] == namespace);
        Ok(role.with_context(|| format!("no Role {name} in {namespace}"))?["rules"].clone())
    };
    assert_eq!(
        of("holmes-toolset-operator-agents", "agents")?,
        json!([
            {"apiGroups": [""], "resources": ["services"], "resourceNames": ["robusta-holmes"], "verbs": ["get"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]},
        ])
    );
    of("holmes-toolset-operator-agents", "holmes")?;
    // An operator that watches all namespaces finds the addresses of the API server without it.
    ensure!(of("holmes-toolset-operator-apiserver", "default").is_err());
    let egress = &only(&rendered, "NetworkPolicy")?["spec"]["egress"];
    let to = |namespace: &str, port: u16| {
        let selector = json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}});
        json!({"to": [selector], "ports": [{"port": port, "protocol": "TCP"}]})
    };
    assert_eq!(egress.as_array().context("no egress")?[1..3], [to("agents", 5443), to("holmes", 5050)]);
    // Without agents there is none of it.
    let mut without = helm.template("{rbac: {pods: false}, networkPolicy: {egress: {enabled: true}}}")?;
    // The schema of the ToolsetConfig has a field of the same name.
    without.retain(|object| object["kind"] != "CustomResourceDefinition");
    let without = serde_json::to_string(&without)?;
    ensure!(!without.contains("agents-dir") && !without.contains("\"pods\"") && !without.contains("5050"));
    Ok(())
}

#[test]
fn a_file_of_an_agent_holds_the_same_secret_before_and_after_an_upgrade() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let agent = |name: &str, secret: &str| {
        let secret = format!("{{name: {secret}, key: key}}");
        format!("{{toolsetConfig: {name}, service: {name}, port: 443, apiKeySecret: {secret}, caSecret: {secret}}}")
    };
    let (a, b, c) = (agent("a", "secret-a"), agent("b", "secret-b"), agent("c", "secret-a"));
    let mut files = BTreeMap::new();
    let mut config_maps = BTreeMap::new();
    // The old pod may see the new list, and its volume maps the old files.
    for agents in [format!("{a}, {b}"), format!("{b}, {a}"), b.clone(), format!("{c}, {a}")] {
        let rendered = helm.template(&format!("agents: [{agents}]"))?;
        let (list, config_map) = self::agents(&rendered)?;
        let before = config_maps.insert(config_map, list.clone());
        ensure!(before.is_none_or(|before| before == list), "the same name stands for two lists");
        let pod = &only(&rendered, "Deployment")?["spec"]["template"]["spec"];
        let sources = pod["volumes"][0]["projected"]["sources"].as_array().context("no sources")?;
        let mut mapped = BTreeSet::new();
        for secret in sources.iter().filter_map(|source| source.get("secret")) {
            let path = secret["items"][0]["path"].as_str().context("no path")?.to_owned();
            let of = (secret["name"].to_string(), secret["items"][0]["key"].to_string());
            ensure!(mapped.insert(path.clone()), "{path} is mapped twice, which the API server refuses");
            let before = files.insert(path.clone(), of.clone());
            ensure!(before.is_none_or(|before| before == of), "{path} stands for two Secrets");
        }
        for entry in list["agents"].as_array().context("no agents")? {
            let named = ["apiKeyFile", "caFile"].map(|field| entry[field].as_str().unwrap_or_default());
            ensure!(named.into_iter().all(|name| mapped.contains(name)), "{entry} names a file that is not there");
        }
    }
    Ok(())
}

#[test]
fn certificates_make_an_agent_speak_https() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let agent = "toolsetConfig: default, service: holmes, port: 443, caSecret: {name: c, key: k}";
    let rendered = helm.template(&format!("agents: [{{{agent}, apiKeySecret: {{name: k, key: k}}}}]"))?;
    assert_eq!(agents(&rendered)?.0["agents"][0]["scheme"], "https");
    refused(
        &helm,
        &format!("agents: [{{{agent}, scheme: http}}]"),
        "caSecret of ToolsetConfig holmes/default is of no use",
    )
}

/// The list of agents, and the name of its ConfigMap, which nothing can change while a pod mounts it.
fn agents(rendered: &[Value]) -> Result<(Value, String)> {
    let config_maps = of_kind(rendered, "ConfigMap");
    let found = config_maps.iter().find(|object| object["data"]["agents.json"].is_string());
    let found = found.context("no agents.json")?;
    let (name, list) = (&found["metadata"]["name"], &found["data"]["agents.json"]);
    ensure!(found["immutable"] == json!(true), "{name} can be changed");
    let list = list.as_str().context("no list")?;
    Ok((serde_json::from_str(list)?, name.as_str().context("no name")?.to_owned()))
}

/// The name of the file that holds this key of this Secret.
fn file(prefix: &str, secret: &str) -> String {
    let hash: Vec<String> = Sha256::digest(secret).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}-{}", hash.concat())
}

#[test]
fn an_agent_that_cannot_be_asked_is_refused() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let agent = "toolsetConfig: default, service: holmes, port: 80";
    for (values, named) in [
        (format!("agents: [{{{agent}, namespace: elsewhere}}]"), "which is not one of configNamespaces"),
        (format!("agents: [{{{agent}}}, {{{agent}, namespace: holmes}}]"), "holmes/default is named more than once"),
        (format!("agents: [{{{agent}, scheme: https}}]"), "requires caSecret"),
        (format!("agents: [{{{agent}, apiKeySecret: {{name: k, key: k}}}}]"), "sent over plain HTTP"),
        (format!("agents: [{{{agent}, scheme: ftp}}]"), "at '/agents/0/scheme'"),
        ("agents: [{toolsetConfig: default, service: holmes, port: '80'}]".to_owned(), "at '/agents/0/port'"),
        ("agents: [{toolsetConfig: default, service: holmes, port: 'web x'}]".to_owned(), "at '/agents/0/port'"),
        (format!("agents: [{{{agent}, apiKey: secret}}]"), "additional properties 'apiKey'"),
        ("agents: [{toolsetConfig: default, service: holmes}]".to_owned(), "missing property 'port'"),
    ] {
        refused(&helm, &values, named)?;
    }
    helm.template(&format!("agents: [{{{agent}, apiKeySecret: {{name: k, key: k}}, allowPlaintext: true}}]"))?;
    Ok(())
}

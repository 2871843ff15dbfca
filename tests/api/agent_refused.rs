//! Whom the operator does not ask, and agents that do not answer as they should.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{DEFAULT_CONFIG_MAP, FakeAgent, Reply, prelude::*, services},
};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Pod},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, from_value, json};

use crate::{
    agent_stage::{AgentStage, IMAGE, Pauses, SERVICE, column, current, info_of},
    harness::skipped,
    stage::{CONFIG, message, patch},
};

/// The body of a test with one agent that has loaded the ConfigMap.
async fn with_agent(
    name: &str,
    consumer: Value,
    body: impl AsyncFnOnce(&mut AgentStage<'_>, &FakeAgent) -> Result<()>,
) -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario(name, async |world| {
        let pauses = Pauses { answer: 1500, ..Pauses::default() };
        let mut cast = AgentStage::set(world, pauses, consumer).await?;
        let agent = FakeAgent::start(current(&cast).await?).await?;
        body(&mut cast, &agent).await
    })
    .await
}

fn asked(agent: &FakeAgent) -> usize {
    agent.requests().len()
}

#[tokio::test]
async fn an_agent_that_is_too_old_is_not_asked() -> Result<()> {
    with_agent("agent-old", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        cast.replica("robustadev/holmes:0.44.0", agent.port()).await?;
        let config = cast.says(("False", "AgentTooOld"), "runs version 0.44.0").await?;
        assert_eq!((column(&config), config.data.pointer("/status/agent/version")), ("0/1", Some(&json!("0.44.0"))));
        cast.told("AgentTooOld").await?;
        // With another replica of a version that is asked, the old one still is not.
        let new = FakeAgent::start(current(cast).await?).await?;
        cast.replica(IMAGE, new.port()).await?;
        cast.loaded(("False", "AgentTooOld"), "1/2").await?;
        ensure!(asked(&new) > 0 && asked(agent) == 0, "{} requests", asked(agent));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_agent_that_says_itself_that_it_is_too_old_is_asked_exactly_once() -> Result<()> {
    with_agent("agent-says-old", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        agent.reply(Reply::json(&json!({"version": "0.44.2", "toolsets": []})));
        cast.replica(IMAGE, agent.port()).await?;
        let config = cast.says(("False", "AgentTooOld"), "runs version 0.44.2").await?;
        assert_eq!(config.data.pointer("/status/agent/version"), Some(&json!("0.44.2")));
        // A change of the file and a new replica are followed by rounds.
        cast.stage.world.create(&services::grafana(&cast.stage.apps)).await?;
        cast.stage.lists(&["grafana"]).await?;
        let new = FakeAgent::start(current(cast).await?).await?;
        cast.replica(IMAGE, new.port()).await?;
        cast.loaded(("False", "AgentTooOld"), "1/2").await?;
        let before = asked(&new);
        eventually("the others are asked again", async || {
            ensure!(asked(&new) >= before + 2);
            Ok(())
        })
        .await?;
        assert_eq!(asked(agent), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_image_without_a_version_needs_the_version_in_the_spec() -> Result<()> {
    with_agent("agent-digest", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        let digest = format!("robustadev/holmes@sha256:{}", "0".repeat(64));
        cast.replica(&digest, agent.port()).await?;
        cast.says(("False", "AgentTooOld"), "set spec.consumer.agentVersion").await?;
        cast.stage.respec(json!({"consumer": {"agentVersion": "0.44.0"}})).await?;
        cast.says(("False", "AgentTooOld"), "runs version 0.44.0").await?;
        assert_eq!(asked(agent), 0);
        cast.stage.respec(json!({"consumer": {"agentVersion": "0.45.0"}})).await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        ensure!(asked(agent) > 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_of_the_authors_own_choosing_gets_no_key_and_no_request() -> Result<()> {
    with_agent("agent-chosen", json!({}), async |cast, agent| {
        cast.replica(IMAGE, agent.port()).await?;
        // The installation names nobody yet.
        let unnamed = format!("{{namespace: {}, toolsetConfig: {CONFIG}", cast.stage.agent);
        cast.install_list(&json!([]))?;
        cast.says(("False", "AgentUnauthorized"), &unnamed).await?;
        cast.told("AgentUnauthorized").await?;

        cast.install_key("key-0", "the-key")?;
        let with_key = json!({"apiKeyFile": "key-0", "allowPlaintext": true});
        let elsewhere =
            json!({"namespace": cast.stage.agent, "toolsetConfig": "another", "service": SERVICE, "port": 80});
        cast.install_list(&json!([elsewhere]))?;
        cast.says(("False", "AgentUnauthorized"), &unnamed).await?;

        // Another Service, another port.
        cast.install(&json!({"service": "the-real-one", "apiKeyFile": "key-0", "allowPlaintext": true}))?;
        cast.says(("False", "AgentUnauthorized"), "allows only port 80 of Service the-real-one").await?;
        cast.install(&json!({"port": 81, "apiKeyFile": "key-0", "allowPlaintext": true}))?;
        cast.says(("False", "AgentUnreachable"), "no TCP port 81").await?;
        let ports = json!([
            {"name": "http", "port": 80, "targetPort": 5050}, {"name": "other", "port": 81, "targetPort": 5051},
        ]);
        let all = cast.stage.world.api::<k8s_openapi::api::core::v1::Service>(&cast.stage.agent);
        patch(&all, SERVICE, json!({"spec": {"ports": ports}})).await?;
        cast.says(("False", "AgentUnauthorized"), "allows only port 81 of Service holmes").await?;
        assert_eq!(asked(agent), 0);

        // The same port by its name.
        cast.install(&crate::stage::over(json!({"port": "http"}), with_key))?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        ensure!(
            agent.requests().iter().all(|request| request.contains("x-api-key: the-key")),
            "{:?}",
            agent.requests()
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_address_in_a_slice_of_a_stranger_is_not_asked() -> Result<()> {
    with_agent("agent-slice", json!({}), async |cast, agent| {
        cast.install_key("key-0", "the-key")?;
        let stranger = FakeAgent::start(current(cast).await?).await?;
        cast.redirect("10.99.99.99:5050", stranger.port())?;
        let honest = cast.replica(IMAGE, agent.port()).await?;
        let pods: Api<Pod> = cast.stage.world.api(&cast.stage.agent);
        let uid = pods.get(honest.name()).await?.uid().context("no uid")?;
        let target = json!({"kind": "Pod", "namespace": cast.stage.agent, "name": honest.name(), "uid": uid});
        let slice: EndpointSlice = from_value(json!({
            "metadata": {
                "namespace": cast.stage.agent, "name": "by-hand", "labels": {"kubernetes.io/service-name": SERVICE},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.99.99.99"], "conditions": {"ready": true}, "targetRef": target}],
            "ports": [{"name": "http", "port": 5050, "protocol": "TCP"}],
        }))?;
        cast.stage.world.create(&slice).await?;
        cast.install(&json!({"apiKeyFile": "key-0", "allowPlaintext": true}))?;
        let config = cast.loaded(("True", "AsExpected"), "1/1").await?;
        let said = message(&config, "AgentLoaded");
        ensure!(said.contains("EndpointSlice by-hand is ignored"), "{said}");
        assert_eq!(asked(&stranger), 0);
        ensure!(asked(agent) > 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_agent_that_answers_wrongly_is_unreachable_and_its_text_is_not_shown() -> Result<()> {
    with_agent("agent-wrong", json!({}), async |cast, agent| {
        let metadata = FakeAgent::start(Reply::json(&json!({}))).await?;
        cast.redirect("169.254.169.254:80", metadata.port())?;
        cast.install(&json!({}))?;
        agent.reply(Reply::Nothing);
        cast.replica(IMAGE, agent.port()).await?;
        cast.says(("False", "AgentUnreachable"), "does not respond within 1.5 s").await?;
        cast.told("AgentUnreachable").await?;
        let redirect =
            "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data\r\ncontent-length: 0\r\n\r\n";
        let spaces = Reply::Endless(vec![b' '; 64 * 1024]);
        for (reply, said) in [
            (Reply::Bytes(redirect.as_bytes().to_vec()), "responds with the status code 302"),
            (Reply::Bytes(b"HTTP/1.1 500 X\r\ncontent-length: 7\r\n\r\nhunter2".to_vec()), "status code 500"),
            (
                Reply::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n<html>hunter2</html>".to_vec()),
                "does not respond like HolmesGPT",
            ),
            (Reply::Bytes(b"hunter2".to_vec()), "does not respond like HolmesGPT"),
            (Reply::Bytes(Vec::new()), "closes the connection"),
            (spaces, "does not respond like HolmesGPT"),
        ] {
            agent.reply(reply);
            let config = cast.says(("False", "AgentUnreachable"), said).await?;
            ensure!(!config.data.to_string().contains("hunter2"), "{}", config.data);
        }
        let huge = [b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b' '; 3 * 1024 * 1024]].concat();
        agent.reply(Reply::Bytes(huge));
        cast.says(("False", "AgentUnreachable"), "response that is too large").await?;
        assert_eq!(asked(&metadata), 0, "a redirect is not followed");
        agent.reply(current(cast).await?);
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        cast.told("AsExpected").await
    })
    .await
}

#[tokio::test]
async fn an_agent_that_is_gone_is_unreachable_and_a_new_pod_is_asked() -> Result<()> {
    with_agent("agent-gone", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        let first = cast.replica(IMAGE, agent.port()).await?;
        let second = cast.replica(IMAGE, agent.port()).await?;
        cast.loaded(("True", "AsExpected"), "2/2").await?;
        // One that is gone is not counted any more, and nobody is asked because of it.
        cast.stays("all is well", async || Ok(asked(agent))).await?;
        let before = asked(agent);
        second.delete().await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        assert_eq!(asked(agent), before);

        first.delete().await?;
        cast.says(("False", "AgentUnreachable"), "no ready Pod").await?;
        cast.told("AgentUnreachable").await?;
        assert_eq!(asked(agent), before);
        cast.replica(IMAGE, agent.port()).await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        cast.stays("all is well again", async || Ok(asked(agent))).await
    })
    .await
}

#[tokio::test]
async fn while_the_output_is_in_conflict_the_agent_is_not_asked() -> Result<()> {
    with_agent("agent-conflict", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        cast.replica(IMAGE, agent.port()).await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        let ours = cast.file().await?;
        let take = json!({
            "metadata": {"labels": null, "ownerReferences": null, "annotations": null},
            "data": {"custom_toolset.yaml": "toolsets: {}", "toolset.json": null},
        });
        cast.stage.meddle(take).await?;
        cast.stage.ready(("False", "OutputConflict")).await?;
        // The column would be about another file.
        cast.loaded(("Unknown", "OutputConflict"), "").await?;
        let before = asked(agent);
        cast.stays("nobody is asked", async || Ok(asked(agent))).await?;
        assert_eq!(asked(agent), before);
        cast.stage.config_maps().delete(DEFAULT_CONFIG_MAP, &kube::api::DeleteParams::default()).await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        assert_eq!(cast.file().await?, ours);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_preview_the_agent_is_compared_with_the_config_map_as_it_is() -> Result<()> {
    with_agent("agent-preview", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        cast.replica(IMAGE, agent.port()).await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        cast.stage.respec(json!({"mode": "Preview"})).await?;
        cast.stage.ready(("True", "Preview")).await?;
        cast.stage.world.create(&services::grafana(&cast.stage.apps)).await?;
        let what = "the plan has a tool, and the agent has the ConfigMap";
        cast.stage
            .config_is(what, |config| {
                crate::stage::counts(config, 1) && condition(config, "AgentLoaded") == Some(("True", "AsExpected"))
            })
            .await?;
        cast.stage.respec(json!({"mode": "Apply"})).await?;
        cast.loaded(("Unknown", "AgentBehind"), "0/1").await?;
        agent.reply(current(cast).await?);
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_entry_that_instances_were_added_to_is_judged_in_preview_too() -> Result<()> {
    with_agent("agent-preview-base", json!({}), async |cast, agent| {
        let own = "toolsets:\n  prometheus/metrics: {enabled: true, config: {prometheus_url: 'https://saas.example'}}\n  \
                   mine: {enabled: true, type: http}\n";
        let base = json!({
            "metadata": {"namespace": cast.stage.agent, "name": "mine"}, "data": {"custom_toolset.yaml": own},
        });
        cast.stage.world.create::<ConfigMap>(&from_value(base)?).await?;
        cast.stage.respec(json!({"output": {"base": {"configMapName": "mine"}}})).await?;
        cast.stage.world.create(&services::prometheus_server(&cast.stage.apps)).await?;
        cast.stage.lists(&["prometheus-server"]).await?;
        cast.stage
            .output_is("it has both", |output| {
                let file = crate::stage::data(output, "custom_toolset.yaml");
                file.contains("saas.example") && file.contains("prometheus-server")
            })
            .await?;
        cast.stage.respec(json!({"mode": "Preview"})).await?;
        cast.stage.ready(("True", "Preview")).await?;
        let mut failing = info_of(&cast.file().await?)?;
        for toolset in failing["toolsets"].as_array_mut().context("no toolsets")? {
            if matches!(toolset["name"].as_str(), Some("prometheus/metrics" | "mine")) {
                toolset["status"] = json!("failed");
            }
        }
        agent.reply(Reply::json(&failing));
        cast.install(&json!({}))?;
        cast.replica(IMAGE, agent.port()).await?;
        let only_ours = |config: &DynamicObject| {
            let failed = config.data.pointer("/status/agent/toolsets").and_then(Value::as_array);
            failed.is_some_and(|failed| failed.len() == 1 && failed[0]["name"] == "prometheus/metrics")
                && condition(config, "AgentLoaded") == Some(("False", "AgentFailed"))
        };
        cast.stage.config_is("the entry fails in Preview", only_ours).await?;
        agent.reply(current(cast).await?);
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        let before = asked(agent);
        // The bytes stay the same, and so does the result.
        cast.stage.respec(json!({"mode": "Apply"})).await?;
        cast.stage.ready(("True", "AsExpected")).await?;
        cast.stays("nothing has to be asked", async || Ok(asked(agent))).await?;
        assert_eq!(asked(agent), before);
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn after_a_failover_the_status_stays_and_the_agent_is_asked_once() -> Result<()> {
    with_agent("agent-failover", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        cast.replica(IMAGE, agent.port()).await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        cast.stays("all is well", async || Ok(asked(agent))).await?;
        let before = asked(agent);
        cast.restart().await?;
        eventually("it is asked", async || {
            let shown = cast.stage.config().await?;
            ensure!(column(&shown) == "1/1", "the column is {:?}", column(&shown));
            ensure!(asked(agent) > before);
            Ok(())
        })
        .await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        cast.stays("once is enough", async || Ok(asked(agent))).await?;
        assert_eq!(asked(agent), before + 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn without_the_revision_entry_names_and_states_are_compared() -> Result<()> {
    with_agent("agent-no-revision", json!({"revisionEntry": "Disabled"}), async |cast, agent| {
        cast.install(&json!({}))?;
        cast.stage.world.create(&services::grafana(&cast.stage.apps)).await?;
        cast.stage.lists(&["grafana"]).await?;
        cast.replica(IMAGE, agent.port()).await?;
        cast.loaded(("Unknown", "AgentBehind"), "0/1").await?;
        let info = info_of(&cast.file().await?)?;
        agent.reply(Reply::json(&info));
        let config = cast.loaded(("True", "AsExpected"), "1/1").await?;
        ensure!(message(&config, "AgentLoaded").contains("Without the revision entry"));
        assert_eq!(config.data.pointer("/status/agent/revision"), None);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_observation_that_ends_leaves_nothing_in_the_status() -> Result<()> {
    with_agent("agent-ends", json!({}), async |cast, agent| {
        cast.install(&json!({}))?;
        cast.replica(IMAGE, agent.port()).await?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        cast.stage.respec(json!({"consumer": {"observe": "None"}})).await?;
        cast.stage
            .config_is("nothing is said of the agent", |config| {
                condition(config, "AgentLoaded").is_none() && config.data.pointer("/status/agent").is_none()
            })
            .await?;
        eventually("it has no metrics", async || {
            let metrics = cast.stage.controller.metrics().await?;
            ensure!(!metrics.contains("dynamictoolset_agent_"), "{metrics}");
            Ok(())
        })
        .await?;
        // A Service that leads elsewhere is not asked.
        let before = asked(agent);
        cast.stage.respec(json!({"consumer": {"observe": "HolmesGPT"}})).await?;
        let all = cast.stage.world.api::<k8s_openapi::api::core::v1::Service>(&cast.stage.agent);
        let outside = Patch::Merge(json!({"spec": {"externalIPs": ["203.0.113.7"]}}));
        all.patch(SERVICE, &PatchParams::default(), &outside).await?;
        cast.says(("False", "AgentUnreachable"), "externalIPs").await?;
        ensure!(asked(agent) <= before + 1, "the first round may have been before the change");
        let slices: Api<EndpointSlice> = cast.stage.world.api(&cast.stage.agent);
        ensure!(!slices.list(&ListParams::default()).await?.items.is_empty());
        Ok(())
    })
    .await
}

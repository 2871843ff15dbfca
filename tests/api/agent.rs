//! What the running agent says about itself, with the agent's real library.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{FakeAgent, LibraryAgent, Reply, prelude::*, services},
};
use futures::future::try_join_all;
use serde_json::{Value, json};

use crate::{
    agent_stage::{AgentStage, IMAGE, Pauses},
    harness::skipped,
    stage::message,
};

const AGE: &str = "dynamictoolset_agent_revision_age_seconds";

/// Replicas of the agent. `None` if it is not installed.
async fn replicas(count: usize) -> Result<Option<Vec<LibraryAgent>>> {
    let mut agents = Vec::new();
    for _ in 0..count {
        let Some(agent) = LibraryAgent::start().await? else { return Ok(None) };
        agents.push(agent);
    }
    Ok(Some(agents))
}

fn not_installed() -> Result<()> {
    skipped("HolmesGPT is not installed; `cargo xtask test api` installs it")
}

/// The agent takes up what the ConfigMap holds.
async fn take_up(stage: &AgentStage<'_>, agents: &[LibraryAgent]) -> Result<()> {
    let file = stage.file().await?;
    try_join_all(agents.iter().map(async |agent| {
        agent.mount(&file).await?;
        agent.refresh().await
    }))
    .await
    .map(drop)
}

#[tokio::test]
async fn one_of_three_replicas_is_behind_until_it_takes_the_change_up() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(agents) = replicas(3).await? else { return not_installed() };
    scenario("agent-behind", async |world| {
        let pauses = Pauses { patience: 15_000, ..Pauses::default() };
        let cast = AgentStage::set(world, pauses, json!({})).await?;
        cast.install(&json!({}))?;
        for agent in &agents {
            cast.replica(IMAGE, agent.port()).await?;
        }
        cast.loaded(("Unknown", "AgentBehind"), "0/3").await?;
        take_up(&cast, &agents).await?;
        let config = cast.loaded(("True", "AsExpected"), "3/3").await?;
        assert_eq!(config.data.pointer("/status/agent/version"), Some(&json!("0.45.0")));
        cast.metric(AGE, |age| age < 0.001).await?;

        cast.stage.world.create(&services::grafana(&cast.stage.apps)).await?;
        cast.stage.lists(&["grafana"]).await?;
        take_up(&cast, &agents[1..]).await?;
        let config = cast.loaded(("Unknown", "AgentBehind"), "2/3").await?;
        let revision = config.data.pointer("/status/agent/revision").and_then(Value::as_str).context("no revision")?;
        ensure!(cast.file().await?.contains(&format!("discovered-revision-{revision}:")), "{revision}");
        ensure!(
            message(&config, "AgentLoaded").starts_with(&format!("2 of 3 replicas have loaded revision {revision}"))
        );

        cast.loaded(("False", "AgentBehind"), "2/3").await?;
        cast.told("AgentBehind").await?;
        cast.metric(AGE, |age| age >= 15.0).await?;

        take_up(&cast, &agents[..1]).await?;
        cast.loaded(("True", "AsExpected"), "3/3").await?;
        cast.told("AsExpected").await?;
        cast.metric(AGE, |age| age < 0.001).await?;
        let requests = async || {
            let all = try_join_all(agents.iter().map(LibraryAgent::requests)).await?;
            Ok(all.iter().map(Vec::len).sum())
        };
        cast.stays("at rest the agent is not asked", requests).await?;
        for request in agents[0].requests().await? {
            assert_eq!(request, json!({"query": "detail=full", "key": ""}));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_entry_that_fails_is_named_without_its_error_until_it_is_well() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(agents) = replicas(1).await? else { return not_installed() };
    let [agent] = &agents[..] else { return Ok(()) };
    scenario("agent-failed", async |world| {
        let cast = AgentStage::set(world, Pauses::default(), json!({})).await?;
        cast.install(&json!({}))?;
        cast.stage.world.create(&services::jaeger_query(&cast.stage.apps)).await?;
        cast.stage.lists(&["tracing-query"]).await?;
        agent.resolve(&json!({})).await?;
        take_up(&cast, &agents).await?;
        cast.replica(IMAGE, agent.port()).await?;

        let config = cast.loaded(("False", "AgentFailed"), "1/1").await?;
        let failed = config.data.pointer("/status/agent/toolsets/0").context("no toolset")?.clone();
        let name = failed["name"].as_str().context("no name")?.to_owned();
        ensure!(name.starts_with("jaeger-") && failed["status"] == "failed", "{failed}");
        ensure!(message(&config, "AgentLoaded").contains(&format!("{name} (failed)")));
        let text = config.data.to_string();
        ensure!(!text.contains("HTTPConnection") && !text.contains("must not call"), "the error is shown: {text}");
        cast.told("AgentFailed").await?;
        cast.metric("dynamictoolset_agent_toolsets{status=\"failed\"}", |count| count > 0.5).await?;

        let jaeger = FakeAgent::start(Reply::json(&json!({"data": []}))).await?;
        let host = format!("tracing-query.{}.svc.cluster.local:16686", cast.stage.apps);
        agent.resolve(&json!({host: jaeger.port()})).await?;
        agent.refresh().await?;
        let config = cast.loaded(("True", "AsExpected"), "1/1").await?;
        assert_eq!(config.data.pointer("/status/agent/toolsets"), None);
        cast.metric("dynamictoolset_agent_toolsets{status=\"failed\"}", |count| count < 0.5).await?;
        ensure!(!jaeger.requests().is_empty());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_key_is_sent_to_the_installed_service_and_a_changed_key_needs_no_restart() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(agents) = replicas(1).await? else { return not_installed() };
    let [agent] = &agents[..] else { return Ok(()) };
    scenario("agent-key", async |world| {
        let mut cast = AgentStage::set(world, Pauses::default(), json!({})).await?;
        agent.require_key("the-right-key").await?;
        take_up(&cast, &agents).await?;
        cast.install(&json!({}))?;
        cast.replica(IMAGE, agent.port()).await?;
        cast.says(("False", "AgentUnauthorized"), "requires an API key").await?;
        cast.told("AgentUnauthorized").await?;

        let asked = agent.requests().await?.len();
        cast.install_key("key-0", "the-wrong-key\n")?;
        cast.install(&json!({"apiKeyFile": "key-0"}))?;
        cast.says(("False", "AgentUnauthorized"), "does not send the API key over plain HTTP").await?;
        let keys = |requests: &[Value]| requests.iter().map(|one| one["key"].clone()).collect::<Vec<_>>();
        let sent = keys(&agent.requests().await?[asked..]);
        ensure!(sent.iter().all(|key| key == ""), "{sent:?}");

        cast.install(&json!({"apiKeyFile": "key-0", "allowPlaintext": true}))?;
        cast.says(("False", "AgentUnauthorized"), "rejects the API key").await?;
        cast.install_key("key-0", "the-right-key\n")?;
        cast.loaded(("True", "AsExpected"), "1/1").await?;
        assert_eq!(keys(&agent.requests().await?).last(), Some(&json!("the-right-key")));
        let log = std::fs::read_to_string(cast.stage.controller.process().log())?;
        ensure!(!log.contains("the-right-key") && !log.contains("the-wrong-key"), "a key is in the log");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "takes more than a minute; run `cargo xtask test api -- at_rest_for_a_minute --ignored`"]
async fn at_rest_for_a_minute_the_agent_is_not_asked() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let Some(agents) = replicas(2).await? else { return not_installed() };
    scenario("agent-rest", async |world| {
        let cast = AgentStage::set(world, Pauses::default(), json!({})).await?;
        cast.install(&json!({}))?;
        take_up(&cast, &agents).await?;
        for agent in &agents {
            cast.replica(IMAGE, agent.port()).await?;
        }
        cast.loaded(("True", "AsExpected"), "2/2").await?;
        let requests = async || -> Result<usize> {
            let all = try_join_all(agents.iter().map(LibraryAgent::requests)).await?;
            Ok(all.iter().map(Vec::len).sum())
        };
        let before = requests().await?;
        holds(std::time::Duration::from_secs(65), "nobody is asked", async || {
            ensure!(requests().await? == before);
            Ok(())
        })
        .await?;
        // A change is followed by requests again.
        cast.stage.world.create(&services::grafana(&cast.stage.apps)).await?;
        cast.loaded(("Unknown", "AgentBehind"), "0/2").await?;
        eventually("they are asked", async || {
            ensure!(requests().await? > before);
            Ok(())
        })
        .await
    })
    .await
}

//! `consumer.reload: RolloutRestart` restarts the agent's Deployment after the changes that `restartOn` selects, and no
//! other Deployment.
//!
//! A change settles for 10 s before the agent is restarted, so these tests take longer than others.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{Account, Controller, prelude::*, services};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::PodTemplateSpec},
    jiff::Timestamp,
};
use kube::Api;
use serde_json::{Value, from_value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    rights,
    stage::{CONFIG, RETRIED, counts, data, message, over, patch, without_health},
};

/// Longer than a change takes to settle.
const SETTLED: Duration = Duration::from_secs(12);

const ANNOTATION: &str = "kubernaut.io/toolset-hash";
const VARIABLES: &str = "kubernaut.io/toolset-variables";

/// The tests hold it in a box, so that their futures are small.
struct Cast {
    account: Account,
    controller: Controller,
    options: ControllerOptions,
    deployments: Api<Deployment>,
    agent: String,
}

fn deployment(namespace: &str, name: &str) -> Result<Deployment> {
    let template = json!({
        "metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "app.example/app:1"}]},
    });
    Ok(from_value(json!({
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template},
    }))?)
}

/// An agent called `holmes`, an unrelated Deployment, and a controller that may patch only the agent.
async fn cast(world: &mut World, consumer: Value) -> Result<Box<Cast>> {
    let agent = world.namespace("agent").await?;
    for name in ["holmes", "other"] {
        world.create(&deployment(&agent, name)?).await?;
    }
    let account: Account = world.account(&agent, "operator").await?;
    account.grant(&agent, "services", &rights::services()).await?;
    account.grant(&agent, "endpoint-slices", &rights::endpoint_slices()).await?;
    account.grant(&agent, "writing", &rights::writing()).await?;
    let restart = json!([{
        "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["holmes"], "verbs": ["get", "patch"],
    }]);
    account.grant(&agent, "restart", &restart).await?;
    let options =
        ControllerOptions { kubeconfig: Some(account.kubeconfig().to_owned()), ..ControllerOptions::default() };
    let controller = world.start_controller(options.clone()).await?;
    world.configure(&agent, CONFIG, &over(without_health(&[&agent]), json!({"consumer": consumer}))).await?;
    Ok(Box::new(Cast { account, controller, options, deployments: world.api(&agent), agent }))
}

/// A restart after every change.
fn restart(name: &str, interval: u32) -> Value {
    over(restart_for_variables(name, interval), json!({"restartOn": "AnyChange"}))
}

/// A restart only for new environment variables, which is the default.
fn restart_for_variables(name: &str, interval: u32) -> Value {
    json!({"reload": "RolloutRestart", "deploymentRef": {"name": name}, "minIntervalSeconds": interval})
}

/// An annotation of the pod template.
fn annotation(deployment: &Deployment, name: &str) -> Option<String> {
    let template = deployment.spec.as_ref()?.template.metadata.as_ref()?;
    template.annotations.as_ref()?.get(name).cloned()
}

/// The hash that the agent runs with.
fn carried(deployment: &Deployment) -> Option<String> {
    annotation(deployment, ANNOTATION)
}

/// How many environment variables the agent was restarted for.
fn variables(deployment: &Deployment) -> usize {
    annotation(deployment, VARIABLES).map_or(0, |list| list.split(',').filter(|one| !one.is_empty()).count())
}

/// A spec in which Services need these environment variables.
fn credentials(namespace: &str, of: &[(&str, &str)]) -> Value {
    let rule = |(service, env): &(&str, &str)| {
        json!({
            "name": service, "match": {"namespace": namespace, "service": service},
            "credentials": {"type": "Bearer", "env": env},
        })
    };
    json!({"spec": {"overrides": of.iter().map(rule).collect::<Vec<_>>()}})
}

/// How often the Deployment's spec was changed since it was made.
fn changes(deployment: &Deployment) -> i64 {
    deployment.metadata.generation.unwrap_or_default() - 1
}

/// When the operator last changed it.
fn restarted(deployment: &Deployment) -> Option<Timestamp> {
    let entries = deployment.metadata.managed_fields.iter().flatten();
    let ours = entries.filter(|entry| entry.manager.as_deref() == Some("toolset-operator"));
    ours.filter_map(|entry| entry.time.as_ref()).map(|time| time.0).max()
}

impl Cast {
    /// The operator ends.
    async fn ends(&mut self) -> Result<()> {
        ensure!(self.controller.terminate().await?.success());
        Ok(())
    }

    /// The operator starts again.
    async fn starts(&mut self, world: &mut World) -> Result<()> {
        self.controller = world.start_controller(self.options.clone()).await?;
        Ok(())
    }

    async fn reloaded(&self, world: &World, expected: (&str, &str)) -> Result<()> {
        let configs = toolset_configs(&world.client(), &self.agent);
        present(&configs, CONFIG, "ConsumerReloaded", |config| condition(config, "ConsumerReloaded") == Some(expected))
            .await
            .map(drop)
    }

    /// Waits until the agent's Deployment has a variable on record that it was not restarted for.
    async fn records_a_variable(&self) -> Result<()> {
        let is_recorded = |agent: &Deployment| {
            agent.metadata.annotations.as_ref().is_some_and(|annotations| annotations.contains_key(VARIABLES))
        };
        present(&self.deployments, "holmes", "the variable is recorded", is_recorded).await.map(drop)
    }

    /// The agent's pod template stays as it is for longer than a change takes to settle.
    async fn keeps_its_pods(&self, before: &PodTemplateSpec) -> Result<()> {
        holds(SETTLED, "nobody restarts the agent", async || {
            let agent = self.deployments.get("holmes").await?;
            ensure!(agent.spec.is_some_and(|spec| spec.template == *before), "its pods are replaced");
            Ok(())
        })
        .await
    }

    /// The generation of the agent's Deployment stays the same for longer than a change takes to settle.
    async fn stays_at(&self, generation: i64) -> Result<()> {
        holds(SETTLED, "nobody restarts the agent", async || {
            ensure!(changes(&self.deployments.get("holmes").await?) == generation);
            Ok(())
        })
        .await
    }

    async fn hash(&self, world: &World) -> Result<String> {
        let config_maps: Api<k8s_openapi::api::core::v1::ConfigMap> = world.api(&self.agent);
        let output = config_maps.get(e2e::harness::DEFAULT_CONFIG_MAP).await?;
        let digest = Sha256::digest(data(&output, "custom_toolset.yaml"));
        Ok(digest.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
    }

    /// Waits until the agent runs with what the ConfigMap holds, and returns its Deployment.
    async fn follows(&self, world: &World) -> Result<Deployment> {
        let hash = self.hash(world).await?;
        let deployment = present(&self.deployments, "holmes", "it carries the file's hash", |deployment| {
            carried(deployment).as_deref() == Some(&hash)
        })
        .await?;
        let configs = toolset_configs(&world.client(), &self.agent);
        present(&configs, CONFIG, "ConsumerReloaded", |config| {
            condition(config, "ConsumerReloaded") == Some(("True", "AsExpected"))
        })
        .await?;
        Ok(deployment)
    }
}

#[tokio::test]
async fn a_burst_of_changes_restarts_the_agent_once_and_no_other_deployment() -> Result<()> {
    scenario("reload", async |world| {
        let cast = cast(world, restart("holmes", 1)).await?;
        world.ready(&cast.agent, CONFIG, ("True", "AsExpected")).await?;
        let first = cast.follows(world).await?;
        assert_eq!(changes(&first), 1, "one patch, so that the agent runs with the first file");

        for name in ["one", "two", "three"] {
            world.create(&services::prometheus_named(&cast.agent, name)).await?;
            world.tools(&cast.agent, &format!("lists {name}"), |tools| tools.names().contains(&name)).await?;
        }
        let second = cast.follows(world).await?;
        assert_eq!(changes(&second), 2, "one patch for the three of them");
        assert_eq!(changes(&cast.deployments.get("other").await?), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_change_of_toolset_json_alone_restarts_nothing() -> Result<()> {
    scenario("json-alone", async |world| {
        let cast = cast(world, restart("holmes", 1)).await?;
        world.ready(&cast.agent, CONFIG, ("True", "AsExpected")).await?;
        cast.follows(world).await?;

        let configs = toolset_configs(&world.client(), &cast.agent);
        patch(&configs, CONFIG, json!({"spec": {"output": {"formats": ["HolmesGPT"]}}})).await?;
        let config_maps: Api<k8s_openapi::api::core::v1::ConfigMap> = world.api(&cast.agent);
        present(&config_maps, e2e::harness::DEFAULT_CONFIG_MAP, "has no toolset.json", |output| {
            data(output, "toolset.json").is_empty()
        })
        .await?;
        holds(SETTLED, "nobody restarts the agent", async || {
            ensure!(changes(&cast.deployments.get("holmes").await?) == 1);
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn restarts_respect_the_interval_and_include_the_last_change() -> Result<()> {
    scenario("distance", async |world| {
        let cast = cast(world, restart("holmes", 20)).await?;
        world.ready(&cast.agent, CONFIG, ("True", "AsExpected")).await?;
        let first = cast.follows(world).await?;

        world.create(&services::grafana(&cast.agent)).await?;
        world.tools(&cast.agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let configs = toolset_configs(&world.client(), &cast.agent);
        present(&configs, CONFIG, "the restart is due", |config| {
            condition(config, "ConsumerReloaded") == Some(("Unknown", "ReloadPending"))
        })
        .await?;
        let second = cast.follows(world).await?;

        assert_eq!(changes(&second), 2);
        let (before, after) =
            (restarted(&first).context("the first restart")?, restarted(&second).context("the second restart")?);
        // The API server stores whole seconds.
        let distance = after.duration_since(before).as_secs();
        assert!(distance >= 19, "{distance} s");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deployment_that_may_not_be_restarted_is_reported_and_the_output_is_written() -> Result<()> {
    scenario("refused", async |world| {
        let cast = cast(world, restart("other", 1)).await?;
        let configs = toolset_configs(&world.client(), &cast.agent);
        let config = present(&configs, CONFIG, "ReloadFailed", |config| {
            condition(config, "ConsumerReloaded") == Some(("False", "ReloadFailed"))
        })
        .await?;
        let told = message(&config, "ConsumerReloaded");
        let cure = format!("add {{name: other, namespace: {}}} to the Helm value rolloutRestart", cast.agent);
        assert!(told.contains("\"other\" is forbidden") && told.contains(&cure), "{told}");

        // A change between two attempts does not hide the failure.
        world.create(&services::grafana(&cast.agent)).await?;
        world.tools(&cast.agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let config = present(&configs, CONFIG, "counts Grafana", |config| counts(config, 1)).await?;
        assert_eq!(condition(&config, "ConsumerReloaded"), Some(("False", "ReloadFailed")));
        assert_eq!(changes(&cast.deployments.get("other").await?), 0);

        let restart = json!([{
            "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["other"], "verbs": ["get", "patch"],
        }]);
        cast.account.grant(&cast.agent, "restart-other", &restart).await?;
        within(RETRIED, "the next attempt succeeds", async || {
            let config = configs.get(CONFIG).await?;
            ensure!(condition(&config, "ConsumerReloaded") == Some(("True", "AsExpected")));
            Ok(())
        })
        .await?;
        assert_eq!(changes(&cast.deployments.get("other").await?), 1);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn only_a_variable_that_is_named_for_the_first_time_restarts_the_agent() -> Result<()> {
    scenario("variables", async |world| {
        let mut cast = cast(world, restart_for_variables("holmes", 1)).await?;
        for name in ["one", "two"] {
            world.create(&services::prometheus_named(&cast.agent, name)).await?;
        }
        world.tools(&cast.agent, "lists both", |tools| tools.names() == ["one", "two"]).await?;
        cast.reloaded(world, ("True", "AsExpected")).await?;
        cast.stays_at(0).await?;

        let configs = toolset_configs(&world.client(), &cast.agent);
        patch(&configs, CONFIG, credentials(&cast.agent, &[("one", "TOKEN")])).await?;
        cast.reloaded(world, ("Unknown", "ReloadPending")).await?;
        cast.reloaded(world, ("True", "AsExpected")).await?;
        let first = cast.deployments.get("holmes").await?;
        assert_eq!((changes(&first), variables(&first)), (1, 1));

        // Further content, and the same variable at another tool.
        world.create(&services::grafana(&cast.agent)).await?;
        patch(&configs, CONFIG, credentials(&cast.agent, &[("one", "TOKEN"), ("two", "TOKEN")])).await?;
        world.tools(&cast.agent, "lists Grafana", |tools| tools.names().contains(&"grafana")).await?;
        cast.stays_at(1).await?;

        // Another process knows what the agent was restarted for.
        cast.ends().await?;
        Box::pin(cast.starts(world)).await?;
        patch(&configs, CONFIG, credentials(&cast.agent, &[("one", "TOKEN"), ("two", "OTHER")])).await?;
        let second = present(&cast.deployments, "holmes", "it was restarted for both", |agent| variables(agent) == 2);
        assert_eq!(changes(&second.await?), 2);
        Ok(())
    })
    .await
}

/// The operator has restarted the agent for the token of the Service `one`, and has ended.
async fn restarted_for_a_token(world: &mut World) -> Result<Box<Cast>> {
    let mut cast = cast(world, restart_for_variables("holmes", 1)).await?;
    world.create(&services::prometheus_named(&cast.agent, "one")).await?;
    let configs = toolset_configs(&world.client(), &cast.agent);
    patch(&configs, CONFIG, credentials(&cast.agent, &[("one", "TOKEN")])).await?;
    present(&cast.deployments, "holmes", "it was restarted", |agent| variables(agent) == 1).await?;
    cast.ends().await?;
    Ok(cast)
}

#[tokio::test]
async fn an_upgrade_of_the_operator_restarts_nobody() -> Result<()> {
    scenario("upgrade", async |world| {
        let mut cast = restarted_for_a_token(world).await?;
        let configs = toolset_configs(&world.client(), &cast.agent);

        // As a release left them that wrote no revision entry and recorded only the hash of the file.
        let config_maps: Api<k8s_openapi::api::core::v1::ConfigMap> = world.api(&cast.agent);
        let output = config_maps.get(e2e::harness::DEFAULT_CONFIG_MAP).await?;
        let entry = |line: &&str| !line.contains("evision");
        let older: Vec<&str> = data(&output, "custom_toolset.yaml").split_inclusive('\n').filter(entry).collect();
        let older = older.concat();
        patch(&config_maps, e2e::harness::DEFAULT_CONFIG_MAP, json!({"data": {"custom_toolset.yaml": older}})).await?;
        let annotations = json!({ANNOTATION: cast.hash(world).await?, VARIABLES: null});
        let template = json!({"spec": {"template": {"metadata": {"annotations": annotations}}}});
        let before = patch(&cast.deployments, "holmes", template).await?.spec.context("its spec")?.template;

        for _ in 0..2 {
            Box::pin(cast.starts(world)).await?;
            cast.records_a_variable().await?;
            Box::pin(cast.keeps_its_pods(&before)).await?;
            cast.ends().await?;
        }
        assert_ne!(data(&config_maps.get(e2e::harness::DEFAULT_CONFIG_MAP).await?, "custom_toolset.yaml"), older);

        Box::pin(cast.starts(world)).await?;
        world.create(&services::grafana(&cast.agent)).await?;
        let both = credentials(&cast.agent, &[("one", "TOKEN"), ("grafana", "GRAFANA")]);
        patch(&configs, CONFIG, both).await?;
        present(&cast.deployments, "holmes", "it is restarted for both", |agent| variables(agent) == 2).await.map(drop)
    })
    .await
}

#[tokio::test]
async fn a_deployment_that_is_younger_than_the_file_is_not_restarted_for_it() -> Result<()> {
    scenario("younger", async |world| {
        let mut cast = restarted_for_a_token(world).await?;

        cast.deployments.delete("holmes", &kube::api::DeleteParams::default()).await?;
        absent(&cast.deployments, "holmes").await?;
        world.create(&deployment(&cast.agent, "holmes")?).await?;

        Box::pin(cast.starts(world)).await?;
        cast.records_a_variable().await?;
        holds(SETTLED, "nobody restarts the agent", async || {
            ensure!(variables(&cast.deployments.get("holmes").await?) == 0, "its pod template is changed");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn two_toolset_configs_that_restart_one_agent_do_not_undo_each_others_records() -> Result<()> {
    scenario("shared", async |world| {
        let mut cast = cast(world, restart_for_variables("holmes", 1)).await?;
        world.create(&services::prometheus_named(&cast.agent, "one")).await?;
        let configs = toolset_configs(&world.client(), &cast.agent);
        patch(&configs, CONFIG, credentials(&cast.agent, &[("one", "TOKEN")])).await?;
        let output = json!({"configMapName": "variables", "formats": ["Environment"]});
        let consumer = restart_for_variables("holmes", 1);
        let spec = over(without_health(&[&cast.agent]), json!({"output": output, "consumer": consumer}));
        Box::pin(world.configure(&cast.agent, "environment", &spec)).await?;
        let both = |agent: &Deployment| variables(agent) == 1 && carried(agent).is_some();
        let agent = Box::pin(present(&cast.deployments, "holmes", "it was restarted for both", both)).await?;
        let before = agent.spec.context("its spec")?.template;

        for _ in 0..2 {
            cast.ends().await?;
            Box::pin(cast.starts(world)).await?;
            Box::pin(cast.keeps_its_pods(&before)).await?;
        }
        Ok(())
    })
    .await
}

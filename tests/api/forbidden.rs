//! A forbidden watch removes no tools, delays no other ToolsetConfig, and recovers without a restart.
//!
//! The API server checks permissions when a watch starts. So these tests cut the line to it, and every watch starts again.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Account, Controller, DEFAULT_CONFIG_MAP, Line, Step, Tools, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    rights,
    stage::{CONFIG, RETRIED, message, over, patch, told, without_health},
};

/// A controller with a ServiceAccount that has permissions in the whole cluster, and its ToolsetConfig.
struct Cast {
    account: Account,
    line: Line,
    controller: Controller,
    apps: String,
    agent: String,
}

async fn cast(world: &mut World, spec: impl FnOnce(&str) -> Value) -> Result<Cast> {
    let agent = world.namespace("agent").await?;
    // Other tests have namespaces with labels, too.
    let apps = world.namespace_with_labels("apps", &[("observed-for", &agent)]).await?;
    let account = rights::operator(world, &agent).await?;
    let line = world.line(&account).await?;
    let options = ControllerOptions {
        kubeconfig: Some(line.kubeconfig().to_owned()),
        ..ControllerOptions::for_configs_in(&agent)
    };
    let controller = world.start_controller(options).await?;
    world.configure(&agent, CONFIG, &over(without_health(&[&apps]), spec(&agent))).await?;
    world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
    Ok(Cast { account, line, controller, apps, agent })
}

impl Cast {
    /// Revokes the permissions on one kind, restarts every watch, and waits until the problem is reported.
    async fn forbid(&self, world: &World, role: &str, kind: &str, (group, resource): (&str, &str)) -> Result<()> {
        self.account.revoke_everywhere(role).await?;
        self.account.may_not_watch(group, resource, None).await?;
        self.line.cut();
        let configs = toolset_configs(&world.client(), &self.agent);
        within(RETRIED, &format!("only {kind} is forbidden"), async || {
            let config = configs.get(CONFIG).await?;
            for one in ["InputsSynced", "Ready"] {
                ensure!(condition(&config, one) == Some(("False", "InputForbidden")), "{:?}", condition(&config, one));
                ensure!(
                    message(&config, one).starts_with(&format!("The operator is not allowed to read {kind}s: ")),
                    "{}",
                    message(&config, one)
                );
            }
            Ok(())
        })
        .await?;

        told(world, &self.agent, CONFIG, "InputForbidden").await?;
        let synced = format!("dynamictoolset_watch_synced{{input=\"{kind}\"}}");
        ensure!(self.controller.metric(&synced).await? == Some(0.0), "the metric says so");
        ensure!(self.controller.health("/ready").await?.0 == 200, "a failing watch does not make the pod unready");
        Ok(())
    }

    /// Grants the permissions again, and waits until the same process has recovered.
    async fn allow(&mut self, world: &World, role: &str, rules: &Value) -> Result<()> {
        self.account.grant_everywhere(role, rules).await?;
        let configs = toolset_configs(&world.client(), &self.agent);
        within(RETRIED, "all is well", async || {
            let config = configs.get(CONFIG).await?;
            ensure!(condition(&config, "Ready") == Some(("True", "AsExpected")), "{:?}", condition(&config, "Ready"));
            Ok(())
        })
        .await?;
        self.controller.process().require_running()
    }

    async fn lists(&self, world: &World, names: &[&str]) -> Result<()> {
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        within(RETRIED, &format!("lists {names:?}"), async || {
            let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
            ensure!(Tools::of(&config_map)?.names() == names, "{:?}", Tools::of(&config_map)?.names());
            Ok(())
        })
        .await
    }
}

#[tokio::test]
async fn a_forbidden_service_watch_holds_the_output_until_it_is_allowed_again() -> Result<()> {
    scenario("no-services", async |world| {
        let mut cast = cast(world, |_| json!({})).await?;
        world.create(&services::grafana(&cast.apps)).await?;
        cast.lists(world, &["grafana"]).await?;
        let config_maps: Api<ConfigMap> = world.api(&cast.agent);
        let before = config_maps.get(DEFAULT_CONFIG_MAP).await?;

        cast.forbid(world, "services", "Service", ("", "services")).await?;

        let moment = world.moment(&cast.agent).await?;
        let in_apps: Api<Service> = world.api(&cast.apps);
        in_apps.delete("grafana", &DeleteParams::default()).await?;
        // A deleted ConfigMap is restored, because the agent must not lose tools that work.
        config_maps.delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        let restored = present(&config_maps, DEFAULT_CONFIG_MAP, "is restored", |config_map| {
            config_map.metadata.uid != before.metadata.uid
        });
        ensure!(restored.await?.data == before.data);
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        assert!(matches!(steps.as_slice(), [Step::Deleted, Step::Created(_)]), "it was held until then: {steps:?}");

        cast.allow(world, "services", &rights::services()).await?;
        cast.lists(world, &[]).await
    })
    .await
}

#[tokio::test]
async fn with_endpoint_slices_forbidden_health_does_not_change_and_services_are_added_and_removed() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("no-slices", async |world| {
        let health = json!({"health": {"mode": "Endpoints", "withholdAfterSeconds": 0}});
        let mut cast = cast(world, |_| health).await?;
        let grafana = world.create(&services::grafana(&cast.apps)).await?;
        let backend = world.backend(&grafana).await?;
        world.backend(&world.create(&services::prometheus_server(&cast.apps)).await?).await?;
        cast.lists(world, &["grafana", "prometheus-server"]).await?;

        cast.forbid(world, "endpoint-slices", "EndpointSlice", ("discovery.k8s.io", "endpointslices")).await?;

        backend.set_ready(false).await?;
        let in_apps: Api<Service> = world.api(&cast.apps);
        in_apps.delete("prometheus-server", &DeleteParams::default()).await?;
        cast.lists(world, &["grafana"]).await?;

        cast.allow(world, "endpoint-slices", &rights::endpoint_slices()).await?;
        cast.lists(world, &[]).await
    })
    .await
}

#[tokio::test]
async fn with_namespaces_forbidden_their_last_labels_count_and_services_are_added_and_removed() -> Result<()> {
    scenario("no-namespaces", async |world| {
        let by_label = |agent: &str| {
            json!({"sources": [{"name": "labelled", "trust": "Trusted", "namespaces": {
                "from": "Selector", "selector": {"matchLabels": {"observed-for": agent}},
            }}]})
        };
        let mut cast = cast(world, by_label).await?;
        world.create(&services::grafana(&cast.apps)).await?;
        cast.lists(world, &["grafana"]).await?;

        cast.forbid(world, "namespaces", "Namespace", ("", "namespaces")).await?;

        let namespaces: Api<Namespace> = Api::all(world.client());
        patch(&namespaces, &cast.apps, json!({"metadata": {"labels": {"observed-for": null}}})).await?;
        world.create(&services::prometheus_server(&cast.apps)).await?;
        cast.lists(world, &["grafana", "prometheus-server"]).await?;

        cast.allow(world, "namespaces", &rights::namespaces()).await?;
        cast.lists(world, &[]).await
    })
    .await
}

#[tokio::test]
async fn an_input_that_was_never_listed_delays_only_the_toolset_configs_that_need_it() -> Result<()> {
    scenario("never-listed", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let account = world.account(&agent, "operator").await?;
        for namespace in [&apps, &agent] {
            account.grant(namespace, "services", &rights::services()).await?;
            account.grant(namespace, "writing", &rights::writing()).await?;
        }
        world.create(&services::grafana(&apps)).await?;
        let options =
            ControllerOptions { kubeconfig: Some(account.kubeconfig().to_owned()), ..ControllerOptions::default() };
        // The controller is ready, because a refusal is an answer.
        let _controller = world.start_controller(options).await?;
        let needs_slices = over(trusted_names(&[&apps]), json!({"output": {"configMapName": "with-health"}}));
        world.configure(&agent, "with-health", &needs_slices).await?;

        world.ready(&agent, "with-health", ("False", "InputForbidden")).await?;
        world.configure(&agent, "without", &without_health(&[&apps])).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        ensure!(config_maps.get_opt("with-health").await?.is_none(), "nothing is written from half a view");

        for namespace in [&apps, &agent] {
            account.grant(namespace, "endpoint-slices", &rights::endpoint_slices()).await?;
        }
        world.ready(&agent, "with-health", ("True", "AsExpected")).await?;
        present(&config_maps, "with-health", "is written", |_| true).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_config_map_that_may_not_be_written_is_reported_and_written_when_it_is_allowed() -> Result<()> {
    scenario("read-only", async |world| {
        let agent = world.namespace("agent").await?;
        let account = world.account(&agent, "operator").await?;
        account.grant(&agent, "services", &rights::services()).await?;
        account.grant(&agent, "endpoint-slices", &rights::endpoint_slices()).await?;
        account.grant(&agent, "telling", &rights::writing_all_but_config_maps()).await?;
        let options =
            ControllerOptions { kubeconfig: Some(account.kubeconfig().to_owned()), ..ControllerOptions::default() };
        let _controller = world.start_controller(options).await?;
        world.create(&services::grafana(&agent)).await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;

        let config = world.ready(&agent, CONFIG, ("False", "ApplyFailed")).await?;
        ensure!(condition(&config, "InputsSynced") == Some(("True", "AsExpected")), "it reads all that it needs");
        ensure!(message(&config, "Ready").contains(DEFAULT_CONFIG_MAP), "{}", message(&config, "Ready"));
        told(world, &agent, CONFIG, "ApplyFailed").await?;

        account.grant(&agent, "writing", &rights::writing()).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        Ok(())
    })
    .await
}

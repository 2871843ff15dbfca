//! While an input cannot be read, a tool that the spec excludes leaves at once, the other tools stay, and no Service
//! enters. If only one of several watched namespaces cannot be read, this concerns only its Services.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Account, Controller, DEFAULT_CONFIG_MAP, Line, Tools, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{Api, api::DeleteParams};
use serde_json::{Value, from_value, json};

use crate::{
    harness::skipped,
    rights,
    stage::{CONFIG, RETRIED, counts, data, message, patch},
};

/// Two namespaces with Services, of which the controller has one Role each, and the agent's namespace.
struct Cast {
    account: Account,
    line: Line,
    controller: Controller,
    a: String,
    b: String,
    agent: String,
}

fn source(name: &str, namespace: &str, trust: &str) -> Value {
    json!({"name": name, "trust": trust, "namespaces": {"from": "Names", "names": [namespace]}})
}

/// `Names` is the Role for the Services of a namespace.
const WATCH: &str = "watch";

impl Cast {
    async fn enter(world: &mut World) -> Result<Self> {
        let (a, b) = (world.namespace("a").await?, world.namespace("b").await?);
        let agent = world.namespace("agent").await?;
        let account = world.account(&agent, "operator").await?;
        account.grant(&agent, "writing", &rights::writing()).await?;
        for namespace in [&a, &b] {
            account.grant(namespace, WATCH, &rights::watched()).await?;
        }
        account.grant_everywhere("namespaces", &rights::get_namespaces(&[&a, &b])).await?;
        let line = world.line(&account).await?;
        let controller = world.start_controller(Self::options(&line, &a, &b, &agent)).await?;
        world.create(&services::grafana(&a)).await?;
        world.create(&services::prometheus_server(&a)).await?;
        world.create(&services::jaeger_query(&b)).await?;
        world.create(&services::elasticsearch(&b)).await?;
        let spec = json!({
            "sources": [source("a", &a, "Trusted"), source("b", &b, "Trusted")], "health": {"mode": "None"},
        });
        world.configure(&agent, CONFIG, &spec).await?;
        let cast = Self { account, line, controller, a, b, agent };
        cast.lists(world, &["elasticsearch-master", "grafana", "prometheus-server", "tracing-query"]).await?;
        present(&toolset_configs(&world.client(), &cast.agent), CONFIG, "the status counts them", |config| {
            counts(config, 4)
        })
        .await?;
        Ok(cast)
    }

    fn options(line: &Line, a: &str, b: &str, agent: &str) -> ControllerOptions {
        ControllerOptions {
            kubeconfig: Some(line.kubeconfig().to_owned()),
            watch_namespaces: Some(vec![a.to_owned(), b.to_owned()]),
            config_namespaces: Some(vec![agent.to_owned()]),
            ..ControllerOptions::default()
        }
    }

    async fn restart_controller(&mut self, world: &mut World) -> Result<()> {
        self.controller = world.start_controller(Self::options(&self.line, &self.a, &self.b, &self.agent)).await?;
        Ok(())
    }

    /// Revokes the permissions in these namespaces, and restarts every watch.
    async fn forbid(&self, namespaces: &[&str]) -> Result<()> {
        for namespace in namespaces {
            self.account.revoke(namespace, WATCH).await?;
            for (group, resource) in [("", "services"), ("discovery.k8s.io", "endpointslices")] {
                self.account.may_not_watch(group, resource, Some(namespace)).await?;
            }
        }
        // The API server checks permissions when a watch starts.
        self.line.cut();
        Ok(())
    }

    async fn says(&self, world: &World, kind: &str, expected: (&str, &str)) -> Result<String> {
        let configs = toolset_configs(&world.client(), &self.agent);
        within(RETRIED, &format!("{kind} is {expected:?}"), async || {
            let config = configs.get(CONFIG).await?;
            ensure!(condition(&config, kind) == Some(expected), "{:?}", condition(&config, kind));
            Ok(message(&config, kind).to_owned())
        })
        .await
    }

    async fn lists(&self, world: &World, names: &[&str]) -> Result<()> {
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        within(RETRIED, &format!("lists {names:?}"), async || {
            let config_map = config_maps.get(DEFAULT_CONFIG_MAP).await?;
            let mut tools = Tools::of(&config_map)?.names().into_iter().map(str::to_owned).collect::<Vec<_>>();
            tools.sort();
            ensure!(tools == names, "{tools:?}");
            Ok(())
        })
        .await
    }

    async fn respec(&self, world: &World, spec: Value) -> Result<()> {
        patch(&toolset_configs(&world.client(), &self.agent), CONFIG, json!({"spec": spec})).await?;
        Ok(())
    }
}

fn off(namespace: &str, service: &str) -> Value {
    json!([{"name": "off", "match": {"namespace": namespace, "service": service}, "state": "Disabled"}])
}

#[tokio::test]
async fn during_a_hold_a_tool_that_the_spec_excludes_leaves_and_no_service_enters() -> Result<()> {
    scenario("hold", async |world| {
        let cast = Cast::enter(world).await?;
        cast.forbid(&[&cast.a, &cast.b]).await?;
        cast.says(world, "Ready", ("False", "InputForbidden")).await?;
        // Nobody sees it.
        world.create(&services::prometheus_named(&cast.a, "unseen")).await?;

        // An override, a detector, a source that is removed and one that is trusted less.
        cast.respec(world, json!({"overrides": off(&cast.a, "grafana")})).await?;
        cast.lists(world, &["elasticsearch-master", "prometheus-server", "tracing-query"]).await?;
        cast.respec(world, json!({"detectors": [{"type": "Jaeger", "state": "Disabled"}]})).await?;
        cast.lists(world, &["elasticsearch-master", "prometheus-server"]).await?;
        cast.respec(world, json!({"sources": [source("a", &cast.a, "Tenant"), source("b", &cast.b, "Trusted")]}))
            .await?;
        cast.lists(world, &["elasticsearch-master"]).await?;

        // What was taken away does not come back without an input, also not with a deleted ConfigMap.
        cast.respec(world, json!({"sources": [source("a", &cast.a, "Trusted"), source("b", &cast.b, "Trusted")]}))
            .await?;
        let config_maps: Api<ConfigMap> = world.api(&cast.agent);
        let old = config_maps.get(DEFAULT_CONFIG_MAP).await?;
        config_maps.delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
        present(&config_maps, DEFAULT_CONFIG_MAP, "it is restored", |new| new.metadata.uid != old.metadata.uid).await?;
        cast.lists(world, &["elasticsearch-master"]).await?;
        cast.says(world, "Ready", ("False", "InputForbidden")).await?;

        for namespace in [&cast.a, &cast.b] {
            cast.account.grant(namespace, WATCH, &rights::watched()).await?;
        }
        cast.says(world, "Ready", ("True", "AsExpected")).await?;
        cast.lists(world, &["elasticsearch-master", "prometheus-server", "unseen"]).await
    })
    .await
}

#[tokio::test]
async fn during_a_hold_after_a_restart_a_tool_that_the_spec_excludes_leaves_the_output() -> Result<()> {
    scenario("hold-restart", async |world| {
        let mut cast = Cast::enter(world).await?;
        cast.controller.terminate().await?;
        cast.forbid(&[&cast.a, &cast.b]).await?;
        cast.respec(world, json!({"overrides": off(&cast.a, "grafana")})).await?;
        cast.restart_controller(world).await?;

        cast.lists(world, &["elasticsearch-master", "prometheus-server", "tracing-query"]).await?;
        cast.says(world, "Ready", ("False", "InputForbidden")).await?;
        cast.respec(world, json!({"sources": [source("a", &cast.a, "Trusted")]})).await?;
        cast.lists(world, &["prometheus-server"]).await?;
        let configs = toolset_configs(&world.client(), &cast.agent);
        present(&configs, CONFIG, "the status lists what is left", |config| counts(config, 1)).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn during_a_hold_after_a_restart_the_users_own_entries_stay_whatever_they_name() -> Result<()> {
    scenario("hold-own", async |world| {
        let mut cast = Cast::enter(world).await?;
        let base = json!({
            "metadata": {"namespace": cast.agent, "name": "mine"},
            "data": {"custom_toolset.yaml": "mcp_servers:\n  mine:\n    config:\n      url: http://mcp.shop.svc.cluster.local/mcp\n"},
        });
        world.create::<ConfigMap>(&from_value(base)?).await?;
        let inside = json!({
            "name": "inside", "type": "Prometheus", "endpoint": "http://prom.shop.svc.cluster.local:9090",
        });
        cast.respec(world, json!({"tools": [inside], "output": {"base": {"configMapName": "mine"}}})).await?;
        cast.lists(world, &["elasticsearch-master", "grafana", "inside", "prometheus-server", "tracing-query"]).await?;
        cast.says(world, "Ready", ("True", "AsExpected")).await?;
        cast.controller.terminate().await?;
        cast.forbid(&[&cast.a, &cast.b]).await?;
        cast.restart_controller(world).await?;
        cast.says(world, "Ready", ("False", "InputForbidden")).await?;

        cast.respec(world, json!({"overrides": off(&cast.a, "grafana")})).await?;
        cast.lists(world, &["elasticsearch-master", "inside", "prometheus-server", "tracing-query"]).await?;
        let config_maps: Api<ConfigMap> = world.api(&cast.agent);
        let output = config_maps.get(DEFAULT_CONFIG_MAP).await?;
        ensure!(data(&output, "custom_toolset.yaml").contains("mcp.shop.svc"), "{output:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_edit_during_a_hold_is_repaired_with_the_tools_that_cannot_be_seen() -> Result<()> {
    scenario("hold-edit", async |world| {
        let cast = Cast::enter(world).await?;
        let all = ["elasticsearch-master", "grafana", "prometheus-server", "tracing-query"];
        let config_maps: Api<ConfigMap> = world.api(&cast.agent);
        let emptied = || json!({"data": {"toolset.json": "{\"tools\": []}", "custom_toolset.yaml": null}});
        cast.forbid(&[&cast.b]).await?;
        cast.says(world, "InputsSynced", ("False", "InputPartiallyHeld")).await?;
        patch(&config_maps, DEFAULT_CONFIG_MAP, emptied()).await?;
        cast.lists(world, &all).await?;

        cast.forbid(&[&cast.a]).await?;
        cast.says(world, "Ready", ("False", "InputForbidden")).await?;
        patch(&config_maps, DEFAULT_CONFIG_MAP, emptied()).await?;
        cast.lists(world, &all).await
    })
    .await
}

#[tokio::test]
async fn one_forbidden_namespace_holds_only_its_own_tools() -> Result<()> {
    scenario("one-held", async |world| {
        let cast = Cast::enter(world).await?;
        world
            .configure(
                &cast.agent,
                "only-a",
                &json!({
                    "sources": [source("a", &cast.a, "Trusted")], "health": {"mode": "None"},
                    "output": {"configMapName": "only-a"},
                }),
            )
            .await?;
        cast.forbid(&[&cast.b]).await?;
        let configs = toolset_configs(&world.client(), &cast.agent);
        within(RETRIED, "only this namespace is held", async || {
            let config = configs.get(CONFIG).await?;
            ensure!(condition(&config, "InputsSynced") == Some(("False", "InputPartiallyHeld")));
            let said = message(&config, "InputsSynced");
            ensure!(said.contains(&format!("namespace {}: ", cast.b)), "{said}");
            Ok(())
        })
        .await?;
        cast.says(world, "Ready", ("True", "AsExpected")).await?;
        within(RETRIED, "the ToolsetConfig without this namespace is not concerned", async || {
            let other = configs.get("only-a").await?;
            ensure!(condition(&other, "InputsSynced") == Some(("True", "AsExpected")));
            Ok(())
        })
        .await?;

        // In the other namespace, tools are still added and removed.
        world.create(&services::prometheus_named(&cast.a, "another")).await?;
        world.api::<k8s_openapi::api::core::v1::Service>(&cast.a).delete("grafana", &DeleteParams::default()).await?;
        world.create(&services::prometheus_named(&cast.b, "unseen")).await?;
        cast.lists(world, &["another", "elasticsearch-master", "prometheus-server", "tracing-query"]).await?;
        // A tool that the spec excludes leaves.
        cast.respec(world, json!({"overrides": off(&cast.b, "elasticsearch-master")})).await?;
        cast.lists(world, &["another", "prometheus-server", "tracing-query"]).await?;

        cast.account.grant(&cast.b, WATCH, &rights::watched()).await?;
        cast.says(world, "InputsSynced", ("True", "AsExpected")).await?;
        cast.lists(world, &["another", "prometheus-server", "tracing-query", "unseen"]).await
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_is_deleted_with_its_role_takes_its_tools_along_and_holds_nothing() -> Result<()> {
    if !controllers_run() {
        return skipped("namespaces are emptied by kube-controller-manager");
    }
    scenario("one-gone", async |world| {
        let cast = Cast::enter(world).await?;
        let namespaces: Api<Namespace> = Api::all(world.client());
        namespaces.delete(&cast.b, &DeleteParams::background()).await?;
        absent(&namespaces, &cast.b).await?;
        cast.line.cut();

        cast.lists(world, &["grafana", "prometheus-server"]).await?;
        world.create(&services::prometheus_named(&cast.a, "another")).await?;
        cast.lists(world, &["another", "grafana", "prometheus-server"]).await?;
        cast.says(world, "InputsSynced", ("True", "AsExpected")).await?;
        cast.says(world, "Ready", ("True", "AsExpected")).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_is_forbidden_before_it_was_listed_holds_all_if_the_output_has_tools_of_it() -> Result<()> {
    scenario("never-listed", async |world| {
        let mut cast = Cast::enter(world).await?;
        cast.controller.terminate().await?;
        cast.forbid(&[&cast.b]).await?;
        cast.restart_controller(world).await?;
        cast.says(world, "Ready", ("False", "InputForbidden")).await?;
        cast.lists(world, &["elasticsearch-master", "grafana", "prometheus-server", "tracing-query"]).await?;

        // A ToolsetConfig whose output has nothing of it.
        world.configure(&cast.agent, "new", &json!({
            "sources": [source("a", &cast.a, "Trusted"), source("b", &cast.b, "Trusted")], "health": {"mode": "None"},
            "output": {"configMapName": "new"},
        })).await?;
        let config_maps: Api<ConfigMap> = world.api(&cast.agent);
        present(&config_maps, "new", "it lists the tools of the other namespace", |one| {
            Tools::of(one).is_ok_and(|tools| tools.names() == ["grafana", "prometheus-server"])
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_source_outside_the_watched_namespaces_is_reported() -> Result<()> {
    scenario("unwatched", async |world| {
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        let spec = json!({"sources": [source("far", "elsewhere", "Trusted")], "health": {"mode": "None"}});
        world.configure(&agent, CONFIG, &spec).await?;
        let config = world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        assert_eq!(condition(&config, "InputsSynced"), Some(("False", "NamespaceNotWatched")));
        let said = message(&config, "InputsSynced");
        assert!(said.contains("elsewhere") && said.contains("far") && said.contains("--watch-namespaces"), "{said}");
        Ok(())
    })
    .await
}

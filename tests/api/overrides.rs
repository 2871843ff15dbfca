//! Overrides, tools of the user, the baseline, a base file, and the predecessor's overrides.

use anyhow::{Result, ensure};
use e2e::harness::{DEFAULT_CONFIG_MAP, prelude::*, services};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, from_value, json};

use crate::stage::{CONFIG, Stage, behind, counts, data, message, over, patch, without_health};

/// The agent's file.
fn agents(config_map: &ConfigMap) -> Value {
    serde_saphyr::from_str(data(config_map, "custom_toolset.yaml")).unwrap_or_default()
}

async fn with_prometheus(world: &mut World) -> Result<Stage<'_>> {
    let stage = Stage::set(world, json!({})).await?;
    stage.world.create(&services::prometheus_server(&stage.apps)).await?;
    stage.lists(&["prometheus-server"]).await?;
    Ok(stage)
}

#[tokio::test]
async fn an_override_arrives_in_the_config_map_and_its_removal_reverts_it() -> Result<()> {
    scenario("round-trip", async |world| {
        let stage = with_prometheus(world).await?;
        let before = stage.output().await?;

        stage
            .respec(json!({"overrides": [{
                "name": "main",
                "match": {"namespace": stage.apps, "service": "prometheus-server"},
                "toolName": "main",
                "description": "Main metrics",
                "endpoint": {"path": "/prom"},
                "credentials": {"type": "Bearer", "env": "PROM_TOKEN"},
                "tenantID": "team-1",
            }]}))
            .await?;

        let url = format!("http://prometheus-server.{}.svc.cluster.local:80/prom", stage.apps);
        let after = stage
            .output_is("the override is in both files", |output| {
                let file = agents(output).to_string();
                let all = ["Bearer {{ env.PROM_TOKEN }}", "team-1", url.as_str()];
                all.iter().all(|text| file.contains(text))
                    && data(output, "toolset.json").contains("Main metrics")
                    && data(output, "toolset.json").contains(&url)
            })
            .await?;
        ensure!(!data(&after, "toolset.json").contains("PROM_TOKEN"), "credentials are the agent's business");
        let config = stage.ready(("True", "AsExpected")).await?;
        ensure!(condition(&config, "OverridesApplied") == Some(("True", "AsExpected")));
        ensure!(config.data.pointer("/status/tools/0/name") == Some(&json!("main")));

        stage.respec(json!({"overrides": null})).await?;
        stage.output_is("it is as before", |output| output.data == before.data).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_disabled_tool_leaves_and_comes_back() -> Result<()> {
    scenario("disabled", async |world| {
        let stage = with_prometheus(world).await?;
        stage
            .respec(json!({"overrides": [
                {"name": "off", "match": {"type": "Prometheus"}, "state": "Disabled"},
            ]}))
            .await?;
        stage.lists(&[]).await?;
        stage
            .config_is("it is said why", |config| {
                config.data.pointer("/status/rejected/0/reason") == Some(&json!("OverriddenOff"))
            })
            .await?;

        stage.respec(json!({"overrides": []})).await?;
        stage.lists(&["prometheus-server"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_override_without_effect_is_reported_and_the_others_apply() -> Result<()> {
    scenario("said", async |world| {
        let stage = with_prometheus(world).await?;
        let named = json!({"namespace": stage.apps, "service": "prometheus-server"});
        let basic = json!({"type": "Basic", "env": "P", "usernameEnv": "U"});
        let cases = [
            ("OverrideUnmatched", "matches no tool", json!({"match": {"service": "nosuch"}, "state": "Disabled"})),
            ("CredentialsUnsupported", "credentials of type Basic", json!({"match": named, "credentials": basic})),
            ("SettingUnsupported", "settings.paths", json!({"match": named, "settings": {"paths": ["/x"]}})),
        ];
        for (reason, what, one) in cases {
            stage.respec(json!({"overrides": [over(json!({"name": "misspelt"}), one)]})).await?;
            let config = stage
                .config_is(reason, |config| condition(config, "OverridesApplied") == Some(("False", reason)))
                .await?;
            let said = message(&config, "OverridesApplied");
            ensure!(said.contains("Override misspelt") && said.contains(what), "{said}");
            stage.ready(("True", "AsExpected")).await?;
            stage.lists(&["prometheus-server"]).await?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn applying_the_same_toolset_config_again_writes_nothing() -> Result<()> {
    scenario("gitops", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let proxy = world.proxy().await?;
        let _controller = world.start_controller(behind(&proxy)).await?;
        let spec = over(
            without_health(&[&apps]),
            json!({"overrides": [
                {"name": "main", "match": {"type": "Prometheus"}, "toolName": "main"},
            ]}),
        );
        let manifest = json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": CONFIG, "namespace": agent}, "spec": spec,
        });
        let configs = toolset_configs(&world.client(), &agent);
        let gitops = PatchParams::apply("argocd-controller").force();
        configs.patch(CONFIG, &gitops, &Patch::Apply(&manifest)).await?;
        world.create(&services::prometheus_server(&apps)).await?;
        let settled =
            |config: &kube::api::DynamicObject| config.data.pointer("/status/tools/0/name") == Some(&json!("main"));
        present(&configs, CONFIG, "the tool is there", settled).await?;
        world.tools(&agent, "lists it", |tools| tools.names().len() == 1).await?;
        world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
        let since = proxy.exchanges().len();

        for _ in 0..3 {
            configs.patch(CONFIG, &gitops, &Patch::Apply(&manifest)).await?;
        }
        // An annotation of a GitOps tool is not a change of the spec.
        let stamped = json!({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "now"}}});
        patch(&configs, CONFIG, stamped).await?;

        // A real change follows.
        world.create(&services::grafana(&apps)).await?;
        world.tools(&agent, "lists Grafana as well", |tools| tools.names().len() == 2).await?;
        present(&configs, CONFIG, "its status counts both", |config| counts(config, 2)).await?;
        let requests = proxy.exchanges().split_off(since);
        let writes: Vec<_> =
            requests.iter().map(|one| &one.request).filter(|one| one.writes()).map(|one| &*one.resource).collect();
        assert_eq!(writes, ["configmaps", "toolsetconfigs/status"], "written for Grafana only");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn users_can_add_tools_outside_the_cluster_and_a_baseline() -> Result<()> {
    scenario("static", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.respec(json!({
            "tools": [{"name": "corp", "type": "Prometheus", "endpoint": "https://prom.corp.example/"}],
            "baseline": [{"name": "kubernetes/logs", "state": "Enabled"}, {"name": "kubernetes/core", "state": "Disabled"}],
        }))
        .await?;
        let output = stage
            .output_is("all of it is there", |output| agents(output).to_string().contains("https://prom.corp.example"))
            .await?;
        let file = agents(&output);
        assert_eq!(file["toolsets"]["kubernetes/logs"]["enabled"], json!(true));
        assert_ne!(file["toolsets"]["kubernetes/core"]["enabled"], json!(true));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_base_file_is_merged_into_ours_and_is_watched() -> Result<()> {
    scenario("base", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.respec(json!({"output": {"base": {"configMapName": "my-toolsets", "key": "mine.yaml"}}})).await?;
        let config = stage
            .config_is("it is missed", |config| condition(config, "OverridesApplied") == Some(("False", "BaseInvalid")))
            .await?;
        ensure!(message(&config, "OverridesApplied").contains("my-toolsets"));

        let base = |site: &str| {
            json!({
                "metadata": {"namespace": stage.agent, "name": "my-toolsets"},
                "data": {"mine.yaml": format!("toolsets:\n  datadog/logs:\n    enabled: true\n    config: {{site: {site}}}\n")},
            })
        };
        stage.world.create(&from_value::<ConfigMap>(base("one.example"))?).await?;
        let has = |site: &'static str| move |output: &ConfigMap| {
            agents(output)["toolsets"]["datadog/logs"]["config"]["site"] == site
        };
        stage.output_is("their toolset is there", has("one.example")).await?;
        stage.config_is("all is well", |config| condition(config, "OverridesApplied") == Some(("True", "AsExpected"))).await?;

        patch(&stage.config_maps(), "my-toolsets", base("two.example")).await?;
        let output = stage.output_is("their change is there", has("two.example")).await?;
        assert_eq!(agents(&output)["toolsets"]["kubernetes/core"]["enabled"], json!(true));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_overrides_of_the_spec_take_precedence_over_the_predecessors() -> Result<()> {
    scenario("legacy", async |world| {
        let stage = with_prometheus(world).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;

        let legacy = "grafana:\n  enabled: false\nprometheus-server:\n  description: Metrics of old\n";
        stage.meddle(json!({"data": {"overrides.yaml": legacy}})).await?;
        stage.lists(&["prometheus-server"]).await?;
        stage.output_is("it is described", |output| data(output, "toolset.json").contains("Metrics of old")).await?;

        stage
            .respec(json!({"overrides": [
                {"name": "new", "match": {"service": "prometheus-server"}, "description": "Metrics of today"},
            ]}))
            .await?;
        let output = stage
            .output_is("the spec wins", |output| data(output, "toolset.json").contains("Metrics of today"))
            .await?;
        assert_eq!(data(&output, "overrides.yaml"), legacy, "it stays as it was written");

        stage.meddle(json!({"data": {"overrides.yaml": "{{{"}})).await?;
        let config = stage
            .config_is("it cannot be read", |config| {
                condition(config, "OverridesApplied") == Some(("False", "LegacyOverridesInvalid"))
            })
            .await?;
        ensure!(condition(&config, "Ready") == Some(("True", "AsExpected")));
        stage.lists(&["grafana", "prometheus-server"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_base_file_that_is_deleted_leaves_a_valid_file_without_it() -> Result<()> {
    scenario("base-gone", async |world| {
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        let base = json!({
            "metadata": {"namespace": agent, "name": "my-toolsets"},
            "data": {"mine.yaml": "toolsets: {datadog/logs: {enabled: true}}"},
        });
        world.create(&from_value::<ConfigMap>(base)?).await?;
        let base = json!({"configMapName": "my-toolsets", "key": "mine.yaml"});
        let spec = json!({"output": {"base": base}, "consumer": {"revisionEntry": "Disabled"}});
        world.configure(&agent, CONFIG, &over(without_health(&[&agent]), spec)).await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        present(&config_maps, DEFAULT_CONFIG_MAP, "has theirs", |output| {
            agents(output)["toolsets"]["datadog/logs"]["enabled"] == json!(true)
        })
        .await?;

        config_maps.delete("my-toolsets", &DeleteParams::default()).await?;

        let output = present(&config_maps, DEFAULT_CONFIG_MAP, "has theirs no more", |output| {
            agents(output)["toolsets"].get("datadog/logs").is_none()
        });
        assert_eq!(agents(&output.await?), json!({"toolsets": {"kubernetes/core": {"enabled": true}}}));
        Ok(())
    })
    .await
}

//! `GrafanaDatasources`: what Grafana's sidecar finds, what a removed Service leaves behind, and what an outage or a hold
//! does not change.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Account, DEFAULT_CONFIG_MAP, prelude::*, services},
};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    rights,
    stage::{CONFIG, RETRIED, Stage, data, message, over, patch, version, without_health},
};

fn for_grafana() -> Value {
    json!({"output": {"formats": ["GrafanaDatasources"]}})
}

fn key(namespace: &str) -> String {
    format!("toolset-operator.{namespace}.{CONFIG}.yaml")
}

/// The names in a list of the file, without what all names end in.
fn names(output: &ConfigMap, namespace: &str, list: &str) -> Vec<String> {
    let file: Value = serde_saphyr::from_str(data(output, &key(namespace))).unwrap_or_default();
    let all = file[list].as_array().into_iter().flatten();
    let name = |one: &Value| one["name"].as_str().unwrap_or_default().trim_end_matches(" (discovered)").to_owned();
    all.map(|one| name(one).rsplit('/').next().unwrap_or_default().to_owned()).collect()
}

/// Whether the file writes these data sources and deletes those.
fn has<'a>(namespace: &'a str, written: &'a [&str], deleted: &'a [&str]) -> impl Fn(&ConfigMap) -> bool + 'a {
    move |output| {
        names(output, namespace, "datasources") == written && names(output, namespace, "deleteDatasources") == deleted
    }
}

#[tokio::test]
async fn the_sidecar_finds_one_file_by_its_label_and_a_removed_service_is_deleted_in_grafana() -> Result<()> {
    scenario("sidecar", async |world| {
        let stage = Stage::set(world, for_grafana()).await?;
        for service in [
            services::prometheus_server(&stage.apps),
            services::jaeger_query(&stage.apps),
            services::grafana(&stage.apps),
        ] {
            stage.world.create(&service).await?;
        }
        stage.output_is("it has both", has(&stage.agent, &["prometheus-server", "tracing-query"], &[])).await?;
        let found = stage.config_maps().list(&ListParams::default().labels("grafana_datasource=1")).await?.items;
        let keys: Vec<&String> = found.iter().flat_map(|one| one.data.iter().flatten()).map(|(key, _)| key).collect();
        assert_eq!(keys, [&key(&stage.agent)]);
        let status = stage
            .config_is("the status counts what is written", |config| {
                config.data.pointer("/status/output/entries") == Some(&json!(2))
            })
            .await?;
        assert_eq!(condition(&status, "OverridesApplied"), Some(("True", "AsExpected")), "Grafana is no news");

        stage.delete_service("tracing-query").await?;
        stage.output_is("it is deleted", has(&stage.agent, &["prometheus-server"], &["tracing-query"])).await?;
        stage
            .respec(json!({"overrides": [{"name": "off", "match": {"type": "Prometheus"}, "state": "Disabled"}]}))
            .await?;
        stage.output_is("both are", has(&stage.agent, &[], &["tracing-query", "prometheus-server"])).await?;

        stage.world.create(&services::jaeger_query(&stage.apps)).await?;
        let output =
            stage.output_is("one is back", has(&stage.agent, &["tracing-query"], &["prometheus-server"])).await?;
        let before = version(&output);
        let Stage { world, agent, apps, mut controller } = stage;
        ensure!(controller.terminate().await?.success());
        let controller = world.start_controller(ControllerOptions::default()).await?;
        let stage = Stage { world, apps, agent, controller };
        let unchanged = "dynamictoolset_reconciles_total{result=\"unchanged\"}";
        eventually("the new process has planned", async || {
            ensure!(stage.controller.metric(unchanged).await?.is_some_and(|count| count >= 1.0));
            Ok(())
        })
        .await?;
        assert_eq!(version(&stage.output().await?), before, "the same input gives the same bytes");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_outage_removes_no_data_source_although_the_spec_withholds() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("no-outage", async |world| {
        let health = json!({"mode": "Endpoints", "effect": "Withhold", "withholdAfterSeconds": 0});
        let stage = Stage::set(world, over(for_grafana(), json!({"health": health}))).await?;
        let service = stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        let backend = stage.world.backend(&service).await?;
        let output = stage.output_is("it is written", has(&stage.agent, &["prometheus-server"], &[])).await?;

        backend.set_ready(false).await?;
        let unhealthy = |config: &DynamicObject| config.data.pointer("/status/summary/unhealthy") == Some(&json!(1));
        stage.config_is("the status says it", unhealthy).await?;
        assert_eq!(version(&stage.output().await?), version(&output));
        backend.set_ready(true).await?;
        stage.config_is("the status says it", |config| !unhealthy(config)).await?;
        assert_eq!(version(&stage.output().await?), version(&output));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_label_for_the_sidecar_stays_beside_the_labels_of_the_spec() -> Result<()> {
    scenario("sidecar-label", async |world| {
        let stage = Stage::set(world, for_grafana()).await?;
        let label =
            |output: &ConfigMap, key: &str| output.metadata.labels.as_ref().and_then(|all| all.get(key).cloned());
        assert_eq!(label(&stage.output().await?, "grafana_datasource").as_deref(), Some("1"));

        let labels = json!({"formats": ["GrafanaDatasources"], "labels": {"datasources": "yes"}});
        stage.respec(json!({"output": labels})).await?;
        let output = stage.output_is("it has the other label", |output| label(output, "datasources").is_some()).await?;
        assert_eq!(label(&output, "grafana_datasource").as_deref(), Some("1"));

        stage.respec(json!({"output": {"formats": ["ToolsetJSON"], "labels": null}})).await?;
        let output =
            stage.output_is("it is no file of Grafana", |output| label(output, "datasources").is_none()).await?;
        assert_eq!(output.data.unwrap_or_default().into_keys().collect::<Vec<_>>(), ["toolset.json"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn in_preview_nothing_is_deleted_until_it_ends() -> Result<()> {
    scenario("data-preview", async |world| {
        let stage = Stage::set(world, for_grafana()).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        let output = stage.output_is("it is written", has(&stage.agent, &["prometheus-server"], &[])).await?;

        stage.respec(json!({"mode": "Preview"})).await?;
        stage.ready(("True", "Preview")).await?;
        stage.delete_service("prometheus-server").await?;
        let gone = |config: &DynamicObject| config.data.pointer("/status/summary/tools") == Some(&json!(0));
        stage.config_is("the status knows", gone).await?;
        assert_eq!(version(&stage.output().await?), version(&output));

        stage.respec(json!({"mode": "Apply"})).await?;
        stage.output_is("it is deleted", has(&stage.agent, &[], &["prometheus-server"])).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_edit_of_the_file_deletes_no_data_source_of_somebody_else() -> Result<()> {
    scenario("injected", async |world| {
        let stage = Stage::set(world, for_grafana()).await?;
        let Stage { world, agent, apps, mut controller } = stage;
        ensure!(controller.terminate().await?.success());
        let edited = "apiVersion: 1\ndatasources: [{name: Prometheus}]\ndeleteDatasources: [{name: Loki, orgId: 1}]\n";
        let config_maps: Api<ConfigMap> = world.api(&agent);
        patch(&config_maps, DEFAULT_CONFIG_MAP, json!({"data": {key(&agent): edited}})).await?;
        let controller = world.start_controller(ControllerOptions::default()).await?;
        let stage = Stage { world, apps, agent, controller };

        let output =
            stage.output_is("the edit is undone", |output| !data(output, &key(&stage.agent)).contains("Loki")).await?;
        assert!(has(&stage.agent, &[], &[])(&output), "{output:?}");
        Ok(())
    })
    .await
}

/// A controller that may read the Services of `apps` until it is forbidden.
async fn with_rights(world: &mut World) -> Result<(Account, String, String, ControllerOptions)> {
    let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
    let account = world.account(&agent, "operator").await?;
    account.grant(&agent, "writing", &rights::writing()).await?;
    account.grant(&apps, "watch", &rights::watched()).await?;
    let options = ControllerOptions {
        kubeconfig: Some(account.kubeconfig().to_owned()),
        watch_namespaces: Some(vec![apps.clone()]),
        config_namespaces: Some(vec![agent.clone()]),
        ..ControllerOptions::default()
    };
    Ok((account, apps, agent, options))
}

#[tokio::test]
async fn during_a_hold_after_a_restart_only_what_the_spec_excludes_is_deleted() -> Result<()> {
    scenario("data-hold", async |world| {
        let (account, apps, agent, options) = with_rights(world).await?;
        let mut controller = world.start_controller(options.clone()).await?;
        for service in [services::prometheus_server(&apps), services::jaeger_query(&apps), services::grafana(&apps)] {
            world.create(&service).await?;
        }
        world.configure(&agent, CONFIG, &over(without_health(&[&apps]), for_grafana())).await?;
        let (config_maps, configs): (Api<ConfigMap>, _) = (world.api(&agent), toolset_configs(&world.client(), &agent));
        let both = has(&agent, &["prometheus-server", "tracing-query"], &[]);
        present(&config_maps, DEFAULT_CONFIG_MAP, "both are written", both).await?;
        let counted = |config: &DynamicObject| config.data.pointer("/status/summary/tools") == Some(&json!(3));
        present(&configs, CONFIG, "the status counts them", counted).await?;

        controller.terminate().await?;
        account.revoke(&apps, "watch").await?;
        account.may_not_watch("", "services", Some(&apps)).await?;
        let gone: Api<Service> = world.api(&apps);
        // Nobody sees it.
        gone.delete("tracing-query", &DeleteParams::default()).await?;
        let _controller = world.start_controller(ControllerOptions { do_not_wait: true, ..options }).await?;
        within(RETRIED, "the output is held", async || {
            let config = configs.get(CONFIG).await?;
            ensure!(condition(&config, "OutputApplied") == Some(("False", "InputForbidden")));
            Ok(())
        })
        .await?;
        let held = config_maps.get(DEFAULT_CONFIG_MAP).await?;
        ensure!(has(&agent, &["prometheus-server", "tracing-query"], &[])(&held), "{held:?}");

        let off = json!([{"name": "off", "match": {"type": "Prometheus"}, "state": "Disabled"}]);
        patch(&configs, CONFIG, json!({"spec": {"overrides": off}})).await?;
        present(
            &config_maps,
            DEFAULT_CONFIG_MAP,
            "it is deleted",
            has(&agent, &["tracing-query"], &["prometheus-server"]),
        )
        .await?;

        account.grant(&apps, "watch", &rights::watched()).await?;
        within(RETRIED, "what is gone is deleted now", async || {
            let output = config_maps.get(DEFAULT_CONFIG_MAP).await?;
            ensure!(has(&agent, &[], &["prometheus-server", "tracing-query"])(&output), "{output:?}");
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test]
async fn what_may_be_of_a_type_that_the_spec_excludes_stays_during_a_hold_and_is_said() -> Result<()> {
    scenario("data-unread", async |world| {
        let (account, apps, agent, options) = with_rights(world).await?;
        let mut controller = world.start_controller(options.clone()).await?;
        world.create(&services::prometheus_server(&apps)).await?;
        world.configure(&agent, CONFIG, &over(without_health(&[&apps]), for_grafana())).await?;
        let (config_maps, configs): (Api<ConfigMap>, _) = (world.api(&agent), toolset_configs(&world.client(), &agent));
        let before =
            present(&config_maps, DEFAULT_CONFIG_MAP, "it is written", has(&agent, &["prometheus-server"], &[]))
                .await?;
        controller.terminate().await?;
        account.revoke(&apps, "watch").await?;
        account.may_not_watch("", "services", Some(&apps)).await?;
        // The status is the only other record of what the tools are.
        let status = Patch::Merge(json!({"status": null}));
        let emptied = configs.patch_status(CONFIG, &PatchParams::default(), &status).await?;
        ensure!(emptied.data.pointer("/status/tools").is_none());
        let _controller = world.start_controller(ControllerOptions { do_not_wait: true, ..options }).await?;
        let off = json!([{"name": "off", "match": {"type": "Prometheus"}, "state": "Disabled"}]);
        patch(&configs, CONFIG, json!({"spec": {"overrides": off}})).await?;
        let told = within(RETRIED, "it says that it is not sure", async || {
            let config = configs.get(CONFIG).await?;
            let told = message(&config, "OutputApplied").to_owned();
            ensure!(told.contains("does not show their types"), "{told}");
            Ok(told)
        })
        .await?;
        ensure!(told.contains("prometheus-server"), "{told}");
        let after = config_maps.get(DEFAULT_CONFIG_MAP).await.context("the ConfigMap")?;
        assert_eq!(after.data, before.data);

        let off = json!([{"name": "off", "match": {"service": "prometheus-server"}, "state": "Disabled"}]);
        patch(&configs, CONFIG, json!({"spec": {"overrides": off}})).await?;
        let deleted = has(&agent, &[], &["prometheus-server"]);
        present(&config_maps, DEFAULT_CONFIG_MAP, "its name excludes it without the status", deleted).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_that_is_no_tool_any_more_stays_in_grafana_until_it_is_deleted() -> Result<()> {
    scenario("remembered", async |world| {
        let stage = Stage::set(world, for_grafana()).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.output_is("it is written", has(&stage.agent, &["prometheus-server"], &[])).await?;
        patch(&stage.services(), "prometheus-server", json!({"spec": {"selector": null}})).await?;
        let output = stage.output_is("it is no tool", has(&stage.agent, &[], &[])).await?;
        let left = "# left in Grafana: ";
        ensure!(data(&output, &key(&stage.agent)).contains(left), "{output:?}");

        // Somebody else writes the key, and the next process still reads it.
        let edited = format!("{}# edited\n", data(&output, &key(&stage.agent)));
        let Stage { world, agent, apps, mut controller } = stage;
        ensure!(controller.terminate().await?.success());
        let config_maps: Api<ConfigMap> = world.api(&agent);
        patch(&config_maps, DEFAULT_CONFIG_MAP, json!({"data": {key(&agent): edited}})).await?;
        let controller = world.start_controller(ControllerOptions::default()).await?;
        let stage = Stage { world, apps, agent, controller };
        let is_repaired = |output: &ConfigMap| !data(output, &key(&stage.agent)).contains("# edited");
        let output = stage.output_is("the edit is undone", is_repaired).await?;
        ensure!(data(&output, &key(&stage.agent)).contains(left), "{output:?}");
        stage.delete_service("prometheus-server").await?;
        stage.output_is("it is deleted", has(&stage.agent, &[], &["prometheus-server"])).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_another_toolset_config_lists_is_deleted_when_neither_of_them_does() -> Result<()> {
    scenario("shared", async |world| {
        let stage = Stage::set(world, for_grafana()).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        let output = json!({"formats": ["GrafanaDatasources"], "configMapName": "second"});
        stage
            .world
            .configure(&stage.agent, "second", &over(without_health(&[&stage.apps]), json!({"output": output})))
            .await?;
        let second = |output: &ConfigMap, deleted: usize| {
            let text = data(output, &format!("toolset-operator.{}.second.yaml", stage.agent)).to_owned();
            let file: Value = serde_saphyr::from_str(&text).unwrap_or_default();
            file["deleteDatasources"].as_array().map_or(0, Vec::len) == deleted && text.contains("prometheus-server")
        };
        present(&stage.config_maps(), "second", "both list it", |output: &ConfigMap| second(output, 0)).await?;
        let told = |config: &DynamicObject| condition(config, "OverridesApplied") == Some(("False", "OutputConflict"));
        stage.config_is("the overlap is reported", told).await?;

        let off = json!({"overrides": [{"name": "off", "match": {"type": "Prometheus"}, "state": "Disabled"}]});
        stage.respec(off.clone()).await?;
        let shared = |output: &ConfigMap| data(output, &key(&stage.agent)).contains("for another ToolsetConfig: ");
        stage.output_is("it stays for the other one", shared).await?;
        patch(&stage.configs(), "second", json!({"spec": off})).await?;
        present(&stage.config_maps(), "second", "it is deleted", |output: &ConfigMap| second(output, 1)).await?;
        stage.output_is("and here", has(&stage.agent, &[], &["prometheus-server"])).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_cannot_be_seen_keeps_what_is_only_remembered() -> Result<()> {
    scenario("data-unseen", async |world| {
        let (account, apps, agent, options) = with_rights(world).await?;
        let other = world.namespace("other").await?;
        account.grant(&other, "watch", &rights::watched()).await?;
        let options = ControllerOptions { watch_namespaces: Some(vec![apps.clone(), other.clone()]), ..options };
        let mut controller = world.start_controller(options.clone()).await?;
        world.create(&services::prometheus_server(&apps)).await?;
        world.create(&services::jaeger_query(&other)).await?;
        world.create(&services::prometheus_server(&other)).await?;
        world.configure(&agent, CONFIG, &over(without_health(&[&apps, &other]), for_grafana())).await?;
        let (config_maps, configs): (Api<ConfigMap>, _) = (world.api(&agent), toolset_configs(&world.client(), &agent));
        let all = ["prometheus-server", "prometheus-server", "tracing-query"];
        let is_listed = |output: &ConfigMap| {
            let mut found = names(output, &agent, "datasources");
            found.sort();
            found == all
        };
        present(&config_maps, DEFAULT_CONFIG_MAP, "all are written", is_listed).await?;
        let faulty: Api<Service> = world.api(&apps);
        patch(&faulty, "prometheus-server", json!({"spec": {"selector": null}})).await?;
        let left = format!("# left in Grafana: {apps}/prometheus-server (discovered)\n");
        let is_left = |output: &ConfigMap| data(output, &key(&agent)).contains(&left);
        present(&config_maps, DEFAULT_CONFIG_MAP, "one is remembered", is_left).await?;

        controller.terminate().await?;
        account.revoke(&apps, "watch").await?;
        account.may_not_watch("", "services", Some(&apps)).await?;
        let mut controller = world.start_controller(ControllerOptions { do_not_wait: true, ..options.clone() }).await?;
        within(RETRIED, "a namespace is held", async || {
            let config = configs.get(CONFIG).await?;
            ensure!(condition(&config, "InputsSynced") == Some(("False", "InputPartiallyHeld")));
            Ok(())
        })
        .await?;
        let seen: Api<Service> = world.api(&other);
        seen.delete("tracing-query", &DeleteParams::default()).await?;
        let deletes = |count: usize| {
            let (agent, left) = (agent.clone(), left.clone());
            move |output: &ConfigMap| {
                names(output, &agent, "deleteDatasources").len() == count && data(output, &key(&agent)).contains(&left)
            }
        };
        present(&config_maps, DEFAULT_CONFIG_MAP, "only what is gone is deleted", deletes(1)).await?;

        controller.terminate().await?;
        let options = ControllerOptions { watch_namespaces: Some(vec![other.clone()]), ..options };
        let _controller = world.start_controller(options).await?;
        seen.delete("prometheus-server", &DeleteParams::default()).await?;
        present(&config_maps, DEFAULT_CONFIG_MAP, "what is not watched stays", deletes(2)).await?;
        Ok(())
    })
    .await
}

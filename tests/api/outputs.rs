//! The ConfigMap follows new, changed and deleted Services.

use anyhow::{Context as _, Result};
use e2e::harness::{
    DEFAULT_CONFIG_MAP,
    prelude::*,
    services::{self, ServiceBuilder},
};
use futures::future::try_join_all;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, api::DeleteParams};
use serde_json::{Value, json};

use crate::stage::{CONFIG, Stage, data, message, over, patch, without_health};

#[tokio::test]
async fn a_new_service_appears() -> Result<()> {
    scenario("new", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.lists(&[]).await?;

        stage.world.create(&services::prometheus_server(&stage.apps)).await?;

        let tools = stage.lists(&["prometheus-server"]).await?;
        assert_eq!(tools.types(), ["prometheus"]);
        let endpoint = format!("http://prometheus-server.{}.svc.cluster.local:80", stage.apps);
        assert_eq!(tools.endpoint("prometheus-server"), Some(endpoint.as_str()));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_deleted_service_leaves() -> Result<()> {
    scenario("deleted", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;

        stage.delete_service("grafana").await?;

        stage.lists(&[]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn services_that_were_there_before_the_controller_are_listed() -> Result<()> {
    scenario("before", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        world.create(&services::grafana(&apps)).await?;
        world.configure(&agent, "default", &without_health(&[&apps])).await?;

        let _controller = world.start_controller(ControllerOptions::default()).await?;

        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn several_products_appear_at_once() -> Result<()> {
    scenario("several", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let apps = &stage.apps;
        let all = [
            services::prometheus_server(apps),
            services::grafana(apps),
            services::jaeger_query(apps),
            services::elasticsearch(apps),
            services::elasticsearch_headless(apps),
            services::annotated(apps, "vectors", "vector-database"),
        ];

        try_join_all(all.iter().map(|service| stage.world.create(service))).await?;

        let tools =
            stage.lists(&["elasticsearch-master", "grafana", "prometheus-server", "tracing-query", "vectors"]).await?;
        assert_eq!(tools.types(), ["elasticsearch", "grafana", "prometheus", "jaeger", "vector-database"]);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_without_marks_is_not_listed() -> Result<()> {
    scenario("unmarked", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::web_shop(&stage.apps, "checkout")).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;

        // Grafana was created later, so this Service would be listed by now.
        stage.lists(&["grafana"]).await?;
        let config =
            stage.config_is("one candidate", |config| config.data.pointer("/status/summary/tools") == Some(&json!(1)));
        assert_eq!(config.await?.data.pointer("/status/summary/candidates"), Some(&json!(1)));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_custom_type_is_listed_by_its_annotation() -> Result<()> {
    scenario("custom", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::annotated(&stage.apps, "vectors", "vector-database")).await?;

        let tools = stage.lists(&["vectors"]).await?;
        assert_eq!(tools.types(), ["vector-database"]);
        let endpoint = format!("http://vectors.{}.svc.cluster.local:8080", stage.apps);
        assert_eq!(tools.endpoint("vectors"), Some(endpoint.as_str()));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn ten_services_created_and_deleted_rapidly_leave_nothing() -> Result<()> {
    scenario("rapid", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let api: Api<Service> = stage.services();
        let come_and_go = (0..10).map(async |number| -> Result<()> {
            let name = format!("prometheus-{number}");
            stage.world.create(&services::prometheus_named(&stage.apps, &name)).await?;
            api.delete(&name, &DeleteParams::default()).await?;
            Ok(())
        });
        try_join_all(come_and_go).await?;

        // This Service is created after all the others, so the ConfigMap contains the newest state when it is listed.
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        stage.delete_service("grafana").await?;
        stage.lists(&[]).await?;
        stage
            .config_is("nothing is counted", |config| {
                config.data.pointer("/status/summary/candidates") == Some(&json!(0))
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_changed_annotation_changes_the_endpoint() -> Result<()> {
    scenario("changed", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let service = ServiceBuilder::new(&stage.apps, "vectors")
            .annotation("kubernaut.io/toolset", "enabled")
            .annotation("kubernaut.io/toolset-type", "vector-database")
            .annotation("kubernaut.io/toolset-port", "rest")
            .port("rest", 6333, 6333)
            .port("admin", 7000, 7000)
            .build();
        stage.world.create(&service).await?;
        let host = format!("http://vectors.{}.svc.cluster.local", stage.apps);
        assert_eq!(stage.lists(&["vectors"]).await?.endpoint("vectors"), Some(format!("{host}:6333").as_str()));

        let annotations = json!({"kubernaut.io/toolset-port": "admin", "kubernaut.io/toolset-path": "/v1"});
        patch(&stage.services(), "vectors", json!({"metadata": {"annotations": annotations}})).await?;

        let expected = format!("{host}:7000/v1");
        let moved = |tools: &e2e::harness::Tools| tools.endpoint("vectors") == Some(expected.as_str());
        stage.world.tools(&stage.agent, &format!("the endpoint is {expected}"), moved).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_that_opts_out_leaves() -> Result<()> {
    scenario("opt-out", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;

        let annotations = json!({"kubernaut.io/toolset": "disabled"});
        patch(&stage.services(), "grafana", json!({"metadata": {"annotations": annotations}})).await?;

        stage.lists(&[]).await?;
        stage
            .config_is("it is said why", |config| {
                config.data.pointer("/status/rejected/0/reason") == Some(&json!("OptedOut"))
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn one_deleted_of_three_leaves_two() -> Result<()> {
    scenario("three", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        for name in ["one", "three", "two"] {
            stage.world.create(&services::prometheus_named(&stage.apps, name)).await?;
        }
        stage.lists(&["one", "three", "two"]).await?;

        stage.delete_service("three").await?;

        stage.lists(&["one", "two"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_files_are_valid_json_and_yaml_and_complete() -> Result<()> {
    scenario("valid", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.world.create(&services::jaeger_query(&stage.apps)).await?;
        stage.lists(&["prometheus-server", "tracing-query"]).await?;
        let output = stage.output().await?;

        let json: Value = serde_json::from_str(data(&output, "toolset.json"))?;
        for tool in json["tools"].as_array().context("tools is a list")? {
            for field in ["name", "type", "endpoint", "description", "namespace"] {
                assert!(tool[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {tool}");
            }
            assert!(tool["metadata"].as_object().is_some_and(|metadata| !metadata.is_empty()), "metadata of {tool}");
        }

        let yaml: Value = serde_saphyr::from_str(data(&output, "custom_toolset.yaml"))?;
        let toolsets = yaml["toolsets"].as_object().context("toolsets is a map")?;
        assert_eq!(toolsets["kubernetes/core"]["enabled"], json!(true));
        assert_eq!(toolsets["prometheus/metrics"]["enabled"], json!(true));
        let url = toolsets["prometheus/metrics"].to_string();
        assert!(url.contains(&format!("http://prometheus-server.{}.svc.cluster.local:80", stage.apps)), "{url}");
        let jaeger = toolsets.values().find(|toolset| toolset["type"] == "http").context("Jaeger has an entry")?;
        assert_eq!(jaeger["enabled"], json!(true));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_nothing_discovered_the_agent_still_gets_a_valid_file() -> Result<()> {
    scenario("nothing", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let output = stage.output().await?;
        let mut yaml: Value = serde_saphyr::from_str(data(&output, "custom_toolset.yaml"))?;
        let entries = yaml["toolsets"].as_object_mut().context("no toolsets")?;
        entries.retain(|name, _| !name.starts_with("discovered-revision-"));
        assert_eq!(yaml, json!({"toolsets": {"kubernetes/core": {"enabled": true}}}));
        assert_eq!(serde_json::from_str::<Value>(data(&output, "toolset.json"))?, json!({"tools": []}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_key_of_a_format_is_removed_with_the_format() -> Result<()> {
    scenario("formats", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.meddle(json!({"data": {"notes.txt": "mine"}})).await?;

        stage.respec(json!({"output": {"formats": ["HolmesGPT"]}})).await?;

        let output =
            stage.output_is("it has no toolset.json", |output| data(output, "toolset.json").is_empty()).await?;
        assert!(!data(&output, "custom_toolset.yaml").is_empty());
        assert_eq!(data(&output, "notes.txt"), "mine");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn the_config_map_names_its_owner_and_copies_nothing_from_the_toolset_config() -> Result<()> {
    scenario("labels", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let config = stage.config().await?;
        patch(&stage.configs(), "default", json!({"metadata": {"labels": {"argocd.argoproj.io/instance": "app"}}}))
            .await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;

        let metadata = stage.output().await?.metadata;
        let labels = [
            ("app.kubernetes.io/component", "dynamic-toolset"),
            ("app.kubernetes.io/managed-by", "toolset-operator"),
            ("app.kubernetes.io/name", "toolset"),
        ];
        let expected = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(metadata.labels, Some(expected));
        let owners = metadata.owner_references.unwrap_or_default();
        assert_eq!(owners.len(), 1);
        assert_eq!(Some(&owners[0].uid), config.metadata.uid.as_ref());
        assert_eq!((owners[0].controller, owners[0].block_owner_deletion), (Some(true), Some(true)));
        let managers: Vec<_> =
            metadata.managed_fields.unwrap_or_default().into_iter().filter_map(|entry| entry.manager).collect();
        assert_eq!(managers, ["toolset-operator"]);
        let hash = stage.config().await?.data.pointer("/status/output/hash").cloned();
        let annotation = metadata.annotations.unwrap_or_default().remove("kubernaut.io/content-hash");
        // The status and the ConfigMap come from the same plan.
        stage
            .config_is("the status has the ConfigMap's hash", |config| {
                config.data.pointer("/status/output/hash").and_then(Value::as_str) == annotation.as_deref()
            })
            .await
            .with_context(|| format!("the hash was {hash:?}"))?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_output_is_no_base_of_another_one_so_a_deleted_service_leaves_both() -> Result<()> {
    scenario("circle", async |world| {
        let base = |other: &str| json!({"output": {"base": {"configMapName": other}}});
        let stage = Stage::set(world, base("other")).await?;
        let other = over(
            without_health(&[&stage.apps]),
            json!({"output": {
                "configMapName": "other", "base": {"configMapName": DEFAULT_CONFIG_MAP},
            }}),
        );
        stage.world.configure(&stage.agent, "other", &other).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        let configs = stage.configs();
        for name in [CONFIG, "other"] {
            let config = present(&configs, name, "its base is refused", |config| {
                condition(config, "OverridesApplied") == Some(("False", "BaseInvalid"))
                    && message(config, "OverridesApplied").contains("itself an output")
            });
            assert_eq!(condition(&config.await?, "Ready"), Some(("True", "AsExpected")));
        }

        stage.delete_service("grafana").await?;
        for name in [DEFAULT_CONFIG_MAP, "other"] {
            present(&stage.config_maps(), name, "Grafana has left it", |output| {
                !data(output, "custom_toolset.yaml").contains("grafana")
            })
            .await?;
        }
        Ok(())
    })
    .await
}

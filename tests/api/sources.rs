//! Which namespaces and Services the sources select, and how far they are trusted.

use anyhow::Result;
use e2e::{
    controlplane::controllers_run,
    harness::{
        prelude::*,
        services::{self, ServiceBuilder},
    },
};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    stage::{CONFIG, data, over, patch},
};

fn spec(sources: &Value) -> Value {
    over(json!({"health": {"mode": "None"}}), json!({"sources": sources}))
}

#[tokio::test]
async fn namespaces_outside_the_sources_are_ignored() -> Result<()> {
    scenario("outside", async |world| {
        let (inside, outside) = (world.namespace("inside").await?, world.namespace("outside").await?);
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        world.create(&services::prometheus_server(&outside)).await?;
        world.create(&services::grafana(&inside)).await?;
        world.configure(&agent, CONFIG, &crate::stage::without_health(&[&inside])).await?;

        world.tools(&agent, "lists Grafana only", |tools| tools.names() == ["grafana"]).await?;
        let configs = toolset_configs(&world.client(), &agent);
        present(&configs, CONFIG, "only Grafana is a candidate", |config| {
            config.data.pointer("/status/summary/candidates") == Some(&json!(1))
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_namespace_that_gains_the_label_joins_and_one_that_loses_it_leaves() -> Result<()> {
    scenario("joins", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        world.create(&services::grafana(&apps)).await?;
        let by_label = json!([{"name": "labelled", "trust": "Trusted", "namespaces": {
            "from": "Selector", "selector": {"matchLabels": {"observe": "yes"}},
        }}]);
        world.configure(&agent, CONFIG, &spec(&by_label)).await?;
        world.tools(&agent, "lists nothing", |tools| tools.names().is_empty()).await?;
        let namespaces: Api<Namespace> = Api::all(world.client());

        patch(&namespaces, &apps, json!({"metadata": {"labels": {"observe": "yes"}}})).await?;
        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;

        patch(&namespaces, &apps, json!({"metadata": {"labels": {"observe": null}}})).await?;
        world.tools(&agent, "lists nothing again", |tools| tools.names().is_empty()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_source_may_select_by_the_labels_of_services() -> Result<()> {
    scenario("selector", async |world| {
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        let sources = json!([{
            "name": "production", "trust": "Trusted", "namespaces": {"from": "Same"},
            "serviceSelector": {"matchLabels": {"stage": "production"}},
        }]);
        world.configure(&agent, CONFIG, &spec(&sources)).await?;
        world.create(&services::grafana(&agent)).await?;
        let mut production = services::prometheus_server(&agent);
        production.metadata.labels.get_or_insert_default().insert("stage".to_owned(), "production".to_owned());
        world.create(&production).await?;

        world.tools(&agent, "lists Prometheus only", |tools| tools.names() == ["prometheus-server"]).await?;
        let services: Api<k8s_openapi::api::core::v1::Service> = world.api(&agent);
        patch(&services, "prometheus-server", json!({"metadata": {"labels": {"stage": "test"}}})).await?;
        world.tools(&agent, "lists nothing", |tools| tools.names().is_empty()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tenants_service_needs_an_opt_in_and_has_its_own_entry() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("tenant", async |world| {
        let (platform, team) = (world.namespace("platform").await?, world.namespace("team").await?);
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        let sources = json!([
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": [platform]}},
            {"name": "teams", "trust": "Tenant", "namespaces": {"from": "Names", "names": [team]}},
        ]);
        world.configure(&agent, CONFIG, &spec(&sources)).await?;
        world.create(&services::prometheus_server(&platform)).await?;
        world.create(&services::grafana(&team)).await?;
        let opted_in = ServiceBuilder::new(&team, "team-prometheus")
            .annotation("kubernaut.io/toolset", "enabled")
            .annotation("kubernaut.io/toolset-type", "prometheus")
            .port("http", 9090, 9090)
            .build();
        world.create(&opted_in).await?;

        // A tenant's name carries its namespace, so that it takes no name from the trusted.
        let theirs = format!("team-prometheus-{team}");
        let listed = ["prometheus-server", &theirs];
        world.tools(&agent, "lists what is trusted or opted in", |tools| tools.names() == listed).await?;
        let configs = toolset_configs(&world.client(), &agent);
        present(&configs, CONFIG, "it is said why Grafana is not taken", |config| {
            let rejected = config.data.pointer("/status/rejected").and_then(Value::as_array);
            rejected.into_iter().flatten().any(|one| {
                one["service"] == "grafana" && one["namespace"] == team.as_str() && one["reason"] == "TenantNotOptedIn"
            })
        })
        .await?;

        let config_maps: Api<k8s_openapi::api::core::v1::ConfigMap> = world.api(&agent);
        let output = config_maps.get(e2e::harness::DEFAULT_CONFIG_MAP).await?;
        let file: Value = serde_saphyr::from_str(data(&output, "custom_toolset.yaml"))?;
        let built_in = file["toolsets"]["prometheus/metrics"].to_string();
        assert!(built_in.contains(&platform) && !built_in.contains(&team), "{built_in}");
        let toolsets = file["toolsets"].as_object().into_iter().flatten();
        let tenants: Vec<_> = toolsets.filter(|(_, toolset)| toolset.to_string().contains(&team)).collect();
        assert!(tenants.len() == 1 && tenants[0].1["type"] == "http", "{tenants:?}");
        assert!(tenants[0].1.to_string().to_lowercase().contains("tenant"), "{tenants:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn toolset_configs_outside_the_config_namespaces_are_not_honoured() -> Result<()> {
    scenario("unhonoured", async |world| {
        let (agent, elsewhere) = (world.namespace("agent").await?, world.namespace("elsewhere").await?);
        let options =
            ControllerOptions { config_namespaces: Some(vec![agent.clone()]), ..ControllerOptions::default() };
        let _controller = world.start_controller(options).await?;
        world.configure(&elsewhere, CONFIG, &crate::stage::without_health(&[&agent])).await?;
        world.configure(&agent, CONFIG, &crate::stage::without_health(&[&agent])).await?;
        world.create(&services::grafana(&agent)).await?;

        world.tools(&agent, "lists Grafana", |tools| tools.names() == ["grafana"]).await?;
        let other = toolset_configs(&world.client(), &elsewhere).get(CONFIG).await?;
        assert_eq!(other.data.get("status"), None);
        Ok(())
    })
    .await
}

//! A tenant that can create Services in its namespace cannot change the agent's file for trusted tools. Their entries
//! stay the same to the byte.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{
        Controller, DEFAULT_CONFIG_MAP, Step, Tools,
        prelude::*,
        services::{self, ServiceBuilder},
    },
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject},
};
use serde_json::{Map, Value, from_value, json};

use crate::{
    harness::skipped,
    rights,
    stage::{CONFIG, RETRIED, a_second_after, behind, data, over, patch, without_health},
};

/// A platform with a Prometheus and a Grafana that are trusted, and a tenant.
struct Cast {
    _controller: Controller,
    platform: String,
    tenant: String,
    agent: String,
    /// The entries of the trusted tools in the agent's file.
    trusted: Value,
}

async fn cast(world: &mut World, spec: Value) -> Result<Cast> {
    let (platform, tenant) = (world.namespace("platform").await?, world.namespace("tenant").await?);
    let agent = world.namespace("agent").await?;
    let controller = world.start_controller(ControllerOptions::default()).await?;
    let spec = over(json!({"sources": sources(&[&platform], &tenant), "health": {"mode": "None"}}), spec);
    world.create(&services::grafana(&platform)).await?;
    world.create(&services::prometheus_server(&platform)).await?;
    world.configure(&agent, CONFIG, &spec).await?;
    world.tools(&agent, "lists the platform's", |tools| tools.names() == ["grafana", "prometheus-server"]).await?;
    let mut cast = Cast { _controller: controller, platform, tenant, agent, trusted: Value::Null };
    cast.trusted = cast.told_of_the_trusted(world).await?;
    Ok(cast)
}

impl Cast {
    /// The agent's file without the entries of the tenant.
    async fn told_of_the_trusted(&self, world: &World) -> Result<Value> {
        let toolsets = self.toolsets(world).await?;
        Ok(toolsets.into_iter().filter(|(_, toolset)| !toolset.to_string().contains(&self.tenant)).collect())
    }

    /// The toolsets of the agent's file, without the entry that changes with the rest of the file.
    async fn toolsets(&self, world: &World) -> Result<Map<String, Value>> {
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        let output = config_maps.get(DEFAULT_CONFIG_MAP).await?;
        let file: Value = serde_saphyr::from_str(data(&output, "custom_toolset.yaml"))?;
        let toolsets = file["toolsets"].as_object().cloned().context("the file has toolsets")?;
        Ok(toolsets.into_iter().filter(|(name, _)| !name.starts_with("discovered-revision-")).collect())
    }

    /// A Service of the tenant's that opts in as a Prometheus.
    fn announced(&self, name: &str) -> ServiceBuilder {
        announced(&self.tenant, name)
    }

    async fn config_is(&self, world: &World, what: &str, is: impl Fn(&DynamicObject) -> bool) -> Result<DynamicObject> {
        present(&toolset_configs(&world.client(), &self.agent), CONFIG, what, is).await
    }

    /// Waits until the tenant's Service is rejected for this reason.
    async fn rejects(&self, world: &World, name: &str, reason: &str) -> Result<()> {
        self.config_is(world, &format!("{name} is {reason}"), |config| rejects(config, name, reason)).await?;
        Ok(())
    }

    async fn nothing_changed_for_the_trusted(&self, world: &World) -> Result<()> {
        assert_eq!(self.told_of_the_trusted(world).await?, self.trusted);
        Ok(())
    }
}

#[tokio::test]
async fn a_tenant_cannot_point_the_agent_anywhere_but_to_the_service_itself() -> Result<()> {
    scenario("redirect", async |world| {
        let cast = cast(world, json!({})).await?;
        let platforms = format!("http://prometheus-server.{}.svc.cluster.local:80", cast.platform);
        let annotations = [
            ("toolset-endpoint", "http://evil.example/"),
            ("toolset-endpoint", "http://169.254.169.254:9090/latest"),
            ("toolset-endpoint", platforms.as_str()),
            ("toolset-endpoint", "http://kubernetes.default.svc:443"),
            ("toolset-path", "@evil.example/x"),
            ("toolset-path", "/../../x"),
            ("toolset-path", "/{{ env.TOKEN }}"),
            ("toolset-port", "22"),
            ("toolset-scheme", "file"),
            ("toolset-name", "${HOME}"),
        ];
        for (number, (annotation, value)) in annotations.into_iter().enumerate() {
            let name = format!("attack-{number}");
            let service = cast.announced(&name).annotation(&format!("kubernaut.io/{annotation}"), value).build();
            world.create(&service).await?;
            cast.rejects(world, &name, "InvalidAnnotation").await?;
        }
        let toolsets = cast.toolsets(world).await?;
        assert_eq!(Value::Object(toolsets), cast.trusted, "not one of them is in the file");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn services_without_pods_of_their_own_are_taken_only_where_allowed_by_name() -> Result<()> {
    scenario("elsewhere", async |world| {
        let cast = cast(world, json!({})).await?;
        let alias: Service = from_value(json!({
            "metadata": {"namespace": cast.tenant, "name": "alias", "annotations": {
                "kubernaut.io/toolset": "enabled", "kubernaut.io/toolset-type": "prometheus",
            }},
            "spec": {"type": "ExternalName", "externalName": "metadata.internal.example", "ports": [{"name": "http", "port": 80}]},
        }))?;
        world.create(&alias).await?;
        cast.rejects(world, "alias", "ExternalNameNotAllowed").await?;

        let mut bare = cast.announced("bare").build();
        bare.spec.get_or_insert_default().selector = None;
        world.create(&bare).await?;
        cast.rejects(world, "bare", "SelectorlessNotAllowed").await?;

        let mut outside = cast.announced("outside").build();
        outside.spec.get_or_insert_default().external_ips = Some(vec!["203.0.113.7".to_owned()]);
        world.create(&outside).await?;
        cast.rejects(world, "outside", "EndpointNotAllowed").await?;

        cast.nothing_changed_for_the_trusted(world).await?;
        let configs = toolset_configs(&world.client(), &cast.agent);
        let sources = json!([
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": [cast.platform]}},
            {"name": "tenants", "trust": "Tenant", "namespaces": {"from": "Names", "names": [cast.tenant]},
             "allow": [{"namespace": cast.tenant, "name": "bare", "kind": "Selectorless"}]},
        ]);
        patch(&configs, CONFIG, json!({"spec": {"sources": sources}})).await?;
        let allowed = ["grafana", "prometheus-server", &format!("bare-{}", cast.tenant)];
        world.tools(&cast.agent, "the one that is allowed is listed", |tools| {
            tools.names().len() == 3 && allowed.iter().all(|name| tools.names().contains(name))
        })
        .await?;
        cast.nothing_changed_for_the_trusted(world).await
    })
    .await
}

/// The sources of a platform that is trusted and a tenant.
pub(crate) fn sources(platform: &[&str], tenant: &str) -> Value {
    json!([
        {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": platform}},
        {"name": "tenants", "trust": "Tenant", "namespaces": {"from": "Names", "names": [tenant]}},
    ])
}

/// A Service of a tenant that opts in as a Prometheus.
pub(crate) fn announced(namespace: &str, name: &str) -> ServiceBuilder {
    ServiceBuilder::new(namespace, name)
        .annotation("kubernaut.io/toolset", "enabled")
        .annotation("kubernaut.io/toolset-type", "prometheus")
        .port("http", 9090, 9090)
}

/// An EndpointSlice with which a tenant leads its Service to another address.
fn made_by_hand(service: &Service) -> Result<EndpointSlice> {
    Ok(from_value(json!({
        "metadata": {
            "namespace": service.metadata.namespace,
            "name": format!("{}-by-hand", service.name_any()),
            "labels": {"kubernetes.io/service-name": service.name_any()},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.96.0.1"]}],
        "ports": [{"name": "http", "port": 9090}],
    }))?)
}

/// Whether the status rejects a Service for this reason.
pub(crate) fn rejects(config: &DynamicObject, service: &str, reason: &str) -> bool {
    let rejected = config.data.pointer("/status/rejected").and_then(Value::as_array);
    rejected.into_iter().flatten().any(|one| one["service"] == service && one["reason"] == reason)
}

#[tokio::test]
async fn slices_made_by_hand_are_not_taken_while_slices_are_unknown_whatever_the_health_mode() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("by-hand", async |world| {
        let (platform, tenant) = (world.namespace("platform").await?, world.namespace("tenant").await?);
        let agent = world.namespace("agent").await?;
        world.create(&services::grafana(&platform)).await?;
        world.create(&announced(&tenant, "honest").build()).await?;
        let attack = world.create(&announced(&tenant, "attack").build()).await?;
        world.create(&made_by_hand(&attack)?).await?;
        let moment = world.moment(&agent).await?;
        let proxy = world.proxy().await?;
        let held = proxy.hold(|request| request.resource == "endpointslices");
        let options = ControllerOptions { do_not_wait: true, ..behind(&proxy) };
        let mut controller = world.start_controller(options).await?;
        let none = json!({"mode": "None"});
        let spec = json!({"sources": sources(&[&platform], &tenant), "health": none});
        world.configure(&agent, CONFIG, &spec).await?;
        let trusted = json!({"output": {"configMapName": "trusted-only"}});
        world.configure(&agent, "trusted-only", &over(without_health(&[&platform]), trusted)).await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        present(&config_maps, "trusted-only", "is written without slices", |_| true).await?;
        // A change that concerns both. What the first one writes of it, the other one could have written as well.
        world.create(&services::prometheus_server(&platform)).await?;
        present(&config_maps, "trusted-only", "is written again", |config_map| {
            Tools::of(config_map).is_ok_and(|tools| tools.names() == ["grafana", "prometheus-server"])
        })
        .await?;

        drop(held);
        controller.ready().await?;
        let honest = format!("honest-{tenant}");
        let listed = ["grafana", "prometheus-server", &honest];
        world.tools(&agent, "lists the honest one", |tools| tools.names() == listed).await?;
        let configs = toolset_configs(&world.client(), &agent);
        let refused = |config: &DynamicObject| rejects(config, "attack", "EndpointNotAllowed");
        present(&configs, CONFIG, "the attack is refused", refused).await?;
        let steps = moment.steps(DEFAULT_CONFIG_MAP).await?;
        for written in steps.iter().filter_map(Step::config_map) {
            ensure!(!format!("{:?}", written.data).contains("attack"), "{written:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_slice_made_by_hand_takes_a_tenants_tool_out_at_once() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("turned", async |world| {
        let cast = cast(world, json!({})).await?;
        let service = world.create(&cast.announced("turned").build()).await?;
        world.tools(&cast.agent, "it is listed", |tools| tools.names().len() == 3).await?;

        let by_hand = world.create(&made_by_hand(&service)?).await?;
        world.tools(&cast.agent, "it is out", |tools| tools.names().len() == 2).await?;
        cast.rejects(world, "turned", "EndpointNotAllowed").await?;

        let slices: Api<EndpointSlice> = world.api(&cast.tenant);
        slices.delete(&by_hand.name_any(), &DeleteParams::default()).await?;
        cast.rejects(world, "turned", "AwaitingEndpointSlices").await?;
        world.tools(&cast.agent, "it is listed again", |tools| tools.names().len() == 3).await?;
        cast.nothing_changed_for_the_trusted(world).await
    })
    .await
}

#[tokio::test]
async fn where_slices_are_forbidden_tenants_wait_and_the_trusted_do_not() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("forbidden-slices", async |world| {
        let (platform, tenant) = (world.namespace("platform").await?, world.namespace("tenant").await?);
        let agent = world.namespace("agent").await?;
        let account = world.account(&agent, "operator").await?;
        let namespaces = [&platform, &tenant, &agent];
        for namespace in namespaces {
            account.grant(namespace, "services", &rights::services()).await?;
            account.grant(namespace, "writing", &rights::writing()).await?;
        }
        world.create(&services::grafana(&platform)).await?;
        world.create(&announced(&tenant, "honest").build()).await?;
        let options =
            ControllerOptions { kubeconfig: Some(account.kubeconfig().to_owned()), ..ControllerOptions::default() };
        let _controller = world.start_controller(options).await?;
        let spec = json!({"sources": sources(&[&platform], &tenant), "health": {"mode": "None"}});
        world.configure(&agent, CONFIG, &spec).await?;

        world.tools(&agent, "lists the trusted", |tools| tools.names() == ["grafana"]).await?;
        let configs = toolset_configs(&world.client(), &agent);
        let waits = |config: &DynamicObject| rejects(config, "honest", "AwaitingEndpointSlices");
        present(&configs, CONFIG, "the tenant's waits", waits).await?;

        for namespace in namespaces {
            account.grant(namespace, "endpoint-slices", &rights::endpoint_slices()).await?;
        }
        let config_maps: Api<ConfigMap> = world.api(&agent);
        within(RETRIED, "lists the tenant's too", async || {
            let tools = Tools::of(&config_maps.get(DEFAULT_CONFIG_MAP).await?)?;
            ensure!(tools.names() == ["grafana", &format!("honest-{tenant}")], "{:?}", tools.names());
            Ok(())
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn of_three_hundred_trusted_services_the_two_hundred_oldest_are_tools() -> Result<()> {
    scenario("three-hundred", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;
        let first = world.create(&services::annotated(&apps, "z-first", "jaeger")).await?;
        a_second_after(&first, world, &agent).await?;
        let others = stream::iter(0..299).map(async |number| {
            world.create(&services::annotated(&apps, &format!("other-{number:03}"), "jaeger")).await.map(drop)
        });
        others.buffer_unordered(8).try_collect::<()>().await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;

        let configs = toolset_configs(&world.client(), &agent);
        let summary = json!({"candidates": 300, "tools": 200, "unhealthy": 0, "rejected": 100});
        let config = present(&configs, CONFIG, "200 of them are tools", |config| {
            config.data.pointer("/status/summary") == Some(&summary)
        })
        .await?;
        let rejected = config.data.pointer("/status/rejected").and_then(Value::as_array);
        ensure!(rejected.into_iter().flatten().all(|one| one["reason"] == "LimitExceeded"));
        world
            .tools(&agent, "the oldest is among them", |tools| {
                tools.names().len() == 200 && tools.names().contains(&"z-first")
            })
            .await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_tenant_takes_no_name_and_no_credentials_of_the_trusted() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("names", async |world| {
        let cast = cast(world, json!({})).await?;
        let twin =
            cast.announced("prometheus-server").annotation("kubernaut.io/toolset-name", "kubernetes-core").build();
        world.create(&twin).await?;
        world.tools(&cast.agent, "three tools", |tools| tools.names().len() == 3).await?;
        cast.nothing_changed_for_the_trusted(world).await?;

        let configs = toolset_configs(&world.client(), &cast.agent);
        let overrides = json!([{
            "name": "token",
            "match": {"namespace": cast.tenant, "service": "prometheus-server"},
            "credentials": {"type": "Bearer", "env": "PROM_TOKEN"},
        }]);
        patch(&configs, CONFIG, json!({"spec": {"overrides": overrides}})).await?;
        let said = cast
            .config_is(world, "the credentials are withheld", |config| {
                config.data.get("status").is_some_and(|status| status.to_string().contains("CredentialsNotAllowed"))
            })
            .await?;
        ensure!(condition(&said, "Ready") == Some(("True", "AsExpected")));
        let toolsets = cast.toolsets(world).await?;
        assert!(!Value::Object(toolsets).to_string().contains("PROM_TOKEN"));
        cast.nothing_changed_for_the_trusted(world).await
    })
    .await
}

#[tokio::test]
async fn a_flood_of_a_tenants_services_ends_at_its_cap() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("flood", async |world| {
        let cast = cast(world, json!({})).await?;
        let first = world.create(&cast.announced("z-first").build()).await?;
        world.tools(&cast.agent, "the first is listed", |tools| tools.names().len() == 3).await?;
        a_second_after(&first, world, &cast.agent).await?;

        let flood = stream::iter(0..60).map(async |number| {
            let service = cast.announced(&format!("flood-{number:02}")).build();
            world.create(&service).await.map(drop)
        });
        flood.buffer_unordered(8).try_collect::<()>().await?;

        cast.config_is(world, "all of them are counted", |config| {
            config.data.pointer("/status/summary")
                == Some(&json!({"candidates": 63, "tools": 12, "unhealthy": 0, "rejected": 51}))
        })
        .await?;
        cast.config_is(world, "it is said why", |config| {
            config.data.pointer("/status/rejected/0/reason") == Some(&json!("LimitExceeded"))
        })
        .await?;
        let listed = format!("z-first-{}", cast.tenant);
        world
            .tools(&cast.agent, "who was first is not pushed out", |tools| {
                tools.names().len() == 12 && tools.names().contains(&listed.as_str())
            })
            .await?;
        cast.nothing_changed_for_the_trusted(world).await
    })
    .await
}

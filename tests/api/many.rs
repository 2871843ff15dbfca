//! With many ToolsetConfigs, a change is planned and written only for those whose sources select it.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{AuditedRequest, ControlPlane, Options, controllers_run},
    harness::{Account, Controller, kubectl_toolset, prelude::*, services},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::{
    Api, ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::{
    harness::skipped,
    rights,
    stage::{patch, version},
};

const CONFIGS: usize = 60;
/// The number of Services in each namespace of a team.
const SERVICES: usize = 16;
const OF_THE_PLATFORM: usize = 40;
/// One in this number of a team's Services is a tool.
const TOOL_EVERY: usize = 4;

const PLANS: &str = "dynamictoolset_discovery_duration_seconds_count";

/// A platform whose Services every ToolsetConfig selects, and teams with one namespace and one ToolsetConfig each.
struct Cast {
    account: Account,
    controller: Controller,
    platform: String,
    teams: Vec<String>,
    agent: String,
}

fn config(number: usize) -> String {
    format!("team-{number:02}")
}

/// A ToolsetConfig that selects the platform's Services and, in one of three ways, the team's own.
fn spec(number: usize, team: &str, platform: &str) -> Value {
    let names = |namespace: &str| json!({"from": "Names", "names": [namespace]});
    let own = match number % 3 {
        0 => json!({"name": "own", "trust": "Trusted", "namespaces": names(team)}),
        1 => json!({"name": "own", "trust": "Trusted", "namespaces": {
            "from": "Selector", "selector": {"matchLabels": {"team": config(number)}},
        }}),
        _ => json!({"name": "own", "trust": "Tenant", "namespaces": {"from": "All"},
                    "serviceSelector": {"matchLabels": {"team": config(number)}}}),
    };
    json!({
        "sources": [{"name": "platform", "trust": "Trusted", "namespaces": names(platform)}, own],
        "health": {"mode": "None"},
        "output": {"configMapName": config(number)},
    })
}

fn service(namespace: &str, number: usize, team: &str, is_tool: bool) -> Service {
    let name = format!("service-{number:02}");
    let mut service = if is_tool {
        services::annotated(namespace, &name, "prometheus")
    } else {
        services::web_shop(namespace, &name)
    };
    service.metadata.labels.get_or_insert_default().insert("team".to_owned(), team.to_owned());
    service
}

async fn cast(world: &mut World) -> Result<Cast> {
    let (platform, agent) = (world.namespace("platform").await?, world.namespace("agent").await?);
    let mut teams = Vec::new();
    for number in 0..CONFIGS {
        teams.push(world.namespace_with_labels(&config(number), &[("team", &config(number))]).await?);
    }
    let platforms = (0..OF_THE_PLATFORM).map(|number| service(&platform, number, "platform", number % 10 == 0));
    let of_teams = teams.iter().enumerate().flat_map(|(team, namespace)| {
        (0..SERVICES).map(move |number| service(namespace, number, &config(team), number % TOOL_EVERY == 0))
    });
    let all: Vec<_> = platforms.chain(of_teams).collect();
    ensure!(all.len() == 1000, "{}", all.len());
    stream::iter(&all).map(|one| world.create(one)).buffer_unordered(16).try_collect::<Vec<_>>().await?;
    let account = rights::operator(world, &agent).await?;
    let options =
        ControllerOptions { kubeconfig: Some(account.kubeconfig().to_owned()), ..ControllerOptions::unrestricted() };
    let controller = world.start_controller(options).await?;
    for (number, team) in teams.iter().enumerate() {
        world.configure(&agent, &config(number), &spec(number, team, &platform)).await?;
    }
    let cast = Cast { account, controller, platform, teams, agent };
    cast.are_settled(world).await?;
    Ok(cast)
}

impl Cast {
    /// Waits until every status has the hash of its ConfigMap.
    async fn are_settled(&self, world: &World) -> Result<()> {
        let configs = toolset_configs(&world.client(), &self.agent);
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        eventually("every status has the hash of its ConfigMap, and no Service waits", async || {
            let hashes: BTreeMap<_, _> = config_maps
                .list(&ListParams::default())
                .await?
                .items
                .into_iter()
                .map(|one| (one.name_any(), one.annotations().get("kubernaut.io/content-hash").cloned()))
                .collect();
            for config in configs.list(&ListParams::default()).await?.items {
                let hash = config.data.pointer("/status/output/hash").and_then(Value::as_str);
                let written = hashes.get(&config.name_any()).and_then(Option::as_deref);
                ensure!(hash.is_some() && hash == written, "{}: {hash:?}, {written:?}", config.name_any());
                let waits = config.data.to_string().contains("AwaitingEndpointSlices");
                ensure!(!waits, "a tenant's Service of {} waits for its slices", config.name_any());
            }
            Ok(())
        })
        .await
    }

    /// Moves an endpoint, and waits until the ConfigMaps of these teams have it. Returns how many plans were made, and
    /// how often each ConfigMap was written.
    async fn after_a_change(
        &self,
        world: &World,
        plane: &ControlPlane,
        (namespace, path): (&str, &str),
        concerned: &[usize],
    ) -> Result<(f64, BTreeMap<String, usize>)> {
        let (planned, since) = (self.controller.total(PLANS).await?, plane.audited_requests()?.len());
        let in_namespace: Api<Service> = world.api(namespace);
        let change = json!({"metadata": {"annotations": {"kubernaut.io/toolset-path": path}}});
        patch(&in_namespace, "service-00", change).await?;
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        let written = async |number: &usize| -> Result<()> {
            present(&config_maps, &config(*number), "has the new endpoint", |config_map| {
                crate::stage::data(config_map, "toolset.json").contains(path)
            })
            .await
            .map(drop)
        };
        stream::iter(concerned).map(written).buffer_unordered(16).try_collect::<()>().await?;
        self.are_settled(world).await?;
        // A request is in the audit log only when it has been answered.
        eventually("the audit log has the writes", async || {
            let writes = self.writes(&plane.audited_requests()?[since..], "configmaps");
            ensure!(writes.len() >= concerned.len(), "{writes:?}");
            let statuses = self.writes(&plane.audited_requests()?[since..], "toolsetconfigs/status");
            ensure!(statuses.len() >= concerned.len(), "{statuses:?}");
            Ok(())
        })
        .await?;
        let writes = self.writes(&plane.audited_requests()?[since..], "configmaps");
        Ok((self.controller.total(PLANS).await? - planned, writes))
    }

    fn writes(&self, requests: &[AuditedRequest], resource: &str) -> BTreeMap<String, usize> {
        let mut writes = BTreeMap::new();
        for request in requests {
            if request.user == self.account.user() && request.resource == resource && request.verb == "patch" {
                *writes.entry(request.name.clone()).or_default() += 1;
            }
        }
        writes
    }

    /// Fails unless every ConfigMap is what `kubectl toolset render` prints for the same objects.
    async fn equal_what_is_rendered_offline(&self, world: &World) -> Result<()> {
        let every = ListParams::default();
        let services = Api::<Service>::all(world.client()).list(&every).await?.items;
        let namespaces = Api::<Namespace>::all(world.client()).list(&every).await?.items;
        let cluster = world.folder().join("cluster.json");
        let lists = [
            json!({"apiVersion": "v1", "kind": "ServiceList", "items": services}),
            json!({"apiVersion": "v1", "kind": "NamespaceList", "items": namespaces}),
        ];
        std::fs::write(&cluster, lists.map(|list| list.to_string()).join("\n"))?;
        let config_maps: Api<ConfigMap> = world.api(&self.agent);
        let configs = toolset_configs(&world.client(), &self.agent).list(&every).await?.items;
        ensure!(configs.len() == CONFIGS, "{}", configs.len());
        let equal = async |config: DynamicObject| -> Result<()> {
            let name = config.name_any();
            let file = world.folder().join(format!("{name}.json"));
            std::fs::write(&file, serde_json::to_vec(&config)?)?;
            let rendered = rendered(world, &[&cluster, &file]).await.with_context(|| name.clone())?;
            let written = config_maps.get(&name).await?;
            ensure!(written.data == rendered.data, "{name}: {:?}\noffline: {:?}", written.data, rendered.data);
            ensure!(written.annotations() == rendered.annotations(), "{name}: {:?}", rendered.annotations());
            Ok(())
        };
        stream::iter(configs).map(equal).buffer_unordered(2).try_collect::<()>().await
    }
}

async fn rendered(world: &World, files: &[&PathBuf]) -> Result<ConfigMap> {
    let mut arguments = vec!["render", "-o", "configmap", "--cluster-domain", "cluster.local"];
    for file in files {
        arguments.extend(["-f", file.to_str().context("a path that is text")?]);
    }
    let output = kubectl_toolset(world, &arguments).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_saphyr::from_str(&String::from_utf8(output.stdout)?)?)
}

#[tokio::test]
async fn of_sixty_toolset_configs_only_those_that_a_change_concerns_are_planned_and_written() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let options = Options { audit_log: true, ..Options::default() };
    isolated("sixty", options, async |world, plane| {
        let cast = cast(world).await?;

        // One ToolsetConfig for each way of selecting.
        for number in [0, 1, 2] {
            let (plans, writes) = cast.after_a_change(world, plane, (&cast.teams[number], "/moved"), &[number]).await?;
            assert_eq!(writes, BTreeMap::from([(config(number), 1)]), "a Service of team {number}");
            ensure!((plans - 1.0).abs() < 0.5, "{plans} plans for a change that concerns one");
        }

        let everybody: Vec<_> = (0..CONFIGS).collect();
        let (plans, writes) = cast.after_a_change(world, plane, (&cast.platform, "/for-all"), &everybody).await?;
        assert_eq!(writes, everybody.iter().map(|number| (config(*number), 1)).collect());
        ensure!((plans - 60.0).abs() < 0.5, "{plans} plans for a change that concerns all");

        let before = config_maps_versions(world, &cast.agent).await?;
        cast.equal_what_is_rendered_offline(world).await?;
        assert_eq!(config_maps_versions(world, &cast.agent).await?, before, "nothing was written meanwhile");
        Ok(())
    })
    .await
}

async fn config_maps_versions(world: &World, namespace: &str) -> Result<BTreeMap<String, String>> {
    let config_maps: Api<ConfigMap> = world.api(namespace);
    let all = config_maps.list(&ListParams::default()).await?.items;
    Ok(all.iter().map(|one| (one.name_any(), version(one))).collect())
}

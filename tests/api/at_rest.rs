//! Where nothing happens that matters, nothing is written.

use std::{collections::BTreeMap, env, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{AuditedRequest, ControlPlane, Options, controllers_run, crds_folder},
    harness::{Account, DEFAULT_CONFIG_MAP, prelude::*, services},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::Api;
use serde_json::json;

use crate::{
    harness::skipped,
    rights,
    stage::{CONFIG, patch, version},
};

/// How long nothing happens, in seconds.
const REST: &str = "TOOLSET_TEST_REST_SECONDS";

/// Long enough for every watch to end and begin again, which happens every 60 s.
const LONG: u64 = 65;

/// How many Services of no interest come and change.
const UNRELATED: usize = 100;

/// All requests of an account that are not watches, with how often they were made.
fn requests(plane: &ControlPlane, account: &Account, since: usize) -> Result<BTreeMap<String, usize>> {
    let all = plane.audited_requests()?;
    let of_account = all.iter().skip(since).filter(|request| request.user == account.user());
    let mut counted = BTreeMap::new();
    for AuditedRequest { verb, resource, name, code, .. } in of_account.filter(|request| request.verb != "watch") {
        *counted.entry(format!("{verb} {resource} {name} {code}")).or_default() += 1;
    }
    Ok(counted)
}

#[tokio::test]
async fn at_rest_and_among_unrelated_changes_nothing_is_read_or_written() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let rest = env::var(REST).ok().map(|text| text.parse()).transpose().context(REST)?.unwrap_or(LONG);
    let options = Options { audit_log: true, crds: Some(crds_folder()) };
    isolated("rest", options, async |world, plane| {
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let account = rights::operator(world, &agent).await?;
        let options = ControllerOptions {
            kubeconfig: Some(account.kubeconfig().to_owned()),
            ..ControllerOptions::unrestricted()
        };
        let _controller = world.start_controller(options).await?;
        world.backend(&world.create(&services::grafana(&apps)).await?).await?;
        let failing = world.backend(&world.create(&services::prometheus_server(&apps)).await?).await?;
        let mut malformed = services::jaeger_query(&apps);
        malformed.metadata.annotations = Some([("kubernaut.io/toolset-port".to_owned(), "nosuch".to_owned())].into());
        world.create(&malformed).await?;
        world
            .configure(
                &agent,
                CONFIG,
                &json!({
                    "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}],
                    "health": {"withholdAfterSeconds": 3600},
                }),
            )
            .await?;
        world.tools(&agent, "lists both", |tools| tools.names() == ["grafana", "prometheus-server"]).await?;
        failing.set_ready(false).await?;
        let configs = toolset_configs(&world.client(), &agent);
        // The last thing there is to say, and then to tell in an Event.
        present(&configs, CONFIG, "one is unhealthy, one rejected", |config| {
            config.data.pointer("/status/summary/unhealthy") == Some(&json!(1))
                && config.data.pointer("/status/summary/rejected") == Some(&json!(1))
        })
        .await?;
        eventually("the Event is sent", async || {
            let told = plane.audited_requests()?.iter().any(|request| {
                request.user == account.user() && request.resource == "events" && request.namespace == apps
            });
            ensure!(told);
            Ok(())
        })
        .await?;
        let config_maps: Api<ConfigMap> = world.api(&agent);
        let versions = async || -> Result<[String; 2]> {
            Ok([version(&config_maps.get(DEFAULT_CONFIG_MAP).await?), version(&configs.get(CONFIG).await?)])
        };
        let (before, since) = (versions().await?, plane.audited_requests()?.len());

        holds(Duration::from_secs(rest), "everything runs", async || plane.require_running()).await?;
        assert_eq!(requests(plane, &account, since)?, BTreeMap::new());
        assert_eq!(versions().await?, before);

        // In a namespace that is looked at.
        let in_apps: Api<Service> = world.api(&apps);
        let create_and_change = async |number: usize| -> Result<()> {
            let name = format!("shop-{number}");
            world.create(&services::web_shop(&apps, &name)).await?;
            patch(&in_apps, &name, json!({"metadata": {"labels": {"changed": "yes"}}})).await?;
            Ok(())
        };
        stream::iter(0..UNRELATED).map(create_and_change).buffer_unordered(8).try_collect::<()>().await?;

        // Something that matters comes after all of it: one apply, at most one status apply, nothing read.
        patch(&in_apps, "grafana", json!({"metadata": {"annotations": {"kubernaut.io/toolset": "disabled"}}})).await?;
        world.tools(&agent, "Grafana is gone", |tools| tools.names() == ["prometheus-server"]).await?;
        present(&configs, CONFIG, "two are rejected", |config| {
            config.data.pointer("/status/summary/rejected") == Some(&json!(2))
        })
        .await?;
        let expected = [
            (format!("patch configmaps {DEFAULT_CONFIG_MAP} 200"), 1),
            (format!("patch toolsetconfigs/status {CONFIG} 200"), 1),
        ];
        // The audit log tells of a request when it has been answered, which its watch event may well precede.
        let expected = BTreeMap::from(expected);
        eventually("the audit log holds these requests and no others", async || {
            let found = requests(plane, &account, since)?;
            ensure!(found == expected, "it holds {found:?}");
            Ok(())
        })
        .await
    })
    .await
}

//! If nothing relevant changes, nothing is written.

use std::{collections::BTreeMap, env, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{AuditedRequest, ControlPlane, Options, controllers_run},
    harness::{Account, ApiRequest, DEADLINE, DEFAULT_CONFIG_MAP, Proxy, prelude::*, services},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Service};
use kube::{Api, api::DeleteParams};
use serde_json::json;

use crate::{
    harness::skipped,
    rights,
    stage::{CONFIG, RECONCILES, Stage, counts, patch, version, without_health},
};

/// How long nothing changes, in seconds.
const REST: &str = "TOOLSET_TEST_REST_SECONDS";

/// Long enough for every watch to end and start again, which happens every 60 s.
const LONG: u64 = 65;

/// How many unrelated Services are created and changed.
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

/// How long nothing changes.
fn rest() -> Result<Duration> {
    let seconds = env::var(REST).ok().map(|text| text.parse()).transpose().context(REST)?.unwrap_or(LONG);
    Ok(Duration::from_secs(seconds))
}

#[tokio::test]
async fn at_rest_and_among_unrelated_changes_nothing_is_read_or_written() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    let options = Options { audit_log: true, ..Options::default() };
    isolated("rest", options, async |world, plane| {
        let (apps, agent) = (world.namespace("apps").await?, world.namespace("agent").await?);
        let account = rights::operator(world, &agent).await?;
        let options = ControllerOptions {
            kubeconfig: Some(account.kubeconfig().to_owned()),
            ..ControllerOptions::unrestricted()
        };
        let controller = world.start_controller(options).await?;
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
        // The last changes of the status, and after them the last Event.
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
        let reconciles = controller.total(RECONCILES).await?;

        holds(rest()?, "nothing is reconciled", async || {
            plane.require_running()?;
            let times = controller.total(RECONCILES).await? - reconciles;
            ensure!(times < 0.5, "{times} times");
            Ok(())
        })
        .await?;
        assert_eq!(requests(plane, &account, since)?, BTreeMap::new());
        assert_eq!(versions().await?, before);

        // In a namespace that a source selects.
        let in_apps: Api<Service> = world.api(&apps);
        let create_and_change = async |number: usize| -> Result<()> {
            let name = format!("shop-{number}");
            world.create(&services::web_shop(&apps, &name)).await?;
            patch(&in_apps, &name, json!({"metadata": {"labels": {"changed": "yes"}}})).await?;
            Ok(())
        };
        stream::iter(0..UNRELATED).map(create_and_change).buffer_unordered(8).try_collect::<()>().await?;

        // A relevant change follows. It causes one apply, at most one apply of the status, and no read.
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
        // The audit log contains a request only after its answer, and the watch event may arrive before that.
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

fn renews(request: &ApiRequest) -> bool {
    request.is("update", "leases")
}

/// How often the lease was renewed.
fn renewals(proxy: &Proxy) -> usize {
    proxy.exchanges_of(renews).iter().filter(|one| one.succeeded()).count()
}

/// Waits until the lease has been renewed `times` more times.
async fn renewed(proxy: &Proxy, times: usize) -> Result<()> {
    let before = renewals(proxy);
    // The lease is renewed every two seconds.
    let deadline = DEADLINE + Duration::from_secs(2) * u32::try_from(times)?;
    within(deadline, &format!("the lease is renewed {times} times"), async || {
        let renewals = renewals(proxy) - before;
        ensure!(renewals >= times, "{renewals} times");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_renewal_of_the_lease_causes_no_reconcile_and_no_other_write() -> Result<()> {
    scenario("rest-elected", async |world| {
        let proxy = world.proxy().await?;
        let stage = Stage::elected(world, &proxy, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        stage.config_is("the status counts it", |config| counts(config, 1)).await?;
        // The last writes have been answered by then.
        renewed(&proxy, 1).await?;
        let (reconciles, since) = (stage.controller.total(RECONCILES).await?, proxy.exchanges().len());

        renewed(&proxy, usize::try_from(rest()?.as_secs() / 2)?).await?;

        let requests = proxy.exchanges().split_off(since);
        let others: Vec<_> =
            requests.iter().map(|one| &one.request).filter(|one| one.verb != "watch" && !renews(one)).collect();
        ensure!(others.is_empty(), "{others:?}");
        let times = stage.controller.total(RECONCILES).await? - reconciles;
        ensure!(
            times < 0.5,
            "reconciled {times} times during {} renewals",
            requests.iter().filter(|one| renews(&one.request)).count()
        );

        // A change is still written.
        stage.delete_service("grafana").await?;
        stage.lists(&[]).await?;
        Ok(())
    })
    .await
}

/// Makes a change and waits for its effect while no renewal of the lease succeeds, so no renewal can have triggered it.
async fn without_a_renewal(proxy: &Proxy, change: impl AsyncFnOnce() -> Result<()>) -> Result<()> {
    // A replica may write for 10 s after a renewal.
    renewed(proxy, 1).await?;
    let held = proxy.hold(renews);
    let before = renewals(proxy);
    change().await?;
    ensure!(renewals(proxy) == before, "the lease was renewed meanwhile");
    drop(held);
    Ok(())
}

#[tokio::test]
async fn every_kind_of_change_is_written_without_a_renewal_of_the_lease() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("no-renewal", async |world| {
        let proxy = world.proxy().await?;
        let labelled = world.namespace("labelled").await?;
        world.create(&services::annotated(&labelled, "vectors", "vector-database")).await?;
        let spec = json!({"health": {"mode": "Endpoints", "withholdAfterSeconds": 1}});
        let stage = Stage::elected(world, &proxy, spec).await?;
        let grafana = stage.world.create(&services::grafana(&stage.apps)).await?;
        let (backend, lists) =
            (stage.world.backend(&grafana).await?, async |names: &[&str]| stage.lists(names).await.map(drop));
        lists(&["grafana"]).await?;

        without_a_renewal(&proxy, async || {
            backend.set_ready(false).await?;
            lists(&[]).await.context("a grace period ends")
        })
        .await?;
        without_a_renewal(&proxy, async || {
            backend.set_ready(true).await?;
            lists(&["grafana"]).await.context("an endpoint is ready")
        })
        .await?;
        without_a_renewal(&proxy, async || {
            stage.respec(json!({"health": {"mode": "None"}})).await?;
            stage.world.create(&services::prometheus_server(&stage.apps)).await?;
            lists(&["grafana", "prometheus-server"]).await.context("a new Service")
        })
        .await?;
        without_a_renewal(&proxy, async || {
            let by_label = json!({"from": "Selector", "selector": {"matchLabels": {"observe": "yes"}}});
            let apps = json!({"from": "Names", "names": [stage.apps]});
            let sources = [("apps", apps), ("labelled", by_label)]
                .map(|(name, namespaces)| json!({"name": name, "trust": "Trusted", "namespaces": namespaces}));
            stage
                .respec(json!({"sources": sources, "overrides": [
                    {"name": "off", "match": {"type": "Prometheus"}, "state": "Disabled"},
                ]}))
                .await?;
            lists(&["grafana"]).await.context("another spec")
        })
        .await?;
        without_a_renewal(&proxy, async || {
            let namespaces: Api<Namespace> = Api::all(stage.world.client());
            patch(&namespaces, &labelled, json!({"metadata": {"labels": {"observe": "yes"}}})).await?;
            lists(&["grafana", "vectors"]).await.context("a label of a namespace")
        })
        .await?;
        without_a_renewal(&proxy, async || {
            stage.meddle(json!({"data": {"toolset.json": "{}"}})).await?;
            lists(&["grafana", "vectors"]).await.context("an edited ConfigMap")
        })
        .await?;
        without_a_renewal(&proxy, async || {
            stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
            lists(&["grafana", "vectors"]).await.context("a deleted ConfigMap")
        })
        .await?;
        stage.world.configure(&stage.agent, "z-later", &without_health(&[&stage.apps])).await?;
        stage.world.ready(&stage.agent, "z-later", ("False", "OutputConflict")).await?;
        without_a_renewal(&proxy, async || {
            stage.configs().delete(CONFIG, &DeleteParams::background()).await?;
            stage.world.ready(&stage.agent, "z-later", ("True", "AsExpected")).await?;
            lists(&["grafana", "prometheus-server"]).await.context("a rival that is gone")
        })
        .await
    })
    .await
}

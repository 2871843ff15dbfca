//! The proxy that makes faults at random behaves as the endurance test expects.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::client,
    harness::{Faults, FaultyProxy, prelude::*},
};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::ConfigMap};
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{from_value, json};

/// ConfigMaps of a namespace through the proxy, and directly.
async fn config_maps(world: &mut World, proxy: &FaultyProxy) -> Result<(Api<ConfigMap>, Api<ConfigMap>)> {
    let apps = world.namespace("apps").await?;
    Ok((Api::namespaced(client(proxy.kubeconfig()).await?, &apps), world.api(&apps)))
}

fn named(name: &str) -> Result<ConfigMap> {
    Ok(from_value(json!({"metadata": {"name": name}, "data": {"key": "value"}}))?)
}

#[tokio::test]
async fn some_failed_requests_never_arrive_and_of_some_the_answer_is_lost() -> Result<()> {
    scenario("lost", async |world| {
        let proxy = world.faulty_proxy(1, "lost").await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        proxy.set(Faults { errors: 100, ..Faults::NONE });
        let mut made = 0;
        for number in 0..30 {
            let name = format!("number-{number}");
            ensure!(behind.create(&PostParams::default(), &named(&name)?).await.is_err());
            made += usize::from(directly.get_opt(&name).await?.is_some());
        }
        ensure!((3..20).contains(&made), "{made} of 30 exist");

        proxy.set(Faults::NONE);
        behind.create(&PostParams::default(), &named("last")?).await?;
        let traffic = proxy.traffic();
        // The client repeats some requests that were refused.
        ensure!(traffic.faults >= 30 && traffic.applied.len() == made + 1, "{traffic:?}");
        assert_eq!(traffic.writes, [("create configmaps".to_owned(), traffic.faults + 1)].into());
        ensure!(traffic.applied.iter().all(|write| !write.calm), "there were faults before each of them");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_silent_watch_stays_open_until_the_faults_end() -> Result<()> {
    scenario("silent", async |world| {
        let proxy = world.faulty_proxy(1, "silent").await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        proxy.set(Faults { silent: 100, ..Faults::NONE });
        let mut events = behind.watch(&WatchParams::default(), "0").await?.boxed();
        // What exists is shown as long as the watch lives.
        let mut number = 0;
        within(std::time::Duration::from_secs(30), "the watch is silent", async || {
            number += 1;
            directly.create(&PostParams::default(), &named(&format!("number-{number}"))?).await?;
            let shown = async {
                while let Some(event) = events.try_next().await? {
                    if let WatchEvent::Added(one) = event
                        && one.name_any() == format!("number-{number}")
                    {
                        return Ok(());
                    }
                }
                anyhow::bail!("the watch has ended")
            };
            match tokio::time::timeout(std::time::Duration::from_millis(500), shown).await {
                Err(_silent) => Ok(()),
                Ok(Ok(())) => anyhow::bail!("it shows what is new"),
                Ok(Err(error)) => Err(error),
            }
        })
        .await?;

        proxy.set(Faults::NONE);
        let rest: Vec<_> = tokio::time::timeout(e2e::harness::DEADLINE, events.collect()).await?;
        ensure!(rest.iter().all(Result::is_err), "it ends and shows nothing: {rest:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_empty_watch_is_answered_with_success_and_ends() -> Result<()> {
    scenario("empty", async |world| {
        let proxy = world.faulty_proxy(1, "empty").await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        directly.create(&PostParams::default(), &named("one")?).await?;
        proxy.set(Faults { empty: 100, ..Faults::NONE });
        let events: Vec<_> = behind.watch(&WatchParams::default(), "0").await?.try_collect().await?;
        assert_eq!(events.len(), 0);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_write_without_a_lease_is_noticed() -> Result<()> {
    scenario("leaseless", async |world| {
        let proxy = world.faulty_proxy(1, "leaseless").await?;
        let (behind, _) = config_maps(world, &proxy).await?;
        behind.create(&PostParams::default(), &named("before")?).await?;
        ensure!(proxy.renewed().is_none());
        let leases: Api<Lease> = Api::namespaced(client(proxy.kubeconfig()).await?, &world.namespaces()[0]);
        leases.create(&PostParams::default(), &from_value(json!({"metadata": {"name": "lease"}}))?).await?;
        ensure!(proxy.renewed().is_some());
        let patch = Patch::Merge(json!({"data": {"key": "other"}}));
        behind.patch("before", &PatchParams::default(), &patch).await?;
        let traffic = proxy.traffic();
        assert_eq!(traffic.without_lease.len(), 1, "{:?}", traffic.without_lease);

        proxy.restarted();
        let again =
            async || behind.patch("before", &PatchParams::default(), &Patch::Merge(json!({"data": null}))).await;
        again().await?;
        let without = proxy.traffic().without_lease;
        ensure!(without.len() == 1 && without[0].starts_with("patch configmaps"), "{without:?}");

        proxy.continued();
        again().await?;
        let traffic = proxy.traffic();
        assert_eq!((traffic.in_flight, traffic.without_lease.len()), (1, 0), "it was on its way");
        again().await?;
        let traffic = proxy.traffic();
        assert_eq!((traffic.in_flight, traffic.without_lease.len()), (0, 1), "only one of each object can be");
        Ok(())
    })
    .await
}

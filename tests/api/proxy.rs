//! The proxy behaves as the tests expect.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::client,
    harness::{End, Proxy, prelude::*},
};
use futures::{StreamExt as _, TryStreamExt as _};
use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt as _,
    api::{Patch, PatchParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{from_value, json};

use crate::stage::{data, patch};

/// ConfigMaps of a namespace through the proxy, and directly.
async fn config_maps(world: &mut World, proxy: &Proxy) -> Result<(Api<ConfigMap>, Api<ConfigMap>)> {
    let apps = world.namespace("apps").await?;
    Ok((Api::namespaced(client(proxy.kubeconfig()).await?, &apps), world.api(&apps)))
}

fn named(name: &str) -> Result<ConfigMap> {
    Ok(from_value(json!({"metadata": {"name": name}, "data": {"key": "value"}}))?)
}

#[tokio::test]
async fn requests_without_a_fault_pass_and_are_recorded() -> Result<()> {
    scenario("proxy", async |world| {
        let proxy = world.proxy().await?;
        let (behind, _) = config_maps(world, &proxy).await?;
        behind.create(&PostParams::default(), &named("one")?).await?;
        ensure!(behind.get_opt("nothing").await?.is_none());

        let requests = proxy.exchanges_of(|request| request.resource == "configmaps");
        let seen: Vec<_> = requests
            .iter()
            .map(|one| (one.request.verb, one.request.name.as_str(), one.end.map(|end| end.1)))
            .collect();
        assert_eq!(seen, [("create", "", Some(End::Answered(201))), ("get", "nothing", Some(End::Answered(404)))]);
        assert_eq!(requests[0].json()["data"], json!({"key": "value"}));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_held_request_reaches_the_api_server_when_the_fault_ends() -> Result<()> {
    scenario("held", async |world| {
        let proxy = world.proxy().await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        let fault = proxy.hold(|request| request.is("create", "configmaps"));

        let (params, one) = (PostParams::default(), named("one")?);
        let creation = behind.create(&params, &one);
        let release = async {
            eventually("the request has arrived", async || {
                ensure!(fault.met() == 1);
                Ok(())
            })
            .await?;
            ensure!(directly.get_opt("one").await?.is_none(), "it has not reached the API server");
            drop(fault);
            anyhow::Ok(())
        };
        let (created, released) = futures::join!(creation, release);
        released?;
        created?;
        directly.get("one").await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_client_that_gives_up_on_a_held_request_has_sent_nothing() -> Result<()> {
    scenario("given-up", async |world| {
        let proxy = world.proxy().await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        let fault = proxy.hold(|request| request.is("create", "configmaps"));

        let (params, one) = (PostParams::default(), named("one")?);
        ensure!(tokio::time::timeout(Duration::from_millis(200), behind.create(&params, &one)).await.is_err());
        eventually("the proxy knows that nobody waits", async || {
            let held = proxy.exchanges_of(|request| request.is("create", "configmaps"));
            ensure!(held[0].end.is_some_and(|(_, end)| end == End::Abandoned), "{:?}", held[0].end);
            Ok(())
        })
        .await?;
        drop(fault);
        behind.create(&params, &named("two")?).await?;
        ensure!(directly.get_opt("one").await?.is_none());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn with_its_answer_held_a_request_is_carried_out() -> Result<()> {
    scenario("answer", async |world| {
        let proxy = world.proxy().await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        let fault = proxy.hold_answers(|request| request.is("create", "configmaps"));

        let (params, one) = (PostParams::default(), named("one")?);
        let creation = behind.create(&params, &one);
        let release = async {
            present(&directly, "one", "it is there", |_| true).await?;
            let held = proxy.exchanges_of(|request| request.is("create", "configmaps"));
            ensure!(held[0].end.is_none(), "{:?}", held[0].end);
            drop(fault);
            anyhow::Ok(())
        };
        let (created, released) = futures::join!(creation, release);
        released?;
        ensure!(created?.uid() == directly.get("one").await?.uid());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_delayed_request_takes_that_long() -> Result<()> {
    scenario("delayed", async |world| {
        let proxy = world.proxy().await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        let delay = Duration::from_millis(300);
        let _fault = proxy.delay(delay, |request| request.is("create", "configmaps"));
        behind.create(&PostParams::default(), &named("one")?).await?;
        directly.get("one").await?;
        let requests = proxy.exchanges_of(|request| request.is("create", "configmaps"));
        let (ended, _) = requests[0].end.context("it has an answer")?;
        ensure!(ended - requests[0].arrived >= delay, "{:?}", ended - requests[0].arrived);
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_api_server() -> Result<()> {
    scenario("refused-here", async |world| {
        let proxy = world.proxy().await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        let fault = proxy.refuse(StatusCode::FORBIDDEN, |request| request.is("create", "configmaps"));
        match behind.create(&PostParams::default(), &named("one")?).await {
            Err(kube::Error::Api(status)) => assert_eq!((status.code, fault.met()), (403, 1)),
            other => anyhow::bail!("not refused: {other:?}"),
        }
        ensure!(directly.get_opt("one").await?.is_none());
        drop(fault);
        behind.create(&PostParams::default(), &named("one")?).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_rewritten_apply_is_stored_as_rewritten_and_its_answer_says_so() -> Result<()> {
    scenario("rewritten", async |world| {
        let proxy = world.proxy().await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        let _fault =
            proxy.rewrite(|request| request.is("patch", "configmaps"), |body| body["data"]["key"] = json!("another"));
        let wanted = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"key": "value"},
        });
        let params = PatchParams::apply("somebody").force();
        let answer = behind.patch("one", &params, &Patch::Apply(&wanted)).await?;
        assert_eq!(data(&answer, "key"), "another");
        assert_eq!(data(&directly.get("one").await?, "key"), "another");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_watch_is_streamed_and_its_events_can_be_held() -> Result<()> {
    scenario("watched", async |world| {
        let proxy = world.proxy().await?;
        let (behind, directly) = config_maps(world, &proxy).await?;
        let created = directly.create(&PostParams::default(), &named("one")?).await?;
        let version = created.resource_version().unwrap_or_default();
        let only = WatchParams::default().fields("metadata.name=one");
        let mut events = behind.watch(&only, &version).await?.boxed();
        let mut next = async || -> Result<String> {
            match events.try_next().await? {
                Some(WatchEvent::Modified(config_map)) => Ok(data(&config_map, "key").to_owned()),
                other => anyhow::bail!("not a change: {other:?}"),
            }
        };

        patch(&directly, "one", json!({"data": {"key": "first"}})).await?;
        assert_eq!(next().await?, "first");

        let fault = proxy.hold_events(|request| request.resource == "configmaps" && request.name == "one");
        patch(&directly, "one", json!({"data": {"key": "second"}})).await?;
        let release = async {
            eventually("the event has come to the proxy", async || {
                ensure!(fault.met() == 1);
                Ok(())
            })
            .await?;
            drop(fault);
            anyhow::Ok(())
        };
        let (second, released) = futures::join!(next(), release);
        released?;
        assert_eq!(second?, "second");
        Ok(())
    })
    .await
}

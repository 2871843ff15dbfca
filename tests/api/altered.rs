//! The operator's write is stored in another form, or is changed before the operator sees its echo.
//!
//! The operator may skip the echo of its own write. It must notice when the API server has stored something else, and
//! when somebody has changed the ConfigMap before the echo.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use e2e::harness::{ApiRequest, DEFAULT_CONFIG_MAP, Exchange, Fault, Proxy, Tools, prelude::*, services};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::DeleteParams;
use serde_json::json;

use crate::stage::{CONFIG, Stage, counts, data, told};

fn writes_the_config_map(request: &ApiRequest) -> bool {
    request.is("patch", "configmaps") && request.name == DEFAULT_CONFIG_MAP
}

fn about_the_config_map(request: &ApiRequest) -> bool {
    request.resource == "configmaps" && request.name == DEFAULT_CONFIG_MAP
}

async fn with_grafana<'a>(world: &'a mut World, proxy: &Proxy) -> Result<Stage<'a>> {
    let stage = Stage::behind(world, proxy, json!({})).await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    stage.lists(&["grafana"]).await?;
    stage.config_is("the status counts it", |config| counts(config, 1)).await?;
    Ok(stage)
}

#[tokio::test]
async fn a_webhook_that_changes_our_keys_causes_drift_and_slows_down_repairs() -> Result<()> {
    scenario("webhook", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy).await?;
        let since = proxy.exchanges_of(writes_the_config_map).len();
        let webhook = proxy.rewrite(writes_the_config_map, |body| {
            if let Some(content) = body.pointer_mut("/data/toolset.json") {
                *content = json!("{\"tools\": []}");
            }
        });

        stage.world.create(&services::prometheus_server(&stage.apps)).await?;

        // The write, five repairs at once, one after a second and one after two more.
        let writes = eventually("it is repaired again and again", async || {
            let writes: Vec<_> = proxy
                .exchanges_of(writes_the_config_map)
                .split_off(since)
                .into_iter()
                .filter(Exchange::succeeded)
                .collect();
            ensure!(writes.len() >= 8, "{} writes", writes.len());
            Ok(writes)
        })
        .await?;
        for (later, least) in [(6, 1), (7, 2)] {
            let took = writes[later].arrived - writes[later - 1].arrived;
            ensure!(took >= Duration::from_secs(least), "repair {later} came {took:?} after the one before");
        }
        stage.ready(("False", "OutputContested")).await?;
        told(stage.world, &stage.agent, CONFIG, "OutputContested").await?;

        drop(webhook);
        stage.lists(&["grafana", "prometheus-server"]).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_key_that_a_webhook_adds_is_no_drift() -> Result<()> {
    scenario("injected", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy).await?;
        let moment = stage.world.moment(&stage.agent).await?;
        let _webhook = proxy.rewrite(writes_the_config_map, |body| {
            body["metadata"]["labels"]["policy.example.com/checked"] = json!("yes");
            body["metadata"]["annotations"]["policy.example.com/by"] = json!("a webhook");
            body["data"]["notes.txt"] = json!("theirs");
        });

        for (service, names) in [
            (services::prometheus_server(&stage.apps), vec!["grafana", "prometheus-server"]),
            (services::jaeger_query(&stage.apps), vec!["grafana", "prometheus-server", "tracing-query"]),
        ] {
            stage.world.create(&service).await?;
            stage.lists(&names).await?;
            stage.config_is("the status counts them", |config| counts(config, names.len())).await?;
        }

        // One write for each Service: a repair would be a third.
        assert_eq!(moment.steps(DEFAULT_CONFIG_MAP).await?.len(), 2);
        assert_eq!(data(&stage.output().await?, "notes.txt"), "theirs");
        stage.ready(("True", "AsExpected")).await?;
        Ok(())
    })
    .await
}

/// What another client does right after our write.
#[derive(Clone, Copy)]
enum Stranger {
    Edits,
    Deletes,
}

impl Stranger {
    async fn acts(self, stage: &Stage<'_>) -> Result<()> {
        match self {
            Self::Edits => stage.meddle(json!({"data": {"toolset.json": "{\"tools\": []}"}})).await.map(drop),
            Self::Deletes => {
                stage.config_maps().delete(DEFAULT_CONFIG_MAP, &DeleteParams::default()).await?;
                Ok(())
            }
        }
    }

    /// Whether the change of the other client has been reverted.
    fn is_undone(self, config_map: Option<&ConfigMap>) -> bool {
        match self {
            Self::Edits => {
                config_map.is_some_and(|config_map| Tools::of(config_map).is_ok_and(|tools| tools.names().len() == 2))
            }
            Self::Deletes => config_map.is_some(),
        }
    }
}

/// Another client acts after our write is stored, and before the operator receives the event or the answer.
async fn a_stranger_is_first(stranger: Stranger, late: fn(&Proxy) -> Fault, watch_goes_on: bool) -> Result<()> {
    scenario("between", async |world| {
        let proxy = world.proxy().await?;
        let stage = with_grafana(world, &proxy).await?;
        let fault = late(&proxy);
        stage.world.create(&services::prometheus_server(&stage.apps)).await?;
        stage.lists(&["grafana", "prometheus-server"]).await?;
        let before = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
        stranger.acts(&stage).await?;
        if watch_goes_on {
            let last = "dynamictoolset_watch_last_event_timestamp_seconds{input=\"ConfigMap\"}";
            eventually("the watch has shown it", async || {
                ensure!(stage.controller.metric(last).await?.is_some_and(|last| last > before));
                Ok(())
            })
            .await?;
        }
        let left = stage.config_maps().get_opt(DEFAULT_CONFIG_MAP).await?;
        ensure!(!stranger.is_undone(left.as_ref()), "undone while our own write was still under way");
        drop(fault);

        stage.lists(&["grafana", "prometheus-server"]).await?;
        stage.ready(("True", "AsExpected")).await?;
        Ok(())
    })
    .await
}

fn the_watch(proxy: &Proxy) -> Fault {
    proxy.hold_events(about_the_config_map)
}

fn the_answer(proxy: &Proxy) -> Fault {
    proxy.hold_answers(writes_the_config_map)
}

#[tokio::test]
async fn an_edit_between_our_write_and_its_echo_is_repaired() -> Result<()> {
    a_stranger_is_first(Stranger::Edits, the_watch, false).await
}

#[tokio::test]
async fn a_deletion_between_our_write_and_its_echo_is_repaired() -> Result<()> {
    a_stranger_is_first(Stranger::Deletes, the_watch, false).await
}

#[tokio::test]
async fn an_edit_that_the_watch_shows_before_the_answer_to_our_write_is_repaired() -> Result<()> {
    a_stranger_is_first(Stranger::Edits, the_answer, true).await
}

#[tokio::test]
async fn a_deletion_that_the_watch_shows_before_the_answer_to_our_write_is_repaired() -> Result<()> {
    a_stranger_is_first(Stranger::Deletes, the_answer, true).await
}

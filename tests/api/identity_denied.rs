//! A Service whose Pods are another program stays out of the output, until its Pods respond or an override corrects it.

use anyhow::{Result, ensure};
use e2e::{
    controlplane::controllers_run,
    harness::{Reply, prelude::*, services::ServiceBuilder},
};
use kube::api::DynamicObject;
use serde_json::json;

use crate::{
    harness::skipped,
    identity::{LIKE_PROMETHEUS, NO_PODS, prometheus, text, tool},
    identity_programs::Recording,
    probe_stage::{ProbeStage, reason_of, status},
    stage::version,
};

/// The first request of an identity probe of Prometheus.
const QUERY: &str = "GET /api/v1/query?query=1 ";

/// The root page of Pushgateway, for every path.
fn pushgateway() -> Reply {
    status(200, "<!DOCTYPE html><html><head><title>Prometheus Pushgateway</title></head><body></body></html>")
}

fn is_confirmed(namespace: &str, name: &'static str) -> impl Fn(&DynamicObject) -> bool {
    move |config| text(tool(config, namespace, name), "identity").ends_with(": confirmed")
}

#[tokio::test]
async fn a_denied_look_alike_stays_out_after_a_restart_until_it_responds() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-denied", async |world| {
        let mut stage = ProbeStage::asking(world, &[], json!({})).await?;
        let apps = stage.stage.apps.clone();
        let target = stage.target(&prometheus(&apps, "p"), pushgateway()).await?;
        let denied = stage.says("p", "NotTheProduct").await?;
        let before = stage.stage.output().await?;

        target.server.reply(status(503, ""));
        let asked = target.server.requests().len();
        stage.restart().await?;

        let queries = || target.server.requests()[asked..].iter().filter(|one| one.starts_with(QUERY)).count();
        // The second request comes after a pause, so the first probe has ended long before.
        eventually("it is asked twice", async || {
            ensure!(queries() >= 2, "{}", queries());
            Ok(())
        })
        .await?;
        let config = stage.stage.config().await?;
        ensure!(reason_of(&config, "p") == Some("NotTheProduct"), "{:?}", config.data);
        ensure!(config.data["status"]["rejected"] == denied.data["status"]["rejected"], "{:?}", config.data);
        ensure!(version(&stage.stage.output().await?) == version(&before), "the ConfigMap was written");

        target.server.reply(Reply::json(&json!({
            "status": "success", "data": {"resultType": "scalar", "result": [1, "1"]},
        })));
        // A change of the EndpointSlices ends the pause.
        target.backend.set_ready(false).await?;
        target.backend.set_ready(true).await?;
        stage.stage.config_is("it is a tool when it responds as Prometheus", is_confirmed(&apps, "p")).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_service_is_probed_at_the_port_of_an_override() -> Result<()> {
    if !controllers_run() {
        return skipped(NO_PODS);
    }
    scenario("identity-override", async |world| {
        let stage = ProbeStage::asking(world, &[], json!({})).await?;
        let apps = stage.stage.apps.clone();
        let ports = ServiceBuilder::new(&apps, "p").labels(LIKE_PROMETHEUS).port("http", 9090, 9090);
        let target = stage.target(&ports.port("other", 9091, 9091).build(), pushgateway()).await?;
        let real = Recording::start("prometheus").await?;
        stage.redirect(&format!("{}:9091", target.backend.address()), real.port())?;
        stage.says("p", "NotTheProduct").await?;

        let rule = json!({
            "name": "port", "match": {"namespace": apps, "service": "p"}, "endpoint": {"port": "other"},
        });
        stage.stage.respec(json!({"overrides": [rule]})).await?;

        let config = stage.stage.config_is("it is asked on the other port", is_confirmed(&apps, "p")).await?;
        let endpoint = text(tool(&config, &apps, "p"), "endpoint");
        ensure!(endpoint == format!("http://p.{apps}.svc.cluster.local:9091"), "{endpoint}");
        Ok(())
    })
    .await
}

//! Writes that are carried out although their answer never arrives.

use anyhow::{Result, ensure};
use e2e::harness::{Faults, prelude::*, services};
use futures::future::try_join_all;
use serde_json::json;

use crate::stage::Stage;

/// How many answers are lost.
const LOST: usize = 10;
/// The maximum number of Services that are created in the meantime. An output lists 200 tools.
const SERVICES: usize = 180;
/// They come in groups, so that one comes while the answer to the write for another one is lost.
const AT_ONCE: usize = 3;

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_not_attributed_to_somebody_else() -> Result<()> {
    scenario("lost-answers", async |world| {
        let proxy = world.faulty_proxy(1, "operator").await?;
        let options = ControllerOptions { kubeconfig: Some(proxy.kubeconfig().to_owned()), ..Default::default() };
        let stage = Stage::set_with(world, json!({}), |_| options).await?;

        proxy.set(Faults { lost_answers: 50, ..Faults::NONE });
        let (mut names, mut lost) = (Vec::new(), 0);
        while lost < LOST {
            let group: Vec<_> =
                (names.len()..names.len() + AT_ONCE).map(|number| format!("tool-{number:03}")).collect();
            try_join_all(
                group
                    .iter()
                    .map(async |name| stage.world.create(&services::annotated(&stage.apps, name, "grafana")).await),
            )
            .await?;
            names.extend(group);
            lost += proxy.traffic().faults;
            ensure!(names.len() < SERVICES, "only {lost} answers were lost");
        }
        proxy.set(Faults::NONE);
        stage.world.create(&services::annotated(&stage.apps, "last", "grafana")).await?;
        names.insert(0, "last".to_owned());
        stage.lists(&names.iter().map(String::as_str).collect::<Vec<_>>()).await?;

        let drift = stage.controller.metric("dynamictoolset_configmap_drift_detected_total").await?;
        ensure!(drift.is_none_or(|drift| drift < 0.5), "nobody else has written, but drift was found {drift:?} times");
        let config = stage.config_is("all tools are counted", |config| {
            config.data.pointer("/status/summary/tools") == Some(&json!(names.len()))
        });
        ensure!(condition(&config.await?, "Ready") == Some(("True", "AsExpected")));
        Ok(())
    })
    .await
}

//! The end of the operator, and errors at its start.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{DEADLINE, prelude::*, services};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use rustix::process::Signal;
use serde_json::{from_value, json};
use tokio::net::TcpListener;

use crate::stage::{CONFIG, Stage, without_health};

/// Makes every write of a ConfigMap in one namespace slow. The API server calls a webhook that never answers, and
/// continues without it after a timeout.
struct SlowWrites {
    asked: TcpListener,
    webhooks: Api<ValidatingWebhookConfiguration>,
    name: String,
}

impl SlowWrites {
    /// How long a write takes.
    const SECONDS: u32 = 3;

    async fn in_namespace(world: &World, namespace: &str) -> Result<Self> {
        let asked = TcpListener::bind("127.0.0.1:0").await?;
        let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(world.client());
        let name = format!("slow-{namespace}");
        let configuration: ValidatingWebhookConfiguration = from_value(json!({
            "metadata": {"name": name},
            "webhooks": [{
                "name": "slow.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "timeoutSeconds": Self::SECONDS,
                "clientConfig": {"url": format!("https://127.0.0.1:{}/", asked.local_addr()?.port())},
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"],
                    "operations": ["CREATE", "UPDATE"],
                }],
            }],
        }))?;
        webhooks.create(&PostParams::default(), &configuration).await?;
        Ok(Self { asked, webhooks, name })
    }

    /// Waits until a write is in progress. The connection stays open while the result is kept.
    async fn begun(&self) -> Result<tokio::net::TcpStream> {
        let connection = tokio::time::timeout(DEADLINE, self.asked.accept()).await;
        Ok(connection.context("nobody writes")??.0)
    }

    async fn end(self) -> Result<()> {
        self.webhooks.delete(&self.name, &DeleteParams::default()).await?;
        Ok(())
    }
}

/// A stage whose controller is in the middle of writing Grafana.
async fn in_the_middle_of_a_write(stage: &Stage<'_>) -> Result<(SlowWrites, tokio::net::TcpStream)> {
    let slow = SlowWrites::in_namespace(stage.world, &stage.agent).await?;
    // The API server uses a new webhook after some time. Writes of the test show when it does.
    let config_maps = stage.config_maps();
    let mut number = 0;
    eventually("writes are slow", async || {
        number += 1;
        let probe = json!({"metadata": {"name": format!("probe-{number}")}});
        config_maps.create(&PostParams::default(), &from_value(probe)?).await?;
        tokio::time::timeout(Duration::from_millis(1), slow.asked.accept()).await.context("not yet")??;
        Ok(())
    })
    .await?;
    stage.world.create(&services::grafana(&stage.apps)).await?;
    let connection = slow.begun().await?;
    Ok((slow, connection))
}

#[tokio::test]
async fn a_write_in_progress_is_finished_while_the_controller_is_not_ready() -> Result<()> {
    scenario("finishes", async |world| {
        let mut stage = Stage::set(world, json!({})).await?;
        let (slow, connection) = in_the_middle_of_a_write(&stage).await?;

        stage.controller.process().signal(Signal::TERM)?;
        eventually("/ready says 503 at once", async || {
            ensure!(stage.controller.health("/ready").await?.0 == 503);
            Ok(())
        })
        .await?;
        ensure!(stage.controller.health("/health").await?.0 == 200, "it is alive until the write is done");
        let status = stage.controller.process().wait(DEADLINE).await?;

        assert_eq!(status.code(), Some(0));
        // There is no wait here, because the write has either happened or never will.
        let output = stage.output().await?;
        assert_eq!(e2e::harness::Tools::of(&output)?.names(), ["grafana"]);
        drop(connection);
        slow.end().await
    })
    .await
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() -> Result<()> {
    scenario("second-signal", async |world| {
        let mut stage = Stage::set(world, json!({})).await?;
        let (slow, connection) = in_the_middle_of_a_write(&stage).await?;

        stage.controller.process().signal(Signal::TERM)?;
        eventually("the first is heard", async || {
            ensure!(stage.controller.health("/ready").await?.0 == 503);
            Ok(())
        })
        .await?;
        stage.controller.process().signal(Signal::TERM)?;
        stage.controller.process().wait(DEADLINE).await?;

        // It did not wait for the write, because the API server still waits for the webhook.
        let output = stage.output().await?;
        assert!(e2e::harness::Tools::of(&output)?.names().is_empty());
        drop(connection);
        slow.end().await
    })
    .await
}

#[tokio::test]
async fn an_idle_controller_ends_with_code_0_on_sigterm_and_on_sigint() -> Result<()> {
    scenario("idle-end", async |world| {
        let agent = world.namespace("agent").await?;
        world.configure(&agent, CONFIG, &without_health(&[&agent])).await?;
        for signal in [Signal::TERM, Signal::INT] {
            let mut controller = world.start_controller(ControllerOptions::default()).await?;
            world.ready(&agent, CONFIG, ("True", "AsExpected")).await?;
            controller.process().signal(signal)?;
            let status = controller.process().wait(DEADLINE).await?;
            assert_eq!((status.code(), status.signal()), (Some(0), None));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_write_that_takes_longer_than_the_shutdown_timeout_does_not_delay_the_end() -> Result<()> {
    scenario("timeout", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let options = ControllerOptions {
            arguments: vec!["--shutdown-timeout=500ms".to_owned()],
            ..ControllerOptions::default()
        };
        let controller = world.start_controller(options).await?;
        world.configure(&agent, CONFIG, &without_health(&[&apps])).await?;
        let mut stage = Stage { world, apps, agent, controller };
        stage.ready(("True", "AsExpected")).await?;
        let (slow, connection) = in_the_middle_of_a_write(&stage).await?;
        let begun = Instant::now();

        stage.controller.process().signal(Signal::TERM)?;
        let status = stage.controller.process().wait(DEADLINE).await?;

        assert_eq!(status.code(), Some(0));
        // Before the write can have been answered.
        assert!(begun.elapsed() < Duration::from_secs(SlowWrites::SECONDS.into()), "{:?}", begun.elapsed());
        drop(connection);
        slow.end().await
    })
    .await
}

#[tokio::test]
async fn an_unreadable_kubeconfig_ends_the_program_with_one_clear_line_and_code_1() -> Result<()> {
    scenario("kubeconfig", async |world| {
        let file = world.folder().join("broken.kubeconfig");
        fs::write(&file, "clusters: {this is not a kubeconfig")?;
        for kubeconfig in [file, world.folder().join("nosuch.kubeconfig")] {
            let options = ControllerOptions {
                kubeconfig: Some(kubeconfig.clone()),
                do_not_wait: true,
                ..ControllerOptions::unrestricted()
            };
            let mut controller = world.start_controller(options).await?;
            let status = controller.process().wait(DEADLINE).await?;
            assert_eq!(status.code(), Some(1));
            let said = controller.process().log_tail(100);
            assert_eq!(said.lines().count(), 1, "{said}");
            assert!(said.contains("KUBECONFIG") || said.contains(&*kubeconfig.to_string_lossy()), "{said}");
        }
        Ok(())
    })
    .await
}

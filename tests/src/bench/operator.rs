//! The operator that is measured, with leader election and log level info, as in its chart.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use kube::{
    Api,
    api::{DynamicObject, ListParams},
};

use super::metrics;
use crate::{
    chart::Release,
    harness::{Account, Controller, ControllerOptions, World, condition, toolset_config_resource, within},
    usage,
};

/// How long a start may take with the largest number of Services on a busy machine.
const START: Duration = Duration::from_secs(300);
/// The pause between two reads of a ToolsetConfig.
const PAUSE: Duration = Duration::from_millis(200);

/// A running operator.
pub(super) struct Operator {
    controller: Controller,
    user: String,
    started: Instant,
}

impl Operator {
    /// Starts it for all namespaces, with its lease in this one, and waits until it is ready.
    pub(super) async fn start(world: &mut World, account: &Account, namespace: &str) -> Result<Self> {
        Self::start_with(world, account, namespace, ControllerOptions::unrestricted()).await
    }

    /// The same for some namespaces, and with further arguments.
    pub(super) async fn start_with(
        world: &mut World,
        account: &Account,
        namespace: &str,
        mut options: ControllerOptions,
    ) -> Result<Self> {
        let election = ["--leader-elect".to_owned(), format!("--lease-namespace={namespace}")];
        options.arguments.splice(0..0, election);
        let options = ControllerOptions {
            kubeconfig: Some(account.kubeconfig().to_owned()),
            log_level: Some("info".to_owned()),
            do_not_wait: true,
            ..options
        };
        let started = Instant::now();
        let controller = world.start_controller(options).await?;
        let mut operator = Self { controller, user: account.user(), started };
        within(START, "the operator is ready", async || {
            operator.controller.process().require_running()?;
            let (status, body) = operator.controller.health("/ready").await?;
            ensure!(status == 200, "/ready says {status}: {body}");
            Ok(())
        })
        .await?;
        Ok(operator)
    }

    /// Installs it with its chart: the arguments of its Deployment, the rights of its ServiceAccount. It honours the
    /// ToolsetConfigs of these namespaces; the first one is its own.
    pub(super) async fn install(world: &mut World, namespaces: &[String]) -> Result<Self> {
        let first = namespaces.first().context("the chart needs a namespace")?;
        let release =
            Release::new(world, first)?.context("no Helm: `cargo xtask bench freshness --chart` brings one")?;
        release.install(&format!("crds: {{enabled: false}}\nconfigNamespaces: [{}]\n", namespaces.join(", ")))?;
        let started = Instant::now();
        let controller = release.start_controller(world, &[]).await?;
        Ok(Self { controller, user: release.user(), started })
    }

    /// Its user name in the audit log.
    pub(super) fn user(&self) -> &str {
        &self.user
    }

    /// The file that it logs to.
    pub(super) fn log(&mut self) -> &Path {
        self.controller.process().log()
    }

    /// Its process.
    pub(super) fn pid(&mut self) -> u32 {
        self.controller.process().pid()
    }

    /// Stops it, and waits until it has released the lease.
    pub(super) async fn stop(mut self) -> Result<()> {
        self.controller.terminate().await.map(drop)
    }

    /// How long ago it was started.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// User and system CPU time since its start.
    pub(super) fn cpu(&mut self) -> Result<Duration> {
        usage::cpu(self.pid())
    }

    /// Its memory.
    pub(super) fn memory(&mut self) -> Result<usage::Memory> {
        usage::Memory::of(self.pid())
    }

    /// The sum of all series of a metric. A metric without a series is an error, because zero would look like a kept
    /// promise.
    pub(super) async fn total(&self, metric: &str) -> Result<f64> {
        metrics::total(&self.controller.metrics().await?, metric)
    }

    /// Reconciles since its start, with any result.
    pub(super) async fn reconciles(&self) -> Result<f64> {
        self.total("dynamictoolset_reconciles_total").await
    }

    /// Plans made since its start.
    pub(super) async fn plans(&self) -> Result<f64> {
        self.total("dynamictoolset_discovery_duration_seconds_count").await
    }

    /// Waits until this number of ToolsetConfigs exists and all of them are applied, and returns them.
    pub(super) async fn applied(&mut self, world: &World, count: usize) -> Result<Vec<DynamicObject>> {
        let configs: Api<DynamicObject> = Api::all_with(world.client(), &toolset_config_resource());
        within(START, "every ToolsetConfig is applied", async || {
            self.controller.process().require_running()?;
            let list = configs.list(&ListParams::default()).await?.items;
            let ready = list.iter().filter(|config| condition(config, "Ready") == Some(("True", "AsExpected"))).count();
            if ready < count {
                tokio::time::sleep(PAUSE).await;
            }
            ensure!(ready >= count, "{ready} of {count} are");
            Ok(list)
        })
        .await
    }
}

/// How many tools the status of a ToolsetConfig counts.
pub(super) fn tools(config: &DynamicObject) -> Result<u64> {
    let tools = config.data.pointer("/status/summary/tools").and_then(serde_json::Value::as_u64);
    tools.context("the status of the ToolsetConfig counts no tools")
}

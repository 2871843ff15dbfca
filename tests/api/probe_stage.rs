//! The setup of the tests of probes. The Pods have no network, so the operator's connections to their addresses are
//! redirected to local servers. A Pod without a redirect cannot be reached.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{Backend, FakeAgent, Reply, prelude::*};
use k8s_openapi::api::core::v1::Service;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use crate::stage::{Stage, over};

/// A controller whose `ToolsetConfig` enables probes.
pub(crate) struct ProbeStage<'a> {
    pub stage: Stage<'a>,
    redirects: PathBuf,
    options: ControllerOptions,
}

/// A Service with one Pod. A local server responds in place of the Pod.
pub(crate) struct Target {
    pub service: Service,
    pub backend: Backend,
    pub server: FakeAgent,
}

/// Settings with which a single probe changes the health.
pub(crate) fn eager() -> Value {
    json!({
        "mode": "Probe", "withholdAfterSeconds": 0,
        "probe": {"timeoutSeconds": 1, "periodSeconds": 1, "failureThreshold": 1, "successThreshold": 1},
    })
}

impl<'a> ProbeStage<'a> {
    /// Starts a controller with health probes. `spec` is merged into a spec with the settings [`eager`].
    pub(crate) async fn set(world: &'a mut World, spec: Value) -> Result<Self> {
        Self::start(world, over(json!({"health": eager()}), spec)).await
    }

    /// Starts a controller with identity probes. `spec` is merged into a spec that trusts the namespace of the apps and
    /// these namespaces.
    pub(crate) async fn asking(world: &'a mut World, namespaces: &[String], spec: Value) -> Result<Self> {
        let apps = world.namespace("asked").await?;
        let names: Vec<&str> = namespaces.iter().map(String::as_str).chain([&*apps]).collect();
        let asking = over(trusted_names(&names), json!({"evidence": {"pods": "Disabled", "identity": "Probe"}}));
        let mut stage = Self::start(world, over(asking, spec)).await?;
        stage.stage.apps = apps;
        Ok(stage)
    }

    async fn start(world: &'a mut World, spec: Value) -> Result<Self> {
        let redirects = world.folder().join("redirects");
        fs::write(&redirects, "")?;
        let options = ControllerOptions {
            environment: vec![("TOOLSET_TEST_REDIRECTS".to_owned(), redirects.display().to_string())],
            ..ControllerOptions::default()
        };
        let stage = Stage::set_with(world, spec, |_| options.clone()).await?;
        Ok(Self { stage, redirects, options })
    }

    /// Kills the controller and starts another one.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.stage.controller.process().kill()?;
        self.stage.controller = self.stage.world.start_controller(self.options.clone()).await?;
        Ok(())
    }

    /// Creates the Service and a ready Pod behind it that gives this reply.
    pub(crate) async fn target(&self, service: &Service, reply: Reply) -> Result<Target> {
        let service = self.stage.world.create(service).await?;
        let server = FakeAgent::start(reply).await?;
        let backend = self.pod(&service, server.port()).await?;
        Ok(Target { service, backend, server })
    }

    /// Adds a ready Pod. The server on this local port responds in place of the Pod.
    pub(crate) async fn pod(&self, service: &Service, port: u16) -> Result<Backend> {
        let spec = service.spec.as_ref().and_then(|spec| spec.ports.as_ref()).context("it has ports")?;
        let number = spec.first().map(|port| port.port).context("it has a port")?;
        let container = json!({"name": "app", "image": "app.example/app:1"});
        let backend = Backend::not_ready(&self.stage.world.client(), service, container).await?;
        self.redirect(&format!("{}:{number}", backend.address()), port)?;
        backend.set_ready(true).await?;
        Ok(backend)
    }

    /// Redirects connections to an address to a local port.
    pub(crate) fn redirect(&self, address: &str, port: u16) -> Result<()> {
        let text = fs::read_to_string(&self.redirects)?;
        Ok(fs::write(&self.redirects, format!("{text}{address}=127.0.0.1:{port}\n"))?)
    }

    /// Removes all redirects, so that no Pod can be reached. The returned function restores them.
    pub(crate) fn cut_network(&self) -> Result<impl FnOnce() -> Result<()> + use<>> {
        let (before, redirects) = (fs::read_to_string(&self.redirects)?, self.redirects.clone());
        fs::write(&self.redirects, "")?;
        Ok(move || Ok(fs::write(redirects, before)?))
    }

    /// Waits until the tool or the rejected Service with this name has this reason.
    pub(crate) async fn says(&self, name: &str, reason: &str) -> Result<DynamicObject> {
        let what = format!("{name} is {reason}");
        self.stage.config_is(&what, |config| reason_of(config, name) == Some(reason)).await
    }

    /// The number of probes with this result so far.
    pub(crate) async fn probes(&self, type_: &str, result: &str) -> Result<f64> {
        let series = format!("dynamictoolset_health_checks_total{{type=\"{type_}\",result=\"{result}\"}}");
        Ok(self.stage.controller.metric(&series).await?.unwrap_or_default())
    }

    /// Waits until there have been this many more probes with this result.
    pub(crate) async fn after_probes(&self, type_: &str, result: &str, more: f64) -> Result<()> {
        let before = self.probes(type_, result).await?;
        eventually(&format!("{more} more probes end with {result}"), async || {
            let now = self.probes(type_, result).await?;
            ensure!(now >= before + more, "{now} after {before}");
            Ok(())
        })
        .await
    }
}

/// The reason of a tool or of a rejected Service in a status.
pub(crate) fn reason_of<'a>(config: &'a DynamicObject, name: &str) -> Option<&'a str> {
    let status = config.data.get("status")?;
    let all = ["tools", "rejected"].into_iter().filter_map(|list| status.get(list)?.as_array());
    let mut all = all.flatten().filter(|one| one["service"] == name);
    all.next()?["reason"].as_str()
}

/// A response with this status code and body.
pub(crate) fn status(code: u16, body: &str) -> Reply {
    Reply::Bytes(format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes())
}

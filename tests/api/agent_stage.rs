//! The start of the tests about the agent's own view: a ToolsetConfig that observes the agent, and the agent's Service. The
//! Pods have no network, so the operator's connections to their addresses are redirected to local servers.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{Backend, Reply, prelude::*, services::ServiceBuilder};
use k8s_openapi::api::core::v1::{Event, Service};
use kube::{
    Api,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::stage::{CONFIG, Stage, data, message, over};

/// The agent's Service.
pub(crate) const SERVICE: &str = "holmes";
/// The agent's port in the Pod.
const PORT: u16 = 5050;
/// An image whose tag shows a version that the operator asks.
pub(crate) const IMAGE: &str = "robustadev/holmes:0.45.0";

/// The pauses of the operator in milliseconds: the first, the longest, how long a replica may be behind, and how long it
/// may take to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    pub first: u32,
    pub longest: u32,
    pub patience: u32,
    pub answer: u32,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: 300, longest: 1000, patience: 900_000, answer: 30_000 }
    }
}

/// A controller that observes an agent.
pub(crate) struct AgentStage<'a> {
    pub stage: Stage<'a>,
    pub service: Service,
    folder: PathBuf,
    redirects: PathBuf,
    options: ControllerOptions,
}

impl<'a> AgentStage<'a> {
    /// `consumer` is merged into a consumer that observes the Service of the agent.
    pub(crate) async fn set(world: &'a mut World, pauses: Pauses, consumer: Value) -> Result<Self> {
        let folder = world.folder().join("agents");
        let redirects = world.folder().join("redirects");
        fs::create_dir(&folder)?;
        fs::write(&redirects, "")?;
        let consumer = over(json!({"observe": "HolmesGPT", "serviceRef": {"name": SERVICE}}), consumer);
        // The tests have no kubectl, so this toolset would fail.
        let baseline = json!([{"name": "kubernetes/core", "state": "Disabled"}]);
        let spec = json!({"consumer": consumer, "baseline": baseline});
        let options = ControllerOptions {
            arguments: vec![format!("--agents-dir={}", folder.display())],
            environment: vec![
                ("TOOLSET_TEST_REDIRECTS".to_owned(), redirects.display().to_string()),
                (
                    "TOOLSET_TEST_AGENT_TIMING".to_owned(),
                    format!("{},{},{},{}", pauses.first, pauses.longest, pauses.patience, pauses.answer),
                ),
            ],
            ..ControllerOptions::default()
        };
        let stage = Stage::set_with(world, spec, |_| options.clone()).await?;
        let service = ServiceBuilder::new(&stage.agent, SERVICE).port("http", 80, i32::from(PORT)).build();
        let service = stage.world.create(&service).await?;
        Ok(Self { stage, service, folder, redirects, options })
    }

    /// Kills the controller and starts another one.
    pub(crate) async fn restart(&mut self) -> Result<()> {
        self.stage.controller.process().kill()?;
        self.stage.controller = self.stage.world.start_controller(self.options.clone()).await?;
        Ok(())
    }

    /// Lets the installation name the agent's Service for the ToolsetConfig. `more` are further fields.
    pub(crate) fn install(&self, more: &Value) -> Result<()> {
        let agent = json!({"namespace": self.stage.agent, "toolsetConfig": CONFIG, "service": SERVICE, "port": 80});
        self.install_list(&json!([over(agent, more.clone())]))
    }

    /// The list of the installation.
    pub(crate) fn install_list(&self, agents: &Value) -> Result<()> {
        // Renamed, as the kubelet does it.
        let new = self.folder.join("new");
        fs::write(&new, json!({"agents": agents}).to_string())?;
        Ok(fs::rename(new, self.folder.join("agents.json"))?)
    }

    /// A key of the installation.
    pub(crate) fn install_key(&self, name: &str, key: &str) -> Result<()> {
        Ok(fs::write(self.folder.join(name), key)?)
    }

    /// Adds a ready Pod of the agent, which this local port answers for.
    pub(crate) async fn replica(&self, image: &str, port: u16) -> Result<Backend> {
        let container = json!({"name": "holmes", "image": image, "ports": [{"containerPort": PORT}]});
        let backend = Backend::not_ready(&self.stage.world.client(), &self.service, container).await?;
        self.redirect(&format!("{}:{PORT}", backend.address()), port)?;
        backend.set_ready(true).await?;
        Ok(backend)
    }

    /// Lets a local port answer for an address.
    pub(crate) fn redirect(&self, address: &str, port: u16) -> Result<()> {
        let text = fs::read_to_string(&self.redirects)?;
        Ok(fs::write(&self.redirects, format!("{text}{address}=127.0.0.1:{port}\n"))?)
    }

    /// The agent's file, as the ConfigMap holds it.
    pub(crate) async fn file(&self) -> Result<String> {
        Ok(data(&self.stage.output().await?, "custom_toolset.yaml").to_owned())
    }

    /// Waits until `AgentLoaded` has this status and reason, and `status.agent.loaded` is this.
    pub(crate) async fn loaded(&self, expected: (&str, &str), loaded: &str) -> Result<DynamicObject> {
        let what = format!("AgentLoaded is {expected:?} with {loaded:?}");
        self.stage
            .config_is(&what, |config| condition(config, "AgentLoaded") == Some(expected) && column(config) == loaded)
            .await
    }

    /// Waits until `AgentLoaded` is like this and its message contains the text.
    pub(crate) async fn says(&self, expected: (&str, &str), text: &str) -> Result<DynamicObject> {
        let what = format!("AgentLoaded is {expected:?} and says {text:?}");
        self.stage
            .config_is(&what, |config| {
                condition(config, "AgentLoaded") == Some(expected) && message(config, "AgentLoaded").contains(text)
            })
            .await
    }

    /// Waits until an Event about the ToolsetConfig gives this reason for the agent.
    pub(crate) async fn told(&self, reason: &str) -> Result<()> {
        let events: Api<Event> = self.stage.world.api(&self.stage.agent);
        let about = ListParams::default().fields(&format!("involvedObject.name={CONFIG},reason={reason}"));
        eventually(&format!("an Event says {reason}"), async || {
            let found = events.list(&about).await?.items;
            let texts: Vec<_> = found.iter().filter_map(|event| event.message.as_deref()).collect();
            ensure!(texts.iter().any(|text| text.starts_with("AgentLoaded: ")), "{texts:?}");
            Ok(())
        })
        .await
    }

    /// Waits until a metric is as `is` says.
    pub(crate) async fn metric(&self, series: &str, is: impl Fn(f64) -> bool) -> Result<()> {
        eventually(&format!("{series} is as expected"), async || {
            let value = self.stage.controller.metric(series).await?;
            ensure!(value.is_some_and(&is), "it is {value:?}");
            Ok(())
        })
        .await
    }

    /// Fails if the count changes although the operator would have asked several times in the meantime.
    pub(crate) async fn stays(&self, what: &str, count: impl AsyncFn() -> Result<usize>) -> Result<()> {
        let before = count().await?;
        holds(Duration::from_secs(4), what, async || {
            let now = count().await?;
            ensure!(now == before, "{now} requests instead of {before}");
            Ok(())
        })
        .await
    }
}

/// The printer column `Agent`.
pub(crate) fn column(config: &DynamicObject) -> &str {
    config.data.pointer("/status/agent/loaded").and_then(Value::as_str).unwrap_or_default()
}

/// The answer of an agent that has loaded a file, in which every entry is enabled.
pub(crate) fn info_of(file: &str) -> Result<Value> {
    let file: Value = serde_saphyr::from_str(file)?;
    let entries = ["toolsets", "mcp_servers"].into_iter().filter_map(|section| file[section].as_object());
    let toolsets: Vec<Value> = entries
        .flat_map(|entries| entries.keys())
        .map(|name| json!({"name": name, "enabled": true, "status": "enabled", "type": "x", "error": null, "tool_count": 1}))
        .collect();
    ensure!(!toolsets.is_empty(), "the file has no entries");
    Ok(json!({"version": "0.45.0", "uptime_seconds": 1, "auth_enabled": false, "toolsets": toolsets}))
}

/// The reply of an agent that has loaded the ConfigMap as it is.
pub(crate) async fn current(stage: &AgentStage<'_>) -> Result<Reply> {
    Ok(Reply::json(&info_of(&stage.file().await?).context("the ConfigMap has no file")?))
}

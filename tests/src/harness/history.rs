//! The complete history of a ConfigMap since a moment. A test that only polls could miss a step, but the API server
//! keeps every step.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, ResourceExt as _,
    api::{ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams},
};

use super::World;

/// How long the API server may take to send the history.
const PATIENCE: Duration = Duration::from_secs(30);

/// One step in the life of a ConfigMap.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// It was created.
    Created(ConfigMap),
    /// It was changed.
    Changed(ConfigMap),
    /// It was deleted.
    Deleted,
}

impl Step {
    /// The ConfigMap after this step.
    pub fn config_map(&self) -> Option<&ConfigMap> {
        match self {
            Self::Created(config_map) | Self::Changed(config_map) => Some(config_map),
            Self::Deleted => None,
        }
    }
}

/// The moment from which the history of a namespace's ConfigMaps starts.
#[derive(Clone, Debug)]
pub struct Moment {
    config_maps: Api<ConfigMap>,
    resource_version: String,
}

impl World {
    /// Now, for the ConfigMaps of a namespace.
    pub async fn moment(&self, namespace: &str) -> Result<Moment> {
        let config_maps: Api<ConfigMap> = self.api(namespace);
        let list = config_maps.list(&ListParams::default().limit(1)).await?;
        let resource_version = list.metadata.resource_version.context("the list has no resourceVersion")?;
        Ok(Moment { config_maps, resource_version })
    }
}

impl Moment {
    /// Everything that has happened to the ConfigMap of this name since then. The operator completes a create with a
    /// change of the managed fields alone, which is no step of its own.
    pub async fn steps(&self, name: &str) -> Result<Vec<Step>> {
        tokio::time::timeout(PATIENCE, self.read(name)).await.context("the API server does not tell the history")?
    }

    /// Reads the watch up to a ConfigMap that is created for this purpose, because the stream is in order.
    async fn read(&self, name: &str) -> Result<Vec<Step>> {
        let end = ConfigMap {
            metadata: ObjectMeta { generate_name: Some("end-of-history-".to_owned()), ..ObjectMeta::default() },
            ..ConfigMap::default()
        };
        let end = self.config_maps.create(&PostParams::default(), &end).await?.name_any();
        let mut events = self.config_maps.watch(&WatchParams::default(), &self.resource_version).await?.boxed();
        let mut steps = Vec::new();
        while let Some(event) = events.try_next().await? {
            let step = match event {
                WatchEvent::Added(config_map) if config_map.name_any() == end => return Ok(steps),
                WatchEvent::Added(config_map) => (config_map.name_any(), Step::Created(config_map)),
                WatchEvent::Modified(config_map) => (config_map.name_any(), Step::Changed(config_map)),
                WatchEvent::Deleted(config_map) => (config_map.name_any(), Step::Deleted),
                WatchEvent::Bookmark(_) => continue,
                WatchEvent::Error(status) => bail!("the API server does not tell the history: {status:?}"),
            };
            if step.0 == name && !completes(steps.last(), &step.1) {
                steps.push(step.1);
            }
        }
        bail!("the watch ended before it came to the end of the history")
    }
}

/// Whether a step changes nothing but the managed fields of what was just created.
fn completes(before: Option<&Step>, step: &Step) -> bool {
    let (Some(Step::Created(created)), Step::Changed(changed)) = (before, step) else { return false };
    let content = |config_map: &ConfigMap| {
        let mut content = config_map.clone();
        content.metadata.managed_fields = None;
        content.metadata.resource_version = None;
        content
    };
    content(created) == content(changed)
}

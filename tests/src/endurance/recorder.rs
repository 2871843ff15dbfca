//! Every version of every output, from watches that do not pass the proxies.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use detectors::ServiceKey;
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams},
};
use serde_json::Value;
use tokio::task::JoinHandle;
use toolset::{
    DEFAULT_CLUSTER_DOMAIN,
    config_map::FIELD_MANAGER,
    health::in_output,
    render::{HOLMESGPT_KEY, TOOLSET_JSON_KEY},
};

use crate::harness::within;

/// How long the API server may take to show what has happened.
const SHOWN: Duration = Duration::from_secs(30);
/// The API server ends a watch after this time, in seconds.
const WATCH: u32 = 240;
/// The prefix of the ConfigMaps that end a record.
const END: &str = "end-of-record-";

/// One version of an output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    /// Its resourceVersion.
    pub(super) number: String,
    /// Whether this is the end of the object. Then nothing else is known.
    pub(super) deleted: bool,
    /// Equal if data, labels, annotations and owners are equal.
    pub(super) content: u64,
    /// Whether our field manager has an entry of operation Update, as after a create.
    pub(super) created_by_us: bool,
    /// The content of each of our data keys that is there.
    pub(super) data: BTreeMap<&'static str, Listed>,
}

/// What a data key lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// The Services.
    pub(super) services: BTreeSet<ServiceKey>,
    /// The endpoints, in `toolset.json` only.
    pub(super) endpoints: Vec<String>,
    /// Whether it cannot be read.
    pub(super) broken: bool,
}

/// The versions of an output since the last time, by namespace and name.
pub(super) type Record = BTreeMap<(String, String), Vec<Version>>;

/// Records until it is dropped.
pub(super) struct Recorder {
    client: Client,
    namespaces: Vec<String>,
    state: Arc<Mutex<Recorded>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Recorded {
    record: Record,
    /// The ends that were seen.
    ends: BTreeSet<String>,
    /// Why a namespace is no longer recorded.
    problem: Option<String>,
}

impl Recorder {
    /// Begins to record the ConfigMaps of these namespaces.
    pub(super) async fn start(client: &Client, namespaces: &[String]) -> Result<Self> {
        let state = Arc::new(Mutex::new(Recorded::default()));
        let mut tasks = Vec::new();
        for namespace in namespaces {
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            let list = api.list(&ListParams::default().limit(1)).await?;
            let from = list.metadata.resource_version.context("the list has no resourceVersion")?;
            let (namespace, state) = (namespace.clone(), state.clone());
            tasks.push(tokio::spawn(async move {
                if let Err(error) = record(&api, &namespace, from, &state).await {
                    lock(&state).problem = Some(format!("{error:#}"));
                }
            }));
        }
        Ok(Self { client: client.clone(), namespaces: namespaces.to_vec(), state, tasks })
    }

    /// Everything up to now.
    pub(super) async fn take(&self) -> Result<Record> {
        for namespace in &self.namespaces {
            let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
            let metadata = ObjectMeta { generate_name: Some(END.to_owned()), ..ObjectMeta::default() };
            let end = ConfigMap { metadata, ..ConfigMap::default() };
            let end = api.create(&PostParams::default(), &end).await?.name_any();
            // The events of a watch are in order, so all before it have been seen too.
            within(SHOWN, "the API server shows everything", async || {
                let state = lock(&self.state);
                ensure!(state.problem.is_none(), "the record has a gap: {:?}", state.problem);
                ensure!(state.ends.contains(&end));
                Ok(())
            })
            .await?;
            api.delete(&end, &DeleteParams::default()).await?;
        }
        let mut state = lock(&self.state);
        state.ends.clear();
        Ok(std::mem::take(&mut state.record))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn lock(state: &Mutex<Recorded>) -> MutexGuard<'_, Recorded> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records forever. A watch that ends is continued where it ended, so nothing is missed.
async fn record(api: &Api<ConfigMap>, namespace: &str, mut from: String, state: &Mutex<Recorded>) -> Result<()> {
    let params = WatchParams::default().timeout(WATCH);
    loop {
        let mut events = api.watch(&params, &from).await?.boxed();
        while let Some(event) = events.try_next().await? {
            let (config_map, deleted) = match event {
                WatchEvent::Added(config_map) | WatchEvent::Modified(config_map) => (config_map, false),
                WatchEvent::Deleted(config_map) => (config_map, true),
                WatchEvent::Bookmark(bookmark) => {
                    from = bookmark.metadata.resource_version;
                    continue;
                }
                WatchEvent::Error(status) => bail!("the API server refuses to continue: {status:?}"),
            };
            from = config_map.resource_version().context("a ConfigMap without resourceVersion")?;
            let name = config_map.name_any();
            let mut state = lock(state);
            if name.starts_with(END) {
                state.ends.insert(name);
                continue;
            }
            state.record.entry((namespace.to_owned(), name)).or_default().push(Version::of(&config_map, deleted));
        }
    }
}

impl Version {
    /// What is remembered of a ConfigMap.
    pub(super) fn of(config_map: &ConfigMap, deleted: bool) -> Self {
        let number = config_map.resource_version().unwrap_or_default();
        if deleted {
            return Self { number, deleted, ..Self::default() };
        }
        let metadata = &config_map.metadata;
        let mut hasher = DefaultHasher::new();
        let owners = metadata.owner_references.iter().flatten().map(|owner| (&owner.uid, owner.controller));
        (&config_map.data, &metadata.labels, &metadata.annotations).hash(&mut hasher);
        owners.collect::<Vec<_>>().hash(&mut hasher);
        let created_by_us = metadata.managed_fields.iter().flatten().any(|entry| {
            entry.manager.as_deref() == Some(FIELD_MANAGER) && entry.operation.as_deref() == Some("Update")
        });
        let data = [HOLMESGPT_KEY, TOOLSET_JSON_KEY]
            .into_iter()
            .filter_map(|key| Some((key, Listed::of(key, config_map.data.as_ref()?.get(key)?))));
        Self { number, deleted, content: hasher.finish(), created_by_us, data: data.collect() }
    }
}

impl Listed {
    fn of(key: &str, text: &str) -> Self {
        let services = in_output([text], DEFAULT_CLUSTER_DOMAIN);
        if key != TOOLSET_JSON_KEY {
            return Self { services, ..Self::default() };
        }
        let file: Value = serde_json::from_str(text).unwrap_or_default();
        let tools = file["tools"].as_array();
        let endpoint = |tool: &Value| tool["endpoint"].as_str().unwrap_or_default().to_owned();
        let endpoints = tools.into_iter().flatten().map(endpoint).collect();
        Self { services, endpoints, broken: tools.is_none() }
    }
}

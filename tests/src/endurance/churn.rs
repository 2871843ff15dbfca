//! What happens in the cluster: Services come, change and go, endpoints fail, labels and specs change, and people edit
//! the outputs.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result};
use detectors::ServiceKey;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    ledger::Ledger,
    places::{ConfigPlace, LISTED_BY, Places, TENANT},
    services::{Kind, State, TYPES},
};
use crate::{
    harness::{Backend, World, toolset_configs},
    random::Random,
};

/// How many Services of each namespace are created, changed and deleted.
const BUSY: usize = 12;
/// The same in the Tenant's namespace, of which ten are listed.
const BUSY_OF_TENANT: usize = 6;
/// How many Services have endpoints made by hand, and how many have Pods.
const WITH_ENDPOINTS: usize = 3;
/// The time between two edits of an output by a person. More of them would be a conflict, which slows the operator down.
const BETWEEN_EDITS: Duration = Duration::from_secs(10);
/// Who makes all changes.
const MANAGER: &str = "endurance";

/// The cluster, and what is done to it.
pub(super) struct Churn {
    client: Client,
    places: Places,
    random: Random,
    /// The Services that come, change and go. `None` while one does not exist.
    busy: BTreeMap<ServiceKey, Option<State>>,
    /// The Services with endpoints made by hand.
    manual: Vec<(ServiceKey, State)>,
    /// The Services with Pods.
    backends: Vec<(ServiceKey, State, Backend)>,
    /// The next edit of the spec of each `ToolsetConfig`.
    edits: BTreeMap<String, usize>,
    /// Whether the last namespace is labelled.
    labelled: bool,
    edited: Option<Instant>,
    /// How many changes of Services and endpoints have been made.
    pub(super) changes: usize,
    /// What has been done since the last quiet moment.
    pub(super) ledger: Ledger,
}

impl Churn {
    /// Creates the namespaces, the Services and the `ToolsetConfigs`.
    pub(super) async fn prepare(world: &mut World, seed: u64) -> Result<(Self, Places)> {
        let mut places = Places::create(world).await?;
        let mut this = Self {
            client: world.client(),
            places: places.clone(),
            random: Random::new(seed, "changes"),
            busy: BTreeMap::new(),
            manual: Vec::new(),
            backends: Vec::new(),
            edits: BTreeMap::new(),
            labelled: false,
            edited: None,
            changes: 0,
            ledger: Ledger::default(),
        };
        this.populate(world).await?;
        let manual: Vec<_> = this.manual.iter().map(|(key, _)| key.name.to_string()).collect();
        places.configure(world, &manual).await?;
        this.places = places.clone();
        Ok((this, places))
    }

    async fn populate(&mut self, world: &World) -> Result<()> {
        let apps = self.places.apps.clone();
        for (number, namespace) in apps.iter().enumerate() {
            // These never change.
            for (index, kind) in TYPES.iter().enumerate().take(3) {
                let key = ServiceKey::new(namespace.as_str(), format!("stable-{index}"));
                self.apply(&key, &State::new(Kind::Annotated(kind), 8080)).await?;
            }
            let chart = ServiceKey::new(namespace.as_str(), "stable-chart");
            self.apply(&chart, &State::new(Kind::Chart, 8080)).await?;
            for index in 0..if number == TENANT { BUSY_OF_TENANT } else { BUSY } {
                let key = ServiceKey::new(namespace.as_str(), format!("tool-{index}"));
                let state = (index % 2 == 0).then(|| State::random(&mut self.random));
                if let Some(state) = &state {
                    self.apply(&key, state).await?;
                }
                self.busy.insert(key, state);
            }
        }
        for index in 0..WITH_ENDPOINTS {
            let key = ServiceKey::new(apps[0].as_str(), format!("manual-{index}"));
            let state = State::new(Kind::Manual, 8080);
            self.apply(&key, &state).await?;
            self.publish(&key, true).await?;
            self.manual.push((key, state));
            let key = ServiceKey::new(apps[1].as_str(), format!("pods-{index}"));
            let state = State::new(Kind::Annotated("prometheus"), 8080);
            let service = self.apply(&key, &state).await?;
            let backend = world.backend(&service).await?;
            self.backends.push((key, state, backend));
        }
        self.label(false).await
    }

    /// The Services with Pods, which are listed where health counts as soon as their EndpointSlices exist.
    pub(super) fn with_pods(&self) -> impl Iterator<Item = &ServiceKey> {
        self.backends.iter().map(|(key, ..)| key)
    }

    /// Makes `each_second` changes per second for this time.
    pub(super) async fn run(&mut self, time: Duration, each_second: u32) -> Result<()> {
        let end = Instant::now() + time;
        let mut ticks = interval(Duration::from_secs(1) / each_second.max(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        while ticks.tick().await < end && Instant::now() < end {
            self.change().await.context("a change of the cluster failed")?;
        }
        Ok(())
    }

    /// Makes one change that an output must show, and returns the Service.
    pub(super) async fn add(&mut self, name: &str) -> Result<ServiceKey> {
        let key = ServiceKey::new(self.places.apps[0].as_str(), name);
        let state = State::new(Kind::Annotated("grafana"), 8080);
        self.ledger.changes(&key, None, Some(&state));
        self.apply(&key, &state).await?;
        Ok(key)
    }

    async fn change(&mut self) -> Result<()> {
        match self.random.below(1000) {
            0..850 => self.change_service().await,
            850..920 => self.change_manual().await,
            920..970 => self.change_pods().await,
            970..974 => {
                let labelled = !self.labelled;
                for config in self.places.configs.iter().filter(|config| config.by_namespace_labels) {
                    self.ledger.reconfigures(&config.name);
                }
                self.label(labelled).await
            }
            974..982 => self.edit_spec().await,
            _ => self.edit_output().await,
        }
    }

    /// A Service comes, changes or goes.
    async fn change_service(&mut self) -> Result<()> {
        let keys: Vec<_> = self.busy.keys().cloned().collect();
        let key = self.random.one_of(&keys).context("there is no Service")?.clone();
        let old = self.busy.remove(&key).flatten();
        let mut new = old.clone();
        match &mut new {
            None => new = Some(State::random(&mut self.random)),
            Some(_) if self.random.percent(15) => new = None,
            Some(state) => state.change(&mut self.random),
        }
        self.ledger.changes(&key, old.as_ref(), new.as_ref());
        match &new {
            Some(state) => drop(self.apply(&key, state).await?),
            None => drop(self.services(&key).delete(&key.name, &DeleteParams::default()).await?),
        }
        self.busy.insert(key, new);
        self.changes += 1;
        Ok(())
    }

    async fn change_manual(&mut self) -> Result<()> {
        let Some((key, state)) = self.random.one_of(&self.manual).cloned() else { return Ok(()) };
        self.ledger.changes(&key, Some(&state), Some(&state));
        let ready = self.random.percent(70);
        self.publish(&key, ready).await?;
        self.changes += 1;
        Ok(())
    }

    async fn change_pods(&mut self) -> Result<()> {
        let ready = self.random.percent(70);
        let Some((key, state, backend)) = self.random.one_of(&self.backends) else { return Ok(()) };
        self.ledger.changes(key, Some(state), Some(state));
        backend.set_ready(ready).await?;
        self.changes += 1;
        Ok(())
    }

    /// The owner of a `ToolsetConfig` edits its spec.
    async fn edit_spec(&mut self) -> Result<()> {
        let editable: Vec<_> = self.places.configs.iter().filter(|config| !config.edits.is_empty()).collect();
        let Some(&config) = self.random.one_of(&editable) else { return Ok(()) };
        let next = self.edits.entry(config.name.clone()).or_default();
        let edit = &config.edits[*next % config.edits.len()];
        *next += 1;
        self.ledger.reconfigures(&config.name);
        let patch = Patch::Merge(json!({"spec": edit}));
        let configs = toolset_configs(&self.client, &config.namespace);
        let written = configs.patch(&config.name, &by_hand(), &patch).await?;
        self.ledger.by_people(written.resource_version().unwrap_or_default());
        Ok(())
    }

    /// A person edits or deletes an output.
    async fn edit_output(&mut self) -> Result<()> {
        if self.edited.is_some_and(|edited| edited.elapsed() < BETWEEN_EDITS) {
            return Ok(());
        }
        self.edited = Some(Instant::now());
        let Some(ConfigPlace { namespace, name, config_map, .. }) = self.random.one_of(&self.places.configs) else {
            return Ok(());
        };
        let api: Api<ConfigMap> = Api::namespaced(self.client.clone(), namespace);
        let edit = match self.random.below(5) {
            0 => {
                // The operator may be about to create it.
                _ = api.delete(config_map, &DeleteParams::default()).await;
                return Ok(());
            }
            // A key that this output always has.
            1 if name == "formats" => json!({"data": {"custom_toolset.yaml": "{}"}}),
            1 => json!({"data": {"toolset.json": "{}"}}),
            2 => json!({"data": {"notes": self.random.below(1000).to_string()}}),
            // If an output has no owner reference and no label managed-by, the operator treats it as somebody else's.
            3 => json!({"metadata": {"labels": {
                "app.kubernetes.io/component": null, "app.kubernetes.io/name": "x",
            }}}),
            _ => json!({"metadata": {"annotations": {"kubernaut.io/content-hash": "x"}}}),
        };
        match api.patch(config_map, &by_hand(), &Patch::Merge(edit)).await {
            Ok(written) => self.ledger.by_people(written.resource_version().unwrap_or_default()),
            // It was deleted, and the operator has not yet created it again.
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Labels the first three namespaces with Services, and the last of them or not.
    async fn label(&mut self, labelled: bool) -> Result<()> {
        self.labelled = labelled;
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        for (number, name) in self.places.apps.iter().enumerate().take(3) {
            let value = (number < 2 || labelled).then(|| self.places.apps[0].clone());
            let patch = Patch::Merge(json!({"metadata": {"labels": {LISTED_BY: value}}}));
            namespaces.patch(name, &by_hand(), &patch).await?;
        }
        Ok(())
    }

    /// Publishes the endpoint of a Service without a selector.
    async fn publish(&self, key: &ServiceKey, ready: bool) -> Result<()> {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": &*key.name,
                "labels": {
                    "kubernetes.io/service-name": &*key.name,
                    "endpointslice.kubernetes.io/managed-by": "endurance.example",
                },
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": ready, "serving": ready}}],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        });
        let api: Api<EndpointSlice> = Api::namespaced(self.client.clone(), &key.namespace);
        api.patch(&key.name, &applying(), &Patch::Apply(slice)).await?;
        Ok(())
    }

    async fn apply(&self, key: &ServiceKey, state: &State) -> Result<Service> {
        Ok(self.services(key).patch(&key.name, &applying(), &Patch::Apply(state.manifest(key))).await?)
    }

    fn services(&self, key: &ServiceKey) -> Api<Service> {
        Api::namespaced(self.client.clone(), &key.namespace)
    }
}

fn applying() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

fn by_hand() -> PatchParams {
    PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() }
}

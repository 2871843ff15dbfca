//! One test's part of a cluster.

use std::{collections::BTreeMap, fmt::Debug, fs, panic::AssertUnwindSafe};

use anyhow::{Context as _, Result};
use futures::FutureExt as _;
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Namespace, Pod, Service},
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Backend, Controller, ControllerOptions, Tools,
    backend::at_once,
    config::{DEFAULT_CONFIG_MAP, condition, toolset_config, toolset_configs},
    controller::Place,
    shared,
    wait::present,
};
use crate::controlplane::{Cluster, ControlPlane, Options, Watchdog, nonce};

/// How much of a controller's log a failed test shows.
const LOG_LINES: usize = 60;

/// Runs a test in namespaces of its own on the shared control plane, and deletes them afterwards.
///
/// `name` begins the namespaces' names. Failures and panics of `body` are passed on, after its controllers' logs have
/// been printed.
pub async fn scenario(name: &str, body: impl AsyncFnOnce(&mut World) -> Result<()>) -> Result<()> {
    let mut world = World::new(name, shared::cluster().await?).await?;
    // On the heap, because most tests are too large for the stack of a test.
    let outcome = AssertUnwindSafe(Box::pin(body(&mut world))).catch_unwind().await;
    let outcome = world.report(outcome);
    world.delete_namespaces().await;
    outcome
}

/// Runs a test on a control plane of its own, which the test may break.
pub async fn isolated(
    name: &str,
    options: Options,
    body: impl AsyncFnOnce(&mut World, &mut ControlPlane) -> Result<()>,
) -> Result<()> {
    let mut plane = ControlPlane::start(options).await?;
    let mut world = World::new(name, plane.cluster().clone()).await?;
    let outcome = AssertUnwindSafe(Box::pin(body(&mut world, &mut plane))).catch_unwind().await;
    world.report(outcome)
}

/// What a test has to itself: namespaces, controllers, a temporary folder.
pub struct World {
    prefix: String,
    cluster: Cluster,
    client: Client,
    namespaces: Vec<String>,
    controllers: usize,
    watchdog: Watchdog,
    folder: TempDir,
}

impl World {
    async fn new(name: &str, cluster: Cluster) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("toolset-test-").tempdir()?;
        Ok(Self {
            prefix: format!("{name}-{}", nonce()?),
            client: cluster.client().await?,
            cluster,
            namespaces: Vec::new(),
            controllers: 0,
            watchdog: Watchdog::start(folder.path())?,
            folder,
        })
    }

    /// The cluster that it is part of.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The administrator's client.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A folder that goes with the test.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Ends its processes if nothing else does.
    pub(crate) fn watchdog(&self) -> &Watchdog {
        &self.watchdog
    }

    /// The namespaces that this test has created so far.
    pub fn namespaces(&self) -> &[String] {
        &self.namespaces
    }

    /// Creates a namespace of this test's and returns its full name.
    pub async fn namespace(&mut self, name: &str) -> Result<String> {
        self.namespace_with_labels(name, &[]).await
    }

    /// The same, with labels.
    pub async fn namespace_with_labels(&mut self, name: &str, labels: &[(&str, &str)]) -> Result<String> {
        let name = format!("{}-{name}", self.prefix);
        let labels: BTreeMap<_, _> = labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let namespace = Namespace {
            metadata: ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() },
            ..Namespace::default()
        };
        Api::all(self.client()).create(&PostParams::default(), &namespace).await?;
        self.namespaces.push(name.clone());
        Ok(name)
    }

    /// Starts a controller, by default restricted to the namespaces that this test has created so far.
    pub async fn start_controller(&mut self, options: ControllerOptions) -> Result<Controller> {
        self.controllers += 1;
        let log = self.folder.path().join(format!("controller-{}.log", self.controllers));
        let place = Place {
            kubeconfig: self.cluster.kubeconfig(),
            namespaces: &self.namespaces,
            log,
            watchdog: &self.watchdog,
        };
        Controller::start(options, place).await
    }

    /// The API of a namespaced kind.
    pub fn api<K>(&self, namespace: &str) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client(), namespace)
    }

    /// Creates an object in the namespace that it names.
    pub async fn create<K>(&self, object: &K) -> Result<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        let namespace = object.meta().namespace.as_deref().context("the object names no namespace")?;
        let created = self.api::<K>(namespace).create(&PostParams::default(), object).await;
        created.with_context(|| format!("cannot create {namespace}/{}", object.meta().name.as_deref().unwrap_or("")))
    }

    /// Creates a ToolsetConfig.
    pub async fn configure(&self, namespace: &str, name: &str, spec: &Value) -> Result<DynamicObject> {
        let config = toolset_config(namespace, name, spec);
        let created = toolset_configs(&self.client, namespace).create(&PostParams::default(), &config).await;
        created.with_context(|| format!("cannot create the ToolsetConfig {namespace}/{name}"))
    }

    /// Waits until the condition `Ready` of a ToolsetConfig has this status and reason, such as `("True",
    /// "AsExpected")`.
    pub async fn ready(&self, namespace: &str, name: &str, expected: (&str, &str)) -> Result<DynamicObject> {
        let configs = toolset_configs(&self.client, namespace);
        let what = format!("Ready is {expected:?}");
        present(&configs, name, &what, |config| condition(config, "Ready") == Some(expected)).await
    }

    /// Puts a ready Pod behind a Service, whose endpoint the EndpointSlice controller then publishes.
    pub async fn backend(&self, service: &Service) -> Result<Backend> {
        Backend::create(&self.client, service).await
    }

    /// Waits until the tools in the namespace's `kubernaut-toolset-config` are as `condition` says.
    pub async fn tools(&self, namespace: &str, what: &str, condition: impl Fn(&Tools) -> bool) -> Result<Tools> {
        let config_maps: Api<ConfigMap> = self.api(namespace);
        let config_map = present(&config_maps, DEFAULT_CONFIG_MAP, what, |config_map| {
            Tools::of(config_map).is_ok_and(|tools| condition(&tools))
        });
        Tools::of(&config_map.await?)
    }

    /// Prints the logs if the test failed, and passes its outcome on.
    fn report(&self, outcome: std::thread::Result<Result<()>>) -> Result<()> {
        if !matches!(outcome, Ok(Ok(()))) {
            for number in 1..=self.controllers {
                self.print_log(number);
            }
        }
        match outcome {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    #[allow(clippy::print_stderr, reason = "libtest shows what is printed this way with the failed test")]
    fn print_log(&self, number: usize) {
        let path = self.folder.path().join(format!("controller-{number}.log"));
        let log = fs::read_to_string(path).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        eprintln!("--- controller {number}, the last {} of {} lines:\n{}", tail.len(), lines.len(), tail.join("\n"));
    }

    /// Deletes all Pods of a namespace. A namespace waits for kubelets to report their end, and there are none.
    pub async fn delete_pods(&self, namespace: &str) -> Result<()> {
        self.api::<Pod>(namespace).delete_collection(&at_once(), &ListParams::default()).await?;
        Ok(())
    }

    async fn delete_namespaces(&self) {
        let namespaces: Api<Namespace> = Api::all(self.client());
        for name in &self.namespaces {
            // Tidiness only, so failures do not matter: the names are never used again, and the control plane goes with
            // the run.
            _ = self.delete_pods(name).await;
            _ = namespaces.delete(name, &DeleteParams::background()).await;
        }
    }
}

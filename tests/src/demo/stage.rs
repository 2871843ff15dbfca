//! The cluster of the demo, which is a control plane of its own or namespaces in the user's cluster.

use std::{
    env,
    fmt::Debug,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams},
    config::Kubeconfig,
};
use serde::de::DeserializeOwned;
use tempfile::TempDir;

use super::{
    programs::Programs,
    stack::{LABEL, Stack},
};
use crate::{
    controlplane::{
        Cluster, ControlPlane, Options, Watchdog, controllers_run, crds_folder, install_crds, write_private,
    },
    harness::{Controller, ControllerOptions, Place, kubectl_toolset_program, toolset_config_resource},
};

/// In front of the names of namespaces in a cluster of the user's.
const PREFIX: &str = "toolset-demo-";
/// The CustomResourceDefinition.
const CRD: &str = "toolsetconfigs.toolset.kubernaut.io";
/// How long deleted namespaces may take to be gone.
const GONE: Duration = Duration::from_secs(120);

/// A cluster and what the demo has started in it.
pub(super) struct Stage {
    /// `None` in a cluster of the user's.
    plane: Option<ControlPlane>,
    context: Option<String>,
    client: Client,
    kubeconfig: PathBuf,
    programs: Programs,
    /// The namespaces of this name were free, so whatever is in them now is ours.
    claimed: bool,
    /// We brought the CustomResourceDefinition, so we take it away again.
    crd_is_ours: bool,
    watchdog: Watchdog,
    folder: TempDir,
}

impl Stage {
    /// Starts a control plane.
    pub(super) async fn own() -> Result<Self> {
        let plane = ControlPlane::start(Options::default()).await?;
        let folder = temporary_folder()?;
        Ok(Self {
            context: None,
            client: plane.client().await?,
            kubeconfig: plane.kubeconfig().to_owned(),
            programs: Programs { kubectl: plane.programs().kubectl.clone(), toolset: kubectl_toolset_program().await? },
            claimed: true,
            crd_is_ours: true,
            watchdog: Watchdog::start(folder.path())?,
            folder,
            plane: Some(plane),
        })
    }

    /// Takes the cluster of a context of the user's kubeconfig; changes nothing yet.
    pub(super) async fn of_context(name: &str) -> Result<Self> {
        let kubectl = on_path("kubectl").context("there is no kubectl in PATH; with --context the demo uses yours")?;
        let folder = temporary_folder()?;
        let watchdog = Watchdog::start(folder.path())?;
        let kubeconfig = folder.path().join("kubeconfig");
        // A copy with this one context: it may hold secrets, and the user's own file stays as it is.
        let copy = serde_json::to_string(&only_context(Kubeconfig::read()?, name)?)?;
        write_private(&kubeconfig, copy.as_bytes())?;
        let client = Cluster::new(&kubeconfig).client().await?;
        client.apiserver_version().await.with_context(|| format!("the cluster of context {name} does not answer"))?;
        Ok(Self {
            plane: None,
            context: Some(name.to_owned()),
            client,
            kubeconfig,
            programs: Programs { kubectl, toolset: kubectl_toolset_program().await? },
            claimed: false,
            crd_is_ours: false,
            watchdog,
            folder,
        })
    }

    /// What stands in front of the names of the demo's namespaces.
    pub(super) fn prefix(&self) -> &'static str {
        if self.plane.is_some() { "" } else { PREFIX }
    }

    /// Whether the demo can create Pods without a kubelet. This needs a control plane without nodes, and the
    /// EndpointSlice controller.
    pub(super) fn can_play_pods(&self) -> bool {
        self.plane.is_some() && controllers_run()
    }

    /// Whether it is the demo's own control plane.
    pub(super) fn is_own(&self) -> bool {
        self.plane.is_some()
    }

    /// The client of the cluster's administrator, or of the user.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The kubeconfig that shows `client`.
    pub(super) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// `kubectl` and `kubectl-toolset`.
    pub(super) fn programs(&self) -> &Programs {
        &self.programs
    }

    /// What a user types before the arguments of `kubectl`.
    pub(super) fn kubectl(&self) -> String {
        self.context.as_ref().map_or_else(|| "kubectl".to_owned(), |context| format!("kubectl --context {context}"))
    }

    /// What a user types after the arguments of `kubectl toolset`.
    pub(super) fn context_flag(&self) -> String {
        self.context.as_ref().map_or_else(String::new, |context| format!(" --context {context}"))
    }

    /// Refuses namespaces that are there already; in a control plane of our own there are none of ours.
    pub(super) async fn claim_namespaces(&mut self, stack: &Stack) -> Result<()> {
        if self.plane.is_some() {
            return Ok(());
        }
        let api: Api<Namespace> = Api::all(self.client.clone());
        for name in stack.namespaces().keys() {
            ensure!(
                api.get_opt(name).await?.is_none(),
                "the namespace {name} exists already; if a demo left it, delete it with\n  {} delete namespaces -l {}={}",
                self.kubectl(),
                LABEL.0,
                LABEL.1
            );
        }
        self.claimed = true;
        Ok(())
    }

    /// Installs the CustomResourceDefinition where there is none; returns whether it did.
    pub(super) async fn install_crd(&mut self) -> Result<bool> {
        if self.plane.is_some() {
            return Ok(true);
        }
        let api: Api<CustomResourceDefinition> = Api::all(self.client.clone());
        if api.get_opt(CRD).await?.is_none() {
            // This is set before the request, so that an interruption does not leave the definition behind.
            self.crd_is_ours = true;
            install_crds(&self.client, &crds_folder()).await?;
        }
        Ok(self.crd_is_ours)
    }

    /// Starts the operator, in a cluster of the user's for the demo's namespaces only.
    pub(super) async fn start_controller(&self, stack: &Stack, arguments: Vec<String>) -> Result<Controller> {
        let namespaces: Vec<String> = stack.namespaces().into_keys().collect();
        let unrestricted = if self.plane.is_some() { Some(Vec::new()) } else { None };
        let options = ControllerOptions {
            watch_namespaces: unrestricted.clone(),
            config_namespaces: unrestricted,
            log_level: Some("info".to_owned()),
            arguments,
            ..ControllerOptions::default()
        };
        let place = Place {
            kubeconfig: &self.kubeconfig,
            namespaces: &namespaces,
            log: self.folder.path().join("toolset-controller.log"),
            watchdog: &self.watchdog,
        };
        Controller::start(options, place).await
    }

    /// Fails if the control plane has died.
    pub(super) fn require_running(&mut self) -> Result<()> {
        self.plane.as_mut().map_or(Ok(()), ControlPlane::require_running)
    }

    /// Deletes everything that the demo created. Its own control plane ends when the stage is dropped.
    pub(super) async fn clean_up(&self) -> Result<()> {
        if self.plane.is_some() || !self.claimed {
            return Ok(());
        }
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let ours = ListParams::default().labels(&format!("{}={}", LABEL.0, LABEL.1));
        for namespace in namespaces.list_metadata(&ours).await? {
            let name = namespace.metadata.name.unwrap_or_default();
            delete(&namespaces, &name).await?;
        }
        let started = Instant::now();
        while !namespaces.list_metadata(&ours).await?.items.is_empty() {
            ensure!(
                started.elapsed() < GONE,
                "the namespaces are still being deleted after {GONE:?}; {}",
                self.by_hand()
            );
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        if self.crd_is_ours {
            // With the definition go all objects of the kind, and somebody may have begun to use it.
            let configs = Api::<DynamicObject>::all_with(self.client.clone(), &toolset_config_resource());
            if configs.list(&ListParams::default().limit(1)).await.is_ok_and(|list| list.items.is_empty()) {
                delete(&Api::<CustomResourceDefinition>::all(self.client.clone()), CRD).await?;
            }
        }
        Ok(())
    }

    /// How a user takes away what the demo could not.
    pub(super) fn by_hand(&self) -> String {
        let kubectl = self.kubectl();
        let crd = if self.crd_is_ours { format!("\n  {kubectl} delete crd {CRD}") } else { String::new() };
        format!("what is left goes with\n  {kubectl} delete namespaces -l {}={}{crd}", LABEL.0, LABEL.1)
    }
}

/// Deletes an object that may be gone already.
async fn delete<K>(api: &Api<K>, name: &str) -> Result<()>
where
    K: Clone + Debug + DeserializeOwned,
{
    match api.delete(name, &DeleteParams::background()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        outcome => outcome.map(drop).with_context(|| format!("cannot delete {name}")),
    }
}

fn temporary_folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("toolset-demo-").tempdir().context("cannot create a temporary folder")
}

/// The kubeconfig without everything that another context needs.
fn only_context(mut config: Kubeconfig, name: &str) -> Result<Kubeconfig> {
    let known: Vec<String> = config.contexts.iter().map(|context| context.name.clone()).collect();
    config.contexts.retain(|context| context.name == name);
    let context = config.contexts.first().and_then(|named| named.context.clone());
    let Some(context) = context else {
        bail!("the kubeconfig has no context {name}; it has {}", known.join(", "));
    };
    config.clusters.retain(|cluster| cluster.name == context.cluster);
    config.auth_infos.retain(|user| Some(&user.name) == context.user.as_ref());
    config.current_context = Some(name.to_owned());
    Ok(config)
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|path| fs::metadata(path).is_ok_and(|it| it.is_file()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "
apiVersion: v1
kind: Config
clusters:
- {name: a, cluster: {server: 'https://a.example'}}
- {name: b, cluster: {server: 'https://b.example'}}
users:
- {name: alice, user: {token: secret-a}}
- {name: bob, user: {token: secret-b}}
contexts:
- {name: kind-a, context: {cluster: a, user: alice}}
- {name: production, context: {cluster: b, user: bob}}
current-context: production
";

    #[test]
    fn only_the_named_context_and_what_it_needs_is_copied() {
        let copy = only_context(Kubeconfig::from_yaml(CONFIG).unwrap(), "kind-a").unwrap();
        assert_eq!(copy.current_context.as_deref(), Some("kind-a"));
        let text = serde_json::to_string(&copy).unwrap();
        assert!(text.contains("secret-a") && text.contains("a.example"), "{text}");
        assert!(!text.contains("secret-b") && !text.contains("b.example"), "{text}");
    }

    #[test]
    fn an_unknown_context_is_refused_with_those_that_there_are() {
        let error = only_context(Kubeconfig::from_yaml(CONFIG).unwrap(), "kind").unwrap_err().to_string();
        assert_eq!(error, "the kubeconfig has no context kind; it has kind-a, production");
    }
}

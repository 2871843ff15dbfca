//! Connects to the cluster that the kubeconfig and the flags select.

use std::{
    env,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use serde_json::Value;

use super::problem;
use crate::{args::Cluster, failure::Failure};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connects to a cluster. The namespace of the client is the one of `-n`, or else the one of the context.
///
/// Fails if the kubeconfig cannot be read, has no such context, or has credentials that cannot be used. Sends no request,
/// except those of a credential plugin.
pub(crate) async fn connect(cluster: &Cluster) -> Result<Client, Failure> {
    // This fails only if a provider is installed already, and then the provider is available.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = config(cluster).await?;
    if !is_usable(&config.auth_info) {
        return Err(Failure::input(
            "error: the bearer token in the kubeconfig is not valid, because it contains a control character",
        ));
    }
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = cluster.timeout();
    if let Some(namespace) = &cluster.namespace {
        config.default_namespace.clone_from(namespace);
    }
    Client::try_from(config).map_err(|error| {
        Failure::input(format!("error: cannot connect to the cluster: {}", problem::of_request(&error)))
    })
}

/// The names of the contexts of the kubeconfig.
pub(crate) fn contexts(cluster: &Cluster) -> Result<Vec<String>, Failure> {
    Ok(kubeconfig(cluster)?.contexts.into_iter().map(|context| context.name).collect())
}

/// Runs a future that asks the API server.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::input(format!("error: cannot start the async runtime: {error}")))?;
    let result = runtime.block_on(future);
    // Do not wait for computations on other threads. Nobody sees their results.
    runtime.shutdown_background();
    result
}

/// Whether the token can be sent in a header. The client panics if it cannot.
fn is_usable(user: &AuthInfo) -> bool {
    let user = serde_json::to_value(user).unwrap_or_default();
    let token = user.get("token").and_then(Value::as_str).unwrap_or_default();
    !token.contains(|c: char| c.is_control())
}

async fn config(cluster: &Cluster) -> Result<Config, Failure> {
    let kubeconfig = kubeconfig(cluster)?;
    let is_empty = kubeconfig.contexts.is_empty() && kubeconfig.clusters.is_empty();
    if is_empty && cluster.context.is_none() && cluster.kubeconfig.is_none() {
        // As kubectl does in a Pod.
        return Config::incluster().map_err(|_| {
            Failure::input(
                "error: no kubeconfig was found; set KUBECONFIG or use --kubeconfig, or read the objects from files with -f",
            )
        });
    }
    let known = || kubeconfig.contexts.iter().map(|context| context.name.as_str());
    match cluster.context.as_deref().or(kubeconfig.current_context.as_deref()).filter(|context| !context.is_empty()) {
        Some(context) if !known().any(|name| name == context) => {
            let advice = match crd_types::closest(context, known()) {
                Some(name) => format!("did you mean {name}?"),
                None => format!("its contexts are {}", known().collect::<Vec<_>>().join(", ")),
            };
            return Err(Failure::Usage(format!("error: the kubeconfig has no context {context}; {advice}")));
        }
        Some(_) => {}
        None => {
            return Err(Failure::input(
                "error: the kubeconfig has no current context; use --context, or kubectl config use-context",
            ));
        }
    }
    let options = KubeConfigOptions { context: cluster.context.clone(), ..KubeConfigOptions::default() };
    Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unreadable(&error))
}

/// The kubeconfig: the file of `--kubeconfig`, else the files of `KUBECONFIG` merged, else `~/.kube/config`.
///
/// As in kubectl, a file of `KUBECONFIG` and the default file need not exist, but the file of `--kubeconfig` must.
fn kubeconfig(cluster: &Cluster) -> Result<Kubeconfig, Failure> {
    let read = |path: &Path| {
        Kubeconfig::read_from(path).map_err(|error| {
            let problem = problem::of_kubeconfig(&error);
            Failure::input(format!("error: cannot read the kubeconfig {}: {problem}", path.display()))
        })
    };
    if let Some(path) = &cluster.kubeconfig {
        return read(path);
    }
    let merge = |merged: Kubeconfig, path: &PathBuf| merged.merge(read(path)?).map_err(|error| unreadable(&error));
    files().iter().filter(|path| path.exists()).try_fold(Kubeconfig::default(), merge)
}

fn files() -> Vec<PathBuf> {
    let listed = env::var_os("KUBECONFIG").unwrap_or_default();
    let listed: Vec<PathBuf> = env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
    if listed.is_empty() { env::home_dir().into_iter().map(|home| home.join(".kube/config")).collect() } else { listed }
}

fn unreadable(error: &KubeconfigError) -> Failure {
    Failure::input(format!("error: the kubeconfig cannot be used: {}", problem::of_kubeconfig(error)))
}

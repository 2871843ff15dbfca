//! An API server as its users see it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::kubeconfig::Endpoint;

/// An API server and the kubeconfig of an administrator of it.
#[derive(Clone, Debug)]
pub struct Cluster {
    kubeconfig: PathBuf,
}

impl Cluster {
    /// The cluster that this kubeconfig file names.
    pub fn new(kubeconfig: impl Into<PathBuf>) -> Self {
        Self { kubeconfig: kubeconfig.into() }
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A new client of the administrator's. A client lives on the runtime that made it, so each test makes its own.
    pub async fn client(&self) -> Result<Client> {
        client(&self.kubeconfig).await
    }

    /// Writes a kubeconfig that shows a ServiceAccount's token (valid for an hour), so that its RBAC applies.
    ///
    /// Fails if there is no such ServiceAccount.
    pub async fn service_account_kubeconfig(&self, namespace: &str, name: &str, path: &Path) -> Result<()> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client().await?, namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = accounts
            .create_token_request(name, &PostParams::default(), &request)
            .await
            .with_context(|| format!("cannot get a token of the ServiceAccount {namespace}/{name}"))?;
        let token = answer.status.context("the API server made no token")?.token;
        self.kubeconfig_for(name, &token, path)
    }

    /// Writes a kubeconfig for whoever this bearer token belongs to.
    pub fn kubeconfig_for(&self, user: &str, token: &str, path: &Path) -> Result<()> {
        Endpoint::of(&self.kubeconfig)?.write(path, user, token)
    }
}

/// A client for a kubeconfig file.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    let file = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("cannot read the kubeconfig {}", kubeconfig.display()))?;
    let config = Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

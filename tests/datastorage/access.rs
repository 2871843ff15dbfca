//! The start of the tests about rights: Data Storage with a control plane that reviews tokens, and clients with Roles.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result};
use e2e::{
    controlplane::Cluster,
    datastorage::{ApiClient, Database, Service, ServiceOptions},
    harness::{Account, World},
};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
    rbac::v1::ClusterRoleBinding,
};
use kube::{Api, api::PostParams};
use serde_json::{Value, from_value, json};
use sha2::{Digest as _, Sha256};

/// The audience that the service asks for by default.
pub(crate) const AUDIENCE: &str = "datastorage";
/// What a writer of one namespace may do.
pub(crate) const WRITE: &[&str] = &["create"];
/// What a reader may do.
pub(crate) const READ: &[&str] = &["get", "list"];

/// The permission for records with these verbs.
pub(crate) fn records(verbs: &[&str]) -> Value {
    json!([{"apiGroups": ["datastorage.kubernaut.io"], "resources": ["auditrecords"], "verbs": verbs}])
}

/// A running service that authenticates, and its database.
pub(crate) struct Access {
    pub service: Service,
    pub database: Database,
}

/// A client with a ServiceAccount.
pub(crate) struct Caller {
    pub account: Account,
    pub api: ApiClient,
}

impl Access {
    /// Starts the service with the permissions that the chart gives it, which are `system:auth-delegator`.
    pub(crate) async fn start(world: &mut World, arguments: &[&str]) -> Result<Self> {
        let namespace = world.namespace("datastorage").await?;
        let account = world.account(&namespace, "data-storage").await?;
        let binding: ClusterRoleBinding = from_value(json!({
            "metadata": {"name": format!("{namespace}-delegator")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:auth-delegator"},
            "subjects": [{"kind": "ServiceAccount", "name": "data-storage", "namespace": namespace}],
        }))?;
        Api::<ClusterRoleBinding>::all(world.client()).create(&PostParams::default(), &binding).await?;
        Self::start_as(account.kubeconfig(), arguments).await
    }

    /// Starts the service with another kubeconfig.
    pub(crate) async fn start_as(kubeconfig: &Path, arguments: &[&str]) -> Result<Self> {
        let database = Database::fresh().await?;
        let options = ServiceOptions {
            with_authentication: true,
            environment: vec![("KUBECONFIG".to_owned(), kubeconfig.display().to_string())],
            ..ServiceOptions::arguments(arguments)
        };
        let service = Service::start_with(&database, options).await?;
        Ok(Self { service, database })
    }

    /// A client with a ServiceAccount without permissions.
    pub(crate) async fn caller(&self, world: &World, namespace: &str, name: &str) -> Result<Caller> {
        let account = world.account(namespace, name).await?;
        let token = token(world.cluster(), namespace, name, AUDIENCE).await?;
        Ok(Caller { account, api: self.service.api().with_token(token) })
    }

    /// A client that may do this in a namespace.
    pub(crate) async fn caller_in(&self, world: &World, namespace: &str, name: &str, verbs: &[&str]) -> Result<Caller> {
        let caller = self.caller(world, namespace, name).await?;
        caller.account.grant(namespace, name, &records(verbs)).await?;
        Ok(caller)
    }

    /// A client that may do this everywhere.
    pub(crate) async fn caller_everywhere(
        &self,
        world: &World,
        namespace: &str,
        name: &str,
        verbs: &[&str],
    ) -> Result<Caller> {
        let caller = self.caller(world, namespace, name).await?;
        caller.account.grant_everywhere(&format!("{namespace}-{name}"), &records(verbs)).await?;
        Ok(caller)
    }
}

/// A token of a ServiceAccount for an audience.
pub(crate) async fn token(cluster: &Cluster, namespace: &str, name: &str, audience: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(cluster.client().await?, namespace);
    let spec = TokenRequestSpec {
        audiences: vec![audience.to_owned()],
        expiration_seconds: Some(3600),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
    Ok(answer.status.context("the API server made no token")?.token)
}

/// The lowest id of a time.
pub(crate) fn id_of(time: SystemTime) -> String {
    let milliseconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let digits = format!("{milliseconds:012x}");
    format!("{}-{}-7000-8000-000000000000", &digits[..8], &digits[8..])
}

/// The SHA-256 of a token, as a file of read-only tokens has it.
pub(crate) fn sha256(token: &str) -> String {
    Sha256::digest(token).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

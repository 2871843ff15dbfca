//! ServiceAccounts whose permissions a test grants and revokes, so that RBAC is enforced as in a cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::{
    authorization::v1::SelfSubjectAccessReview,
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::{
    Api, Client,
    api::{DeleteParams, PostParams},
};
use serde_json::{Value, from_value, json};

use super::{World, eventually};
use crate::controlplane;

/// A ServiceAccount.
#[derive(Clone)]
pub struct Account {
    client: Client,
    namespace: String,
    name: String,
    kubeconfig: PathBuf,
}

impl World {
    /// Creates a ServiceAccount without permissions.
    pub async fn account(&self, namespace: &str, name: &str) -> Result<Account> {
        let object: ServiceAccount = from_value(json!({"metadata": {"namespace": namespace, "name": name}}))?;
        self.create(&object).await?;
        let kubeconfig = self.folder().join(format!("{namespace}-{name}.kubeconfig"));
        self.cluster().service_account_kubeconfig(namespace, name, &kubeconfig).await?;
        Ok(Account { client: self.client(), namespace: namespace.to_owned(), name: name.to_owned(), kubeconfig })
    }
}

impl Account {
    /// A kubeconfig with its token.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Its user name, as audit logs and refusals have it.
    pub fn user(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.name)
    }

    /// Grants what a Role of this name in a namespace says; `granted` is a list of `PolicyRule`.
    pub async fn grant(&self, namespace: &str, called: &str, granted: &Value) -> Result<()> {
        let object: Role = from_value(json!({"metadata": {"namespace": namespace, "name": called}, "rules": granted}))?;
        let roles: Api<Role> = Api::namespaced(self.client.clone(), namespace);
        roles.create(&PostParams::default(), &object).await.with_context(|| format!("Role {namespace}/{called}"))?;
        let binding: RoleBinding = from_value(json!({
            "metadata": {"namespace": namespace, "name": called},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": called},
            "subjects": [self.subject()],
        }))?;
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        bindings.create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    /// Grants what an existing `ClusterRole` says, in one namespace.
    pub async fn bind(&self, namespace: &str, cluster_role: &str) -> Result<()> {
        let binding: RoleBinding = from_value(json!({
            "metadata": {"namespace": namespace, "name": format!("{}-{cluster_role}", self.name)},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
            "subjects": [self.subject()],
        }))?;
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        bindings.create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    /// Revokes what the Role of this name granted.
    pub async fn revoke(&self, namespace: &str, called: &str) -> Result<()> {
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), namespace);
        bindings.delete(called, &DeleteParams::default()).await?;
        let roles: Api<Role> = Api::namespaced(self.client.clone(), namespace);
        roles.delete(called, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Waits until it may not list and watch these resources of a group in a namespace, or anywhere without one. A
    /// revocation takes effect a moment after it was made.
    pub async fn may_not_watch(&self, group: &str, resource: &str, namespace: Option<&str>) -> Result<()> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(controlplane::client(&self.kubeconfig).await?);
        let question = |verb: &str| -> Result<SelfSubjectAccessReview> {
            let asked = json!({"verb": verb, "group": group, "resource": resource, "namespace": namespace});
            Ok(from_value(json!({"metadata": {}, "spec": {"resourceAttributes": asked}}))?)
        };
        eventually(&format!("{resource} may not be watched"), async || {
            for verb in ["list", "watch"] {
                let review = reviews.create(&PostParams::default(), &question(verb)?).await?;
                ensure!(review.status.is_some_and(|status| !status.allowed), "it may {verb} them");
            }
            Ok(())
        })
        .await
    }

    /// Grants what a `ClusterRole` says, everywhere. Its name begins with the account's, because all tests share these names.
    pub async fn grant_everywhere(&self, called: &str, granted: &Value) -> Result<()> {
        let called = self.own(called);
        let object: ClusterRole = from_value(json!({"metadata": {"name": called}, "rules": granted}))?;
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        roles.create(&PostParams::default(), &object).await.with_context(|| format!("ClusterRole {called}"))?;
        let binding: ClusterRoleBinding = from_value(json!({
            "metadata": {"name": called},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": called},
            "subjects": [self.subject()],
        }))?;
        let bindings: Api<ClusterRoleBinding> = Api::all(self.client.clone());
        bindings.create(&PostParams::default(), &binding).await?;
        Ok(())
    }

    /// Revokes what the `ClusterRole` granted that was called like this.
    pub async fn revoke_everywhere(&self, called: &str) -> Result<()> {
        let called = &self.own(called);
        let bindings: Api<ClusterRoleBinding> = Api::all(self.client.clone());
        bindings.delete(called, &DeleteParams::default()).await?;
        let roles: Api<ClusterRole> = Api::all(self.client.clone());
        roles.delete(called, &DeleteParams::default()).await?;
        Ok(())
    }

    fn own(&self, called: &str) -> String {
        format!("{}-{}-{called}", self.namespace, self.name)
    }

    fn subject(&self) -> Value {
        json!({"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace})
    }
}

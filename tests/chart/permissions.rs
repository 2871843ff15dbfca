//! What the chart grants, against what the controller was seen to do.

use std::{collections::BTreeSet, fmt};

use anyhow::{Result, bail};
use e2e::{controlplane::AuditedRequest, harness::World};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use kube::{Api, ResourceExt as _, api::ListParams};

/// One verb on one resource, in one namespace or (without) in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    namespace: Option<String>,
    group: String,
    resource: String,
    verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let namespace = self.namespace.as_deref().unwrap_or("all namespaces");
        write!(f, "{} {}.{} in {namespace}", self.verb, self.resource, self.group)
    }
}

/// Every right that is bound to the user.
pub(crate) async fn granted(world: &World, user: &str) -> Result<BTreeSet<Right>> {
    let mut rights = BTreeSet::new();
    let everything = ListParams::default();
    let cluster_roles: Api<ClusterRole> = Api::all(world.client());
    for binding in Api::<ClusterRoleBinding>::all(world.client()).list(&everything).await?.items {
        if is_bound(binding.subjects.as_deref(), user) {
            let role = cluster_roles.get(&binding.role_ref.name).await?;
            rights.extend(expand(None, role.rules.as_deref()));
        }
    }
    for binding in Api::<RoleBinding>::all(world.client()).list(&everything).await?.items {
        let namespace = binding.namespace().unwrap_or_default();
        if is_bound(binding.subjects.as_deref(), user) {
            let role = Api::<Role>::namespaced(world.client(), &namespace).get(&binding.role_ref.name).await?;
            rights.extend(expand(Some(&namespace), role.rules.as_deref()));
        }
    }
    Ok(rights)
}

fn is_bound(subjects: Option<&[Subject]>, user: &str) -> bool {
    let name = |subject: &Subject| {
        format!("system:serviceaccount:{}:{}", subject.namespace.as_deref().unwrap_or(""), subject.name)
    };
    subjects.into_iter().flatten().any(|subject| subject.kind == "ServiceAccount" && name(subject) == user)
}

fn expand(namespace: Option<&str>, rules: Option<&[PolicyRule]>) -> Vec<Right> {
    let mut rights = Vec::new();
    for rule in rules.into_iter().flatten() {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                rights.extend(rule.verbs.iter().map(|verb| Right {
                    namespace: namespace.map(str::to_owned),
                    group: group.clone(),
                    resource: resource.clone(),
                    verb: verb.clone(),
                }));
            }
        }
    }
    rights
}

/// Fails if a request of the user's was refused for want of a right, or a right was never used.
pub(crate) fn compare(granted: &BTreeSet<Right>, requests: &[AuditedRequest], user: &str) -> Result<()> {
    let theirs: Vec<_> =
        requests.iter().filter(|request| request.user == user && !request.resource.is_empty()).collect();
    let refused = theirs.iter().filter(|request| request.code == 403);
    let refused: Vec<_> =
        refused.map(|r| format!("{} {}.{} in {:?}", r.verb, r.resource, r.group, r.namespace)).collect();
    let unused: Vec<_> = granted.iter().filter(|right| !theirs.iter().any(|request| uses(request, right))).collect();
    if refused.is_empty() && unused.is_empty() {
        return Ok(());
    }
    let unused = unused.iter().map(ToString::to_string).collect::<Vec<_>>();
    bail!("{} requests of {user}; refused: {refused:?}; granted and never used: {unused:?}", theirs.len())
}

fn uses(request: &AuditedRequest, right: &Right) -> bool {
    // A server-side apply that creates needs both rights, and is logged as a patch that was answered with 201.
    let verb = request.verb == right.verb || (request.verb == "patch" && request.code == 201 && right.verb == "create");
    let namespace = right.namespace.as_ref().is_none_or(|namespace| *namespace == request.namespace);
    verb && namespace && request.group == right.group && request.resource == right.resource
}

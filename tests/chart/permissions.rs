//! What the chart grants, against what the controller was seen to do.

use std::{collections::BTreeSet, fmt};

use anyhow::{Context as _, Result, ensure};
use e2e::{controlplane::AuditedRequest, harness::World};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, Subject};
use kube::{Api, ResourceExt as _, api::ListParams};

/// One verb on one resource, in one namespace or in all, on one object or on all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Right {
    /// The rule that grants it.
    rule: String,
    /// `None` is the whole cluster.
    namespace: Option<String>,
    group: String,
    resource: String,
    /// `None` is every object.
    name: Option<String>,
    verb: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, group, resource, verb, .. } = self;
        write!(f, "{rule}: {verb} {resource}.{group}")?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        write!(f, " in {}", self.namespace.as_deref().unwrap_or("the whole cluster"))
    }
}

impl Right {
    /// Whether it allows a request.
    fn allows(&self, request: &AuditedRequest) -> bool {
        // A server-side apply that creates needs both rights, and is logged as a patch that was answered with 201.
        let verb =
            request.verb == self.verb || (request.verb == "patch" && request.code == 201 && self.verb == "create");
        let namespace = self.namespace.as_ref().is_none_or(|namespace| *namespace == request.namespace);
        let name = self.name.as_ref().is_none_or(|name| *name == request.name);
        verb && namespace && name && self.group == request.group && self.resource == request.resource
    }

    /// Whether it allows the same on less.
    fn is_narrower_than(&self, other: &Self) -> bool {
        let narrows = |own: &Option<String>, others: &Option<String>| own.is_some() && others.is_none();
        let within = |own: &Option<String>, others: &Option<String>| own == others || narrows(own, others);
        (narrows(&self.namespace, &other.namespace) || narrows(&self.name, &other.name))
            && within(&self.namespace, &other.namespace)
            && within(&self.name, &other.name)
            && (&self.group, &self.resource, &self.verb) == (&other.group, &other.resource, &other.verb)
    }

    /// Whether it is a right on this resource.
    pub(crate) fn is_on(&self, group: &str, resource: &str) -> bool {
        self.group == group && self.resource == resource
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
            rights.extend(expand(&format!("ClusterRole {}", role.name_any()), None, role.rules.as_deref()));
        }
    }
    for binding in Api::<RoleBinding>::all(world.client()).list(&everything).await?.items {
        let namespace = binding.namespace().unwrap_or_default();
        if is_bound(binding.subjects.as_deref(), user) {
            let name = &binding.role_ref.name;
            let role = Api::<Role>::namespaced(world.client(), &namespace).get(name).await;
            let role = role.with_context(|| format!("RoleBinding {namespace}/{}", binding.name_any()))?;
            rights.extend(expand(&format!("Role {namespace}/{name}"), Some(&namespace), role.rules.as_deref()));
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

fn expand(role: &str, namespace: Option<&str>, rules: Option<&[PolicyRule]>) -> Vec<Right> {
    let mut rights = Vec::new();
    for (number, rule) in rules.into_iter().flatten().enumerate() {
        let names: Vec<_> = rule.resource_names.iter().flatten().map(|name| Some(name.clone())).collect();
        let names = if names.is_empty() { vec![None] } else { names };
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    rights.extend(names.iter().map(|name| Right {
                        rule: format!("{role}, rule {}", number + 1),
                        namespace: namespace.map(str::to_owned),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        verb: verb.clone(),
                    }));
                }
            }
        }
    }
    rights
}

/// Fails if the user did something that no right allows, was refused something, or has a right that no request needed.
///
/// A request needs the narrowest of the rights that allow it: a right in the whole cluster is needed only by a request
/// that no right in a namespace allows. `provoked` says which refusals the test has provoked.
pub(crate) fn compare(
    granted: &BTreeSet<Right>,
    requests: &[AuditedRequest],
    user: &str,
    provoked: impl Fn(&AuditedRequest) -> bool,
) -> Result<()> {
    let allowed = within(granted, requests, user, provoked)?;
    let is_needed = |right: &Right| {
        let narrower: Vec<_> = granted.iter().filter(|other| other.is_narrower_than(right)).collect();
        let mut needing = allowed.iter().filter(|request| right.allows(request));
        needing.any(|request| !narrower.iter().any(|other| other.allows(request)))
    };
    let unused: Vec<_> = granted.iter().filter(|right| !is_needed(right)).map(ToString::to_string).collect();
    ensure!(unused.is_empty(), "{} requests of {user}; granted and never needed: {unused:#?}", allowed.len());
    Ok(())
}

/// The requests of the user that were allowed. Fails if one was refused, or is allowed by no rule of the chart.
pub(crate) fn within<'a>(
    granted: &BTreeSet<Right>,
    requests: &'a [AuditedRequest],
    user: &str,
    provoked: impl Fn(&AuditedRequest) -> bool,
) -> Result<Vec<&'a AuditedRequest>> {
    let theirs = requests.iter().filter(|request| request.user == user);
    let (refused, allowed): (Vec<_>, Vec<_>) = theirs.partition(|request| request.code == 403);
    let refused: BTreeSet<_> = refused.into_iter().filter(|request| !provoked(request)).map(text).collect();
    // A right of every ServiceAccount, such as to read the API groups, would allow it. The operator needs none of these.
    let others = allowed.iter().filter(|request| !granted.iter().any(|right| right.allows(request)));
    let others: BTreeSet<_> = others.map(|request| text(request)).collect();
    ensure!(
        refused.is_empty() && others.is_empty(),
        "requests of {user}; refused: {refused:#?}; allowed, but by no rule of the chart: {others:#?}"
    );
    ensure!(!allowed.is_empty(), "{user} has sent no request");
    Ok(allowed)
}

fn text(request: &AuditedRequest) -> String {
    let AuditedRequest { verb, group, resource, namespace, name, code, .. } = request;
    format!("{verb} {resource}.{group} {namespace}/{name} {code}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "system:serviceaccount:agent:toolset-operator";

    fn right(namespace: Option<&str>, name: Option<&str>, verb: &str) -> Right {
        Right {
            rule: "ClusterRole x, rule 1".to_owned(),
            namespace: namespace.map(str::to_owned),
            group: String::new(),
            resource: "services".to_owned(),
            name: name.map(str::to_owned),
            verb: verb.to_owned(),
        }
    }

    fn request(verb: &str, namespace: &str, name: &str, code: u16) -> AuditedRequest {
        AuditedRequest {
            user: USER.to_owned(),
            user_agent: String::new(),
            verb: verb.to_owned(),
            group: String::new(),
            resource: "services".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            code,
        }
    }

    fn said(granted: &[Right], requests: &[AuditedRequest]) -> String {
        let granted = granted.iter().cloned().collect();
        compare(&granted, requests, USER, |_| false).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_granted_and_used_is_equal() {
        let granted = [right(Some("apps"), None, "get"), right(None, Some("grafana"), "watch")];
        let requests = [request("get", "apps", "x", 200), request("watch", "other", "grafana", 200)];
        assert_eq!(said(&granted, &requests), "");
        // Of somebody else.
        let mut strangers = request("delete", "apps", "x", 403);
        "admin".clone_into(&mut strangers.user);
        assert_eq!(said(&granted, &[&requests[..], &[strangers]].concat()), "");
    }

    #[test]
    fn a_verb_a_namespace_or_a_name_that_no_request_used_is_named_with_its_rule() {
        let used = [request("get", "apps", "grafana", 200)];
        for unused in [
            right(Some("apps"), None, "list"),
            right(Some("other"), None, "get"),
            right(Some("apps"), Some("other"), "get"),
        ] {
            let said = said(&[right(Some("apps"), Some("grafana"), "get"), unused.clone()], &used);
            assert!(said.contains(&unused.to_string()) && said.contains("rule 1"), "{unused}: {said}");
        }
    }

    #[test]
    fn a_right_in_the_whole_cluster_is_needless_if_a_narrower_one_is_enough() {
        let (all, apps) = (right(None, None, "get"), right(Some("apps"), None, "get"));
        let granted = [all.clone(), apps];
        assert!(said(&granted, &[request("get", "apps", "x", 200)]).contains(&all.to_string()));
        assert_eq!(said(&granted, &[request("get", "apps", "x", 200), request("get", "other", "x", 200)]), "");
    }

    #[test]
    fn a_request_that_was_refused_or_that_no_rule_allows_is_named() {
        let granted = [right(Some("apps"), None, "get")];
        let used = request("get", "apps", "x", 200);
        let refused = said(&granted, &[used.clone(), request("list", "apps", "", 403)]);
        assert!(refused.contains("list services. apps/ 403"), "{refused}");
        let ungranted = said(&granted, &[used, request("get", "other", "x", 200)]);
        assert!(ungranted.contains("get services. other/x 200"), "{ungranted}");
    }
}

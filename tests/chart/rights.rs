//! The chart installed with each set of features: what the controller is seen to do equals what the chart grants.
//!
//! The controller runs with its Deployment's arguments and its ServiceAccount's rights, and the audit log of the API server
//! lists its requests.

use anyhow::{Result, ensure};
use e2e::{
    chart::{self, Release},
    controlplane::{AuditedRequest, ControlPlane, Options},
    harness::{World, eventually, isolated},
};
use k8s_openapi::api::{
    core::v1::Namespace,
    rbac::v1::{ClusterRole, ClusterRoleBinding},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::json;

use self::Feature::{ByLabel, NamespacesGo, Observes, Probes, Restarts, WithoutPods};
use crate::{
    permissions,
    workload::{self, AGENT, Job, OBSERVED},
};

/// The label by which sources select namespaces.
const PURPOSE: (&str, &str) = ("purpose", "observability");

/// What an installation is used for beside the main job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Feature {
    /// The sources select namespaces by their label.
    ByLabel,
    /// The operator may restart the agents.
    Restarts,
    /// The operator may ask the agents.
    Observes,
    /// The operator probes the Services.
    Probes,
    /// The watched namespaces are deleted at the end.
    NamespacesGo,
    /// Permission to read Pods is missing.
    WithoutPods,
}

/// An installation.
struct Installation {
    /// Values of the chart. `WATCHED` and `AGENTS` stand for lists of namespaces.
    values: &'static str,
    /// How many namespaces the Services are in, and how many the ToolsetConfigs are in.
    namespaces: (usize, usize),
    features: &'static [Feature],
}

impl Installation {
    /// Installs it, lets everything happen, and fails unless what was granted and what was needed is equal.
    async fn needs_what_it_has(self, name: &str) -> Result<()> {
        if !chart::controllers_run()? {
            return Ok(());
        }
        let brings_crds = !self.values.contains("crds: {enabled: false}");
        let options = Options { audit_log: true, ..Options::default() };
        let options = if brings_crds { Options { crds: None, ..options } } else { options };
        isolated(name, options, async |world, plane| self.run(world, plane).await).await
    }

    async fn run(&self, world: &mut World, plane: &ControlPlane) -> Result<()> {
        let (mut watched, mut agents) = (Vec::new(), Vec::new());
        for number in 0..self.namespaces.0 {
            watched.push(world.namespace_with_labels(&format!("monitoring-{number}"), &[PURPOSE]).await?);
        }
        for number in 0..self.namespaces.1 {
            agents.push(world.namespace(&format!("agent-{number}")).await?);
        }
        let Some(release) = Release::new(world, &agents[0])? else { return Ok(()) };
        let cluster_wide_before = cluster_wide(world).await?;
        let notes = release.install(&self.values(&watched, &agents))?;
        ensure!(notes.contains("kind: ToolsetConfig"), "NOTES do not say what to do next:\n{notes}");
        if self.values.contains("clusterRoles: false") {
            ensure!(
                cluster_wide(world).await? == cluster_wide_before,
                "there is a ClusterRole or ClusterRoleBinding more"
            );
        }
        let granted = permissions::granted(world, &release.user()).await?;

        let mut controller = release.start_controller(world, &workload::agents_environment(world)).await?;
        let selection = if self.has(ByLabel) {
            json!({"from": "Selector", "selector": {"matchLabels": {PURPOSE.0: PURPOSE.1}}})
        } else {
            json!({"from": "Names", "names": watched})
        };
        let (restarts, observes) = (self.has(Restarts), self.has(Observes));
        let probes = self.has(Probes);
        let job = Job { watched: &watched, agents: &agents, selection, restarts, observes, probes };
        Box::pin(workload::whole_job(world, &job)).await?;
        ensure!(controller.terminate().await?.success(), "it did not end well");
        if self.has(NamespacesGo) {
            namespaces_go(world, plane, &release, &watched).await?;
        }

        let provoked = |request: &AuditedRequest| {
            // The Roles of a namespace go with it.
            let is_gone = self.has(NamespacesGo) && watched.contains(&request.namespace);
            is_gone || (self.has(WithoutPods) && request.verb == "get" && request.resource == "pods")
        };
        permissions::compare(&granted, &plane.audited_requests()?, &release.user(), provoked)
    }

    fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    fn values(&self, watched: &[String], agents: &[String]) -> String {
        let list = |namespaces: &[String]| format!("[{}]", namespaces.join(", "));
        let mut values = self.values.replace("WATCHED", &list(watched)).replace("AGENTS", &list(agents));
        let of_each = |entry: &str| -> String {
            let entries: Vec<_> = agents.iter().map(|namespace| entry.replace("NAMESPACE", namespace)).collect();
            entries.join(", ")
        };
        if self.has(Restarts) {
            let deployments = of_each(&format!("{{name: {AGENT}, namespace: NAMESPACE}}"));
            values = format!("{values}\nrolloutRestart: [{deployments}]");
        }
        if self.has(Observes) {
            values = format!("{values}\nagents: [{}]", of_each(OBSERVED));
        }
        values
    }
}

/// Deletes the namespaces. A controller that starts afterwards may read nothing there, and asks whether they still exist.
async fn namespaces_go(
    world: &mut World,
    plane: &ControlPlane,
    release: &Release,
    namespaces: &[String],
) -> Result<()> {
    let api: Api<Namespace> = Api::all(world.client());
    for namespace in namespaces {
        world.delete_pods(namespace).await?;
        api.delete(namespace, &DeleteParams::background()).await?;
    }
    for namespace in namespaces {
        eventually(&format!("{namespace} is gone"), async || {
            ensure!(api.get_opt(namespace).await?.is_none());
            Ok(())
        })
        .await?;
    }
    let mut controller = release.start_controller(world, &[]).await?;
    for namespace in namespaces {
        eventually(&format!("it asks whether {namespace} exists"), async || {
            let asks = |request: &AuditedRequest| {
                (&*request.verb, &*request.resource, &request.name) == ("get", "namespaces", namespace)
            };
            ensure!(plane.audited_requests()?.iter().any(asks));
            Ok(())
        })
        .await?;
    }
    ensure!(controller.terminate().await?.success(), "it did not end well");
    Ok(())
}

async fn cluster_wide(world: &World) -> Result<(usize, usize)> {
    let everything = ListParams::default();
    let roles = Api::<ClusterRole>::all(world.client()).list(&everything).await?;
    let bindings = Api::<ClusterRoleBinding>::all(world.client()).list(&everything).await?;
    Ok((roles.items.len(), bindings.items.len()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_defaults_every_right_is_needed_and_none_is_missing() -> Result<()> {
    let installation = Installation { values: "", namespaces: (1, 1), features: &[ByLabel] };
    installation.needs_what_it_has("defaults").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_restarts_and_questions_to_agents_in_two_namespaces_every_right_is_needed() -> Result<()> {
    let values = "configNamespaces: AGENTS";
    let installation = Installation { values, namespaces: (1, 2), features: &[ByLabel, Restarts, Observes] };
    installation.needs_what_it_has("agents").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_pods_it_does_everything_else_and_only_pods_are_refused() -> Result<()> {
    let values = "rbac: {pods: false}";
    let installation = Installation { values, namespaces: (1, 1), features: &[ByLabel, WithoutPods] };
    installation.needs_what_it_has("no-pods").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_selectors_and_election_nothing_about_namespaces_and_leases_is_granted_or_asked() -> Result<()> {
    let values = "rbac: {namespaceSelectors: false}\nleaderElection: {enabled: false}";
    let installation = Installation { values, namespaces: (1, 1), features: &[] };
    installation.needs_what_it_has("no-selectors").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_single_namespaces_every_right_is_needed_in_each_of_them() -> Result<()> {
    let values = "watchNamespaces: WATCHED";
    let installation = Installation { values, namespaces: (2, 1), features: &[ByLabel, NamespacesGo] };
    installation.needs_what_it_has("single").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_single_namespaces_by_name_it_only_asks_whether_they_exist() -> Result<()> {
    let values = "watchNamespaces: WATCHED\nrbac: {namespaceSelectors: false}";
    let installation = Installation { values, namespaces: (1, 1), features: &[NamespacesGo] };
    installation.needs_what_it_has("by-name").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_cluster_role_it_does_the_whole_job_with_no_right_too_few_or_too_many() -> Result<()> {
    let values = "watchNamespaces: WATCHED\nrbac: {clusterRoles: false}\ncrds: {enabled: false}";
    let installation = Installation { values, namespaces: (1, 1), features: &[Restarts, Observes] };
    installation.needs_what_it_has("namespaced").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_need_no_right_that_the_operator_does_not_have_without_them() -> Result<()> {
    let values = "networkPolicy: {egress: {enabled: true}}\nprobing: {enabled: true}";
    let installation = Installation { values, namespaces: (1, 1), features: &[ByLabel, Probes] };
    installation.needs_what_it_has("probes").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_in_single_namespaces_need_every_right_that_the_value_grants() -> Result<()> {
    let values =
        "watchNamespaces: WATCHED\nrbac: {clusterRoles: false}\ncrds: {enabled: false}\nprobing: {enabled: true}";
    let installation = Installation { values, namespaces: (1, 1), features: &[Probes] };
    installation.needs_what_it_has("single-probes").await
}

//! Rights of which the operator makes no use itself: the API server or Data Storage asks whether the operator has them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{self, Release},
    controlplane::{AuditedRequest, Options},
    harness::{RecordsBehaviour, RecordsService, World, isolated, services, trusted_names},
};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, api::PostParams};

use crate::permissions;

/// OpenShift enables it. It asks whether the author of an owner reference with `blockOwnerDeletion` may update the
/// finalizers of the owner.
const ENFORCEMENT: &str = "OwnerReferencesPermissionEnforcement";

fn options() -> Options {
    Options { crds: None, audit_log: true, ..Options::default() }
}

/// A Service, and a ToolsetConfig that selects it.
async fn configured(world: &World, agent: &str, watched: &str) -> Result<()> {
    let service = world.create(&services::prometheus_server(watched)).await?;
    world.backend(&service).await?;
    world.configure(agent, "default", &trusted_names(&[watched])).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_openshift_a_config_map_needs_the_right_to_the_finalizers_of_its_owner() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    let options = Options { admission: Some(ENFORCEMENT), ..options() };
    isolated("openshift", options, async |world, plane| {
        let (agent, watched) = (world.namespace("agent").await?, world.namespace("monitoring").await?);
        let Some(release) = Release::new(world, &agent)? else { return Ok(()) };
        release.install("openshift: Disabled")?;
        let mut controller = release.start_controller(world, &[]).await?;
        configured(world, &agent, &watched).await?;
        world.ready(&agent, "default", ("False", "ApplyFailed")).await?;

        release.upgrade("openshift: Enabled")?;
        world.ready(&agent, "default", ("True", "AsExpected")).await?;
        ensure!(controller.terminate().await?.success(), "it did not end well");

        let granted = permissions::granted(world, &release.user()).await?;
        let finalizers: Vec<_> =
            granted.iter().filter(|right| right.is_on("toolset.kubernaut.io", "toolsetconfigs/finalizers")).collect();
        ensure!(finalizers.len() == 1, "{finalizers:?}");
        let provoked = |request: &AuditedRequest| request.verb == "create" && request.resource == "configmaps";
        let requests = plane.audited_requests()?;
        ensure!(requests.iter().any(|request| provoked(request) && request.code == 403), "it was never refused");
        permissions::within(&granted, &requests, &release.user(), provoked).map(drop)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_storage_finds_that_the_operator_may_create_records_where_it_does_and_nowhere_else() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    isolated("records", options(), async |world, plane| {
        let records = RecordsService::that(RecordsBehaviour::Stores).await?;
        let own = world.namespace("operator").await?;
        let (agent, watched) = (world.namespace("agent").await?, world.namespace("monitoring").await?);
        let Some(release) = Release::new(world, &own)? else { return Ok(()) };
        let values =
            |audit: &str| format!("configNamespaces: [{agent}]\naudit: {{enabled: {audit}, url: '{}'}}", records.url());
        release.install(&values("false"))?;
        let without = permissions::granted(world, &release.user()).await?;
        release.upgrade(&values("true"))?;
        let granted = permissions::granted(world, &release.user()).await?;
        let new: BTreeSet<_> = granted.difference(&without).cloned().collect();
        ensure!(new.iter().all(|right| right.is_on("datastorage.kubernaut.io", "auditrecords")), "{new:?}");
        ensure!(new.len() == 2 && without.is_subset(&granted), "{new:?}");

        let mut controller = release.start_controller(world, &[]).await?;
        configured(world, &agent, &watched).await?;
        let record = records.keeps("toolset_changed", |_| true).await?;
        ensure!(record["namespace"] == agent.as_str(), "{record:#}");
        let token = record["authorization"].as_str().context("the operator has sent no token")?;
        ensure!(token.starts_with("Bearer "), "{token}");
        ensure!(controller.terminate().await?.success(), "it did not end well");

        // The records about lost records are in the namespace of the operator.
        for (namespace, expected) in [(&agent, true), (&own, true), (&watched, false)] {
            ensure!(may_create_records(world, &release.user(), namespace).await? == expected, "{namespace}");
        }
        let requests = plane.audited_requests()?;
        let theirs = permissions::within(&granted, &requests, &release.user(), |_| false)?;
        ensure!(!theirs.iter().any(|request| request.group == "datastorage.kubernaut.io"), "the resource is virtual");
        Ok(())
    })
    .await
}

/// What Data Storage asks the API server about the sender of a record.
async fn may_create_records(world: &World, user: &str, namespace: &str) -> Result<bool> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(user.to_owned()),
            resource_attributes: Some(ResourceAttributes {
                group: Some("datastorage.kubernaut.io".to_owned()),
                resource: Some("auditrecords".to_owned()),
                verb: Some("create".to_owned()),
                namespace: Some(namespace.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = Api::<SubjectAccessReview>::all(world.client()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.context("no answer")?.allowed)
}

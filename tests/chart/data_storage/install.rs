//! The chart installed on a real API server.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{self, DATA_STORAGE, Release},
    controlplane::Options,
    harness::{World, eventually, isolated, present},
};
use k8s_openapi::api::{
    apps::v1::Deployment, authorization::v1::SubjectAccessReview, batch::v1::Job, core::v1::Service,
    networking::v1::NetworkPolicy, policy::v1::PodDisruptionBudget, rbac::v1::RoleBinding,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{EVERYTHING, SMALLEST};

/// Reports that the migration has ended, as the controller of Jobs does.
pub(super) async fn ended(jobs: &Api<Job>, successfully: bool) -> Result<()> {
    let at = "2026-01-01T00:00:00Z";
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": at, "lastTransitionTime": at});
    let status = if successfully {
        let conditions = [condition("SuccessCriteriaMet"), condition("Complete")];
        json!({"startTime": at, "completionTime": at, "succeeded": 1, "conditions": conditions})
    } else {
        json!({"startTime": at, "failed": 1, "conditions": [condition("FailureTarget"), condition("Failed")]})
    };
    let patch = Patch::Merge(json!({"status": status}));
    jobs.patch_status("data-storage-migrate", &PatchParams::default(), &patch).await?;
    Ok(())
}

/// Does what the controller of Jobs and a kubelet would do with the migration: it succeeds. Returns its arguments, and
/// whether the service was there before.
async fn migrates(client: Client, namespace: String) -> Result<(Vec<String>, bool)> {
    let jobs: Api<Job> = Api::namespaced(client, &namespace);
    let job = present(&jobs, "data-storage-migrate", "Helm creates the migration", |_| true).await?;
    let deployed = Api::<Deployment>::namespaced(jobs.clone().into_client(), &namespace);
    let deployed = deployed.get_opt("data-storage").await?.is_some();
    ended(&jobs, true).await?;
    let spec = job.spec.and_then(|job| job.template.spec).context("the Job has no Pod")?;
    let container = spec.containers.into_iter().next().context("no container")?;
    Ok((container.args.context("no arguments")?, deployed))
}

/// Whether a ServiceAccount may do something with a resource in a namespace; without one, in all of them.
async fn may(world: &World, user: &str, verb: &str, (group, resource): (&str, &str), namespace: &str) -> Result<bool> {
    let attributes = json!({"group": group, "resource": resource, "verb": verb, "namespace": namespace});
    let review: SubjectAccessReview =
        serde_json::from_value(json!({"metadata": {}, "spec": {"user": user, "resourceAttributes": attributes}}))?;
    let review = Api::all(world.client()).create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}

const RECORDS: (&str, &str) = ("datastorage.kubernaut.io", "auditrecords");

fn account(namespace: &str, name: &str) -> String {
    format!("system:serviceaccount:{namespace}:{name}")
}

/// Binds a `ClusterRole` to a `ServiceAccount`, for its namespace.
pub(super) async fn bind(world: &World, namespace: &str, role: &str, account: &str) -> Result<()> {
    let subject = json!({"kind": "ServiceAccount", "namespace": namespace, "name": account});
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": role, "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }))?;
    world.create(&binding).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_come_before_the_service_and_each_role_allows_what_its_name_says() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    Box::pin(isolated("data-storage", Options::default(), async |world, _plane| {
        let own = world.namespace("data-storage").await?;
        let tenant = world.namespace("tenant").await?;
        let Some(release) = Release::of(DATA_STORAGE, world, &own, String::new())? else { return Ok(()) };

        // Helm blocks this task until the Job has ended.
        let kubelet = tokio::spawn(migrates(world.client(), own.clone()));
        let notes = release.install(SMALLEST)?;
        let (arguments, deployed) = kubelet.await??;
        ensure!(!deployed, "the service was there before its tables");
        ensure!(arguments.first().is_some_and(|first| first == "migrate"), "{arguments:?}");
        for said in ["WARNING: chain.keys is empty", "helm test data-storage", "from the pods in these namespaces"] {
            ensure!(notes.contains(said), "the notes do not have {said:?}:\n{notes}");
        }
        let jobs: Api<Job> = world.api(&own);
        ensure!(jobs.get_opt("data-storage-migrate").await?.is_none(), "a Job that has succeeded stays");
        world.api::<Deployment>(&own).get("data-storage").await?;
        world.api::<NetworkPolicy>(&own).get("data-storage").await?;
        world.api::<PodDisruptionBudget>(&own).get("data-storage").await?;
        let service = world.api::<Service>(&own).get("data-storage").await?;
        let ports = service.spec.and_then(|spec| spec.ports).context("no ports")?;
        ensure!(ports[0].app_protocol.as_deref() == Some("mcp"), "{ports:?}");

        // What the service itself may do.
        let user = release.user();
        for resource in [("authentication.k8s.io", "tokenreviews"), ("authorization.k8s.io", "subjectaccessreviews")] {
            ensure!(may(world, &user, "create", resource, "").await?, "it may not create {resource:?}");
        }
        for (verb, resource) in [("get", ("", "secrets")), ("list", ("", "pods")), ("create", RECORDS)] {
            ensure!(!may(world, &user, verb, resource, &own).await?, "it may {verb} {resource:?}");
        }

        // What its clients may do, in their namespace only.
        let prefix = format!("{own}-data-storage");
        let prefix = if own == "data-storage" { own.clone() } else { prefix };
        for (suffix, allowed) in
            [("writer", &["create"][..]), ("reader", &["get", "list"]), ("agent", &["create", "get", "list"])]
        {
            let role = format!("{prefix}-{suffix}");
            bind(world, &tenant, &role, &role).await?;
            let user = account(&tenant, &role);
            for verb in ["create", "get", "list", "update", "import", "delete"] {
                let expected = allowed.contains(&verb);
                // The authorizer learns of roles and bindings from watches.
                eventually(&format!("{suffix}: {verb} is {expected}"), async || {
                    ensure!(may(world, &user, verb, RECORDS, &tenant).await? == expected, "not yet");
                    Ok(())
                })
                .await?;
                ensure!(!may(world, &user, verb, RECORDS, &own).await?, "{suffix} may {verb} elsewhere");
                ensure!(!may(world, &user, verb, RECORDS, "").await?, "{suffix} may {verb} everywhere");
            }
        }

        // This API server has neither cert-manager nor the Prometheus Operator.
        let rest = EVERYTHING
            .replace("certManager: {enabled: true, ", "secretName: certificate, certManager: {")
            .replace("serviceMonitor: {enabled: true", "serviceMonitor: {enabled: false")
            .replace("prometheusRule: {enabled: true", "prometheusRule: {enabled: false");
        let kubelet = tokio::spawn(migrates(world.client(), own.clone()));
        release.upgrade(&rest)?;
        kubelet.await??;
        let deployment = serde_json::to_value(world.api::<Deployment>(&own).get("data-storage").await?)?;
        let volumes = deployment.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
        ensure!(volumes.is_some_and(|volumes| volumes.len() == 5), "{volumes:?}");
        release.uninstall()?;
        Ok(())
    }))
    .await
}

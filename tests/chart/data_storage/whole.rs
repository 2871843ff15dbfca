//! The chart installed on a real API server, with its programs run as its Pods would run them, on a real PostgreSQL.

use std::{
    env, fs,
    process::{Child, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{self, DATA_STORAGE, Release},
    controlplane::{Options, ports},
    datastorage::{ApiClient, Database, OWNER, SERVICE, datastorage, events, run},
    harness::{World, eventually, isolated, present},
};
use k8s_openapi::api::{
    apps::v1::Deployment,
    authentication::v1::{TokenRequest, TokenRequestSpec},
    batch::v1::Job,
    core::v1::{Pod, Secret, ServiceAccount},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::{
    install::{bind, ended},
    kubelet,
};

/// The service. Dropping it ends it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the migration when Helm creates its Job, and reports how it ended.
async fn migrates(client: Client, namespace: String) -> Result<()> {
    let jobs: Api<Job> = Api::namespaced(client.clone(), &namespace);
    let job = present(&jobs, "data-storage-migrate", "Helm creates the migration", |_| true).await?;
    let template = serde_json::to_value(job.spec.context("no spec")?.template)?;
    let folder = tempfile::tempdir()?;
    let output = run(kubelet::command(client, &namespace, &template, folder.path()).await?).await?;
    ended(&jobs, output.status.success()).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Runs the Pod of `helm test`, and reports how it ended.
async fn tests(client: Client, namespace: String) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let pod = present(&pods, "data-storage-test", "helm test creates its Pod", |_| true).await?;
    let folder = tempfile::tempdir()?;
    let output = run(kubelet::command(client, &namespace, &serde_json::to_value(pod)?, folder.path()).await?).await?;
    let phase = if output.status.success() { "Succeeded" } else { "Failed" };
    let status = Patch::Merge(json!({"status": {"phase": phase}}));
    pods.patch_status("data-storage-test", &PatchParams::default(), &status).await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Creates a Secret.
async fn secret(world: &World, namespace: &str, name: &str, key: &str, value: &str) -> Result<()> {
    let secret: Secret = serde_json::from_value(
        json!({"metadata": {"name": name, "namespace": namespace}, "stringData": {key: value}}),
    )?;
    world.create(&secret).await.map(drop)
}

/// A token for the service.
async fn token(world: &World, namespace: &str, name: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = world.api(namespace);
    let account = serde_json::from_value(json!({"metadata": {"name": name, "namespace": namespace}}))?;
    accounts.create(&PostParams::default(), &account).await?;
    let spec = TokenRequestSpec { audiences: vec!["datastorage".to_owned()], ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
    Ok(answer.status.context("no token")?.token)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn installed_with_two_roles_of_postgres_it_stores_records_of_clients_with_a_role_of_the_chart() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    if env::var_os("DATASTORAGE_POSTGRES_16").is_none() {
        return chart::skipped("no PostgreSQL: `cargo xtask test chart` brings one");
    }
    let database = Database::empty().await?;
    let (api, health, metrics) = (ports::free()?, ports::free()?, ports::free()?);
    Box::pin(isolated("data-storage-whole", Options::default(), async |world, _plane| {
        let own = world.namespace("data-storage").await?;
        let tenant = world.namespace("tenant").await?;
        let values = json!({
            "bindAddress": "127.0.0.1",
            "ports": {"api": api, "health": health, "metrics": metrics},
            "tls": {"enabled": false},
            "database": {"url": database.url(SERVICE), "passwordSecret": {"name": "service"}},
            "migration": {"urlSecret": {"name": "owner"}},
            "chain": {"keys": [{"id": 1, "secret": {"name": "chain", "key": "key"}}]},
            "cluster": "eu-1",
        });
        secret(world, &own, "service", "password", "not asked for").await?;
        secret(world, &own, "owner", "uri", &database.url(OWNER)).await?;
        secret(world, &own, "chain", "key", &"a1".repeat(32)).await?;
        let Some(release) = Release::of(DATA_STORAGE, world, &own, String::new())? else { return Ok(()) };
        // Helm blocks this task until the Job has ended.
        let kubelet = tokio::spawn(migrates(world.client(), own.clone()));
        let installed = release.install(&values.to_string());
        kubelet.await??;
        installed?;

        let deployment: Value = serde_json::to_value(world.api::<Deployment>(&own).get("data-storage").await?)?;
        let template = &deployment["spec"]["template"];
        let folder = tempfile::tempdir()?;
        let mut command = kubelet::command(world.client(), &own, template, folder.path()).await?;
        let account = template["spec"]["serviceAccountName"].as_str().context("no ServiceAccount")?;
        let kubeconfig = folder.path().join("kubeconfig");
        world.cluster().service_account_kubeconfig(&own, account, &kubeconfig).await?;
        let log = folder.path().join("log");
        command.env("KUBECONFIG", &kubeconfig).stdout(fs::File::create(&log)?).stderr(Stdio::null());
        let _service = Running(command.spawn()?);
        eventually("the service is ready", async || {
            let answer = ApiClient::new(health).get("/ready").await?;
            ensure!(answer.status == 200, "{answer}\n{}", fs::read_to_string(&log)?);
            Ok(())
        })
        .await?;

        let role = if own == "data-storage" { own.clone() } else { format!("{own}-data-storage") };
        bind(world, &tenant, &format!("{role}-writer"), "operator").await?;
        bind(world, &tenant, &format!("{role}-reader"), "person").await?;
        let client = |token: String| ApiClient::new(api).with_token(token);
        let writer = client(token(world, &tenant, "operator").await?);
        let reader = client(token(world, &tenant, "person").await?);
        let stranger = client(token(world, &tenant, "stranger").await?);
        let event = events::sample_in(tenant.as_str());
        let written = writer.write(&event).await?;
        let list = format!("/api/v1/audit/events?namespace={tenant}");
        let found: Value = reader.get(&list).await?.require(200)?.json()?;
        assert_eq!(found["items"][0]["event_id"], json!(written.event_id));
        assert_eq!(found["items"][0]["recorded_by"], json!(format!("system:serviceaccount:{tenant}:operator")));
        assert_eq!(found["items"][0]["cluster"], "eu-1");
        writer.get(&list).await?.require(403)?;
        reader.post_event(&event).await?.require(403)?;
        stranger.get(&list).await?.require(403)?;
        ApiClient::new(api).get(&list).await?.require(401)?;
        // With the credential of the service, nobody changes the past.
        let refused = database.service().await?.execute("UPDATE audit_event SET name = 'changed'", &[]).await;
        ensure!(refused.is_err(), "the service can change a record");

        // `kubectl exec … -- /datastorage verify` has the variables of the container.
        let mut verify = datastorage().await?;
        verify.arg("verify").envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let verified = run(verify).await?;
        ensure!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        let kubelet = tokio::spawn(tests(world.client(), own.clone()));
        let tested = release.test();
        kubelet.await??;
        ensure!(tested?.contains("Succeeded"));
        Ok(())
    }))
    .await
}

//! What somebody does after the installation: `helm test`, a ToolsetConfig in the wrong namespace, a look at the log.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{self, Helm, Release, only},
    controlplane::{AuditedRequest, Options},
    harness::{eventually, isolated, present, services, toolset_controller_says},
};
use http::Request;
use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::permissions;

const TEST: &str = "toolset-operator-test";

#[test]
fn the_pod_of_helm_test_is_selected_by_nothing_and_may_do_nothing() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let values = "{openshift: Enabled, ports: {health: 8081}, nodeSelector: {a: b}}";
    let (hook, release) = (helm.template_of_test(values)?, helm.template(values)?);
    let (pod, service) = (only(&hook, "Pod")?, only(&hook, "Service")?);
    let labels = &pod["metadata"]["labels"];
    for selector in [&service["spec"]["selector"], &only(&release, "Service")?["spec"]["selector"]] {
        ensure!(selector["app.kubernetes.io/name"] != labels["app.kubernetes.io/name"], "{selector} selects the Pod");
        ensure!(selector["app.kubernetes.io/name"] == "toolset-operator", "{selector} selects no replica");
    }
    for object in [pod, service] {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "test");
        assert_eq!(annotations["helm.sh/hook-delete-policy"], "before-hook-creation,hook-succeeded");
    }
    assert_eq!(pod["spec"]["automountServiceAccountToken"], json!(false));
    assert_eq!(pod["spec"]["securityContext"].get("runAsUser"), None);
    assert_eq!(pod["spec"]["nodeSelector"], json!({"a": "b"}));
    assert_eq!(pod["spec"]["containers"][0]["args"], json!(["--probe=toolset-operator-test.holmes.svc:8081"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn helm_test_succeeds_a_wrong_namespace_is_warned_about_and_the_text_log_is_plain() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    let options = Options { crds: None, audit_log: true, ..Options::default() };
    Box::pin(isolated("first-steps", options, async |world, plane| {
        let agent = world.namespace("agent").await?;
        let elsewhere = world.namespace("elsewhere").await?;
        let watched = world.namespace("monitoring").await?;
        let Some(release) = Release::new(world, &agent)? else { return Ok(()) };
        let notes = release.install("log: {format: text, level: debug}")?;
        for said in ["https://", "helm test toolset-operator", "It ignores ToolsetConfigs in other namespaces"] {
            ensure!(notes.contains(said), "the notes do not have {said:?}:\n{notes}");
        }
        let mut controller = release.start_controller(world, &[]).await?;
        let service = world.create(&services::prometheus_server(&watched)).await?;
        world.backend(&service).await?;
        let source = json!({"name": "a", "trust": "Trusted", "namespaces": {"from": "Names", "names": [watched]}});
        let spec = json!({"sources": [source]});
        world.configure(&agent, "default", &spec).await?;
        world.ready(&agent, "default", ("True", "AsExpected")).await?;

        // Helm blocks this task until the Pod has ended.
        let port = controller.health_port();
        let kubelet = tokio::spawn(as_kubelet(world.client(), agent.clone(), port));
        let helm_test = release.test();
        ensure!(kubelet.await?? == format!("127.0.0.1:{port}: ready, leading\n"));
        let helm_test = helm_test?;
        ensure!(helm_test.contains("Succeeded"), "{helm_test}");

        let config = json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig", "metadata": {"name": "lost"}, "spec": spec,
        });
        eventually("a ToolsetConfig in another namespace is warned about", async || {
            let warning = warning(&world.client(), &elsewhere, &config).await?.context("no warning")?;
            ensure!(warning.contains(&format!("handles only ToolsetConfigs in: {agent}")), "{warning}");
            Ok(())
        })
        .await?;
        ensure!(warning(&world.client(), &agent, &config).await?.is_none(), "a warning in its own namespace");

        ensure!(controller.terminate().await?.success(), "it did not end well");
        let (user, none) = (release.user(), |_: &AuditedRequest| false);
        permissions::within(&permissions::granted(world, &user).await?, &plane.audited_requests()?, &user, none)?;
        let log = fs::read_to_string(controller.process().log())?;
        ensure!(log.contains("config_map=kubernaut-toolset-config") && log.contains(" DEBUG "), "{log}");
        for syntax in ["\u{1b}", "\\u{1b}", "Some(", "None", " {", "\\\""] {
            ensure!(!log.contains(syntax), "{syntax:?} in the log:\n{log}");
        }
        Ok(())
    }))
    .await
}

/// Does what a kubelet would do with the Pod of `helm test`: runs its arguments and reports how it ended. Here the name
/// of the Service does not resolve, and the only replica listens on this machine.
async fn as_kubelet(client: Client, namespace: String, port: u16) -> Result<String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let services: Api<Service> = Api::namespaced(client, &namespace);
    let pod = present(&pods, TEST, "helm test creates its Pod", |_| true).await?;
    present(&services, TEST, "helm test creates its Service", |_| true).await?;
    let arguments = pod.spec.and_then(|spec| spec.containers.into_iter().next()?.args).context("no arguments")?;
    let host = format!("{TEST}.{namespace}.svc:");
    ensure!(arguments.len() == 1 && arguments[0].contains(&host), "{arguments:?}");
    let arguments = arguments.iter().map(|argument| argument.replace(&host, "127.0.0.1:")).collect();
    let output = toolset_controller_says(arguments).await?;
    let phase = if output.status.success() { "Succeeded" } else { "Failed" };
    let status = json!({"status": {"phase": phase}});
    pods.patch_status(TEST, &PatchParams::default(), &Patch::Merge(status)).await?;
    ensure!(output.status.success(), "port {port}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The warning of the API server when this object is created, without creating it.
async fn warning(client: &Client, namespace: &str, config: &serde_json::Value) -> Result<Option<String>> {
    let path = format!("/apis/toolset.kubernaut.io/v1alpha1/namespaces/{namespace}/toolsetconfigs?dryRun=All");
    let request =
        Request::post(path).header("content-type", "application/json").body(serde_json::to_vec(config)?.into())?;
    let answer = client.send(request).await?;
    ensure!(answer.status().is_success(), "the API server answers {}", answer.status());
    Ok(answer.headers().get("warning").map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned()))
}

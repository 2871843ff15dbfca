//! `kubectl toolset` beside a running operator, and with few permissions.

use std::process::Output;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane::{Programs, command},
    harness::{kubectl_toolset, kubectl_toolset_program, prelude::*, services},
};
use serde_json::{Value, json};

use crate::stage::{CONFIG, Stage};

/// What a run printed, and its exit code.
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(output: Output) -> Result<Self> {
        Ok(Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout)?,
            stderr: String::from_utf8(output.stderr)?,
        })
    }

    /// Fails unless the exit code is this one and all of the texts are printed.
    fn expect(&self, code: i32, texts: &[&str]) -> Result<()> {
        let Self { code: exit, stdout, stderr } = self;
        ensure!(*exit == Some(code), "{exit:?}, not {code}\n{stdout}\n{stderr}");
        for text in texts {
            ensure!(stdout.contains(text) || stderr.contains(text), "{text:?} is not in\n{stdout}\n{stderr}");
        }
        Ok(())
    }
}

async fn run(world: &World, arguments: &[&str]) -> Result<Run> {
    Run::of(kubectl_toolset(world, arguments).await?)
}

#[tokio::test]
async fn diff_status_version_and_check_agree_with_the_running_operator() -> Result<()> {
    scenario("command-line", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let (world, apps, agent) = (&*stage.world, &stage.apps, &stage.agent);
        world.create(&services::grafana(apps)).await?;
        world.tools(agent, "Grafana is a tool", |tools| tools.types() == ["grafana"]).await?;
        // The status is written a moment after the ConfigMap.
        present(&stage.configs(), CONFIG, "the status counts the tool", |config| {
            config.data.pointer("/status/summary/tools") == Some(&json!(1))
        })
        .await?;

        let diff = run(world, &["diff", "-n", agent]).await?;
        diff.expect(0, &["is up to date with ToolsetConfig"])?;
        ensure!(diff.stdout.is_empty(), "{}", diff.stdout);
        let without = world.folder().join("without-grafana.yaml");
        let spec = json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": CONFIG, "namespace": agent},
            "spec": {
                "sources": [{"name": "apps", "trust": "Trusted", "namespaces": {"from": "Names", "names": [apps]}}],
                "detectors": [{"type": "Grafana", "state": "Disabled"}],
                "health": {"mode": "None"},
            },
        });
        std::fs::write(&without, spec.to_string())?;
        let without = without.display().to_string();
        run(world, &["diff", "-f", &without])
            .await?
            .expect(1, &["--- cluster/", "+++ planned/", "-  grafana/dashboards:"])?;

        let status = run(world, &["status", CONFIG, "-n", agent, "-o", "json"]).await?;
        status.expect(0, &[])?;
        let status: Value = serde_json::from_str(&status.stdout)?;
        ensure!(status["ready"] == "True" && status["tools"] == 1, "{status}");

        // The API server writes the schema in its own way, and it is still the same.
        run(world, &["version"]).await?.expect(0, &["v1alpha1, same schema", "Kubernetes  v1."])?;
        // The operator of a test is no Deployment.
        run(world, &["check", "-n", agent]).await?.expect(
            1,
            &[
                "✓ The CRD is installed (v1alpha1) and has the same schema as this plugin.",
                "✗ No Deployment with the label",
                "✓ Ready: ",
                "so no agent reads it.",
            ],
        )
    })
    .await
}

#[tokio::test]
async fn explain_works_with_permissions_in_one_namespace() -> Result<()> {
    scenario("few-rights", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        let (world, apps, agent) = (&*stage.world, &stage.apps, &stage.agent);
        world.create(&services::grafana(apps)).await?;
        let account = world.account(apps, "developer").await?;
        let rights = json!([
            {"apiGroups": [""], "resources": ["services"], "verbs": ["get", "list"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list"]},
        ]);
        account.grant(apps, "developer", &rights).await?;
        let kubeconfig = account.kubeconfig().display().to_string();
        let arguments = ["explain", "grafana", "-n", apps, "--kubeconfig", &kubeconfig];
        // An API server learns of new permissions from a watch.
        let explained = eventually("the permissions are granted", async || {
            let run = run(world, &arguments).await?;
            ensure!(run.code == Some(0), "{}", run.stderr);
            Ok(run)
        })
        .await?;
        explained.expect(
            0,
            &[
                "(recognised as Grafana)",
                &format!("only namespace {apps} was read, because you are not allowed to list"),
                "no ToolsetConfig can be read, so every namespace is treated as Trusted",
            ],
        )?;
        let check = run(world, &["check", "-n", agent, "--kubeconfig", &kubeconfig]).await?;
        check.expect(0, &["! You are not allowed to list services", "! The CRD cannot be read"])
    })
    .await
}

#[tokio::test]
async fn kubectl_completes_the_command() -> Result<()> {
    scenario("completion", async |world| {
        let apps = world.namespace("apps").await?;
        world.create(&services::grafana(&apps)).await?;
        let plugin = kubectl_toolset_program().await?;
        let bin = world.folder().join("bin");
        std::fs::create_dir_all(&bin)?;
        std::os::unix::fs::symlink(&plugin, bin.join("kubectl_complete-toolset"))?;
        std::os::unix::fs::symlink(&plugin, bin.join("kubectl-toolset"))?;
        let kubectl = Programs::locate()?.kubectl;
        let path = std::env::join_paths([bin, "/usr/bin".into(), "/bin".into()])?;
        let complete = |words: &[&str]| -> Result<String> {
            let mut kubectl = command(&kubectl);
            kubectl.env("PATH", &path).env("KUBECONFIG", world.cluster().kubeconfig());
            let output = kubectl.args(["__complete", "toolset"]).args(words).output().context("kubectl cannot run")?;
            Ok(String::from_utf8(output.stdout)?)
        };
        ensure!(complete(&["expl"])?.starts_with("explain\t"), "{}", complete(&["expl"])?);
        let names = complete(&["explain", "-n", &apps, ""])?;
        ensure!(names == "grafana\n:4\n", "{names}");
        Ok(())
    })
    .await
}

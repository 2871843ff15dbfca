//! The API server and the offline checks give the same results. Both use `crates/crd-types/tests/examples`.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use e2e::{controlplane::Programs, harness::prelude::*, harness::services};
use kube::api::{DynamicObject, PostParams};
use serde_json::{Value, from_value, json};

use crate::stage::{CONFIG, Stage};

/// The examples of a folder as objects of this namespace, with the text that their refusal contains.
fn examples(folder: &str, namespace: &str) -> Result<Vec<(DynamicObject, Option<String>)>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/crd-types/tests/examples").join(folder);
    let mut found = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{}", folder.display()))? {
        let text = fs::read_to_string(entry?.path())?;
        for mut example in serde_saphyr::from_multiple::<Value>(&text)? {
            let problem = example.pointer("/metadata/annotations/example~1problem").and_then(Value::as_str);
            let problem = problem.map(str::to_owned);
            example["metadata"]["namespace"] = json!(namespace);
            found.push((from_value(example)?, problem));
        }
    }
    ensure!(!found.is_empty(), "{} holds no examples", folder.display());
    Ok(found)
}

fn dry_run() -> PostParams {
    PostParams { dry_run: true, ..PostParams::default() }
}

fn name(example: &DynamicObject) -> &str {
    example.metadata.name.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn accepted_examples_are_accepted() -> Result<()> {
    scenario("accepted", async |world| {
        let namespace = world.namespace("agent").await?;
        let configs = toolset_configs(&world.client(), &namespace);
        for (example, _) in examples("accepted", &namespace)? {
            configs.create(&dry_run(), &example).await.with_context(|| name(&example).to_owned())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn refused_examples_are_refused_with_the_message_that_they_name() -> Result<()> {
    scenario("refused", async |world| {
        let namespace = world.namespace("agent").await?;
        let configs = toolset_configs(&world.client(), &namespace);
        let mut wrong = Vec::new();
        for (example, problem) in examples("refused", &namespace)? {
            let problem = problem.with_context(|| format!("{} names no problem", name(&example)))?;
            match configs.create(&dry_run(), &example).await {
                Ok(_) => wrong.push(format!("{} is accepted", name(&example))),
                Err(kube::Error::Api(status)) if status.code == 422 && status.message.contains(&problem) => {}
                Err(error) => wrong.push(format!("{}: not {problem:?} but {error}", name(&example))),
            }
        }
        ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
    .await
}

#[tokio::test]
async fn refused_updates_are_refused_in_place_of_what_was_there() -> Result<()> {
    scenario("updates", async |world| {
        let namespace = world.namespace("agent").await?;
        let configs = toolset_configs(&world.client(), &namespace);
        let all = examples("refused-updates", &namespace)?;
        ensure!(all.len() % 2 == 0, "pairs");
        for pair in all.chunks(2) {
            let (before, (after, problem)) = (&pair[0].0, &pair[1]);
            let created = configs.create(&PostParams::default(), before).await?;
            let mut after = after.clone();
            after.metadata.resource_version = created.metadata.resource_version;
            let refused = configs.replace(name(before), &dry_run(), &after).await.err();
            let refused = refused.with_context(|| format!("{} is accepted", name(before)))?.to_string();
            let problem = problem.as_deref().with_context(|| format!("{} names no problem", name(before)))?;
            ensure!(refused.contains(problem), "{}: not {problem:?} but {refused}", name(before));
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_shows_and_waits_for_what_an_operator_needs_to_know() -> Result<()> {
    scenario("kubectl", async |world| {
        let stage = Stage::set(world, json!({})).await?;
        stage.world.create(&services::grafana(&stage.apps)).await?;
        stage.lists(&["grafana"]).await?;
        stage.config_is("one tool", |config| config.data.pointer("/status/summary/tools") == Some(&json!(1))).await?;
        let kubectl = async |arguments: &[&str]| -> Result<String> {
            let mut command = Command::new(Programs::locate()?.kubectl);
            command.arg("--kubeconfig").arg(stage.world.cluster().kubeconfig()).args(["-n", &stage.agent]);
            let output = command.args(arguments).output()?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            Ok(String::from_utf8(output.stdout)?)
        };

        kubectl(&["wait", "--for=condition=Ready", "--timeout=30s", &format!("tsc/{CONFIG}")]).await?;
        let table = kubectl(&["get", "tsc"]).await?;
        let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let columns = ["NAME", "READY", "REASON", "TOOLS", "UNHEALTHY", "REJECTED", "AGENT", "OUTPUT", "AGE"];
        ensure!(lines.next().is_some_and(|header| header == columns), "{table}");
        // AGENT is empty, because nobody observes the agent.
        let row = lines.next().context("a row")?;
        let expected = [CONFIG, "True", "AsExpected", "1", "0", "0", "kubernaut-toolset-config"];
        ensure!(row[..expected.len()] == expected, "{table}");
        ensure!(
            kubectl(&["get", "kubernaut", "-o", "wide"]).await?.contains("MODE"),
            "the category, and the wide columns"
        );
        Ok(())
    })
    .await
}

//! The examples of values, of Argo CD and Flux, and of kustomize.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{
    chart::{Helm, Release, objects, of_kind, only},
    controlplane::Options,
    harness::{isolated, toolset_configs},
};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{ListParams, PostParams},
};
use serde_json::{Value, json};

const KIND: &str = "toolset.kubernaut.io/v1alpha1/ToolsetConfig";

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The objects of a file of the examples.
fn read(file: &str) -> Result<Vec<Value>> {
    objects(&fs::read_to_string(examples().join(file)).with_context(|| file.to_owned())?)
}

/// The name and the text of every example of values.
pub(crate) fn values() -> Result<Vec<(String, String)>> {
    let mut all = Vec::new();
    for file in fs::read_dir(examples().join("values"))? {
        let path = file?.path();
        let name = path.file_stem().and_then(|name| name.to_str()).context("no name")?.to_owned();
        all.push((name, fs::read_to_string(&path)?));
    }
    all.sort();
    Ok(all)
}

#[test]
fn every_example_of_values_renders_and_does_what_it_says() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let mut seen = BTreeSet::new();
    for (name, values) in values()? {
        let rendered = helm.template_with(&values, &[KIND]).with_context(|| name.clone())?;
        let deployment = only(&rendered, "Deployment")?;
        let roles = serde_json::to_string(&of_kind(&rendered, "Role"))?;
        match name.as_str() {
            "holmesgpt" => {
                let config = only(&rendered, "ToolsetConfig")?;
                assert_eq!(config["spec"]["consumer"]["observe"], "HolmesGPT");
                ensure!(roles.contains("\"deployments\"") && roles.contains("\"holmes-holmes\""), "{roles}");
                let list = of_kind(&rendered, "ConfigMap");
                ensure!(list.iter().any(|object| object["data"]["agents.json"].is_string()), "no list of agents");
            }
            "robusta" => {
                let consumer = &only(&rendered, "ToolsetConfig")?["spec"]["consumer"];
                assert_eq!(consumer["deploymentRef"]["name"], "robusta-holmes");
                ensure!(roles.contains("\"robusta-holmes\""), "{roles}");
            }
            "openshift" => {
                let pod = &deployment["spec"]["template"]["spec"];
                assert_eq!(pod["securityContext"].get("runAsUser"), None);
                ensure!(roles.contains("toolsetconfigs/finalizers"), "{roles}");
                only(&rendered, "ServiceMonitor")?;
            }
            "two-replicas" => {
                assert_eq!(deployment["spec"]["replicas"], json!(2));
                only(&rendered, "PodDisruptionBudget")?;
            }
            "namespaced" => {
                for kind in ["ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"] {
                    assert_eq!(of_kind(&rendered, kind), Vec::<&Value>::new(), "{kind}");
                }
            }
            other => bail!("there is no expectation for examples/values/{other}.yaml"),
        }
        seen.insert(name);
    }
    let expected = ["holmesgpt", "namespaced", "openshift", "robusta", "two-replicas"];
    assert_eq!(seen, expected.map(str::to_owned).into_iter().collect());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_values_can_be_installed_and_its_toolset_config_is_valid() -> Result<()> {
    Box::pin(isolated("examples", Options { crds: None, ..Options::default() }, async |world, _plane| {
        let agent = world.namespace("agent").await?;
        let Some(release) = Release::new(world, &agent)? else { return Ok(()) };
        let monitoring = serde_json::from_value(json!({"metadata": {"name": "monitoring"}}))?;
        Api::<Namespace>::all(world.client()).create(&PostParams::default(), &monitoring).await?;
        // The example without the CustomResourceDefinition comes last, because the others leave one.
        let (last, first): (Vec<_>, Vec<_>) = values()?.into_iter().partition(|(name, _)| name == "namespaced");
        for (name, values) in first.into_iter().chain(last) {
            // This API server has no Prometheus Operator.
            let values = values.replace("{enabled: true}", "{enabled: false}");
            release.install(&values).with_context(|| name.clone())?;
            // Now the API server knows the kind.
            release.upgrade(&values).with_context(|| name.clone())?;
            let configs = toolset_configs(&world.client(), &agent).list(&ListParams::default()).await?;
            let expected = usize::from(values.contains("toolsetConfigs:"));
            ensure!(configs.items.len() == expected, "{name}: {} ToolsetConfigs", configs.items.len());
            release.uninstall()?;
        }
        Ok(())
    }))
    .await
}

#[test]
fn the_argo_cd_applications_have_valid_values_and_the_toolset_config_beside_the_chart() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let chart = read("../charts/toolset-operator/Chart.yaml")?.remove(0);
    let version = &chart["version"];
    for file in ["application.yaml", "application-from-git.yaml"] {
        let all = read(&format!("gitops/argocd/{file}"))?;
        let spec = &only(&all, "Application")?["spec"];
        let (chart, config) = (&spec["sources"][0], &spec["sources"][1]);
        helm.template(&serde_json::to_string(&chart["helm"]["valuesObject"])?).with_context(|| file.to_owned())?;
        match file {
            "application.yaml" => {
                assert_eq!((&chart["chart"], &chart["targetRevision"]), (&json!("toolset-operator"), version));
            }
            _ => ensure!(examples().join("..").join(text(&chart["path"])?).join("Chart.yaml").is_file(), "{chart}"),
        }
        ensure!(examples().join("..").join(text(&config["path"])?).join("kustomization.yaml").is_file(), "{config}");
        ensure!(spec["syncPolicy"]["syncOptions"].to_string().contains("ServerSideApply=true"), "{spec}");
    }
    // Argo CD merges the health check into its ConfigMap. It is for this kind.
    let patch = read("gitops/argocd/argocd-cm.yaml")?.remove(0);
    ensure!(patch["data"]["resource.customizations.health.toolset.kubernaut.io_ToolsetConfig"].is_string(), "{patch}");
    Ok(())
}

#[test]
fn the_flux_releases_have_valid_values_and_every_source_that_they_name() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    for file in ["release.yaml", "release-from-git.yaml"] {
        let all = read(&format!("gitops/flux/{file}"))?;
        let release = &only(&all, "HelmRelease")?["spec"];
        helm.template(&serde_json::to_string(&release["values"])?).with_context(|| file.to_owned())?;
        let kustomization = &only(&all, "Kustomization")?["spec"];
        let chart =
            if release["chartRef"].is_object() { &release["chartRef"] } else { &release["chart"]["spec"]["sourceRef"] };
        for source in [chart, &kustomization["sourceRef"]] {
            let found = of_kind(&all, text(&source["kind"])?);
            ensure!(found.iter().any(|object| object["metadata"]["name"] == source["name"]), "{file}: no {source}");
        }
        let path = text(&kustomization["path"])?;
        ensure!(examples().join("..").join(path).join("kustomization.yaml").is_file(), "{file}: {path}");
    }
    Ok(())
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("{value} is no text"))
}

#[test]
fn kustomize_builds_the_base_and_the_overlay() -> Result<()> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    if !std::env::split_paths(&paths).any(|folder| folder.join("kubectl").is_file()) {
        return e2e::chart::skipped("no kubectl, which contains kustomize");
    }
    let build = |folder: &str| -> Result<Vec<Value>> {
        let output = Command::new("kubectl").arg("kustomize").arg(examples().join(folder)).output()?;
        ensure!(output.status.success(), "{folder}: {}", String::from_utf8_lossy(&output.stderr));
        objects(&String::from_utf8(output.stdout)?)
    };
    let base = build("../charts")?;
    ensure!(only(&base, "Deployment")?["metadata"]["namespace"] == "holmes");
    let overlay = build("gitops/kustomize")?;
    let deployment = &only(&overlay, "Deployment")?["spec"];
    assert_eq!(deployment["replicas"], json!(2));
    let image = text(&deployment["template"]["spec"]["containers"][0]["image"])?;
    ensure!(image == "registry.example.com/toolset-operator:main", "{image}");
    assert_eq!(overlay.len(), base.len() + 1, "the overlay adds the namespace");
    assert_eq!(only(&build("gitops/agent")?, "ToolsetConfig")?["metadata"]["namespace"], json!("holmes"));
    Ok(())
}

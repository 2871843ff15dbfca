//! The chart as a dependency of another chart.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use e2e::chart::{Helm, only};
use serde_json::{Value, json};

/// The parent chart of `examples/umbrella`, with its dependency.
fn parent(helm: &Helm, folder: &Path) -> Result<()> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/umbrella");
    let chart = fs::read_to_string(example.join("Chart.yaml"))?;
    let path = e2e::chart::OPERATOR.folder().canonicalize()?;
    let absolute = format!("file://{}", path.display());
    fs::write(folder.join("Chart.yaml"), chart.replace("file://../../charts/toolset-operator", &absolute))?;
    fs::copy(example.join("values.yaml"), folder.join("values.yaml"))?;
    helm.run(["dependency".as_ref(), "build".as_ref(), folder.as_os_str()])?;
    Ok(())
}

#[test]
fn a_parent_chart_switches_the_operator_on_and_off() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    parent(&helm, folder.path())?;
    let with = |values: &str| helm.template_of(folder.path(), values, ["--skip-tests"]);
    let deployment = |values: &str| -> Result<Value> { Ok(only(&with(values)?, "Deployment")?.clone()) };

    assert_eq!(deployment("{}")?["spec"]["replicas"], json!(2), "the values of the parent are for the operator");
    assert_eq!(with("toolset-operator: {enabled: false}")?, Vec::<Value>::new());
    let error = with("toolset-operator: {replicas: 2}").err().context("a misspelt value is accepted")?;
    assert!(format!("{error:#}").contains("'replicas' not allowed"), "{error:#}");

    let global = "global: {imageRegistry: mirror.example:5000, imagePullSecrets: [a, {name: b}], of-others: true}";
    let pod = &deployment(global)?["spec"]["template"]["spec"];
    let image = pod["containers"][0]["image"].as_str().context("no image")?;
    assert!(image.starts_with("mirror.example:5000/kubernaut/toolset-operator:"), "{image}");
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "a"}, {"name": "b"}]));
    Ok(())
}

#[test]
fn a_global_registry_replaces_only_a_registry_and_secrets_are_added() -> Result<()> {
    let Some(helm) = Helm::find()? else { return Ok(()) };
    let pod = |values: &str| -> Result<Value> {
        Ok(only(&helm.template(values)?, "Deployment")?["spec"]["template"]["spec"].clone())
    };
    for (repository, expected) in [
        ("ghcr.io/kubernaut/toolset-operator", "mirror/kubernaut/toolset-operator:t"),
        ("localhost/operator", "mirror/operator:t"),
        ("localhost:5000/a/b", "mirror/a/b:t"),
        ("team/operator", "mirror/team/operator:t"),
        ("operator", "mirror/operator:t"),
    ] {
        let values = format!("{{image: {{repository: '{repository}', tag: t}}, global: {{imageRegistry: mirror/}}}}");
        assert_eq!(pod(&values)?["containers"][0]["image"], json!(expected), "{repository}");
    }
    let both = "{global: {imagePullSecrets: [a]}, imagePullSecrets: [{name: b}, {name: a}]}";
    let expected = json!([{"name": "a"}, {"name": "b"}]);
    assert_eq!(pod(both)?["imagePullSecrets"], expected);
    assert_eq!(only(&helm.template(both)?, "ServiceAccount")?["imagePullSecrets"], expected);
    assert_eq!(only(&helm.template_of_test(both)?, "Pod")?["spec"]["imagePullSecrets"], expected);
    assert_eq!(pod("{}")?.get("imagePullSecrets"), None);
    // Helm gives every chart the values of other charts too.
    helm.template("global: {anything: true}").map(drop)
}

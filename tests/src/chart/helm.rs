//! Helm as its users call it.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::tools;

/// A chart of this project, with the namespace in which its tests render it. A release has the name of its chart.
#[derive(Clone, Copy, Debug)]
pub struct Chart {
    /// The name of the chart.
    pub name: &'static str,
    namespace: &'static str,
}

/// The chart of the operator.
pub const OPERATOR: Chart = Chart { name: "toolset-operator", namespace: "holmes" };
/// The chart of Data Storage.
pub const DATA_STORAGE: Chart = Chart { name: "data-storage", namespace: "audit" };

impl Chart {
    /// The chart's folder.
    pub fn folder(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts").join(self.name)
    }
}

/// Helm for one chart, with settings of its own.
pub struct Helm {
    chart: Chart,
    program: PathBuf,
    kubeconfig: Option<PathBuf>,
    home: TempDir,
}

impl Helm {
    /// For the chart of the operator. `None` where there is no Helm, which has then been said.
    pub fn find() -> Result<Option<Self>> {
        Self::find_for(OPERATOR)
    }

    /// The same for another chart.
    pub fn find_for(chart: Chart) -> Result<Option<Self>> {
        let Some(program) = tools::helm()? else { return Ok(None) };
        Ok(Some(Self { chart, program, kubeconfig: None, home: tempfile::tempdir()? }))
    }

    /// The chart.
    pub fn chart(&self) -> Chart {
        self.chart
    }

    /// The same for a cluster.
    #[must_use]
    pub fn with_kubeconfig(mut self, kubeconfig: &Path) -> Self {
        self.kubeconfig = Some(kubeconfig.to_owned());
        self
    }

    /// Runs Helm and returns what it printed; the error is what it complained about.
    pub fn run<I>(&self, arguments: I) -> Result<String>
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        let mut command = Command::new(&self.program);
        command.args(arguments.into_iter().map(Into::into));
        // Neither the user's settings nor the user's cluster.
        for (variable, folder) in
            [("HELM_CACHE_HOME", "cache"), ("HELM_CONFIG_HOME", "config"), ("HELM_DATA_HOME", "data")]
        {
            command.env(variable, self.home.path().join(folder));
        }
        command.env("KUBECONFIG", self.kubeconfig.as_deref().unwrap_or(Path::new("/dev/null")));
        let output = command.output().with_context(|| format!("cannot run {}", self.program.display()))?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        String::from_utf8(output.stdout).context("Helm's output is not UTF-8")
    }

    /// What the chart renders with these values (a YAML document), as a release with the chart's name in its namespace,
    /// without what only `helm test` creates.
    pub fn template(&self, values: &str) -> Result<Vec<Value>> {
        self.template_with(values, &[])
    }

    /// The same, for an API server that has these kinds as well: `group/version/Kind`.
    pub fn template_with(&self, values: &str, kinds: &[&str]) -> Result<Vec<Value>> {
        let kinds = kinds.iter().flat_map(|kind| ["--api-versions", kind]);
        self.template_of(&self.chart.folder(), values, ["--skip-tests"].into_iter().chain(kinds))
    }

    /// What `helm test` creates, with these values.
    pub fn template_of_test(&self, values: &str) -> Result<Vec<Value>> {
        self.template_of(&self.chart.folder(), values, ["--show-only", "templates/tests/*.yaml"])
    }

    /// What a chart in a folder renders with these values, with further arguments.
    pub fn template_of<'a>(
        &self,
        chart: &Path,
        values: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<Value>> {
        let file = self.values(values)?;
        let mut all: Vec<OsString> = vec!["template".into(), self.chart.name.into(), chart.into()];
        all.extend(["--namespace", self.chart.namespace, "--kube-version", "1.36.0"].map(Into::into));
        all.extend(["--values".into(), file.into_os_string()]);
        all.extend(arguments.into_iter().map(Into::into));
        objects(&self.run(all)?)
    }

    /// Writes values to a file.
    pub fn values(&self, values: &str) -> Result<PathBuf> {
        let file = self.home.path().join("values.yaml");
        fs::write(&file, values)?;
        Ok(file)
    }
}

/// The objects of a stream of YAML documents.
pub fn objects(yaml: &str) -> Result<Vec<Value>> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(yaml).context("Helm's output is not YAML")?;
    Ok(documents.into_iter().filter(|document| !document.is_null()).collect())
}

/// The objects of a kind.
pub fn of_kind<'a>(objects: &'a [Value], kind: &str) -> Vec<&'a Value> {
    objects.iter().filter(|object| object["kind"] == kind).collect()
}

/// The only object of a kind.
pub fn only<'a>(objects: &'a [Value], kind: &str) -> Result<&'a Value> {
    match of_kind(objects, kind)[..] {
        [object] => Ok(object),
        ref found => bail!("there are {} objects of kind {kind}", found.len()),
    }
}

/// The arguments of the Deployment's only container.
pub fn arguments(deployment: &Value) -> Result<Vec<String>> {
    let arguments =
        deployment.pointer("/spec/template/spec/containers/0/args").context("the Deployment has no arguments")?;
    Ok(serde_json::from_value(arguments.clone())?)
}

//! The operator in the cluster, as its Deployment shows it.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Container, PodSpec},
};
use kube::{ResourceExt, api::ListParams};

use super::Reach;
use crate::failure::Failure;

/// The label that the chart gives to every object of the operator.
const LABEL: &str = "app.kubernetes.io/part-of=toolset-operator";
const VERSION_LABEL: &str = "app.kubernetes.io/version";
/// The default of the flag `--lease-name`.
const DEFAULT_LEASE: &str = "toolset-operator";

/// An installation of the operator.
pub(crate) struct Operator {
    pub namespace: String,
    pub name: String,
    /// The version that the Deployment states, or else the tag of its image.
    pub version: Option<String>,
    pub image: String,
    /// How many replicas are available, and how many are wanted.
    pub available: i32,
    pub wanted: i32,
    container: Container,
}

/// Finds the operator. There can be several, each for some namespaces. Fails if the user may not list Deployments.
pub(crate) async fn find(reach: &mut Reach<'_>) -> Result<Vec<Operator>, Failure> {
    let deployments: Vec<Deployment> = reach.list_with("Deployments", ListParams::default().labels(LABEL)).await?;
    Ok(deployments.into_iter().filter_map(Operator::of).collect())
}

impl Operator {
    fn of(deployment: Deployment) -> Option<Self> {
        let (namespace, name) = (deployment.namespace().unwrap_or_default(), deployment.name_any());
        let stated = deployment.labels().get(VERSION_LABEL).cloned();
        let status = deployment.status.unwrap_or_default();
        let spec = deployment.spec?;
        let container = controller(spec.template.spec?)?;
        let image = container.image.clone().unwrap_or_default();
        Some(Self {
            namespace,
            name,
            version: tag(&image).map(ToOwned::to_owned).or(stated),
            image,
            available: status.available_replicas.unwrap_or_default(),
            wanted: spec.replicas.unwrap_or(1),
            container,
        })
    }

    /// The value of a flag, from the arguments or from the environment. `None` if it is not set or comes from elsewhere.
    fn flag(&self, flag: &str) -> Option<String> {
        let args: Vec<&str> = self.container.args.iter().flatten().map(String::as_str).collect();
        let given = args.iter().enumerate().rev().find_map(|(at, arg)| {
            let rest = arg.strip_prefix("--")?.strip_prefix(flag)?;
            match rest.strip_prefix('=') {
                Some(value) => Some(value.to_owned()),
                None => rest.is_empty().then(|| args.get(at + 1).map(|value| (*value).to_owned())).flatten(),
            }
        });
        let variable = format!("TOOLSET_{}", flag.to_uppercase().replace('-', "_"));
        let in_environment = || {
            let mut all = self.container.env.iter().flatten();
            all.find(|one| one.name == variable).and_then(|one| one.value.clone())
        };
        given.or_else(in_environment).filter(|value| !value.is_empty())
    }

    fn namespaces(&self, flag: &str) -> Option<Vec<String>> {
        Some(self.flag(flag)?.split(',').map(|name| name.trim().to_owned()).collect())
    }

    /// The only namespaces whose ToolsetConfigs it honours. `None` for all.
    pub(crate) fn config_namespaces(&self) -> Option<Vec<String>> {
        self.namespaces("config-namespaces")
    }

    /// The only namespaces whose Services it sees. `None` for all.
    pub(crate) fn watch_namespaces(&self) -> Option<Vec<String>> {
        self.namespaces("watch-namespaces")
    }

    /// Whether it honours the ToolsetConfigs of a namespace.
    pub(crate) fn honours(&self, namespace: &str) -> bool {
        self.config_namespaces().is_none_or(|names| names.iter().any(|name| name == namespace))
    }

    /// The namespace and the name of its Lease. `None` without leader election.
    pub(crate) fn lease(&self) -> Option<(String, String)> {
        if self.flag("leader-elect").is_some_and(|value| value == "false") {
            return None;
        }
        let namespace = self.flag("lease-namespace").unwrap_or_else(|| self.namespace.clone());
        Some((namespace, self.flag("lease-name").unwrap_or_else(|| DEFAULT_LEASE.to_owned())))
    }

    /// How messages name it.
    pub(crate) fn title(&self) -> String {
        format!("Deployment {}/{}", self.namespace, self.name)
    }
}

/// The container of the operator, beside which others may run.
fn controller(spec: PodSpec) -> Option<Container> {
    let (mut named, mut others): (Vec<Container>, Vec<Container>) =
        spec.containers.into_iter().partition(|container| container.name == "controller");
    named.pop().or_else(|| others.drain(..).next())
}

/// The tag of an image, if it looks like a version.
fn tag(image: &str) -> Option<&str> {
    let without_digest = image.split('@').next().unwrap_or_default();
    let (_, tag) = without_digest.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'))?;
    let version = tag.strip_prefix('v').unwrap_or(tag);
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_tag_that_looks_like_a_version_is_one() {
        assert_eq!(tag("registry.example:5000/toolset-operator:0.2.0@sha256:aa"), Some("0.2.0"));
        assert_eq!(tag("registry.example/toolset-operator:v1.2.3-rc.1"), Some("1.2.3-rc.1"));
        for image in ["registry.example:5000/toolset-operator", "toolset-operator:latest", "toolset-operator@sha256:aa"]
        {
            assert_eq!(tag(image), None, "{image}");
        }
    }
}

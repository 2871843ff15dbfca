//! The objects that the demo applies: the files of `examples/`, in namespaces that may be renamed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{Namespace, Service},
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DynamicObject, ObjectMeta, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::harness::{Backend, toolset_config, toolset_configs};

/// Marks the namespaces of a demo, so that they can be found.
pub(super) const LABEL: (&str, &str) = ("app.kubernetes.io/part-of", "toolset-demo");

/// How many requests are in progress at once.
const AT_ONCE: usize = 8;

/// What there is to apply.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) services: Vec<Service>,
    /// Comes later.
    pub(super) grafana: Service,
    /// The ToolsetConfig, and its text as shown.
    pub(super) config: Value,
    pub(super) config_text: String,
}

impl Stack {
    /// Reads the examples. Every namespace gets `prefix` in front; without `healthy`, health is not asked for.
    pub(super) fn read(prefix: &str, healthy: bool) -> Result<Self> {
        let mut services = services_of("stack.yaml")?;
        let mut grafana = services_of("grafana.yaml")?.pop().context("grafana.yaml is empty")?;
        for service in services.iter_mut().chain([&mut grafana]) {
            let namespace = service.namespace().context("a Service of the examples names no namespace")?;
            service.metadata.namespace = Some(format!("{prefix}{namespace}"));
        }
        let text = text("toolsetconfig.yaml")?;
        let mut config: Value = serde_saphyr::from_str(&text).context("toolsetconfig.yaml")?;
        let config_text = if prefix.is_empty() && healthy {
            text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n")
        } else {
            adapt(&mut config, prefix, healthy);
            serde_saphyr::to_string(&config)?
        };
        Ok(Self { services, grafana, config, config_text })
    }

    /// The namespace of the ToolsetConfig.
    pub(super) fn agent_namespace(&self) -> &str {
        self.config["metadata"]["namespace"].as_str().unwrap_or_default()
    }

    /// The name of the ToolsetConfig.
    pub(super) fn config_name(&self) -> &str {
        self.config["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// All namespaces, sorted, with the number of Services in each.
    pub(super) fn namespaces(&self) -> BTreeMap<String, usize> {
        let mut namespaces = BTreeMap::from([(self.agent_namespace().to_owned(), 0)]);
        for service in &self.services {
            *namespaces.entry(service.namespace().unwrap_or_default()).or_default() += 1;
        }
        namespaces
    }

    /// Creates the namespaces. Those that every cluster has may be there already, if `shared` says so.
    pub(super) async fn create_namespaces(&self, client: &Client, shared: bool) -> Result<()> {
        let api: Api<Namespace> = Api::all(client.clone());
        for name in self.namespaces().into_keys() {
            let labels = BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())]);
            let metadata = ObjectMeta { name: Some(name.clone()), labels: Some(labels), ..ObjectMeta::default() };
            match api.create(&PostParams::default(), &Namespace { metadata, ..Namespace::default() }).await {
                Err(kube::Error::Api(status)) if status.is_already_exists() && shared => {}
                outcome => {
                    outcome.with_context(|| format!("cannot create the namespace {name}"))?;
                }
            }
        }
        Ok(())
    }

    /// Creates the Services.
    pub(super) async fn create_services(&self, client: &Client) -> Result<()> {
        stream::iter(&self.services)
            .map(|service| create(client, service))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// Creates the ToolsetConfig.
    pub(super) async fn create_config(&self, client: &Client) -> Result<DynamicObject> {
        let object = toolset_config(self.agent_namespace(), self.config_name(), &self.config["spec"]);
        let api = toolset_configs(client, self.agent_namespace());
        api.create(&PostParams::default(), &object).await.context("cannot create the ToolsetConfig")
    }

    /// Puts a ready Pod behind every Service, one for those that select the same, and returns how many Pods it took.
    pub(super) async fn create_pods(&self, client: &Client) -> Result<usize> {
        let needed = needs_a_pod(&self.services);
        let pods: Vec<Backend> = stream::iter(&needed)
            .map(|service| Backend::create(client, service))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        Ok(pods.len())
    }
}

/// Creates an object in the namespace that it names.
pub(super) async fn create<K>(client: &Client, object: &K) -> Result<()>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::Serialize
        + DeserializeOwned,
{
    let namespace = object.namespace().context("the object names no namespace")?;
    let api: Api<K> = Api::namespaced(client.clone(), &namespace);
    let created = api.create(&PostParams::default(), object).await;
    created.with_context(|| format!("cannot create {namespace}/{}", object.name_any()))?;
    Ok(())
}

/// Leaves out the Services whose Pods another one brings along: headless twins select the same or more.
fn needs_a_pod(services: &[Service]) -> Vec<&Service> {
    let selector = |service: &Service| -> BTreeSet<(String, String)> {
        let selector = service.spec.as_ref().and_then(|spec| spec.selector.clone());
        selector.unwrap_or_default().into_iter().collect()
    };
    // Who selects by most labels first: the others may select these Pods too.
    let mut by_labels: Vec<_> = services.iter().map(|service| (selector(service), service)).collect();
    by_labels.sort_by_key(|(labels, service)| (std::cmp::Reverse(labels.len()), service.name_any()));
    let mut chosen: Vec<(BTreeSet<(String, String)>, &Service)> = Vec::new();
    for (labels, service) in by_labels {
        let covered =
            chosen.iter().any(|(pod, other)| other.namespace() == service.namespace() && labels.is_subset(pod));
        if !covered && !labels.is_empty() {
            chosen.push((labels, service));
        }
    }
    chosen.into_iter().map(|(_, service)| service).collect()
}

fn adapt(config: &mut Value, prefix: &str, healthy: bool) {
    let rename = |name: &mut Value| {
        if let Some(old) = name.as_str() {
            *name = format!("{prefix}{old}").into();
        }
    };
    rename(&mut config["metadata"]["namespace"]);
    let sources = config["spec"]["sources"].as_array_mut();
    for source in sources.into_iter().flatten() {
        let names = source["namespaces"]["names"].as_array_mut();
        names.into_iter().flatten().for_each(rename);
    }
    if !healthy {
        config["spec"]["health"] = serde_json::json!({"mode": "None"});
    }
}

/// The Services of an example. The demo creates the Namespaces itself, because it may rename them.
fn services_of(name: &str) -> Result<Vec<Service>> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&text(name)?).with_context(|| format!("cannot read examples/{name}"))?;
    let services = documents.into_iter().filter(|document| document["kind"] == "Service");
    services.map(|service| Ok(serde_json::from_value(service)?)).collect()
}

fn text(name: &str) -> Result<String> {
    let path = folder().join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_are_read_as_they_are() {
        let stack = Stack::read("", true).unwrap();
        assert_eq!(stack.services.len(), 30);
        assert_eq!(stack.agent_namespace(), "holmes");
        assert!(stack.config_text.starts_with("apiVersion: toolset.kubernaut.io/v1alpha1"), "{}", stack.config_text);
        assert_eq!(stack.grafana.namespace().as_deref(), Some("monitoring"));
    }

    #[test]
    fn in_a_cluster_of_the_users_every_namespace_is_the_demos_own() {
        let stack = Stack::read("toolset-demo-", false).unwrap();
        assert!(stack.namespaces().keys().all(|name| name.starts_with("toolset-demo-")));
        for source in stack.config["spec"]["sources"].as_array().unwrap() {
            for name in source["namespaces"]["names"].as_array().unwrap() {
                assert!(stack.namespaces().contains_key(name.as_str().unwrap()), "{name}");
            }
        }
        assert_eq!(stack.config["spec"]["health"]["mode"], "None");
    }

    #[test]
    fn services_that_select_the_same_pods_share_them() {
        let stack = Stack::read("", true).unwrap();
        let names: Vec<_> = needs_a_pod(&stack.services).iter().map(|service| service.name_any()).collect();
        assert!(names.contains(&"kps-kube-prometheus-stack-prometheus".to_owned()));
        assert!(!names.contains(&"prometheus-operated".to_owned()));
    }
}

//! The start of most scenarios, with Services in one namespace, the agent in another, and a controller that watches
//! both.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{Controller, DEFAULT_CONFIG_MAP, Proxy, Tools, prelude::*};
use k8s_openapi::api::core::v1::{ConfigMap, Event, Service};
use kube::{
    Api, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, from_value, json};

/// The name of the ToolsetConfig.
pub(crate) const CONFIG: &str = "default";

/// The number of reconciles with any result.
pub(crate) const RECONCILES: &str = "dynamictoolset_reconciles_total";

/// How long a watch may take to be allowed, answered or listed again: what fails is retried ever more slowly, up to
/// every 30 s, and an API server that has just started refuses everybody for a moment.
pub(crate) const RETRIED: Duration = Duration::from_secs(75);

/// A running controller with one ToolsetConfig, whose first ConfigMap is written.
pub(crate) struct Stage<'a> {
    pub world: &'a mut World,
    /// Where the Services are.
    pub apps: String,
    /// Where the ToolsetConfig and its ConfigMap are.
    pub agent: String,
    pub controller: Controller,
}

impl<'a> Stage<'a> {
    /// `spec` is merged into one that trusts the apps' namespace and has health off, so that a Service needs no Pods to
    /// become a tool.
    pub(crate) async fn set(world: &'a mut World, spec: Value) -> Result<Self> {
        Self::set_with(world, spec, |_| ControllerOptions::default()).await
    }

    /// The same, with a controller that reaches the API server through a proxy.
    pub(crate) async fn behind(world: &'a mut World, proxy: &Proxy, spec: Value) -> Result<Self> {
        Self::set_with(world, spec, |_| behind(proxy)).await
    }

    /// The same, and the controller takes part in an election. Its Lease is in the agent's namespace.
    pub(crate) async fn elected(world: &'a mut World, proxy: &Proxy, spec: Value) -> Result<Self> {
        Self::set_with(world, spec, |agent| ControllerOptions { arguments: election(agent), ..behind(proxy) }).await
    }

    /// The same, with options that may depend on the agent's namespace.
    pub(crate) async fn set_with(
        world: &'a mut World,
        spec: Value,
        options: impl FnOnce(&str) -> ControllerOptions,
    ) -> Result<Self> {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let controller = world.start_controller(options(&agent)).await?;
        world.configure(&agent, CONFIG, &over(without_health(&[&apps]), spec)).await?;
        let stage = Self { world, apps, agent, controller };
        stage.ready(("True", "AsExpected")).await?;
        Ok(stage)
    }

    /// The ConfigMaps of the agent's namespace.
    pub(crate) fn config_maps(&self) -> Api<ConfigMap> {
        self.world.api(&self.agent)
    }

    /// The Services of the apps' namespace.
    pub(crate) fn services(&self) -> Api<Service> {
        self.world.api(&self.apps)
    }

    /// The ToolsetConfigs of the agent's namespace.
    pub(crate) fn configs(&self) -> Api<DynamicObject> {
        toolset_configs(&self.world.client(), &self.agent)
    }

    /// The ConfigMap as it is.
    pub(crate) async fn output(&self) -> Result<ConfigMap> {
        Ok(self.config_maps().get(DEFAULT_CONFIG_MAP).await?)
    }

    /// The ToolsetConfig as it is.
    pub(crate) async fn config(&self) -> Result<DynamicObject> {
        Ok(self.configs().get(CONFIG).await?)
    }

    /// Waits until `Ready` has this status and reason for the current spec.
    pub(crate) async fn ready(&self, expected: (&str, &str)) -> Result<DynamicObject> {
        present(&self.configs(), CONFIG, &format!("Ready is {expected:?}"), |config| {
            condition(config, "Ready") == Some(expected) && is_current(config)
        })
        .await
    }

    /// Waits until the ConfigMap lists tools of exactly these names.
    pub(crate) async fn lists(&self, names: &[&str]) -> Result<Tools> {
        self.world.tools(&self.agent, &format!("lists {names:?}"), |tools| tools.names() == names).await
    }

    /// Waits until the ConfigMap is as `condition` says.
    pub(crate) async fn output_is(&self, what: &str, condition: impl Fn(&ConfigMap) -> bool) -> Result<ConfigMap> {
        present(&self.config_maps(), DEFAULT_CONFIG_MAP, what, condition).await
    }

    /// Waits until the ToolsetConfig is as `condition` says.
    pub(crate) async fn config_is(
        &self,
        what: &str,
        condition: impl Fn(&DynamicObject) -> bool,
    ) -> Result<DynamicObject> {
        present(&self.configs(), CONFIG, what, condition).await
    }

    /// Changes the ToolsetConfig's spec as `kubectl patch --type=merge` does, and returns it as it then is.
    pub(crate) async fn respec(&self, spec: Value) -> Result<DynamicObject> {
        patch(&self.configs(), CONFIG, json!({"spec": spec})).await
    }

    /// Waits until the controller knows this number of Services.
    pub(crate) async fn sees(&self, services: usize) -> Result<()> {
        eventually(&format!("it knows of {services} Services"), async || {
            let seen = self.controller.metric("dynamictoolset_services_watched").await?;
            ensure!(seen.map(|seen| seen.to_string()) == Some(services.to_string()), "{seen:?}");
            Ok(())
        })
        .await
    }

    /// Deletes a Service.
    pub(crate) async fn delete_service(&self, name: &str) -> Result<()> {
        self.services().delete(name, &DeleteParams::default()).await?;
        Ok(())
    }

    /// Edits the ConfigMap as a person with `kubectl edit` does.
    pub(crate) async fn meddle(&self, change: Value) -> Result<ConfigMap> {
        patch(&self.config_maps(), DEFAULT_CONFIG_MAP, change).await
    }
}

/// A controller that reaches the API server through a proxy, and only there.
pub(crate) fn behind(proxy: &Proxy) -> ControllerOptions {
    ControllerOptions { kubeconfig: Some(proxy.kubeconfig().to_owned()), ..ControllerOptions::default() }
}

/// The arguments of a controller that takes part in an election.
pub(crate) fn election(lease_namespace: &str) -> Vec<String> {
    vec!["--leader-elect".to_owned(), format!("--lease-namespace={lease_namespace}")]
}

/// A merge patch by somebody who is not the operator.
pub(crate) async fn patch<K>(api: &Api<K>, name: &str, change: Value) -> Result<K>
where
    K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let params = PatchParams { field_manager: Some("somebody".to_owned()), ..PatchParams::default() };
    api.patch(name, &params, &Patch::Merge(change)).await.with_context(|| format!("cannot patch {name}"))
}

/// Waits until the API server would stamp a new object with another second: it keeps whole ones.
pub(crate) async fn a_second_after(object: &impl kube::Resource, world: &World, namespace: &str) -> Result<()> {
    let config_maps: Api<ConfigMap> = world.api(namespace);
    let dry_run = PostParams { dry_run: true, ..PostParams::default() };
    eventually("the second is over", async || {
        let probe = config_maps.create(&dry_run, &from_value(json!({"metadata": {"name": "probe"}}))?).await?;
        ensure!(probe.metadata.creation_timestamp > object.meta().creation_timestamp);
        Ok(())
    })
    .await
}

/// Waits until an Event about an object gives this reason, as `kubectl describe` shows it.
pub(crate) async fn told(world: &World, namespace: &str, name: &str, reason: &str) -> Result<()> {
    let events: Api<Event> = world.api(namespace);
    let about = ListParams::default().fields(&format!("involvedObject.name={name},reason={reason}"));
    eventually(&format!("an Event about {name} says {reason}"), async || {
        ensure!(!events.list(&about).await?.items.is_empty());
        Ok(())
    })
    .await
}

/// A spec that trusts these namespaces and has health off.
pub(crate) fn without_health(namespaces: &[&str]) -> Value {
    over(trusted_names(namespaces), json!({"health": {"mode": "None"}}))
}

/// Merges the fields of `top` into `bottom`.
pub(crate) fn over(mut bottom: Value, top: Value) -> Value {
    if let (Value::Object(below), Value::Object(above)) = (&mut bottom, top) {
        below.extend(above);
    }
    bottom
}

/// Whether the status was made from the spec as it is now.
pub(crate) fn is_current(config: &DynamicObject) -> bool {
    config.data.pointer("/status/observedGeneration").and_then(Value::as_i64) == config.metadata.generation
}

/// The message of a condition. Empty if there is none.
pub(crate) fn message<'a>(config: &'a DynamicObject, kind: &str) -> &'a str {
    let conditions = config.data.pointer("/status/conditions").and_then(Value::as_array);
    let condition = conditions.into_iter().flatten().find(|condition| condition["type"] == kind);
    condition.and_then(|condition| condition["message"].as_str()).unwrap_or_default()
}

/// A data key of a ConfigMap; empty if there is none.
pub(crate) fn data<'a>(config_map: &'a ConfigMap, key: &str) -> &'a str {
    config_map.data.as_ref().and_then(|data| data.get(key)).map_or("", String::as_str)
}

/// How many tools the status counts.
pub(crate) fn counts(config: &DynamicObject, tools: usize) -> bool {
    config.data.pointer("/status/summary/tools") == Some(&json!(tools))
}

/// When an object was last written, in an order that holds for all objects of the API server: it numbers its writes.
pub(crate) fn revision<K: kube::Resource>(object: &K) -> Result<u64> {
    version(object).parse().context("a resourceVersion that is no number")
}

/// Which version of an object this is.
pub(crate) fn version<K: kube::Resource>(object: &K) -> String {
    object.resource_version().unwrap_or_default()
}

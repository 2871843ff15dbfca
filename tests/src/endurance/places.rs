//! Where a run takes place: the namespaces, and ten `ToolsetConfigs` that differ in what they select and write.

use anyhow::Result;
use serde_json::{Value, json};

use crate::harness::World;

/// How many namespaces there are with Services.
pub(super) const APPS: usize = 4;
/// The namespace of Services of a Tenant. At most ten of its tools are listed.
pub(super) const TENANT: usize = 3;
/// A label of namespaces that one `ToolsetConfig` selects.
pub(super) const LISTED_BY: &str = "endurance.example/listed-by";
/// A label of Services that one `ToolsetConfig` selects.
pub(super) const TIER: &str = "tier";
/// The user's own toolsets, which one output has as its base.
const BASE: (&str, &str) = ("own-toolsets", "own.yaml");

/// The namespaces of a run.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The namespaces with Services.
    pub(super) apps: Vec<String>,
    /// The namespaces with `ToolsetConfigs` and their ConfigMaps.
    pub(super) agents: Vec<String>,
    /// The `ToolsetConfigs`.
    pub(super) configs: Vec<ConfigPlace>,
}

/// A `ToolsetConfig`.
#[derive(Clone, Debug)]
pub(super) struct ConfigPlace {
    /// Its namespace, which is that of its ConfigMap too.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// The name of its ConfigMap.
    pub(super) config_map: String,
    /// Whether a Service that does not change stays in the output, whatever happens to other Services.
    pub(super) independent: bool,
    /// Whether labels of namespaces decide what it selects.
    pub(super) by_namespace_labels: bool,
    /// Changes of its spec, one after the other. The last one restores the first spec. Empty if the spec never changes.
    pub(super) edits: Vec<Value>,
}

/// A `ToolsetConfig` before it is created.
struct NewConfig {
    name: &'static str,
    spec: Value,
    edits: Vec<Value>,
}

impl Places {
    /// Creates the namespaces.
    pub(super) async fn create(world: &mut World) -> Result<Self> {
        let mut apps = Vec::new();
        for number in 0..APPS {
            apps.push(world.namespace(&format!("apps-{number}")).await?);
        }
        let agents = vec![world.namespace("agent-0").await?, world.namespace("agent-1").await?];
        Ok(Self { apps, agents, configs: Vec::new() })
    }

    /// Creates the `ToolsetConfigs`. The Services that `manual` names have no selector and EndpointSlices made by hand.
    pub(super) async fn configure(&mut self, world: &World, manual: &[String]) -> Result<()> {
        let own = json!({
            "metadata": {"namespace": self.agents[1], "name": BASE.0},
            "data": {BASE.1: "toolsets:\n  our-own:\n    type: http\n    enabled: true\n"},
        });
        world.create::<k8s_openapi::api::core::v1::ConfigMap>(&serde_json::from_value(own)?).await?;
        for (number, new) in self.new_configs(manual).into_iter().enumerate() {
            let namespace = &self.agents[number % self.agents.len()];
            let config_map = format!("out-{}", new.name);
            let mut spec = new.spec;
            spec["output"]["configMapName"] = json!(config_map);
            world.configure(namespace, new.name, &spec).await?;
            self.configs.push(ConfigPlace {
                namespace: namespace.clone(),
                name: new.name.to_owned(),
                config_map,
                independent: new.name != "single",
                by_namespace_labels: new.name == "labelled",
                edits: new.edits,
            });
        }
        Ok(())
    }

    fn new_configs(&self, manual: &[String]) -> Vec<NewConfig> {
        let apps = &self.apps;
        let without_health = json!({"mode": "None"});
        let names = |wanted: &[usize]| -> Value {
            let names: Vec<_> = wanted.iter().map(|number| &apps[*number]).collect();
            json!({"name": "apps", "trust": "Trusted", "namespaces": {"from": "Names", "names": names}})
        };
        let config = |name, source: Value, health: &Value| NewConfig {
            name,
            spec: json!({"sources": [source], "health": health, "output": {}}),
            edits: Vec::new(),
        };
        let mut formats = config("formats", names(&[0, 1, 2, 3]), &without_health);
        formats.spec["output"]["formats"] = json!(["HolmesGPT"]);
        formats.edits = vec![
            json!({"output": {"formats": ["HolmesGPT", "ToolsetJSON"]}}),
            json!({"output": {"formats": ["HolmesGPT"]}}),
        ];
        let mut json_only = config("json", names(&[1, 2]), &without_health);
        json_only.spec["output"]["formats"] = json!(["ToolsetJSON"]);
        let mut detectors = config("detectors", names(&[0, 1]), &without_health);
        detectors.edits =
            vec![json!({"detectors": [{"type": "Grafana", "state": "Disabled"}]}), json!({"detectors": null})];
        let mut labelled = config("labelled", names(&[0]), &without_health);
        labelled.spec["sources"][0]["namespaces"] =
            json!({"from": "Selector", "selector": {"matchLabels": {LISTED_BY: apps[0]}}});
        let mut gold = config("gold", names(&[0, 1, 2]), &without_health);
        gold.spec["sources"][0]["serviceSelector"] = json!({"matchLabels": {TIER: "gold"}});
        let mut single = config("single", names(&[1, 2]), &without_health);
        single.spec["detectors"] = json!([{"type": "Prometheus", "instances": "Single"}]);
        let mut tenant = config("tenant", names(&[TENANT]), &without_health);
        tenant.spec["sources"][0]["trust"] = json!("Tenant");
        let mut overridden = config("overridden", names(&[0, 2]), &without_health);
        overridden.spec["output"]["deletionPolicy"] = json!("Orphan");
        overridden.spec["output"]["base"] = json!({"configMapName": BASE.0, "key": BASE.1});
        overridden.edits = vec![
            json!({"overrides": [{
                "name": "renamed", "match": {"type": "Grafana", "namespace": apps[0]}, "description": "Dashboards"
            }]}),
            json!({"overrides": null}),
        ];
        let mut endpoints = config("endpoints", names(&[0, 1]), &json!({"withholdAfterSeconds": 0}));
        let mut grace = config("grace", names(&[0, 1]), &json!({"withholdAfterSeconds": 2}));
        for health in [&mut endpoints, &mut grace] {
            health.spec["sources"][0]["allow"] = manual
                .iter()
                .flat_map(|name| {
                    ["Selectorless", "ManualSlices"]
                        .map(|kind| json!({"namespace": apps[0], "name": name, "kind": kind}))
                })
                .collect();
        }
        vec![detectors, json_only, formats, overridden, labelled, gold, single, tenant, endpoints, grace]
    }
}

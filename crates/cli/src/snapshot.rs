//! The objects that a command reads, and the plan that the operator's code makes from them.

use std::collections::BTreeMap;

use crd_types::{NamespaceSelection, NamespacesFrom, Source, ToolsetConfig, ToolsetConfigSpec, Trust};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use toolset::{
    Base, HealthStage, Index, Plan, Rendered,
    config_map::{ConfigMapView, LEGACY_OVERRIDES_KEY, Owner, refused_as_base},
    in_output,
    pipeline::{self, HealthInput, Trace},
    render::{Earlier, Elsewhere, grafana_key, is_of_a_format},
};

use crate::pods::KnownPods;

/// The objects that a command reads.
pub(crate) struct Snapshot {
    /// Services, EndpointSlices and Namespaces.
    pub index: Index,
    /// The ToolsetConfig, or `default_config()` if there is none.
    pub config: ToolsetConfig,
    /// Whether the user or the cluster has a ToolsetConfig.
    pub config_given: bool,
    /// ConfigMaps by namespace and name.
    pub config_maps: BTreeMap<(String, String), ConfigMap>,
    /// What is known of the Pods behind the Services.
    pub pods: KnownPods,
    /// Whether EndpointSlices are known. Without them, health is unknown. In a cluster, Services of Tenants then wait.
    pub slices_known: bool,
    /// Whether the objects come from a cluster.
    pub live: bool,
    /// The namespace of a Service that the user names without a namespace.
    pub default_namespace: String,
    /// Notes about the input for the user.
    pub notes: Vec<String>,
}

/// What a command works on: the objects, and the ToolsetConfigs to use one after the other.
pub(crate) struct Objects {
    pub snapshot: Snapshot,
    /// At least one. Without a ToolsetConfig, it is `default_config()`.
    pub configs: Vec<ToolsetConfig>,
}

impl Objects {
    /// The objects with the ToolsetConfig that they have.
    pub(crate) fn of(snapshot: Snapshot) -> Self {
        let configs = vec![snapshot.config.clone()];
        Self { snapshot, configs }
    }

    /// Runs a function for each ToolsetConfig.
    pub(crate) fn each<T>(&mut self, mut run: impl FnMut(&Snapshot) -> T) -> Vec<T> {
        self.configs
            .iter()
            .map(|config| {
                self.snapshot.config = config.clone();
                run(&self.snapshot)
            })
            .collect()
    }
}

/// The plan and the steps before it.
pub(crate) struct Planned {
    /// The candidates and their health, before overrides and ranking.
    pub trace: Trace,
    /// The plan. Tools that do not fit into the ConfigMap are removed from it.
    pub plan: Plan,
    /// The files of the ConfigMap.
    pub rendered: Rendered,
}

/// The ToolsetConfig that is used if there is none. It trusts all namespaces.
pub(crate) fn default_config() -> ToolsetConfig {
    let source = Source {
        name: "all".to_owned(),
        trust: Trust::Trusted,
        namespaces: NamespaceSelection { from: NamespacesFrom::All, names: Vec::new(), selector: None },
        service_selector: None,
        allow: Vec::new(),
    };
    let spec = ToolsetConfigSpec {
        mode: crd_types::Mode::default(),
        sources: vec![source],
        detectors: Vec::new(),
        signatures: Vec::new(),
        evidence: crd_types::Evidence::default(),
        health: crd_types::Health::default(),
        overrides: Vec::new(),
        tools: Vec::new(),
        baseline: Vec::new(),
        output: crd_types::Output::default(),
        consumer: crd_types::Consumer::default(),
    };
    let mut config = ToolsetConfig::new("default", spec);
    config.metadata.namespace = Some("default".to_owned());
    config
}

impl Snapshot {
    /// Makes the plan and the files as the operator does.
    pub(crate) fn plan(&self, cluster_domain: &str) -> Planned {
        let output = self.config_map(&self.config.spec.output.config_map_name);
        let data = output.and_then(|output| output.data.as_ref());
        let present = || {
            let texts = data.into_iter().flatten().filter(|(key, _)| is_of_a_format(key));
            in_output(texts.map(|(_, text)| text.as_str()), cluster_domain)
        };
        let refused = self.base_config_map().and_then(|found| refused_as_base(&ownership_of(found)));
        let mut stage = HealthStage::without_waiting();
        let health = if self.slices_known {
            HealthInput::Observed {
                stage: &mut stage,
                time: &|_| toolset::health::HealthTime::default(),
                in_output: &present,
                probed: None,
            }
        } else if self.live {
            // As the operator does without them.
            HealthInput::Unreadable
        } else {
            HealthInput::Unobserved
        };
        // This command sends no probes, so it takes what the operator has learned.
        let identified = if self.live { toolset::hold::identified(&self.config) } else { BTreeMap::new() };
        let (outcome, trace) = pipeline::run_with_trace(pipeline::Input {
            config: &self.config,
            cluster_domain,
            index: &self.index,
            admits: None,
            remembered: Some(&|key| identified.get(key).cloned()),
            health,
            legacy_overrides: data.and_then(|data| data.get(LEGACY_OVERRIDES_KEY)).map(String::as_str),
            base: refused.as_deref().map(Base::Missing).or_else(|| self.base()),
            previous: data.and_then(|data| data.get(&*grafana_key(&self.config))).map(|text| Earlier {
                text,
                is_loaded: false,
                elsewhere: Some(const { &Elsewhere::new() }),
                unseen: &|_| false,
            }),
        });
        Planned { trace, plan: outcome.plan, rendered: outcome.rendered }
    }

    /// The user's own toolsets, if the ToolsetConfig names any.
    fn base(&self) -> Option<Base<'_>> {
        let spec = self.config.spec.output.used_base()?;
        let found = self.base_config_map();
        let text = found.and_then(|found| found.data.as_ref()).and_then(|data| data.get(&spec.key));
        let missing = match (found, self.live) {
            (None, true) => "the cluster does not have this ConfigMap",
            (None, false) => "the input does not contain this ConfigMap",
            (Some(_), _) => "the ConfigMap does not have this key",
        };
        Some(text.map_or(Base::Missing(missing), |text| Base::Text(text)))
    }

    fn base_config_map(&self) -> Option<&ConfigMap> {
        self.config_map(&self.config.spec.output.used_base()?.config_map_name)
    }

    /// The namespace and the name of the ToolsetConfig, as messages write them.
    pub(crate) fn config_name(&self) -> String {
        format!("{}/{}", self.config.namespace().unwrap_or_default(), self.config.name_any())
    }

    /// A ConfigMap in the namespace of the ToolsetConfig.
    pub(crate) fn config_map(&self, name: &str) -> Option<&ConfigMap> {
        let namespace = self.config.namespace().unwrap_or_default();
        self.config_maps.get(&(namespace, name.to_owned()))
    }
}

/// What shows who owns a ConfigMap.
pub(crate) fn ownership_of(found: &ConfigMap) -> ConfigMapView {
    let owners = found.metadata.owner_references.as_deref().unwrap_or_default();
    let controller = owners.iter().find(|owner| owner.controller == Some(true));
    ConfigMapView {
        labels: found.metadata.labels.clone().unwrap_or_default(),
        controller: controller.map(|owner| Owner {
            kind: owner.kind.clone(),
            name: owner.name.clone(),
            uid: owner.uid.clone(),
        }),
        ..ConfigMapView::default()
    }
}

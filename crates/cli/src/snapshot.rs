//! The objects that a command reads, and the plan that the operator's code makes from them.

use std::{collections::BTreeMap, time::Duration};

use crd_types::{NamespaceSelection, NamespacesFrom, Source, ToolsetConfig, ToolsetConfigSpec, Trust};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use toolset::{
    Base, Context, HealthReport, HealthStage, Index, Plan, Rendered, Selection, in_output, plan,
    render::{self, DATA_KEYS},
    select,
};

/// The data key in which users of the Dynamic Toolset Service keep their overrides.
const LEGACY_OVERRIDES_KEY: &str = "overrides.yaml";

/// The objects that a command reads.
pub struct Snapshot {
    /// Services, EndpointSlices and Namespaces.
    pub index: Index,
    /// The ToolsetConfig, or `default_config()` if there is none.
    pub config: ToolsetConfig,
    /// Whether the user or the cluster has a ToolsetConfig.
    pub config_given: bool,
    /// ConfigMaps by namespace and name.
    pub config_maps: BTreeMap<(String, String), ConfigMap>,
    /// Whether EndpointSlices are known. Without them, health is unknown.
    pub slices_known: bool,
    /// Whether the objects come from a cluster.
    pub live: bool,
    /// The namespace of a Service that the user names without a namespace.
    pub default_namespace: String,
    /// Notes about the input for the user.
    pub notes: Vec<String>,
}

/// The plan and the steps before it.
pub struct Planned {
    /// Every candidate, before health, overrides and ranking.
    pub selection: Selection,
    /// The health of the candidates.
    pub health: HealthReport,
    /// The plan.
    pub plan: Plan,
}

/// The ToolsetConfig that is used if there is none. It trusts all namespaces.
pub fn default_config() -> ToolsetConfig {
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
    /// The context for the operator's code.
    pub fn context<'a>(&'a self, cluster_domain: &'a str) -> Context<'a> {
        Context { config: &self.config, cluster_domain }
    }

    /// Makes the plan as the operator does.
    pub fn plan(&self, cluster_domain: &str) -> Planned {
        let ctx = self.context(cluster_domain);
        let selection = select(&ctx, &self.index);
        let output = self.config_map(&self.config.spec.output.config_map_name);
        let data = output.and_then(|output| output.data.as_ref());
        let health = if self.slices_known {
            let texts = data.into_iter().flatten().filter(|(key, _)| DATA_KEYS.contains(&key.as_str()));
            let present = in_output(texts.map(|(_, text)| text.as_str()), cluster_domain);
            HealthStage::default().judge(Duration::ZERO, &self.config.spec.health, &selection, &self.index, &present)
        } else {
            HealthReport::unknown()
        };
        let legacy = data.and_then(|data| data.get(LEGACY_OVERRIDES_KEY)).map(String::as_str);
        let plan = plan(&ctx, &self.index, selection.clone(), &health, legacy);
        Planned { selection, health, plan }
    }

    /// Renders the data of the ConfigMap. Tools that do not fit are removed from the plan.
    pub fn render(&self, cluster_domain: &str, plan: &mut Plan) -> Rendered {
        let ctx = self.context(cluster_domain);
        let Some(spec) = &self.config.spec.output.base else {
            return render::render(&ctx, plan, None);
        };
        let found = self.config_map(&spec.config_map_name);
        let text = found.and_then(|found| found.data.as_ref()).and_then(|data| data.get(&spec.key));
        let missing = match (found, self.live) {
            (None, true) => "the cluster does not have this ConfigMap",
            (None, false) => "the input does not contain this ConfigMap",
            (Some(_), _) => "the ConfigMap does not have this key",
        };
        render::render(&ctx, plan, Some(text.map_or(Base::Missing(missing), |text| Base::Text(text))))
    }

    /// The namespace and the name of the ToolsetConfig, as messages write them.
    pub fn config_name(&self) -> String {
        format!("{}/{}", self.config.namespace().unwrap_or_default(), self.config.name_any())
    }

    /// A ConfigMap in the namespace of the ToolsetConfig.
    fn config_map(&self, name: &str) -> Option<&ConfigMap> {
        let namespace = self.config.namespace().unwrap_or_default();
        self.config_maps.get(&(namespace, name.to_owned()))
    }
}

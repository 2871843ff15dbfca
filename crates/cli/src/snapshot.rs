//! The objects that a command works on, wherever they came from, and what the operator's own code makes of them.

use std::{collections::BTreeMap, time::Duration};

use crd_types::{NamespaceSelection, NamespacesFrom, Source, ToolsetConfig, ToolsetConfigSpec, Trust};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use toolset::{
    Base, Context, HealthReport, HealthStage, Index, Plan, Rendered, Selection, in_output, plan,
    render::{self, DATA_KEYS},
    select,
};

/// The key under which users of the predecessor keep their overrides.
const LEGACY_OVERRIDES_KEY: &str = "overrides.yaml";

/// The objects.
pub struct Snapshot {
    /// Services, EndpointSlices and Namespaces.
    pub index: Index,
    /// The ToolsetConfig; `assumed()` if none was given.
    pub config: ToolsetConfig,
    /// Whether a ToolsetConfig was given.
    pub config_given: bool,
    /// By namespace and name.
    pub config_maps: BTreeMap<(String, String), ConfigMap>,
    /// Whether EndpointSlices are known, so that health can be judged.
    pub slices_known: bool,
    /// Whether all this comes from a cluster, so that the status is the operator's.
    pub live: bool,
    /// The namespace of a Service that is named without one.
    pub default_namespace: String,
    /// What the user should know about the input.
    pub notes: Vec<String>,
}

/// What became of the Services.
pub struct Planned {
    /// Every candidate, before health, overrides and ranking.
    pub selection: Selection,
    /// What is known of their health.
    pub health: HealthReport,
    /// The plan.
    pub plan: Plan,
}

/// What is assumed where no ToolsetConfig is given: one source, Trusted, all namespaces.
pub fn assumed() -> ToolsetConfig {
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
    /// What the operator's code is called with.
    pub fn context<'a>(&'a self, cluster_domain: &'a str) -> Context<'a> {
        Context { config: &self.config, cluster_domain }
    }

    /// Selection, health and plan, as the operator makes them.
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

    /// The files of the ConfigMap. What does not fit is cut from the plan too.
    pub fn render(&self, cluster_domain: &str, plan: &mut Plan) -> Rendered {
        let ctx = self.context(cluster_domain);
        let Some(spec) = &self.config.spec.output.base else {
            return render::render(&ctx, plan, None);
        };
        let found = self.config_map(&spec.config_map_name);
        let text = found.and_then(|found| found.data.as_ref()).and_then(|data| data.get(&spec.key));
        let missing = match (found, self.live) {
            (None, true) => "the cluster has no such ConfigMap",
            (None, false) => "the input has no such ConfigMap",
            (Some(_), _) => "the ConfigMap has no such key",
        };
        render::render(&ctx, plan, Some(text.map_or(Base::Missing(missing), |text| Base::Text(text))))
    }

    /// A ConfigMap of the ToolsetConfig's namespace.
    fn config_map(&self, name: &str) -> Option<&ConfigMap> {
        let namespace = self.config.namespace().unwrap_or_default();
        self.config_maps.get(&(namespace, name.to_owned()))
    }
}

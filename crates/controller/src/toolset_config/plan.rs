//! Runs the pipeline on the known state.

use std::{
    cell::LazyCell,
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant as WallInstant},
};

use crd_types::ToolsetConfig;
use detectors::ServiceKey;
use tokio::time::Instant;
use toolset::{
    Plan, Rendered,
    config_map::{LEGACY_OVERRIDES_KEY, Manifest, refused_as_base},
    hold::{self, Data, Reduced},
    pipeline::{self, HealthInput, Input},
    render::{self, Base},
};

use super::{gate::GateDecision, memory::Memory};
use crate::{
    api::NamespacedName,
    cluster::{Cluster, ConfigMapState},
};

/// A plan and its bytes.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    /// The planned content of the ConfigMap.
    pub(super) rendered: Rendered,
    /// After how long a grace period ends.
    pub(super) recheck_in: Option<Duration>,
    /// How long it took.
    pub(super) took: Duration,
}

/// Plans and renders one ToolsetConfig. It only reads the index, and delays a watch only while the plan is made.
pub(super) fn plan(
    cluster: &Cluster,
    cluster_domain: &str,
    config: &ToolsetConfig,
    existing: &ConfigMapState,
    memory: &mut Memory,
    gate: &GateDecision,
    now: Instant,
) -> Planned {
    let began = WallInstant::now();
    let applied = memory.applied.clone();
    let in_output = LazyCell::new(|| services_in_output(cluster, cluster_domain, config, existing, applied.as_ref()));
    memory.clocks.set(now, &gate.frozen);
    let clocks = &memory.clocks;
    let known =
        LazyCell::new(|| in_output.iter().cloned().chain(hold::planned_before(config)).collect::<BTreeSet<_>>());
    let admits = |key: &ServiceKey| gate.admits_new_from(&key.namespace) || known.contains(key);
    let legacy_overrides = existing.view.as_ref().and_then(|view| view.data.get(LEGACY_OVERRIDES_KEY));
    let base = BaseText::of(cluster, config);
    let before = last_output(existing, applied.as_ref());
    let outcome = pipeline::run(Input {
        config,
        cluster_domain,
        index: &cluster.index(),
        admits: gate.holds_new().then_some(&admits),
        health: HealthInput::Observed {
            stage: &mut memory.health,
            time: &|namespace| clocks.time(now, namespace),
            in_output: &|| in_output.clone(),
        },
        legacy_overrides: legacy_overrides.map(|text| &**text),
        base: base.as_ref().map(BaseText::as_base),
        previous: before.get(&*render::grafana_key(config)).map(|text| &**text),
    });
    Planned { plan: outcome.plan, rendered: outcome.rendered, recheck_in: outcome.recheck_in, took: began.elapsed() }
}

/// The output as this process last applied it in this term, or else as the ConfigMap is. An edit by somebody else does
/// not change it. A key that only looks like a variable of the format Environment is not part of it.
pub(super) fn last_output(existing: &ConfigMapState, applied: Option<&Manifest>) -> Data {
    let mut data = existing.view.as_ref().map(|view| view.data.clone()).unwrap_or_default();
    let files = [render::HOLMESGPT_KEY, render::TOOLSET_JSON_KEY];
    data.retain(|key, _| {
        !render::is_of_a_format(key) || files.contains(&key.as_str()) || existing.owned.data.contains(key)
    });
    if let Some(applied) = applied {
        data.retain(|key, _| !render::is_of_a_format(key));
        data.extend(applied.data().iter().map(|(key, text)| (key.clone().into_owned(), Arc::clone(text))));
    }
    data
}

/// Which Services are in the output. They are read from the ConfigMap, so a restart or a change of the leader does not
/// change them.
pub(super) fn services_in_output(
    cluster: &Cluster,
    cluster_domain: &str,
    config: &ToolsetConfig,
    existing: &ConfigMapState,
    applied: Option<&Manifest>,
) -> BTreeSet<ServiceKey> {
    let base = match BaseText::of(cluster, config) {
        Some(BaseText::Text(text)) => Some(text),
        Some(BaseText::Missing(_)) | None => None,
    };
    hold::services(config, cluster_domain, &last_output(existing, applied), base.as_deref())
}

/// The output without the tools that the spec excludes. It needs no index. The error names the tool that cannot be read
/// back.
pub(super) fn reduce(
    cluster: &Cluster,
    cluster_domain: &str,
    config: &ToolsetConfig,
    existing: &ConfigMapState,
    applied: Option<&Manifest>,
) -> Result<Reduced, String> {
    let base = BaseText::of(cluster, config);
    let data = last_output(existing, applied);
    hold::reduce(config, cluster_domain, &data, base.as_ref().map(BaseText::as_base))
}

/// The user's own toolsets, or why they cannot be read.
enum BaseText {
    Text(Arc<str>),
    Missing(String),
}

impl BaseText {
    fn of(cluster: &Cluster, config: &ToolsetConfig) -> Option<Self> {
        let base = config.spec.output.used_base()?;
        let name = NamespacedName::of(config).sibling(&base.config_map_name);
        let view = cluster.config_maps.get(&name).and_then(|state| state.view);
        Some(match view {
            None => Self::Missing(format!("ConfigMap {} does not exist", base.config_map_name)),
            Some(view) => match (refused_as_base(&view), view.data.get(&base.key)) {
                (Some(why), _) => Self::Missing(why),
                (None, Some(text)) => Self::Text(text.clone()),
                (None, None) => Self::Missing(format!("ConfigMap {} has no key {}", base.config_map_name, base.key)),
            },
        })
    }

    fn as_base(&self) -> Base<'_> {
        match self {
            Self::Text(text) => Base::Text(text),
            Self::Missing(why) => Base::Missing(why),
        }
    }
}

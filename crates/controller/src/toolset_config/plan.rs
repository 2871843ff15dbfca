//! Runs the pipeline on the known state.

use std::{
    cell::LazyCell,
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant as WallInstant},
};

use crd_types::{OutputFormat, ToolsetConfig};
use detectors::ServiceKey;

use tokio::time::Instant;
use toolset::{
    config_map::{LEGACY_OVERRIDES_KEY, Manifest, refused_as_base},
    hold::{self, Data, Reduced},
    pipeline::{self, HealthInput, Input},
    render::{self, Base, Earlier, Elsewhere, VARIABLES, grafana_datasources, grafana_key},
    status::Input as WatchedInput,
};

use super::{gate::GateDecision, memory::Memory, outcome::Planned, pods::Unanswered};
use crate::{
    api::NamespacedName,
    cluster::{Cluster, ConfigMapState},
};

/// How long a file must have been in the ConfigMap until every Grafana that runs has loaded it. The sidecar of Grafana's
/// chart sees a change at once, or after a minute if it polls.
const LOADED_AFTER: Duration = Duration::from_secs(300);

/// Plans and renders one ToolsetConfig. It only reads the index, and delays a watch only while the plan is made.
pub(super) fn plan(
    cluster: &Cluster,
    cluster_domain: &str,
    config: &ToolsetConfig,
    existing: &ConfigMapState,
    memory: &mut Memory,
    (gate, unanswered): (&GateDecision, Unanswered),
    now: Instant,
) -> Planned {
    let began = WallInstant::now();
    let applied = memory.applied.clone();
    let in_output = LazyCell::new(|| services_in_output(cluster, cluster_domain, config, existing, applied.as_ref()));
    let (before, elsewhere) = (last_output(existing, applied.as_ref()), elsewhere(cluster, config));
    let file = before.get(&*grafana_key(config));
    let loaded_in = file.map(|text| (memory.file_since(text, now) + LOADED_AFTER).saturating_duration_since(now));
    let watched = &cluster.scope.watch_namespaces;
    let unseen = |namespace: &str| {
        let held = gate.inputs.held_namespaces.get(namespace);
        held.is_some_and(|(input, _)| *input == WatchedInput::Service)
            || !watched.is_empty() && !watched.iter().any(|one| one == namespace)
    };
    memory.clocks.set(now, &gate.frozen);
    let clocks = &memory.clocks;
    let known =
        LazyCell::new(|| in_output.iter().cloned().chain(hold::planned_before(config)).collect::<BTreeSet<_>>());
    let (waiting, until) = memory.pods.new_that_wait(unanswered, |key| known.contains(key), now);
    let admits =
        |key: &ServiceKey| (gate.admits_new_from(&key.namespace) || known.contains(key)) && !waiting.contains(key);
    let entries = memory.pods.entries(|| {
        let base = base_text(cluster, config);
        hold::remembered(config, cluster_domain, &before, base.as_deref())
    });
    let remembered = |key: &ServiceKey| entries.get(key).cloned();
    let (term, name) = (memory.term, NamespacedName::of(config));
    let probed = |key: &ServiceKey| cluster.probes.state(term, &name, key);
    let legacy_overrides = existing.view.as_ref().and_then(|view| view.data.get(LEGACY_OVERRIDES_KEY));
    let base = BaseText::of(cluster, config);
    let outcome = pipeline::run(Input {
        config,
        cluster_domain,
        index: &cluster.index(),
        admits: (gate.holds_new() || !waiting.is_empty()).then_some(&admits),
        remembered: (!entries.is_empty()).then_some(&remembered),
        health: HealthInput::Observed {
            stage: &mut memory.health,
            time: &|namespace| clocks.time(now, namespace),
            in_output: &|| in_output.clone(),
            probed: Some(&probed),
        },
        legacy_overrides: legacy_overrides.map(|text| &**text),
        base: base.as_ref().map(BaseText::as_base),
        previous: file.map(|text| Earlier {
            text,
            is_loaded: loaded_in.is_some_and(|time| time.is_zero()),
            elsewhere: elsewhere.as_ref(),
            unseen: &unseen,
        }),
    });
    let next_file = loaded_in.filter(|_| outcome.rendered.waits);
    let next_service = until.map(|until| until.saturating_duration_since(now));
    let recheck_in = outcome.recheck_in.into_iter().chain(next_file).chain(next_service).min();
    Planned { plan: outcome.plan, rendered: outcome.rendered, recheck_in, took: began.elapsed() }
}

/// The output as this process last applied it in this term, or else as the ConfigMap is. An edit by somebody else does
/// not change it. A key that only looks like a variable of the format Environment is not part of it. The file for Grafana
/// is part of it even if somebody else wrote it last, because only names of its own form are read from it.
pub(super) fn last_output(existing: &ConfigMapState, applied: Option<&Manifest>) -> Data {
    let mut data = existing.view.as_ref().map(|view| view.data.clone()).unwrap_or_default();
    data.retain(|key, _| !VARIABLES.contains(&key.as_str()) || existing.owned.data.contains(key));
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
    let base = base_text(cluster, config);
    hold::services(config, cluster_domain, &last_output(existing, applied), base.as_deref())
}

/// The user's own toolsets, if they can be read.
fn base_text(cluster: &Cluster, config: &ToolsetConfig) -> Option<Arc<str>> {
    match BaseText::of(cluster, config) {
        Some(BaseText::Text(text)) => Some(text),
        Some(BaseText::Missing(_)) | None => None,
    }
}

/// What the other ToolsetConfigs keep in Grafana. `None` if not all of their files are known.
fn elsewhere(cluster: &Cluster, config: &ToolsetConfig) -> Option<Elsewhere> {
    if !config.spec.output.writes(OutputFormat::GrafanaDatasources) {
        return Some(Elsewhere::new());
    }
    kept_by(&cluster.toolset_configs.all(), config, |name| cluster.config_maps.get(name))
}

/// What those of `all` except `config` keep in Grafana. `None` if one of their ConfigMaps is not known.
fn kept_by(
    all: &[Arc<ToolsetConfig>],
    config: &ToolsetConfig,
    config_map: impl Fn(&NamespacedName) -> Option<ConfigMapState>,
) -> Option<Elsewhere> {
    let (own, mut elsewhere) = (NamespacedName::of(config), Elsewhere::new());
    for other in all {
        let name = NamespacedName::of(&**other);
        if name == own || !other.spec.output.writes(OutputFormat::GrafanaDatasources) {
            continue;
        }
        let state = config_map(&name.sibling(&other.spec.output.config_map_name))?;
        if let Some(text) = state.view.as_ref().and_then(|view| view.data.get(&*grafana_key(other))) {
            grafana_datasources::add_elsewhere(&mut elsewhere, other, text);
        }
    }
    Some(elsewhere)
}

/// The output without the tools that the spec excludes. It needs no index. The error names what cannot be read back.
pub(super) fn reduce(
    cluster: &Cluster,
    cluster_domain: &str,
    config: &ToolsetConfig,
    existing: &ConfigMapState,
    applied: Option<&Manifest>,
) -> Result<Reduced, String> {
    let base = BaseText::of(cluster, config);
    let data = last_output(existing, applied);
    if config.spec.output.writes(OutputFormat::Environment) && applied.is_none() {
        let keys = existing.view.iter().flat_map(|view| view.data.keys());
        let mut foreign = keys.filter(|key| VARIABLES.contains(&key.as_str()) && !data.contains_key(*key));
        if let Some(key) = foreign.next() {
            return Err(format!("{key}, which another field manager wrote last,"));
        }
    }
    hold::reduce(
        config,
        cluster_domain,
        &data,
        base.as_ref().map(BaseText::as_base),
        elsewhere(cluster, config).as_ref(),
    )
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

#[cfg(test)]
mod tests {
    use toolset::config_map::ConfigMapView;

    use super::*;
    use crate::cluster::{Scope, ToolsetConfigs};

    fn config(format: &str) -> ToolsetConfig {
        let object = serde_json::json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": "c", "namespace": "n", "uid": "c"},
            "spec": {
                "sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}],
                "output": {"formats": [format]},
            },
        });
        serde_json::from_value(object).unwrap()
    }

    /// A ConfigMap with a key of somebody else.
    fn with_foreign(key: &str, text: &str) -> ConfigMapState {
        let data = [(key.to_owned(), Arc::from(text))].into();
        let mut state = ConfigMapState::default();
        state.view = Some(Arc::new(ConfigMapView { data, ..ConfigMapView::default() }));
        state
    }

    #[test]
    fn the_file_for_grafana_is_read_even_if_somebody_else_wrote_it_last_and_a_variable_is_not() {
        let file = with_foreign("toolset-operator.n.c.yaml", "x");
        assert_eq!(last_output(&file, None).len(), 1);
        assert_eq!(last_output(&with_foreign("LOKI_URL", "x"), None).len(), 0);
    }

    #[test]
    fn a_variable_that_somebody_else_wrote_last_cannot_be_read_back() {
        let cluster = Cluster::new(Scope::default(), ToolsetConfigs::new().0);
        let reduced = |config: &ToolsetConfig, existing: &ConfigMapState| {
            reduce(&cluster, toolset::DEFAULT_CLUSTER_DOMAIN, config, existing, None)
        };
        let why = reduced(&config("Environment"), &with_foreign("LOKI_URL", "x")).unwrap_err();
        assert!(why.contains("LOKI_URL"), "{why}");
        assert!(reduced(&config("Environment"), &with_foreign("other", "x")).is_ok());
        assert!(reduced(&config("HolmesGPT"), &with_foreign("LOKI_URL", "x")).is_ok());
    }

    #[test]
    fn what_others_keep_in_grafana_is_not_known_before_their_config_maps_are() {
        let own = config("GrafanaDatasources");
        let mut other = own.clone();
        other.metadata.name = Some("other".to_owned());
        let file = "datasources: [{name: a/b (discovered)}]";
        let known = with_foreign("toolset-operator.n.other.yaml", file);
        let expected = Elsewhere::from([("a/b (discovered)".to_owned(), "n/other".to_owned())]);
        let both = [Arc::new(own.clone()), Arc::new(other)];
        assert_eq!(kept_by(&both, &own, |_| Some(known.clone())), Some(expected));
        assert_eq!(kept_by(&both, &own, |_| None), None);
        assert_eq!(kept_by(&both[..1], &own, |_| None), Some(Elsewhere::new()), "it is the only one");
    }
}

//! Judges the health of tools. This is the only stage with a clock.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::{HealthEffect, HealthMode};
use detectors::{ServiceKey, ServiceType};

use crate::{index::Index, select::candidate::Selection};

/// What is known of a tool's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    /// At least one endpoint is serving and not terminating.
    Healthy,
    /// None is.
    Unhealthy,
    /// Not known: offline, with mode None, or for a Service of type ExternalName, which has no endpoints.
    #[default]
    Unknown,
}

impl Health {
    /// As the status spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
            Self::Unknown => "Unknown",
        }
    }
}

/// The health of one tool, and what follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ToolHealth {
    /// Its health.
    pub health: Health,
    /// Whether it stays out of the output.
    pub withheld: bool,
}

/// The health of all chosen Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// By Service. A Service that is not here is `Unknown` and not withheld.
    pub tools: BTreeMap<ServiceKey, ToolHealth>,
    /// After how long the next grace period ends. Judge again then.
    pub recheck_in: Option<Duration>,
}

impl HealthReport {
    /// Nothing is known, as offline.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// The health of one Service's tool.
    pub fn of(&self, key: &ServiceKey) -> ToolHealth {
        self.tools.get(key).copied().unwrap_or_default()
    }
}

/// The time on the clock of one namespace. It is any monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HealthTime {
    /// Now.
    pub now: Duration,
    /// Whether the clock stands still, because the inputs of the namespace cannot be seen.
    pub frozen: bool,
}

/// Remembers since when tools in the output are without a usable endpoint. One per `ToolsetConfig`.
///
/// The caller reads from the `ConfigMap` which tools are in the output. So a restart forgets only how much of a grace
/// period has passed. The period starts again, and no tool leaves early.
#[derive(Clone, Debug, Default)]
pub struct HealthStage {
    down_since: BTreeMap<ServiceKey, Duration>,
}

impl HealthStage {
    /// Judges every chosen Service. `time` reads the clock of a namespace, the same one at each call.
    ///
    /// A tool that is not in the output enters when it is healthy. A tool that is in it leaves after
    /// `withholdAfterSeconds` without a usable endpoint. With effect Report no tool is withheld.
    pub fn judge(
        &mut self,
        time: &dyn Fn(&str) -> HealthTime,
        spec: &crd_types::Health,
        selection: &Selection,
        index: &Index,
        in_output: &dyn Fn() -> BTreeSet<ServiceKey>,
    ) -> HealthReport {
        if spec.mode == HealthMode::None {
            self.down_since.clear();
            return HealthReport::unknown();
        }
        let grace = Duration::from_secs(u64::try_from(spec.withhold_after_seconds).unwrap_or_default());
        let mut report = HealthReport::default();
        let mut down = BTreeMap::new();
        let in_output = LazyCell::new(in_output);
        for key in selection.awaiting_health() {
            let alias =
                index.service(key).is_some_and(|service| service.view.service_type == ServiceType::ExternalName);
            let health = match index.readiness(key).serving {
                true => Health::Healthy,
                false if alias => Health::Unknown,
                false => Health::Unhealthy,
            };
            let mut withheld = false;
            if health == Health::Unhealthy && spec.effect == HealthEffect::Withhold {
                withheld = true;
                if in_output.contains(key) {
                    let HealthTime { now, frozen } = time(&key.namespace);
                    let since = self.down_since.get(key).copied().unwrap_or(now);
                    let leaves_at = since + grace;
                    withheld = now >= leaves_at;
                    // Kept also after the grace period, because the tool stays in the output until that can be written.
                    down.insert(key.clone(), since);
                    if !withheld && !frozen {
                        let left = leaves_at.saturating_sub(now);
                        report.recheck_in = Some(report.recheck_in.map_or(left, |other| other.min(left)));
                    }
                }
            }
            report.tools.insert(key.clone(), ToolHealth { health, withheld });
        }
        self.down_since = down;
        report
    }
}

/// The Services that our `ConfigMap` names, read from the URLs in its generated keys.
///
/// It reads plain text, so it works for every format, also for the output of an older version.
pub fn in_output<'a>(data: impl IntoIterator<Item = &'a str>, cluster_domain: &str) -> BTreeSet<ServiceKey> {
    let suffix = format!(".svc.{cluster_domain}");
    let mut found = BTreeSet::new();
    for text in data {
        for (position, _) in text.match_indices("://") {
            let rest = &text[position + 3..];
            let host =
                rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '.')).next().unwrap_or_default();
            if let Some((name, namespace)) = host.strip_suffix(&suffix).and_then(|own| own.split_once('.')) {
                found.insert(ServiceKey::new(namespace, name));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SliceView,
        fixtures::{grafana, index, trusting_monitoring},
        select::{Context, select},
    };

    const DOMAIN: &str = "cluster.local";

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// A stage, an index with one Grafana, and what the output holds.
    struct Scene {
        stage: HealthStage,
        index: Index,
        spec: crd_types::Health,
        output: BTreeSet<ServiceKey>,
        frozen: bool,
    }

    impl Scene {
        fn new() -> Self {
            let index = index([grafana("monitoring", "grafana")]);
            Self {
                stage: HealthStage::default(),
                index,
                spec: crd_types::Health::default(),
                output: BTreeSet::new(),
                frozen: false,
            }
        }

        fn ready(&mut self, serving: bool) {
            let slice = SliceView {
                namespace: "monitoring".into(),
                name: "g".into(),
                service: "grafana".into(),
                serving,
                managed: true,
            };
            self.index.apply_slice(slice);
        }

        fn judge(&mut self, now: Duration) -> (ToolHealth, Option<Duration>) {
            let config = trusting_monitoring();
            let selection = select(&Context { config: &config, cluster_domain: DOMAIN }, &self.index);
            let time = |_: &str| HealthTime { now, frozen: self.frozen };
            let report = self.stage.judge(&time, &self.spec, &selection, &self.index, &|| self.output.clone());
            (report.of(&key()), report.recheck_in)
        }
    }

    fn key() -> ServiceKey {
        ServiceKey::new("monitoring", "grafana")
    }

    #[test]
    fn a_tool_enters_only_when_it_is_healthy() {
        let mut scene = Scene::new();
        assert_eq!(scene.judge(at(0)).0, ToolHealth { health: Health::Unhealthy, withheld: true });
        scene.ready(true);
        assert_eq!(scene.judge(at(1)).0, ToolHealth { health: Health::Healthy, withheld: false });
    }

    #[test]
    fn a_tool_in_the_output_leaves_after_its_grace_and_not_before() {
        let mut scene = Scene::new();
        scene.output.insert(key());
        assert_eq!(scene.judge(at(10)), (ToolHealth { health: Health::Unhealthy, withheld: false }, Some(at(120))));
        assert!(!scene.judge(at(129)).0.withheld);
        assert!(scene.judge(at(130)).0.withheld);
        assert!(scene.judge(at(131)).0.withheld, "also while the output could not be written yet");
    }

    #[test]
    fn recovery_in_between_starts_the_grace_anew() {
        let mut scene = Scene::new();
        scene.output.insert(key());
        scene.judge(at(0));
        scene.ready(true);
        assert_eq!(scene.judge(at(100)).1, None);
        scene.ready(false);
        assert_eq!(scene.judge(at(110)).1, Some(at(120)));
    }

    #[test]
    fn while_the_clock_stands_still_there_is_nothing_to_wait_for() {
        let mut scene = Scene::new();
        scene.output.insert(key());
        scene.frozen = true;
        assert_eq!(scene.judge(at(10)), (ToolHealth { health: Health::Unhealthy, withheld: false }, None));
        scene.frozen = false;
        assert_eq!(scene.judge(at(15)).1, Some(at(115)));
    }

    #[test]
    fn a_restart_takes_nothing_out_early() {
        let mut scene = Scene::new();
        scene.output.insert(key());
        scene.judge(at(0));
        scene.stage = HealthStage::default();
        assert!(!scene.judge(at(119)).0.withheld);
        assert!(scene.judge(at(239)).0.withheld);
    }

    #[test]
    fn with_effect_report_and_with_mode_none_nothing_is_withheld() {
        let mut scene = Scene::new();
        scene.spec.effect = HealthEffect::Report;
        assert_eq!(scene.judge(at(0)).0, ToolHealth { health: Health::Unhealthy, withheld: false });
        scene.spec.mode = HealthMode::None;
        assert_eq!(scene.judge(at(0)).0, ToolHealth { health: Health::Unknown, withheld: false });
    }

    #[test]
    fn the_output_is_read_from_the_endpoints_in_it() {
        let yaml = "prometheus_url: http://grafana.monitoring.svc.cluster.local:80/x\nurl: \"https://a.b.svc.cluster.local:443\"";
        let other = "http://grafana.com http://x.y.svc.other.domain:80 http://.svc.cluster.local";
        let found = in_output([yaml, other], DOMAIN);
        assert_eq!(found, BTreeSet::from([key(), ServiceKey::new("b", "a")]));
    }
}

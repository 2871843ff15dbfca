//! Runs the pure middle on what is known now, and times it.

use std::{collections::BTreeSet, time::Duration};

use crd_types::ToolsetConfig;
use tokio::time::Instant;
use toolset::{Base, Context, Plan, Rendered, in_output, plan as make_plan, render, render::DATA_KEYS, select};

use crate::{gate::Verdict, inputs::Cached, object::ObjectName, work::Work, world::World};

/// The key under which the predecessor's users wrote their overrides.
const LEGACY_OVERRIDES: &str = "overrides.yaml";

/// A plan and its bytes.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// What the ConfigMap is to hold.
    pub rendered: Rendered,
    /// When a grace period ends.
    pub recheck_at: Option<Instant>,
}

/// Plans one ToolsetConfig. Holds the index for as long as it takes: milliseconds at most.
pub fn plan(
    world: &World,
    config: &ToolsetConfig,
    name: &ObjectName,
    work: &mut Work,
    existing: &Cached,
    verdict: &Verdict,
    now: Instant,
) -> Planned {
    let ctx = Context { config, cluster_domain: &world.cluster_domain };
    let began = std::time::Instant::now();
    let index = world.index();
    let selection = select(&ctx, &index);
    let judging = std::time::Instant::now();
    // While nobody tells us about endpoints, time does not pass for health either.
    let health_now = world.since_start(verdict.health_stands_since.unwrap_or(now));
    let written = written(work, existing, &world.cluster_domain);
    let health = work.health.judge(health_now, &config.spec.health, &selection, &index, &written);
    let judged = judging.elapsed();
    let legacy = existing.view.as_ref().and_then(|view| view.data.get(LEGACY_OVERRIDES)).map(String::as_str);
    let mut plan = make_plan(&ctx, &index, selection, &health, legacy);
    drop(index);
    let base = base(world, config, name);
    let rendered = render(&ctx, &mut plan, base.as_ref().map(BaseText::as_base));
    world.metrics.planned(name, &plan, rendered.bytes, began.elapsed(), judged);
    let recheck_at = health.recheck_at.filter(|_| verdict.health_stands_since.is_none()).map(|at| world.at(at));
    Planned { plan, rendered, recheck_at }
}

/// Which Services are in the output: read from the ConfigMap, so that a restart or a change of leader changes nothing; from
/// memory while the ConfigMap is gone.
fn written(work: &Work, existing: &Cached, cluster_domain: &str) -> BTreeSet<detectors::ServiceKey> {
    let text = |key: &&str| match (&existing.view, &work.applied) {
        (Some(view), _) => view.data.get(*key).map(String::as_str),
        (None, applied) => applied.as_ref()?.get("data")?.get(*key)?.as_str(),
    };
    in_output(DATA_KEYS.iter().filter_map(text), cluster_domain)
}

enum BaseText {
    Text(String),
    Missing(String),
}

impl BaseText {
    fn as_base(&self) -> Base<'_> {
        match self {
            Self::Text(text) => Base::Text(text),
            Self::Missing(why) => Base::Missing(why),
        }
    }
}

/// The user's own toolsets.
fn base(world: &World, config: &ToolsetConfig, name: &ObjectName) -> Option<BaseText> {
    let base = config.spec.output.base.as_ref()?;
    let source = ObjectName { name: base.config_map_name.as_str().into(), ..name.clone() };
    let view = world.config_maps.get(&source).and_then(|cached| cached.view);
    Some(match view {
        None => BaseText::Missing(format!("ConfigMap {} does not exist", base.config_map_name)),
        Some(view) => match view.data.get(&base.key) {
            Some(text) => BaseText::Text(text.clone()),
            None => BaseText::Missing(format!("ConfigMap {} has no key {}", base.config_map_name, base.key)),
        },
    })
}

/// The clock of the health stage counts from the start of the process.
impl World {
    fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    fn at(&self, since_start: Duration) -> Instant {
        self.started + since_start
    }
}

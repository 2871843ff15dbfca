//! Judges the health of tools, and whether the EndpointSlices of Tenants are trustworthy. This is the only stage with a
//! clock.

use std::{
    cell::LazyCell,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::{HealthEffect, HealthMode};
use detectors::{ServiceKey, ServiceType};

mod probe;

pub use self::probe::{HealthAsk, ProbeFailure, ProbeFailureReason, ProbeRemark, Probed};
use crate::{
    index::{Index, SliceOwner},
    select::candidate::Selection,
};

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolHealth {
    /// Its health.
    pub health: Health,
    /// Why it stays out of the output, if it does.
    pub withheld: Option<Withheld>,
    /// What its owner should know about its probes.
    pub probe: Option<ProbeRemark>,
}

/// Why a tool stays out of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// None of its endpoints is serving, or its probes fail.
    Unhealthy,
    /// It has not been probed often enough.
    Unprobed,
    /// No EndpointSlice is known that belongs to this Service.
    NoSlices,
    /// Its EndpointSlices have just changed.
    NewSlices,
}

/// The health of all chosen Services.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// By Service. A Service that is not here is `Unknown` and not withheld.
    pub tools: BTreeMap<ServiceKey, ToolHealth>,
    /// After how long the next grace period or wait ends. Judge again then.
    pub recheck_in: Option<Duration>,
}

impl HealthReport {
    /// Nothing is known, as offline.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// EndpointSlices cannot be read: nothing is known, and what needs EndpointSlices of its own waits for them.
    pub fn without_slices(selection: &Selection) -> Self {
        let waiting = || ToolHealth { withheld: Some(Withheld::NoSlices), ..ToolHealth::default() };
        let waits = selection.chosen().filter(|candidate| candidate.needs_slices_of.is_some());
        Self { tools: waits.map(|candidate| (candidate.key.clone(), waiting())).collect(), recheck_in: None }
    }

    /// The health of one Service's tool.
    pub fn of(&self, key: &ServiceKey) -> ToolHealth {
        self.tools.get(key).cloned().unwrap_or_default()
    }

    /// Asks for a new judgement at this time. While the clock stands still, there is nothing to wait for.
    fn recheck(&mut self, at: Duration, HealthTime { now, frozen }: HealthTime) {
        if !frozen {
            let left = at.saturating_sub(now);
            self.recheck_in = Some(self.recheck_in.map_or(left, |other| other.min(left)));
        }
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

/// How long the EndpointSlices of a Tenant's Service must be unchanged before it enters the output.
///
/// Everyone who can write EndpointSlices can make one that looks like the control plane's. The EndpointSlice controller
/// deletes or corrects it when it syncs the Service, which it does after every change of a slice, within a second or
/// two. With this wait, the controller acts first, even if it is busy.
pub const SLICES_SETTLE: Duration = Duration::from_secs(5);

/// Remembers since when tools in the output are without a usable endpoint, and since when the EndpointSlices of
/// Tenants that are not in it are unchanged. One per `ToolsetConfig`.
///
/// The caller reads from the `ConfigMap` which tools are in the output. So a restart forgets only how much of a period
/// has passed. The period starts again, and no tool leaves early.
#[derive(Clone, Debug)]
pub struct HealthStage {
    down_since: BTreeMap<ServiceKey, Duration>,
    slices: BTreeMap<ServiceKey, KnownSlices>,
    settle: Duration,
}

/// The EndpointSlices of a Tenant's Service that is not in the output.
#[derive(Clone, Copy, Debug)]
struct KnownSlices {
    /// The number of their last change.
    change: u64,
    /// When that change was first seen.
    since: Duration,
    /// Whether they were unchanged for long enough once. Then the tool is on its way into the output.
    settled: bool,
}

impl Default for HealthStage {
    fn default() -> Self {
        Self { down_since: BTreeMap::new(), slices: BTreeMap::new(), settle: SLICES_SETTLE }
    }
}

impl HealthStage {
    /// A stage for a single plan, which cannot wait: EndpointSlices may have changed just now.
    pub fn without_waiting() -> Self {
        Self { settle: Duration::ZERO, ..Self::default() }
    }

    /// Judges the chosen candidates. `time` reads the clock of a namespace, the same one at each call.
    ///
    /// A tool that is not in the output enters when it is healthy. A tool that is in it leaves after
    /// `withholdAfterSeconds` without a usable endpoint. With effect Report no tool is withheld for its health, and
    /// with mode None health is not judged. Independently of these, a Tenant's tool needs EndpointSlices of its own,
    /// which were unchanged for [`SLICES_SETTLE`] when it enters.
    ///
    /// With mode Probe, `probed` returns what the probes of a Service show. Without it, mode Probe is the same as mode
    /// Endpoints.
    pub fn judge(
        &mut self,
        time: &dyn Fn(&str) -> HealthTime,
        spec: &crd_types::Health,
        (selection, index): (&Selection, &Index),
        in_output: &dyn Fn() -> BTreeSet<ServiceKey>,
        probed: Option<&dyn Fn(&ServiceKey) -> Probed>,
    ) -> HealthReport {
        let mut report = HealthReport::default();
        let in_output = LazyCell::new(in_output);
        let is_in_output = |key: &ServiceKey| in_output.contains(key);
        let (down, slices) = (std::mem::take(&mut self.down_since), std::mem::take(&mut self.slices));
        for candidate in selection.chosen() {
            let key = &candidate.key;
            let mut judged = ToolHealth::default();
            if spec.mode != HealthMode::None {
                judged.health = health(index, key);
                let probed = probed.filter(|_| spec.mode == HealthMode::Probe && judged.health == Health::Healthy);
                if let Some(probed) = probed {
                    judged = probe::judged(&probed(key), spec, || is_in_output(key));
                }
                if judged.health == Health::Unhealthy && spec.effect == HealthEffect::Withhold {
                    judged.withheld = Some(Withheld::Unhealthy);
                    if is_in_output(key) {
                        let time = time(&key.namespace);
                        let since = down.get(key).copied().unwrap_or(time.now);
                        judged.withheld = self.withheld_since(time, spec, key, since, &mut report);
                    }
                }
            }
            if let Some(uid) = candidate.needs_slices_of {
                let known = slices.get(key).copied();
                let time = time(&key.namespace);
                match self.awaited(time.now, (key, uid), known, index, &is_in_output) {
                    Awaited::Nothing => {}
                    // This explains why no endpoint is serving.
                    Awaited::Slices => judged.withheld = Some(Withheld::NoSlices),
                    Awaited::Until(_) if judged.withheld.is_some() => {}
                    Awaited::Until(at) => {
                        judged.withheld = Some(Withheld::NewSlices);
                        report.recheck(at, time);
                    }
                }
                if let Some(known) = self.slices.get_mut(key) {
                    known.settled &= judged.withheld.is_none();
                }
            }
            if judged != ToolHealth::default() {
                report.tools.insert(key.clone(), judged);
            }
        }
        report
    }

    /// Whether a tool in the output that has been without a usable endpoint `since` then is withheld.
    fn withheld_since(
        &mut self,
        time: HealthTime,
        spec: &crd_types::Health,
        key: &ServiceKey,
        since: Duration,
        report: &mut HealthReport,
    ) -> Option<Withheld> {
        // Kept also after the grace period, because the tool stays in the output until that can be written.
        self.down_since.insert(key.clone(), since);
        let leaves_at = since + Duration::from_secs(u64::try_from(spec.withhold_after_seconds).unwrap_or_default());
        if time.now >= leaves_at {
            return Some(Withheld::Unhealthy);
        }
        report.recheck(leaves_at, time);
        None
    }

    /// What a Tenant's tool has to wait for. `known` is what was known of its EndpointSlices before.
    fn awaited(
        &mut self,
        now: Duration,
        (key, uid): (&ServiceKey, u64),
        known: Option<KnownSlices>,
        index: &Index,
        is_in_output: &dyn Fn(&ServiceKey) -> bool,
    ) -> Awaited {
        let other = matches!(index.readiness(key).owner, SliceOwner::One(other) if other != uid);
        let Some(change) = index.slices_changed_at(key).filter(|_| !other) else { return Awaited::Slices };
        if is_in_output(key) {
            return Awaited::Nothing;
        }
        let mut known = known.filter(|known| known.settled || known.change == change).unwrap_or(KnownSlices {
            change,
            since: now,
            settled: false,
        });
        let enters_at = known.since + self.settle;
        known.settled |= now >= enters_at;
        self.slices.insert(key.clone(), known);
        if known.settled { Awaited::Nothing } else { Awaited::Until(enters_at) }
    }
}

/// What a Tenant's tool waits for.
enum Awaited {
    Nothing,
    /// EndpointSlices that belong to its Service.
    Slices,
    /// This time.
    Until(Duration),
}

fn health(index: &Index, key: &ServiceKey) -> Health {
    let alias = || index.service(key).is_some_and(|service| service.view.service_type == ServiceType::ExternalName);
    match index.readiness(key).serving {
        true => Health::Healthy,
        false if alias() => Health::Unknown,
        false => Health::Unhealthy,
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
mod tests;

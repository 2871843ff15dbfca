//! The gauges that sum up all plans. Each plan changes them by its difference to the previous plan, so the cost of a
//! plan does not depend on the number of ToolsetConfigs.

use std::{collections::BTreeMap, fmt::Debug, hash::Hash, sync::atomic::AtomicI64};

use crd_types::Reason;
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
};
use toolset::Plan;

use super::labels::{OfType, OfTypeAndHealth, WithReason};
use crate::api::NamespacedName;

pub(super) type Count = Gauge<i64, AtomicI64>;

/// The gauges over all plans.
#[derive(Debug, Default)]
pub(super) struct Gauges {
    pub(super) toolsetconfigs: Family<WithReason, Count>,
    pub(super) services_discovered: Family<OfType, Count>,
    pub(super) tools: Family<OfTypeAndHealth, Count>,
    pub(super) rejected_services: Family<WithReason, Count>,
    pub(super) configmap_bytes: Count,
}

/// What one plan adds to the gauges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Share {
    discovered: BTreeMap<OfType, i64>,
    tools: BTreeMap<OfTypeAndHealth, i64>,
    rejected: BTreeMap<WithReason, i64>,
    bytes: i64,
}

impl Share {
    fn of(plan: &Plan, bytes: usize) -> Self {
        let mut share = Self { bytes: number(bytes), ..Self::default() };
        for (product, count) in &plan.candidates {
            share.discovered.insert(OfType { r#type: product.as_str() }, number(*count));
        }
        for tool in &plan.tools {
            let labels = OfTypeAndHealth { r#type: tool.product.as_str(), health: tool.health.as_str() };
            *share.tools.entry(labels).or_default() += 1;
        }
        for rejection in &plan.rejected {
            *share.rejected.entry(WithReason { reason: rejection.reason.as_str() }).or_default() += 1;
        }
        share
    }
}

/// What each ToolsetConfig contributes to the gauges.
#[derive(Debug, Default)]
pub(super) struct Plans {
    shares: BTreeMap<NamespacedName, Share>,
    ready: BTreeMap<NamespacedName, Reason>,
}

impl Plans {
    /// Records a plan, which replaces the previous one.
    pub(super) fn planned(&mut self, gauges: &Gauges, name: &NamespacedName, plan: &Plan, bytes: usize) {
        let share = Share::of(plan, bytes);
        if self.shares.get(name) != Some(&share) {
            let old = self.shares.insert(name.clone(), share.clone()).unwrap_or_default();
            replace(gauges, &old, &share);
        }
    }

    /// Records the reason of a ToolsetConfig's Ready condition.
    pub(super) fn ready(&mut self, gauges: &Gauges, name: &NamespacedName, reason: Reason) {
        let old = self.ready.insert(name.clone(), reason);
        if old != Some(reason) {
            count_reason(gauges, old, Some(reason));
        }
    }

    /// Removes a ToolsetConfig that was deleted or cannot be read.
    pub(super) fn forget(&mut self, gauges: &Gauges, name: &NamespacedName) {
        if let Some(old) = self.shares.remove(name) {
            replace(gauges, &old, &Share::default());
        }
        if let Some(old) = self.ready.remove(name) {
            count_reason(gauges, Some(old), None);
        }
    }

    /// Removes all plans, because another replica leads and reports its own.
    pub(super) fn forget_all(&mut self, gauges: &Gauges) {
        let names: Vec<_> = self.shares.keys().chain(self.ready.keys()).cloned().collect();
        for name in &names {
            self.forget(gauges, name);
        }
    }
}

fn replace(gauges: &Gauges, old: &Share, new: &Share) {
    change(&gauges.services_discovered, &old.discovered, &new.discovered);
    change(&gauges.tools, &old.tools, &new.tools);
    change(&gauges.rejected_services, &old.rejected, &new.rejected);
    gauges.configmap_bytes.inc_by(new.bytes - old.bytes);
}

fn count_reason(gauges: &Gauges, old: Option<Reason>, new: Option<Reason>) {
    let labels = |reason: Option<Reason>| {
        reason.map(|reason| (WithReason { reason: reason.as_str() }, 1)).into_iter().collect::<BTreeMap<_, _>>()
    };
    change(&gauges.toolsetconfigs, &labels(old), &labels(new));
}

/// Changes the gauges by the difference. A series that falls to zero is removed.
fn change<L>(family: &Family<L, Count>, old: &BTreeMap<L, i64>, new: &BTreeMap<L, i64>)
where
    L: Clone + Debug + Hash + Ord + EncodeLabelSet,
{
    let names: Vec<&L> = old.keys().chain(new.keys().filter(|labels| !old.contains_key(*labels))).collect();
    for labels in names {
        let by = new.get(labels).copied().unwrap_or_default() - old.get(labels).copied().unwrap_or_default();
        if by != 0 && family.get_or_create(labels).inc_by(by) + by == 0 {
            family.remove(labels);
        }
    }
}

pub(super) fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

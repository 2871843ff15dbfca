//! What the worker of one ToolsetConfig waits for because of Pods, and what it remembers of what they showed.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::{ServiceReason, ToolsetConfig, Trust};
use detectors::ServiceKey;
use tokio::time::Instant;
use toolset::{
    Plan,
    select::{
        evidence::{each_question, each_wanted},
        remembered::Remembered,
    },
};

use crate::{api::fence::Term, cluster::Cluster};

/// How long the first write of a term waits for the answers about all Pods.
const FIRST_WRITE: Duration = Duration::from_secs(10);
/// How long a Service that is not in the output waits for the answers about its Pods.
const NEW_SERVICE: Duration = Duration::from_secs(1);
/// How long it waits for its own answer. A namespace gets one request per second, and after a change of the leader all of
/// its Services are asked again.
const NEW_SERVICE_ASKED: Duration = Duration::from_secs(60);

/// The Services that wait, and how long each may wait.
pub(super) type Unanswered = BTreeMap<ServiceKey, Duration>;

/// What is remembered during one term.
#[derive(Debug, Default)]
pub(super) struct PodMemory {
    /// Since when the first write waits.
    since: Option<Instant>,
    /// Whether the first write waits no more.
    has_begun: bool,
    /// The Services that wait, and since when.
    waiting: BTreeMap<ServiceKey, Instant>,
    /// The entries with something from Pods, as last planned. `None` before the first plan.
    entries: Option<BTreeMap<ServiceKey, Remembered>>,
}

/// The Services whose Pods are wanted for a ToolsetConfig and not read yet, or that are asked which product they are and
/// have not answered yet.
pub(super) fn unanswered(cluster: &Cluster, term: Term, config: &ToolsetConfig) -> Unanswered {
    let mut unanswered = BTreeMap::new();
    let index = cluster.index();
    let may_answer = |key: &ServiceKey| index.has_pods(key) || cluster.slices_are_pending(&key.namespace);
    if !cluster.pods.is_quiet(term) {
        each_wanted(config, &index, |service, _| {
            let key = &service.view.key;
            if cluster.pods.waits(term, key) && may_answer(key) {
                unanswered.insert(key.clone(), NEW_SERVICE);
            }
        });
    }
    if !cluster.probes.is_quiet(term) {
        each_question(config, &index, |question| {
            if cluster.probes.waits(term, &question) && may_answer(&question.key) {
                unanswered.insert(question.key, NEW_SERVICE_ASKED);
            }
        });
    }
    unanswered
}

/// The namespaces of Services of a ToolsetConfig in which the API server refuses to show Pods.
pub(super) fn unreadable(cluster: &Cluster, config: &ToolsetConfig) -> BTreeSet<String> {
    let refused = cluster.pods.refused();
    let mut unreadable = BTreeSet::new();
    if refused.is_empty() {
        return unreadable;
    }
    let index = cluster.index();
    each_wanted(config, &index, |service, _| {
        if let Some(namespace) = refused.get(&*service.view.key.namespace) {
            unreadable.insert(namespace.clone());
        }
    });
    unreadable
}

impl PodMemory {
    /// Until when the first write of the term waits at most. `None` if it does not wait, or no more.
    pub(super) fn first_write_waits(&mut self, unanswered: &Unanswered, now: Instant) -> Option<Instant> {
        if self.has_begun {
            return None;
        }
        let until = *self.since.get_or_insert(now) + FIRST_WRITE;
        if unanswered.is_empty() || now >= until {
            self.has_begun = true;
            return None;
        }
        for key in unanswered.keys() {
            self.waiting.entry(key.clone()).or_insert(now);
        }
        Some(until)
    }

    /// Those of the unanswered Services that cannot enter the output yet, and when the first of them can.
    pub(super) fn new_that_wait(
        &mut self,
        unanswered: Unanswered,
        is_in_output: impl Fn(&ServiceKey) -> bool,
        now: Instant,
    ) -> (BTreeSet<ServiceKey>, Option<Instant>) {
        self.waiting.retain(|key, _| unanswered.contains_key(key));
        let mut until = None;
        let mut waits = unanswered;
        waits.retain(|key, longest| {
            if is_in_output(key) {
                return false;
            }
            let at = *self.waiting.entry(key.clone()).or_insert(now) + *longest;
            if now < at {
                until = Some(until.map_or(at, |until: Instant| until.min(at)));
            }
            now < at
        });
        (waits.into_keys().collect(), until)
    }

    /// The entries with something from Pods. `read_back` reads them from the output, before the first plan.
    pub(super) fn entries(
        &mut self,
        read_back: impl FnOnce() -> BTreeMap<ServiceKey, Remembered>,
    ) -> &BTreeMap<ServiceKey, Remembered> {
        self.entries.get_or_insert_with(read_back)
    }

    /// Remembers what a plan has from Pods. What it has no entry for stays as it was, as long as the Service is there.
    pub(super) fn planned(&mut self, plan: &Plan, exists: impl Fn(&ServiceKey) -> bool) {
        let entries = self.entries.get_or_insert_default();
        entries.retain(|key, _| exists(key));
        // What a Service has answered before does not count for the program that has replaced it.
        for rejection in plan.rejected.iter().filter(|rejection| rejection.reason == ServiceReason::NotTheProduct) {
            entries.remove(&rejection.key);
        }
        for tool in plan.tools.iter().filter(|tool| tool.trust == Trust::Trusted) {
            let Some(key) = &tool.key else { continue };
            if tool.from_pods.is_any() || tool.from_identity.is_any() {
                let entry = Remembered {
                    product: tool.product,
                    endpoint: tool.endpoint.clone(),
                    confidence: tool.confidence,
                    from_pods: tool.from_pods,
                    from_identity: tool.from_identity,
                    identity: tool.identity.clone(),
                };
                entries.insert(key.clone(), entry);
            } else {
                entries.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn unanswered(names: &[&str]) -> Unanswered {
        names.iter().map(|name| (ServiceKey::new("n", *name), NEW_SERVICE)).collect()
    }

    fn keys(names: &[&str]) -> BTreeSet<ServiceKey> {
        names.iter().map(|name| ServiceKey::new("n", *name)).collect()
    }

    #[test]
    fn the_first_write_of_a_term_waits_for_all_answers_and_at_most_ten_seconds() {
        let now = Instant::now();
        let mut memory = PodMemory::default();
        assert_eq!(memory.first_write_waits(&unanswered(&["a"]), now), Some(now + FIRST_WRITE));
        assert_eq!(memory.first_write_waits(&unanswered(&["a"]), now + SECOND), Some(now + FIRST_WRITE));
        assert_eq!(memory.first_write_waits(&unanswered(&["a"]), now + FIRST_WRITE), None);
        assert_eq!(memory.first_write_waits(&unanswered(&["a", "b"]), now + FIRST_WRITE), None, "only once");
        assert_eq!(PodMemory::default().first_write_waits(&unanswered(&[]), now), None);
    }

    #[test]
    fn a_new_service_waits_for_a_second_and_one_in_the_output_does_not() {
        let now = Instant::now();
        let mut memory = PodMemory::default();
        let mut waits =
            |names: &[&str], now: Instant| memory.new_that_wait(unanswered(names), |key| &*key.name == "old", now);
        assert_eq!(waits(&["old", "new"], now), (keys(&["new"]), Some(now + SECOND)));
        let half = now + SECOND / 2;
        assert_eq!(waits(&["old", "new", "newer"], half), (keys(&["new", "newer"]), Some(now + SECOND)));
        assert_eq!(waits(&["old", "new", "newer"], now + SECOND), (keys(&["newer"]), Some(half + SECOND)));
        assert_eq!(waits(&["old"], half + SECOND), (keys(&[]), None));
    }

    #[test]
    fn what_waited_with_the_first_write_does_not_wait_again() {
        let now = Instant::now();
        let mut memory = PodMemory::default();
        memory.first_write_waits(&unanswered(&["a"]), now);
        assert_eq!(memory.first_write_waits(&unanswered(&["a"]), now + FIRST_WRITE), None);
        assert_eq!(memory.new_that_wait(unanswered(&["a"]), |_| false, now + FIRST_WRITE), (keys(&[]), None));
    }

    #[test]
    fn a_service_that_is_asked_which_product_it_is_waits_longer() {
        let now = Instant::now();
        let mut memory = PodMemory::default();
        let asked = || [(ServiceKey::new("n", "a"), NEW_SERVICE_ASKED)].into();
        let waits = (keys(&["a"]), Some(now + NEW_SERVICE_ASKED));
        assert_eq!(memory.new_that_wait(asked(), |_| false, now), waits);
        assert_eq!(memory.new_that_wait(asked(), |_| false, now + FIRST_WRITE), waits);
        assert_eq!(memory.new_that_wait(asked(), |_| false, now + NEW_SERVICE_ASKED), (keys(&[]), None));
    }
}

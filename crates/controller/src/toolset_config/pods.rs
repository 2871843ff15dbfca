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
        remembered::{Denial, Remembered, RememberedTool},
    },
};

use crate::{
    api::fence::Term,
    cluster::{Cluster, Wait},
};

/// How long the first write of a term waits for the answers about all Pods.
const FIRST_WRITE: Duration = Duration::from_secs(10);
/// How long a Service that is not in the output waits for the answers about its Pods.
const NEW_SERVICE: Duration = Duration::from_secs(1);
/// How long it waits for its own answer while the API server does not show which Pods to ask. The time until its turn does
/// not count. A namespace gets one request per second, so a Service could enter only because there are many others.
const NEW_SERVICE_ASKED: Duration = Duration::from_secs(60);

/// The Services that wait, and for what.
pub(super) type Unanswered = BTreeMap<ServiceKey, Awaited>;

/// What a Service waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// That its Pods are read.
    Pods,
    /// That it is asked which product it is.
    Identity(Wait),
}

impl Awaited {
    /// How long a Service waits that is not in the output.
    const fn longest(self) -> Duration {
        match self {
            Self::Pods => NEW_SERVICE,
            Self::Identity(_) => NEW_SERVICE_ASKED,
        }
    }
}

/// What is remembered during one term.
#[derive(Debug, Default)]
pub(super) struct PodMemory {
    /// Since when the first write waits.
    since: Option<Instant>,
    /// Whether the first write waits no more.
    has_begun: bool,
    /// The Services that wait, and since when.
    waiting: BTreeMap<ServiceKey, Instant>,
    /// The entries with something from Pods or from an identity probe, and the Services that were denied, as last planned.
    /// `None` before the first plan.
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
                unanswered.insert(key.clone(), Awaited::Pods);
            }
        });
    }
    if !cluster.probes.is_quiet(term) {
        each_question(config, &index, |question| {
            if let Some(wait) = cluster.probes.waits(term, &question).filter(|_| may_answer(&question.key)) {
                unanswered.insert(question.key, Awaited::Identity(wait));
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
        waits.retain(|key, awaited| {
            if is_in_output(key) {
                return false;
            }
            let since = self.waiting.entry(key.clone()).or_insert(now);
            match *awaited {
                Awaited::Identity(Wait::Turn) => *since = now,
                Awaited::Identity(Wait::Pods { since: Some(failed) }) => *since = failed,
                Awaited::Identity(Wait::Pods { since: None }) | Awaited::Pods => {}
            }
            let at = *since + awaited.longest();
            if now < at {
                until = Some(until.map_or(at, |until: Instant| until.min(at)));
            }
            now < at
        });
        (waits.into_keys().collect(), until)
    }

    /// What is remembered of Services. `read_back` reads it from the output and the status, before the first plan.
    pub(super) fn entries(
        &mut self,
        read_back: impl FnOnce() -> BTreeMap<ServiceKey, Remembered>,
    ) -> &BTreeMap<ServiceKey, Remembered> {
        self.entries.get_or_insert_with(read_back)
    }

    /// Remembers what a plan has from Pods and from identity probes. What it has no entry for stays as it was, as long as
    /// the Service is there.
    pub(super) fn planned(&mut self, plan: &Plan, exists: impl Fn(&ServiceKey) -> bool) {
        let entries = self.entries.get_or_insert_default();
        entries.retain(|key, _| exists(key));
        for rejection in &plan.rejected {
            let key = &rejection.key;
            match rejection.product.filter(|_| rejection.reason == ServiceReason::NotTheProduct) {
                // What a Service has answered before does not count for the program that has replaced it.
                Some(product) => {
                    let denial = Denial { product, message: rejection.message.clone() };
                    entries.insert(key.clone(), Remembered::Denied(denial));
                }
                None if entries.get(key).is_some_and(|entry| entry.denial().is_some()) => _ = entries.remove(key),
                None => {}
            }
        }
        for tool in plan.tools.iter().filter(|tool| tool.trust == Trust::Trusted) {
            let Some(key) = &tool.key else { continue };
            if tool.from_pods.is_any() || tool.from_identity.is_any() {
                let entry = RememberedTool {
                    product: tool.product,
                    endpoint: tool.endpoint.clone(),
                    confidence: tool.confidence,
                    from_pods: tool.from_pods,
                    from_identity: tool.from_identity,
                    identity: tool.identity.clone(),
                };
                entries.insert(key.clone(), Remembered::Tool(entry));
            } else {
                entries.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use detectors::Product;
    use toolset::Rejection;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn unanswered(names: &[&str]) -> Unanswered {
        names.iter().map(|name| (ServiceKey::new("n", *name), Awaited::Pods)).collect()
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
    fn a_service_that_nobody_could_ask_waits_longer() {
        let now = Instant::now();
        let mut memory = PodMemory::default();
        let in_vain = || asked(Wait::Pods { since: None });
        let waits = (keys(&["a"]), Some(now + NEW_SERVICE_ASKED));
        assert_eq!(memory.new_that_wait(in_vain(), |_| false, now), waits);
        assert_eq!(memory.new_that_wait(in_vain(), |_| false, now + FIRST_WRITE), waits);
        assert_eq!(memory.new_that_wait(in_vain(), |_| false, now + NEW_SERVICE_ASKED), (keys(&[]), None));
    }

    #[test]
    fn a_service_waits_for_its_turn_in_a_busy_namespace_however_long_this_takes() {
        let now = Instant::now();
        let mut memory = PodMemory::default();
        for minutes in [0, 1, 10] {
            let now = now + minutes * NEW_SERVICE_ASKED;
            let waits = (keys(&["a"]), Some(now + NEW_SERVICE_ASKED));
            assert_eq!(memory.new_that_wait(asked(Wait::Turn), |_| false, now), waits);
        }
        let turn = now + 10 * NEW_SERVICE_ASKED;
        let failed = Wait::Pods { since: Some(turn + 30 * SECOND) };
        let later = memory.new_that_wait(asked(failed), |_| false, turn + 50 * SECOND);
        let until = turn + 30 * SECOND + NEW_SERVICE_ASKED;
        assert_eq!(later, (keys(&["a"]), Some(until)), "the time since the first failure counts");
    }

    fn asked(wait: Wait) -> Unanswered {
        [(ServiceKey::new("n", "a"), Awaited::Identity(wait))].into()
    }

    /// A plan with a Service of this name that was rejected.
    fn rejecting(reason: ServiceReason) -> Plan {
        let rejection = Rejection {
            key: ServiceKey::new("n", "a"),
            product: Some(Product::Prometheus),
            custom: None,
            trust: Trust::Trusted,
            reason,
            message: "it is another program".to_owned(),
            is_untold: false,
        };
        Plan { rejected: vec![rejection], ..Plan::default() }
    }

    #[test]
    fn a_denial_is_remembered_until_the_service_is_judged_otherwise() {
        let denied = Denial { product: Product::Prometheus, message: "it is another program".to_owned() };
        let denied = BTreeMap::from([(ServiceKey::new("n", "a"), Remembered::Denied(denied))]);
        let mut memory = PodMemory::default();
        assert_eq!(*memory.entries(|| denied.clone()), denied);
        memory.planned(&Plan::default(), |_| true);
        assert_eq!(*memory.entries(BTreeMap::new), denied, "the plan does not have it");
        memory.planned(&rejecting(ServiceReason::NotEnoughEvidence), |_| true);
        assert_eq!(*memory.entries(BTreeMap::new), BTreeMap::new());
        memory.planned(&rejecting(ServiceReason::NotTheProduct), |_| true);
        assert_eq!(*memory.entries(BTreeMap::new), denied);
        memory.planned(&Plan::default(), |_| false);
        assert_eq!(*memory.entries(BTreeMap::new), BTreeMap::new(), "the Service is gone");
    }
}

//! The Services whose Pods are read: what is known of each, when the next round is due, and what waits for an answer.
//! Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use detectors::{Confidence, ServiceKey, ServiceView};
use tokio::time::Instant;
use toolset::pods::{self, MAX_PER_SERVICE, PodEvidence, ReadPod, selects_hash};

use super::{
    refusals::{Refusals, pause},
    round::{Answer, Failure},
    target::{Ended, Refusal, Seen, SeenSlices, Start, Target},
};
use crate::api::fence::Term;

/// The most Pods that are known at the same time, of all Services.
pub(super) const MAX_PODS: usize = 500;
/// The most rounds at the same time.
const MAX_ROUNDS: usize = 8;
/// The shortest time between two rounds of one Service.
const INTERVAL: Duration = Duration::from_secs(1);

/// All Services whose Pods are read.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// The term in which this replica leads. `None` if it does not.
    term: Option<Term>,
    /// Which Services are targets has to be found out again.
    all: bool,
    /// These have changed.
    changed: BTreeSet<ServiceKey>,
    known: BTreeMap<ServiceKey, Target>,
    /// When the rounds are due. Of those that are due at the same time, the surest Services come first.
    due: BTreeSet<(Instant, Reverse<Confidence>, ServiceKey)>,
    /// Targets without a round, because there are too many Pods.
    beyond: BTreeSet<ServiceKey>,
    unanswered: usize,
    /// How many rounds are under way, and how many have started.
    rounds: usize,
    started: u64,
    /// The Pods that are known, and the room that the rounds under way may take.
    pods: usize,
    reserved: usize,
    refusals: Refusals,
    /// The Services that have stopped to wait since this was taken last.
    ended: Vec<ServiceKey>,
}

impl Targets {
    /// Begins a term, or ends the last one. Returns whether this is new. What was read of Pods that are still there
    /// stays.
    pub(super) fn lead(&mut self, term: Option<Term>) -> bool {
        if self.term == term {
            return false;
        }
        let (pods, known) = (self.pods, std::mem::take(&mut self.known));
        let kept = known.into_iter().map(|(key, target)| {
            let Target { selects, confidence, pods, .. } = target;
            (key, Target { pods, ..Target::new(selects, confidence) })
        });
        let known: BTreeMap<_, _> = kept.collect();
        *self = Self { term, all: true, pods, unanswered: known.len(), known, ..Self::default() };
        true
    }

    /// Takes note of a changed Service. If it selects other Pods, it waits for their answer.
    pub(super) fn service_changed(&mut self, view: &ServiceView) -> bool {
        if let Some(target) = self.known.get_mut(&view.key)
            && target.selects != selects_hash(view)
        {
            target.is_outdated = true;
            // The index has dropped what the Pods say.
            target.slices = None;
            self.unanswered += usize::from(std::mem::take(&mut target.is_answered));
        }
        self.changed(&view.key)
    }

    /// Takes note of a Service that is gone, or whose EndpointSlices changed.
    pub(super) fn changed(&mut self, key: &ServiceKey) -> bool {
        self.term.is_some() && self.changed.insert(key.clone())
    }

    pub(super) fn all_changed(&mut self) -> bool {
        self.term.is_some() && !std::mem::replace(&mut self.all, true)
    }

    pub(super) fn is_quiet(&self, term: Term) -> bool {
        self.term == Some(term) && !self.all && self.changed.is_empty() && self.unanswered == 0
    }

    pub(super) fn waits(&self, term: Term, key: &ServiceKey) -> bool {
        self.term != Some(term) || self.known.get(key).is_none_or(|target| !target.is_answered)
    }

    pub(super) fn refused(&self) -> BTreeSet<String> {
        self.refusals.namespaces().iter().map(ToString::to_string).collect()
    }

    /// The changes since the last call. `None` means that everything may have changed.
    pub(super) fn take_changes(&mut self) -> Option<BTreeSet<ServiceKey>> {
        let changed = std::mem::take(&mut self.changed);
        (!std::mem::take(&mut self.all)).then_some(changed)
    }

    /// The Services that are known and not among these.
    pub(super) fn others(&self, wanted: &BTreeSet<ServiceKey>) -> Vec<ServiceKey> {
        self.known.keys().filter(|key| !wanted.contains(*key)).cloned().collect()
    }

    /// Takes a Service whose Pods are wanted.
    pub(super) fn want(&mut self, seen: &Seen<'_>, now: Instant) {
        let (key, selects) = (&seen.view.key, selects_hash(seen.view));
        self.unanswered += usize::from(!self.known.contains_key(key));
        let target = self.known.entry(key.clone()).or_insert_with(|| Target::new(selects, seen.confidence));
        target.confidence = seen.confidence;
        if target.selects != selects {
            self.pods -= target.pods.len();
            target.pods.clear();
            target.selects = selects;
            target.slices = None;
            target.is_outdated = true;
            self.unanswered += usize::from(std::mem::take(&mut target.is_answered));
        }
        if !seen.has_evidence && target.is_answered && target.pods.values().any(Option::is_some) {
            // The Service was not recognised for a moment, so the index has dropped it.
            target.slices = None;
        }
        target.has_pods = matches!(seen.slices, SeenSlices::At(_));
        match seen.slices {
            SeenSlices::NoPods => {
                // Nothing can be asked.
                target.slices = None;
                self.answered(key);
                self.schedule(key, None);
            }
            SeenSlices::At(number) if target.slices != Some(number) => {
                // What fails is not asked more often because its Pods come and go.
                let pauses = target.failures > 0 && target.due.is_some();
                target.slices_changed_meanwhile |= target.round.is_some();
                if target.round.is_none() && !pauses {
                    self.schedule(key, Some(now));
                }
            }
            SeenSlices::Pending | SeenSlices::At(_) => {}
        }
    }

    /// Forgets a Service whose Pods are not wanted any more. Returns whether it was known.
    pub(super) fn forget(&mut self, key: &ServiceKey, now: Instant) -> bool {
        self.schedule(key, None);
        self.answered(key);
        self.beyond.remove(key);
        let Some(target) = self.known.remove(key) else { return false };
        self.pods -= target.pods.len();
        if let Some((_, reserved)) = target.round {
            self.reserved -= reserved;
            self.rounds -= 1;
        }
        if target.refusal != Refusal::No && !self.is_any_refused(&key.namespace) {
            self.refusals.forget(&key.namespace);
        }
        self.make_room(now);
        true
    }

    /// When something is to be done, if nothing happens before.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let round = self.due.first().map(|(at, ..)| *at).filter(|_| self.rounds < MAX_ROUNDS);
        round.into_iter().chain(self.refusals.due()).min()
    }

    /// Makes the Services due that ask again whether Pods may be read. `each` says whether every namespace has
    /// permissions of its own.
    pub(super) fn ask_again(&mut self, each: bool, now: Instant) {
        for namespace in self.refusals.ask(each, now) {
            // One that was refused itself has Pods to read, so its answer says whether they may be read.
            let refused = |refusal: Refusal| {
                let mut all = self.known.iter().filter(|(key, _)| *key.namespace == *namespace);
                all.find(|(_, target)| target.refusal == refusal).map(|(key, _)| key.clone())
            };
            match refused(Refusal::Own).or_else(|| refused(Refusal::OfAnother)) {
                Some(key) => {
                    if let Some(target) = self.known.get_mut(&key) {
                        target.refusal = Refusal::Asks;
                    }
                    self.schedule(&key, Some(now));
                }
                None => _ = self.refusals.forget(&namespace),
            }
        }
    }

    /// The next round, if one is due and there is room for it. A Service that is not asked now counts as answered.
    pub(super) fn start(&mut self, now: Instant) -> Option<Start> {
        while self.rounds < MAX_ROUNDS {
            let (at, _, key) = self.due.first()?.clone();
            if at > now {
                return None;
            }
            self.schedule(&key, None);
            let target = self.known.get_mut(&key)?;
            if target.round.is_some() {
                target.slices_changed_meanwhile = true;
                continue;
            }
            if matches!(target.refusal, Refusal::OfAnother | Refusal::Own) {
                self.answered(&key);
                continue;
            }
            // Its own Pods have their places already.
            let own = target.pods.len();
            let room = (own + MAX_PODS.saturating_sub(self.pods + self.reserved)).min(MAX_PER_SERVICE);
            if room == 0 {
                self.answered(&key);
                self.beyond.insert(key);
                continue;
            }
            target.last = Some(now);
            self.started += 1;
            let reserved = room.saturating_sub(own);
            target.round = Some((self.started, reserved));
            (target.is_outdated, target.slices_changed_meanwhile) = (false, false);
            self.reserved += reserved;
            self.rounds += 1;
            return Some(Start { known: target.pods.clone(), number: self.started, key, room });
        }
        None
    }

    /// Records up to which change of the slices the round under way has seen them.
    pub(super) fn saw_slices(&mut self, key: &ServiceKey, slices: Option<u64>) {
        if let Some(target) = self.known.get_mut(key) {
            target.slices = slices;
        }
    }

    /// Takes the end of a round. `None` if the Service is not wanted any more.
    pub(super) fn end(
        &mut self,
        (key, number): (&ServiceKey, u64),
        result: Result<Answer, Failure>,
        now: Instant,
    ) -> Option<Ended> {
        let target = self.known.get_mut(key)?;
        let (_, reserved) = target.round.take_if(|(round, _)| *round == number)?;
        self.reserved -= reserved;
        self.rounds -= 1;
        if target.is_outdated {
            // The Pods were read for what the Service was.
            if target.refusal == Refusal::Asks {
                target.refusal = Refusal::Own;
            }
            self.schedule(key, Some(now));
            self.make_room(now);
            return Some(Ended::default());
        }
        let (mut ended, slices_changed_meanwhile) = (Ended::default(), target.slices_changed_meanwhile);
        match result {
            Ok(answer) => {
                target.failures = 0;
                let asked = std::mem::take(&mut target.refusal) != Refusal::No;
                self.pods = self.pods + answer.pods.len() - target.pods.len();
                let said: Vec<ReadPod> = answer.pods.values().flatten().cloned().collect();
                // Pods that say nothing are an answer, too. Without any Pods, what the last ones said stays.
                let nothing = || (!answer.pods.is_empty()).then(PodEvidence::nothing);
                ended.evidence = pods::evidence(&said).or_else(nothing);
                target.pods = answer.pods;
                if answer.is_cut {
                    self.beyond.insert(key.clone());
                }
                if slices_changed_meanwhile {
                    self.schedule(key, Some(now));
                }
                // Where nothing has to be read, nothing is refused.
                let is_allowed = answer.read > 0 || asked && !self.is_any_refused_itself(&key.namespace);
                if is_allowed && self.refusals.allowed(&key.namespace, now) {
                    ended.refusal_changed = true;
                    self.resume(&key.namespace, now);
                }
                self.answered(key);
            }
            Err(Failure::Refused) => {
                target.refusal = Refusal::Own;
                ended.refusal_changed = self.refusals.refused(&key.namespace, now);
                self.hold_back(&key.namespace);
                self.answered(key);
            }
            Err(failure @ (Failure::Gone | Failure::Replaced | Failure::Failed(_))) => {
                if target.refusal == Refusal::Asks {
                    target.refusal = Refusal::Own;
                }
                target.failures = target.failures.saturating_add(1);
                let again = now + pause(target.failures, key);
                self.schedule(key, Some(again));
                // Nobody waits for a Pod that does not exist. What failed otherwise is no answer, and those who wait have a
                // deadline.
                if failure == Failure::Gone {
                    self.answered(key);
                }
            }
        }
        self.make_room(now);
        Some(ended)
    }

    /// The Services that have stopped to wait since the last call. Their ToolsetConfigs have to be planned again, because
    /// those Services can enter the output.
    pub(super) fn take_ended(&mut self) -> Vec<ServiceKey> {
        std::mem::take(&mut self.ended)
    }

    /// All Services whose Pods are known.
    pub(super) fn all(&self) -> Vec<ServiceKey> {
        self.known.keys().cloned().collect()
    }

    /// The Services of a namespace.
    pub(super) fn of_namespace(&self, namespace: &str) -> Vec<ServiceKey> {
        self.known.keys().filter(|key| *key.namespace == *namespace).cloned().collect()
    }

    /// Ends the waiting of a Service.
    fn answered(&mut self, key: &ServiceKey) {
        let Some(target) = self.known.get_mut(key).filter(|target| !target.is_answered) else { return };
        target.is_answered = true;
        self.unanswered -= 1;
        self.ended.push(key.clone());
    }

    /// Sets when the next round of a Service is due. Two rounds never follow each other at once.
    fn schedule(&mut self, key: &ServiceKey, at: Option<Instant>) {
        let Some(target) = self.known.get_mut(key) else { return };
        if let Some((at, confidence)) = target.due.take() {
            self.due.remove(&(at, confidence, key.clone()));
        }
        let at = at.map(|at| target.last.map_or(at, |last| at.max(last + INTERVAL)));
        if let Some(at) = at {
            target.due = Some((at, Reverse(target.confidence)));
            self.due.insert((at, Reverse(target.confidence), key.clone()));
        }
    }

    fn is_any_refused(&self, namespace: &str) -> bool {
        self.known.iter().any(|(key, target)| target.refusal != Refusal::No && *key.namespace == *namespace)
    }

    fn is_any_refused_itself(&self, namespace: &str) -> bool {
        self.known.iter().any(|(key, target)| target.refusal == Refusal::Own && *key.namespace == *namespace)
    }

    /// The other Services of a namespace are not asked while it is refused.
    fn hold_back(&mut self, namespace: &str) {
        for (_, target) in self.known.iter_mut().filter(|(key, _)| *key.namespace == *namespace) {
            if target.refusal == Refusal::No {
                target.refusal = Refusal::OfAnother;
            }
        }
    }

    /// The Services of a namespace are asked, because Pods may be read there now.
    fn resume(&mut self, namespace: &str, now: Instant) {
        for key in self.of_namespace(namespace) {
            let Some(target) = self.known.get_mut(&key) else { continue };
            if std::mem::take(&mut target.refusal) != Refusal::No && target.has_pods {
                self.schedule(&key, Some(now));
            }
        }
    }

    /// Asks the Services for which there was no room, if there is some now.
    fn make_room(&mut self, now: Instant) {
        if self.pods + self.reserved < MAX_PODS {
            for key in std::mem::take(&mut self.beyond) {
                self.schedule(&key, Some(now));
            }
        }
    }
}

#[cfg(test)]
mod tests;

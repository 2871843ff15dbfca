//! Which Services get identity probes, when, and which have responded. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::Trust;
use detectors::{Product, ServiceKey};
use tokio::time::Instant;
use toolset::identity::{IdentityEvidence, IdentityQuestion};

use super::{
    budget::Budget,
    queue::{Place, Queue},
};
use crate::api::fence::Term;

/// The pause after the first request without a response. It doubles after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The most templates of Pods of a Service whose responses are kept. A rollout has two.
const MOST_TEMPLATES: usize = 4;

/// A question: the Service, the product that it is taken for, and the port.
pub(super) type QuestionId = (ServiceKey, Product, u16);

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Pods of this template responded.
    Answered { template: String, evidence: IdentityEvidence },
    /// Pods of this template have responded before.
    Same { template: String },
    /// No Pod responded. The text is for people.
    Silent(IdentityEvidence),
    /// There is no Pod that may be probed.
    Nobody,
    /// The operator is not allowed to read the addresses.
    Forbidden,
    /// The API server did not return the addresses.
    NotAsked,
}

#[derive(Debug)]
struct Case {
    question: IdentityQuestion,
    place: Option<Place>,
    /// The number of the question under way.
    running: Option<u64>,
    /// The responses of the Pods of each template, the latest last.
    answered: Vec<(String, IdentityEvidence)>,
    /// What counts.
    evidence: Option<IdentityEvidence>,
    /// Whether there was a response in this term, or none is expected.
    is_settled: bool,
    failures: u32,
    is_behind: bool,
    /// The number of the last change of its EndpointSlices that a question has seen. `None` if it has seen none.
    seen: Option<u64>,
}

/// All questions.
#[derive(Debug, Default)]
pub(super) struct Questions {
    term: Option<Term>,
    /// Whether a `ToolsetConfig` wants Services to be asked.
    is_wanted: bool,
    /// Which questions there are has to be found out again, for all Services or for these.
    all: bool,
    changed: BTreeSet<ServiceKey>,
    cases: BTreeMap<QuestionId, Case>,
    queue: Queue<QuestionId>,
    started: u64,
    /// The Services whose questions are settled since this was taken last.
    settled: BTreeSet<ServiceKey>,
}

impl Questions {
    /// Begins a term, or ends the last one. Returns the Services that had responded, if this is new. Their responses no
    /// longer count, because another replica may have probed other Pods.
    pub(super) fn lead(&mut self, term: Option<Term>) -> Option<BTreeSet<ServiceKey>> {
        if self.term == term {
            return None;
        }
        let before = self.cases.keys().map(|(key, ..)| key.clone()).collect();
        *self = Self { term, all: term.is_some(), started: self.started, ..Self::default() };
        Some(before)
    }

    pub(super) fn changed(&mut self, key: &ServiceKey) -> bool {
        self.term.is_some() && self.is_wanted && !self.all && self.changed.insert(key.clone())
    }

    pub(super) fn all_changed(&mut self) -> bool {
        self.term.is_some() && !std::mem::replace(&mut self.all, true)
    }

    /// Sets whether a `ToolsetConfig` enables identity probes. If none does, changes of Services are ignored.
    pub(super) fn want(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    /// The changes since the last call. `None` means that everything may have changed.
    pub(super) fn take_changes(&mut self) -> Option<BTreeSet<ServiceKey>> {
        let changed = std::mem::take(&mut self.changed);
        (!std::mem::take(&mut self.all)).then_some(changed)
    }

    /// Whether nothing waits for a response in this term.
    pub(super) fn is_quiet(&self, term: Term) -> bool {
        self.term == Some(term)
            && !self.all
            && self.changed.is_empty()
            && self.cases.values().all(|case| case.is_settled)
    }

    /// Whether the response to a question is missing in this term.
    pub(super) fn waits(&self, term: Term, question: &IdentityQuestion) -> bool {
        self.term != Some(term) || self.cases.get(&id_of(question)).is_none_or(|case| !case.is_settled)
    }

    /// Sets what is asked of these Services, or of all. Returns the Services whose answers changed because a question
    /// is gone.
    pub(super) fn set(
        &mut self,
        services: Option<&BTreeSet<ServiceKey>>,
        questions: Vec<IdentityQuestion>,
        now: Instant,
    ) -> BTreeSet<ServiceKey> {
        let wanted: BTreeMap<QuestionId, IdentityQuestion> =
            questions.into_iter().map(|question| (id_of(&question), question)).collect();
        let is_about = |id: &QuestionId| services.is_none_or(|services| services.contains(&id.0));
        let gone: Vec<QuestionId> =
            self.cases.keys().filter(|id| is_about(id) && !wanted.contains_key(*id)).cloned().collect();
        for id in &gone {
            self.schedule(id, None);
            self.cases.remove(id);
        }
        for (id, question) in wanted {
            let known = self.cases.get(&id).map(|case| case.question == question);
            if known == Some(true) {
                continue;
            }
            // With another scheme or path, an earlier response does not apply.
            let before = self.cases.remove(&id);
            if let Some(place) = before.and_then(|case| case.place) {
                self.queue.remove(place, &id);
            }
            self.cases.insert(id.clone(), Case::new(question));
            self.schedule(&id, Some(now));
        }
        gone.into_iter().map(|(key, ..)| key).collect()
    }

    /// The EndpointSlices of a Service changed, so other Pods may have to be asked. Returns whether it has a question.
    pub(super) fn slices_changed(&mut self, key: &ServiceKey, now: Instant) -> bool {
        let ids: Vec<QuestionId> = self.cases.keys().filter(|(of, ..)| of == key).cloned().collect();
        for id in &ids {
            let Some(case) = self.cases.get_mut(id) else { continue };
            case.failures = 0;
            // Who was not there to be asked may be there now.
            case.is_settled &= case.evidence.is_some();
            case.is_behind |= case.running.is_some();
            if case.running.is_none() {
                self.schedule(id, Some(now));
            }
        }
        !ids.is_empty()
    }

    pub(super) fn next_due(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.next_due(budget, now)
    }

    /// Since when the question is due that would start now.
    pub(super) fn due_since(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.first(budget, now).map(|(since, _)| since)
    }

    /// Starts the question that is due first and for which there is room, and takes the room. Also returns the templates of
    /// the Pods that have answered it.
    pub(super) fn start(
        &mut self,
        budget: &mut Budget,
        now: Instant,
    ) -> Option<(IdentityQuestion, u64, BTreeSet<String>)> {
        let (_, id) = self.queue.first(budget, now)?;
        budget.take(&id.0.namespace, Trust::Trusted, now).ok()?;
        self.schedule(&id, None);
        self.started += 1;
        let case = self.cases.get_mut(&id)?;
        (case.running, case.is_behind) = (Some(self.started), false);
        let answered = case.answered.iter().map(|(template, _)| template.clone()).collect();
        Some((case.question.clone(), self.started, answered))
    }

    /// Whether a question is still asked.
    pub(super) fn runs(&self, question: &IdentityQuestion, number: u64) -> bool {
        self.cases.get(&id_of(question)).is_some_and(|case| case.running == Some(number))
    }

    /// Records up to which change of the EndpointSlices the question under way has seen them.
    pub(super) fn saw(&mut self, question: &IdentityQuestion, slices: Option<u64>) {
        if let Some(case) = self.cases.get_mut(&id_of(question)) {
            case.seen = slices;
        }
    }

    /// Asks again where the EndpointSlices are not those that the last question has seen. A list does not tell which
    /// EndpointSlices changed.
    pub(super) fn slices_listed(&mut self, slices: impl Fn(&ServiceKey) -> Option<u64>, now: Instant) {
        let differ = |(id, case): &(&QuestionId, &Case)| case.running.is_none() && case.seen != slices(&id.0);
        let keys: BTreeSet<ServiceKey> = self.cases.iter().filter(differ).map(|(id, _)| id.0.clone()).collect();
        for key in keys {
            self.slices_changed(&key, now);
        }
    }

    /// Takes the end of a question. Returns all answers of the Service, if they may be news.
    pub(super) fn end(
        &mut self,
        question: &IdentityQuestion,
        number: u64,
        reply: Reply,
        now: Instant,
    ) -> Option<Vec<IdentityEvidence>> {
        let id = id_of(question);
        let case = self.cases.get_mut(&id)?;
        case.running.take_if(|running| *running == number)?;
        let is_behind = std::mem::take(&mut case.is_behind);
        let before = case.evidence.clone();
        // The index drops the answers of a Service that changes.
        let is_answer = matches!(reply, Reply::Answered { .. } | Reply::Same { .. });
        let is_api = reply == Reply::NotAsked;
        let again = match reply {
            Reply::Answered { template, evidence } => {
                case.failures = 0;
                case.answer(template, evidence);
                None
            }
            Reply::Same { template } => {
                case.failures = 0;
                let known = case.answered.iter().find(|(one, _)| *one == template);
                case.evidence = known.map(|(_, evidence)| evidence.clone()).or(case.evidence.take());
                None
            }
            Reply::Nobody => None,
            Reply::Forbidden => Some(LONGEST_PAUSE),
            Reply::Silent(evidence) => {
                // The responses of other Pods count until these Pods respond.
                case.evidence.get_or_insert(evidence);
                case.failures = case.failures.saturating_add(1);
                Some((FIRST_PAUSE * (1 << (case.failures - 1).min(6))).min(LONGEST_PAUSE))
            }
            Reply::NotAsked => {
                case.seen = None;
                Some(FIRST_PAUSE / 2)
            }
        };
        if !is_api && !std::mem::replace(&mut case.is_settled, true) {
            self.settled.insert(id.0.clone());
        }
        let changes = is_answer || case.evidence != before;
        let at = if is_behind { Some(now) } else { again.map(|pause| now + pause) };
        self.schedule(&id, at);
        changes.then(|| self.answers(&id.0))
    }

    /// All answers of a Service.
    pub(super) fn answers(&self, key: &ServiceKey) -> Vec<IdentityEvidence> {
        let of_service = self.cases.iter().filter(|((of, ..), _)| of == key);
        of_service.filter_map(|(_, case)| case.evidence.clone()).collect()
    }

    /// The Services that no longer wait, since the last call. They can enter the output now.
    pub(super) fn take_settled(&mut self) -> BTreeSet<ServiceKey> {
        std::mem::take(&mut self.settled)
    }

    fn schedule(&mut self, id: &QuestionId, at: Option<Instant>) {
        let Some(case) = self.cases.get_mut(id) else { return };
        if let Some(place) = case.place.take() {
            self.queue.remove(place, id);
        }
        case.place = at.map(|at| self.queue.add(at, (&id.0.namespace, Trust::Trusted), id.clone()));
    }
}

impl Case {
    fn new(question: IdentityQuestion) -> Self {
        Self {
            question,
            place: None,
            running: None,
            answered: Vec::new(),
            evidence: None,
            is_settled: false,
            failures: 0,
            is_behind: false,
            seen: None,
        }
    }

    fn answer(&mut self, template: String, evidence: IdentityEvidence) {
        self.answered.retain(|(one, _)| *one != template);
        if self.answered.len() == MOST_TEMPLATES {
            self.answered.remove(0);
        }
        self.answered.push((template, evidence.clone()));
        self.evidence = Some(evidence);
    }
}

fn id_of(question: &IdentityQuestion) -> QuestionId {
    (question.key.clone(), question.product, question.target.port)
}

#[cfg(test)]
mod tests;

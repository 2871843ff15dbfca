//! Keeps the questions of identity probes: which Services are probed, when, and what they have responded. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crd_types::Trust;
use detectors::{Product, ServiceKey};
use tokio::time::Instant;
use toolset::identity::{IdentityEvidence, IdentityQuestion, IdentityVerdict, Stated};

use super::{
    budget::Budget,
    queue::{Place, Queue},
};
use crate::api::fence::Term;

/// The pause after the first probe without a response. It doubles after each further probe without a response.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause after a probe without a response.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// The most templates of Pods of a Service whose responses are kept. A rollout has two.
const MOST_TEMPLATES: usize = 4;

/// The identity of a question: the Service, the product that the Service seems to be, the port, and what a `ToolsetConfig`
/// states about the endpoint.
pub(super) type QuestionId = (ServiceKey, Product, u16, Stated);

/// What a Service waits for before it can enter the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// The budget, which determines when the Service is probed.
    Turn,
    /// The API server, which must first return the addresses of the Pods. This can take any time.
    Pods {
        /// When it first failed to do so. `None` if it was not asked yet.
        since: Option<Instant>,
    },
}

/// How a question ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Pods of this template responded.
    Answered { template: String, evidence: IdentityEvidence },
    /// Pods of this template have responded to an earlier probe.
    Same { template: String },
    /// No Pod responded.
    Silent(IdentityEvidence),
    /// There is no Pod to probe.
    Nobody,
    /// The operator must not probe the Pods. The evidence contains the reason.
    NotAllowed(IdentityEvidence),
    /// The operator is not allowed to read the addresses. The evidence contains the reason.
    Forbidden(IdentityEvidence),
    /// The API server did not return the addresses.
    NotSent,
    /// The Pods or the question changed before a request was sent.
    Outdated,
    /// The serving endpoints do not have the port.
    NoPort,
}

/// The state of a question.
#[derive(Debug)]
struct Case {
    question: IdentityQuestion,
    /// When the next probe is due.
    place: Option<Place>,
    /// The number of the probe under way.
    running: Option<u64>,
    /// What the Pods of each template have responded. The latest response comes last.
    answered: Vec<(String, IdentityEvidence)>,
    /// The evidence that counts now.
    evidence: Option<IdentityEvidence>,
    /// Whether a probe of this term has a result, so that the Service no longer waits.
    is_settled: bool,
    /// Since when the API server does not return the addresses.
    api_failed: Option<Instant>,
    /// Whether the last probe found no endpoint with the port.
    lacks_port: bool,
    /// The number of probes without a response in a row.
    failures: u32,
    /// Whether the EndpointSlices changed while a probe was under way.
    slices_changed_meanwhile: bool,
    /// The number of the last change of the EndpointSlices that a probe has seen. `None` if no probe has seen one.
    seen: Option<u64>,
}

/// All questions.
#[derive(Debug, Default)]
pub(super) struct Questions {
    term: Option<Term>,
    /// Whether a `ToolsetConfig` enables identity probes.
    is_wanted: bool,
    /// Whether the questions of all Services must be determined again.
    all: bool,
    /// The Services whose questions must be determined again.
    changed: BTreeSet<ServiceKey>,
    cases: BTreeMap<QuestionId, Case>,
    queue: Queue<QuestionId>,
    started: u64,
    /// The Services with a question that was settled since the last [`Self::take_settled`].
    settled: BTreeSet<ServiceKey>,
}

impl Questions {
    /// Begins a term, or ends the last term. Removes all questions. If the term changed, returns their Services: the
    /// old responses no longer count, because another replica may have probed other Pods.
    pub(super) fn lead(&mut self, term: Option<Term>) -> Option<BTreeSet<ServiceKey>> {
        if self.term == term {
            return None;
        }
        let before = self.cases.keys().map(|(key, ..)| key.clone()).collect();
        *self = Self { term, all: term.is_some(), started: self.started, ..Self::default() };
        Some(before)
    }

    /// Records that the questions of a Service must be determined again. Returns whether this is new.
    pub(super) fn changed(&mut self, key: &ServiceKey) -> bool {
        self.term.is_some() && self.is_wanted && !self.all && self.changed.insert(key.clone())
    }

    /// Records that the questions of all Services must be determined again. Returns whether this is new.
    pub(super) fn all_changed(&mut self) -> bool {
        self.term.is_some() && !std::mem::replace(&mut self.all, true)
    }

    /// Sets whether a `ToolsetConfig` enables identity probes. If none does, changes of Services are ignored.
    pub(super) fn want(&mut self, is_wanted: bool) {
        self.is_wanted = is_wanted;
    }

    /// The Services that changed since the last call. `None` means all Services.
    pub(super) fn take_changes(&mut self) -> Option<BTreeSet<ServiceKey>> {
        let changed = std::mem::take(&mut self.changed);
        (!std::mem::take(&mut self.all)).then_some(changed)
    }

    /// Whether every question of this term is settled.
    pub(super) fn is_quiet(&self, term: Term) -> bool {
        self.term == Some(term)
            && !self.all
            && self.changed.is_empty()
            && self.cases.values().all(|case| case.is_settled)
    }

    /// What a question waits for in this term. `None` if it is settled.
    pub(super) fn waits(&self, term: Term, question: &IdentityQuestion) -> Option<Wait> {
        match self.cases.get(&id_of(question)).filter(|_| self.term == Some(term)) {
            Some(case) if case.is_settled => None,
            Some(Case { api_failed: None, .. }) => Some(Wait::Turn),
            case => Some(Wait::Pods { since: case.and_then(|case| case.api_failed) }),
        }
    }

    /// Sets the questions of these Services, or of all Services. Returns the Services of removed questions, because
    /// their evidence changed.
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
            // A response to the old question does not apply to another scheme or path.
            let before = self.cases.remove(&id);
            if let Some(place) = before.and_then(|case| case.place) {
                self.queue.remove(place, &id);
            }
            self.cases.insert(id.clone(), Case::new(question));
            self.schedule(&id, Some(now));
        }
        gone.into_iter().map(|(key, ..)| key).collect()
    }

    /// Takes a change of the EndpointSlices of a Service, after which other Pods may have to be probed. Returns whether
    /// the Service has a question.
    pub(super) fn slices_changed(&mut self, key: &ServiceKey, now: Instant) -> bool {
        let ids: Vec<QuestionId> = self.cases.keys().filter(|(of, ..)| of == key).cloned().collect();
        for id in &ids {
            let Some(case) = self.cases.get_mut(id) else { continue };
            case.failures = 0;
            // The Service may have a Pod now that may be probed.
            case.is_settled &= case.was_asked();
            case.slices_changed_meanwhile |= case.running.is_some();
            if case.running.is_none() {
                self.schedule(id, Some(now));
            }
        }
        !ids.is_empty()
    }

    /// When the next probe can start, if nothing changes before.
    pub(super) fn next_due(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.next_due(budget, now)
    }

    /// The time since which the next probe has been due. `None` if no probe can start now.
    pub(super) fn due_since(&self, budget: &Budget, now: Instant) -> Option<Instant> {
        self.queue.first(budget, now).map(|(since, _)| since)
    }

    /// Starts the first due probe that the budget allows, and takes its request from the budget. Returns the question,
    /// the number of the probe, and the templates whose Pods have already responded.
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
        (case.running, case.slices_changed_meanwhile) = (Some(self.started), false);
        let answered = case.answered.iter().map(|(template, _)| template.clone()).collect();
        Some((case.question.clone(), self.started, answered))
    }

    /// Whether the probe with this number is still under way.
    pub(super) fn runs(&self, question: &IdentityQuestion, number: u64) -> bool {
        self.cases.get(&id_of(question)).is_some_and(|case| case.running == Some(number))
    }

    /// Records the last change of the EndpointSlices that the probe under way has seen.
    pub(super) fn saw(&mut self, question: &IdentityQuestion, slices: Option<u64>) {
        if let Some(case) = self.cases.get_mut(&id_of(question)) {
            case.seen = slices;
        }
    }

    /// Probes the Services again whose EndpointSlices have changed since their last probe. It compares all of them,
    /// because a list does not show which EndpointSlices changed.
    pub(super) fn slices_listed(&mut self, slices: impl Fn(&ServiceKey) -> Option<u64>, now: Instant) {
        let differ = |(id, case): &(&QuestionId, &Case)| case.running.is_none() && case.seen != slices(&id.0);
        let keys: BTreeSet<ServiceKey> = self.cases.iter().filter(differ).map(|(id, _)| id.0.clone()).collect();
        for key in keys {
            self.slices_changed(&key, now);
        }
    }

    /// Records the end of a probe. Returns all evidence about the Service, if the index may need it.
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
        let slices_changed_meanwhile = std::mem::take(&mut case.slices_changed_meanwhile);
        let before = case.evidence.clone();
        // The index drops the evidence of a Service that changes, so the same evidence can be needed again.
        let is_answer = matches!(reply, Reply::Answered { .. } | Reply::Same { .. });
        let lacked_port = std::mem::take(&mut case.lacks_port);
        let is_first_without_port = reply == Reply::NoPort && !lacked_port;
        let is_open = is_first_without_port || matches!(reply, Reply::NotSent | Reply::Outdated);
        if reply == Reply::NotSent {
            case.api_failed.get_or_insert(now);
        } else if !is_open {
            case.api_failed = None;
        }
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
            // After a change of the Service, its EndpointSlices can be outdated for a moment.
            Reply::NoPort if is_first_without_port => {
                (case.seen, case.lacks_port) = (None, true);
                Some(FIRST_PAUSE / 2)
            }
            // A Pod that must not be probed can be missing for a moment, so the reason stays.
            Reply::Nobody | Reply::NoPort => None,
            Reply::NotAllowed(evidence) => {
                case.was_not_asked(evidence);
                None
            }
            Reply::Forbidden(evidence) => {
                case.was_not_asked(evidence);
                Some(LONGEST_PAUSE)
            }
            Reply::Silent(evidence) => {
                // Responses of earlier Pods count until the current Pods respond.
                if !case.was_asked() {
                    case.evidence = Some(evidence);
                }
                case.failures = case.failures.saturating_add(1);
                Some((FIRST_PAUSE * (1 << (case.failures - 1).min(6))).min(LONGEST_PAUSE))
            }
            Reply::NotSent | Reply::Outdated => {
                case.seen = None;
                Some(FIRST_PAUSE / 2)
            }
        };
        if !is_open && !std::mem::replace(&mut case.is_settled, true) {
            self.settled.insert(id.0.clone());
        }
        let changes = is_answer || case.evidence != before;
        let at = if slices_changed_meanwhile { Some(now) } else { again.map(|pause| now + pause) };
        self.schedule(&id, at);
        changes.then(|| self.answers(&id.0))
    }

    /// All evidence about a Service.
    pub(super) fn answers(&self, key: &ServiceKey) -> Vec<IdentityEvidence> {
        let of_service = self.cases.iter().filter(|((of, ..), _)| of == key);
        of_service.filter_map(|(_, case)| case.evidence.clone()).collect()
    }

    /// The Services with a question that was settled since the last call. They can enter the output now.
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
            api_failed: None,
            lacks_port: false,
            failures: 0,
            slices_changed_meanwhile: false,
            seen: None,
        }
    }

    /// Whether the evidence comes from requests.
    fn was_asked(&self) -> bool {
        self.evidence.as_ref().is_some_and(|known| known.verdict != IdentityVerdict::NotProbed)
    }

    /// Records why no request was sent, unless an earlier response has proved something.
    fn was_not_asked(&mut self, evidence: IdentityEvidence) {
        if self.evidence.as_ref().is_none_or(IdentityEvidence::shows_nothing) {
            self.evidence = Some(evidence);
        }
    }

    /// Records what Pods of a template have responded.
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
    (question.key.clone(), question.product, question.target.port, question.stated())
}

#[cfg(test)]
mod tests;

//! The task that sends all probes.

use std::{collections::BTreeSet, sync::Arc};

use crd_types::Trust;
use detectors::{ServiceKey, ServiceView};
use kube::Client;
use rustls::ClientConfig;
use tokio::{task::JoinSet, time::Instant};
use toolset::{
    identity::{IdentityQuestion, counts},
    index::{Change, Index},
    pods::Pods,
    select::{
        evidence::{each_question, question, wanted},
        pods_of,
    },
};
use tracing::debug;

use super::{
    attempt::{Asked, Asker},
    board::{Ended, Start},
    identify::Questioned,
    permits::{Permit, Permits},
    pinned::Pinned,
    questions,
    target::ProbeId,
};
use crate::{
    api::{
        NamespacedName,
        fence::{Leadership, Term},
    },
    cluster::{
        rounds::{ended, moment},
        state::Cluster,
        triggers::Triggers,
    },
    dial::{local::Known, tls},
    metrics::{HealthCheck, Metrics},
};

/// Sends probes as long as this replica leads.
pub(crate) struct Prober {
    cluster: Arc<Cluster>,
    triggers: Arc<Triggers>,
    metrics: Arc<Metrics>,
    client: Client,
    /// The addresses that are never called.
    known: Arc<Known>,
    cluster_domain: Arc<str>,
    tls: Arc<ClientConfig>,
    leadership: Leadership,
}

/// The result of a task that has sent a probe.
enum Round {
    Health(HealthRound),
    Identity { question: IdentityQuestion, number: u64, reply: questions::Reply },
}

/// The endpoints of a Service in the index, before the probe reads anything.
enum EndpointState {
    /// The index may be outdated, and another Pod may have the addresses now.
    Outdated,
    /// No endpoint is serving, so there is no Pod to probe.
    NoneServing { slices: Option<u64> },
    /// At least one endpoint is serving.
    Serving { view: ServiceView, slices: u64 },
}

struct HealthRound {
    id: ProbeId,
    number: u64,
    began: Instant,
    ended: Ended,
    pinned: Option<Pinned>,
}

impl Prober {
    /// Creates the prober.
    ///
    /// Fails if TLS cannot be configured.
    pub(crate) fn new(
        (cluster, triggers, metrics): (Arc<Cluster>, Arc<Triggers>, Arc<Metrics>),
        client: Client,
        (known, cluster_domain): (Arc<Known>, Arc<str>),
        leadership: Leadership,
    ) -> Result<Self, rustls::Error> {
        Ok(Self { cluster, triggers, metrics, client, known, cluster_domain, tls: tls::unverified()?, leadership })
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let permits = Arc::new(Permits::default());
        let mut rounds = JoinSet::new();
        loop {
            let term = self.leadership.term();
            let is_new = self.cluster.probes.board().lead(term);
            let answered = self.cluster.probes.questions().lead(term);
            if is_new || answered.is_some() {
                // This ends the probes of the last term, and their permits.
                rounds = JoinSet::new();
                self.forget_answers(answered.unwrap_or_default());
            }
            if let Some(term) = term {
                self.follow(term);
            }
            self.start(&permits, &mut rounds);
            let due = self.next_due(&permits);
            tokio::select! {
                () = self.leadership.changed() => {}
                () = self.cluster.probes.news.notified() => {}
                ended = ended(&mut rounds) => match ended {
                    Round::Health(round) => self.end_health(round),
                    Round::Identity { question, number, reply } => self.end_identity(&question, number, reply),
                },
                () = permits.room() => {}
                () = moment(due) => {}
            }
        }
    }

    /// Removes the responses of the last term from the index, because another replica may have probed other Pods.
    fn forget_answers(&self, services: BTreeSet<ServiceKey>) {
        let mut index = self.cluster.index_mut();
        for key in services {
            index.apply_identity(&key, Vec::new());
        }
    }

    /// Determines the questions again after a change.
    fn follow(&self, term: Term) {
        let now = Instant::now();
        let gone = {
            let index = self.cluster.index();
            let changed = self.cluster.probes.questions().take_changes();
            if changed.as_ref().is_some_and(BTreeSet::is_empty) {
                return;
            }
            let all = self.all_questions(term, &index, changed.as_ref());
            let is_wanted = self.cluster.toolset_configs.all().iter().any(|config| counts(config, Trust::Trusted));
            if changed.is_none() {
                let slices = |key: &ServiceKey| index.slices_changed_at(key);
                self.cluster.probes.board().slices_listed(slices, now);
                self.cluster.probes.questions().slices_listed(slices, now);
            }
            let mut questions = self.cluster.probes.questions();
            questions.want(is_wanted);
            questions.set(changed.as_ref(), all, now)
        };
        let changes: Vec<Change> = {
            let mut index = self.cluster.index_mut();
            let answers = |key: &ServiceKey| self.cluster.probes.questions().answers(key);
            gone.iter().filter_map(|key| index.apply_identity(key, answers(key))).collect()
        };
        self.cluster.trigger(&self.triggers, &changes, now);
    }

    /// The questions of all `ToolsetConfigs` about these Services, or about all Services. A Service whose Pods will be
    /// read has no question before that, because the Pods may already show the product.
    fn all_questions(
        &self,
        term: Term,
        index: &Index,
        changed: Option<&BTreeSet<ServiceKey>>,
    ) -> Vec<IdentityQuestion> {
        let mut all = Vec::new();
        let configs = self.cluster.toolset_configs.all();
        for config in configs.iter().filter(|config| config.metadata.deletion_timestamp.is_none()) {
            let reads_pods = pods_of(config, Trust::Trusted) == Pods::Count;
            let mut add = |question: IdentityQuestion| {
                let waits = || {
                    let is_read = index.service(&question.key).and_then(|service| wanted(config, index, service));
                    is_read.is_some() && index.has_pods(&question.key) && self.cluster.pods.waits(term, &question.key)
                };
                if !(reads_pods && waits()) {
                    all.push(question);
                }
            };
            match changed {
                None => each_question(config, index, &mut add),
                Some(changed) => {
                    let services = changed.iter().filter_map(|key| index.service(key));
                    services.filter_map(|service| question(config, index, service)).for_each(&mut add);
                }
            }
        }
        all
    }

    fn next_due(&self, permits: &Permits) -> Option<Instant> {
        let now = Instant::now();
        let health = self.cluster.probes.board().next_due(&permits.budget(), now);
        let identity = self.cluster.probes.questions().next_due(&permits.budget(), now);
        health.into_iter().chain(identity).min()
    }

    /// Starts all due probes that the budget allows. The probe that has been due for the longest time comes first.
    fn start(&self, permits: &Arc<Permits>, rounds: &mut JoinSet<Round>) {
        loop {
            let now = Instant::now();
            let health = self.cluster.probes.board().due_since(&permits.budget(), now);
            let identity = self.cluster.probes.questions().due_since(&permits.budget(), now);
            let started = match (health, identity) {
                (None, None) => false,
                (Some(health), Some(identity)) if health < identity => self.start_health(permits, rounds),
                (_, Some(_)) => self.start_identity(permits, rounds),
                (Some(_), None) => self.start_health(permits, rounds),
            };
            if !started {
                return;
            }
        }
    }

    fn start_health(&self, permits: &Arc<Permits>, rounds: &mut JoinSet<Round>) -> bool {
        let now = Instant::now();
        let Some(start) = self.cluster.probes.board().start(&mut permits.budget(), now) else { return false };
        let Start { id, number, pinned, path } = start;
        let permit = permits.taken(id.key.namespace.clone(), id.trust);
        match self.endpoint_state(&id.key) {
            EndpointState::Serving { view, slices } => {
                self.cluster.probes.board().saw(&id, Some(slices));
                let asked = Asked { id, number, view, slices, pinned, path };
                rounds.spawn(self.asker(permits).round(asked, permit));
            }
            EndpointState::NoneServing { slices } => {
                permit.unused();
                self.cluster.probes.board().saw(&id, slices);
                self.end_health(HealthRound { id, number, began: now, ended: Ended::NoEndpoints, pinned: None });
            }
            EndpointState::Outdated => {
                permit.unused();
                self.end_health(HealthRound { id, number, began: now, ended: Ended::NotSent(None), pinned: None });
            }
        }
        true
    }

    fn start_identity(&self, permits: &Arc<Permits>, rounds: &mut JoinSet<Round>) -> bool {
        let now = Instant::now();
        let start = self.cluster.probes.questions().start(&mut permits.budget(), now);
        let Some((question, number, answered)) = start else { return false };
        let permit = permits.taken(question.key.namespace.clone(), Trust::Trusted);
        match self.endpoint_state(&question.key) {
            EndpointState::Serving { view, slices } => {
                self.cluster.probes.questions().saw(&question, Some(slices));
                let asker = self.asker(permits);
                rounds.spawn(async move {
                    let service = Questioned { question: &question, number, view: &view, slices };
                    let reply = asker.identity(&service, answered, permit).await;
                    Round::Identity { question, number, reply }
                });
            }
            EndpointState::NoneServing { slices } => {
                permit.unused();
                self.cluster.probes.questions().saw(&question, slices);
                self.end_identity(&question, number, questions::Reply::Nobody);
            }
            EndpointState::Outdated => {
                permit.unused();
                self.end_identity(&question, number, questions::Reply::Outdated);
            }
        }
        true
    }

    /// The endpoints of a Service in the index.
    fn endpoint_state(&self, key: &ServiceKey) -> EndpointState {
        if !self.cluster.slices_are_synced(&key.namespace) {
            return EndpointState::Outdated;
        }
        let index = self.cluster.index();
        let slices = index.slices_changed_at(key);
        match (index.service(key), slices) {
            (Some(service), Some(slices)) if index.readiness(key).serving => {
                EndpointState::Serving { view: service.view.clone(), slices }
            }
            _ => EndpointState::NoneServing { slices },
        }
    }

    fn asker(&self, permits: &Arc<Permits>) -> Asker {
        let (client, tls, known) = (self.client.clone(), self.tls.clone(), self.known.clone());
        let (cluster, cluster_domain) = (self.cluster.clone(), self.cluster_domain.clone());
        Asker { cluster, client, tls, permits: permits.clone(), known, cluster_domain }
    }

    /// Records the end of a health probe.
    fn end_health(&self, round: HealthRound) {
        let (now, HealthRound { id, number, began, ended, pinned }) = (Instant::now(), round);
        let result = match &ended {
            Ended::There { .. } => Some(HealthCheck::Success),
            // A Tenant must not be able to cause the alert about the operator's network, or to prevent it.
            Ended::Failed(failure) if failure.is_unreachable() => Some(match id.trust {
                Trust::Trusted => HealthCheck::Unreachable,
                Trust::Tenant => HealthCheck::UnreachableTenant,
            }),
            Ended::Failed(_) | Ended::NoPort(_) => Some(HealthCheck::Failure),
            Ended::NotAllowed(_) => Some(HealthCheck::NotAllowed),
            Ended::NoEndpoints | Ended::NotSent(_) => None,
        };
        if let Some(result) = result {
            self.metrics.health_checked(id.product, result, now - began);
        }
        let (namespace, name) = (&id.key.namespace, &id.key.name);
        debug!(%namespace, %name, result = ?ended, "probed the health of the Service");
        let changed = self.cluster.probes.board().end((&id, number), pinned, ended, now);
        self.trigger(&changed, now);
    }

    /// Records the end of an identity probe.
    fn end_identity(&self, question: &IdentityQuestion, number: u64, reply: questions::Reply) {
        let (now, key) = (Instant::now(), &question.key);
        debug!(namespace = %key.namespace, name = %key.name, result = ?reply, "probed the identity of the Service");
        let answers = self.cluster.probes.questions().end(question, number, reply, now);
        let change = answers.and_then(|answers| self.cluster.index_mut().apply_identity(key, answers));
        // A Service whose question is settled can enter the output.
        let settled = self.cluster.probes.questions().take_settled();
        let settled = settled.into_iter().map(|key| Change::Identity { key });
        let changes: Vec<Change> = change.into_iter().chain(settled).collect();
        self.cluster.trigger(&self.triggers, &changes, now);
    }

    fn trigger(&self, changed: &[NamespacedName], now: Instant) {
        for config in changed {
            self.triggers.one(config, Some(now));
        }
    }
}

impl Asker {
    async fn round(self, asked: Asked, permit: Permit) -> Round {
        let (id, number, began) = (asked.id.clone(), asked.number, Instant::now());
        let (ended, pinned) = self.health(asked, permit).await;
        Round::Health(HealthRound { id, number, began, ended, pinned })
    }
}

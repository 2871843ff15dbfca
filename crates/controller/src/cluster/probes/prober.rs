//! The task that probes.

use std::{collections::BTreeSet, sync::Arc};

use crd_types::Trust;
use detectors::ServiceKey;
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
    board::{Ended, ProbeId, Start},
    identify::Questioned,
    permits::{Permit, Permits},
    pinned::Pinned,
    questions,
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

/// Probes as long as this replica leads.
pub(crate) struct Prober {
    cluster: Arc<Cluster>,
    triggers: Arc<Triggers>,
    metrics: Arc<Metrics>,
    client: Client,
    /// The addresses that are never called.
    known: Arc<Known>,
    tls: Arc<ClientConfig>,
    leadership: Leadership,
}

/// The end of a task.
enum Round {
    Health(HealthRound),
    Identity { question: IdentityQuestion, number: u64, reply: questions::Reply },
}

struct HealthRound {
    id: ProbeId,
    number: u64,
    began: Instant,
    ended: Ended,
    pinned: Option<Pinned>,
}

impl Prober {
    /// Fails if TLS cannot be used.
    pub(crate) fn new(
        (cluster, triggers, metrics): (Arc<Cluster>, Arc<Triggers>, Arc<Metrics>),
        client: Client,
        known: Arc<Known>,
        leadership: Leadership,
    ) -> Result<Self, rustls::Error> {
        Ok(Self { cluster, triggers, metrics, client, known, tls: tls::unverified()?, leadership })
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
                // The probes of the last term end here, and so do their permits.
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

    /// Another replica may have probed other Pods, so the responses of the last term do not count before the Services
    /// are probed again.
    fn forget_answers(&self, services: BTreeSet<ServiceKey>) {
        let mut index = self.cluster.index_mut();
        for key in services {
            index.apply_identity(&key, Vec::new());
        }
    }

    /// Finds out what has to be asked after a change.
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

    /// What is asked for any `ToolsetConfig`, of these Services or of all. A Service whose Pods have not been read yet
    /// is asked after that, because they may settle it.
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

    /// Starts what is due and for which there is room. What has been due for longer comes first.
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
        if !self.cluster.slices_are_synced(&id.key.namespace) {
            // What is known of its addresses may be outdated, and another Pod may have them by now.
            self.end_health(HealthRound { id, number, began: now, ended: Ended::NotAsked, pinned: None });
            return true;
        }
        let seen = {
            let index = self.cluster.index();
            index.service(&id.key).map(|service| service.view.clone()).zip(index.slices_changed_at(&id.key))
        };
        match seen {
            Some((view, slices)) => {
                self.cluster.probes.board().saw(&id, Some(slices));
                let asked = Asked { id, number, view, slices, pinned, path };
                rounds.spawn(self.asker(permits).round(asked, permit));
            }
            // It has no EndpointSlices, so there is no Pod to probe.
            None => self.end_health(HealthRound { id, number, began: now, ended: Ended::NoEndpoints, pinned: None }),
        }
        true
    }

    fn start_identity(&self, permits: &Arc<Permits>, rounds: &mut JoinSet<Round>) -> bool {
        let now = Instant::now();
        let start = self.cluster.probes.questions().start(&mut permits.budget(), now);
        let Some((question, number, answered)) = start else { return false };
        let permit = permits.taken(question.key.namespace.clone(), Trust::Trusted);
        if !self.cluster.slices_are_synced(&question.key.namespace) {
            self.end_identity(&question, number, questions::Reply::NotAsked);
            return true;
        }
        let seen = {
            let index = self.cluster.index();
            index.service(&question.key).map(|service| service.view.clone()).zip(index.slices_changed_at(&question.key))
        };
        let Some((view, slices)) = seen else {
            self.end_identity(&question, number, questions::Reply::Nobody);
            return true;
        };
        self.cluster.probes.questions().saw(&question, Some(slices));
        let asker = self.asker(permits);
        rounds.spawn(async move {
            let service = Questioned { question: &question, number, view: &view, slices };
            let reply = asker.identity(&service, answered, permit).await;
            Round::Identity { question, number, reply }
        });
        true
    }

    fn asker(&self, permits: &Arc<Permits>) -> Asker {
        let (client, tls, known) = (self.client.clone(), self.tls.clone(), self.known.clone());
        Asker { cluster: self.cluster.clone(), client, tls, permits: permits.clone(), known }
    }

    /// Takes the end of a health probe.
    fn end_health(&self, round: HealthRound) {
        let (now, HealthRound { id, number, began, ended, pinned }) = (Instant::now(), round);
        let result = match &ended {
            Ended::There { .. } => Some(HealthCheck::Success),
            Ended::Failed(failure) if failure.is_unreachable => Some(HealthCheck::Unreachable),
            Ended::Failed(_) => Some(HealthCheck::Failure),
            Ended::NotAllowed(_) => Some(HealthCheck::NotAllowed),
            Ended::NoEndpoints | Ended::NotAsked => None,
        };
        if let Some(result) = result {
            self.metrics.health_checked(id.product, result, now - began);
        }
        let (namespace, name) = (&id.key.namespace, &id.key.name);
        debug!(%namespace, %name, result = ?ended, "probed the health of the Service");
        let changed = self.cluster.probes.board().end((&id, number), pinned, ended, now);
        self.trigger(&changed, now);
    }

    /// Takes the end of a question.
    fn end_identity(&self, question: &IdentityQuestion, number: u64, reply: questions::Reply) {
        let (now, key) = (Instant::now(), &question.key);
        debug!(namespace = %key.namespace, name = %key.name, result = ?reply, "probed the identity of the Service");
        let answers = self.cluster.probes.questions().end(question, number, reply, now);
        let change = answers.and_then(|answers| self.cluster.index_mut().apply_identity(key, answers));
        // A Service that no longer waits can enter the output.
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

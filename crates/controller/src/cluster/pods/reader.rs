//! The task that reads the Pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use detectors::{Confidence, ServiceKey};
use kube::Client;
use tokio::{task::JoinSet, time::Instant};
use toolset::{
    index::{Change, Index},
    pods::selects_hash,
    select::evidence::{each_wanted, wanted},
};
use tracing::{debug, info, warn};

use super::{
    round::{self, Answer, Failure, Question},
    target::{Ended, Seen, SeenSlices, Start},
};
use crate::{
    api::fence::Leadership,
    cluster::{
        rounds::{ended, moment, unless_panicked},
        state::Cluster,
        triggers::Triggers,
    },
    metrics::Metrics,
};

/// After how long it is checked again whether EndpointSlices can be listed.
const CHECK_LIST: Duration = Duration::from_secs(1);

/// Reads Pods as long as this replica leads.
pub(crate) struct PodReader {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) triggers: Arc<Triggers>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) client: Client,
    pub(crate) leadership: Leadership,
}

/// The end of a round.
struct Round {
    key: ServiceKey,
    number: u64,
    /// What the Service selected when it began.
    selects: u64,
    result: Result<Answer, Failure>,
}

impl PodReader {
    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut rounds = JoinSet::new();
        loop {
            let term = self.leadership.term();
            if self.cluster.pods.lock().lead(term) {
                // The rounds of the last term end here.
                rounds = JoinSet::new();
                self.forget_answers();
            }
            let check = if term.is_some() { self.follow() } else { None };
            while let Some((start, view)) = self.next() {
                let Start { key, number, known, room } = start;
                let (client, metrics, selects) = (self.client.clone(), self.metrics.clone(), selects_hash(&view));
                rounds.spawn(async move {
                    let result = round::ask(&client, Question { view, known, room }, &metrics).await;
                    Round { key, number, selects, result }
                });
            }
            self.trigger_ended();
            let due = self.cluster.pods.lock().next_due().into_iter().chain(check).min();
            tokio::select! {
                () = self.leadership.changed() => {}
                () = self.cluster.pods.news.notified() => {}
                ended = ended(&mut rounds) => {
                    let mut changes = Vec::new();
                    self.end(ended, &mut changes);
                    while let Some(ended) = rounds.try_join_next() {
                        self.end(unless_panicked(ended), &mut changes);
                    }
                    self.cluster.trigger(&self.triggers, &changes, Instant::now());
                }
                () = moment(due) => {}
            }
        }
    }

    /// Another replica may have written something newer than what this one knows of the last term, so nothing of it counts
    /// before it is answered again.
    fn forget_answers(&self) {
        let known = self.cluster.pods.lock().all();
        let mut index = self.cluster.index_mut();
        for key in known {
            index.apply_pods(&key, None);
        }
    }

    /// Triggers for the Services that have stopped to wait, because they can enter the output.
    fn trigger_ended(&self) {
        let ended = self.cluster.pods.lock().take_ended();
        for key in &ended {
            self.cluster.probes.service_changed(key);
        }
        let changes: Vec<Change> = ended.into_iter().map(|key| Change::Pods { key }).collect();
        self.cluster.trigger(&self.triggers, &changes, Instant::now());
    }

    /// Takes what changed. Returns when to do it again although nothing changes.
    fn follow(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut gone = Vec::new();
        let mut is_pending = false;
        {
            let index = self.cluster.index();
            let changed = self.cluster.pods.lock().take_changes();
            let wanted = self.wanted(&index, changed.as_ref());
            let mut targets = self.cluster.pods.lock();
            match changed {
                Some(changed) => gone.extend(changed.into_iter().filter(|key| !wanted.contains_key(key))),
                None => gone.extend(targets.others(&wanted.keys().cloned().collect())),
            }
            gone.retain(|key| targets.forget(key, now));
            for (key, confidence) in &wanted {
                let Some(service) = index.service(key) else { continue };
                let slices = self.slices(&index, key);
                is_pending |= slices == SeenSlices::Pending;
                let has_evidence = service.pods().is_some();
                targets.want(&Seen { view: &service.view, confidence: *confidence, slices, has_evidence }, now);
            }
            // A Role grants in one namespace.
            targets.ask_again(!self.cluster.scope.watch_namespaces.is_empty(), now);
        }
        let changes: Vec<Change> = {
            let mut index = self.cluster.index_mut();
            gone.iter().filter_map(|key| index.apply_pods(key, None)).collect()
        };
        self.cluster.trigger(&self.triggers, &changes, now);
        if !is_pending {
            return None;
        }
        self.cluster.pods.lock().all_changed();
        Some(now + CHECK_LIST)
    }

    /// The Services whose Pods are wanted by a ToolsetConfig, of these or of all.
    fn wanted(&self, index: &Index, changed: Option<&BTreeSet<ServiceKey>>) -> BTreeMap<ServiceKey, Confidence> {
        let mut all = BTreeMap::new();
        let mut add = |key: &ServiceKey, confidence: Confidence| {
            let known = all.entry(key.clone()).or_insert(confidence);
            *known = confidence.max(*known);
        };
        if changed.is_some_and(BTreeSet::is_empty) {
            return all;
        }
        for config in self.cluster.toolset_configs.all() {
            match changed {
                None => each_wanted(&config, index, |service, confidence| add(&service.view.key, confidence)),
                Some(changed) => {
                    for service in changed.iter().filter_map(|key| index.service(key)) {
                        if let Some(confidence) = wanted(&config, index, service) {
                            add(&service.view.key, confidence);
                        }
                    }
                }
            }
        }
        all
    }

    fn slices(&self, index: &Index, key: &ServiceKey) -> SeenSlices {
        match index.slices_changed_at(key).filter(|_| index.has_pods(key)) {
            Some(number) => SeenSlices::At(number),
            None if self.cluster.slices_are_pending(&key.namespace) => SeenSlices::Pending,
            None => SeenSlices::NoPods,
        }
    }

    /// The next round, with the Service as it is now.
    fn next(&self) -> Option<(Start, detectors::ServiceView)> {
        let index = self.cluster.index();
        let mut targets = self.cluster.pods.lock();
        let start = targets.start(Instant::now())?;
        // The index has it, because a Service that is gone is forgotten first.
        let view = index.service(&start.key)?.view.clone();
        // What changes from now on is seen in another round.
        targets.saw_slices(&start.key, index.slices_changed_at(&start.key));
        Some((start, view))
    }

    /// Takes the end of a round.
    fn end(&self, round: Round, changes: &mut Vec<Change>) {
        let Round { key, number, selects: asked, result } = round;
        let (namespace, name) = (&key.namespace, &key.name);
        if let Err(failure) = &result {
            debug!(%namespace, %name, reason = %failure, "cannot read the Pods of the Service");
        }
        let is_allowed = result.is_ok();
        let ended = self.cluster.pods.lock().end((&key, number), result, Instant::now());
        let Some(Ended { evidence, refusal_changed }) = ended else { return };
        if refusal_changed && is_allowed {
            info!(%namespace, "Pods can be read again");
        } else if refusal_changed {
            warn!(%namespace, "not allowed to read Pods; they are not used as evidence");
        }
        if refusal_changed {
            let all = self.cluster.pods.lock().of_namespace(namespace);
            changes.extend(all.into_iter().map(|key| Change::Pods { key }));
        }
        self.cluster.probes.service_changed(&key);
        let mut index = self.cluster.index_mut();
        let is_same = index.service(&key).is_some_and(|service| selects_hash(&service.view) == asked);
        let change = evidence.filter(|_| is_same).and_then(|evidence| index.apply_pods(&key, Some(evidence)));
        changes.extend(change);
    }
}

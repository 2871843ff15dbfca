//! What the worker of one ToolsetConfig remembers between two reconciles. If it is lost, some work is repeated.

use std::sync::Arc;

use tokio::time::{Duration, Instant};
use toolset::{
    HealthStage,
    config_map::Manifest,
    render::{AgentFile, HOLMESGPT_KEY},
};

use super::{brake::Brake, health_clocks::HealthClocks, pods::PodMemory, record::Recorded};
use crate::{api::fence::Term, cluster::ConfigMapState};

/// How long further changes are collected after a write, so that a burst causes two writes and not many.
const WINDOW: Duration = Duration::from_millis(50);
/// A plan that takes longer than this is followed by a pause of twice its time, so that a flood of Services does not keep
/// the operator planning all the time.
const LONG_PLAN: Duration = Duration::from_millis(50);
/// The longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How many writes without an answer are remembered.
const UNANSWERED: usize = 8;

/// What the worker remembers of one object during one term.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) term: Term,
    /// The uid of the ToolsetConfig.
    pub(super) uid: String,
    /// The clocks of the health stage.
    pub(super) clocks: HealthClocks,
    /// Since when tools have been without endpoints.
    pub(super) health: HealthStage,
    pub(super) pods: PodMemory,
    /// Slows down repairs in a conflict.
    pub(super) brake: Brake,
    /// The ConfigMap as this process last applied it and the API server acknowledged it. It is used to restore the
    /// ConfigMap without a plan, and to know what is in the output while the ConfigMap does not exist.
    pub(super) applied: Option<Manifest>,
    /// The writes since then that were not acknowledged, oldest first. The API server may have carried out some of
    /// them.
    unanswered: Vec<Manifest>,
    /// The other side of the last conflict, as text for messages.
    pub(super) rival: String,
    /// The generation of the spec for which this process last wrote what it planned, or found it written. `None` if its
    /// index may lack what another process has seen.
    pub(super) settled: Option<i64>,
    /// The generation of the spec for which the ConfigMap was last read back and reduced. At first it is that of the
    /// last status, which another replica may have written.
    pub(super) reduced: Option<i64>,
    /// The agent's file in the ConfigMap as this term found it, if the spec restarts the agent.
    pub(super) found: Option<Arc<AgentFile>>,
    /// The agent's file as this process last wrote it, or found it written.
    pub(super) agent_file: Option<Arc<AgentFile>>,
    /// The file for Grafana in the ConfigMap, and since when this process has known it.
    file: Option<(Arc<str>, Instant)>,
    /// When the ConfigMap was first seen being deleted.
    pub(super) leaving_since: Option<Instant>,
    /// Failures to write in a row.
    pub(super) failures: u32,
    /// When the ToolsetConfig began to wait for its inputs.
    pub(super) waiting_since: Option<Instant>,
    /// Whether the last write was refused because the lease was not held. It is made after the next renewal.
    pub(super) refused: bool,
    /// What records need. `None` if the operator sends none.
    pub(super) recorded: Option<Box<Recorded>>,
    /// When the last write began.
    last_write: Option<Instant>,
    /// Until when the pause after a long plan lasts.
    pause_ends: Option<Instant>,
}

impl Memory {
    pub(super) fn new(term: Term, uid: String, reduced: Option<i64>, now: Instant) -> Self {
        Self {
            term,
            uid,
            clocks: HealthClocks::new(now),
            health: HealthStage::default(),
            pods: PodMemory::default(),
            brake: Brake::default(),
            applied: None,
            unanswered: Vec::new(),
            rival: String::new(),
            settled: None,
            reduced,
            found: None,
            agent_file: None,
            file: None,
            leaving_since: None,
            failures: 0,
            waiting_since: None,
            refused: false,
            recorded: None,
            last_write: None,
            pause_ends: None,
        }
    }

    /// Keeps the agent's file as this term found it, before anything is written.
    pub(super) fn finds(&mut self, existing: &ConfigMapState) {
        if self.found.is_none() {
            let view = existing.view.as_deref();
            let text = view.and_then(|view| view.data.get(HOLMESGPT_KEY)).map_or("", |text| &**text);
            // A file that cannot be read was not written by an operator.
            self.found = Some(Arc::new(AgentFile::read_back(text, None).unwrap_or_default()));
        }
    }

    /// Since when the file for Grafana in the ConfigMap has been the same, as far as this process knows.
    pub(super) fn file_since(&mut self, text: &Arc<str>, now: Instant) -> Instant {
        match &self.file {
            Some((known, since)) if known == text => *since,
            _ => self.file.insert((Arc::clone(text), now)).1,
        }
    }

    /// Records that a write begins. A reconcile without a write is not recorded, because it must not delay the next
    /// one.
    pub(super) fn write_begins(&mut self, now: Instant) {
        self.last_write = Some(now);
    }

    /// Records how long a plan took.
    pub(super) fn planned(&mut self, took: Duration, now: Instant) {
        self.pause_ends = (took > LONG_PLAN).then(|| now + (2 * took).min(LONGEST_PAUSE));
    }

    /// Records a write that the API server acknowledged.
    pub(super) fn acknowledged(&mut self, manifest: Manifest) {
        self.applied = Some(manifest);
        self.unanswered.clear();
    }

    /// Records a write that failed. It may have been carried out, because only its answer may be lost.
    pub(super) fn unanswered(&mut self, manifest: Manifest) {
        if self.unanswered.len() == UNANSWERED {
            self.unanswered.remove(0);
        }
        self.unanswered.push(manifest);
    }

    /// Compares the ConfigMap with the writes without an answer. If it equals one of them, the API server carried that
    /// one out, and nobody else changed the ConfigMap.
    pub(super) fn recognise(&mut self, existing: &ConfigMapState) {
        let Some(view) = existing.view.as_deref() else { return };
        let Some(carried_out) = self.unanswered.iter().position(|sent| sent.drift(view, &existing.owned).is_none())
        else {
            return;
        };
        self.applied = self.unanswered.drain(..=carried_out).next_back();
    }

    /// Until when a change that arrives now waits for other changes. `None` if it does not wait. The first change after
    /// a quiet time is written at once, and the changes right after it are written together.
    pub(super) fn collects_until(&self, now: Instant) -> Option<Instant> {
        let window_ends = self.last_write.map(|last| last + WINDOW);
        window_ends.into_iter().chain(self.pause_ends).max().filter(|ends| now < *ends)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use toolset::Rendered;

    use super::*;
    use toolset::config_map::OwnedFields;

    use crate::api::fence::Fence;

    fn memory() -> Memory {
        Memory::new(Fence::without_election().term().unwrap(), "u".to_owned(), None, Instant::now())
    }

    fn manifest(text: &str) -> Manifest {
        let config = serde_json::from_value(serde_json::json!({
            "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
            "metadata": {"name": "c", "namespace": "n", "uid": "u"},
            "spec": {"sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}]}
        }));
        let rendered =
            Rendered { data: [("toolset.json".into(), text.into())].into(), hash: text.into(), ..Default::default() };
        Manifest::new(&config.unwrap(), &rendered)
    }

    fn as_written(text: &str) -> ConfigMapState {
        let mut state = ConfigMapState::default();
        state.view = Some(Arc::new(manifest(text).applied_onto(None, "x", &OwnedFields::default())));
        state
    }

    #[test]
    fn a_write_without_an_answer_that_was_carried_out_is_what_was_applied() {
        let mut memory = memory();
        memory.acknowledged(manifest("first"));
        for text in ["second", "third", "fourth"] {
            memory.unanswered(manifest(text));
        }
        memory.recognise(&as_written("somebody else's"));
        assert_eq!(memory.applied, Some(manifest("first")));
        memory.recognise(&as_written("third"));
        assert_eq!(memory.applied, Some(manifest("third")));
        memory.recognise(&as_written("second"));
        assert_eq!(memory.applied, Some(manifest("third")), "somebody else went back to it");
        memory.recognise(&as_written("fourth"));
        assert_eq!(memory.applied, Some(manifest("fourth")));
    }

    #[test]
    fn a_file_is_known_since_it_was_first_seen_with_this_content() {
        let (mut memory, now) = (memory(), Instant::now());
        let later = now + Duration::from_secs(60);
        assert_eq!(memory.file_since(&"a".into(), now), now);
        assert_eq!(memory.file_since(&"a".into(), later), now);
        assert_eq!(memory.file_since(&"b".into(), later), later);
        assert_eq!(memory.file_since(&"a".into(), later), later, "it was another one in between");
    }

    #[test]
    fn a_long_plan_is_followed_by_a_pause_and_a_short_one_is_not() {
        let now = Instant::now();
        let mut memory = Memory::new(Fence::without_election().term().unwrap(), "u".to_owned(), None, now);
        memory.planned(LONG_PLAN, now);
        assert_eq!(memory.collects_until(now), None);
        memory.planned(Duration::from_millis(200), now);
        assert_eq!(memory.collects_until(now), Some(now + Duration::from_millis(400)));
        memory.planned(Duration::from_secs(60), now);
        assert_eq!(memory.collects_until(now), Some(now + LONGEST_PAUSE));
    }

    #[test]
    fn the_first_change_is_written_at_once_and_the_next_ones_together() {
        let now = Instant::now();
        let mut memory = Memory::new(Fence::without_election().term().unwrap(), "u".to_owned(), None, now);
        assert_eq!(memory.collects_until(now), None);
        memory.write_begins(now);
        assert_eq!(memory.collects_until(now + Duration::from_millis(10)), Some(now + WINDOW));
        assert_eq!(memory.collects_until(now + WINDOW), None);
    }
}

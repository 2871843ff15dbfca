//! Sends health probes and identity probes to Services.
//!
//! ```text
//! worker ── what the plan wants to be probed ──► board ── due ──► prober ──► attempt: resolve, dial ──► Pods
//! worker ◄── state of a tool ─────────────────── board ◄── ended ──┘
//!                                                  └── health changed ──► triggers
//! ```
//!
//! One task sends all probes of the process, and only while this replica leads. This is the only part of the operator
//! with a period. A probe with the same result as before triggers nothing.
//!
//! A tenant could misuse the operator as a port scanner inside the cluster. So the operator connects only to Pods that
//! belong to the Service (`dial/`), within a budget (`budget.rs`), and keeps only the class of a response.

mod attempt;
mod board;
mod budget;
mod hysteresis;
mod identify;
mod permits;
mod pinned;
mod prober;
mod questions;
mod queue;
mod target;

use std::sync::{Mutex, MutexGuard, PoisonError};

use crd_types::HealthProbe;
use detectors::ServiceKey;
use tokio::{sync::Notify, time::Instant};
use toolset::{HealthTarget, Probed, identity::IdentityQuestion};

use self::{board::Board, questions::Questions};
pub(crate) use self::{prober::Prober, questions::Wait};
use crate::api::{NamespacedName, fence::Term};

/// The probes of this process. The workers set which probes they need, and read the results.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    board: Mutex<Board>,
    questions: Mutex<Questions>,
    news: Notify,
}

impl Probes {
    /// Sets which tools of a `ToolsetConfig` are probed in this term, and how. Returns whether other tools than before are
    /// never probed. No probe of them ends, so the plan must be made again.
    pub(crate) fn set(
        &self,
        term: Term,
        config: &NamespacedName,
        targets: &[HealthTarget],
        settings: Option<&HealthProbe>,
    ) -> bool {
        let mut board = self.board();
        let is_over = board.term() > Some(term);
        if is_over || targets.is_empty() && !board.knows(config) {
            return false;
        }
        board.lead(Some(term));
        let default = HealthProbe::default();
        let changed = board.set(config, targets, settings.unwrap_or(&default), Instant::now());
        if changed.any {
            self.news.notify_one();
        }
        changed.without_target
    }

    /// Removes all targets of a `ToolsetConfig`.
    pub(crate) fn forget(&self, config: &NamespacedName) {
        self.board().set(config, &[], &HealthProbe::default(), Instant::now());
    }

    /// What the probes of a Service show to a `ToolsetConfig` in this term.
    pub(crate) fn state(&self, term: Term, config: &NamespacedName, key: &ServiceKey) -> Probed {
        let board = self.board();
        if board.term() == Some(term) { board.state(config, key) } else { Probed::PENDING }
    }

    /// Whether every identity probe of this term has a result.
    pub(crate) fn is_quiet(&self, term: Term) -> bool {
        self.questions().is_quiet(term)
    }

    /// Why a question has no result in this term yet. `None` if it has a result.
    pub(crate) fn waits(&self, term: Term, question: &IdentityQuestion) -> Option<Wait> {
        self.questions().waits(term, question)
    }

    /// Takes a change of the EndpointSlices of a Service.
    pub(in crate::cluster) fn slices_changed(&self, key: &ServiceKey) {
        let now = Instant::now();
        if self.board().slices_changed(key, now) | self.questions().slices_changed(key, now) {
            self.news.notify_one();
        }
    }

    /// Takes a change of a recognised Service, or of what its Pods show.
    pub(in crate::cluster) fn service_changed(&self, key: &ServiceKey) {
        if self.questions().changed(key) {
            self.news.notify_one();
        }
    }

    /// Takes a change that can affect every Service: a list is complete, or a `ToolsetConfig` or a Namespace changed.
    pub(in crate::cluster) fn all_changed(&self) {
        if self.questions().all_changed() {
            self.news.notify_one();
        }
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

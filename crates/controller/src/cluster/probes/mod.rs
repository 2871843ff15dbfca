//! Sends health probes and identity probes to Services.
//!
//! ```text
//! worker ── what the plan wants to be probed ──► board ── due ──► prober ──► attempt: resolve, dial ──► Pods
//! worker ◄── state of a tool ─────────────────── board ◄── ended ──┘
//!                                                  └── health changed ──► triggers
//! ```
//!
//! One task probes for the whole process, and only while this replica leads. This is the only part of the operator with
//! a period. A probe that changes nothing triggers nothing.
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

use std::sync::{Mutex, MutexGuard, PoisonError};

use crd_types::HealthProbe;
use detectors::ServiceKey;
use tokio::{sync::Notify, time::Instant};
use toolset::{HealthTarget, Probed, identity::IdentityQuestion};

pub(crate) use self::prober::Prober;
use self::{board::Board, questions::Questions};
use crate::api::{NamespacedName, fence::Term};

/// What is probed. The workers set what they want, and read what is known.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    board: Mutex<Board>,
    questions: Mutex<Questions>,
    news: Notify,
}

impl Probes {
    /// Sets which tools of a `ToolsetConfig` are probed in this term, and how.
    pub(crate) fn set(
        &self,
        term: Term,
        config: &NamespacedName,
        targets: &[HealthTarget],
        settings: Option<&HealthProbe>,
    ) {
        let mut board = self.board();
        let is_over = board.term() > Some(term);
        if is_over || targets.is_empty() && !board.knows(config) {
            return;
        }
        board.lead(Some(term));
        let default = HealthProbe::default();
        if board.set(config, targets, settings.unwrap_or(&default), Instant::now()) {
            self.news.notify_one();
        }
    }

    /// Removes all targets of a `ToolsetConfig`.
    pub(crate) fn forget(&self, config: &NamespacedName) {
        self.board().set(config, &[], &HealthProbe::default(), Instant::now());
    }

    /// What the probes of a Service show to a `ToolsetConfig` in this term.
    pub(crate) fn state(&self, term: Term, config: &NamespacedName, key: &ServiceKey) -> Probed {
        let board = self.board();
        if board.term() == Some(term) { board.state(config, key) } else { Probed::Pending }
    }

    /// Whether all identity probes of this term have ended.
    pub(crate) fn is_quiet(&self, term: Term) -> bool {
        self.questions().is_quiet(term)
    }

    /// Whether the response to a question is missing in this term.
    pub(crate) fn waits(&self, term: Term, question: &IdentityQuestion) -> bool {
        self.questions().waits(term, question)
    }

    /// The EndpointSlices of a Service changed.
    pub(in crate::cluster) fn slices_changed(&self, key: &ServiceKey) {
        let now = Instant::now();
        if self.board().slices_changed(key, now) | self.questions().slices_changed(key, now) {
            self.news.notify_one();
        }
    }

    /// A Service changed that something recognises, or what is known of its Pods did.
    pub(in crate::cluster) fn service_changed(&self, key: &ServiceKey) {
        if self.questions().changed(key) {
            self.news.notify_one();
        }
    }

    /// Other Services may have to be asked, because a list is complete or a ToolsetConfig or a Namespace changed.
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

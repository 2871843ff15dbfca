//! Reads the Pods behind Services as evidence. They are read when something changed, and never watched.
//!
//! ```text
//! feed ── a Service, its slices, a ToolsetConfig changed ──► targets ── due ──► reader ──► round: slices, Pods
//! worker ── waits for an answer? ──► targets                    ▲                           │
//!                                                               └──── answer, failure ◄─────┘
//!                                                  index ◄── evidence ── if it changed ──► triggers
//! ```
//!
//! One task reads for the whole process, and only while this replica leads. A replica that does not lead would double the
//! reads, and a new leader needs few seconds for all of them. Meanwhile the entries stay as the ConfigMap has them.

mod reader;
mod refusals;
mod round;
mod target;
mod targets;

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use detectors::{ServiceKey, ServiceView};
use tokio::sync::Notify;

pub(crate) use self::reader::PodReader;
use self::targets::Targets;
use crate::api::fence::Term;

/// What is known of the reads. The feeds tell it what changed, and the workers ask it what is not answered yet.
#[derive(Debug, Default)]
pub(crate) struct PodReads {
    targets: Mutex<Targets>,
    news: Notify,
}

impl PodReads {
    /// A Service changed that something recognises.
    pub(super) fn service_changed(&self, view: &ServiceView) {
        if self.lock().service_changed(view) {
            self.news.notify_one();
        }
    }

    /// A Service is gone or is not recognised any more, or its EndpointSlices changed.
    pub(super) fn changed(&self, key: &ServiceKey) {
        if self.lock().changed(key) {
            self.news.notify_one();
        }
    }

    /// Other Services may have to be read, because a list is complete or a ToolsetConfig or a Namespace changed.
    pub(super) fn all_changed(&self) {
        if self.lock().all_changed() {
            self.news.notify_one();
        }
    }

    /// Whether every Service that is read has been answered in this term. Then no other question needs to be asked.
    pub(crate) fn is_quiet(&self, term: Term) -> bool {
        self.lock().is_quiet(term)
    }

    /// Whether the Pods of a Service, which are wanted, have not been answered once in this term.
    pub(crate) fn waits(&self, term: Term, key: &ServiceKey) -> bool {
        self.lock().waits(term, key)
    }

    /// The namespaces in which the API server refuses to show Pods.
    pub(crate) fn refused(&self) -> BTreeSet<String> {
        self.lock().refused()
    }

    fn lock(&self) -> MutexGuard<'_, Targets> {
        self.targets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The Service that is explained, and what is known about it.

use detectors::ServiceKey;
use toolset::index::Recognised;

use super::classification::Classification;
use crate::snapshot::{Planned, Snapshot};

/// What the parts of an explanation are made from.
pub(super) struct Case<'a> {
    pub snapshot: &'a Snapshot,
    pub service: &'a Recognised,
    pub planned: &'a Planned,
    pub classification: Classification,
    pub cluster_domain: &'a str,
}

impl Case<'_> {
    pub(super) fn key(&self) -> &ServiceKey {
        &self.service.view.key
    }
}

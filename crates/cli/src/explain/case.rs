//! The Service that is explained, and how sections are written.

use detectors::ServiceKey;
use toolset::index::Recognised;

use super::classification::Classification;
use crate::{
    paint::Paint,
    snapshot::{Planned, Snapshot},
    text::wrap,
};

/// The input of the sections.
pub(super) struct Case<'a> {
    pub snapshot: &'a Snapshot,
    pub service: &'a Recognised,
    pub planned: Planned,
    pub classification: Classification,
    pub cluster_domain: &'a str,
    pub paint: Paint,
}

impl Case<'_> {
    pub(super) fn key(&self) -> &ServiceKey {
        &self.service.view.key
    }

    pub(super) fn heading(&self, text: &str) -> String {
        self.paint.bold(text)
    }
}

/// A line with a label and a text. A long text continues on the next line.
pub(super) fn entry(label: &str, text: impl AsRef<str>) -> String {
    wrap(&format!("  {label:<12} "), text.as_ref()).join("\n")
}

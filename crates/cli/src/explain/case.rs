//! The Service that is explained, and how sections are written.

use detectors::ServiceKey;
use toolset::index::Recognised;

use super::classification::Classification;
use crate::{
    paint::Paint,
    snapshot::{Planned, Snapshot},
    text::{IntoText, Text, text, wrap},
};

/// The width of the labels.
const LABEL: usize = 12;

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

    pub(super) fn heading(&self, text: &str) -> Text {
        self.paint.bold(text)
    }
}

/// A line with a label and a text. A long text continues on the next line.
pub(super) fn entry(label: impl IntoText, text: impl IntoText) -> Text {
    let label = label.into_text();
    let blanks = " ".repeat(LABEL.saturating_sub(label.width()) + 1);
    Text::joined(&wrap(text!("  ", label, blanks), text))
}

//! What the Pods of a Service say, and where it counts.

use detectors::pods::PodFacts;

/// What the Pods behind a Service say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEvidence {
    /// In which facts the Pods agree.
    pub facts: PodFacts,
    /// Whether Pods of several controllers differ in other facts.
    pub ambiguous: bool,
}

impl PodEvidence {
    /// Pods that say nothing about their Service.
    pub fn nothing() -> Self {
        Self { facts: PodFacts::default(), ambiguous: false }
    }
}

/// Whether what Pods say counts. It does not count in a Tenant source, because a tenant writes its Pods, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pods {
    /// It counts.
    Count,
    /// It does not.
    Ignored,
}

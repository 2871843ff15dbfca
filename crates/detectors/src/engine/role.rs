//! The role that a Service states, and the Helm release that it belongs to.

use super::{rule::Rule, whole_words};
use crate::{
    finding::EvidenceKind,
    view::{ServiceView, StringMap},
};

/// The recommended label for a role.
pub(crate) const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// The label for a role in charts that are older than the recommended labels.
pub(crate) const LEGACY_COMPONENT_LABEL: &str = "component";

/// Words of a label that describe a whole stack: `core` in the Giant Swarm manifests, `monitoring` from the
/// VictoriaMetrics operator.
const SUITE_WORDS: &[&str] = &[
    "core",
    "log",
    "logging",
    "logs",
    "main",
    "monitoring",
    "observability",
    "stack",
    "telemetry",
    "traces",
    "tracing",
];

/// Words of a role label that describe the only component that there is: `storage-backend` in Jaeger's. A program of any
/// kind has such a component.
const PART_WORDS: &[&str] = &[
    "app",
    "backend",
    "dashboard",
    "dashboards",
    "database",
    "server",
    "service",
    "storage",
    "ui",
    "visualization",
    "web",
];

/// A role, as a Service states it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role<'a> {
    pub kind: EvidenceKind,
    pub key: &'a str,
    pub value: &'a str,
}

impl Role<'_> {
    /// Whether it does not distinguish one component of the product from another.
    pub(crate) fn is_neutral(&self, rule: &Rule) -> bool {
        is_neutral(self.value, rule)
    }
}

/// The role that the labels of a Service state, or else its selector.
pub(crate) fn stated_role<'a>(view: &'a ServiceView, rule: &Rule) -> Option<Role<'a>> {
    let keys = || [COMPONENT_LABEL, LEGACY_COMPONENT_LABEL].iter().chain(rule.role_keys);
    // A chart may repeat the product's name as its role.
    let repeats_name = |value: &str| {
        rule.name(value).is_some()
            && !rule.endpoints.iter().any(|endpoint| whole_words::contains(endpoint.roles, value))
    };
    let stated = |map: &'a StringMap, kind| {
        keys().find_map(|key| {
            let value = map.get(key).filter(|value| !repeats_name(value))?;
            Some(Role { kind, key, value })
        })
    };
    stated(&view.labels, EvidenceKind::Label).or_else(|| stated(&view.selector, EvidenceKind::Selector))
}

/// Whether all words of a value describe the stack, the product or its only component.
pub(crate) fn is_neutral(value: &str, rule: &Rule) -> bool {
    whole_words::split(value).all(|word| {
        [SUITE_WORDS, PART_WORDS, rule.neutral_words].into_iter().any(|words| whole_words::contains(words, word))
    })
}

/// Whether all words of a value describe a stack.
pub(crate) fn names_suite(value: &str) -> bool {
    whole_words::split(value).all(|word| whole_words::contains(SUITE_WORDS, word))
}

/// The Helm release that a Service belongs to.
pub(crate) fn release(view: &ServiceView) -> Option<&str> {
    view.labels.get("app.kubernetes.io/instance").or_else(|| view.labels.get("release")).filter(|name| !name.is_empty())
}

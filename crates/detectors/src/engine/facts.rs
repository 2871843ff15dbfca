//! What the rules read of a Service, found once for all of them and without an allocation.

use super::{
    rule::{Name, Rule},
    words::{self, Saying, Vocabulary},
};
use crate::{EvidenceKind, Product, ServiceView, StringMap};

/// The label with a defined meaning.
pub(crate) const NAME_LABEL: &str = "app.kubernetes.io/name";
/// The label that names a role.
pub(crate) const COMPONENT_LABEL: &str = "app.kubernetes.io/component";
/// The role's key in charts from before the recommended labels.
pub(crate) const LEGACY_COMPONENT: &str = "component";

/// Keys under which people write what a Service is: charts from before the recommended labels, the cluster add-ons, kompose,
/// `kubectl run`, `OpenShift`, Rancher's and Tencent's consoles, a `StatefulSet`'s pod.
const IDENTITY_KEYS: &[&str] = &[
    "app",
    "k8s-app",
    "name",
    LEGACY_COMPONENT,
    COMPONENT_LABEL,
    "io.kompose.service",
    "kubernetes.io/name",
    "run",
    "service",
    "tier",
    "app-name",
    "app_name",
    "appName",
    "app.kubernetes.io/app",
    "deployment",
    "deploymentconfig",
    "qcloud-app",
    "statefulset.kubernetes.io/pod-name",
    "workload.user.cattle.io/workloadselector",
];

/// Words of a role label that describe the stack rather than a part of it, or the only part there is (`core` in the Giant
/// Swarm manifests, `monitoring` from the VictoriaMetrics operator, `storage-backend` in Jaeger's).
const NEUTRAL_ROLES: &[&str] = &[
    "app",
    "backend",
    "core",
    "dashboard",
    "dashboards",
    "database",
    "log",
    "logging",
    "logs",
    "main",
    "monitoring",
    "observability",
    "search",
    "server",
    "service",
    "stack",
    "storage",
    "telemetry",
    "traces",
    "tracing",
    "ui",
    "visualization",
    "web",
];

/// One place that says what a Service is.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a> {
    /// Where it stands.
    pub kind: EvidenceKind,
    /// The key of the label or selector; empty for the Service's name.
    pub key: &'a str,
    /// What is written there.
    pub value: &'a str,
    /// What that says.
    pub saying: Saying<'a>,
}

impl Reading<'_> {
    /// The rule's name that stands here exactly.
    pub fn exact(&self, rule: &Rule) -> Option<&'static Name> {
        if matches!(self.kind, EvidenceKind::Name) {
            return None;
        }
        rule.names.iter().find(|name| name.value.eq_ignore_ascii_case(self.value))
    }
}

/// More places than a Service that means one thing has.
const MAX_READINGS: usize = 16;

/// A Service, read.
pub(crate) struct Facts<'a> {
    pub view: &'a ServiceView,
    readings: [Option<Reading<'a>>; MAX_READINGS],
    count: usize,
    /// Whether labels and selector give `app.kubernetes.io/name` to something that no rule knows.
    pub foreign_name_label: bool,
}

impl<'a> Facts<'a> {
    /// Reads a Service.
    pub fn of(view: &'a ServiceView, vocabulary: &Vocabulary) -> Self {
        let release = release(view);
        let mut facts = Self { view, readings: [None; MAX_READINGS], count: 0, foreign_name_label: false };
        let mut named = false;
        if let Some(value) = view.labels.get(NAME_LABEL) {
            named = true;
            facts.push(EvidenceKind::Label, NAME_LABEL, value, release, vocabulary);
        }
        facts.push_identities(EvidenceKind::LegacyLabel, &view.labels, release, vocabulary);
        if let Some(value) = view.selector.get(NAME_LABEL) {
            named = true;
            facts.push(EvidenceKind::Selector, NAME_LABEL, value, release, vocabulary);
        }
        facts.push_identities(EvidenceKind::Selector, &view.selector, release, vocabulary);
        facts.foreign_name_label = named
            && facts
                .readings()
                .filter(|reading| reading.key == NAME_LABEL)
                .all(|reading| reading.saying.product().is_none() && !is_neutral(reading.value));
        facts.push(EvidenceKind::Name, "", &view.key.name, release, vocabulary);
        facts
    }

    fn push_identities(
        &mut self,
        kind: EvidenceKind,
        map: &'a StringMap,
        release: Option<&str>,
        vocabulary: &Vocabulary,
    ) {
        for (key, value) in map.iter() {
            if IDENTITY_KEYS.contains(&key) {
                self.push(kind, key, value, release, vocabulary);
            }
        }
    }

    fn push(
        &mut self,
        kind: EvidenceKind,
        key: &'a str,
        value: &'a str,
        release: Option<&str>,
        vocabulary: &Vocabulary,
    ) {
        // The last place is kept for the Service's name.
        let room = if kind == EvidenceKind::Name { MAX_READINGS } else { MAX_READINGS - 1 };
        if self.count < room {
            let saying = vocabulary.read(value, release);
            self.readings[self.count] = Some(Reading { kind, key, value, saying });
            self.count += 1;
        }
    }

    /// Every place that says what the Service is, labels first.
    pub fn readings(&self) -> impl Iterator<Item = &Reading<'a>> {
        self.readings[..self.count].iter().flatten()
    }

    /// Whether nothing says anything of any product.
    pub fn say_nothing(&self) -> bool {
        self.readings().all(|reading| reading.saying.product().is_none())
    }

    /// The word in a label, the selector or the Service's name that makes something else of it.
    pub fn contradiction(&self) -> Option<(&Reading<'a>, &'a str)> {
        self.readings().find_map(|reading| reading.saying.contradiction().map(|word| (reading, word)))
    }

    /// The selector's identity where only the Service's name speaks for the product, and speaks as of a part of those pods:
    /// `api-prometheus` over the pods of `api` is where `api` is scraped.
    pub fn pods_of_another(&self, product: Product) -> Option<&Reading<'a>> {
        let name = &*self.view.key.name;
        let mut speaking = self.readings().filter(|reading| reading.saying.product() == Some(product));
        if speaking.any(|reading| reading.kind != EvidenceKind::Name) {
            return None;
        }
        self.readings().find(|reading| {
            reading.kind == EvidenceKind::Selector
                && reading.saying.product().is_none()
                && !is_neutral(reading.value)
                && name.strip_prefix(reading.value).is_some_and(|rest| rest.starts_with('-'))
        })
    }

    /// The role that the Service states for this rule: where it stands and its value.
    pub fn role(&self, rule: &Rule) -> Option<Role<'a>> {
        let labels = &self.view.labels;
        let selector = &self.view.selector;
        let standard = [COMPONENT_LABEL, LEGACY_COMPONENT];
        let from = |map: &'a StringMap, kind| {
            standard.iter().chain(rule.role_keys).find_map(move |key| {
                let value = map.get(key)?;
                // A chart may repeat the product's name as its role.
                let repeats = rule.names.iter().any(|name| name.value.eq_ignore_ascii_case(value))
                    && !rule.doors.iter().any(|door| words::contains(door.roles, value));
                (!repeats).then_some(Role { kind, key, value })
            })
        };
        from(labels, EvidenceKind::Label).or_else(|| from(selector, EvidenceKind::Selector))
    }
}

/// A role, as a Service states it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role<'a> {
    pub kind: EvidenceKind,
    pub key: &'a str,
    pub value: &'a str,
}

impl Role<'_> {
    /// Whether it says nothing about a part.
    pub fn is_neutral(&self) -> bool {
        is_neutral(self.value)
    }
}

fn is_neutral(value: &str) -> bool {
    words::split(value).all(|word| words::contains(NEUTRAL_ROLES, word))
}

/// The Helm release that a Service belongs to.
pub(crate) fn release(view: &ServiceView) -> Option<&str> {
    view.labels.get("app.kubernetes.io/instance").or_else(|| view.labels.get("release")).filter(|name| !name.is_empty())
}

//! What a Service says it is: the labels, selector entries and the name that can identify a program.
//!
//! They are read once for all rules, without an allocation.

use std::fmt;

use super::{
    role::{COMPONENT_LABEL, LEGACY_COMPONENT_LABEL, names_suite, release},
    rule::{Name, Rule},
    vocabulary::{Mention, Vocabulary},
};
use crate::{
    finding::EvidenceKind,
    product::Product,
    view::{ServiceView, StringMap},
};

/// The recommended label for the name of a program.
pub(crate) const NAME_LABEL: &str = "app.kubernetes.io/name";

/// Whether people write the name of a program under this key. The keys are those of older charts, the cluster add-ons,
/// kompose, `kubectl run`, openstack-helm, `OpenShift`, Rancher's and Tencent's consoles, and of the Pods of a
/// `StatefulSet`.
fn is_identity_key(key: &str) -> bool {
    matches!(
        key,
        "app"
            | "k8s-app"
            | "name"
            | LEGACY_COMPONENT_LABEL
            | COMPONENT_LABEL
            | "io.kompose.service"
            | "kubernetes.io/name"
            | "run"
            | "service"
            | "tier"
            | "app-name"
            | "app_name"
            | "appName"
            | "app.kubernetes.io/app"
            | "application"
            | "deployment"
            | "deploymentconfig"
            | "qcloud-app"
            | "statefulset.kubernetes.io/pod-name"
            | "workload.user.cattle.io/workloadselector"
    )
}

/// One label, selector entry or name that can identify a program.
#[derive(Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub kind: EvidenceKind,
    /// The key of the label or of the selector; empty for the Service's name.
    pub key: &'a str,
    pub value: &'a str,
    /// The product that the value mentions.
    pub mention: Mention<'a>,
}

impl Identity<'_> {
    /// The rule's name that is the whole value. The name of a Service never counts as one.
    pub(crate) fn exact_name(&self, rule: &Rule) -> Option<&'static Name> {
        if self.kind == EvidenceKind::Name { None } else { rule.name(self.value) }
    }
}

impl fmt::Display for Identity<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            EvidenceKind::Name => write!(f, "the Service's name {}", self.value),
            EvidenceKind::Selector => write!(f, "selector {}={}", self.key, self.value),
            _ => write!(f, "label {}={}", self.key, self.value),
        }
    }
}

/// Labels with the name of the Helm chart and its version.
const CHART_LABELS: [&str; 2] = ["helm.sh/chart", "chart"];

/// The Helm chart that made a Service.
#[derive(Clone, Copy)]
pub(crate) struct Chart<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Chart<'a> {
    /// The chart's name: the value without the version, which begins with a digit.
    pub(crate) fn name(&self) -> &'a str {
        let dashes = self.value.match_indices('-').map(|(at, _)| at);
        let is_version = |rest: &str| {
            let rest = rest.strip_prefix('v').unwrap_or(rest);
            rest.starts_with(|c: char| c.is_ascii_digit()) && rest.contains('.')
        };
        let end = dashes.into_iter().find(|at| is_version(&self.value[at + 1..]));
        &self.value[..end.unwrap_or(self.value.len())]
    }
}

impl fmt::Display for Chart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "label {}={}", self.key, self.value)
    }
}

/// No Service that is one program has more identities than this.
const MAX: usize = 16;

/// The identities of one Service.
pub(crate) struct Identities<'a> {
    pub view: &'a ServiceView,
    all: [Option<Identity<'a>>; MAX],
    count: usize,
    /// The chart, if its name can be that of a product's chart.
    chart: Option<Chart<'a>>,
    /// The products that are installed by this chart.
    charted: ProductSet,
    /// The products that an identity mentions.
    mentioned: ProductSet,
    /// The products that an identity names exactly.
    named: ProductSet,
    /// Whether labels or selector have `app.kubernetes.io/name`.
    has_name_label: bool,
}

impl<'a> Identities<'a> {
    /// Reads a Service.
    pub(crate) fn of(view: &'a ServiceView, vocabulary: &Vocabulary) -> Self {
        let mut identities = Self {
            view,
            all: [None; MAX],
            count: 0,
            chart: None,
            charted: ProductSet::default(),
            mentioned: ProductSet::default(),
            named: ProductSet::default(),
            has_name_label: false,
        };
        let release = release(view);
        for (kind, legacy_kind, map) in [
            (EvidenceKind::Label, EvidenceKind::LegacyLabel, &view.labels),
            (EvidenceKind::Selector, EvidenceKind::Selector, &view.selector),
        ] {
            if let Some(value) = map.get(NAME_LABEL) {
                identities.has_name_label = true;
                identities.push(kind, NAME_LABEL, value, release, vocabulary);
            }
            identities.push_others(legacy_kind, map, release, vocabulary);
        }
        identities.push(EvidenceKind::Name, "", &view.key.name, release, vocabulary);
        if let Some(chart) = identities.chart {
            identities.charted.extend(vocabulary.installed_by(chart.name()).map(|rule| rule.product));
        }
        identities
    }

    fn push_others(&mut self, kind: EvidenceKind, map: &'a StringMap, release: Option<&str>, vocabulary: &Vocabulary) {
        for (key, value) in map.iter() {
            if is_identity_key(key) {
                self.push(kind, key, value, release, vocabulary);
            } else if kind == EvidenceKind::LegacyLabel && CHART_LABELS.contains(&key) && vocabulary.can_install(value)
            {
                // `helm.sh/chart` comes last, and counts if there are both.
                self.chart = Some(Chart { key, value });
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
        let room = if kind == EvidenceKind::Name { MAX } else { MAX - 1 };
        if self.count == room {
            return;
        }
        let mention = vocabulary.mention(value, release);
        self.mentioned.extend(mention.product());
        if kind != EvidenceKind::Name {
            self.named.extend(vocabulary.named(value).map(|rule| rule.product));
        }
        self.all[self.count] = Some(Identity { kind, key, value, mention });
        self.count += 1;
    }

    /// All identities: labels, selector, the Service's name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Identity<'a>> {
        self.all[..self.count].iter().flatten()
    }

    /// Those that mention a product.
    pub(crate) fn mentioning(&self, product: Product) -> impl Iterator<Item = &Identity<'a>> {
        self.iter().filter(move |identity| identity.mention.product() == Some(product))
    }

    /// Whether an identity mentions a product or names it exactly, or its chart made the Service.
    pub(crate) fn know(&self, product: Product) -> bool {
        self.mentioned.contains(product) || self.named.contains(product) || self.charted.contains(product)
    }

    /// The chart, if it installs the rule's product.
    pub(crate) fn chart_of(&self, rule: &Rule) -> Option<Chart<'a>> {
        self.chart.filter(|_| self.charted.contains(rule.product))
    }

    /// Whether no identity mentions any product.
    pub(crate) fn mention_nothing(&self) -> bool {
        self.mentioned.is_empty()
    }

    /// Whether `app.kubernetes.io/name` exists and, in labels and selector, is the name of a program that no rule
    /// knows. A domain (`openservicemesh.io`) and the name of the suite are no names of programs: vendors put one on
    /// everything that they ship. A word for a part (`web`) is one: charts write their own name there.
    pub(crate) fn have_other_name_label(&self) -> bool {
        let mut name_labels = self.iter().filter(|identity| identity.key == NAME_LABEL);
        let suite = self.view.labels.get("app.kubernetes.io/part-of");
        let is_vendor = |value: &str| value.contains('.') || suite == Some(value);
        let is_other = |identity: &Identity<'_>| {
            identity.mention.product().is_none() && !names_suite(identity.value) && !is_vendor(identity.value)
        };
        self.has_name_label && name_labels.all(is_other)
    }

    /// The word that makes an identity the name of another program or component.
    pub(crate) fn contradiction(&self) -> Option<(&Identity<'a>, &'a str)> {
        self.iter().find_map(|identity| identity.mention.contradiction().map(|word| (identity, word)))
    }

    /// The selector's identity, if the Service selects the Pods of another program and has a name for one of their
    /// ports: `api-prometheus` with the selector `app=api` is where Prometheus scrapes `api`.
    pub(crate) fn pods_of_another(&self, product: Product) -> Option<&Identity<'a>> {
        let name = &*self.view.key.name;
        let mut mentioning = self.mentioning(product).peekable();
        if mentioning.peek().is_none() || mentioning.any(|identity| identity.kind != EvidenceKind::Name) {
            return None;
        }
        self.iter().find(|identity| {
            identity.kind == EvidenceKind::Selector
                && identity.mention.product().is_none()
                && !names_suite(identity.value)
                && name.strip_prefix(identity.value).is_some_and(|rest| rest.starts_with('-'))
        })
    }
}

/// A set of products, one bit each.
#[derive(Clone, Copy, Default)]
struct ProductSet(u32);

impl ProductSet {
    const fn bit(product: Product) -> u32 {
        1 << product as u32
    }

    fn contains(self, product: Product) -> bool {
        self.0 & Self::bit(product) != 0
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl Extend<Product> for ProductSet {
    fn extend<I: IntoIterator<Item = Product>>(&mut self, products: I) {
        for product in products {
            self.0 |= Self::bit(product);
        }
    }
}

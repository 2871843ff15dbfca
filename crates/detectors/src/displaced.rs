//! Over the endpoints of a namespace: which are set aside for a preferred endpoint to the same thing.
//!
//! * A headless Service gives way to one with a cluster IP over the same pods, wherever it stands: the selectors include one
//!   another, instance and name label are the same, or its name is the other's with `-headless` or `-hl`. Names and labels
//!   alone are unreliable: several charts have headless Services only.
//! * prometheus-operator's governing Services give way to any other of the product in the namespace: in
//!   kube-prometheus-stack 16 their selectors do not include one another.
//! * A part behind the entry point gives way to it within one install: the gateway before the query frontend, the
//!   coordinating nodes before the data nodes.
//! * Of several Services over the same pods one is taken.

use std::cmp::Reverse;

use crate::{
    Displaced, DisplacedBecause, Finding, Outcome, Product, ServiceType, ServiceView,
    engine::{NAME_LABEL, release, rule::FALLBACK_TIER},
};

/// Labels under which operators write the name of the install.
const INSTALL_KEYS: &[&str] = &[
    "elasticsearch.k8s.elastic.co/cluster-name",
    "kibana.k8s.elastic.co/name",
    "opensearch.org/opensearch-cluster",
    "opster.io/opensearch-cluster",
];

/// The second stage: of the endpoints in one namespace (any products, any order), which are set aside for a preferred endpoint to
/// the same thing. `out[i]` belongs to `endpoints[i]`. Findings that are no endpoints are left alone and set nothing aside;
/// Services of different namespaces never meet.
///
/// Takes time with the square of the endpoints that one product has in one namespace, so caps come before it.
pub fn displaced_endpoints(endpoints: &[(&ServiceView, &Finding)]) -> Vec<Option<Displaced>> {
    let mut displaced: Vec<Option<Displaced>> = vec![None; endpoints.len()];
    let taken =
        endpoints.iter().enumerate().filter(|(_, (_, finding))| matches!(finding.outcome, Outcome::Endpoint(_)));
    let mut entries: Vec<Entry<'_>> = taken.map(|(at, (view, finding))| Entry::of(at, view, finding)).collect();
    entries.sort_by(|a, b| a.kind().cmp(&b.kind()).then_with(|| a.rank().cmp(&b.rank())));
    for alike in entries.chunk_by(|a, b| a.kind() == b.kind()) {
        // For each, the one that is kept instead: known for all that rank better before it is asked for.
        let mut kept: Vec<usize> = (0..alike.len()).collect();
        for (this, entry) in alike.iter().enumerate() {
            let mut better = alike[..this].iter().enumerate();
            if let Some((other, because)) = better.find_map(|(at, other)| Some((at, entry.gives_way_to(other)?))) {
                kept[this] = kept[other];
                displaced[entry.at] = Some(Displaced { by: alike[kept[other]].view.key.clone(), because });
            }
        }
    }
    displaced
}

/// An endpoint with what is asked of it again and again.
struct Entry<'a> {
    at: usize,
    view: &'a ServiceView,
    finding: &'a Finding,
    release: Option<&'a str>,
    name_label: Option<&'a str>,
    /// The install that it is a part of, if it says so.
    install: Option<&'a str>,
}

impl<'a> Entry<'a> {
    fn of(at: usize, view: &'a ServiceView, finding: &'a Finding) -> Self {
        let release = release(view);
        let by_operator = INSTALL_KEYS.iter().find_map(|key| view.labels.get(key));
        let by_selector = || ["app.kubernetes.io/instance", "release"].iter().find_map(|key| view.selector.get(key));
        let install = by_operator.or(release).or_else(by_selector);
        Self { at, view, finding, release, name_label: view.labels.get(NAME_LABEL), install }
    }

    /// Only endpoints of one kind meet.
    fn kind(&self) -> (Product, &str) {
        (self.finding.product, &self.view.key.namespace)
    }

    /// Smaller is the preferred endpoint. Total: the name decides in the end.
    fn rank(&self) -> impl Ord {
        let exposure = match self.view.service_type {
            ServiceType::ClusterIP => 0,
            ServiceType::NodePort => 1,
            ServiceType::LoadBalancer => 2,
            ServiceType::ExternalName => 3,
        };
        let tier = self.finding.rank.tier;
        (
            (tier == FALLBACK_TIER, self.view.headless, tier),
            Reverse(self.finding.confidence),
            exposure,
            // One pod of a StatefulSet (the charts' `servicePerReplica`) is less than all of them.
            self.view.selector.len(),
            (self.view.key.name.len(), &self.view.key),
        )
    }

    /// Why this one gives way to `other`, which ranks better, if it does.
    fn gives_way_to(&self, other: &Entry<'_>) -> Option<DisplacedBecause> {
        if self.view.key == other.view.key {
            return None;
        }
        let (tier, other_tier) = (self.finding.rank.tier, other.finding.rank.tier);
        if tier == FALLBACK_TIER {
            return Some(DisplacedBecause::HeadlessTwin);
        }
        let same_pods = self.same_pods(other);
        if self.view.headless
            && !other.view.headless
            && (same_pods || self.same_labels(other) || self.is_named_after(other))
        {
            return Some(DisplacedBecause::HeadlessTwin);
        }
        // Two that name no install, side by side in one namespace, are taken for one: people write it so.
        let behind = other_tier < tier && (same_pods || self.install == other.install);
        let beside = other_tier == tier && same_pods && self.view.headless == other.view.headless;
        (behind || beside).then_some(DisplacedBecause::PreferredEndpoint)
    }

    fn same_pods(&self, other: &Entry<'_>) -> bool {
        let (a, b) = (&self.view.selector, &other.view.selector);
        let (narrow, wide) = if a.len() < b.len() { (a, b) } else { (b, a) };
        !narrow.is_empty() && narrow.is_subset_of(wide)
    }

    /// `<other>-headless`, `<other>-hl`.
    fn is_named_after(&self, other: &Entry<'_>) -> bool {
        let end = self.view.key.name.strip_prefix(&*other.view.key.name);
        matches!(end, Some("-headless" | "-hl"))
    }

    /// The same instance, and the same name under the recommended label and the legacy one.
    fn same_labels(&self, other: &Entry<'_>) -> bool {
        self.release.is_some()
            && self.release == other.release
            && self.name_label == other.name_label
            && self.view.labels.get("app") == other.view.labels.get("app")
    }
}

//! Which endpoints of a namespace are not used, because another Service of the same install is preferred.
//!
//! * A headless Service gives way to one with a cluster IP for the same Pods. They have the same Pods if one selector
//!   includes the other, if instance and name label are equal, or if the name is the other's followed by `-headless` or
//!   `-hl`. Being headless is not enough, because several charts only have headless Services.
//! * prometheus-operator's governing Services give way to any other Service of the product in the namespace. Selectors
//!   do not show that they have the same Pods: in kube-prometheus-stack 16 none includes the other.
//! * A component gives way to the preferred endpoint of its install: the query frontend to the gateway, data nodes to
//!   coordinating nodes.
//! * Of several Services for the same Pods one is used.

use std::cmp::Reverse;

use crate::{
    engine::{identities::NAME_LABEL, role::release, rule::FALLBACK_TIER},
    finding::{Displaced, DisplacedBecause, Finding, Outcome},
    product::Product,
    view::{ServiceType, ServiceView},
};

/// Labels with which operators name the install.
const INSTALL_KEYS: &[&str] = &[
    "elasticsearch.k8s.elastic.co/cluster-name",
    "kibana.k8s.elastic.co/name",
    "opensearch.org/opensearch-cluster",
    "opster.io/opensearch-cluster",
];

/// Which of the endpoints are not used, because another one of them is preferred. `out[i]` belongs to `endpoints[i]`.
///
/// The endpoints can be of any products and in any order. Only those of one product and one namespace are compared. A
/// finding that is no endpoint is ignored.
///
/// The time grows with the square of the number of endpoints that one product has in one namespace. Limit it before the
/// call.
pub fn displaced_endpoints(endpoints: &[(&ServiceView, &Finding)]) -> Vec<Option<Displaced>> {
    let mut displaced: Vec<Option<Displaced>> = vec![None; endpoints.len()];
    let mut usable: Vec<Endpoint<'_>> = endpoints
        .iter()
        .enumerate()
        .filter(|(_, (_, finding))| matches!(finding.outcome, Outcome::Endpoint(_)))
        .map(|(at, (view, finding))| Endpoint::of(at, view, finding))
        .collect();
    usable.sort_by(|a, b| a.group().cmp(&b.group()).then_with(|| a.preference().cmp(&b.preference())));
    for group in usable.chunk_by(|a, b| a.group() == b.group()) {
        // The position of the one that is used instead of each. It is final for all that come before.
        let mut used: Vec<usize> = (0..group.len()).collect();
        for (this, endpoint) in group.iter().enumerate() {
            let mut preferred = group[..this].iter().enumerate();
            if let Some((other, because)) = preferred.find_map(|(at, other)| Some((at, endpoint.gives_way_to(other)?)))
            {
                used[this] = used[other];
                displaced[endpoint.at] = Some(Displaced { by: group[used[other]].view.key.clone(), because });
            }
        }
    }
    displaced
}

/// An endpoint, with the labels that every comparison needs.
struct Endpoint<'a> {
    /// The position in the input.
    at: usize,
    view: &'a ServiceView,
    finding: &'a Finding,
    release: Option<&'a str>,
    name_label: Option<&'a str>,
    /// The install that it belongs to, if a label or the selector names it.
    install: Option<&'a str>,
}

impl<'a> Endpoint<'a> {
    fn of(at: usize, view: &'a ServiceView, finding: &'a Finding) -> Self {
        let release = release(view);
        let by_operator = INSTALL_KEYS.iter().find_map(|key| view.labels.get(key));
        let by_selector = || ["app.kubernetes.io/instance", "release"].iter().find_map(|key| view.selector.get(key));
        let install = by_operator.or(release).or_else(by_selector);
        Self { at, view, finding, release, name_label: view.labels.get(NAME_LABEL), install }
    }

    /// Only endpoints of one group are compared.
    fn group(&self) -> (Product, &str) {
        (self.finding.product, &self.view.key.namespace)
    }

    /// The order of preference, the smallest first. Names make it total.
    fn preference(&self) -> impl Ord {
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
            // A Service for one Pod of a StatefulSet (`servicePerReplica` of the charts) has the longer selector.
            self.view.selector.len(),
            (self.view.key.name.len(), &self.view.key),
        )
    }

    /// Why `other` is preferred, if it is. It comes first in the order of preference.
    fn gives_way_to(&self, other: &Endpoint<'_>) -> Option<DisplacedBecause> {
        if self.view.key == other.view.key {
            return None;
        }
        let (tier, other_tier) = (self.finding.rank.tier, other.finding.rank.tier);
        if tier == FALLBACK_TIER {
            return Some(DisplacedBecause::HeadlessTwin);
        }
        let same_pods = self.has_same_pods(other);
        if self.view.headless
            && !other.view.headless
            && (same_pods || self.has_same_labels(other) || self.is_named_after(other))
        {
            return Some(DisplacedBecause::HeadlessTwin);
        }
        // Two Services of a namespace that name no install belong to one: manifests written by hand look like that.
        let is_behind = other_tier < tier && (same_pods || self.install == other.install);
        let is_alternate = other_tier == tier && same_pods && self.view.headless == other.view.headless;
        (is_behind || is_alternate).then_some(DisplacedBecause::PreferredEndpoint)
    }

    fn has_same_pods(&self, other: &Endpoint<'_>) -> bool {
        let (a, b) = (&self.view.selector, &other.view.selector);
        let (narrow, wide) = if a.len() < b.len() { (a, b) } else { (b, a) };
        !narrow.is_empty() && narrow.is_subset_of(wide)
    }

    fn is_named_after(&self, other: &Endpoint<'_>) -> bool {
        let end = self.view.key.name.strip_prefix(&*other.view.key.name);
        matches!(end, Some("-headless" | "-hl"))
    }

    /// Whether both belong to the same instance, and have the same name under the recommended label and under the
    /// legacy one.
    fn has_same_labels(&self, other: &Endpoint<'_>) -> bool {
        self.release.is_some()
            && self.release == other.release
            && self.name_label == other.name_label
            && self.view.labels.get("app") == other.view.labels.get("app")
    }
}

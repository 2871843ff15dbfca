//! Over the endpoints of a namespace: which are set aside for a better door to the same thing.
//!
//! * A headless Service gives way to one with a cluster IP over the same pods, wherever it stands: the selectors include one
//!   another, or instance and name label are the same. Headless names and labels are unreliable one by one.
//! * prometheus-operator's governing Services give way to any other of the product in the namespace: in
//!   kube-prometheus-stack 16 their selectors do not include one another.
//! * A part behind the entry point gives way to it within one install: the gateway before the query frontend, the
//!   coordinating nodes before the data nodes.
//! * Of several Services over the same pods one is taken.

use std::cmp::Reverse;

use crate::{
    Displaced, DisplacedBecause, Finding, Outcome, ServiceType, ServiceView,
    engine::{NAME_LABEL, release, rule::FALLBACK_TIER},
};

/// Labels under which operators write the name of the install.
const INSTALL_KEYS: &[&str] = &[
    "elasticsearch.k8s.elastic.co/cluster-name",
    "kibana.k8s.elastic.co/name",
    "opensearch.org/opensearch-cluster",
    "opster.io/opensearch-cluster",
];

type Endpoint<'a> = (&'a ServiceView, &'a Finding);

/// The second stage: of the endpoints in one namespace (any products, any order), which are set aside for a better door to
/// the same thing. `out[i]` belongs to `endpoints[i]`. Findings that are no endpoints are left alone and set nothing aside;
/// Services of different namespaces never meet.
pub fn second_stage(endpoints: &[(&ServiceView, &Finding)]) -> Vec<Option<Displaced>> {
    let mut best_first: Vec<usize> = (0..endpoints.len()).collect();
    best_first.sort_by(|a, b| rank(endpoints[*a]).cmp(&rank(endpoints[*b])));
    // For each, the endpoint that is kept instead: known for all that rank better before it is asked for.
    let mut kept: Vec<usize> = (0..endpoints.len()).collect();
    let mut displaced: Vec<Option<Displaced>> = vec![None; endpoints.len()];
    for (place, this) in best_first.iter().enumerate() {
        let mut better = best_first[..place].iter();
        let found = better.find_map(|other| Some((*other, gives_way(endpoints[*this], endpoints[*other])?)));
        if let Some((other, because)) = found {
            kept[*this] = kept[other];
            displaced[*this] = Some(Displaced { by: endpoints[kept[other]].0.key.clone(), because });
        }
    }
    displaced
}

/// Smaller is the better door. Total: the name decides in the end.
fn rank((view, finding): Endpoint<'_>) -> impl Ord {
    let exposure = match view.service_type {
        ServiceType::ClusterIP => 0,
        ServiceType::NodePort => 1,
        ServiceType::LoadBalancer => 2,
        ServiceType::ExternalName => 3,
    };
    (
        (finding.standing.tier == FALLBACK_TIER, view.headless, finding.standing.tier),
        Reverse(finding.confidence),
        exposure,
        // One pod of a StatefulSet (the charts' `servicePerReplica`) is less than all of them.
        view.selector.len(),
        (view.key.name.len(), &view.key),
    )
}

/// Why `this` gives way to `other`, which ranks better, if it does.
fn gives_way(this: Endpoint<'_>, other: Endpoint<'_>) -> Option<DisplacedBecause> {
    let ((view, finding), (other_view, other_finding)) = (this, other);
    let comparable = finding.product == other_finding.product
        && view.key.namespace == other_view.key.namespace
        && view.key.name != other_view.key.name
        && matches!(finding.outcome, Outcome::Endpoint(_))
        && matches!(other_finding.outcome, Outcome::Endpoint(_));
    if !comparable {
        return None;
    }
    let (tier, other_tier) = (finding.standing.tier, other_finding.standing.tier);
    if tier == FALLBACK_TIER {
        return Some(DisplacedBecause::HeadlessTwin);
    }
    let same_pods = same_pods(view, other_view);
    if view.headless && !other_view.headless && (same_pods || same_labels(view, other_view)) {
        return Some(DisplacedBecause::HeadlessTwin);
    }
    let behind = other_tier < tier && (same_pods || same_install(view, other_view));
    let beside = other_tier == tier && same_pods && view.headless == other_view.headless;
    (behind || beside).then_some(DisplacedBecause::BetterDoor)
}

fn same_pods(a: &ServiceView, b: &ServiceView) -> bool {
    let over = |a: &ServiceView, b: &ServiceView| !a.selector.is_empty() && a.selector.is_subset_of(&b.selector);
    over(a, b) || over(b, a)
}

/// The same instance and name label, both stated.
fn same_labels(a: &ServiceView, b: &ServiceView) -> bool {
    release(a).is_some() && release(a) == release(b) && a.labels.get(NAME_LABEL) == b.labels.get(NAME_LABEL)
}

/// Parts of one install: the same release, or none on either side.
fn same_install(a: &ServiceView, b: &ServiceView) -> bool {
    fn install(view: &ServiceView) -> Option<&str> {
        INSTALL_KEYS
            .iter()
            .find_map(|key| view.labels.get(key))
            .or_else(|| release(view))
            .or_else(|| ["app.kubernetes.io/instance", "release"].iter().find_map(|key| view.selector.get(key)))
    }
    install(a) == install(b)
}

//! Which endpoints of a namespace are not used, because another Service of the same install is preferred.
//!
//! * A headless Service gives way to one with a cluster IP for the same Pods. They have the same Pods if one selector
//!   includes the other, if they overlap and lead to the same port, if instance and name label are equal, or if the name is the other's followed by `-headless` or
//!   `-hl`. Being headless is not enough, because several charts only have headless Services.
//! * prometheus-operator's governing Services give way to any other Service of the product in the namespace. Selectors
//!   do not show that they have the same Pods: in kube-prometheus-stack 16 none includes the other.
//! * A component gives way to the preferred endpoint of its install: the query frontend to the gateway, data nodes to
//!   coordinating nodes.
//! * Of several Services for the same Pods one is used.
//!
//! Equal selectors are always found. Whether one selector includes another is looked up by their rarest pairs, and at
//! most [`COMPARISONS`] times for a Service. A Service with more neighbours of that kind is not displaced by them. So
//! the time grows with the number of Services and not with its square, whatever selectors somebody writes.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
};

use crate::{
    engine::{identities::NAME_LABEL, role::release, rule::FALLBACK_TIER},
    finding::{Displaced, DisplacedBecause, Finding, Outcome},
    product::Product,
    view::{ServiceType, ServiceView, StringMap, TargetPort},
};

/// How many selectors are compared with that of one Service, to find one that includes the other. Pairs that so many
/// Services of one product and namespace share do not name an install.
const COMPARISONS: usize = 64;

/// How many Services may have an entry of a selector, so that it is looked up for selectors that only overlap.
const OVERLAPS: usize = 16;

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
pub fn displaced_endpoints(endpoints: &[(&ServiceView, &Finding)]) -> Vec<Option<Displaced>> {
    displaced(endpoints).0
}

/// As [`displaced_endpoints`], and how many pairs of endpoints were compared.
fn displaced(endpoints: &[(&ServiceView, &Finding)]) -> (Vec<Option<Displaced>>, usize) {
    let mut compared = 0;
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
        let mut earlier = Earlier::of(group);
        for (this, endpoint) in group.iter().enumerate() {
            if let Some((other, because)) = earlier.first_preferred_to(endpoint) {
                used[this] = used[other];
                displaced[endpoint.at] = Some(Displaced { by: group[used[other]].view.key.clone(), because });
            }
            earlier.add(this);
        }
        compared += earlier.compared;
    }
    (displaced, compared)
}

/// An entry of a selector.
type Pair<'a> = (&'a str, &'a str);
/// The labels of [`Endpoint::has_same_labels`].
type Labels<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// The endpoints of a group that come before one in the order of preference. They are found by what
/// [`Endpoint::gives_way_to`] compares, because a comparison with each of them would take quadratic time.
struct Earlier<'g, 'a> {
    group: &'g [Endpoint<'a>],
    /// How many endpoints of the group have an entry in their selector.
    frequency: BTreeMap<Pair<'a>, usize>,
    /// The first one with each selector.
    by_selector: HashMap<&'a StringMap, usize>,
    by_pair: BTreeMap<Pair<'a>, Vec<usize>>,
    /// Every endpoint once, by the rarest entry of its selector.
    by_rarest_pair: BTreeMap<Pair<'a>, Vec<usize>>,
    /// The first one with a cluster IP.
    by_labels: BTreeMap<Labels<'a>, usize>,
    /// Those with a cluster IP.
    by_name: BTreeMap<&'a str, usize>,
    /// The first one of each tier that is lower than all tiers before.
    by_install: BTreeMap<Option<&'a str>, Vec<(u8, usize)>>,
    compared: usize,
}

impl<'g, 'a> Earlier<'g, 'a> {
    fn of(group: &'g [Endpoint<'a>]) -> Self {
        let mut frequency = BTreeMap::new();
        for pair in group.iter().flat_map(|endpoint| endpoint.view.selector.iter()) {
            *frequency.entry(pair).or_default() += 1;
        }
        let (by_pair, by_rarest_pair, by_labels) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (by_selector, by_name, by_install) = (HashMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { group, frequency, by_selector, by_pair, by_rarest_pair, by_labels, by_name, by_install, compared: 0 }
    }

    fn add(&mut self, at: usize) {
        let endpoint = &self.group[at];
        self.by_selector.entry(&endpoint.view.selector).or_insert(at);
        for pair in endpoint.view.selector.iter() {
            self.by_pair.entry(pair).or_default().push(at);
        }
        if let Some(rarest) = self.rarest_pair(endpoint) {
            self.by_rarest_pair.entry(rarest).or_default().push(at);
        }
        if !endpoint.view.headless {
            self.by_labels.entry(endpoint.labels()).or_insert(at);
            self.by_name.entry(&endpoint.view.key.name).or_insert(at);
        }
        let tiers = self.by_install.entry(endpoint.install).or_default();
        let tier = endpoint.finding.rank.tier;
        if tiers.last().is_none_or(|(lowest, _)| tier < *lowest) {
            tiers.push((tier, at));
        }
    }

    fn rarest_pair(&self, endpoint: &Endpoint<'a>) -> Option<Pair<'a>> {
        endpoint.view.selector.iter().min_by_key(|pair| (self.frequency.get(pair), *pair))
    }

    /// The first endpoint that is preferred to this one, and why.
    fn first_preferred_to(&mut self, endpoint: &Endpoint<'a>) -> Option<(usize, DisplacedBecause)> {
        let tier = endpoint.finding.rank.tier;
        // It gives way to every other endpoint, which all come before it.
        let first = (tier == FALLBACK_TIER && !self.by_install.is_empty()).then_some(0);
        let tiers = self.by_install.get(&endpoint.install).into_iter().flatten();
        let same_install = tiers.copied().find(|(earlier, _)| *earlier < tier).map(|(_, at)| at);
        let same_labels = self.by_labels.get(&endpoint.labels()).copied().filter(|_| endpoint.view.headless);
        let twin = endpoint.named_after().and_then(|name| self.by_name.get(name)).copied();
        let named_after = twin.filter(|_| endpoint.view.headless);
        let same_pods = self.first_with_same_pods(endpoint);
        let mut places: Vec<usize> =
            [first, same_install, same_labels, named_after, same_pods].into_iter().flatten().collect();
        places.sort_unstable();
        places.into_iter().find_map(|at| Some((at, endpoint.gives_way_to(&self.group[at])?)))
    }

    fn first_with_same_pods(&mut self, endpoint: &Endpoint<'a>) -> Option<usize> {
        let rarest = self.rarest_pair(endpoint)?;
        let equal = self.by_selector.get(&endpoint.view.selector).copied();
        // Where the other selector includes this one, it has every entry of this one. Where this one includes the other,
        // it has every entry of the other.
        let wider = self.by_pair.get(&rarest);
        let narrower = endpoint.view.selector.iter().filter_map(|pair| self.by_rarest_pair.get(&pair));
        // Where they only overlap, both have some entry.
        let is_rare = |pair: &Pair<'a>| self.frequency.get(pair).is_some_and(|count| *count <= OVERLAPS);
        let overlapping = endpoint.view.selector.iter().filter(is_rare).filter_map(|pair| self.by_pair.get(&pair));
        let (group, mut left) = (self.group, COMPARISONS);
        let mut first_of = |places: &Vec<usize>| {
            // What comes after the first equal one is not preferred to it.
            let before_equal = places.iter().copied().take_while(|at| equal.is_none_or(|equal| *at < equal));
            for at in before_equal {
                left = left.checked_sub(1)?;
                if endpoint.has_same_pods(&group[at]) {
                    return Some(at);
                }
            }
            None
        };
        let including = wider.into_iter().chain(narrower).chain(overlapping).filter_map(&mut first_of).min();
        self.compared += COMPARISONS - left;
        including.or(equal)
    }
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
        let name_label = view.labels.get(NAME_LABEL);
        // kube-thanos gives every component an instance of its own, which has the component's name.
        let names_install = |install: &&str| Some(*install) != name_label;
        let install = by_operator.or_else(|| release.or_else(by_selector).filter(names_install));
        Self { at, view, finding, release, name_label, install }
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
            && (same_pods || self.has_same_labels(other) || self.named_after() == Some(&*other.view.key.name))
        {
            return Some(DisplacedBecause::HeadlessTwin);
        }
        // Two Services of a namespace that name no install belong to one: manifests written by hand look like that.
        let is_behind = other_tier < tier && (same_pods || self.install == other.install);
        let is_alternate = other_tier == tier && same_pods && self.view.headless == other.view.headless;
        (is_behind || is_alternate).then_some(DisplacedBecause::PreferredEndpoint)
    }

    /// Whether one selector includes the other, or they name the same Pods by different labels: they have an entry in
    /// common, disagree in none and lead to the same port.
    fn has_same_pods(&self, other: &Endpoint<'_>) -> bool {
        let (a, b) = (&self.view.selector, &other.view.selector);
        let (narrow, wide) = if a.len() < b.len() { (a, b) } else { (b, a) };
        let includes = !narrow.is_empty() && narrow.is_subset_of(wide);
        let overlaps = || {
            let mut common = narrow.iter().filter_map(|(key, value)| Some(wide.get(key)? == value)).peekable();
            common.peek().is_some() && common.all(|agrees| agrees)
        };
        includes || overlaps() && self.target() == other.target()
    }

    /// The port of the Pods.
    fn target(&self) -> Option<&TargetPort> {
        let Outcome::Endpoint(target) = &self.finding.outcome else { return None };
        self.view.ports.iter().find(|port| port.port == target.port)?.target.as_ref()
    }

    /// The name of the Service of which this one is the headless twin by its own name.
    fn named_after(&self) -> Option<&'a str> {
        let name: &'a str = &self.view.key.name;
        ["-headless", "-hl"].iter().find_map(|end| name.strip_suffix(end))
    }

    /// Release, recommended name label and legacy name label.
    fn labels(&self) -> Labels<'a> {
        (self.release, self.name_label, self.view.labels.get("app"))
    }

    /// Whether both belong to the same instance, and have the same name under the recommended label and under the
    /// legacy one.
    fn has_same_labels(&self, other: &Endpoint<'_>) -> bool {
        self.release.is_some() && self.labels() == other.labels()
    }
}

#[cfg(test)]
mod tests;

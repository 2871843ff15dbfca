//! Which Pods of a Service are read. The Pods of one template have the same spec, so one of them is enough. An
//! EndpointSlice does not show the template, but the Pods of one template have the same start of their names.

use std::{cmp::Reverse, collections::BTreeMap};

use super::names::{ordinal, stem};

/// The most Pods of one Service that are read.
pub const MAX_PER_SERVICE: usize = 4;

/// A Pod of a Service, as an EndpointSlice names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodRef {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Whether an endpoint of it is serving and not terminating.
    pub serving: bool,
}

/// A Pod that is read, for all with the same stem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Representative {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The part of the name that the Pods share.
    pub stem: String,
    /// How many of the Pods with this stem serve.
    pub serving: usize,
}

/// The Pods to read: one for each stem, and at most [`MAX_PER_SERVICE`]. Those whose stem has most serving Pods come
/// first. The order of `pods` does not matter.
pub fn representatives(pods: &[PodRef]) -> Vec<Representative> {
    representatives_of_known(pods, |_| false)
}

/// As [`representatives`], but a Pod that was read already stands for its stem as long as it is there.
///
/// Of a `StatefulSet` it is always the Pod with the lowest ordinal. A rollout replaces this one last, and a Pod with the
/// same name and another uid is another Pod.
pub fn representatives_of_known(pods: &[PodRef], is_known: impl Fn(&str) -> bool) -> Vec<Representative> {
    // A Pod with addresses of two families is in two slices.
    let mut by_uid: BTreeMap<&str, (&str, bool)> = BTreeMap::new();
    for pod in pods {
        let (name, serving) = by_uid.entry(&pod.uid).or_insert((&pod.name, false));
        *name = (*name).min(&pod.name);
        *serving |= pod.serving;
    }
    let mut by_stem: BTreeMap<&str, Vec<(&str, &str, bool)>> = BTreeMap::new();
    for (uid, (name, serving)) in by_uid {
        by_stem.entry(stem(name)).or_default().push((name, uid, serving));
    }
    let chosen = |(stem, all): (&str, Vec<(&str, &str, bool)>)| {
        let serving = all.iter().filter(|(_, _, serving)| *serving).count();
        // A random end can be a number, too. So all Pods of a StatefulSet must have one.
        let is_stateful = all.iter().all(|(name, _, _)| ordinal(name).is_some());
        let place = |name: &str| ordinal(name).filter(|_| is_stateful);
        let (name, uid, _) =
            all.into_iter().min_by_key(|(name, uid, serving)| (place(name), !is_known(uid), !*serving, *name, *uid))?;
        Some(Representative { name: name.to_owned(), uid: uid.to_owned(), stem: stem.to_owned(), serving })
    };
    let mut all: Vec<Representative> = by_stem.into_iter().filter_map(chosen).collect();
    // Which stems are read does not change with every Pod that becomes ready.
    all.sort_by_key(|one| (one.serving == 0, !is_known(&one.uid), Reverse(one.serving), one.stem.clone()));
    all.truncate(MAX_PER_SERVICE);
    all.sort_by_key(|one| (Reverse(one.serving), one.stem.clone()));
    all
}

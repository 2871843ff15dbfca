//! The namespaces in which the API server refuses to show Pods, and when it is asked again. Pure.
//!
//! A refusal concerns all Services of a namespace. So one request asks for all of them, every 5 minutes. After a request
//! that succeeds, every namespace is asked once, because the same change of the permissions may concern all.

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, Hash, RandomState},
    ops::Bound,
    time::Duration,
};

use tokio::time::Instant;

/// After how long the API server is asked again.
pub(super) const ASK_AGAIN: Duration = Duration::from_secs(300);

/// The namespaces with refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    namespaces: BTreeSet<Box<str>>,
    /// Those that are asked next.
    asking: BTreeSet<Box<str>>,
    /// The one that was asked last on a timer.
    last: Option<Box<str>>,
    next: Option<Instant>,
    /// Whether no read has succeeded elsewhere since the last refusal. If some namespaces are refused and others are
    /// not, each read that succeeds is no news.
    is_news: bool,
}

impl Refusals {
    pub(super) fn namespaces(&self) -> &BTreeSet<Box<str>> {
        &self.namespaces
    }

    /// When a namespace is asked again.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next
    }

    /// A read was refused. Returns whether this is new.
    pub(super) fn refused(&mut self, namespace: &str, now: Instant) -> bool {
        let is_new = self.namespaces.insert(namespace.into());
        self.asking.remove(namespace);
        self.is_news |= is_new;
        self.next.get_or_insert(now + ASK_AGAIN);
        is_new
    }

    /// A read succeeded. Returns whether the namespace was refused before.
    pub(super) fn allowed(&mut self, namespace: &str, now: Instant) -> bool {
        let was_refused = self.forget(namespace);
        if (was_refused || std::mem::take(&mut self.is_news)) && !self.namespaces.is_empty() {
            self.is_news = false;
            self.asking = self.namespaces.clone();
            self.next = Some(now);
        }
        was_refused
    }

    /// Nothing is read in this namespace any more. Returns whether it was refused.
    pub(super) fn forget(&mut self, namespace: &str) -> bool {
        let was_refused = self.namespaces.remove(namespace);
        self.asking.remove(namespace);
        if self.namespaces.is_empty() {
            *self = Self::default();
        }
        was_refused
    }

    /// The namespaces to ask now, if it is time. `each` says whether each of them is asked on a timer, and not only one.
    pub(super) fn ask(&mut self, each: bool, now: Instant) -> BTreeSet<Box<str>> {
        if self.next.is_none_or(|next| now < next) {
            return BTreeSet::new();
        }
        // If no answer comes, it is time again.
        self.next = Some(now + ASK_AGAIN);
        if !self.asking.is_empty() {
            return std::mem::take(&mut self.asking);
        }
        if each {
            return self.namespaces.clone();
        }
        let after = self.last.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.namespaces.range((after, Bound::Unbounded)).next();
        self.last = later.or_else(|| self.namespaces.first()).cloned();
        self.last.iter().cloned().collect()
    }
}

/// The pause after so many failures of one Service in a row. It grows to 5 minutes and has a random part.
pub(super) fn pause(failures: u32, key: impl Hash) -> Duration {
    let longest = ASK_AGAIN.as_millis();
    let pause = (500_u128 << failures.min(16)).min(longest);
    // Between three and five quarters, so that many Services do not ask at the same time.
    let random = u128::from(RandomState::new().hash_one(&key) % 512);
    let pause = pause * (768 + random) / 1024;
    Duration::from_millis(u64::try_from(pause).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(names: &[&str]) -> BTreeSet<Box<str>> {
        names.iter().map(|name| (*name).into()).collect()
    }

    #[test]
    fn one_namespace_after_the_other_is_asked_again_every_five_minutes() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        assert!(refusals.refused("a", now) && refusals.refused("b", now) && !refusals.refused("a", now));
        assert!(refusals.ask(false, now).is_empty());
        for (number, expected) in [(1, "a"), (2, "b"), (3, "a")] {
            let later = now + ASK_AGAIN * number;
            assert_eq!(refusals.due(), Some(later));
            assert_eq!(refusals.ask(false, later), all(&[expected]));
            assert!(refusals.ask(false, later).is_empty());
            refusals.refused(expected, later);
        }
        assert_eq!(refusals.ask(true, now + ASK_AGAIN * 4), all(&["a", "b"]), "each has its own permissions");
    }

    #[test]
    fn after_a_read_that_succeeds_every_namespace_is_asked_once_and_at_once() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for namespace in ["a", "b", "c"] {
            refusals.refused(namespace, now);
        }
        assert!(refusals.allowed("a", now));
        assert_eq!(refusals.ask(false, now), all(&["b", "c"]));
        refusals.refused("b", now);
        assert!(refusals.ask(false, now).is_empty());
        assert!(refusals.allowed("c", now));
        assert_eq!(refusals.ask(false, now), all(&["b"]));
        refusals.refused("b", now);
        assert!(refusals.ask(false, now).is_empty());
        assert!(refusals.allowed("b", now));
        assert_eq!((refusals.due(), refusals.namespaces().len()), (None, 0));
    }

    #[test]
    fn where_only_some_namespaces_are_refused_a_read_elsewhere_is_news_once() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        refusals.refused("a", now);
        assert!(!refusals.allowed("z", now));
        assert_eq!(refusals.ask(false, now), all(&["a"]));
        refusals.refused("a", now);
        assert!(!refusals.allowed("z", now));
        assert!(refusals.ask(false, now).is_empty());
    }

    #[test]
    fn pauses_grow_to_five_minutes_and_differ() {
        let pauses = |failures: u32| (0..32).map(move |key: u32| pause(failures, key));
        assert!(pauses(1).all(|one| (750..=1250).contains(&one.as_millis())));
        assert!(pauses(60).all(|one| one >= ASK_AGAIN * 3 / 4 && one <= ASK_AGAIN * 5 / 4));
        assert!(pauses(5).collect::<BTreeSet<_>>().len() > 1);
    }
}

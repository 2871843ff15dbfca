//! Which revisions the ConfigMap has held, and since when. Pure.
//!
//! An agent that has loaded an older revision has been behind since the revision after it was applied, and not only since
//! the newest one.

use std::collections::BTreeSet;

use tokio::time::{Duration, Instant};

/// The most revisions that are remembered. A ConfigMap is written at most once a second, and an agent is behind for
/// 15 minutes before that is a problem.
const MOST: usize = 1000;

/// The revisions that were applied, oldest first. The last one is the present one. A file without a revision entry has no
/// revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    applied: Vec<(Option<String>, Instant)>,
    /// The hash of the present file.
    hash: String,
    /// Whether every replica has had the first one.
    first_is_loaded: bool,
}

impl History {
    pub(crate) fn is_empty(&self) -> bool {
        self.applied.is_empty()
    }

    /// Whether the present file has this hash.
    pub(crate) fn ends_with(&self, hash: &str) -> bool {
        self.hash == hash
    }

    /// Records the file in the ConfigMap as it is now, by its hash and its revision. `age` is for how long it has held the first one that is
    /// recorded.
    pub(crate) fn applied(&mut self, hash: &str, revision: Option<&str>, age: Duration, now: Instant) {
        hash.clone_into(&mut self.hash);
        let since = if self.applied.is_empty() { now.checked_sub(age).unwrap_or(now) } else { now };
        self.applied.push((revision.map(str::to_owned), since));
        if self.applied.len() > MOST {
            let (_, since) = self.applied.remove(1);
            self.applied[1].1 = since;
        }
    }

    /// Every replica has the present revision, so the others are not needed any more.
    pub(crate) fn caught_up(&mut self) {
        let present = self.applied.len().saturating_sub(1);
        self.applied.drain(..present);
        self.first_is_loaded = true;
    }

    /// Since when an agent with these revisions has been behind. `None` if it has the present one.
    pub(crate) fn behind_since(&self, loaded: &BTreeSet<String>) -> Option<Instant> {
        let (present, since) = self.applied.last()?;
        let has = |revision: &Option<String>| revision.as_ref().is_some_and(|revision| loaded.contains(revision));
        if has(present) {
            return None;
        }
        let newest = self.applied.iter().rposition(|(revision, _)| has(revision));
        let next = newest.map_or(usize::from(self.first_is_loaded), |newest| newest + 1);
        Some(self.applied.get(next).map_or(*since, |(_, since)| *since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(revisions: &[&str]) -> BTreeSet<String> {
        revisions.iter().map(|revision| (*revision).to_owned()).collect()
    }

    fn at(start: Instant, second: u64) -> Instant {
        start + Duration::from_secs(second)
    }

    fn history(start: Instant, revisions: &[&str]) -> History {
        let mut history = History::default();
        for (second, revision) in (0..).map(|n| n * 10).zip(revisions) {
            history.applied(revision, Some(revision), Duration::ZERO, at(start, second));
        }
        history
    }

    #[test]
    fn an_agent_is_behind_since_the_first_revision_that_it_has_not_loaded() {
        let start = Instant::now();
        let history = history(start, &["a", "b", "c"]);
        let behind = |loaded: &[&str]| history.behind_since(&set(loaded));
        assert_eq!(behind(&["c"]), None);
        assert_eq!(behind(&["x", "c"]), None, "a second file has a revision of its own");
        assert_eq!(behind(&["b"]), Some(at(start, 20)));
        assert_eq!(behind(&["a"]), Some(at(start, 10)));
        assert_eq!(behind(&["a", "b"]), Some(at(start, 20)));
        assert_eq!(behind(&["unknown"]), Some(start));
        assert_eq!(behind(&[]), Some(start));
    }

    #[test]
    fn a_revision_that_comes_back_counts_again() {
        let start = Instant::now();
        let history = history(start, &["a", "b", "a"]);
        assert_eq!(history.behind_since(&set(&["a"])), None);
        assert_eq!(history.behind_since(&set(&["b"])), Some(at(start, 20)));
    }

    #[test]
    fn the_first_revision_may_be_older_than_the_process() {
        let now = Instant::now() + Duration::from_secs(1000);
        let mut history = History::default();
        history.applied("a", Some("a"), Duration::from_secs(300), now);
        assert_eq!(history.behind_since(&set(&[])), Some(now.checked_sub(Duration::from_secs(300)).unwrap()));
        history.caught_up();
        history.applied("b", Some("b"), Duration::from_secs(300), now);
        assert_eq!(history.behind_since(&set(&["a"])), Some(now));
    }

    #[test]
    fn without_revisions_an_agent_is_behind_since_the_first_change_after_it_was_current() {
        let start = Instant::now();
        let mut history = History::default();
        history.applied("", None, Duration::ZERO, start);
        history.applied("", None, Duration::ZERO, at(start, 10));
        assert_eq!(history.behind_since(&set(&[])), Some(start));
        history.caught_up();
        history.applied("", None, Duration::ZERO, at(start, 20));
        history.applied("", None, Duration::ZERO, at(start, 30));
        assert_eq!(history.behind_since(&set(&[])), Some(at(start, 20)));
    }

    #[test]
    fn an_agent_that_is_behind_for_long_keeps_its_age_whatever_happens() {
        let start = Instant::now();
        let names: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
        let history = history(start, &names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(history.applied.len(), MOST);
        assert_eq!(history.behind_since(&set(&["unknown"])), Some(start));
        assert_eq!(history.behind_since(&set(&["0"])), Some(at(start, 10)));
    }
}

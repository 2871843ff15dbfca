//! Which files the ConfigMap has held, and since when. Pure.
//!
//! An agent that has loaded an older file has been behind since the file after it was applied, and not only since the
//! newest one.

use std::collections::BTreeSet;

use tokio::time::{Duration, Instant};

/// The most files that are remembered. A ConfigMap is written at most once a second, and an agent is behind for
/// 15 minutes before that is a problem.
const MOST: usize = 1000;

/// A file that the ConfigMap has held.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Applied {
    hash: String,
    /// A file without a revision entry has none.
    revision: Option<String>,
    since: Instant,
}

/// The files that were applied, oldest first. The last one is the present one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    applied: Vec<Applied>,
}

/// What an agent was last known to have loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastLoaded {
    /// The revisions that it listed.
    pub(crate) revisions: BTreeSet<String>,
    /// The hash of the newest file that it had. A file without a revision entry is known by this alone.
    pub(crate) file: Option<String>,
}

/// Whether an agent has loaded what the ConfigMap holds. The worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lag {
    BehindSince(Instant),
    Current,
}

impl History {
    /// Whether the present file has this hash.
    pub(crate) fn ends_with(&self, hash: &str) -> bool {
        self.applied.last().is_some_and(|present| present.hash == hash)
    }

    /// Records the file in the ConfigMap as it is now. `age` is for how long it has held the first one that is recorded.
    pub(crate) fn applied(&mut self, hash: &str, revision: Option<&str>, age: Duration, now: Instant) {
        let since = if self.applied.is_empty() { now.checked_sub(age).unwrap_or(now) } else { now };
        self.applied.push(Applied { hash: hash.to_owned(), revision: revision.map(str::to_owned), since });
        if self.applied.len() > MOST {
            let since = self.applied.remove(1).since;
            self.applied[1].since = since;
        }
    }

    /// Every replica has the present file, so the others are not needed any more.
    pub(crate) fn caught_up(&mut self) {
        let present = self.applied.len().saturating_sub(1);
        self.applied.drain(..present);
    }

    /// Since when the ConfigMap has held the present file.
    pub(crate) fn since(&self) -> Option<Instant> {
        self.applied.last().map(|present| present.since)
    }

    /// Whether an agent that has loaded this is behind: since the file after the newest one that it has.
    pub(crate) fn lag(&self, loaded: &LastLoaded) -> Lag {
        let has = |one: &Applied| {
            let lists = one.revision.as_ref().is_some_and(|revision| loaded.revisions.contains(revision));
            lists || loaded.file.as_ref() == Some(&one.hash)
        };
        let next = self.applied.iter().rposition(has).map_or(0, |newest| newest + 1);
        self.applied.get(next).map_or(Lag::Current, |next| Lag::BehindSince(next.since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded(revisions: &[&str]) -> LastLoaded {
        LastLoaded { revisions: revisions.iter().map(|revision| (*revision).to_owned()).collect(), file: None }
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
        let lag = |revisions: &[&str]| history.lag(&loaded(revisions));
        assert_eq!(lag(&["c"]), Lag::Current);
        assert_eq!(lag(&["x", "c"]), Lag::Current, "a second file has a revision of its own");
        assert_eq!(lag(&["b"]), Lag::BehindSince(at(start, 20)));
        assert_eq!(lag(&["a"]), Lag::BehindSince(at(start, 10)));
        assert_eq!(lag(&["a", "b"]), Lag::BehindSince(at(start, 20)));
        assert_eq!(lag(&["unknown"]), Lag::BehindSince(start));
        assert_eq!(lag(&[]), Lag::BehindSince(start));
    }

    #[test]
    fn a_revision_that_comes_back_counts_again() {
        let start = Instant::now();
        let history = history(start, &["a", "b", "a"]);
        assert_eq!(history.lag(&loaded(&["a"])), Lag::Current);
        assert_eq!(history.lag(&loaded(&["b"])), Lag::BehindSince(at(start, 20)));
    }

    #[test]
    fn the_first_revision_may_be_older_than_the_process() {
        let now = Instant::now() + Duration::from_secs(1000);
        let mut history = History::default();
        history.applied("a", Some("a"), Duration::from_secs(300), now);
        assert_eq!(history.lag(&loaded(&[])), Lag::BehindSince(now.checked_sub(Duration::from_secs(300)).unwrap()));
        history.caught_up();
        history.applied("b", Some("b"), Duration::from_secs(300), now);
        assert_eq!(history.lag(&loaded(&["a"])), Lag::BehindSince(now));
    }

    #[test]
    fn without_revisions_an_agent_is_behind_since_the_file_after_the_one_that_it_had() {
        let start = Instant::now();
        let mut history = History::default();
        let had = |file: &str| LastLoaded { file: Some(file.to_owned()), ..LastLoaded::default() };
        history.applied("a", None, Duration::ZERO, start);
        history.applied("b", None, Duration::ZERO, at(start, 10));
        assert_eq!(history.lag(&LastLoaded::default()), Lag::BehindSince(start));
        assert_eq!(history.lag(&had("a")), Lag::BehindSince(at(start, 10)));
        assert_eq!(history.lag(&had("b")), Lag::Current);
        history.caught_up();
        history.applied("c", None, Duration::ZERO, at(start, 20));
        history.applied("d", None, Duration::ZERO, at(start, 30));
        assert_eq!(history.lag(&had("b")), Lag::BehindSince(at(start, 20)));
    }

    #[test]
    fn an_agent_that_is_behind_for_long_keeps_its_age_whatever_happens() {
        let start = Instant::now();
        let names: Vec<String> = (0..5000).map(|n| n.to_string()).collect();
        let history = history(start, &names.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(history.applied.len(), MOST);
        assert_eq!(history.lag(&loaded(&["unknown"])), Lag::BehindSince(start));
        assert_eq!(history.lag(&loaded(&["0"])), Lag::BehindSince(at(start, 10)));
    }
}

//! Decides when the agent is restarted. Pure.

use std::{collections::BTreeSet, time::Duration};

use crd_types::RestartOn;
use tokio::time::Instant;

/// How long the output has to stay the same before a restart.
const SETTLE: Duration = Duration::from_secs(10);

/// The most variables that are recorded, so that the annotation stays small.
const MOST_VARIABLES: usize = 500;

/// The content of the output, as far as a restart depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// The hash of the file.
    pub(super) hash: String,
    /// The hashes of the environment variables that the file names.
    pub(super) variables: BTreeSet<String>,
}

impl Content {
    /// Whether an agent that was restarted with `other` has to be restarted for this content.
    fn needs_restart_after(&self, other: &Self, on: RestartOn) -> bool {
        match on {
            RestartOn::AnyChange => self.hash != other.hash,
            RestartOn::EnvironmentOnly => !self.variables.is_subset(&other.variables),
        }
    }

    /// Whether no restart would tell this content from `other`.
    fn is_same(&self, other: &Self, on: RestartOn) -> bool {
        match on {
            RestartOn::AnyChange => self.hash == other.hash,
            RestartOn::EnvironmentOnly => self.variables == other.variables,
        }
    }
}

/// The restarts of one agent.
///
/// A restart waits until the output settles and until the interval since the last restart is over. A change within the
/// interval causes a restart when the interval ends.
#[derive(Debug, Default)]
pub(super) struct Reload {
    /// The content of the output, and since when it is the same.
    wanted: Option<(Content, Instant)>,
    /// What the agent was last restarted with, if it is known.
    carried: Option<Content>,
    /// When the operator last restarted the Deployment.
    last: Option<Instant>,
    /// When the next attempt may be made after one that failed.
    not_before: Option<Instant>,
}

/// What to do about the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, because no change needs a restart.
    Nothing,
    /// Read its Deployment, because it is not known what the agent was last restarted with.
    Read,
    /// Wait until then.
    At(Instant),
    /// Restart it.
    Now,
}

impl Reload {
    /// What to do with an agent that should run with this content.
    pub(super) fn due(&mut self, content: &Content, on: RestartOn, least_interval: Duration, now: Instant) -> Due {
        let since = match &self.wanted {
            Some((wanted, since)) if wanted.is_same(content, on) => *since,
            _ => {
                self.wanted = Some((content.clone(), now));
                now
            }
        };
        let not_before = self.not_before.unwrap_or(now);
        let Some(carried) = &self.carried else {
            return if not_before > now { Due::At(not_before) } else { Due::Read };
        };
        if !content.needs_restart_after(carried, on) {
            return Due::Nothing;
        }
        let settled = since + SETTLE;
        let spaced = self.last.map_or(now, |last| last + least_interval);
        let at = settled.max(spaced).max(not_before);
        if at > now { Due::At(at) } else { Due::Now }
    }

    /// Records what the Deployment says, and how long ago the operator last restarted it, if it ever did.
    pub(super) fn observed(&mut self, carried: Content, restarted: Option<Duration>, now: Instant) {
        self.carried = Some(carried);
        self.last = restarted.and_then(|ago| now.checked_sub(ago)).or(self.last);
        self.not_before = None;
    }

    /// The content that is recorded when the agent is restarted for this one. A variable that the agent was restarted for
    /// before stays known, even if the file does not name it for a while. `recorded` are the variables that the Deployment
    /// says at that moment.
    pub(super) fn with(&self, content: &Content, recorded: Option<BTreeSet<String>>) -> Content {
        let carried = || self.carried.as_ref().map(|carried| carried.variables.clone());
        let known = recorded.or_else(carried).unwrap_or_default();
        let more = known.iter().take(MOST_VARIABLES.saturating_sub(content.variables.len()));
        Content { hash: content.hash.clone(), variables: content.variables.iter().chain(more).cloned().collect() }
    }

    /// Records that the Deployment was restarted with that content.
    pub(super) fn restarted(&mut self, content: Content, now: Instant) {
        self.carried = Some(content);
        self.last = Some(now);
        self.not_before = None;
    }

    /// Records that a read or a restart failed, so what the Deployment says is not known any more.
    pub(super) fn failed(&mut self, retry_at: Instant) {
        self.carried = None;
        self.not_before = Some(retry_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(300);
    const ANY: RestartOn = RestartOn::AnyChange;
    const ENVIRONMENT: RestartOn = RestartOn::EnvironmentOnly;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn content(hash: &str, variables: &[&str]) -> Content {
        Content { hash: hash.to_owned(), variables: variables.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn known(hash: &str, variables: &[&str], now: Instant) -> Reload {
        let mut reload = Reload::default();
        reload.observed(content(hash, variables), None, now);
        reload
    }

    /// What is due for a content that is only a hash.
    fn due(reload: &mut Reload, hash: &str, now: Instant) -> Due {
        reload.due(&content(hash, &[]), ANY, INTERVAL, now)
    }

    #[test]
    fn an_agent_that_has_what_is_written_is_left_alone() {
        let now = Instant::now();
        assert_eq!(due(&mut known("a", &[], now), "a", now), Due::Nothing);
    }

    #[test]
    fn what_the_deployment_carries_is_read_once() {
        let (mut reload, now) = (Reload::default(), Instant::now());
        assert_eq!(due(&mut reload, "a", now), Due::Read);
        reload.observed(Content::default(), None, now);
        assert_eq!(due(&mut reload, "a", now), Due::At(now + SETTLE));
    }

    #[test]
    fn a_burst_of_changes_gives_one_restart_with_the_last_of_them() {
        let now = Instant::now();
        let mut reload = known("a", &[], now);
        assert_eq!(due(&mut reload, "b", now), Due::At(now + SETTLE));
        assert_eq!(due(&mut reload, "c", now + seconds(8)), Due::At(now + seconds(18)));
        assert_eq!(due(&mut reload, "c", now + seconds(18)), Due::Now);
        reload.restarted(content("c", &[]), now + seconds(18));
        assert_eq!(due(&mut reload, "c", now + seconds(19)), Due::Nothing);
    }

    #[test]
    fn a_change_right_after_a_restart_is_answered_when_the_interval_ends() {
        let now = Instant::now();
        let mut reload = known("a", &[], now);
        reload.restarted(content("b", &[]), now);
        assert_eq!(due(&mut reload, "c", now + seconds(5)), Due::At(now + INTERVAL));
        assert_eq!(due(&mut reload, "c", now + INTERVAL), Due::Now);
    }

    #[test]
    fn the_interval_holds_across_a_restart_of_the_operator() {
        let start = Instant::now() + seconds(1000);
        let mut reload = Reload::default();
        due(&mut reload, "b", start);
        reload.observed(content("a", &[]), Some(seconds(100)), start);
        assert_eq!(due(&mut reload, "b", start), Due::At(start + seconds(200)));
    }

    #[test]
    fn a_change_that_is_undone_restarts_nothing() {
        let now = Instant::now();
        let mut reload = known("a", &[], now);
        assert_eq!(due(&mut reload, "b", now), Due::At(now + SETTLE));
        assert_eq!(due(&mut reload, "a", now + seconds(3)), Due::Nothing);
    }

    #[test]
    fn after_a_failure_the_deployment_is_read_again() {
        let now = Instant::now();
        let mut reload = known("a", &[], now);
        due(&mut reload, "b", now);
        reload.failed(now + seconds(30));
        assert_eq!(due(&mut reload, "b", now + seconds(20)), Due::At(now + seconds(30)));
        assert_eq!(due(&mut reload, "b", now + seconds(30)), Due::Read);
    }

    #[test]
    fn with_environment_only_a_variable_that_is_named_for_the_first_time_restarts_and_nothing_else() {
        let now = Instant::now();
        let mut reload = known("a", &["x", "y"], now);
        let mut due = |hash, variables: &[&str], now| reload.due(&content(hash, variables), ENVIRONMENT, INTERVAL, now);
        assert_eq!(due("b", &["x", "y"], now), Due::Nothing, "a refresh brings other content");
        assert_eq!(due("c", &["x"], now), Due::Nothing, "a variable that is not needed any more");
        assert_eq!(due("d", &["x", "z"], now), Due::At(now + SETTLE));
        let settling = now + seconds(5);
        assert_eq!(due("e", &["x", "z"], settling), Due::At(now + SETTLE), "other content does not delay it");
        assert_eq!(due("e", &["x", "z"], now + SETTLE), Due::Now);
    }

    #[test]
    fn a_variable_that_comes_back_needs_no_second_restart() {
        let now = Instant::now();
        let mut reload = known("a", &["x"], now);
        let restarted = reload.with(&content("b", &["y"]), None);
        assert_eq!(restarted, content("b", &["x", "y"]));
        reload.restarted(restarted, now);
        assert_eq!(reload.due(&content("c", &["x"]), ENVIRONMENT, seconds(1), now), Due::Nothing);
    }

    #[test]
    fn only_so_many_variables_are_recorded() {
        let many: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let reload = known("a", &many, Instant::now());
        let restarted = reload.with(&content("b", &["y"]), None);
        assert_eq!((restarted.variables.len(), restarted.variables.contains("y")), (MOST_VARIABLES, true));
    }
}

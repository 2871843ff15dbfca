//! Decides when the agent is restarted. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// How long the output has to stay the same before a restart.
const SETTLE: Duration = Duration::from_secs(10);

/// The restarts of one agent.
///
/// A restart waits until the output settles and until the interval since the last restart is over. A change within the
/// interval causes a restart when the interval ends.
#[derive(Debug, Default)]
pub(super) struct Reload {
    /// The hash of the output, and since when it is the same.
    wanted: Option<(String, Instant)>,
    /// The hash in the agent's Deployment, if it is known.
    carried: Option<String>,
    /// When the operator last restarted the Deployment.
    last: Option<Instant>,
    /// When the next attempt may be made after one that failed.
    not_before: Option<Instant>,
}

/// What to do about the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing, because the agent runs with the current output.
    Nothing,
    /// Read its Deployment, because the hash in it is not known.
    Read,
    /// Wait until then.
    At(Instant),
    /// Restart it.
    Now,
}

impl Reload {
    /// What to do with an agent that should run with the content of this hash.
    pub(super) fn due(&mut self, hash: &str, least_interval: Duration, now: Instant) -> Due {
        let since = match &self.wanted {
            Some((wanted, since)) if wanted == hash => *since,
            _ => {
                self.wanted = Some((hash.to_owned(), now));
                now
            }
        };
        if self.carried.as_deref() == Some(hash) {
            return Due::Nothing;
        }
        let settled = since + SETTLE;
        let spaced = self.last.map_or(now, |last| last + least_interval);
        let at = settled.max(spaced).max(self.not_before.unwrap_or(now));
        match self.carried {
            None if self.not_before.is_none_or(|at| at <= now) => Due::Read,
            _ if at > now => Due::At(at),
            _ => Due::Now,
        }
    }

    /// Records the hash in the Deployment, and how long ago the operator last restarted it, if it ever did.
    pub(super) fn observed(&mut self, carries: &str, restarted: Option<Duration>, now: Instant) {
        carries.clone_into(self.carried.get_or_insert_default());
        self.last = restarted.and_then(|ago| now.checked_sub(ago)).or(self.last);
        self.not_before = None;
    }

    /// Records that the Deployment was restarted with that hash.
    pub(super) fn restarted(&mut self, hash: &str, now: Instant) {
        self.carried = Some(hash.to_owned());
        self.last = Some(now);
        self.not_before = None;
    }

    /// Records that a read or a restart failed, so the hash in the Deployment is not known any more.
    pub(super) fn failed(&mut self, retry_at: Instant) {
        self.carried = None;
        self.not_before = Some(retry_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(300);

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn known(carries: &str, now: Instant) -> Reload {
        let mut reload = Reload::default();
        reload.observed(carries, None, now);
        reload
    }

    #[test]
    fn an_agent_that_has_what_is_written_is_left_alone() {
        let now = Instant::now();
        assert_eq!(known("a", now).due("a", INTERVAL, now), Due::Nothing);
    }

    #[test]
    fn what_the_deployment_carries_is_read_once() {
        let (mut reload, now) = (Reload::default(), Instant::now());
        assert_eq!(reload.due("a", INTERVAL, now), Due::Read);
        reload.observed("", None, now);
        assert_eq!(reload.due("a", INTERVAL, now), Due::At(now + SETTLE));
    }

    #[test]
    fn a_burst_of_changes_gives_one_restart_with_the_last_of_them() {
        let now = Instant::now();
        let mut reload = known("a", now);
        assert_eq!(reload.due("b", INTERVAL, now), Due::At(now + SETTLE));
        assert_eq!(reload.due("c", INTERVAL, now + seconds(8)), Due::At(now + seconds(18)));
        assert_eq!(reload.due("c", INTERVAL, now + seconds(18)), Due::Now);
        reload.restarted("c", now + seconds(18));
        assert_eq!(reload.due("c", INTERVAL, now + seconds(19)), Due::Nothing);
    }

    #[test]
    fn a_change_right_after_a_restart_is_answered_when_the_interval_ends() {
        let now = Instant::now();
        let mut reload = known("a", now);
        reload.restarted("b", now);
        assert_eq!(reload.due("c", INTERVAL, now + seconds(5)), Due::At(now + INTERVAL));
        assert_eq!(reload.due("c", INTERVAL, now + INTERVAL), Due::Now);
    }

    #[test]
    fn the_interval_holds_across_a_restart_of_the_operator() {
        let start = Instant::now() + seconds(1000);
        let mut reload = Reload::default();
        reload.due("b", INTERVAL, start);
        reload.observed("a", Some(seconds(100)), start);
        assert_eq!(reload.due("b", INTERVAL, start), Due::At(start + seconds(200)));
    }

    #[test]
    fn a_change_that_is_undone_restarts_nothing() {
        let now = Instant::now();
        let mut reload = known("a", now);
        assert_eq!(reload.due("b", INTERVAL, now), Due::At(now + SETTLE));
        assert_eq!(reload.due("a", INTERVAL, now + seconds(3)), Due::Nothing);
    }

    #[test]
    fn after_a_failure_the_deployment_is_read_again() {
        let now = Instant::now();
        let mut reload = known("a", now);
        reload.due("b", INTERVAL, now);
        reload.failed(now + seconds(30));
        assert_eq!(reload.due("b", INTERVAL, now + seconds(20)), Due::At(now + seconds(30)));
        assert_eq!(reload.due("b", INTERVAL, now + seconds(30)), Due::Read);
    }
}

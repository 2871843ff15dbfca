//! When the agent is restarted: pure scheduling. The request itself is in `restart.rs`.

use std::time::Duration;

use tokio::time::Instant;

/// How long the output has to stand still first.
pub const SETTLE: Duration = Duration::from_secs(10);

/// The restarts of one agent.
///
/// Settles, keeps its distance, and never forgets the last change: a change within the distance is answered when it ends.
#[derive(Debug, Default)]
pub struct Reload {
    /// The hash that the output has, and since when.
    wanted: Option<(String, Instant)>,
    /// The hash that the agent's Deployment is known to carry.
    carried: Option<String>,
    /// When the Deployment was last restarted by us.
    last: Option<Instant>,
    /// When the next attempt may be made after one that failed.
    not_before: Option<Instant>,
}

/// What to do about the agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Nothing: it has what is written.
    Nothing,
    /// Look at its Deployment: what it carries is not known.
    Look,
    /// Wait until then.
    At(Instant),
    /// Restart it.
    Now,
}

impl Reload {
    /// What to do about an agent that should run with the content of that hash.
    pub fn due(&mut self, hash: &str, least_interval: Duration, now: Instant) -> Due {
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
            None if self.not_before.is_none_or(|at| at <= now) => Due::Look,
            _ if at > now => Due::At(at),
            _ => Due::Now,
        }
    }

    /// What the Deployment carries, and how long ago it was last restarted by us, if ever.
    pub fn looked(&mut self, carries: &str, restarted: Option<Duration>, now: Instant) {
        carries.clone_into(self.carried.get_or_insert_default());
        self.last = restarted.and_then(|ago| now.checked_sub(ago)).or(self.last);
        self.not_before = None;
    }

    /// The Deployment was restarted with that hash.
    pub fn restarted(&mut self, hash: &str, now: Instant) {
        self.carried = Some(hash.to_owned());
        self.last = Some(now);
        self.not_before = None;
    }

    /// A look or a restart failed. What the Deployment carries is not known any more.
    pub fn failed(&mut self, retry_at: Instant) {
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
        reload.looked(carries, None, now);
        reload
    }

    #[test]
    fn an_agent_that_has_what_is_written_is_left_alone() {
        let now = Instant::now();
        assert_eq!(known("a", now).due("a", INTERVAL, now), Due::Nothing);
    }

    #[test]
    fn what_the_deployment_carries_is_looked_up_once() {
        let (mut reload, now) = (Reload::default(), Instant::now());
        assert_eq!(reload.due("a", INTERVAL, now), Due::Look);
        reload.looked("", None, now);
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
    fn a_change_right_after_a_restart_is_answered_when_the_distance_ends() {
        let now = Instant::now();
        let mut reload = known("a", now);
        reload.restarted("b", now);
        assert_eq!(reload.due("c", INTERVAL, now + seconds(5)), Due::At(now + INTERVAL));
        assert_eq!(reload.due("c", INTERVAL, now + INTERVAL), Due::Now);
    }

    #[test]
    fn the_distance_holds_across_a_restart_of_the_operator() {
        let start = Instant::now() + seconds(1000);
        let mut reload = Reload::default();
        reload.due("b", INTERVAL, start);
        reload.looked("a", Some(seconds(100)), start);
        assert_eq!(reload.due("b", INTERVAL, start), Due::At(start + seconds(200)));
    }

    #[test]
    fn a_change_that_is_taken_back_restarts_nobody() {
        let now = Instant::now();
        let mut reload = known("a", now);
        assert_eq!(reload.due("b", INTERVAL, now), Due::At(now + SETTLE));
        assert_eq!(reload.due("a", INTERVAL, now + seconds(3)), Due::Nothing);
    }

    #[test]
    fn after_a_failure_the_deployment_is_looked_at_again() {
        let now = Instant::now();
        let mut reload = known("a", now);
        reload.due("b", INTERVAL, now);
        reload.failed(now + seconds(30));
        assert_eq!(reload.due("b", INTERVAL, now + seconds(20)), Due::At(now + seconds(30)));
        assert_eq!(reload.due("b", INTERVAL, now + seconds(30)), Due::Look);
    }
}

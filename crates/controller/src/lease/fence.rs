//! Until when this replica may start a write.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use super::RENEW_DEADLINE;
use crate::error::Error;

/// Asked before each write. Counts on the monotonic clock, which runs on while a process is stopped: a leader that was
/// stopped for a minute finds its time over before it sends anything.
#[derive(Debug)]
pub struct Fence(Mutex<Permission>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Permission {
    /// There is no election.
    Always,
    Never,
    Until(Instant),
}

impl Fence {
    /// For a program that is the only replica.
    pub fn open() -> Self {
        Self(Mutex::new(Permission::Always))
    }

    /// Closed until a renewal succeeds.
    pub fn closed() -> Self {
        Self(Mutex::new(Permission::Never))
    }

    /// Whether a write may start now.
    ///
    /// Fails with [`Error::NotLeading`] if not.
    pub fn permit(&self, now: Instant) -> Result<(), Error> {
        match self.get() {
            Permission::Always => Ok(()),
            Permission::Until(deadline) if now < deadline => Ok(()),
            Permission::Until(_) | Permission::Never => Err(Error::NotLeading),
        }
    }

    /// A renewal whose request was sent at `sent` succeeded. Counted from then, because the answer may have taken its time.
    pub fn renewed(&self, sent: Instant) {
        self.set(Permission::Until(sent + RENEW_DEADLINE));
    }

    /// No write may start any more.
    pub fn close(&self) {
        self.set(Permission::Never);
    }

    fn get(&self) -> Permission {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, permission: Permission) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = permission;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_write_starts_after_the_deadline() {
        let fence = Fence::closed();
        let sent = Instant::now();
        assert!(fence.permit(sent).is_err());
        fence.renewed(sent);
        assert!(fence.permit(sent + RENEW_DEADLINE - Duration::from_millis(1)).is_ok());
        assert!(fence.permit(sent + RENEW_DEADLINE).is_err());
    }

    #[test]
    fn a_single_replica_may_always_write() {
        assert!(Fence::open().permit(Instant::now()).is_ok());
    }
}

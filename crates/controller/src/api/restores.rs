//! Detects that etcd was restored from a backup.
//!
//! After that, the API server has an earlier state, and its resource versions are lower. A watch from a higher version
//! has no event until the versions have caught up. It has no error and no bookmark either, because the API server sends
//! nothing below the requested version. Only the answer to a request shows the restore, because it has a lower version
//! than the one that was seen of the same object before the request.

use std::sync::Arc;

use tokio::sync::watch;
use tracing::warn;

/// Reports restores to all who depend on resource versions.
#[derive(Clone, Debug)]
pub(crate) struct Restores(Arc<watch::Sender<u64>>);

impl Default for Restores {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }
}

impl Restores {
    /// Compares the version in an answer with the newest version of the same object that was seen before the request
    /// was sent. Zero means that the version is unknown or not a number. Returns whether etcd was restored.
    pub(crate) fn compare(&self, object: &str, seen: u64, answered: u64) -> bool {
        let restored = answered > 0 && answered < seen;
        if restored {
            warn!(
                %object, seen, answered,
                "the API server returned an older resource version than before, for example after a restore of etcd; listing everything again"
            );
            self.0.send_modify(|count| *count += 1);
        }
        restored
    }

    /// Notifies of every later restore.
    pub(crate) fn subscribe(&self) -> Restored {
        Restored(self.0.subscribe())
    }
}

/// Waits for restores.
#[derive(Debug)]
pub(crate) struct Restored(watch::Receiver<u64>);

impl Restored {
    /// Returns after a restore.
    pub(crate) async fn wait(&mut self) {
        if self.0.changed().await.is_err() {
            // Nobody compares versions any more, because the program is about to end.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn only_a_lower_version_of_the_same_object_is_a_restore() {
        let restores = Restores::default();
        let mut waiter = restores.subscribe();
        for (seen, answered) in [(5, 5), (5, 6), (0, 5), (5, 0), (0, 0)] {
            assert!(!restores.compare("o", seen, answered), "{seen}, {answered}");
            assert!(waiter.wait().now_or_never().is_none());
        }
        assert!(restores.compare("o", 5, 4));
        assert!(waiter.wait().now_or_never().is_some());
        assert!(waiter.wait().now_or_never().is_none(), "once");
    }
}

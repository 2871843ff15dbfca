//! Permits for requests, as the budget allows them.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crd_types::Trust;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::budget::{Budget, Full};

/// The budget of the process, and the tasks that wait for it.
#[derive(Debug, Default)]
pub(super) struct Permits {
    budget: Mutex<Budget>,
    /// Wakes the tasks that wait for a permit.
    freed: Notify,
    /// Wakes the task that starts probes.
    room: Notify,
}

/// The permission for one request. It ends when it is dropped.
pub(super) struct Permit {
    permits: Arc<Permits>,
    namespace: Arc<str>,
    trust: Trust,
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.budget().give_back(&self.namespace, self.trust);
        self.permits.freed.notify_waiters();
        self.permits.room.notify_one();
    }
}

impl Permits {
    /// The budget. After taking from it, make a [`Permit`] with [`Self::taken`].
    pub(super) fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The permit for a request that the budget has counted already.
    pub(super) fn taken(self: &Arc<Self>, namespace: Arc<str>, trust: Trust) -> Permit {
        Permit { permits: self.clone(), namespace, trust }
    }

    /// Waits for a permit.
    pub(super) async fn wait(self: &Arc<Self>, namespace: &Arc<str>, trust: Trust) -> Permit {
        loop {
            let freed = self.freed.notified();
            let taken = self.budget().take(namespace, trust, Instant::now());
            match taken {
                Ok(()) => return self.taken(namespace.clone(), trust),
                Err(Full::Until(at)) => sleep_until(at).await,
                Err(Full::UntilOneEnds) => freed.await,
            }
        }
    }

    /// Waits until a request has ended since the last call.
    pub(super) async fn room(&self) {
        self.room.notified().await;
    }
}

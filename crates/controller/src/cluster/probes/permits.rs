//! Gives out permits for requests, within the budget.

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

/// A probe under way that waits for its next request.
struct Waiting<'a> {
    permits: &'a Permits,
    namespace: &'a Arc<str>,
    trust: Trust,
}

impl<'a> Waiting<'a> {
    fn begin(permits: &'a Permits, namespace: &'a Arc<str>, trust: Trust) -> Self {
        permits.budget().begin_to_wait(namespace, trust);
        Self { permits, namespace, trust }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.permits.budget().end_waiting(self.namespace, self.trust);
        self.permits.room.notify_one();
    }
}

/// The permit for one request. Dropping it ends the request.
pub(super) struct Permit {
    permits: Arc<Permits>,
    namespace: Arc<str>,
    trust: Trust,
    is_unused: bool,
}

impl Permit {
    /// Ends the permit without a request, so that it does not count.
    pub(super) fn unused(mut self) {
        self.is_unused = true;
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_unused {
            self.permits.budget().give_back_unused(&self.namespace, self.trust);
        } else {
            self.permits.budget().give_back(&self.namespace, self.trust);
        }
        self.permits.freed.notify_waiters();
        self.permits.room.notify_one();
    }
}

impl Permits {
    /// The budget. After taking from it, make a [`Permit`] with [`Self::taken`].
    pub(super) fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The permit for a request that was already taken from the budget.
    pub(super) fn taken(self: &Arc<Self>, namespace: Arc<str>, trust: Trust) -> Permit {
        Permit { permits: self.clone(), namespace, trust, is_unused: false }
    }

    /// Ends the permit of one request of a probe, and waits for the permit of its next request.
    pub(super) async fn after(self: &Arc<Self>, permit: Permit) -> Permit {
        let (namespace, trust) = (permit.namespace.clone(), permit.trust);
        // The probe begins to wait before its request ends. Otherwise another probe could start in between.
        let _waiting = Waiting::begin(self, &namespace, trust);
        drop(permit);
        loop {
            let freed = self.freed.notified();
            let taken = self.budget().take(&namespace, trust, Instant::now());
            match taken {
                Ok(()) => return self.taken(namespace.clone(), trust),
                Err(Full::Until(at)) => sleep_until(at).await,
                Err(Full::UntilOneEnds) => freed.await,
            }
        }
    }

    /// Waits until a request ends. Returns at once if a request has ended since the last call.
    pub(super) async fn room(&self) {
        self.room.notified().await;
    }
}

//! Sends every write. A write waits for a permit, checks the lease, and then sends the request with a timeout.

use std::{pin::pin, sync::Arc, time::Duration};

use kube::Client;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::{
    client::within_timeout,
    error::Error,
    fence::{Fence, Term},
};

/// How long a request keeps its permit. The request continues without it, so a slow admission webhook does not delay
/// others.
const PERMIT: Duration = Duration::from_millis(500);

/// Kinds of writes. Each kind has its own permits, so slow writes of one kind do not delay another kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// ConfigMaps.
    Output,
    /// The status of ToolsetConfigs.
    Status,
    /// The agents' Deployments.
    Reload,
    /// Events about ToolsetConfigs.
    Event,
    /// Events about Services.
    ServiceEvent,
}

/// How many requests of each kind may have a permit at the same time.
#[derive(Debug)]
struct Permits {
    output: Semaphore,
    status: Semaphore,
    reload: Semaphore,
    event: Semaphore,
    service_event: Semaphore,
}

/// Sends writes while this replica leads.
#[derive(Clone)]
pub(crate) struct Writer {
    client: Client,
    fence: Arc<Fence>,
    permits: Arc<Permits>,
}

impl Writer {
    pub(crate) fn new(client: Client, fence: Arc<Fence>) -> Self {
        let permits = Permits {
            output: Semaphore::new(16),
            status: Semaphore::new(8),
            reload: Semaphore::new(4),
            event: Semaphore::new(4),
            service_event: Semaphore::new(4),
        };
        Self { client, fence, permits: Arc::new(permits) }
    }

    /// The client to build requests with.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The current term, if this replica leads.
    pub(crate) fn term(&self) -> Option<Term> {
        self.fence.term()
    }

    /// Whether this replica holds the lease of that term now, so that a request to somebody else may start.
    pub(crate) fn holds(&self, term: Term) -> bool {
        self.fence.check(term, Instant::now()).is_ok()
    }

    /// Sends one request of a term, unless that term is over. The lease is checked after the wait for a permit, because
    /// this wait may be long. Nothing has been sent by then, because a future does nothing before it is polled.
    pub(crate) async fn send<T>(
        &self,
        term: Term,
        lane: Lane,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, Error> {
        let permits = match lane {
            Lane::Output => &self.permits.output,
            Lane::Status => &self.permits.status,
            Lane::Reload => &self.permits.reload,
            Lane::Event => &self.permits.event,
            Lane::ServiceEvent => &self.permits.service_event,
        };
        // The semaphores are never closed.
        let permit = permits.acquire().await.ok();
        self.fence.check(term, Instant::now())?;
        let mut request = pin!(within_timeout(request));
        if let Ok(answer) = timeout(PERMIT, &mut request).await {
            return answer;
        }
        drop(permit);
        request.await
    }
}

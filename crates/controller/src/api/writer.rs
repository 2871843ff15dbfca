//! The gate that every write passes: a permit first, then the lease, then the request with its timeout.

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

/// How long a request keeps its permit. The request goes on after that, so a slow admission webhook holds up nobody else.
const PERMIT: Duration = Duration::from_millis(500);

/// Kinds of writes. Each has permits of its own, so slow writes of one kind never hold up another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// ConfigMaps.
    Output,
    /// The status of ToolsetConfigs.
    Status,
    /// The agents' Deployments.
    Reload,
    /// Events.
    Event,
}

/// How many requests of each kind may be young at once.
#[derive(Debug)]
struct Permits {
    output: Semaphore,
    status: Semaphore,
    reload: Semaphore,
    event: Semaphore,
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
            event: Semaphore::new(1),
        };
        Self { client, fence, permits: Arc::new(permits) }
    }

    /// The client to build requests with.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The present term, if this replica leads.
    pub(crate) fn term(&self) -> Option<Term> {
        self.fence.term()
    }

    /// Sends one request of a term, unless that term is over. A future does nothing before it is polled, so nothing has
    /// been sent when the lease is checked; and it is checked after the permit, because the wait for that may be long.
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
        };
        // Nobody closes the semaphores.
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

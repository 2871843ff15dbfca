//! The gate that every write passes: the lease is asked right before sending, and each request has a timeout.

use std::{future::Future, sync::Arc};

use kube::{Client, api::PatchParams};
use tokio::time::Instant;
use toolset::manifest::FIELD_MANAGER;

use crate::{client::within_timeout, error::Error, lease::Fence};

/// Sends writes, as long as this replica may.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    fence: Arc<Fence>,
}

impl Writer {
    /// A writer that asks `fence`.
    pub fn new(client: Client, fence: Arc<Fence>) -> Self {
        Self { client, fence }
    }

    /// The client to make requests of.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Sends one request, unless the lease forbids it. A future does nothing before it is polled, so nothing has been sent
    /// when the lease is asked.
    pub async fn send<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        self.fence.permit(Instant::now())?;
        within_timeout(request).await
    }
}

/// Server-side apply under our one field manager, taking over fields from others.
pub fn forced() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER).force()
}

/// Server-side apply under our one field manager that fails where others own a field.
pub fn polite() -> PatchParams {
    PatchParams::apply(FIELD_MANAGER)
}

//! What the pages show: the objects as last read, and what follows from them for each ToolsetConfig.
//!
//! ```text
//! files, watches ──► Known (objects, version) ──► Review, once per version and ToolsetConfig ──► pages
//! ```

use std::{collections::HashMap, sync::Arc};

use kube::Client;
use tokio::{
    sync::{Mutex, OwnedMappedMutexGuard, OwnedMutexGuard, watch},
    task,
};

use super::{known::Known, review::Review};
use crate::failure::Failure;

/// The state that all pages share. A clone is the same state.
#[derive(Clone)]
pub(super) struct State {
    objects: Arc<Mutex<Objects>>,
    validating: Arc<Mutex<()>>,
    cluster_domain: Arc<str>,
    /// `None` for files.
    client: Option<Client>,
}

/// The objects, and what follows from them.
pub(super) struct Objects {
    pub known: Known,
    /// By ToolsetConfig, for one version of the objects.
    reviews: HashMap<String, Arc<Review>>,
    version: u64,
}

impl Objects {
    /// What follows for a ToolsetConfig. It is computed once per change.
    pub(super) fn review(&mut self, wanted: &str, cluster_domain: &str) -> Arc<Review> {
        let version = self.known.version();
        if self.version != version {
            self.reviews.clear();
            self.version = version;
        }
        let name = self.known.select(wanted);
        if let Some(review) = self.reviews.get(&name) {
            return Arc::clone(review);
        }
        let review = Arc::new(Review::new(&self.known, cluster_domain));
        self.reviews.insert(name, Arc::clone(&review));
        review
    }
}

impl State {
    pub(super) fn new(known: Known, cluster_domain: &str, client: Option<Client>) -> Self {
        let objects = Objects { version: known.version(), known, reviews: HashMap::new() };
        let (objects, validating) = (Arc::new(Mutex::new(objects)), Arc::default());
        Self { objects, validating, cluster_domain: cluster_domain.into(), client }
    }

    /// The client of the cluster, if the objects come from one.
    pub(super) fn client(&self) -> Option<&Client> {
        self.client.as_ref()
    }

    /// The state, for somebody who reads or changes it without a long computation.
    pub(super) async fn known(&self) -> OwnedMappedMutexGuard<Objects, Known> {
        OwnedMutexGuard::map(Arc::clone(&self.objects).lock_owned().await, |objects| &mut objects.known)
    }

    /// Waits until no other text is validated.
    pub(super) async fn turn_to_validate(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.validating).lock_owned().await
    }

    /// Tells about changes.
    pub(super) async fn changes(&self) -> watch::Receiver<u64> {
        self.known().await.changes()
    }

    /// What follows for a ToolsetConfig. It is computed once per change.
    pub(super) async fn review(&self, config: &str) -> Result<Arc<Review>, Failure> {
        let config = config.to_owned();
        self.compute(move |objects, cluster_domain| objects.review(&config, cluster_domain)).await
    }

    /// Runs a computation that may take long. There is one at a time, and it does not delay the server.
    pub(super) async fn compute<T: Send + 'static>(
        &self,
        make: impl FnOnce(&mut Objects, &str) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let mut objects = Arc::clone(&self.objects).lock_owned().await;
        let cluster_domain = Arc::clone(&self.cluster_domain);
        task::spawn_blocking(move || make(&mut objects, &cluster_domain))
            .await
            .map_err(|_| Failure::input("error: cannot compute the tools, because of a bug in this plugin"))
    }
}

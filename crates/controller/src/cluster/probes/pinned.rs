//! The addresses of a Service, read once and kept until its EndpointSlices change.

use std::sync::Arc;

use crate::dial::resolve::Backend;

/// The addresses of a Service.
#[derive(Clone, Debug)]
pub(super) struct Pinned {
    /// The number of the last change of the EndpointSlices that they come from.
    pub(super) slices: u64,
    pub(super) backends: Arc<[Backend]>,
}

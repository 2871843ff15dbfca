//! The addresses of a Service. They are read once and kept until the EndpointSlices change.

use std::sync::Arc;

use crate::dial::resolve::Backend;

/// The addresses of a Service.
#[derive(Clone, Debug)]
pub(super) struct Pinned {
    /// The number of the last change of the EndpointSlices when the addresses were read.
    pub(super) slices: u64,
    pub(super) backends: Arc<[Backend]>,
}

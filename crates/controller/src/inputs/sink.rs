//! Where a watch's objects go.

use tokio::time::Instant;

/// Takes the objects of one watch. Objects are converted and dropped at once; none is kept as the API sent it.
///
/// `received` is when the event came off the wire: what the freshness metric counts from.
pub trait Sink: Send + 'static {
    /// What the watch yields.
    type Object;

    /// A list begins; what was collected of an earlier one that did not finish is void.
    fn begin(&mut self);

    /// One object of the list.
    fn collect(&mut self, object: Self::Object);

    /// The list is complete and replaces what was known: deletes during a watch gap are announced in no other way.
    fn complete(&mut self, received: Instant);

    /// A new or changed object.
    fn applied(&mut self, object: Self::Object, received: Instant);

    /// An object is gone.
    fn deleted(&mut self, object: Self::Object, received: Instant);
}

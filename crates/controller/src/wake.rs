//! Who has to look again: bounded channels into the controller, and since when each has been waiting.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crd_types::ToolsetConfig;
use futures::{Stream, stream};
use kube::runtime::reflector::ObjectRef;
use tokio::{sync::mpsc, time::Instant};

use crate::object::ObjectName;

/// How many single wake-ups may be under way; beyond it everybody is woken.
const QUEUE: usize = 256;

/// The sending side.
pub struct Wakes {
    one: mpsc::Sender<ObjectRef<ToolsetConfig>>,
    all: mpsc::Sender<()>,
    waiting: Mutex<BTreeMap<ObjectName, Option<Instant>>>,
}

/// A stream without errors, as the controller needs it.
pub type Signals<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

impl Wakes {
    /// The sending side, and the streams for the controller: single ToolsetConfigs, and all of them.
    pub fn new() -> (Self, Signals<ObjectRef<ToolsetConfig>>, Signals<()>) {
        let (one, one_receiver) = mpsc::channel(QUEUE);
        // One place is enough: whoever finds it taken is answered by the signal that takes it.
        let (all, all_receiver) = mpsc::channel(1);
        (Self { one, all, waiting: Mutex::default() }, signals(one_receiver), signals(all_receiver))
    }

    /// A ToolsetConfig exists; from now on it is woken with all others.
    pub fn enlist(&self, name: &ObjectName) {
        self.lock().entry(name.clone()).or_default();
    }

    /// A ToolsetConfig is gone.
    pub fn dismiss(&self, name: &ObjectName) {
        self.lock().remove(name);
    }

    /// One ToolsetConfig has to look again, because of an event that was received at that time.
    pub fn one(&self, name: &ObjectName, received: Option<Instant>) {
        if let Some(since) = self.lock().get_mut(name) {
            *since = earlier(*since, received);
        }
        if self.one.try_send(name.to_ref()).is_err() {
            self.signal_all();
        }
    }

    /// Every ToolsetConfig has to look again.
    pub fn all(&self, received: Option<Instant>) {
        self.lock().values_mut().for_each(|since| *since = earlier(*since, received));
        self.signal_all();
    }

    /// When the earliest event was received that this ToolsetConfig has not looked at yet. It now does.
    pub fn take(&self, name: &ObjectName) -> Option<Instant> {
        self.lock().get_mut(name)?.take()
    }

    /// The look did not lead to the end: the event waits on.
    pub fn put_back(&self, name: &ObjectName, received: Option<Instant>) {
        if let Some(since) = self.lock().get_mut(name) {
            *since = earlier(*since, received);
        }
    }

    fn signal_all(&self) {
        // Full: a signal is under way that has not been looked at. Closed: the program is about to end.
        let _full_or_closed = self.all.try_send(());
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectName, Option<Instant>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn signals<T: Send + 'static>(mut receiver: mpsc::Receiver<T>) -> Signals<T> {
    Box::pin(stream::poll_fn(move |context| receiver.poll_recv(context)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::{FutureExt, StreamExt};

    use super::*;

    #[test]
    fn a_full_queue_wakes_everybody_instead_of_losing_anybody() {
        let (wakes, _one, mut all) = Wakes::new();
        let name = ObjectName::new("n", "c");
        for _ in 0..QUEUE {
            wakes.one(&name, None);
        }
        assert_eq!(all.next().now_or_never(), None);
        wakes.one(&name, None);
        assert_eq!(all.next().now_or_never(), Some(Some(())));
    }

    #[test]
    fn signals_for_all_are_merged_but_never_lost() {
        let (wakes, _one, mut all) = Wakes::new();
        wakes.all(None);
        wakes.all(None);
        assert_eq!(all.next().now_or_never(), Some(Some(())));
        assert_eq!(all.next().now_or_never(), None);
        wakes.all(None);
        assert_eq!(all.next().now_or_never(), Some(Some(())));
    }

    #[test]
    fn freshness_counts_from_the_earliest_event_not_yet_looked_at() {
        let (wakes, _one, _all) = Wakes::new();
        let (name, first) = (ObjectName::new("n", "c"), Instant::now());
        wakes.enlist(&name);
        wakes.all(Some(first));
        wakes.one(&name, Some(first + Duration::from_millis(5)));
        assert_eq!(wakes.take(&name), Some(first));
        assert_eq!(wakes.take(&name), None);
    }
}

//! Events about ToolsetConfigs and about rejected Services.
//!
//! ```text
//! reporter, reloader ──► queue: ToolsetConfigs first, a limited rate ──► publish: the name says whether it exists
//! ```
//! A task of its own empties the queue, because no reconcile runs while nothing changes.

mod event;
mod publish;
mod queue;

use futures::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tracing::{debug, warn};

pub(crate) use self::event::{About, Event, Kind};
use self::{
    event::Observed,
    publish::Publisher,
    queue::{Next, Of, Queue, Waiting},
};
use super::{
    error::{Cause, Error},
    fence::Leadership,
    writer::Writer,
};

/// How many Events of one queue may be in progress, so that a slow admission webhook of one namespace does not delay
/// the Events of the others.
const IN_PROGRESS: usize = 4;

/// Queues Events for the task that sends them.
#[derive(Clone)]
pub(crate) struct Events(mpsc::UnboundedSender<Observed>);

impl Events {
    /// The queue, and the task that empties it.
    pub(crate) fn new(writer: Writer, leadership: Leadership) -> (Self, impl Future<Output = ()>) {
        // The task takes every Event at once, so the channel stays short.
        let (sender, incoming) = mpsc::unbounded_channel();
        let publisher = Publisher::new(writer);
        let publish = move |observed: Observed| {
            let publisher = publisher.clone();
            async move { publisher.publish(&observed).await }
        };
        (Self(sender), run(publish, leadership, incoming))
    }

    /// Queues an Event.
    pub(crate) fn send(&self, event: Event) {
        // The task ends only after the last sender.
        drop(self.0.send(Observed::now(event)));
    }
}

/// Sends Events until all senders are gone. Then it sends what is left about ToolsetConfigs, and returns.
async fn run<F: Future<Output = Result<(), Error>>>(
    publish: impl Fn(Observed) -> F,
    mut leadership: Leadership,
    mut incoming: mpsc::UnboundedReceiver<Observed>,
) {
    let start = |waiting: Waiting| {
        let publishing = publish(waiting.observed.clone());
        async move { (waiting, publishing.await) }
    };
    let (mut configs, mut services) = (FuturesUnordered::new(), FuturesUnordered::new());
    let mut queue = Queue::new(Instant::now());
    let mut report = Report::default();
    let (mut term, mut refused, mut open) = (leadership.term(), false, true);
    loop {
        let mut wake = None;
        for (of, in_progress) in [(Of::Configs, &mut configs), (Of::Services, &mut services)] {
            while !refused && open && in_progress.len() < IN_PROGRESS {
                match queue.next(of, Instant::now()) {
                    Next::Send(waiting) => in_progress.push(Box::pin(start(*waiting))),
                    Next::At(at) => {
                        wake = Some(wake.map_or(at, |wake: Instant| wake.min(at)));
                        break;
                    }
                    Next::Nothing => break,
                }
            }
        }
        if !open {
            while let Some(waiting) = queue.last() {
                configs.push(Box::pin(start(waiting)));
            }
            if configs.is_empty() {
                return;
            }
        }
        let (waiting, result) = tokio::select! {
            // First, so that the order in which Events come and go does not depend on chance.
            biased;
            () = leadership.changed_or(refused) => {
                (term, refused) = (leadership.term(), false);
                queue.keep(term);
                continue;
            }
            event = incoming.recv(), if open => {
                match event {
                    Some(observed) => report.full(!queue.add(observed, Instant::now())),
                    None => open = false,
                }
                continue;
            }
            Some(done) = configs.next(), if !configs.is_empty() => done,
            Some(done) = services.next(), if !services.is_empty() => done,
            () = at(wake) => continue,
        };
        let Err(error) = result else {
            report.succeeded();
            continue;
        };
        match error.cause() {
            // The renewal of the lease is late. The Event is sent after it.
            Cause::NotLeading if term == Some(waiting.observed.event.term) && open => {
                refused = true;
                queue.refused(waiting);
            }
            // The term is over, or the object or its namespace is being deleted.
            Cause::NotLeading | Cause::NotFound | Cause::Terminating => {}
            cause => {
                report.failed(cause, &error);
                if may_succeed(cause) && open {
                    queue.failed(waiting, Instant::now());
                }
            }
        }
    }
}

/// Whether a later attempt may succeed although nobody changes anything.
fn may_succeed(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Timeout
            | Cause::Transport
            | Cause::Throttled
            | Cause::Unavailable
            | Cause::Unauthorized
            | Cause::Conflict
    )
}

async fn at(wake: Option<Instant>) {
    match wake {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Logs failures. Repeated failures with the same cause are logged at debug level.
#[derive(Default)]
struct Report {
    last: Option<Cause>,
    full: bool,
}

impl Report {
    fn succeeded(&mut self) {
        self.last = None;
    }

    fn failed(&mut self, cause: Cause, error: &Error) {
        if self.last.replace(cause) == Some(cause) {
            debug!(reason = %cause, %error, "cannot write an Event");
        } else {
            warn!(reason = %cause, %error, "cannot write Events");
        }
    }

    fn full(&mut self, full: bool) {
        if full && !self.full {
            warn!("too many Events about rejected Services are queued; new Events are dropped until some are written");
        }
        self.full = full;
    }
}

#[cfg(test)]
mod tests;

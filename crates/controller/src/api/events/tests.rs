use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use super::*;
use crate::api::{
    fence::{Fence, Term},
    name::NamespacedName,
};

/// A fake API server that writes down what it is sent, while the lease is held.
struct Stage {
    fence: Arc<Fence>,
    events: Events,
    sent: Rc<RefCell<Vec<(Instant, String)>>>,
    task: tokio::task::JoinHandle<()>,
}

/// Runs the queue in front of a fake API server.
async fn with(fence: Fence, fails: fn(&str) -> bool, body: impl AsyncFnOnce(Stage)) {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let fence = Arc::new(fence);
            let (sender, incoming) = mpsc::unbounded_channel();
            let sent = Rc::new(RefCell::new(Vec::new()));
            let (log, lease) = (sent.clone(), fence.clone());
            let publish = move |observed: Observed| {
                let (log, lease) = (log.clone(), lease.clone());
                async move {
                    lease.check(observed.event.term, Instant::now())?;
                    // A request takes some time.
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    if fails(&observed.event.note) {
                        return Err(Error::Timeout(Duration::from_secs(5)));
                    }
                    log.borrow_mut().push((Instant::now(), observed.event.note));
                    Ok(())
                }
            };
            let task = tokio::task::spawn_local(run(publish, fence.subscribe(), incoming));
            body(Stage { fence, events: Events(sender), sent, task }).await;
        })
        .await;
}

impl Stage {
    fn service(&self, term: Term, number: usize) {
        let about = About::Service(NamespacedName::new("n", format!("s{number}")));
        self.add(term, about, "InvalidAnnotation", format!("service {number}"));
    }

    fn config(&self, term: Term, note: &str) {
        let about = About::Config { name: NamespacedName::new("n", "c"), uid: "u".to_owned() };
        self.add(term, about, "OutputConflict", note.to_owned());
    }

    fn add(&self, term: Term, about: About, reason: &'static str, note: String) {
        self.events.send(Event { term, about, kind: Kind::Warning, reason, action: "Select", note, repeats: true });
    }

    /// Waits until this number of Events has been written, and returns their notes.
    async fn written(&self, number: usize) -> Vec<String> {
        while self.sent.borrow().len() < number {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.sent.borrow().iter().map(|(_, note)| note.clone()).collect()
    }
}

fn held(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_queue_empties_itself_and_toolset_configs_come_first() {
    with(
        Fence::without_election(),
        |_| false,
        async |stage| {
            let term = stage.fence.term().unwrap();
            let began = Instant::now();
            for number in 0..2000 {
                stage.service(term, number);
            }
            stage.written(100).await;
            stage.config(term, "conflict");
            let all = stage.written(2001).await;
            let at = all.iter().position(|note| note == "conflict").unwrap();
            assert!((100..110).contains(&at), "{at}");
            let services: std::collections::BTreeSet<_> = all.into_iter().collect();
            assert_eq!(services.len(), 2001, "each one once");
            let took = began.elapsed().as_secs();
            assert!((390..400).contains(&took), "{took} s");
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_delays_no_other_event_and_is_repeated() {
    with(
        Fence::without_election(),
        |note| note == "service 0",
        async |stage| {
            let term = stage.fence.term().unwrap();
            for number in 0..5 {
                stage.service(term, number);
            }
            let began = Instant::now();
            assert_eq!(stage.written(4).await, ["service 1", "service 2", "service 3", "service 4"]);
            assert!(began.elapsed() < Duration::from_secs(1));
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_queue_goes_on_after_a_late_renewal() {
    let fence = Fence::with_election();
    let term = fence.held_until(held(1)).unwrap();
    with(
        fence,
        |_| false,
        async |stage| {
            tokio::time::sleep(Duration::from_secs(2)).await;
            stage.service(term, 0);
            stage.config(term, "conflict");
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(stage.sent.borrow().is_empty(), "the renewal is late");
            stage.fence.held_until(held(600));
            let mut all = stage.written(2).await;
            all.sort();
            assert_eq!(all, ["conflict", "service 0"]);
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn events_of_a_term_that_ended_are_dropped_and_those_of_the_next_are_sent() {
    let fence = Fence::with_election();
    let first = fence.held_until(held(3600)).unwrap();
    with(
        fence,
        |_| false,
        async |stage| {
            for number in 0..100 {
                stage.service(first, number);
            }
            stage.written(25).await;
            stage.fence.close();
            tokio::task::yield_now().await;
            let second = stage.fence.held_until(held(3600)).unwrap();
            // A late one of the old term.
            stage.config(first, "old");
            stage.config(second, "new");
            let all = stage.written(26).await;
            assert!(all.len() < 40 && all.contains(&"new".to_owned()), "{all:?}");
            let before = stage.sent.borrow().len();
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert_eq!(stage.sent.borrow().len(), before);
        },
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn at_the_end_the_events_about_toolset_configs_are_sent_at_once() {
    with(
        Fence::without_election(),
        |_| false,
        async |stage| {
            let term = stage.fence.term().unwrap();
            for number in 0..1000 {
                stage.service(term, number);
            }
            stage.written(30).await;
            stage.config(term, "last");
            let Stage { events, sent, task, .. } = stage;
            let ended = Instant::now();
            drop(events);
            task.await.unwrap();
            assert!(ended.elapsed() < Duration::from_millis(300), "{:?}", ended.elapsed());
            assert!(sent.borrow().iter().any(|(_, note)| note == "last"));
        },
    )
    .await;
}

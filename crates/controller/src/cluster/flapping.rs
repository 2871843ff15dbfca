//! Limits how often the same Service triggers, so that one Service that changes all the time does not keep every
//! ToolsetConfig writing.
//!
//! The first change after a quiet second triggers at once. If more changes follow within the second, they trigger
//! together when it is over. The index is always current, so a reconcile for another reason includes these changes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use detectors::ServiceKey;
use tokio::time::{Instant, sleep_until};

use super::triggers::Triggers;
use crate::api::NamespacedName;

/// The shortest time between two triggers because of the same Service, except those that never wait.
const INTERVAL: Duration = Duration::from_secs(1);

/// The part of a Service that changed. Each part counts separately, so a new Service and its first ready endpoint
/// trigger at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The Service itself.
    Object,
    /// Its EndpointSlices, and an endpoint is ready.
    Ready,
    /// Its EndpointSlices, and no endpoint is ready.
    NotReady,
}

/// The ToolsetConfigs that a change concerns.
#[derive(Debug, Default)]
pub(super) struct Concerned {
    /// Those that lose the Service. They never wait.
    pub(super) at_once: Vec<NamespacedName>,
    /// The others.
    pub(super) limited: Vec<NamespacedName>,
}

type Subject = (ServiceKey, Part);

/// The Services that triggered within the last second.
#[derive(Debug, Default)]
pub(super) struct Flapping(Mutex<Recent>);

#[derive(Debug, Default)]
struct Recent {
    waiting: BTreeMap<Subject, Option<Waiting>>,
    /// When the second of each is over. All seconds have the same length, so the first one ends first.
    ends: VecDeque<(Instant, Subject)>,
    /// A task waits for the end of a second.
    has_timer: bool,
}

/// Changes that have not triggered yet.
#[derive(Debug)]
struct Waiting {
    names: BTreeSet<NamespacedName>,
    /// When the first of them arrived.
    received: Instant,
}

impl Flapping {
    /// Triggers what a change concerns, now or at the end of the second.
    pub(super) fn trigger(
        self: &Arc<Self>,
        triggers: &Arc<Triggers>,
        subject: Subject,
        concerned: Concerned,
        received: Instant,
    ) {
        let Concerned { at_once, limited } = concerned;
        if at_once.is_empty() && limited.is_empty() {
            return;
        }
        let now = Instant::now();
        let mut recent = self.lock();
        recent.end(triggers, now);
        if let Some(waiting) = recent.waiting.get_mut(&subject) {
            if let Some(waiting) = waiting {
                waiting.names.retain(|name| !at_once.contains(name));
            }
            if !limited.is_empty() {
                let waiting = waiting.get_or_insert_with(|| Waiting { names: BTreeSet::new(), received });
                waiting.names.extend(limited);
                if !std::mem::replace(&mut recent.has_timer, true) {
                    tokio::spawn(self.clone().wait(triggers.clone()));
                }
            }
        } else {
            recent.begin(subject, now);
            triggers.each(&limited, received);
        }
        triggers.each(&at_once, received);
    }

    /// Triggers what waits. Ends when nothing waits.
    async fn wait(self: Arc<Self>, triggers: Arc<Triggers>) {
        loop {
            let end = self.lock().next_end();
            let Some(end) = end else { return };
            sleep_until(end).await;
            self.lock().end(&triggers, Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Recent {
    fn begin(&mut self, subject: Subject, now: Instant) {
        self.waiting.insert(subject.clone(), None);
        self.ends.push_back((now + INTERVAL, subject));
    }

    /// When the timer fires next. `None` if nothing waits, and then the timer ends.
    fn next_end(&mut self) -> Option<Instant> {
        let waits = |subject: &Subject| self.waiting.get(subject).is_some_and(Option::is_some);
        let end = self.ends.iter().find(|(_, subject)| waits(subject)).map(|(end, _)| *end);
        self.has_timer = end.is_some();
        end
    }

    /// Removes the seconds that are over. Waiting changes trigger now, which begins another second.
    fn end(&mut self, triggers: &Triggers, now: Instant) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            let Some((_, subject)) = self.ends.pop_front() else { return };
            if let Some(Some(Waiting { names, received })) = self.waiting.remove(&subject) {
                triggers.each(&names, received);
                self.begin(subject, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::time::sleep;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(10);

    fn name(config: &str) -> NamespacedName {
        NamespacedName::new("n", config)
    }

    /// ToolsetConfigs `a` and `b`.
    fn start() -> (Arc<Flapping>, Arc<Triggers>) {
        let triggers = Arc::new(Triggers::default());
        for config in ["a", "b"] {
            triggers.of(&name(config));
        }
        (Arc::default(), triggers)
    }

    /// Whether a ToolsetConfig was triggered since the last question.
    fn triggered(triggers: &Triggers, config: &str) -> bool {
        triggers.of(&name(config)).reconcile_needed().now_or_never().is_some()
    }

    fn of(service: &str, part: Part) -> Subject {
        (ServiceKey::new("n", service), part)
    }

    fn limited(config: &str) -> Concerned {
        Concerned { limited: vec![name(config)], ..Concerned::default() }
    }

    fn at_once(config: &str) -> Concerned {
        Concerned { at_once: vec![name(config)], ..Concerned::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_flaps_triggers_at_once_and_then_once_a_second() {
        let (flapping, triggers) = start();
        let (mut count, began) = (0, Instant::now());
        while began.elapsed() < Duration::from_secs(5) {
            flapping.trigger(&triggers, of("s", Part::Object), limited("a"), Instant::now());
            sleep(MOMENT).await;
            count += usize::from(triggered(&triggers, "a"));
        }
        assert!((5..=6).contains(&count), "{count}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_change_triggers_and_then_nothing_is_left() {
        let (flapping, triggers) = start();
        let arrivals = [Instant::now(), Instant::now() + MOMENT, Instant::now() + 2 * MOMENT];
        for received in arrivals {
            flapping.trigger(&triggers, of("s", Part::Object), limited("a"), received);
        }
        assert!(triggered(&triggers, "a"));
        assert_eq!(triggers.of(&name("a")).take(), Some(arrivals[0]));
        sleep(INTERVAL / 2).await;
        assert!(!triggered(&triggers, "a"), "not before the second is over");
        sleep(INTERVAL / 2 + MOMENT).await;
        assert!(triggered(&triggers, "a"));
        assert_eq!(triggers.of(&name("a")).take(), Some(arrivals[1]), "freshness counts from the first that waited");
        sleep(2 * INTERVAL).await;
        assert!(!triggered(&triggers, "a"));
        assert!(!flapping.lock().has_timer, "no timer at rest");
    }

    #[tokio::test(start_paused = true)]
    async fn each_service_and_each_part_of_it_counts_separately() {
        let (flapping, triggers) = start();
        let subjects = [of("s", Part::Object), of("t", Part::Object), of("s", Part::NotReady), of("s", Part::Ready)];
        for subject in subjects {
            flapping.trigger(&triggers, subject, limited("a"), Instant::now());
            assert!(triggered(&triggers, "a"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_takes_a_service_away_never_waits() {
        let (flapping, triggers) = start();
        let subject = || of("s", Part::Object);
        let both = Concerned { at_once: vec![], limited: vec![name("a"), name("b")] };
        flapping.trigger(&triggers, subject(), limited("a"), Instant::now());
        flapping.trigger(&triggers, subject(), both, Instant::now());
        assert!(triggered(&triggers, "a"));
        flapping.trigger(&triggers, subject(), at_once("a"), Instant::now());
        assert!(triggered(&triggers, "a") && !triggered(&triggers, "b"));
        sleep(INTERVAL + MOMENT).await;
        assert!(triggered(&triggers, "b"), "it still waited");
        assert!(!triggered(&triggers, "a"), "it was triggered already");
    }

    #[tokio::test(start_paused = true)]
    async fn after_it_was_taken_away_a_service_comes_back_within_a_second() {
        let (flapping, triggers) = start();
        let subject = || of("s", Part::Object);
        flapping.trigger(&triggers, subject(), at_once("a"), Instant::now());
        assert!(triggered(&triggers, "a"));
        flapping.trigger(&triggers, subject(), limited("a"), Instant::now());
        assert!(!triggered(&triggers, "a"));
        sleep(INTERVAL + MOMENT).await;
        assert!(triggered(&triggers, "a"));
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_last_second_is_remembered() {
        let (flapping, triggers) = start();
        for service in 0..1000 {
            flapping.trigger(&triggers, of(&service.to_string(), Part::Object), limited("a"), Instant::now());
        }
        sleep(INTERVAL).await;
        flapping.trigger(&triggers, of("s", Part::Object), limited("a"), Instant::now());
        let recent = flapping.lock();
        assert_eq!((recent.waiting.len(), recent.ends.len()), (1, 1));
    }
}

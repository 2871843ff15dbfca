//! Whether the database is there. Every attempt to connect goes through this one place, so that an outage costs few attempts
//! and few lines in the log, however many requests come.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{sync::Semaphore, time::Instant};

use super::StoreError;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// The most attempts at the same time while the database is there. So many can fail together before it is known to be away.
const AT_ONCE: usize = 4;

/// Open until an attempt fails. Then closed for 1 s, doubled with each further failure up to 30 s, and open for one attempt at a
/// time, until one succeeds.
#[derive(Debug)]
pub(super) struct Gate {
    outage: Mutex<Option<Outage>>,
    places: Arc<Semaphore>,
    /// The only place in an outage.
    single: Arc<Semaphore>,
    logs: AtomicBool,
}

/// From the first attempt that failed to the first that succeeds.
#[derive(Debug)]
struct Outage {
    began: Instant,
    failures: u32,
    /// When the next attempt is due.
    next: Instant,
    reason: String,
    /// How many requests, and rounds of work in the background, were refused without an attempt.
    refused: u64,
}

/// Whether an attempt waits for its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// In an outage, it is refused until the next attempt is due.
    Due,
    /// It comes at most once a second, and ends an outage early.
    Now,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            outage: Mutex::default(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            single: Arc::new(Semaphore::new(1)),
            logs: AtomicBool::default(),
        }
    }
}

impl Gate {
    /// From now on the log says when an outage begins and ends. Without it, only those who ask learn of it, as a subcommand does.
    pub(super) fn log(&self) {
        self.logs.store(true, Ordering::Relaxed);
    }

    /// Connects, unless the gate is closed. An attempt goes on if its caller leaves, so that its outcome is always known, and that
    /// it counts.
    pub(super) async fn attempt<T: Send + 'static>(
        self: &Arc<Self>,
        when: When,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let ended = || StoreError::unavailable("the attempt to connect was cancelled");
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| ended())?;
        let mut alone = None;
        if let Some(outage) = self.lock().as_mut() {
            let now = Instant::now();
            let is_due = when == When::Now || outage.next <= now;
            alone = is_due.then(|| Arc::clone(&self.single).try_acquire_owned().ok()).flatten();
            if alone.is_none() {
                outage.refused += u64::from(when == When::Due);
                return Err(outage.error(now));
            }
        }
        let gate = Arc::clone(self);
        let attempt = tokio::spawn(async move {
            let result = work.await;
            let result = gate.settle(result, fastrand::f64());
            drop((place, alone));
            result
        });
        attempt.await.unwrap_or_else(|_| Err(ended()))
    }

    /// The error for a request that cannot do without a new connection, if no attempt is due.
    pub(super) fn refuse(&self) -> Option<StoreError> {
        let mut outage = self.lock();
        let outage = outage.as_mut()?;
        let now = Instant::now();
        if outage.next <= now && self.single.available_permits() > 0 {
            return None;
        }
        outage.refused += 1;
        Some(outage.error(now))
    }

    /// How long it is until the next attempt is due, in an outage.
    pub(super) fn rest(&self) -> Option<Duration> {
        let rest = self.lock().as_ref()?.next.saturating_duration_since(Instant::now());
        Some(rest).filter(|rest| !rest.is_zero())
    }

    /// The error in an outage.
    pub(super) fn outage(&self) -> Option<StoreError> {
        self.lock().as_ref().map(|outage| outage.error(Instant::now()))
    }

    /// Takes the outcome of an attempt. `jitter` is between 0 and 1.
    fn settle<T>(&self, result: Result<T, StoreError>, jitter: f64) -> Result<T, StoreError> {
        match result {
            Err(StoreError::Unavailable { reason, .. }) => Err(self.failed(&reason, jitter)),
            // An error of a statement is an answer of the database, too.
            answered => {
                self.succeeded();
                answered
            }
        }
    }

    /// Attempts that were under way together count once.
    fn failed(&self, reason: &str, jitter: f64) -> StoreError {
        let now = Instant::now();
        let mut state = self.lock();
        let begins = state.is_none();
        let outage = state.get_or_insert_with(|| Outage {
            began: now,
            failures: 0,
            next: now,
            reason: String::new(),
            refused: 0,
        });
        if outage.next > now {
            return outage.error(now);
        }
        let pause = pause(outage.failures, jitter);
        outage.failures += 1;
        outage.next = now + pause;
        reason.clone_into(&mut outage.reason);
        if self.logs.load(Ordering::Relaxed) {
            let next_attempt_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
            if begins {
                tracing::warn!(
                    reason,
                    next_attempt_ms,
                    "cannot connect to the database; requests are refused until it answers"
                );
            } else {
                tracing::info!(
                    reason,
                    next_attempt_ms,
                    attempts = outage.failures,
                    refused = outage.refused,
                    "the database still does not answer"
                );
            }
        }
        outage.error(now)
    }

    fn succeeded(&self) {
        let Some(outage) = self.lock().take() else { return };
        if self.logs.load(Ordering::Relaxed) {
            tracing::info!(
                seconds = outage.began.elapsed().as_secs_f64(),
                refused = outage.refused,
                "connected to the database again"
            );
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outage {
    fn error(&self, now: Instant) -> StoreError {
        // While an attempt is under way that is later than it was due, its outcome is known soon.
        let rest = self.next.saturating_duration_since(now);
        let retry_after = if rest.is_zero() { SHORTEST } else { rest };
        StoreError::Away { reason: self.reason.clone(), retry_after }
    }
}

/// The pause after a failure, between half and the whole of its length, so that replicas do not come back together.
fn pause(failures: u32, jitter: f64) -> Duration {
    let longest = SHORTEST.saturating_mul(1 << failures.min(8)).min(LONGEST);
    longest.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0).max(SHORTEST)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::time::{advance, sleep};

    use super::*;

    fn gate() -> Arc<Gate> {
        Arc::default()
    }

    async fn fails(gate: &Arc<Gate>, when: When) -> StoreError {
        gate.attempt(when, async { Err::<(), _>(StoreError::unavailable("refused")) }).await.unwrap_err()
    }

    async fn succeeds(gate: &Arc<Gate>, when: When) -> Result<(), StoreError> {
        gate.attempt(when, async { Ok(()) }).await
    }

    fn retry_after(error: &StoreError) -> Duration {
        let StoreError::Away { reason, retry_after } = error else { panic!("{error}") };
        assert_eq!(reason, "refused");
        *retry_after
    }

    #[test]
    fn pauses_double_from_one_second_to_thirty_and_jitter_takes_at_most_half_of_them() {
        let pauses = |jitter| [0, 1, 2, 3, 4, 5, 6, 99].map(|failures| pause(failures, jitter).as_millis());
        assert_eq!(pauses(1.0), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        assert_eq!(pauses(0.0), [1_000, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
    }

    #[tokio::test(start_paused = true)]
    async fn clients_that_ask_all_the_time_cost_one_attempt_a_pause_and_the_pauses_grow() {
        let gate = gate();
        let attempts = Arc::new(Mutex::new(Vec::new()));
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(180) {
            let attempts = Arc::clone(&attempts);
            let error = gate.attempt(When::Due, async move {
                attempts.lock().unwrap().push(Instant::now());
                Err::<(), _>(StoreError::unavailable("refused"))
            });
            let rest = retry_after(&error.await.unwrap_err());
            assert!(rest <= LONGEST, "{rest:?}");
            advance(Duration::from_millis(100)).await;
        }
        let attempts = attempts.lock().unwrap();
        let pauses: Vec<f64> = attempts.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
        for (pause, longest) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0].into_iter().chain(std::iter::repeat(30.0)))
        {
            assert!((longest / 2.0..=longest + 0.2).contains(pause), "{pauses:?}");
        }
        assert!((9..=20).contains(&attempts.len()), "{pauses:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_refused_learns_when_the_next_attempt_is_due() {
        let gate = gate();
        let pause = retry_after(&fails(&gate, When::Due).await);
        advance(pause.mul_f64(0.25)).await;
        assert_eq!(retry_after(&succeeds(&gate, When::Due).await.unwrap_err()), pause.mul_f64(0.75));
        assert_eq!(retry_after(&gate.refuse().unwrap()), pause.mul_f64(0.75));
        advance(pause).await;
        assert!(gate.refuse().is_none());
        succeeds(&gate, When::Due).await.unwrap();
        assert!(gate.outage().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_success_ends_the_outage_early_and_the_pauses_begin_anew() {
        let gate = gate();
        for _ in 0..6 {
            advance(retry_after(&fails(&gate, When::Due).await)).await;
        }
        let rest = retry_after(&fails(&gate, When::Due).await);
        assert!(rest >= LONGEST / 2, "{rest:?}");
        // An attempt before its time that fails changes nothing.
        assert_eq!(retry_after(&fails(&gate, When::Now).await), rest);
        succeeds(&gate, When::Now).await.unwrap();
        succeeds(&gate, When::Due).await.unwrap();
        assert_eq!(retry_after(&fails(&gate, When::Due).await), SHORTEST);
    }

    #[tokio::test(start_paused = true)]
    async fn in_an_outage_one_attempt_is_under_way_and_the_others_are_refused_at_once() {
        let gate = gate();
        advance(retry_after(&fails(&gate, When::Due).await)).await;
        let began = Instant::now();
        let slow = tokio::spawn({
            let gate = Arc::clone(&gate);
            async move {
                let work = async {
                    sleep(Duration::from_secs(5)).await;
                    Ok(())
                };
                gate.attempt(When::Due, work).await
            }
        });
        tokio::task::yield_now().await;
        for when in [When::Due, When::Now] {
            assert_eq!(retry_after(&succeeds(&gate, when).await.unwrap_err()), SHORTEST);
        }
        assert!(gate.refuse().is_some());
        assert!(began.elapsed() < Duration::from_secs(1));
        slow.await.unwrap().unwrap();
        assert!(gate.outage().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn when_an_outage_begins_few_attempts_fail_and_they_count_once() {
        let (gate, attempts) = (gate(), Arc::new(AtomicUsize::new(0)));
        let requests = (0..50).map(|_| {
            let attempts = Arc::clone(&attempts);
            gate.attempt(When::Due, async move {
                attempts.fetch_add(1, Ordering::Relaxed);
                sleep(Duration::from_millis(10)).await;
                Err::<(), _>(StoreError::unavailable("refused"))
            })
        });
        for result in futures::future::join_all(requests).await {
            assert_eq!(retry_after(&result.unwrap_err()), SHORTEST);
        }
        assert_eq!(attempts.load(Ordering::Relaxed), AT_ONCE);
        assert_eq!(gate.lock().as_ref().unwrap().refused, 50 - AT_ONCE as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_whose_caller_leaves_still_counts() {
        let gate = gate();
        let work = async {
            sleep(Duration::from_secs(5)).await;
            Err::<(), _>(StoreError::unavailable("refused"))
        };
        let left = tokio::time::timeout(Duration::from_secs(2), gate.attempt(When::Due, work)).await;
        assert!(left.is_err());
        assert!(gate.outage().is_none());
        sleep(Duration::from_secs(4)).await;
        retry_after(&gate.outage().unwrap());
    }
}

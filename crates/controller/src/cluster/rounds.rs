//! Waiting for the tasks that one task starts, and for the next time at which it has something to do.

use std::{future::pending, panic::resume_unwind};

use tokio::{
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until},
};

/// Waits for the end of a round. Never returns if none is under way.
pub(super) async fn ended<T: 'static>(rounds: &mut JoinSet<T>) -> T {
    match rounds.join_next().await {
        Some(ended) => unless_panicked(ended),
        None => pending().await,
    }
}

/// A round is cancelled only together with the task that started it.
pub(super) fn unless_panicked<T>(ended: Result<T, JoinError>) -> T {
    match ended {
        Ok(round) => round,
        Err(error) => resume_unwind(error.into_panic()),
    }
}

/// Waits until that instant. Never returns if there is none.
pub(crate) async fn moment(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

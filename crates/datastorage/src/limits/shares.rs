//! Resources that all identities share, and how much of them one identity can use: connections for queries, exports,
//! and the memory for bodies and responses. So one identity cannot block the others.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Limited, Permit};

/// The maximum size of the bodies of one identity whose requests are in progress.
const BODIES: usize = 8 << 20;
/// The maximum size of large responses of one identity that are not sent yet.
const ANSWERS: usize = 16 << 20;
/// The maximum size of large responses of all identities that are not sent yet.
const ALL_ANSWERS: usize = 64 << 20;
/// How long a read waits until others of the same identity have ended.
const WAIT: Duration = Duration::from_secs(2);
const SECOND: Duration = Duration::from_secs(1);

/// What one identity may still use.
#[derive(Debug)]
pub(super) struct Share {
    reads: Arc<Semaphore>,
    exports: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
}

impl Share {
    pub(super) fn new(reads: usize) -> Self {
        let of = |amount| Arc::new(Semaphore::new(amount));
        Self { reads: of(reads.max(1)), exports: of(1), bodies: of(BODIES), answers: of(ANSWERS) }
    }
}

/// The memory for answers of all identities.
pub(super) fn all_answers() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ALL_ANSWERS))
}

/// The share of an identity in the common resources. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Allowance {
    /// None is no limit for this identity.
    pub(super) share: Option<Arc<Share>>,
    pub(super) answers: Arc<Semaphore>,
}

impl Allowance {
    /// A permit for one query. Waits at most two seconds for other queries of this identity.
    pub async fn read(&self) -> Result<Permit, Limited> {
        let Some(share) = &self.share else { return Ok(Permit(None)) };
        match timeout(WAIT, Arc::clone(&share.reads).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Permit(Some(permit))),
            _ => Err(limited("this identity runs too many queries at the same time")),
        }
    }

    /// A permit for an export. Each identity can run one export at a time.
    pub fn export(&self) -> Result<Permit, Limited> {
        let Some(share) = &self.share else { return Ok(Permit(None)) };
        let permit = Arc::clone(&share.exports).try_acquire_owned();
        permit
            .map(|permit| Permit(Some(permit)))
            .map_err(|_| limited("this identity already has an export in progress"))
    }

    /// Memory for a part of a body that has arrived.
    pub fn body(&self, bytes: u32) -> Result<Permit, Limited> {
        let Some(share) = &self.share else { return Ok(Permit(None)) };
        let permit = take(&share.bodies, bytes);
        permit
            .map(|permit| Permit(Some(permit)))
            .ok_or_else(|| limited("the request bodies of this identity use all its memory"))
    }

    /// Memory for an answer until it is sent: of this identity, and of all.
    pub fn answer(&self, bytes: u32) -> Result<[Permit; 2], Limited> {
        let own = match &self.share {
            None => None,
            Some(share) => {
                let permit = take(&share.answers, bytes);
                Some(permit.ok_or_else(|| limited("responses that this identity has not read use all its memory"))?)
            }
        };
        let all = take(&self.answers, bytes)
            .ok_or_else(|| limited("responses that clients have not read use all memory for responses"))?;
        Ok([Permit(own), Permit(Some(all))])
    }
}

fn take(from: &Arc<Semaphore>, bytes: u32) -> Option<OwnedSemaphorePermit> {
    Arc::clone(from).try_acquire_many_owned(bytes).ok()
}

fn limited(what: &'static str) -> Limited {
    Limited::Share { what, retry_after: SECOND }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(all: &Arc<Semaphore>) -> Allowance {
        Allowance { share: Some(Arc::new(Share::new(2))), answers: Arc::clone(all) }
    }

    #[tokio::test(start_paused = true)]
    async fn one_identity_cannot_use_what_another_needs() {
        let all = all_answers();
        let (loud, quiet) = (identity(&all), identity(&all));
        let _reads = (loud.read().await.unwrap(), loud.read().await.unwrap());
        loud.read().await.unwrap_err();
        let _export = loud.export().unwrap();
        loud.export().unwrap_err();
        let _bodies = (loud.body(4 << 20).unwrap(), loud.body(4 << 20).unwrap());
        loud.body(1).unwrap_err();
        let _answers = loud.answer(16 << 20).unwrap();
        loud.answer(1).unwrap_err();

        quiet.read().await.unwrap();
        quiet.export().unwrap();
        quiet.body(4 << 20).unwrap();
        quiet.answer(2 << 20).unwrap();
    }

    #[tokio::test]
    async fn a_read_waits_for_the_one_before_it() {
        let one = identity(&all_answers());
        let (first, second) = (one.read().await.unwrap(), one.read().await.unwrap());
        let (third, ()) = tokio::join!(one.read(), async { drop(first) });
        third.unwrap();
        drop(second);
    }

    #[test]
    fn all_answers_together_have_a_limit_also_without_identities() {
        let all = all_answers();
        let anonymous = Allowance { share: None, answers: Arc::clone(&all) };
        let held: Vec<_> = std::iter::from_fn(|| anonymous.answer(2 << 20).ok()).collect();
        assert_eq!(held.len(), 32);
        drop(held);
        anonymous.answer(2 << 20).unwrap();
    }
}

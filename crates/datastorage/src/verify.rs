//! Checks whether the records are complete and unchanged.
//!
//! The check computes the content hash of every record and all hashes of the chain again. A changed record has another
//! content hash. Without the key, nobody can compute the matching hash of the chain. The numbers have no gaps, except
//! for dropped months, and a record in the chain lists these numbers.

mod removed;

use audit::chain::{self, Hash, Keys};
use serde::{Serialize, Serializer};
use uuid::Uuid;

use self::removed::Removed;
pub(crate) use self::removed::{ACTION, RemovedRange, trusted_ranges};
use crate::store::{Checkpoint, Store, StoreError, chain::Head, hex, links::Link};

/// At most so many gaps are listed.
const GAPS: usize = 1000;

/// What is verified.
#[derive(Clone, Debug)]
pub struct Question {
    /// The first record.
    pub from_seq: i64,
    /// The last record; the newest if none.
    pub to_seq: Option<i64>,
    /// What a client kept.
    pub checkpoint: Option<Checkpoint>,
    /// The keys of the chain.
    pub keys: Keys,
}

/// Why the check is not possible.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The range is empty or too long.
    #[error("records {from} to {to} do not exist; the newest record is {newest}")]
    Range {
        /// The first record.
        from: i64,
        /// The last record.
        to: i64,
        /// The newest record.
        newest: i64,
    },
    /// The checkpoint is about another range.
    #[error("the checkpoint belongs to record {0}, which is outside of the range; remove --from-seq and --to-seq")]
    Checkpoint(i64),
    /// The database gave no answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Complete and unchanged.
    Verified,
    /// A record was changed, moved, added or removed.
    Tampered,
    /// Nothing wrong was found, but not every record could be checked with a key.
    Unverifiable,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The fields differ from the recorded fields.
    Content,
    /// The record does not follow the previous record, or the fields of the service were changed.
    Link,
    /// The record is not there.
    Missing,
    /// Two records have the number.
    Duplicate,
}

/// The first record with which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FirstBad {
    /// Its number.
    pub seq: i64,
    /// What is wrong.
    pub reason: Reason,
}

/// Numbers from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first.
    pub from: i64,
    /// The last.
    pub to: i64,
}

/// What was checked and found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether the records are complete and unchanged, and all of them could be checked.
    pub verified: bool,
    /// The same in a word.
    pub result: Verdict,
    /// How many records were checked.
    pub checked: u64,
    /// Ranges of months that were dropped, as records of the chain say.
    pub gaps: Vec<Range>,
    /// The first record with which something is wrong. What follows it was not checked.
    pub first_bad: Option<FirstBad>,
    /// How many records have no key, or one that was not given.
    pub unverifiable: u64,
    /// The last record of the range that cannot be checked with a key.
    pub last_unverifiable: Option<i64>,
    /// Where the next verification can begin.
    pub next_from: i64,
    /// The hash of the last record that was checked, in hexadecimal digits.
    #[serde(serialize_with = "hexadecimal")]
    pub hash: Hash,
}

fn hexadecimal<S: Serializer>(hash: &Hash, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(hash))
}

/// How often a verification begins again because a month was dropped meanwhile.
const ATTEMPTS: u32 = 3;

/// Verifies a range of records, a page at a time.
pub async fn verify(store: &Store, question: &Question) -> Result<Report, VerifyError> {
    let mut head = store.chain_head().await?;
    for _ in 1..ATTEMPTS {
        let report = verify_up_to(store, question, head).await?;
        let missing = report.first_bad.is_some_and(|bad| bad.reason == Reason::Missing);
        let now = store.chain_head().await?;
        if !missing || store.system_links(ACTION, head.seq + 1, now.seq).await?.is_empty() {
            return Ok(report);
        }
        head = now;
    }
    verify_up_to(store, question, head).await
}

async fn verify_up_to(store: &Store, question: &Question, head: Head) -> Result<Report, VerifyError> {
    let (from, to) = (question.from_seq, question.to_seq.unwrap_or(head.seq));
    if from < 1 || to > head.seq || (from > to && from != to + 1) {
        return Err(VerifyError::Range { from, to, newest: head.seq });
    }
    let removed = removed::trusted(store, &question.keys, head.seq).await?;
    let mut walk = Walk::new(from, question, &removed);
    if let Some(checkpoint) = &question.checkpoint {
        if checkpoint.seq < from - 1 {
            return Err(VerifyError::Checkpoint(checkpoint.seq));
        }
        if checkpoint.seq > to {
            if to < head.seq {
                return Err(VerifyError::Checkpoint(checkpoint.seq));
            }
            // The tail was cut: everything else may fit together.
            walk.cut = true;
        }
    }
    if let Some(bad) = walk.start(store).await? {
        return Ok(bad);
    }
    if let Some(bad) = walk.compare(from - 1) {
        return Ok(bad);
    }
    // No id is greater, so this is behind all records with the number before the range.
    let mut after = (from - 1, Uuid::max());
    loop {
        let page = store.links(after, to).await?;
        let Some(last) = page.last() else { break };
        after = (last.seq, last.event_id);
        for link in &page {
            if let Some(bad) = walk.step(link) {
                return Ok(bad);
            }
        }
    }
    let report = walk.end(to, head);
    // Whatever the range is: no walk reads these, and only somebody can bring them about who changes tables by hand.
    match store.seq_outside_of_the_chain().await? {
        Some(seq) if report.first_bad.is_none() => Ok(Report {
            verified: false,
            result: Verdict::Tampered,
            first_bad: Some(FirstBad { seq, reason: Reason::Link }),
            ..report
        }),
        _ => Ok(report),
    }
}

/// The state of a verification. Its size does not depend on the number of records.
struct Walk<'a> {
    keys: &'a Keys,
    checkpoint: Option<&'a Checkpoint>,
    removed: &'a Removed,
    /// The number that must come next.
    next: i64,
    /// The hash of the record before it.
    previous: Hash,
    /// The highest key that was seen.
    highest_key: i16,
    /// The checkpoint is about a record that is not there.
    cut: bool,
    checked: u64,
    gaps: Vec<Range>,
    unverifiable: u64,
    last_unverifiable: Option<i64>,
}

impl<'a> Walk<'a> {
    fn new(from: i64, question: &'a Question, removed: &'a Removed) -> Self {
        Self {
            keys: &question.keys,
            checkpoint: question.checkpoint.as_ref(),
            removed,
            next: from,
            previous: [0; 32],
            highest_key: 0,
            cut: false,
            checked: 0,
            gaps: Vec::new(),
            unverifiable: 0,
            last_unverifiable: None,
        }
    }

    /// Finds the hash before the first record of the range. The record before it is checked too, as far as it is there. Gives
    /// the report if something is wrong with it.
    async fn start(&mut self, store: &Store) -> Result<Option<Report>, StoreError> {
        let before = self.next - 1;
        if before == 0 {
            return Ok(None);
        }
        if self.removed.covering(before).is_some() {
            self.previous = self.removed.hash_at(before).unwrap_or_default();
            return Ok(None);
        }
        let page = store.links((before - 1, Uuid::max()), before).await?;
        let Some(link) = page.first() else { return Ok(Some(self.bad(before, Reason::Missing))) };
        let previous = removed::previous(store, self.removed, before).await?;
        match self.check(link, previous.as_ref()) {
            Ok((hash, _)) => self.previous = hash,
            Err(reason) => return Ok(Some(self.bad(before, reason))),
        }
        Ok(None)
    }

    /// The next record. Gives the report if something is wrong with it.
    fn step(&mut self, link: &Link) -> Option<Report> {
        if link.seq < self.next {
            return Some(self.bad(link.seq, Reason::Duplicate));
        }
        if let Some(bad) = self.pass_gap(link.seq) {
            return Some(bad);
        }
        let previous = self.previous;
        let (hash, proven) = match self.check(link, Some(&previous)) {
            Ok(checked) => checked,
            Err(reason) => return Some(self.bad(link.seq, reason)),
        };
        if !proven {
            self.unverifiable += 1;
            self.last_unverifiable = Some(link.seq);
        }
        self.previous = hash;
        self.checked += 1;
        self.next = link.seq + 1;
        self.compare(link.seq)
    }

    /// The hash of a record, and whether the keys prove it. Without the hash of the record before it, only its content and its
    /// key are checked.
    fn check(&mut self, link: &Link, previous: Option<&Hash>) -> Result<(Hash, bool), Reason> {
        let record = link.record.as_ref().ok_or(Reason::Content)?;
        if link.content_hash != chain::content_hash(&record.event) {
            return Err(Reason::Content);
        }
        let stored = Hash::try_from(link.chain_hash.as_slice()).map_err(|_| Reason::Link)?;
        // The writer never goes back to an older key, or to none.
        if link.chain_key < self.highest_key {
            return Err(Reason::Link);
        }
        self.highest_key = link.chain_key;
        let computed = previous.map(|previous| link.hash(self.keys, previous));
        match computed {
            Some(Some(computed)) if computed != stored => Err(Reason::Link),
            // With keys, a record without one proves nothing: the owner of the database can have written it.
            Some(computed) => Ok((stored, computed.is_some() && (link.chain_key != 0 || self.keys.current() == 0))),
            None => Ok((stored, false)),
        }
    }

    /// Goes over dropped months up to the record `seq`. Gives the report if another record is missing.
    fn pass_gap(&mut self, seq: i64) -> Option<Report> {
        while self.next < seq {
            let Some((to, hash)) = self.removed.covering(self.next) else {
                return Some(self.bad(self.next, Reason::Missing));
            };
            if to >= seq {
                // A record is there that should have been dropped.
                return Some(self.bad(seq, Reason::Link));
            }
            if self.gaps.len() < GAPS {
                self.gaps.push(Range { from: self.next, to });
            }
            self.previous = hash;
            self.next = to + 1;
            if let Some(bad) = self.compare(to) {
                return Some(bad);
            }
        }
        None
    }

    /// Compares the checkpoint, if it is about the record `seq`, which was just passed.
    fn compare(&self, seq: i64) -> Option<Report> {
        let checkpoint = self.checkpoint.filter(|checkpoint| checkpoint.seq == seq)?;
        (!checkpoint.hash.eq_ignore_ascii_case(&hex(&self.previous))).then(|| self.bad(seq, Reason::Link))
    }

    fn end(mut self, to: i64, head: Head) -> Report {
        if let Some(bad) = self.pass_gap(to + 1) {
            return bad;
        }
        if to == head.seq && self.previous != head.hash {
            return self.bad(to, Reason::Link);
        }
        if self.cut {
            return self.bad(to + 1, Reason::Missing);
        }
        let result = if self.unverifiable == 0 { Verdict::Verified } else { Verdict::Unverifiable };
        self.report(result, None)
    }

    fn bad(&self, seq: i64, reason: Reason) -> Report {
        self.report(Verdict::Tampered, Some(FirstBad { seq, reason }))
    }

    fn report(&self, result: Verdict, first_bad: Option<FirstBad>) -> Report {
        Report {
            verified: result == Verdict::Verified,
            result,
            checked: self.checked,
            gaps: self.gaps.clone(),
            first_bad,
            unverifiable: self.unverifiable,
            last_unverifiable: self.last_unverifiable,
            next_from: self.next,
            hash: self.previous,
        }
    }
}

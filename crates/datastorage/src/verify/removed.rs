//! The ranges of records that were dropped with their month, as records of the chain say.

use audit::{
    Kind,
    chain::{self, Hash, Keys},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::{Store, StoreError, links::Link};

/// The action of the records that say which records were dropped.
pub(crate) const ACTION: &str = "month_dropped";

/// A range in the data of such a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemovedRange {
    /// The first number.
    pub(crate) from: i64,
    /// The last number.
    pub(crate) to: i64,
    /// The hash of the last record in hexadecimal digits: the next one was linked to it.
    pub(crate) hash_after: String,
}

/// All ranges, in their order.
#[derive(Debug, Default)]
pub(crate) struct Removed(Vec<(i64, i64, Hash)>);

impl Removed {
    /// The end of the range with the number, and the hash there.
    pub(super) fn covering(&self, seq: i64) -> Option<(i64, Hash)> {
        let after = self.0.partition_point(|(from, _, _)| *from <= seq);
        let (_, to, hash) = self.0.get(after.checked_sub(1)?)?;
        (*to >= seq).then_some((*to, *hash))
    }

    /// The hash of a dropped record, if it was the last of its range.
    pub(super) fn hash_at(&self, seq: i64) -> Option<Hash> {
        self.covering(seq).filter(|(to, _)| *to == seq).map(|(_, hash)| hash)
    }

    fn add(&mut self, ranges: Vec<RemovedRange>) {
        for range in ranges {
            if let Some(hash) = unhex(&range.hash_after) {
                self.0.push((range.from, range.to, hash));
            }
        }
        self.0.sort_unstable_by_key(|(from, to, _)| (*from, *to));
    }
}

/// The ranges in such records with ids from one to another.
pub(crate) async fn trusted_ranges(
    store: &Store,
    keys: &Keys,
    from: Uuid,
    to: Uuid,
) -> Result<Vec<RemovedRange>, StoreError> {
    let mut all = Vec::new();
    let head = store.chain_head().await?.seq;
    trusted_records(store, keys, head, |id, ranges| {
        if (from..to).contains(&id) {
            all.extend_from_slice(ranges);
        }
    })
    .await?;
    Ok(all)
}

/// The ranges in records that are themselves linked into the chain, up to its head. Others may have been written by anybody.
pub(super) async fn trusted(store: &Store, keys: &Keys, head: i64) -> Result<Removed, StoreError> {
    trusted_records(store, keys, head, |_, _| {}).await
}

/// The hash of the record before `seq`, if that is there or was the last of a dropped month.
pub(super) async fn previous(store: &Store, removed: &Removed, seq: i64) -> Result<Option<Hash>, StoreError> {
    Ok(match seq - 1 {
        0 => Some([0; 32]),
        before => match store.hash_at(before).await? {
            Some(hash) => Some(hash),
            None => removed.hash_at(before),
        },
    })
}

async fn trusted_records(
    store: &Store,
    keys: &Keys,
    head: i64,
    mut each: impl FnMut(Uuid, &[RemovedRange]),
) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    for link in store.system_links(ACTION, 1, head).await? {
        if let Some(previous) = previous(store, &removed, link.seq).await?
            && let Some(ranges) = ranges(&link, &previous, keys)
        {
            each(link.event_id, &ranges);
            removed.add(ranges);
        }
    }
    Ok(removed)
}

/// The ranges of a record, if the keys prove it. A record with a key that was not given, or with none although there are keys,
/// may have been written by the owner of the database: its ranges count as missing.
fn ranges(link: &Link, previous: &Hash, keys: &Keys) -> Option<Vec<RemovedRange>> {
    let record = link.record.as_ref()?;
    let proven = link.hash(keys, previous).is_some_and(|hash| hash.as_slice() == link.chain_hash)
        && link.content_hash == chain::content_hash(&record.event)
        && (link.chain_key != 0 || keys.current() == 0);
    if record.event.kind != Kind::System || !proven {
        return None;
    }
    serde_json::from_value(record.event.data.get("removed")?.clone()).ok()
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_any_of_their_numbers() {
        let mut removed = Removed::default();
        let range = |from, to, byte: u8| RemovedRange { from, to, hash_after: format!("{byte:02x}").repeat(32) };
        removed.add(vec![range(10, 20, 2), range(1, 5, 1)]);
        assert_eq!(removed.covering(1), Some((5, [1; 32])));
        assert_eq!(removed.covering(5), Some((5, [1; 32])));
        assert_eq!(removed.covering(6), None);
        assert_eq!(removed.covering(20), Some((20, [2; 32])));
        assert_eq!(removed.covering(21), None);
        assert_eq!((removed.hash_at(20), removed.hash_at(19)), (Some([2; 32]), None));
    }
}

//! One record of a request, prepared before the lock.

use std::sync::Arc;

use audit::{Accepted, embedding_text, redact, weight};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::Position;
use crate::store::{
    partitions::Month,
    write::{Known, Text},
};

/// What a record needs in memory besides its texts.
const OVERHEAD: usize = 1024;

/// A record that waits to be written.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) record: Accepted,
    pub(super) recorded_by: Arc<str>,
    pub(super) text: Option<Text>,
    /// The time of its id.
    pub(super) id_time: Timestamp,
    /// Where an attempt put it whose outcome is not known.
    pub(super) attempted: Option<Position>,
}

impl Item {
    pub(super) fn new(record: Accepted, recorded_by: Arc<str>) -> Self {
        let text = embedding_text::of(record.event());
        let text = text.map(|text| Text { hash: Sha256::digest(&text).into(), text });
        let id_time = id_time(record.event().event_id);
        Self { record, recorded_by, text, id_time, attempted: None }
    }

    pub(super) fn id(&self) -> Uuid {
        self.record.event().event_id
    }

    pub(super) fn month(&self) -> Month {
        Month::of(self.id_time)
    }

    /// Whether the record that is there is this one.
    pub(super) fn is_same_as_known(&self, known: &Known) -> bool {
        // The id is no secret: another identity must not learn by it what was written.
        if *known.recorded_by != *self.recorded_by {
            return false;
        }
        if known.redaction_version == redact::VERSION {
            return known.content_hash == self.record.content_hash();
        }
        // Other rules may have redacted the same texts differently.
        let event = self.record.event();
        let mine = [
            event.kind.as_str(),
            &event.name,
            &event.namespace,
            &event.cluster,
            event.phase.as_str(),
            &event.action_type,
            &event.correlation_id,
        ];
        known.identifying == mine && known.occurred_at == event.occurred_at
    }

    /// Whether a record of the same group is this one.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.recorded_by == other.recorded_by && self.record.content_hash() == other.record.content_hash()
    }
}

/// About how many bytes a record needs while it waits.
pub(super) fn size(record: &Accepted) -> usize {
    let event = record.event();
    let texts = [
        Some(&event.name),
        event.target_resource.as_ref(),
        // A second time as the text of the vector.
        event.summary.as_ref(),
        event.summary.as_ref(),
        event.error_message.as_ref(),
        event.error_message.as_ref(),
    ];
    OVERHEAD + texts.into_iter().flatten().map(String::len).sum::<usize>() + weight::of_object(&event.data)
}

fn id_time(id: Uuid) -> Timestamp {
    let time = id.get_timestamp().map(|time| time.to_unix());
    let time = time.and_then(|(seconds, nanoseconds)| {
        Timestamp::new(i64::try_from(seconds).ok()?, i32::try_from(nanoseconds).ok()?).ok()
    });
    // Not reached: only ids of version 7 are accepted, and the database checks it again.
    time.unwrap_or_default()
}

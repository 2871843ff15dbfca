//! Lists in steps of limited time.
//!
//! Not every filter has an index. A statement that looks for a rare severity in all months would take longer than it may, and the
//! same at each try. So such a list is read in windows of time, or of numbers, that grow while they are fast. A page ends with a
//! position to go on from as soon as its time is over, also if nothing was found yet.

use std::time::Instant;

use tokio::time::timeout;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::{
    Filters, Page, Reader, Start, Store, StoreError,
    select::{COLUMNS, Select, value},
};

/// The most bytes of rows of one answer. A page ends early rather than fill the memory.
pub(super) const BYTES: usize = 2 << 20;
/// Where the milliseconds of an id of version 7 begin.
const MILLISECOND: u128 = 1 << 80;
/// The first window of a list in the order of time: an hour.
const FIRST_TIME: u128 = 60 * 60 * 1000 * MILLISECOND;
/// The first window of a list in the order of recording.
const FIRST_NUMBERS: u128 = 10_000;
/// By how much a window grows after a fast statement, and shrinks after one that was too slow.
const FACTOR: u128 = 4;

/// What a list selects, and from where to where.
pub(super) struct Walk<'a> {
    pub reader: &'a Reader<'a>,
    pub filters: &'a Filters,
    /// No record with a greater number.
    pub up_to: Option<i64>,
    pub start: Start,
}

/// Positions from the first, up to the last and without it. They are ids or sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u128,
    to: u128,
}

impl Span {
    fn is_empty(self) -> bool {
        self.from >= self.to
    }

    fn within(self, other: Self) -> Self {
        Self { from: self.from.max(other.from), to: self.to.min(other.to) }
    }

    /// Divides it into the window that comes next and the rest.
    fn split(self, width: u128, descending: bool) -> (Self, Self) {
        if descending {
            let middle = self.to.saturating_sub(width).max(self.from);
            (Self { from: middle, ..self }, Self { to: middle, ..self })
        } else {
            let middle = self.from.saturating_add(width).min(self.to);
            (Self { to: middle, ..self }, Self { from: middle, ..self })
        }
    }
}

impl Start {
    fn is_descending(self) -> bool {
        matches!(self, Self::Newest(_))
    }

    /// What is left of a list from here on.
    fn span(self) -> Span {
        let all = Span { from: 0, to: u128::MAX };
        match self {
            Self::Newest(None) | Self::Oldest(None) => all,
            Self::Newest(Some(before)) => Span { to: before.as_u128(), ..all },
            Self::Oldest(Some(after)) => Span { from: after.as_u128().saturating_add(1), ..all },
            Self::AfterSeq(after) => Span { from: number(after).saturating_add(1), ..all },
        }
    }

    /// Where to go on with the rest of a list.
    fn at(self, rest: Span) -> Self {
        match self {
            Self::Newest(_) => Self::Newest(Some(Uuid::from_u128(rest.to))),
            Self::Oldest(_) => Self::Oldest(Some(Uuid::from_u128(rest.from.saturating_sub(1)))),
            Self::AfterSeq(_) => Self::AfterSeq(i64::try_from(rest.from.saturating_sub(1)).unwrap_or(i64::MAX)),
        }
    }
}

fn number(seq: i64) -> u128 {
    u128::try_from(seq).unwrap_or(0)
}

impl Filters {
    /// Whether there is a condition that no index in the order of the list has.
    fn need_windows(&self) -> bool {
        let texts = [&self.cluster, &self.severity, &self.environment, &self.action_type, &self.recorded_by];
        self.kind.is_some() || self.phase.is_some() || self.status.is_some() || texts.into_iter().any(Option::is_some)
    }
}

impl Walk<'_> {
    fn select(&self, window: Option<Span>, limit: usize) -> Select {
        let mut select = Select::new(format!("SELECT {COLUMNS} FROM audit_event"));
        select.visible_to(self.reader);
        self.filters.apply(&mut select);
        if let Some(up_to) = self.up_to {
            select.and("seq <= ?", [value(up_to, Type::INT8)]);
        }
        let Span { from, to } = window.unwrap_or(self.start.span());
        let order = match self.start {
            Start::AfterSeq(_) => {
                let seq = |position| value(i64::try_from(position).unwrap_or(i64::MAX), Type::INT8);
                select.and("seq >= ?", [seq(from)]);
                if to < number(i64::MAX) {
                    select.and("seq < ?", [seq(to)]);
                }
                " ORDER BY seq LIMIT ?"
            }
            Start::Newest(_) | Start::Oldest(_) => {
                let id = |position| value(Uuid::from_u128(position), Type::UUID);
                if from > 0 {
                    select.and("event_id >= ?", [id(from)]);
                }
                if to < u128::MAX {
                    select.and("event_id < ?", [id(to)]);
                }
                if self.start.is_descending() {
                    " ORDER BY event_id DESC LIMIT ?"
                } else {
                    " ORDER BY event_id LIMIT ?"
                }
            }
        };
        select.push(order, [value(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1), Type::INT8)]);
        select
    }
}

impl Store {
    /// A page of a list. It may have few records or none, and go on all the same.
    pub(super) async fn walk(&self, walk: &Walk<'_>, limit: u16) -> Result<Page, StoreError> {
        let limit = usize::from(limit);
        if !walk.filters.need_windows() {
            let page = self.page(walk.reader, &walk.select(None, limit), limit).await?;
            return Ok(page.from(walk.start));
        }
        let began = Instant::now();
        let (step, budget) = (self.query_timeout / 5, self.query_timeout * 2 / 5);
        let mut rest = walk.start.span().within(self.extent(walk).await?);
        let mut width = if matches!(walk.start, Start::AfterSeq(_)) { FIRST_NUMBERS } else { FIRST_TIME };
        let mut found = Page::default();
        while !rest.is_empty() {
            let (window, left) = rest.split(width, walk.start.is_descending());
            let select = walk.select(Some(window), limit - found.records.len());
            let asked = Instant::now();
            match timeout(step, self.page(walk.reader, &select, limit - found.records.len())).await {
                // Smaller windows follow until the time of the whole query is over.
                Ok(Err(StoreError::Timeout)) | Err(_) if width > FACTOR => {
                    width = (width / FACTOR / FACTOR).max(1);
                    if found.resume.is_some() && began.elapsed() > budget {
                        return Ok(found);
                    }
                    continue;
                }
                Err(_) => return Err(StoreError::Timeout),
                Ok(page) => {
                    let page = page?;
                    let full = page.more;
                    found.bytes += page.bytes;
                    found.records.extend(page.records);
                    found.more = full;
                    if full {
                        return Ok(found.from(walk.start));
                    }
                }
            }
            rest = left;
            if rest.is_empty() {
                break;
            }
            found.more = true;
            found.resume = Some(walk.start.at(rest));
            if began.elapsed() > budget || found.bytes > BYTES {
                return Ok(found);
            }
            if asked.elapsed() < step / 16 {
                width = width.saturating_mul(FACTOR);
            }
        }
        Ok(Page { more: false, resume: None, ..found })
    }

    /// Where records are, as far as the filters ask for them.
    async fn extent(&self, walk: &Walk<'_>) -> Result<Span, StoreError> {
        let nothing = Span { from: 0, to: 0 };
        let client = self.read().await?;
        let extent = if matches!(walk.start, Start::AfterSeq(_)) {
            let row = client.query_typed_one("SELECT min(seq), max(seq) FROM audit_event", &[]).await?;
            let (first, last): (Option<i64>, Option<i64>) = (row.try_get(0)?, row.try_get(1)?);
            first.zip(last).map_or(nothing, |(first, last)| Span { from: number(first), to: number(last) + 1 })
        } else {
            // PostgreSQL 16 has no min and max of uuid.
            let sql = "SELECT (SELECT event_id FROM audit_event ORDER BY event_id LIMIT 1), \
                       (SELECT event_id FROM audit_event ORDER BY event_id DESC LIMIT 1)";
            let row = client.query_typed_one(sql, &[]).await?;
            let (first, last): (Option<Uuid>, Option<Uuid>) = (row.try_get(0)?, row.try_get(1)?);
            first
                .zip(last)
                .map_or(nothing, |(first, last)| Span { from: first.as_u128(), to: last.as_u128().saturating_add(1) })
        };
        client.done();
        if matches!(walk.start, Start::AfterSeq(_)) {
            return Ok(extent);
        }
        let wanted = Span {
            from: walk.filters.since.map_or(0, |since| super::id_at(since).as_u128()),
            to: walk.filters.until.map_or(u128::MAX, |until| super::id_at(until).as_u128()),
        };
        Ok(extent.within(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All windows of a list, one after another.
    fn windows(mut rest: Span, width: u128, descending: bool) -> Vec<Span> {
        std::iter::from_fn(|| {
            let (window, left) = rest.split(width, descending);
            rest = left;
            (!window.is_empty()).then_some(window)
        })
        .collect()
    }

    #[test]
    fn windows_meet_and_leave_nothing_out() {
        let span = |from, to| Span { from, to };
        assert_eq!(windows(span(5, 12), 3, false), [span(5, 8), span(8, 11), span(11, 12)]);
        assert_eq!(windows(span(5, 12), 3, true), [span(9, 12), span(6, 9), span(5, 6)]);
        assert_eq!(windows(span(0, u128::MAX), u128::MAX, true), [span(0, u128::MAX)]);
        assert_eq!(windows(span(5, 5), 3, true), []);
    }

    #[test]
    fn a_list_goes_on_where_it_has_ended() {
        let (a, b) = (Uuid::from_u128(7), Uuid::from_u128(9));
        for start in [Start::Newest(Some(b)), Start::Oldest(Some(a)), Start::AfterSeq(7)] {
            let rest = start.span();
            assert_eq!(start.at(rest), start);
        }
        assert_eq!(Start::Newest(None).at(Span { from: 0, to: 9 }), Start::Newest(Some(b)));
    }

    #[test]
    fn only_filters_without_an_index_need_windows() {
        let some = || Some("x".to_owned());
        let indexed = Filters {
            namespace: some(),
            target: some(),
            correlation_id: some(),
            fingerprint: some(),
            ..Filters::default()
        };
        assert!(!indexed.need_windows());
        for filters in [
            Filters { recorded_by: some(), ..indexed.clone() },
            Filters { severity: some(), ..Filters::default() },
            Filters { status: Some(audit::Status::Failure), ..Filters::default() },
        ] {
            assert!(filters.need_windows(), "{filters:?}");
        }
    }
}

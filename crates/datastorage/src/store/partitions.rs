//! The months of the records.

use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use tokio_postgres::Client;

use super::{Store, StoreError, connect::Purpose, steps};

/// How many months are made ahead.
const AHEAD: i32 = 3;

/// The code of the database for a time outside of the retention.
const OUTSIDE: &str = "DS001";

/// A month in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Month {
    year: i16,
    month: i8,
}

impl Month {
    pub(crate) fn of(time: Timestamp) -> Self {
        let date = time.to_zoned(TimeZone::UTC).date();
        Self { year: date.year(), month: date.month() }
    }
}

/// Makes the partition of a time if it is missing. False if the time is outside of the retention.
///
/// It is a transaction of its own, before the one that writes: a writer that attached a table would hold its locks until the
/// end of its transaction.
pub(crate) async fn ensure(client: &Client, time: Timestamp) -> Result<bool, StoreError> {
    match client.query_one("SELECT ensure_month($1)", &[&time]).await {
        Ok(row) => {
            if row.get(0) {
                let month = Month::of(time);
                tracing::info!(
                    month = format!("{}-{:02}", month.year, month.month),
                    "created the partition of a month"
                );
            }
            Ok(true)
        }
        Err(error) if error.code().is_some_and(|code| code.code() == OUTSIDE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl Store {
    /// Makes the months from this one on that are missing. Every replica may do so at any time.
    pub async fn ensure_months(&self) -> Result<(), StoreError> {
        let client = self.connect(Purpose::Admin).await?;
        // Who attaches a month and who grants permissions change the same row of the catalogue.
        steps::lock(&client, self.schema()).await?;
        let now: Timestamp = client.query_one("SELECT now()", &[]).await?.get(0);
        let now = now.to_zoned(TimeZone::UTC);
        for ahead in 0..=AHEAD {
            let month = now.saturating_add(ahead.months());
            ensure(&client, month.timestamp()).await?;
        }
        steps::unlock(&client, self.schema()).await
    }
}

//! The times of the election. They leave five seconds between the last write of one leader and the first of the next.

use std::time::Duration;

/// How long a lease is good for without renewal. Another replica may take it then.
pub(super) const LEASE: Duration = Duration::from_secs(15);
/// How long after its last renewal the holder may still start a request.
pub(super) const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// The pace of renewals, and of attempts after a failure.
pub(super) const RETRY: Duration = Duration::from_secs(2);

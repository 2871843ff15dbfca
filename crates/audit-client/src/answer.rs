//! What an answer of the service means. Pure.

use std::time::Duration;

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;

use crate::Dropped;

/// What to do after an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The service has decided about each record, in their order.
    Decided(Vec<Outcome>),
    /// The service does not take the batch, and it will not do so later either: it is sent in halves, and what is left
    /// of it in the end is dropped.
    Rejected(Rejection),
    /// The batch is sent again, not before this time has passed.
    Later(Option<Duration>),
}

/// Why a batch is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    Invalid,
    Forbidden,
}

impl Rejection {
    /// The reason for which records are dropped.
    pub(crate) fn as_dropped(self) -> Dropped {
        match self {
            Self::Invalid => Dropped::Invalid,
            Self::Forbidden => Dropped::Refused,
        }
    }
}

/// The result for one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Stored,
    Invalid,
    Refused,
}

#[derive(Deserialize)]
struct Body {
    results: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    status: String,
    #[serde(default)]
    problem: Option<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    status: u16,
}

/// Reads an answer to a batch of that many records.
pub(crate) fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], records: usize) -> Answer {
    match status {
        StatusCode::OK | StatusCode::CREATED => outcomes(body, records).map_or(Answer::Later(None), Answer::Decided),
        StatusCode::FORBIDDEN => Answer::Rejected(Rejection::Forbidden),
        StatusCode::BAD_REQUEST
        | StatusCode::CONFLICT
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Answer::Rejected(Rejection::Invalid),
        // A token that is not valid yet, a path that a proxy does not know yet, an overloaded or failing service.
        _ => Answer::Later(retry_after(headers)),
    }
}

/// None if the answer is not about these records.
fn outcomes(body: &[u8], records: usize) -> Option<Vec<Outcome>> {
    let body: Body = serde_json::from_slice(body).ok()?;
    if body.results.len() != records {
        return None;
    }
    Some(body.results.iter().map(Item::outcome).collect())
}

impl Item {
    fn outcome(&self) -> Outcome {
        match self.status.as_str() {
            "created" | "duplicate" => Outcome::Stored,
            _ if self.problem.as_ref().is_some_and(|problem| problem.status == 403) => Outcome::Refused,
            _ => Outcome::Invalid,
        }
    }
}

/// `Retry-After` in seconds. The service sends no dates.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Answer {
        read(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), 4)
    }

    #[test]
    fn each_record_has_its_own_outcome() {
        let body = r#"{"created":1,"duplicates":1,"rejected":2,"results":[{"status":"created","seq":1},
            {"status":"duplicate"},{"status":"conflict","problem":{"status":409}},
            {"status":"forbidden","problem":{"status":403}}]}"#;
        let expected = vec![Outcome::Stored, Outcome::Stored, Outcome::Invalid, Outcome::Refused];
        assert_eq!(of(200, body), Answer::Decided(expected));
    }

    #[test]
    fn an_answer_that_is_not_about_the_batch_is_no_answer() {
        for body in ["", "{}", r#"{"results":[]}"#, "<html>"] {
            assert_eq!(of(200, body), Answer::Later(None), "{body}");
        }
    }

    #[test]
    fn only_what_will_never_be_taken_is_rejected() {
        for status in [400, 409, 413, 415, 422] {
            assert_eq!(of(status, ""), Answer::Rejected(Rejection::Invalid), "{status}");
        }
        assert_eq!(of(403, ""), Answer::Rejected(Rejection::Forbidden));
        for status in [302, 401, 404, 405, 408, 429, 500, 502, 503, 504] {
            assert_eq!(of(status, ""), Answer::Later(None), "{status}");
        }
    }

    #[test]
    fn the_service_says_when_to_come_back() {
        let of = |value: &'static str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            read(StatusCode::TOO_MANY_REQUESTS, &headers, b"", 4)
        };
        assert_eq!(of("7"), Answer::Later(Some(Duration::from_secs(7))));
        for bad in ["-1", "soon", "Wed, 25 Nov 2026 22:25:42 GMT"] {
            assert_eq!(of(bad), Answer::Later(None), "{bad}");
        }
    }
}

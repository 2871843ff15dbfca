//! The errors of the HTTP API as a client sees them.

#![allow(clippy::expect_used, reason = "helpers of tests")]

use audit::problem::{Problem, ProblemType};
use audit::{FieldError, Reason};
use serde_json::json;

#[test]
fn a_problem_has_the_members_of_rfc_9457_and_the_errors_of_fields() {
    let errors = vec![FieldError::new("name", Reason::LengthExceeded, "has 300 characters; at most 255 are allowed")];
    let problem = Problem::validation(errors).at("/api/v1/audit/events", "req-1");
    let json = json!({
        "type": "urn:datastorage:problem:validation-error", "title": "The request is invalid", "status": 400,
        "detail": "name: has 300 characters; at most 255 are allowed", "instance": "/api/v1/audit/events",
        "request_id": "req-1",
        "errors": [{
            "field": "name", "reason": "length_exceeded", "message": "has 300 characters; at most 255 are allowed",
        }],
    });
    assert_eq!(serde_json::to_value(&problem).expect("JSON"), json);
    assert_eq!(serde_json::from_value::<Problem>(json).expect("a problem"), problem);
}

#[test]
fn absent_members_are_left_out() {
    let problem = serde_json::to_value(Problem::new(ProblemType::NotFound, "no such record")).expect("JSON");
    assert_eq!(problem.as_object().expect("an object").len(), 4);
}

#[test]
fn every_type_has_the_status_and_the_urn_of_the_documentation() {
    let expected = [
        (400, "validation-error"),
        (400, "bad-cursor"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not-found"),
        (405, "method-not-allowed"),
        (409, "conflict"),
        (413, "payload-too-large"),
        (415, "unsupported-media-type"),
        (429, "too-many-requests"),
        (500, "internal"),
        (503, "database-unavailable"),
        (503, "auth-unavailable"),
        (503, "search-unavailable"),
        (504, "timeout"),
    ];
    assert_eq!(ProblemType::ALL.len(), expected.len());
    for (known, (status, word)) in ProblemType::ALL.iter().zip(expected) {
        let urn = format!("urn:datastorage:problem:{word}");
        assert_eq!((known.status(), known.urn()), (status, urn.as_str()));
        assert_eq!(serde_json::to_value(known).expect("JSON"), json!(urn));
    }
}

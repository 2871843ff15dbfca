//! What a record may hold, and how every error is told.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use audit::{Accepted, Defaults, FieldError, Reason};
use jiff::Timestamp;
use serde_json::{Value, json};

const NOW: &str = "2026-11-25T22:25:43Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn parse_bytes(json: &[u8]) -> Result<Accepted, Vec<FieldError>> {
    Accepted::parse(json, &Defaults { now: now(), cluster: "here", max_age: Duration::from_secs(7 * 24 * 3600) })
}

fn parse(event: &Value) -> Result<Accepted, Vec<FieldError>> {
    parse_bytes(event.to_string().as_bytes())
}

fn id_at(at: &str) -> String {
    let at: Timestamp = at.parse().expect("a time");
    let bytes = u64::try_from(at.as_millisecond()).expect("after 1970");
    uuid::Builder::from_unix_timestamp_millis(bytes, &[7; 10]).into_uuid().to_string()
}

/// The smallest record.
fn minimal() -> Value {
    json!({
        "kind": "execution", "name": "restart-payments-api", "namespace": "prod", "phase": "completed",
        "action_type": "restart_pod", "correlation_id": "rr-2026-001",
    })
}

fn with(field: &str, value: Value) -> Value {
    let mut event = minimal();
    event[field] = value;
    event
}

/// The reasons of one field; the record has no other errors.
#[track_caller]
fn reasons(event: &Value, field: &str) -> Vec<Reason> {
    match parse(event) {
        Ok(_) => Vec::new(),
        Err(errors) => {
            assert!(errors.iter().all(|e| e.field == field), "{errors:?}");
            errors.iter().map(|e| e.reason).collect()
        }
    }
}

#[test]
fn a_full_record_is_kept_as_it_is() {
    let full = json!({
        "event_id": id_at("2026-11-25T22:25:42.888Z"), "kind": "execution", "occurred_at": "2026-11-25T22:25:42.888123Z",
        "name": "restart-payments-api", "namespace": "prod", "cluster": "eu-1", "phase": "completed",
        "status": "failure", "action_type": "restart_pod", "correlation_id": "rr-2026-001",
        "parent_event_id": "01a214d0-91e8-7879-817e-770341496902", "severity": "critical", "environment": "production",
        "target_resource": "Deployment/prod/payments-api", "fingerprint": "fp-123",
        "actor": {"type": "service", "id": "workflow-engine"}, "duration_ms": 4200,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "summary": "Restarted after OOMKilled; memory limit too low",
        "error_message": "quota exceeded", "data": {"dry_run": false},
    });
    let accepted = parse(&full).expect("a full record");
    assert_eq!(serde_json::to_value(accepted.event()).expect("JSON"), full);
    assert!(accepted.redactions().is_empty());
}

#[test]
fn what_is_absent_gets_its_default() {
    let accepted = parse(&minimal()).expect("a minimal record");
    let event = accepted.event();
    assert_eq!(event.cluster, "here");
    assert_eq!(event.event_id.get_version_num(), 7);
    assert_eq!(event.occurred_at, now());
    assert_eq!((&event.status, &event.actor, event.data.len()), (&None, &None, 0));
    let id = id_at("2026-11-25T20:00:00.5Z");
    let accepted = parse(&with("event_id", json!(id))).expect("a record with an id");
    assert_eq!(accepted.event().occurred_at.to_string(), "2026-11-25T20:00:00.5Z");
}

#[test]
fn optional_fields_may_be_null_or_empty() {
    for field in ["event_id", "occurred_at", "parent_event_id", "status", "severity", "actor", "duration_ms", "data"] {
        assert!(parse(&with(field, Value::Null)).is_ok(), "{field}");
    }
    for field in ["status", "cluster", "severity", "environment", "target_resource", "summary", "error_message"] {
        let accepted = parse(&with(field, json!(""))).expect(field);
        assert_eq!(accepted.content_hash(), parse(&with_id(minimal(), &accepted)).expect("again").content_hash());
    }
    let accepted = parse(&with("actor", json!({"type": "", "id": null}))).expect("an empty actor");
    assert_eq!(accepted.event().actor, None);
}

fn with_id(mut event: Value, of: &Accepted) -> Value {
    event["event_id"] = json!(of.event().event_id);
    event["occurred_at"] = json!(of.event().occurred_at);
    event
}

#[test]
fn all_missing_fields_are_told_at_once() {
    let errors = parse(&json!({})).expect_err("nothing is there");
    let fields: Vec<_> = errors.iter().map(|e| (e.field.as_str(), e.reason)).collect();
    let required = ["kind", "name", "namespace", "phase", "action_type", "correlation_id"];
    assert_eq!(fields, required.map(|field| (field, Reason::Required)));
}

#[test]
fn errors_of_every_sort_are_told_at_once() {
    let event = json!({
        "kind": "party", "name": "<b>", "namespace": "Prod", "phase": "completed", "action_type": " ",
        "correlation_id": "x".repeat(256), "severity": "o'brien", "duration_ms": -1, "colour": "red",
        "event_id": "no", "occurred_at": "yesterday", "actor": {"role": "x"}, "data": [1],
    });
    let errors = parse(&event).expect_err("much is wrong");
    let mut found: Vec<_> = errors.iter().map(|e| (e.field.as_str(), e.reason)).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("action_type", Reason::WhitespaceOnly),
            ("actor.role", Reason::Invalid),
            ("colour", Reason::Invalid),
            ("correlation_id", Reason::LengthExceeded),
            ("data", Reason::Invalid),
            ("duration_ms", Reason::Invalid),
            ("event_id", Reason::Invalid),
            ("kind", Reason::Invalid),
            ("name", Reason::XssDetected),
            ("namespace", Reason::Invalid),
            ("occurred_at", Reason::Invalid),
            ("severity", Reason::SqlInjectionDetected),
        ]
    );
    assert_eq!(errors.iter().find(|e| e.field == "colour").map(FieldError::label), Some("other"));
}

#[test]
fn limits_are_in_characters() {
    for (field, limit) in [
        ("name", 255),
        ("namespace", 63),
        ("action_type", 100),
        ("correlation_id", 255),
        ("fingerprint", 255),
        ("severity", 50),
        ("environment", 50),
        ("target_resource", 512),
        ("summary", 2_048),
        ("error_message", 16_384),
    ] {
        assert_eq!(reasons(&with(field, json!("x".repeat(limit))), field), [], "{field}");
        assert_eq!(reasons(&with(field, json!("x".repeat(limit + 1))), field), [Reason::LengthExceeded], "{field}");
    }
    for field in ["name", "correlation_id", "target_resource", "summary", "error_message"] {
        assert_eq!(reasons(&with(field, json!("é".repeat(255))), field), [], "{field}");
    }
    let actor = |kind: usize, id: usize| json!({"type": "x".repeat(kind), "id": "x".repeat(id)});
    assert!(parse(&with("actor", actor(50, 255))).is_ok());
    assert_eq!(parse(&with("actor", actor(51, 256))).expect_err("too long").len(), 2);
}

#[test]
fn legal_identifiers_are_not_taken_for_attacks() {
    for text in ["a--b", "xn--bcher-kva", "o'brien@x", "library/javascript:1", "user+tag@", "a; b", "Ünïcode (1)"] {
        for field in ["name", "correlation_id", "target_resource"] {
            assert_eq!(reasons(&with(field, json!(text)), field), [], "{field} {text}");
        }
        assert!(parse(&with("actor", json!({"id": text}))).is_ok(), "{text}");
    }
}

#[test]
fn markup_controls_and_invisible_marks_are_refused() {
    for text in ["<script>alert(1)</script>", "a<b", "x>y"] {
        assert_eq!(reasons(&with("name", json!(text)), "name"), [Reason::XssDetected], "{text}");
    }
    for text in [
        "a\nb",
        "a\u{7}b",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\u{200b}b",
        "a\u{200d}b",
        "a\u{3164}b",
        "a\u{e0041}b",
        "\u{feff}a",
    ] {
        assert_eq!(reasons(&with("correlation_id", json!(text)), "correlation_id"), [Reason::Invalid], "{text:?}");
    }
    assert_eq!(reasons(&with("namespace", json!("'; drop")), "namespace"), [Reason::SqlInjectionDetected]);
    assert_eq!(reasons(&with("environment", json!("javascript:alert(1)")), "environment"), [Reason::XssDetected]);
    assert_eq!(reasons(&with("environment", json!("a b")), "environment"), [Reason::Invalid]);
    assert_eq!(reasons(&with("name", json!(" \t ")), "name"), [Reason::WhitespaceOnly]);
}

#[test]
fn free_text_is_kept_as_it_is() {
    let text = "'; DROP TABLE audit_event; -- <script>\n\u{202e}";
    let accepted = parse(&with("summary", json!(text))).expect("free text");
    assert_eq!(accepted.event().summary.as_deref(), Some(text));
}

#[test]
fn the_zero_character_is_refused_everywhere() {
    for (field, value) in [
        ("name", json!("a\0b")),
        ("summary", json!("a\0b")),
        ("data", json!({"a": ["b\0"]})),
        ("data", json!({"a\0": 1})),
        ("colour\0", json!(1)),
    ] {
        let errors = parse(&with(field, value)).expect_err(field);
        assert!(errors.iter().all(|e| e.reason == Reason::Invalid), "{errors:?}");
    }
}

#[test]
fn the_kind_of_the_server_is_not_for_clients() {
    assert_eq!(reasons(&with("kind", json!("system")), "kind"), [Reason::Invalid]);
    for kind in audit::Kind::ALL {
        assert_eq!(reasons(&with("kind", json!(kind)), "kind"), []);
    }
}

#[test]
fn a_namespace_is_a_label_of_dns_or_empty() {
    for (text, expected) in
        [("", None), ("a", None), ("a-1", None), ("-a", Some(Reason::Invalid)), ("a.b", Some(Reason::Invalid))]
    {
        assert_eq!(reasons(&with("namespace", json!(text)), "namespace").first(), expected.as_ref(), "{text}");
    }
}

#[test]
fn an_id_is_a_uuid_of_version_7_made_within_bounds() {
    let outcome = |id: &str| reasons(&with("event_id", json!(id)), "event_id");
    assert_eq!(outcome(&id_at("2026-11-18T22:25:44Z")), []);
    assert_eq!(outcome(&id_at("2026-11-18T22:25:42Z")), [Reason::Invalid], "older than seven days");
    assert_eq!(outcome(&id_at("2026-11-25T22:30:43Z")), []);
    assert_eq!(outcome(&id_at("2026-11-25T22:30:44Z")), [Reason::Invalid], "more than five minutes ahead");
    let id = id_at(NOW);
    assert_eq!(outcome(&id.to_uppercase()), []);
    let mut version_4 = id.clone();
    version_4.replace_range(14..15, "4");
    let mut variant = id.clone();
    variant.replace_range(19..20, "c");
    for bad in [version_4, variant, id.replace('-', ""), format!("{{{id}}}"), "x".to_owned(), String::new()] {
        assert_eq!(outcome(&bad), [Reason::Invalid], "{bad}");
    }
    assert_eq!(reasons(&with("event_id", json!(7)), "event_id"), [Reason::Invalid]);
    assert_eq!(reasons(&with("parent_event_id", json!("x")), "parent_event_id"), [Reason::Invalid]);
    let max_age = Duration::from_secs(400 * 24 * 3600);
    let old = with("event_id", json!(id_at("2026-01-01T00:00:00Z")));
    let import = Defaults { now: now(), cluster: "", max_age };
    assert!(Accepted::parse(old.to_string().as_bytes(), &import).is_ok());
}

#[test]
fn a_record_happened_within_a_day_of_its_id() {
    let outcome = |at: &str| {
        let mut event = with("event_id", json!(id_at("2026-11-24T12:00:00Z")));
        event["occurred_at"] = json!(at);
        reasons(&event, "occurred_at")
    };
    for good in
        ["2026-11-23T12:00:00Z", "2026-11-25T12:00:00Z", "2026-11-24T13:00:00+02:00", "2026-11-24T12:00:00.1234567Z"]
    {
        assert_eq!(outcome(good), [], "{good}");
    }
    for bad in ["2026-11-23T11:59:59Z", "2026-11-25T12:00:01Z", "2026-11-24", "24h", "", "2026-11-25T22:31:00Z"] {
        assert_eq!(outcome(bad), [Reason::Invalid], "{bad}");
    }
    assert_eq!(reasons(&with("occurred_at", json!("2026-11-23T00:00:00Z")), "occurred_at"), [Reason::Invalid]);
    let accepted = parse(&with("occurred_at", json!("2026-11-25T22:00:00.123456789Z"))).expect("nanoseconds");
    assert_eq!(accepted.event().occurred_at.to_string(), "2026-11-25T22:00:00.123456Z");
}

#[test]
fn duplicate_keys_and_bad_json_are_refused() {
    let twice = br#"{"kind":"execution","kind":"toolset","name":"a","namespace":"b","phase":"failed",
        "action_type":"c","correlation_id":"d","data":{"x":{"y":1,"y":1}}}"#;
    let errors = parse_bytes(twice).expect_err("two keys twice");
    let fields: Vec<_> = errors.iter().map(|e| e.field.as_str()).collect();
    assert_eq!(fields, ["kind", "data"]);
    for bad in [
        &b""[..],
        b"[]",
        b"null",
        b"7",
        b"{",
        b"{} {}",
        b"{\"a\":NaN}",
        b"{\"a\":1e999}",
        b"\xff",
        b"{\"a\":\"\\ud800\"}",
    ] {
        let errors = parse_bytes(bad).expect_err("not a record");
        assert_eq!((errors[0].field.as_str(), errors[0].reason), ("body", Reason::Invalid), "{errors:?}");
    }
}

#[test]
fn data_is_bounded_in_depth_size_and_number_of_values() {
    let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"a": inner}));
    assert_eq!(reasons(&with("data", deep(16)), "data"), []);
    assert_eq!(reasons(&with("data", deep(17)), "data"), [Reason::LengthExceeded]);
    assert_eq!(reasons(&with("data", json!({"a": vec![0; 4_094]})), "data"), []);
    assert_eq!(reasons(&with("data", json!({"a": vec![0; 4_095]})), "data"), [Reason::LengthExceeded]);
    let sized = |bytes: usize| json!({"a": "x".repeat(bytes - r#"{"a":""}"#.len())});
    assert_eq!(reasons(&with("data", sized(65_536)), "data"), []);
    assert_eq!(reasons(&with("data", sized(65_537)), "data"), [Reason::LengthExceeded]);
    let far = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(parse_bytes(far.as_bytes()).is_err());
}

#[test]
fn a_record_has_few_values_outside_of_data() {
    let body = |more: String| minimal().to_string().replacen('{', &format!("{{{more},"), 1);
    let errors = parse_bytes(body(format!("\"actor\":{}", json!(vec![json!({"": 0}); 4_000]))).as_bytes());
    let errors = errors.expect_err("an actor with 8,000 values");
    assert_eq!((errors.len(), errors[0].field.as_str(), errors[0].reason), (1, "body", Reason::LengthExceeded));
    let unknown: Vec<_> = (0..10_000).map(|n| format!("\"unknown{n}\":0")).collect();
    assert_eq!(parse_bytes(body(unknown.join(",")).as_bytes()).expect_err("10,000 unknown fields").len(), 1);
    let again: Vec<_> = (0..100).map(|_| format!("\"data\":{}", json!(vec![0; 4_000]))).collect();
    assert_eq!(parse_bytes(body(again.join(",")).as_bytes()).expect_err("100 times data").len(), 1);
}

#[test]
fn redaction_markers_from_clients_count_towards_the_limit() {
    let marker = "[REDACTED:azure_connection_string]";
    for (field, limit) in [("summary", 2_048), ("error_message", 16_384)] {
        let most = 4 * limit / marker.len();
        assert_eq!(reasons(&with(field, json!(marker.repeat(most))), field), []);
        assert_eq!(reasons(&with(field, json!(marker.repeat(most + 1))), field), [Reason::LengthExceeded]);
    }
    let data = json!({"t": marker.repeat(60_000)});
    assert_eq!(reasons(&with("data", data), "data"), [Reason::LengthExceeded]);
    // The same bound holds for what is stored, so that what is accepted once is accepted again.
    assert_eq!(reasons(&with("summary", json!("pwd=a ".repeat(341))), "summary"), []);
    assert_eq!(reasons(&with("summary", json!("://:p@".repeat(341))), "summary"), [Reason::LengthExceeded]);
}

#[test]
fn numbers_of_data_are_the_same_for_every_reader() {
    for good in ["9007199254740992", "-9007199254740992", "1e2", "-0", "0.1", "1.5e-300"] {
        let body = minimal().to_string().replacen('{', &format!("{{\"data\":{{\"n\":{good}}},"), 1);
        assert!(parse_bytes(body.as_bytes()).is_ok(), "{good}");
    }
    for bad in ["9007199254740993", "-9007199254740993", "1e300", "18446744073709551616"] {
        let body = minimal().to_string().replacen('{', &format!("{{\"data\":{{\"n\":{bad}}},"), 1);
        let errors = parse_bytes(body.as_bytes()).expect_err(bad);
        assert_eq!((errors[0].field.as_str(), errors[0].reason), ("data", Reason::Invalid));
    }
}

#[test]
fn known_keys_of_data_have_their_types() {
    let outcome = |kind: &str, data: Value| {
        let mut event = with("kind", json!(kind));
        event["data"] = data;
        match parse(&event) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_iter().map(|e| (e.field, e.reason)).collect(),
        }
    };
    let one = |field: &str, reason| vec![(field.to_owned(), reason)];
    let full = json!({"provider": "local", "model": "m", "confidence": 0.5, "tokens_used": 1e2, "extra": {}});
    assert_eq!(outcome("ai_analysis", full), []);
    assert_eq!(outcome("ai_analysis", json!({"confidence": 1.1})), one("data.confidence", Reason::Invalid));
    assert_eq!(outcome("ai_analysis", json!({"tokens_used": -1})), one("data.tokens_used", Reason::Invalid));
    assert_eq!(outcome("ai_analysis", json!({"tokens_used": 1.5})), one("data.tokens_used", Reason::Invalid));
    assert_eq!(
        outcome("ai_analysis", json!({"provider": "x".repeat(101)})),
        one("data.provider", Reason::LengthExceeded)
    );
    assert_eq!(outcome("workflow", json!({"completed_steps": 3, "total_steps": 3, "workflow_id": null})), []);
    let more = json!({"completed_steps": 4, "total_steps": 3});
    assert_eq!(outcome("workflow", more), one("data.completed_steps", Reason::Invalid));
    assert_eq!(outcome("execution", json!({"dry_run": "yes"})), one("data.dry_run", Reason::Invalid));
    assert_eq!(outcome("remediation", json!({"pre_spec_hash": 7})), one("data.pre_spec_hash", Reason::Invalid));
    assert_eq!(outcome("toolset", json!({"dry_run": "yes", "confidence": 7})), []);
}

#[test]
fn the_name_of_an_unknown_field_is_told_without_its_secret() {
    let errors = parse(&with("AKIAIOSFODNN7EXAMPLE", json!(1))).expect_err("unknown field");
    assert!(!format!("{errors:?}").contains("AKIA"), "{errors:?}");
}

#[test]
fn texts_and_data_are_redacted_and_counted() {
    let mut event = with("summary", json!("password=hunter2"));
    event["error_message"] = json!("postgres://u:pw@db/x");
    event["data"] = json!({"token": "abc", "n": ["Authorization: Bearer q"]});
    let accepted = parse(&event).expect("a record");
    let stored = accepted.event();
    assert_eq!(stored.summary.as_deref(), Some("password=[REDACTED:password]"));
    assert_eq!(stored.error_message.as_deref(), Some("postgres://u:[REDACTED:postgresql_url]@db/x"));
    let data = json!({"token": "[REDACTED:token]", "n": ["Authorization: Bearer [REDACTED:bearer_token]"]});
    assert_eq!(Value::Object(stored.data.clone()), data);
    assert_eq!(accepted.redactions().iter().map(|(_, n)| n).sum::<u32>(), 4);
}

#[test]
fn a_text_that_grew_by_redaction_is_accepted_again() {
    let event = with("summary", json!("password=x ".repeat(186)));
    let accepted = parse(&event).expect("as long as allowed");
    let again = parse(&serde_json::to_value(accepted.event()).expect("JSON")).expect("the record that was stored");
    assert_eq!(again.content_hash(), accepted.content_hash());
}

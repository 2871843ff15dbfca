//! What holds for every record and every text.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use std::time::Duration;

use audit::redact::{self, Class};
use audit::{Accepted, Defaults, canonical, chain};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn now() -> Timestamp {
    Timestamp::from_second(1_764_109_543).expect("a time")
}

fn parse(event: &Value) -> Result<Accepted, Vec<audit::FieldError>> {
    let defaults = Defaults { now: now(), cluster: "here", max_age: Duration::from_secs(7 * 24 * 3600) };
    Accepted::parse(event.to_string().as_bytes(), &defaults)
}

/// Pieces of which texts with secrets, with halves of secrets and with markers are made.
fn piece() -> impl Strategy<Value = String> {
    let fixed = prop::sample::select(vec![
        "password",
        "PGPASSWORD",
        "token",
        "access_token",
        "api_key",
        "client_secret",
        "secret_access_key",
        "Bearer ",
        "Basic ",
        "Authorization",
        "=",
        ":",
        ": ",
        " => ",
        "\"",
        "\\\"",
        "'",
        "\\",
        "{",
        "}",
        "[",
        "]",
        "@",
        "/",
        "//",
        "://",
        "postgres://",
        "mysql://",
        "redis://",
        "https://u:",
        "@tcp(",
        "&",
        ";",
        ",",
        " ",
        "\n",
        "\r\n  ",
        "  ",
        "kind: Secret\n",
        "\"kind\":\"Secret\"",
        "data:\n  ",
        "\"data\":{",
        "stringData:\n  a: ",
        "sk-",
        "sk-proj-",
        "ghp_",
        "glpat-",
        "xoxb-",
        "AKIA",
        "IOSFODNN7EXAMPLE",
        "sk_live_",
        "eyJhbGciOiJIUzI1NiJ9",
        ".eyJzdWIiOiIxIn0",
        ".c2ln",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "AccountKey=",
        "?sig=",
        "[REDACTED:",
        "[REDACTED:jwt]",
        "[REDACTED:password]",
        "[REDACTED:nothing]",
        "hunter2",
        "0123456789abcdefABCDEF",
        "dXNlcjpwYXNz",
        "|",
        "--password ",
        "private_key",
        "AIza",
        "hooks.slack.com/services/",
        "é",
        "\u{202e}",
        "ſ",
        "-",
        "- ",
        "    data:\n      k: v\n",
    ])
    .prop_map(str::to_owned);
    prop_oneof![6 => fixed, 1 => "[a-zA-Z0-9+/=_.-]{1,40}", 1 => "\\PC{0,6}"]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

fn number() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-(1_i64 << 53)..=(1_i64 << 53)).prop_map(Value::from),
        (-1e15..1e15).prop_map(Value::from),
        prop::num::f64::NORMAL
            .prop_filter("within bounds", |n| n.abs() <= 9_007_199_254_740_992.0)
            .prop_map(Value::from),
        prop::num::f64::SUBNORMAL.prop_map(Value::from),
        prop::sample::select(vec![json!(-0.0), json!(1.0), json!(1e2), json!(0.1), json!(1e-7), json!(123e-20)]),
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number(),
        text().prop_map(|text| Value::from(text.replace('\0', ""))),
    ];
    leaf.prop_recursive(3, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop_oneof![piece(), "[a-z_]{1,8}", Just("kind".to_owned())], inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn data() -> impl Strategy<Value = Value> {
    prop::collection::vec((prop_oneof![piece(), "[a-z_]{1,8}"], json_value()), 0..5)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn event() -> impl Strategy<Value = Value> {
    let optional = |strategy: BoxedStrategy<Value>| prop::option::of(strategy);
    (
        prop::sample::select(audit::Kind::ALL.to_vec()),
        "[a-zA-Z][ -;=?-~éß]{0,20}[a-z]",
        prop::option::of(text()),
        prop::option::of(text()),
        data(),
        optional((0_i64..=1 << 53).prop_map(Value::from).boxed()),
        optional(Just(json!({"type": "service", "id": "o'brien@x"})).boxed()),
        -86_000_000_i64..299_000_000,
    )
        .prop_map(|(kind, name, summary, error, data, duration, actor, micros)| {
            let micros = now().as_microsecond() + micros.min(0) + micros.max(0) / 1_000;
            json!({
                "kind": kind, "name": name, "namespace": "prod", "phase": "completed", "action_type": "restart",
                "correlation_id": "rr-1", "summary": summary, "error_message": error, "data": data,
                "duration_ms": duration, "actor": actor,
                "occurred_at": Timestamp::from_microsecond(micros).expect("a time"),
            })
        })
}

/// A text without its markers, and whether the markers are whole.
fn without_markers(text: &str) -> String {
    Class::ALL.iter().fold(text.to_owned(), |text, class| text.replace(&format!("[REDACTED:{}]", class.as_str()), ""))
}

/// What PostgreSQL's `jsonb` makes of a document: numbers as decimals without an exponent and without a negative
/// zero, members in the order of their length.
fn as_jsonb(value: &Value) -> String {
    match value {
        Value::Number(number) => plain_decimal(&number.to_string()),
        Value::Array(items) => format!("[{}]", items.iter().map(as_jsonb).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| (name.len(), (*name).clone()));
            let members = members.iter().map(|(name, value)| format!("{}: {}", json!(name), as_jsonb(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn plain_decimal(number: &str) -> String {
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |rest| (true, rest));
    let (mantissa, exponent) =
        number.split_once('e').map_or((number, 0), |(m, e)| (m, e.parse::<i32>().expect("an exponent")));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = i32::try_from(fraction.len()).expect("short") - exponent;
    let mut digits = format!("{whole}{fraction}");
    let text = if scale <= 0 {
        digits.push_str(&"0".repeat(scale.unsigned_abs() as usize));
        digits
    } else {
        let scale = scale.unsigned_abs() as usize;
        let digits = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        format!("{whole}.{fraction}")
    };
    let zero = text.bytes().all(|b| matches!(b, b'0' | b'.'));
    let text = if text.trim_start_matches('0').is_empty() { "0" } else { text.trim_start_matches('0') };
    let text = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
    if negative && !zero { format!("-{text}") } else { text }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_redacted_once_is_not_redacted_again(text in text()) {
        let once = redact::text(&text).0.into_owned();
        let (twice, counts) = redact::text(&once);
        prop_assert_eq!(&*twice, &once);
        prop_assert!(counts.is_empty());
    }

    #[test]
    fn no_marker_stands_within_a_marker(text in "[a-z:/@=\"' .]{0,10}".prop_flat_map(|start| text().prop_map(move |rest| format!("{start}{rest}")))) {
        prop_assume!(!text.contains("[REDACTED:"));
        let redacted = redact::text(&text).0.into_owned();
        prop_assert!(!without_markers(&redacted).contains("[REDACTED:"), "{redacted}");
    }

    #[test]
    fn what_is_left_of_a_text_was_in_it(text in text()) {
        prop_assume!(!text.contains("[REDACTED:"));
        let redacted = redact::text(&text).0.into_owned();
        let mut rest = text.as_str();
        let split = Class::ALL.iter().fold(redacted, |t, c| t.replace(&format!("[REDACTED:{}]", c.as_str()), "\u{1}"));
        for kept in split.split('\u{1}') {
            let at = rest.find(kept);
            prop_assert!(at.is_some(), "{kept:?} was not in {rest:?}");
            rest = &rest[at.unwrap_or_default() + kept.len()..];
        }
    }

    #[test]
    fn values_are_redacted_once(value in json_value()) {
        let mut once = value;
        redact::value(&mut once);
        let mut twice = once.clone();
        prop_assert!(redact::value(&mut twice).is_empty());
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn an_accepted_record_is_accepted_again_with_the_same_hash(event in event()) {
        let Ok(accepted) = parse(&event) else { return Ok(()) };
        let stored = serde_json::to_value(accepted.event()).expect("JSON");
        let again = parse(&stored).expect("the record that was stored");
        prop_assert_eq!(again.event(), accepted.event());
        prop_assert_eq!(again.content_hash(), accepted.content_hash());
        prop_assert!(again.redactions().is_empty());
    }

    #[test]
    fn what_jsonb_gives_back_has_the_same_hash(event in event()) {
        let Ok(accepted) = parse(&event) else { return Ok(()) };
        let mut stored = accepted.event().clone();
        let read: Map<String, Value> = serde_json::from_str(&as_jsonb(&Value::Object(stored.data))).expect("JSON");
        stored.data = read;
        prop_assert_eq!(&chain::content_hash(&stored), accepted.content_hash());
        prop_assert_eq!(canonical::to_vec(&stored), canonical::to_vec(accepted.event()));
    }

    #[test]
    fn the_canonical_form_of_the_canonical_form_is_itself(event in event()) {
        let Ok(accepted) = parse(&event) else { return Ok(()) };
        let canonical = canonical::to_vec(accepted.event());
        let read: Value = serde_json::from_slice(&canonical).expect("JSON");
        let again = parse(&read).expect("the canonical form is a record");
        prop_assert_eq!(canonical::to_vec(again.event()), canonical);
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,60}") {
        let defaults = Defaults { now: now(), cluster: "", max_age: Duration::ZERO };
        let _ = Accepted::parse(&bytes, &defaults);
        let _ = Accepted::parse(text.as_bytes(), &defaults);
        let _ = audit::embedding_text::normalise(&text);
    }

    #[test]
    fn most_records_are_accepted(events in prop::collection::vec(event(), 20)) {
        let accepted = events.iter().filter(|event| parse(event).is_ok()).count();
        prop_assert!(accepted >= 2, "{accepted} of 20: the other properties would say nothing");
    }
}

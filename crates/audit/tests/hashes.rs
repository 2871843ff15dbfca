//! The canonical form and the hashes, compared with values that other programs computed.
#![allow(clippy::expect_used, reason = "helpers of tests")]

use audit::chain::{self, Keys, Link};
use audit::{Actor, Event, Kind, Phase, Status, canonical};
use jiff::Timestamp;
use serde_json::json;

fn event() -> Event {
    let mut event = Event::new(Kind::Execution, "restart", "prod", Phase::Completed, "restart_pod", "rr-1");
    event.event_id = "01a214d0-91e8-7879-817e-770341496902".parse().expect("an id");
    event.occurred_at = "2026-11-25T22:25:42.888123Z".parse().expect("a time");
    "eu-1".clone_into(&mut event.cluster);
    event.status = Some(Status::Failure);
    event.data = json!({"\u{20ac}": 1e2, "b": [1.0, -0.0, 1e-7, 0.1, true, null], "a": "\u{7}é\"\\", "\u{1f600}": {}, "\u{fb33}": 1})
        .as_object()
        .cloned()
        .expect("an object");
    event
}

#[test]
fn the_canonical_form_is_sorted_without_spaces_and_without_what_is_absent() {
    let text = String::from_utf8(canonical::to_vec(&event())).expect("UTF-8");
    let expected = concat!(
        r#"{"action_type":"restart_pod","cluster":"eu-1","correlation_id":"rr-1","data":"#,
        r#"{"a":"\u0007é\"\\","b":[1,0,1e-7,0.1,true,null],"€":100,"😀":{},"דּ":1},"#,
        r#""event_id":"01a214d0-91e8-7879-817e-770341496902","kind":"execution","name":"restart","namespace":"prod","#,
        r#""occurred_at":"2026-11-25T22:25:42.888123Z","phase":"completed","status":"failure"}"#,
    );
    assert_eq!(text, expected.replace("דּ", "\u{fb33}"));
}

#[test]
fn an_actor_without_members_is_no_actor() {
    let plain = chain::content_hash(&event());
    let mut other = event();
    other.actor = Some(Actor::default());
    assert_eq!(chain::content_hash(&other), plain);
    other.actor = Some(Actor { id: Some("x".to_owned()), ..Actor::default() });
    assert_ne!(chain::content_hash(&other), plain);
}

const PREVIOUS: chain::Hash = [1; 32];
const CONTENT: chain::Hash = [2; 32];

fn link(key_id: i16) -> Link<'static> {
    Link {
        version: chain::VERSION,
        key_id,
        seq: 7,
        recorded_at: Timestamp::from_microsecond(1_764_109_542_888_123).expect("a time"),
        recorded_by: "system:serviceaccount:prod:engine",
        previous: &PREVIOUS,
        content: &CONTENT,
    }
}

fn keys() -> Keys {
    let mut keys = Keys::none();
    keys.insert(2, [7; 32]).expect("a key");
    keys.insert(1, [9; 32]).expect("a key");
    keys
}

fn hex(hash: Option<chain::Hash>) -> String {
    hash.expect("a hash").iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn the_hash_of_a_link_is_the_one_that_the_documented_form_gives() {
    // docs/data-storage describes the form; these were computed from it with Python's hashlib and hmac.
    assert_eq!(
        hex(chain::chain_hash(&Keys::none(), &link(0))),
        "8b7d7c8b2ae87cb7d776c3d82992aeb080f945a40e9c0e51b429ca23367214d3"
    );
    assert_eq!(
        hex(chain::chain_hash(&keys(), &link(2))),
        "5d169720579ed642e277b788372f4b46b7105e4ceb5484383de71b282f1456db"
    );
}

#[test]
fn every_part_of_a_link_changes_its_hash() {
    let keys = keys();
    let other: chain::Hash = [3; 32];
    let at = link(2).recorded_at + jiff::SignedDuration::from_micros(1);
    let changed = [
        link(2),
        link(1),
        link(0),
        Link { seq: 8, ..link(2) },
        Link { recorded_at: at, ..link(2) },
        Link { recorded_by: "system:serviceaccount:prod:engin", ..link(2) },
        Link { previous: &other, ..link(2) },
        Link { content: &other, ..link(2) },
    ];
    let mut hashes: Vec<_> = changed.iter().map(|link| chain::chain_hash(&keys, link).expect("a hash")).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), changed.len());
}

#[test]
fn without_the_key_or_the_version_there_is_no_hash() {
    assert_eq!(chain::chain_hash(&Keys::none(), &link(2)), None);
    assert_eq!(chain::chain_hash(&keys(), &link(3)), None);
    assert_eq!(chain::chain_hash(&keys(), &Link { version: 2, ..link(2) }), None);
}

#[test]
fn the_highest_key_signs_and_keys_are_read_from_files() {
    assert_eq!((Keys::none().current(), keys().current()), (0, 2));
    let file = std::env::temp_dir().join(format!("audit-key-{}", std::process::id()));
    std::fs::write(&file, [&[7; 32][..], b"\n"].concat()).expect("a file");
    let spec = format!("2:{}", file.display());
    let read = Keys::from_files([&spec]).expect("keys");
    assert_eq!(chain::chain_hash(&read, &link(2)), chain::chain_hash(&keys(), &link(2)));
    std::fs::write(&file, "too short").expect("a file");
    for (specs, expected) in [
        (vec![spec.clone()], "9 bytes"),
        (vec!["x".to_owned()], "<id>:<path>"),
        (vec!["0:/x".to_owned()], "<id>:<path>"),
        (vec!["1:/nowhere".to_owned()], "from /nowhere"),
    ] {
        let error = Keys::from_files(&specs).expect_err(expected).to_string();
        assert!(error.contains(expected), "{error}");
    }
    std::fs::remove_file(&file).expect("removed");
    assert!(!format!("{:?}", keys()).contains('7'), "a key must not be printed");
}

//! How long it takes to redact 64 KiB of text, and to accept a record.
//!
//! `cargo bench -p audit --profile service` measures what the image contains. It prints medians of CPU time, and each
//! beside a floor that is measured in the same run: one plain expression that replaces some passwords in the same text.
//! On a slow or shared machine the ratio to the floor says more than the milliseconds.
//!
//! The goal is 1 ms for 64 KiB: of a log without secrets, of one with two secrets every 2 KiB, of one in which almost
//! every word is half of a secret, and of JSON. The values after them are made to cost time: they hold thousands of
//! secrets. Every one of those costs something, so their goal is linear time.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs, reason = "a program for the terminal")]

use std::{env, fmt::Write as _, hint::black_box, time::Duration};

use audit::{Accepted, Defaults, redact};
use jiff::Timestamp;
use regex::Regex;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};

const BYTES: usize = 64 * 1024;

/// In milliseconds.
const GOAL: f64 = 1.0;

const LOG: &str =
    "2026-11-25T22:25:42.888Z INFO payments-api-7d9f8b6c5-x2x4z handled GET /v1/orders?page=3 in 12ms status=200\n";
const SECRET: &str =
    "2026-11-25T22:25:43.000Z ERROR cannot connect to postgres://app:hunter2@db:5432/shop: password=hunter2 refused\n";
const HALF: &str =
    "password token: x api_key secret_key sk- ghp_ glpat- xoxb- AKIA eyJ bearer basic sig= postgres:// redis:// u:p@ ";
const JSON: &str =
    r#"{"token_type":"x","name":"payments","secretName":"db","url":"https://host:8080/p","items":[1,2,3]},"#;

fn main() {
    // Cargo says so when it measures; without it, it only wants to see the program run.
    let runs = if env::args().any(|argument| argument == "--bench") { 501 } else { 1 };
    let floor = Regex::new(r"(?i-u:password|passwd|pwd|token|api_?key|secret)[=:] ?[^ \n]+").expect("an expression");
    let mut pairs = format!("bench=redact goal_ms={GOAL}");
    let mut broken = 0;
    println!("64 KiB, medians of CPU time of {runs} runs");
    println!("{:>18}{:>12}{:>12}{:>8}{:>10}", "", "redacted", "floor", "ratio", "secrets");
    for (name, value, goal) in inputs() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let floor = median(runs.min(101), || (), |()| _ = black_box(floor.replace_all(&text, "x")));
        let mut found = Vec::new();
        let took = match &value {
            Value::String(text) => median(runs, || (), |()| found = redact::text(text).1),
            value => median(runs.min(101), || value.clone(), |mut value| found = redact::value(&mut value)),
        };
        let (ratio, found): (f64, u32) = (took / floor, found.iter().map(|(_, n)| n).sum());
        let missed = goal && took > GOAL;
        broken += u32::from(missed);
        let note = if missed { "  more than the goal" } else { "" };
        println!("{name:>18}{took:>9.3} ms{floor:>9.3} ms{ratio:>8.1}{found:>10}{note}");
        let key = name.replace(' ', "_");
        // Writing to a String cannot fail.
        _ = write!(pairs, " {key}_ms={took:.3} {key}_ratio={ratio:.1}");
    }
    let now = Timestamp::UNIX_EPOCH;
    let record = br#"{"kind":"execution","name":"restart","namespace":"prod","phase":"completed","status":"failure",
        "action_type":"restart_pod","correlation_id":"rr-1","target_resource":"Deployment/prod/payments-api",
        "severity":"critical","summary":"Restarted after OOMKilled; memory limit too low",
        "error_message":"quota exceeded","data":{"dry_run":false}}"#;
    let defaults = Defaults { now, cluster: "here", max_age: Duration::from_secs(3600) };
    let accept = |()| _ = black_box(Accepted::parse(record, &defaults)).expect("a record");
    let took = median(runs, || (), accept);
    println!("{:>18}{took:>9.3} ms", "accept a record");
    println!("{pairs} accept_ms={took:.3} goals_missed={broken}");
}

/// The inputs, and whether the goal is for them.
fn inputs() -> Vec<(&'static str, Value, bool)> {
    let fill = |text: &str| Value::String(text.repeat(BYTES / text.len()));
    let names: Map<String, Value> = (0..4_000).map(|n| (format!("pwd=ab{n}"), Value::Null)).collect();
    let strings: Vec<Value> = (0..4_000).map(|n| Value::String(format!("token: {n:08}"))).collect();
    vec![
        ("log", fill(LOG), true),
        ("log with secrets", fill(&format!("{}{SECRET}", LOG.repeat(18))), true),
        ("halves", fill(HALF), true),
        ("json", fill(JSON), true),
        ("equal names", Value::Object(names), false),
        ("many strings", Value::Array(strings), false),
        ("open markers", fill("[REDACTED: pwd=a "), false),
        ("markers", fill("[REDACTED:jwt] pwd=a "), false),
        ("nested secrets", fill("token=password=api_key=secret_key=a1 "), false),
        ("names of nothing", fill("token=${password='${api_key=\\\"${"), false),
        ("manifests", fill("kind: Secret\ndata:\n  a: Yg==\n"), false),
    ]
}

/// In milliseconds. What is prepared for a run is not measured.
fn median<T>(runs: usize, mut prepare: impl FnMut() -> T, mut run: impl FnMut(T)) -> f64 {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let input = prepare();
            let before = cpu();
            run(input);
            cpu().saturating_sub(before)
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

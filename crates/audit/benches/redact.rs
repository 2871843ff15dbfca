//! How long it takes to redact 64 KiB of text, and to accept a record.
//!
//! `cargo bench -p audit` prints medians of CPU time: a log without secrets, one with two secrets every 2 KiB, one in
//! which almost every word is half of a secret, and JSON; then values that are made to cost time. The goal is 1 ms for
//! 64 KiB of what is not hostile, and linear time for everything.
#![allow(clippy::print_stdout, clippy::expect_used, missing_docs, reason = "a program for the terminal")]

use std::{env, hint::black_box, time::Duration};

use audit::{Accepted, Defaults, redact};
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};

const BYTES: usize = 64 * 1024;

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
    let fill = |line: &str| line.repeat(BYTES / line.len());
    let mixed = fill(&format!("{}{SECRET}", LOG.repeat(18)));
    println!("CPU time of {runs} runs over 64 KiB, median");
    for (name, text) in [("log", fill(LOG)), ("log with secrets", mixed), ("halves", fill(HALF)), ("JSON", fill(JSON))]
    {
        let found: u32 = redact::text(&text).1.iter().map(|(_, n)| n).sum();
        println!("{name:>18}{:>9.3} ms, {found} secrets", median(runs, || _ = black_box(redact::text(&text))));
    }
    for (name, value) in hostile() {
        let mut found = 0;
        let time = median(runs.min(51), || {
            let mut value = value.clone();
            found = redact::value(&mut value).iter().map(|(_, n)| n).sum();
        });
        println!("{name:>18}{time:>9.3} ms, {found} secrets");
    }
    let now = Timestamp::UNIX_EPOCH;
    let record = br#"{"kind":"execution","name":"restart","namespace":"prod","phase":"completed","status":"failure",
        "action_type":"restart_pod","correlation_id":"rr-1","target_resource":"Deployment/prod/payments-api",
        "severity":"critical","summary":"Restarted after OOMKilled; memory limit too low",
        "error_message":"quota exceeded","data":{"dry_run":false}}"#;
    let defaults = Defaults { now, cluster: "here", max_age: Duration::from_secs(3600) };
    let accept = || _ = black_box(Accepted::parse(record, &defaults)).expect("a record");
    println!("{:>18}{:>9.3} ms", "accept a record", median(runs, accept));
}

/// What costs more than other values of 64 KiB.
fn hostile() -> [(&'static str, Value); 6] {
    let fill = |text: &str| Value::String(text.repeat(BYTES / text.len()));
    let names: Map<String, Value> = (0..4_000).map(|n| (format!("pwd=ab{n}"), Value::Null)).collect();
    let strings: Vec<Value> = (0..4_000).map(|n| Value::String(format!("token: {n:08}"))).collect();
    [
        ("equal names", Value::Object(names)),
        ("many strings", Value::Array(strings)),
        ("open markers", fill("[REDACTED: pwd=a ")),
        ("markers", fill("[REDACTED:jwt] pwd=a ")),
        ("nested secrets", fill("token=password=api_key=secret_key=a1 ")),
        ("manifests", fill("kind: Secret\ndata:\n  a: Yg==\n")),
    ]
}

fn median(runs: usize, mut run: impl FnMut()) -> f64 {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let before = cpu();
            run();
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

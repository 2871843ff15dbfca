//! `ui` over HTTP: who may read the page.
#![cfg(feature = "ui")]
#![allow(clippy::expect_used, reason = "a failed `expect` fails the test")]

mod support;

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Stdio},
};

use support::{fixture, program};

/// The running page.
struct Ui {
    child: Child,
    port: u16,
    /// The path of the one-time address.
    one_time: String,
}

/// The answer to a request.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Ui {
    /// Starts the page for a fixture.
    fn start() -> Self {
        let mut child = program()
            .args(["ui", "-f", &fixture("stack.yaml"), "--no-browser"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.trim().strip_prefix("http://127.0.0.1:").map(str::to_owned))
            .expect("an address");
        let (port, path) = address.split_once('/').expect("a path");
        Self { child, port: port.parse().expect("a port"), one_time: format!("/{path}") }
    }

    /// Sends a request with these header lines.
    fn send(&self, method: &str, path: &str, host: &str, headers: &[&str]) -> Answer {
        self.send_form(method, path, host, headers, "")
    }

    /// As `send`, with a form.
    fn send_form(&self, method: &str, path: &str, host: &str, headers: &[&str], form: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the page listens");
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\nHost: {host}\r\n",
            form.len()
        );
        for header in headers {
            request += header;
            request += "\r\n";
        }
        stream.write_all((request + "\r\n" + form).as_bytes()).expect("written");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.send("GET", path, &format!("127.0.0.1:{}", self.port), headers)
    }

    /// Opens the session and returns the header with its cookie.
    fn open(&self) -> String {
        let answer = self.get(&self.one_time, &[]);
        assert_eq!(answer.status, 303);
        format!("Cookie: {}", answer.header("set-cookie").split(';').next().unwrap_or_default())
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

#[test]
fn the_one_time_address_opens_the_page_once() {
    let ui = Ui::start();
    let cookie = ui.open();
    let page = ui.get("/", &[&cookie]);
    assert_eq!(page.status, 200);
    assert!(page.body.contains("from"), "{}", page.body);
    assert_eq!(ui.get(&ui.one_time, &[]).status, 401, "the second use");
    assert_eq!(ui.get("/", &[&cookie]).status, 200, "the session stays");
}

#[test]
fn nothing_of_the_cluster_is_shown_without_the_cookie() {
    let ui = Ui::start();
    for path in ["/", "/services", "/services/monitoring/grafana", "/open?token=", "/open", "/anything"] {
        let answer = ui.get(path, &[]);
        assert_eq!(answer.status, 401, "{path}");
        assert!(!answer.body.contains("monitoring"), "{path}: {}", answer.body);
    }
    assert_eq!(ui.get("/welcome", &[]).status, 200);
}

#[test]
fn another_host_is_refused_also_with_the_cookie() {
    let ui = Ui::start();
    let cookie = ui.open();
    for host in [format!("rebound.example:{}", ui.port), "127.0.0.1".to_owned()] {
        let answer = ui.send("GET", "/services", &host, &[&cookie]);
        assert_eq!(answer.status, 403, "{host}");
        assert!(!answer.body.contains("monitoring"), "{}", answer.body);
    }
}

#[test]
fn a_request_of_another_site_is_refused() {
    let ui = Ui::start();
    let cookie = ui.open();
    let host = format!("127.0.0.1:{}", ui.port);
    for origin in ["Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(ui.send("POST", "/what-if", &host, &[&cookie, origin]).status, 403, "{origin}");
    }
}

#[test]
fn every_answer_says_that_nothing_may_be_kept_framed_or_loaded_from_elsewhere() {
    let ui = Ui::start();
    let cookie = ui.open();
    for path in ["/", "/services", "/welcome", "/assets/style.css", "/missing"] {
        let answer = ui.get(path, &[&cookie]);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        assert!(!answer.body.contains("<style") && !answer.body.contains(" style="), "{path}");
    }
}

#[test]
fn a_page_that_did_not_change_is_not_sent_again() {
    let ui = Ui::start();
    let cookie = ui.open();
    let first = ui.get("/services", &[&cookie]);
    let known = format!("If-None-Match: {}", first.header("etag"));
    assert_eq!(ui.get("/services", &[&cookie, &known]).status, 304);
    assert_eq!(ui.get("/services", &[&cookie, "If-None-Match: \"other\""]).status, 200);
}

#[test]
fn a_text_that_is_too_long_is_refused() {
    let ui = Ui::start();
    let cookie = ui.open();
    let host = format!("127.0.0.1:{}", ui.port);
    let headers = [&*cookie, &*format!("Origin: http://{host}"), "Content-Type: application/x-www-form-urlencoded"];
    let post = |bytes: usize| ui.send_form("POST", "/what-if", &host, &headers, &format!("text={}", "a".repeat(bytes)));
    let answer = post(256 * 1024 + 1);
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("The text is longer than 256 KiB."), "{}", answer.body);
    assert!(!post(256 * 1024).body.contains("longer"));
}

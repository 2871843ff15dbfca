//! The page of `ui`, over HTTP.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use super::{fixture, program, server::Server};

/// The running page.
pub(crate) struct Ui {
    child: Child,
    pub port: u16,
    /// The path of all pages.
    pub base: String,
    /// The path of the one-time address, below the one of all pages.
    pub one_time: String,
}

/// The answer to a request.
pub(crate) struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Ui {
    /// Starts the page for a fixture.
    pub(crate) fn start() -> Self {
        Self::of(program().args(["ui", "-f", &fixture("stack.yaml"), "--no-browser"]))
    }

    /// Starts the page for a cluster that is played.
    pub(crate) fn of_server(server: &Server, namespace: &str) -> Self {
        let kubeconfig = server.kubeconfig("kubeconfig", &json!({}), Some(namespace));
        Self::of(program().args(["ui", "--no-browser"]).env("KUBECONFIG", kubeconfig))
    }

    /// Starts the page with a command.
    pub(crate) fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let address = lines
            .map_while(Result::ok)
            .find_map(|line| line.trim().strip_prefix("http://127.0.0.1:").map(str::to_owned))
            .expect("an address");
        let (port, path) = address.split_once('/').expect("a path");
        let (base, path) = path.split_once('/').expect("a path of all pages");
        Self { child, port: port.parse().expect("a port"), base: format!("/{base}"), one_time: format!("/{path}") }
    }

    /// Sends a request with these header lines.
    pub(crate) fn send(&self, method: &str, path: &str, host: &str, headers: &[&str]) -> Answer {
        self.send_form(method, path, host, headers, "")
    }

    /// As `send`, with a form.
    pub(crate) fn send_form(&self, method: &str, path: &str, host: &str, headers: &[&str], form: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the page listens");
        let base = if path.starts_with("/assets/") { "" } else { &self.base };
        let mut request = format!(
            "{method} {base}{path} HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\nHost: {host}\r\n",
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

    pub(crate) fn get(&self, path: &str, headers: &[&str]) -> Answer {
        self.send("GET", path, &format!("127.0.0.1:{}", self.port), headers)
    }

    /// Gets a page until it is as wanted, and returns it.
    pub(crate) fn wait(&self, cookie: &str, path: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let page = self.get(path, &[cookie]).body;
            if wanted(&page) {
                return page;
            }
            assert!(Instant::now() < deadline, "not in time: {page}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a text to the page "What if".
    pub(crate) fn what_if(&self, cookie: &str, text: &str) -> String {
        self.post_text(cookie, "/what-if", text).body
    }

    /// Sends a text as the form of "What if" does.
    pub(crate) fn post_text(&self, cookie: &str, path: &str, text: &str) -> Answer {
        let host = format!("127.0.0.1:{}", self.port);
        let form: String = text.bytes().flat_map(|byte| format!("%{byte:02x}").into_bytes()).map(char::from).collect();
        let origin = format!("Origin: http://{host}");
        let headers = [cookie, &*origin, "Content-Type: application/x-www-form-urlencoded"];
        self.send_form("POST", path, &host, &headers, &format!("text={form}"))
    }

    /// Opens the session and returns the header with its cookie.
    pub(crate) fn open(&self) -> String {
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
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
    }
}

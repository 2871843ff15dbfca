use std::sync::Mutex;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpSocket},
    time::sleep,
};

use super::*;

/// Long enough that a limit of bytes ends the request, and not the time.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_secs(1);
/// The limits of a probe.
const LIMITS: Limits = Limits { connect: LONG, total: LONG, head: 16 * 1024, headers: 64, body: 4096 };

/// How a server behaves.
#[derive(Clone)]
struct Behaviour {
    /// The server sends these bytes once.
    first: Vec<u8>,
    /// Then the server sends these bytes until nobody reads them.
    then: Vec<u8>,
    pause: Duration,
    end: End,
    reads: bool,
}

#[derive(Clone, Copy)]
enum End {
    Close,
    Reset,
    StayOpen,
}

fn sends(text: impl AsRef<[u8]>) -> Behaviour {
    Behaviour { first: text.as_ref().to_vec(), then: Vec::new(), pause: Duration::ZERO, end: End::Close, reads: true }
}

fn repeats(text: impl AsRef<[u8]>) -> Behaviour {
    Behaviour { then: text.as_ref().to_vec(), ..sends("") }
}

impl Behaviour {
    fn then(self, then: impl AsRef<[u8]>) -> Self {
        Self { then: then.as_ref().to_vec(), ..self }
    }

    fn every(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    fn end(self, end: End) -> Self {
        Self { end, ..self }
    }

    fn without_reading(self) -> Self {
        Self { reads: false, ..self }
    }

    async fn serve(self, mut stream: TcpStream, requests: &Mutex<Vec<String>>) {
        if self.reads {
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap_or_default();
            requests.lock().unwrap().push(String::from_utf8_lossy(&request[..read]).into_owned());
        }
        let mut is_read = stream.write_all(&self.first).await.is_ok();
        while is_read && !self.then.is_empty() {
            sleep(self.pause).await;
            is_read = stream.write_all(&self.then).await.is_ok();
        }
        match self.end {
            End::Close => drop(stream.shutdown().await),
            End::Reset => stream.set_zero_linger().unwrap(),
            End::StayOpen => std::future::pending().await,
        }
    }
}

struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _task: JoinSet<()>,
}

impl Server {
    async fn new(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, requests) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
        let (mut task, seen) = (JoinSet::new(), requests.clone());
        task.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                behaviour.clone().serve(stream, &seen).await;
            }
        });
        Self { address, requests, _task: task }
    }

    fn get<'a>(&self, path: &'a str, limits: &'a Limits) -> Get<'a> {
        let (address, headers) = (self.address, HeaderMap::new());
        Get { address, host: "s.n.svc", path, tls: None, headers, limits }
    }
}

/// The response of a server within the limits of a probe.
async fn asked(behaviour: Behaviour) -> Result<Response, Failure> {
    within(LONG, behaviour).await
}

async fn within(total: Duration, behaviour: Behaviour) -> Result<Response, Failure> {
    let server = Server::new(behaviour).await;
    get(server.get("/-/ready", &Limits { total, ..LIMITS })).await
}

/// How the body of a response ends.
async fn body_end(total: Duration, behaviour: Behaviour) -> BodyEnd {
    let server = Server::new(behaviour).await;
    let limits = Limits { total, ..LIMITS };
    let (body, end) = send(server.get("/", &limits)).await.unwrap().body().await;
    assert!(body.len() <= LIMITS.body);
    end
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn a_request_contains_only_the_path_the_usual_headers_and_those_of_the_caller() {
    let server = Server::new(sends("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx: y\r\n\r\nok")).await;
    let mut asked = server.get("/api/v1/query?query=1", &LIMITS);
    // The caller cannot replace these headers, except the last one.
    asked.headers.insert(header::HOST, HeaderValue::from_static("evil.example"));
    asked.headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    asked.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    let response = get(asked).await.unwrap();
    assert_eq!((response.status, &*response.body, response.is_cut), (200, &b"ok"[..], false));
    assert_eq!(response.headers["x"], "y");
    let request = server.requests.lock().unwrap().concat();
    let mut lines: Vec<&str> = request.split("\r\n").filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    let agent = format!("user-agent: toolset-operator/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        lines,
        [
            "GET /api/v1/query?query=1 HTTP/1.1",
            "accept-encoding: identity",
            "accept: application/json",
            "connection: close",
            "host: s.n.svc",
            &agent
        ]
    );
}

#[tokio::test]
async fn a_path_or_a_host_that_would_change_the_request_is_not_sent() {
    let server = Server::new(sends("HTTP/1.1 200 OK\r\n\r\n")).await;
    let paths = ["", "@evil.example/x", "http://evil.example/", "*", "/a b", "/\r\nx: y", "/\n", "/\0", "\\\\evil"];
    for path in paths {
        assert_eq!(get(server.get(path, &LIMITS)).await, Err(Failure::Request), "{path:?}");
    }
    for host in ["", "a\r\nb", "a b", "a/b", "user@a", "a:80", "[::1]:80"] {
        assert_eq!(get(Get { host, ..server.get("/", &LIMITS) }).await, Err(Failure::Request), "{host:?}");
    }
    // Two slashes stay a path, and a fragment is never sent.
    for (path, line) in [("//evil.example/x", "GET //evil.example/x "), ("/x#@evil.example", "GET /x ")] {
        get(server.get(path, &LIMITS)).await.unwrap();
        let requests = std::mem::take(&mut *server.requests.lock().unwrap());
        assert!(requests.len() == 1 && requests[0].starts_with(line), "{requests:?}");
    }
}

#[tokio::test]
async fn a_redirect_is_returned_and_not_followed() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest\r\ncontent-length: 0\r\n\r\n";
    let server = Server::new(sends(redirect)).await;
    let response = get(server.get("/", &LIMITS)).await.unwrap();
    assert_eq!((response.status, response.is_cut), (302, false));
    assert_eq!(response.headers[header::LOCATION], "http://169.254.169.254/latest");
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn every_status_code_is_a_response() {
    for status in [101, 204, 304, 401, 429, 500, 999] {
        let response = asked(sends(format!("HTTP/1.1 {status} X\r\n\r\n"))).await;
        assert_eq!(response.map(|response| response.status), Ok(status));
    }
    let old = asked(sends("HTTP/1.0 200 OK\r\n\r\nok")).await.unwrap();
    assert_eq!((old.status, &*old.body, old.is_cut), (200, &b"ok"[..], false));
}

#[tokio::test]
async fn a_body_is_read_up_to_the_limit_and_the_rest_is_no_failure() {
    let length = |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
    for (what, behaviour, size, is_cut) in [
        ("the limit", sends(length(4096)), 4096, false),
        ("one byte more", sends(length(4097)), 4096, true),
        ("a body without an end", sends("HTTP/1.1 200 OK\r\n\r\n").then([b'x'; 8192]), 4096, true),
        ("chunks without an end", sends(CHUNKED).then("1000\r\n".to_owned() + &"x".repeat(4096) + "\r\n"), 4096, true),
        (
            "a chunk of all bytes there are",
            sends(format!("{CHUNKED}ffffffffffffffff\r\n")).then([b'x'; 8192]),
            4096,
            true,
        ),
        ("half a body", sends("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"), 4, true),
        ("a broken chunk", sends(format!("{CHUNKED}4\r\nhalf\r\nnonsense")), 4, true),
        (
            "a declared size of all bytes there are",
            sends("HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551613\r\n\r\nhalf"),
            4,
            true,
        ),
    ] {
        let response = asked(behaviour).await.unwrap();
        assert_eq!((response.status, response.body.len(), response.is_cut), (200, size, is_cut), "{what}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_end_in_time_is_cut() {
    for behaviour in [
        sends("HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf").end(End::StayOpen),
        sends("HTTP/1.1 200 OK\r\n\r\nhalf").then("x").every(Duration::from_millis(50)),
        sends(format!("{CHUNKED}4\r\nhalf\r\n")).end(End::StayOpen),
    ] {
        let response = within(SHORT, behaviour).await.unwrap();
        assert!(response.is_cut && response.body.starts_with(b"half"), "{response:?}");
    }
}

#[tokio::test]
async fn the_bytes_around_chunks_count_towards_the_limit() {
    let x = |text: &str| text.repeat(1024);
    for (what, first, then) in [
        ("zeros before the size", String::new(), x("0")),
        ("spaces after the size", "1".to_owned(), x(" ")),
        ("an extension", "1;".to_owned(), x("a")),
        ("tiny chunks", String::new(), x("1\r\nx\r\n")),
        ("one trailer", "0\r\n".to_owned(), x("a")),
        ("trailers", "0\r\n".to_owned(), x("a: b\r\n")),
    ] {
        let end = body_end(LONG, sends(format!("{CHUNKED}{first}")).then(then)).await;
        assert!(matches!(end, BodyEnd::TooLarge | BodyEnd::Broken), "{what}: {end:?}");
    }
}

#[tokio::test]
async fn a_compressed_body_is_not_decoded() {
    let bomb = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00";
    let response = asked(sends(bomb)).await.unwrap();
    assert_eq!((&*response.body, response.is_cut), (&b"\x1f\x8b\x08\x00"[..], false));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_a_failure() {
    let headers = |count: usize| format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: a\r\n".repeat(count));
    assert_eq!(asked(sends(headers(64))).await.map(|response| response.status), Ok(200));
    for (what, behaviour) in [
        ("65 headers", sends(headers(65))),
        ("10,000 headers", sends(headers(10_000))),
        ("one header", sends(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(17_000)))),
        ("one header without an end", sends("HTTP/1.1 200 OK\r\nx: ").then([b'a'; 1024])),
        ("headers without an end", sends("HTTP/1.1 200 OK\r\n").then("x: a\r\n".repeat(100))),
        ("a reason without an end", sends("HTTP/1.1 200 ").then([b'a'; 1024])),
        ("empty lines without an end", repeats("\r\n".repeat(500))),
        ("continue without an end", repeats("HTTP/1.1 100 Continue\r\n\r\n")),
        ("early hints without an end", repeats("HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n".repeat(50))),
    ] {
        assert_eq!(asked(behaviour).await, Err(Failure::TooLarge), "{what}");
    }
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_a_failure() {
    for (what, behaviour) in [
        ("nothing", sends("").end(End::StayOpen)),
        ("a server that does not read either", sends("").without_reading().end(End::StayOpen)),
        ("a head that stops", sends("HTTP/1.1 200 OK\r\nx: ").end(End::StayOpen)),
        ("a byte at a time", sends("HTTP/1.1 200 OK\r\nx: ").then("a").every(Duration::from_millis(20))),
        ("hints at times", repeats("HTTP/1.1 103 Early Hints\r\n\r\n").every(Duration::from_millis(20))),
    ] {
        assert_eq!(within(SHORT, behaviour).await, Err(Failure::Timeout), "{what}");
    }
}

#[tokio::test]
async fn skipped_responses_and_a_head_in_pieces_are_read() {
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        drop(stream.read(&mut vec![0; 4096]).await);
        for byte in text.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let asked = Get { address, host: "s", path: "/", tls: None, headers: HeaderMap::new(), limits: &LIMITS };
    let response = get(asked).await.unwrap();
    assert_eq!((response.status, &*response.body, response.is_cut), (200, &b"ok"[..], false));
}

#[tokio::test]
async fn a_response_that_is_not_http_is_a_failure() {
    for text in [
        "<html>hello</html>",
        "hello",
        "HTTP/0.9 200 OK\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 xxx OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\na\0: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        "\x15\x03\x01\x00\x02\x02\x46",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        assert_eq!(asked(sends(text)).await, Err(Failure::Unreadable), "{text:?}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_first_is_not_http() {
    for text in ["SSH-2.0-OpenSSH_9.6\r\n", "220 mail.example ESMTP\r\n", "\x4a\0\0\0\x0a8.0.36\0"] {
        let failure = asked(sends(text).without_reading().end(End::StayOpen)).await;
        assert_eq!(failure, Err(Failure::Unreadable), "{text:?}");
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_the_first_byte_is_reset_and_later_it_is_broken() {
    for (what, behaviour, expected) in [
        ("closed", sends(""), Failure::Reset),
        ("reset", sends("").end(End::Reset), Failure::Reset),
        ("reset before the request", sends("").without_reading().end(End::Reset), Failure::Reset),
        ("closed in the head", sends("HTTP/1.1 200 OK\r\nx: "), Failure::Broken),
        ("closed in the first line", sends("HTTP/1."), Failure::Broken),
        ("closed after a hint", sends("HTTP/1.1 100 Continue\r\n\r\n"), Failure::Broken),
    ] {
        assert_eq!(asked(behaviour).await, Err(expected), "{what}");
    }
}

#[tokio::test]
async fn a_port_without_a_server_refuses_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let asked = Get { address, host: "s", path: "/", tls: None, headers: HeaderMap::new(), limits: &LIMITS };
    assert_eq!(get(asked).await, Err(Failure::Refused));
}

#[tokio::test]
async fn a_connection_that_nobody_accepts_is_a_connect_timeout() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // The kernel accepts connections until its queue is full.
    let mut waiting = Vec::new();
    while let Ok(stream) = connector::connect(address, SHORT).await {
        waiting.push(stream);
        assert!(waiting.len() < 64);
    }
    let limits = Limits { connect: SHORT, ..LIMITS };
    let asked = Get { address, host: "s", path: "/", tls: None, headers: HeaderMap::new(), limits: &limits };
    assert_eq!(get(asked).await, Err(Failure::ConnectTimeout));
}

#[test]
fn the_errors_of_a_connection_are_told_apart() {
    // The error numbers of Linux.
    for (code, expected) in [
        (111, Failure::Refused),
        (110, Failure::ConnectTimeout),
        (104, Failure::Reset),
        (113, Failure::NoConnection(io::ErrorKind::HostUnreachable)),
        (101, Failure::NoConnection(io::ErrorKind::NetworkUnreachable)),
    ] {
        assert_eq!(of_connection(io::Error::from_raw_os_error(code).kind()), expected);
    }
}

use std::sync::{Arc, Mutex};

use crd_types::PortRef;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::*;

const BODY: &str =
    r#"{"version": "0.45.0", "toolsets": [{"name": "discovered-revision-00112233", "status": "enabled"}]}"#;

/// A server that reads one request, sends these pieces with pauses between them, and then closes the connection or
/// leaves it open.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    _tasks: JoinSet<()>,
}

impl Server {
    async fn start(pieces: Vec<Vec<u8>>, pause: Duration, stays_open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (mut tasks, seen) = (JoinSet::new(), requests.clone());
        tasks.spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = vec![0; 4096];
                let read = stream.read(&mut buffer).await.unwrap_or_default();
                seen.lock().unwrap().push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                for piece in &pieces {
                    if stream.write_all(piece).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(pause).await;
                }
                if stays_open {
                    std::future::pending::<()>().await;
                }
            }
        });
        Self { address, requests, _tasks: tasks }
    }

    async fn answering(answer: &str) -> Self {
        Self::start(vec![answer.as_bytes().to_vec()], Duration::ZERO, false).await
    }

    async fn asked(&self, key: Option<&str>, total: Duration) -> Result<Answer, Failure> {
        let key = key.map(|key| HeaderValue::from_str(key).unwrap());
        let access = Access { service: "holmes-holmes".to_owned(), port: PortRef::Number(80), key, tls: None };
        let service = NamespacedName::new("holmes", "holmes-holmes");
        ask(self.address, &service, &access, &BTreeSet::new(), total).await
    }
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

const SOON: Duration = Duration::from_secs(10);

#[tokio::test]
async fn the_request_has_the_services_name_and_the_key_and_nothing_of_the_process() {
    let server = Server::answering(&ok(BODY)).await;
    let answer = server.asked(Some("the-key"), SOON).await.unwrap();
    assert_eq!(answer.revisions, BTreeSet::from(["00112233".to_owned()]));
    server.asked(None, SOON).await.unwrap();
    let requests = server.requests.lock().unwrap().clone();
    let lines: Vec<&str> = requests[0].split("\r\n").filter(|line| !line.is_empty()).collect();
    assert_eq!(lines[0], "GET /api/info?detail=full HTTP/1.1");
    let mut headers: Vec<&str> = lines[1..].to_vec();
    headers.sort_unstable();
    let agent = format!("user-agent: toolset-operator/{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        headers,
        [
            "accept-encoding: identity",
            "accept: application/json",
            "connection: close",
            "host: holmes-holmes.holmes.svc",
            &agent,
            "x-api-key: the-key"
        ]
    );
    assert!(!requests[1].contains("x-api-key"));
}

#[tokio::test]
async fn what_is_not_an_answer_has_a_reason_without_its_text() {
    let redirect = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n";
    let declared = "HTTP/1.1 200 OK\r\ncontent-length: 2000000\r\n\r\n{";
    let header = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(40_000));
    let headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: a\r\n".repeat(200));
    let gzip = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\u{1f}\u{b}\u{8}\u{0}";
    for (what, answer, expected) in [
        (
            "a wrong key",
            "HTTP/1.1 401 Unauthorized\r\ncontent-length: 6\r\n\r\nsecret",
            Failure::Unauthorized { has_key: true },
        ),
        (
            "a service mesh",
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 19\r\n\r\nRBAC: secret denied",
            Failure::Status(403),
        ),
        ("a redirect", redirect, Failure::Status(302)),
        ("no route", "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", Failure::Status(404)),
        ("an error", "HTTP/1.1 500 X\r\ncontent-length: 6\r\n\r\nsecret", Failure::Status(500)),
        ("a declared size", declared, Failure::TooLarge),
        ("a large header", &header, Failure::TooLarge),
        ("many headers", &headers, Failure::TooLarge),
        ("compressed", gzip, Failure::Unreadable),
        ("a page", &ok("<html>secret</html>"), Failure::Unreadable),
        ("another object", &ok("{}"), Failure::Unreadable),
        ("another protocol", "SSH-2.0-OpenSSH\r\n", Failure::Unreadable),
        ("half an answer", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", Failure::Broken),
        ("nothing", "", Failure::Broken),
    ] {
        let failure = Server::answering(answer).await.asked(Some("k"), SOON).await.unwrap_err();
        assert_eq!(failure, expected, "{what}");
        assert!(!failure.to_string().contains("secret"), "{what}: {failure}");
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_read_up_to_the_limit() {
    let mut pieces = vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()];
    pieces.extend((0..64).map(|_| vec![b' '; 64 * 1024]));
    let server = Server::start(pieces, Duration::ZERO, true).await;
    assert_eq!(server.asked(None, SOON).await, Err(Failure::TooLarge));
}

#[tokio::test]
async fn a_server_that_hangs_or_sends_a_byte_at_a_time_is_given_up() {
    let total = Duration::from_millis(300);
    let silent = Server::start(vec![], Duration::ZERO, true).await;
    assert_eq!(silent.asked(None, total).await, Err(Failure::Timeout(total)));
    let text = ok(BODY);
    let slow = Server::start(text.bytes().map(|byte| vec![byte]).collect(), Duration::from_millis(20), true).await;
    assert_eq!(slow.asked(None, total).await, Err(Failure::Timeout(total)));
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let access = Access { service: "s".to_owned(), port: PortRef::Number(80), key: None, tls: None };
    let asked = ask(address, &NamespacedName::new("n", "s"), &access, &BTreeSet::new(), SOON).await;
    assert_eq!(asked, Err(Failure::Refused));
}

#[test]
fn the_reason_of_a_missing_connection_is_shown_as_it_is() {
    let shown = |failure| of_dial(failure, SOON).to_string();
    assert_eq!(
        shown(http::Failure::Refused),
        "refuses the connection; check the port of the Service and the NetworkPolicies"
    );
    assert_eq!(
        shown(http::Failure::ConnectTimeout),
        "does not accept a connection within 5 s; check the NetworkPolicies"
    );
    let unreachable = http::Failure::NoConnection(io::ErrorKind::HostUnreachable);
    assert_eq!(shown(unreachable), "cannot be reached: host unreachable");
    let forbidden = Failure::Status(403).to_string();
    assert!(forbidden.contains("service mesh") && !forbidden.contains("key"), "{forbidden}");
}

/// The certificate of an authority, and what it has signed for `holmes-holmes.holmes.svc`, with the key. Both are valid until
/// 2120 and used by tests only.
const AUTHORITY: &[u8] = include_bytes!("../../dial/tls/test-ca.pem");
const AGENT: &[u8] = include_bytes!("../../dial/tls/test-server.pem");

/// A server that speaks TLS and answers one request after the other.
async fn tls_server() -> (SocketAddr, JoinSet<()>) {
    let certificates = CertificateDer::pem_slice_iter(AGENT).collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(AGENT).unwrap();
    let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(certificates, key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, mut tasks) = (listener.local_addr().unwrap(), JoinSet::new());
    tasks.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            drop(stream.read(&mut vec![0; 4096]).await);
            drop(stream.write_all(ok(BODY).as_bytes()).await);
            drop(stream.shutdown().await);
        }
    });
    (address, tasks)
}

/// Asks the Service at that address, and trusts who this authority has signed.
async fn asked_with_tls(address: SocketAddr, service: &str, authority: &[u8]) -> Result<Answer, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(authority).filter_map(Result::ok));
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let tls = Some(Arc::new(builder.with_no_client_auth()));
    let access = Access { service: service.to_owned(), port: PortRef::Number(443), key: None, tls };
    ask(address, &NamespacedName::new("holmes", service), &access, &BTreeSet::new(), SOON).await
}

#[tokio::test]
async fn with_tls_the_certificate_must_be_that_of_the_service() {
    let (address, _tasks) = tls_server().await;
    assert!(asked_with_tls(address, "holmes-holmes", AUTHORITY).await.is_ok());
    let other = asked_with_tls(address, "another", AUTHORITY).await.unwrap_err();
    assert!(matches!(other, Failure::Certificate(why) if why.contains("not valid for the name")), "{other}");
    // The agent's own certificate is no authority.
    let unknown = asked_with_tls(address, "holmes-holmes", AGENT).await;
    assert!(matches!(unknown, Err(Failure::Certificate(_))), "{unknown:?}");
    let none = asked_with_tls(address, "holmes-holmes", b"").await;
    assert!(matches!(none, Err(Failure::Certificate(why)) if why.contains("caSecret")), "{none:?}");
    let plain = Server::answering(&ok(BODY)).await;
    assert_eq!(asked_with_tls(plain.address, "holmes-holmes", AUTHORITY).await, Err(Failure::Tls));
}

use std::{net::SocketAddr, time::Duration};

use axum::http::HeaderMap;
use rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, pem::PemObject as _},
    server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::dial::http::{self, Failure, Get, Limits, Response};

/// A certificate for another host, its key, and its issuer.
const SERVER: &[u8] = include_bytes!("test-server.pem");
const AUTHORITY: &[u8] = include_bytes!("test-ca.pem");

const LIMITS: Limits = Limits {
    connect: Duration::from_secs(60),
    total: Duration::from_secs(60),
    head: 16 * 1024,
    headers: 64,
    body: 4096,
};

/// Presents the same bytes to every client, whether they are a certificate or not.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        assert_eq!(hello.server_name(), Some("s.n.svc"), "the name is sent");
        assert!(hello.alpn().is_none(), "HTTP/2 is not offered");
        Some(Arc::clone(&self.0))
    }
}

fn key(certificate: &[u8]) -> Shows {
    let key = ring::sign::any_supported_type(&PrivateKeyDer::from_pem_slice(SERVER).unwrap()).unwrap();
    Shows(Arc::new(CertifiedKey::new(vec![CertificateDer::from(certificate.to_vec())], key)))
}

fn certificate() -> Vec<u8> {
    CertificateDer::from_pem_slice(SERVER).unwrap().to_vec()
}

fn server(versions: &[&'static SupportedProtocolVersion], shows: Shows) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(ring::default_provider().into());
    let builder = builder.with_protocol_versions(versions).unwrap().with_no_client_auth();
    builder.with_cert_resolver(Arc::new(shows))
}

/// The result of a request to a server that runs this function for every connection.
async fn asked<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> Result<Response, Failure> {
    asked_within(LIMITS.total, serve).await
}

async fn asked_within<F: Future<Output = ()> + Send>(
    total: Duration,
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> Result<Response, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let mut task = JoinSet::new();
    task.spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream).await;
        }
    });
    let tls = Some(unverified().unwrap());
    http::get(Get {
        address,
        host: "s.n.svc",
        path: "/",
        tls,
        headers: HeaderMap::new(),
        limits: &Limits { total, ..LIMITS },
    })
    .await
}

/// The status code of a server with this TLS configuration.
async fn asked_over(config: ServerConfig) -> Result<u16, Failure> {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let response = asked(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            drop(stream.read(&mut vec![0; 4096]).await);
            drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await);
            drop(stream.shutdown().await);
        }
    });
    response.await.map(|response| response.status)
}

#[tokio::test]
async fn every_certificate_is_accepted_even_a_malformed_one() {
    for versions in [&[&TLS12][..], &[&TLS13]] {
        for shown in [&certificate()[..], b"not a certificate", b""] {
            assert_eq!(asked_over(server(versions, key(shown))).await, Ok(200), "{versions:?} {shown:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_requires_a_client_certificate_is_recognised() {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(AUTHORITY).unwrap()).unwrap();
    for versions in [&[&TLS12][..], &[&TLS13]] {
        let provider = Arc::new(ring::default_provider());
        let wants = WebPkiClientVerifier::builder_with_provider(roots.clone().into(), provider.clone());
        let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
        let config = builder.with_client_cert_verifier(wants.build().unwrap());
        let rejected = asked_over(config.with_cert_resolver(Arc::new(key(&certificate())))).await;
        assert_eq!(rejected, Err(Failure::Tls(TlsFailure::NoClientCertificate)), "{versions:?}");
    }
}

#[tokio::test]
async fn too_many_session_tickets_end_the_connection() {
    let mut config = server(&[&TLS13], key(&certificate()));
    config.send_tls13_tickets = 4000;
    assert_eq!(asked_over(config).await, Err(Failure::Tls(TlsFailure::Malformed)), "rustls ends it");
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_a_server_that_closes_the_connection() {
    async fn answers(mut stream: TcpStream, with: &'static [u8]) {
        drop(stream.read(&mut vec![0; 4096]).await);
        drop(stream.write_all(with).await);
        drop(stream.shutdown().await);
    }
    for (with, expected) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], Failure::Tls(TlsFailure::Malformed)),
        (b"\x16", Failure::Tls(TlsFailure::Malformed)),
        (b"\x15\x03\x03\x00\x02\x02\x28", Failure::Tls(TlsFailure::NoClientCertificate)),
        // internal_error, which a server without a certificate sends.
        (b"\x15\x03\x03\x00\x02\x02\x50", Failure::Tls(TlsFailure::Rejected)),
        (b"", Failure::Reset),
    ] {
        assert_eq!(asked(move |stream| answers(stream, with)).await, Err(expected), "{with:?}");
    }
}

#[tokio::test]
async fn a_handshake_of_any_size_ends() {
    // A handshake message of 16 MiB, in records.
    async fn floods(mut stream: TcpStream) {
        drop(stream.read(&mut vec![0; 4096]).await);
        drop(stream.write_all(b"\x16\x03\x03\x40\x00\x02\xff\xff\xff").await);
        while stream.write_all(&[0; 4096]).await.is_ok() {}
    }
    let failure = asked(floods).await.unwrap_err();
    assert!(matches!(failure, Failure::Tls(TlsFailure::Malformed) | Failure::TooLarge), "{failure:?}");
}

#[tokio::test]
async fn a_handshake_that_does_not_end_takes_no_longer_than_the_total_limit() {
    async fn hangs(stream: TcpStream) {
        std::future::pending::<()>().await;
        drop(stream);
    }
    async fn stops(mut stream: TcpStream) {
        stream.write_all(b"\x16\x03\x03\x00\x7a\x02").await.unwrap();
        hangs(stream).await;
    }
    let short = Duration::from_secs(1);
    assert_eq!(asked_within(short, hangs).await, Err(Failure::Timeout));
    assert_eq!(asked_within(short, stops).await, Err(Failure::Timeout));
}

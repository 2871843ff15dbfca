//! TLS between the service and the database. The PostgreSQL of the tests is built without it, so a proxy speaks TLS for it.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, ensure};
use datastorage::store::{Settings, Store, StoreError, Tls};
use e2e::datastorage::{Database, SERVICE};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use std::time::Duration;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// The message with which a client of PostgreSQL asks for TLS: its length and a number.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A database behind a proxy that insists on TLS, with a certificate for one name.
struct Secured {
    database: Database,
    port: u16,
    folder: TempDir,
}

impl Secured {
    async fn start(name: &str) -> Result<Self> {
        let database = Database::fresh().await?;
        let folder = tempfile::tempdir()?;
        let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let mut ca = CertificateParams::new(Vec::new())?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);
        let certificate = CertificateParams::new(vec![name.to_owned()])?.signed_by(&key, &issuer)?;
        std::fs::write(folder.path().join("ca.pem"), ca_certificate.pem())?;
        let stranger = CertificateParams::new(Vec::new())?.self_signed(&KeyPair::generate()?)?;
        std::fs::write(folder.path().join("stranger.pem"), stranger.pem())?;
        std::fs::write(folder.path().join("empty.pem"), "nothing")?;

        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let target = database.port();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, acceptor.clone(), target));
            }
        });
        Ok(Self { database, port, folder })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether a statement gets through.
    async fn read(&self, tls: Tls, ca: Option<&str>) -> Result<(), StoreError> {
        let store = Store::new(&Settings {
            url: self.database.url_at(SERVICE, self.port),
            password_file: None,
            ca: ca.map(|name| self.file(name)),
            tls,
            connections: 3,
            schema: "datastorage".to_owned(),
            query_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(10),
        })?;
        let client = store.read().await?;
        client.query_one("SELECT seq FROM chain_head", &[]).await?;
        client.done();
        Ok(())
    }
}

/// Answers the request for TLS and passes everything else on.
async fn serve(mut client: TcpStream, acceptor: TlsAcceptor, target: u16) -> Result<()> {
    let mut request = [0; 8];
    client.read_exact(&mut request).await?;
    ensure!(request == SSL_REQUEST, "the client speaks without TLS");
    client.write_all(b"S").await?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
    copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}

fn refusal(result: Result<(), StoreError>) -> Result<String> {
    Ok(result.err().context("it is accepted")?.to_string())
}

#[tokio::test]
async fn verify_full_accepts_the_certificate_of_the_ca_for_the_name_and_no_other() -> Result<()> {
    let right = Secured::start("127.0.0.1").await?;
    right.read(Tls::VerifyFull, Some("ca.pem")).await?;
    let stranger = refusal(right.read(Tls::VerifyFull, Some("stranger.pem")).await)?;
    assert!(stranger.contains("certificate"), "{stranger}");

    let other_name = Secured::start("another.example").await?;
    let name = refusal(other_name.read(Tls::VerifyFull, Some("ca.pem")).await)?;
    assert!(name.contains("not valid for name"), "{name}");
    Ok(())
}

#[tokio::test]
async fn require_encrypts_and_does_not_look_at_the_certificate() -> Result<()> {
    Secured::start("another.example").await?.read(Tls::Require, None).await?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_insists_on_tls_gets_nothing_without_it() -> Result<()> {
    refusal(Secured::start("127.0.0.1").await?.read(Tls::Disable, None).await)?;
    Ok(())
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_named() -> Result<()> {
    let secured = Secured::start("127.0.0.1").await?;
    let missing = refusal(secured.read(Tls::VerifyFull, None).await)?;
    assert!(missing.contains("--database-ca"), "{missing}");
    for file in ["empty.pem", "absent.pem"] {
        let error = refusal(secured.read(Tls::VerifyFull, Some(file)).await)?;
        assert!(error.contains("--database-ca") && error.contains(file), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_needed() -> Result<()> {
    let database = Database::fresh().await?;
    let store = Store::new(&Settings {
        url: database.url(SERVICE),
        password_file: None,
        ca: None,
        tls: Tls::Require,
        connections: 3,
        schema: "datastorage".to_owned(),
        query_timeout: Duration::from_secs(5),
        write_timeout: Duration::from_secs(10),
    })?;
    let error = store.read().await.err().context("it is accepted")?.to_string();
    assert!(error.contains("TLS"), "{error}");
    Ok(())
}

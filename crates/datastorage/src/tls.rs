//! The certificates of the API. They are read again when their files change, so that a renewed certificate needs no restart.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, Result};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// How often a new connection looks whether the files have changed.
const LOOK: Duration = Duration::from_secs(1);

/// A certificate chain and its key, from two files.
pub struct Certificates {
    files: Files,
    current: Mutex<Current>,
}

struct Files {
    cert: PathBuf,
    key: PathBuf,
}

struct Current {
    config: Arc<ServerConfig>,
    /// When the files changed that were read last, whether they could be used or not.
    stamp: Stamp,
    looked: Instant,
}

#[derive(PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

impl Certificates {
    /// Reads both files.
    pub fn read(cert: &Path, key: &Path) -> Result<Self> {
        let files = Files { cert: cert.to_owned(), key: key.to_owned() };
        let current = Current { stamp: files.stamp(), config: Arc::new(files.read()?), looked: Instant::now() };
        Ok(Self { files, current: Mutex::new(current) })
    }

    /// What a new connection uses. If the files have changed and cannot be used, this is logged once, and the former
    /// certificates stay.
    pub fn current(&self) -> Arc<ServerConfig> {
        self.at(Instant::now())
    }

    fn at(&self, now: Instant) -> Arc<ServerConfig> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_duration_since(current.looked) >= LOOK {
            current.looked = now;
            let stamp = self.files.stamp();
            if stamp != current.stamp {
                current.stamp = stamp;
                match self.files.read() {
                    Ok(config) => {
                        current.config = Arc::new(config);
                        tracing::info!(file = %self.files.cert.display(), "the certificate was read again");
                    }
                    Err(error) => {
                        tracing::warn!(error = %format!("{error:#}"), "cannot use the new certificate; the service \
                            still uses the previous one");
                    }
                }
            }
        }
        Arc::clone(&current.config)
    }
}

impl Files {
    /// Secrets of Kubernetes are links to folders that are swapped as a whole: the metadata are those of the new files.
    fn stamp(&self) -> Stamp {
        Stamp([&self.cert, &self.key].map(|file| {
            let metadata = fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        }))
    }

    fn read(&self) -> Result<ServerConfig> {
        let name = |flag: &str, file: &Path| format!("cannot use {flag} {}", file.display());
        let chain = CertificateDer::pem_file_iter(&self.cert)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| name("--tls-cert", &self.cert))?;
        let key = PrivateKeyDer::from_pem_file(&self.key).with_context(|| name("--tls-key", &self.key))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .with_context(|| name("--tls-cert", &self.cert))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use rustls::{ClientConfig, RootCertStore};
    use tokio::net::{TcpListener, TcpStream};
    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    const A: &str = include_str!("tls/test-a.pem");
    const B: &str = include_str!("tls/test-b.pem");

    /// Whether a client that trusts only this certificate accepts the one of the server.
    async fn trusts(certificate: &str, server: Arc<ServerConfig>) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            TlsAcceptor::from(server).accept(stream).await.is_ok()
        });
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let client = client.with_root_certificates(roots).with_no_client_auth();
        let stream = TcpStream::connect(address).await.unwrap();
        let connected =
            TlsConnector::from(Arc::new(client)).connect("localhost".try_into().unwrap(), stream).await.is_ok();
        accepted.await.unwrap() && connected
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_used_without_a_restart_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tls.pem");
        fs::write(&file, A).unwrap();
        let certificates = Certificates::read(&file, &file).unwrap();
        let start = Instant::now();
        assert!(trusts(A, certificates.at(start)).await);
        assert!(!trusts(B, certificates.at(start)).await);

        fs::write(&file, format!("{B}\n")).unwrap();
        assert!(trusts(A, certificates.at(start)).await, "the files are not read with every connection");
        assert!(trusts(B, certificates.at(start + LOOK * 2)).await);

        fs::write(&file, "broken").unwrap();
        assert!(trusts(B, certificates.at(start + LOOK * 4)).await);
        fs::remove_file(&file).unwrap();
        assert!(trusts(B, certificates.at(start + LOOK * 6)).await);
        fs::write(&file, A).unwrap();
        assert!(trusts(A, certificates.at(start + LOOK * 8)).await);
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
        let error = || format!("{:#}", Certificates::read(&cert, &key).err().unwrap());
        assert!(error().contains("--tls-cert"), "{}", error());
        fs::write(&cert, A).unwrap();
        assert!(error().contains("--tls-key"), "{}", error());
        fs::write(&key, B).unwrap();
        assert!(error().contains("tls.crt"), "{}", error());
    }
}

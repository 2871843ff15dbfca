//! One request to the service. It follows no redirect and reads no more of an answer than it must.

use std::{
    error::Error,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{ConfigError, Endpoint, config::Timing};

/// The largest body of an answer: 100 results with problems.
const MOST_BODY: usize = 1024 * 1024;

type Http = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// The connection to the service, made again when the CA file changes.
pub(crate) struct Connection {
    endpoint: Endpoint,
    token_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    /// The content of the CA file that `http` was made with.
    ca: Vec<u8>,
    /// `None` until the CA file has been read once.
    http: Option<Http>,
}

/// An answer, as far as it was read.
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Why there is no answer, in words. It holds nothing that the service sent.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Connection {
    pub(crate) fn new(
        endpoint: Endpoint,
        token_file: Option<PathBuf>,
        ca_file: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let http = match &ca_file {
            // It is read before the first request, because it may appear later.
            Some(_) => None,
            None if endpoint.is_https() => return Err(ConfigError::CaNeeded),
            None => Some(http(RootCertStore::empty())?),
        };
        Ok(Self { endpoint, token_file, ca_file, ca: Vec::new(), http })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends one body. The caller limits the time.
    pub(crate) async fn post(&mut self, body: Bytes) -> Result<Response, Failure> {
        let http = self.renewed()?;
        let request = self.request(body)?;
        let response = http.request(request).await.map_err(|error| Failure(causes(&error)))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST_BODY).collect().await.map_err(|error| Failure(causes(&*error)))?;
        Ok(Response { status: parts.status, headers: parts.headers, body: body.to_bytes() })
    }

    /// A client that trusts the CA file as it is now. While the file cannot be used, the certificates that were read
    /// last are trusted.
    fn renewed(&mut self) -> Result<Http, Failure> {
        let found = self.ca_file.as_ref().map(|path| read_roots(path, &self.ca));
        match found {
            Some(Ok(Some((ca, roots)))) => {
                let http = http(roots).map_err(|error| Failure(error.to_string()))?;
                (self.ca, self.http) = (ca, Some(http));
            }
            Some(Err(failure)) if self.http.is_none() => return Err(failure),
            Some(Ok(None) | Err(_)) | None => {}
        }
        self.http.clone().ok_or_else(|| Failure("the CA file is not set".to_owned()))
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(self.endpoint.batch());
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers
            .insert(header::USER_AGENT, HeaderValue::from_static(concat!("audit-client/", env!("CARGO_PKG_VERSION"))));
        if let Some(path) = &self.token_file {
            let unusable = |why: &dyn fmt::Display| Failure(format!("cannot use token file {}: {why}", path.display()));
            // A few bytes of a volume in memory: not worth a thread.
            let token = fs::read_to_string(path).map_err(|error| unusable(&error))?;
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| unusable(&"it does not contain a token"))?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// The certificates of a CA file, if it is not as it was.
fn read_roots(path: &Path, before: &[u8]) -> Result<Option<(Vec<u8>, RootCertStore)>, Failure> {
    let unusable = |why: &dyn fmt::Display| Failure(format!("cannot use CA file {}: {why}", path.display()));
    let ca = fs::read(path).map_err(|error| unusable(&error))?;
    if ca == before {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&ca).filter_map(Result::ok).collect();
    let (added, _) = roots.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(unusable(&"it contains no certificate in PEM form"));
    }
    Ok(Some((ca, roots)))
}

fn http(roots: RootCertStore) -> Result<Http, rustls::Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let timing = Timing::default();
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(timing.request / 2));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(timing.longest_pause)
        .pool_max_idle_per_host(1)
        .build(connector))
}

/// An error and what caused it, in one line.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        cause = error.source();
    }
    text.lines().next().unwrap_or_default().chars().take(500).collect()
}

//! `POST {url}/v1/embeddings`, as text-embeddings-inference, vLLM and Ollama answer it.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use serde::{Deserialize, Serialize};

use crate::{EmbeddingError, Settings, SetupError};

/// The most bytes of a number in an answer, with its comma.
const BYTES_OF_A_NUMBER: usize = 32;
/// The most bytes of everything else in an answer.
const BYTES_AROUND: usize = 64 << 10;
/// How long to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection without requests is kept.
const IDLE: Duration = Duration::from_secs(30);

/// Asks the provider.
#[derive(Debug)]
pub(crate) struct Requests {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Uri,
    pub(crate) model: String,
    pub(crate) dimensions: usize,
    token_file: Option<PathBuf>,
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    input: &'a [&'a str],
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

impl Requests {
    pub(crate) fn new(settings: &Settings) -> Result<Self, SetupError> {
        let bad = |error: &dyn Error| SetupError::Url(error.to_string());
        let url = format!("{}/v1/embeddings", settings.url.trim_end_matches('/'));
        let url: Uri = url.parse().map_err(|error: http::uri::InvalidUri| bad(&error))?;
        let secure = match url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(SetupError::Url("it must begin with http:// or https://".to_owned())),
        };
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls(secure, settings.ca.as_deref())?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Self {
            client,
            url,
            model: settings.model.clone(),
            dimensions: settings.dimensions,
            token_file: settings.token_file.clone(),
        })
    }

    /// The vectors of `texts` in their order, with the length 1. The caller limits the time.
    pub(crate) async fn send(&self, texts: &[&str]) -> Result<Vec<Arc<[f32]>>, EmbeddingError> {
        let failed = |reason: String| EmbeddingError::Failed(reason);
        let response = self.client.request(self.request(texts)?).await.map_err(|error| failed(causes(&error)))?;
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY) => {
                return Err(EmbeddingError::Refused(format!("it answered {status}")));
            }
            status => return Err(failed(format!("it answered {status}"))),
        }
        let most = BYTES_AROUND + texts.len() * self.dimensions * BYTES_OF_A_NUMBER;
        let body = Limited::new(response.into_body(), most).collect().await;
        let body = body.map_err(|error| failed(format!("cannot read its response: {}", causes(&*error))))?;
        let answer: Answer = serde_json::from_slice(&body.to_bytes())
            .map_err(|error| failed(format!("its response is not the expected JSON: {error}")))?;
        self.check(answer, texts.len()).map_err(failed)
    }

    fn request(&self, texts: &[&str]) -> Result<Request<Full<Bytes>>, EmbeddingError> {
        let body = serde_json::to_vec(&Body { model: &self.model, input: texts })
            .map_err(|error| EmbeddingError::Failed(error.to_string()))?;
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        request.uri_mut().clone_from(&self.url);
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(path) = &self.token_file {
            headers.insert(header::AUTHORIZATION, authorization(path)?);
        }
        Ok(request)
    }

    /// The vectors by their indexes. A vector that is not what the table needs is an error of the whole answer: a provider that
    /// is set up wrongly must not fill the table half.
    fn check(&self, answer: Answer, texts: usize) -> Result<Vec<Arc<[f32]>>, String> {
        let mut vectors = vec![None; texts];
        for Item { index, embedding } in answer.data {
            let Some(place) = vectors.get_mut(index) else {
                return Err(format!(
                    "its response has a vector with index {index}, but the number of texts is {texts}"
                ));
            };
            if embedding.len() != self.dimensions {
                let (found, wanted) = (embedding.len(), self.dimensions);
                return Err(format!(
                    "its vectors have {found} dimensions, and {wanted} are required; correct the name of the model or the \
                     number of dimensions"
                ));
            }
            let Some(vector) = unit(&embedding) else {
                return Err("its response has a vector of length 0".to_owned());
            };
            if place.replace(vector).is_some() {
                return Err(format!("its response has two vectors with index {index}"));
            }
        }
        let found = vectors.iter().flatten().count();
        vectors
            .into_iter()
            .collect::<Option<_>>()
            .ok_or_else(|| format!("its response has only {found} of {texts} vectors"))
    }
}

/// The vector with the length 1, so that numbers of half precision can hold it. None if it has no direction, because it is
/// zero or not finite.
fn unit(vector: &[f32]) -> Option<Arc<[f32]>> {
    let length = vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() || length < f64::from(f32::MIN_POSITIVE) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, reason = "each number is at most 1, and its precision is that of f32")]
    Some(vector.iter().map(|x| (f64::from(*x) / length) as f32).collect())
}

fn tls(secure: bool, ca: Option<&Path>) -> Result<ClientConfig, SetupError> {
    let bad = |reason: String| SetupError::Certificates(reason);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(error.to_string()))?;
    let builder = match ca {
        Some(path) => {
            let bad = |reason: String| bad(format!("{}: {reason}", path.display()));
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(error.to_string()))? {
                let certificate = certificate.map_err(|error| bad(error.to_string()))?;
                roots.add(certificate).map_err(|error| bad(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(bad("it contains no certificate".to_owned()));
            }
            builder.with_root_certificates(roots)
        }
        None if secure => builder.with_native_roots().map_err(|error| bad(error.to_string()))?,
        None => builder.with_root_certificates(RootCertStore::empty()),
    };
    Ok(builder.with_no_client_auth())
}

/// The token as it is now: Kubernetes renews it in its file. A few bytes of a volume in memory are not worth a thread.
fn authorization(path: &Path) -> Result<HeaderValue, EmbeddingError> {
    let unusable = |why: &str| EmbeddingError::Failed(format!("cannot use the token file {}: {why}", path.display()));
    let token = fs::read_to_string(path).map_err(|error| unusable(&error.to_string()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .map_err(|_| unusable("it does not contain a token"))?;
    value.set_sensitive(true);
    Ok(value)
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
    text
}

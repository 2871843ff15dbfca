//! What a client needs to know.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use audit::Event;
use http::{Uri, uri::PathAndQuery};

use crate::Lost;

/// The configuration of a client.
pub struct Config {
    /// The service.
    pub endpoint: Endpoint,
    /// The file with the bearer token. It is read before every request, because the kubelet replaces it.
    pub token_file: Option<PathBuf>,
    /// The file with the certificates that sign the service's. `https` needs it. It is read again when it changes.
    pub ca_file: Option<PathBuf>,
    /// The maximum number of waiting records.
    pub queue_records: usize,
    /// The maximum size of all waiting records in bytes.
    pub queue_bytes: usize,
    /// Pauses and limits.
    pub timing: Timing,
    /// Makes the record about records that were lost.
    pub lost_record: Box<dyn Fn(&Lost) -> Event + Send + Sync>,
}

impl Config {
    /// The configuration for a service, with 1,024 records and 16 MiB of queue.
    pub fn new(endpoint: Endpoint, lost_record: impl Fn(&Lost) -> Event + Send + Sync + 'static) -> Self {
        Self {
            endpoint,
            token_file: None,
            ca_file: None,
            queue_records: 1_024,
            queue_bytes: 16 * 1024 * 1024,
            timing: Timing::default(),
            lost_record: Box::new(lost_record),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Pauses and limits of time.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long the first record of a batch waits for others.
    pub collect: Duration,
    /// The timeout of a request, from the connection to the last byte of the response.
    pub request: Duration,
    /// The first pause after a failure; it doubles with each further failure.
    pub first_pause: Duration,
    /// The maximum pause, even if the service requests a longer one.
    pub longest_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            collect: Duration::from_secs(1),
            request: Duration::from_secs(10),
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// Why a configuration cannot work.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The URL is not usable.
    #[error(
        "{0:?} is not the URL of a service; expected http://host or https://host, with a port and a path if needed"
    )]
    Url(String),
    /// There is nothing to check the service's certificate with.
    #[error("an https URL needs a file with the certificates of its CA")]
    CaNeeded,
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// The URL of a service: `http` or `https`, a host, and a path before the API's own if a proxy adds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    batch: Uri,
}

impl Endpoint {
    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.batch.scheme_str() == Some("https")
    }

    /// Where batches are sent.
    pub(crate) fn batch(&self) -> &Uri {
        &self.batch
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.batch.authority().map_or("", |authority| authority.as_str());
        write!(f, "{}://{host}", self.batch.scheme_str().unwrap_or_default())
    }
}

impl FromStr for Endpoint {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        // The text before an `@` may hold a password, so it is not repeated.
        let shown = text.rsplit_once('@').map_or(text, |(_, host)| host);
        let bad = || ConfigError::Url(shown.chars().take(256).collect());
        let uri: Uri = text.parse().map_err(|_| bad())?;
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@')).ok_or_else(bad)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.query().is_some() || authority.host().is_empty() {
            return Err(bad());
        }
        let path = format!("{}/api/v1/audit/events/batch", uri.path().trim_end_matches('/'));
        let mut parts = uri.into_parts();
        parts.path_and_query = Some(PathAndQuery::from_maybe_shared(path).map_err(|_| bad())?);
        Ok(Self { batch: Uri::from_parts(parts).map_err(|_| bad())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_url_without_credentials_and_without_a_query() {
        for (text, batch) in [
            ("http://localhost:8080", "http://localhost:8080/api/v1/audit/events/batch"),
            ("https://data-storage.audit.svc/", "https://data-storage.audit.svc/api/v1/audit/events/batch"),
            ("https://[::1]:8443/proxy/", "https://[::1]:8443/proxy/api/v1/audit/events/batch"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().batch().to_string(), batch);
        }
        for text in ["", "data-storage:8080", "ftp://host", "http://", "/path", "http://h/?q=1", "http://h h"] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        let error = "http://u:hunter2@host".parse::<Endpoint>().unwrap_err().to_string();
        assert!(!error.contains("hunter2"), "{error}");
    }
}

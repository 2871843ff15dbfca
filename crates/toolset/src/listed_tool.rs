//! A tool as it is read back from a written file.

use crd_types::Trust;
use detectors::{Product, ServiceKey};

use crate::endpoint::Endpoint;

/// A tool as the output lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListedTool {
    /// Its Service. `None` if it is from `spec.tools` or from the base file.
    pub(crate) key: Option<ServiceKey>,
    /// The URL that is written.
    pub(crate) url: String,
    /// The types that it can be of, with the free name of a `Custom` one. More than one if the output does not say which.
    pub(crate) types: Vec<(Product, Option<String>)>,
    /// How far its source was trusted. `None` if the output does not say it.
    pub(crate) trust: Option<Trust>,
    /// Whether it carries credentials.
    pub(crate) credentials: bool,
}

impl ListedTool {
    /// The Service of a URL under this domain.
    pub(crate) fn service_of(url: &str, cluster_domain: &str) -> Option<ServiceKey> {
        let endpoint = Endpoint::of_url(url).ok()?;
        let own = endpoint.host.strip_suffix(cluster_domain)?.strip_suffix(".svc.")?;
        own.split_once('.').map(|(name, namespace)| ServiceKey::new(namespace, name))
    }

    /// Adds what another file says about the same tool.
    pub(crate) fn add(&mut self, other: &Self) {
        if other.types.len() == 1 || self.types.is_empty() {
            self.types.clone_from(&other.types);
        }
        self.trust = self.trust.or(other.trust);
        self.credentials |= other.credentials;
    }

    /// Its name in messages.
    pub(crate) fn in_words(&self) -> String {
        self.key.as_ref().map_or_else(|| self.url.clone(), ToString::to_string)
    }
}

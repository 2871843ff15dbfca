//! Authentication and authorization of clients.
//!
//! A token is a static read-only token from a file, or the token of a ServiceAccount. The API server checks the latter
//! with a `TokenReview`, and its permissions with a `SubjectAccessReview` of the resource
//! `auditrecords.datastorage.kubernaut.io`. This resource needs no CustomResourceDefinition. The answers are cached for
//! a short time. The key of the cache is an HMAC of the token, never the token itself.

mod answers;
mod api_server;
mod expiry;
mod identity;
mod kubernetes;
mod read_tokens;

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use kube::Client;

pub use self::{
    api_server::connect,
    identity::{Identity, Verb},
    read_tokens::ReadTokens,
};
use self::{identity::Who, kubernetes::Kubernetes};
use crate::{limits::Sources, metrics::Metrics, store::Scope};

/// The maximum length of a token. Tokens of ServiceAccounts have about 1,000 bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No token, or one that is not valid.
    #[error("the request has no valid token")]
    Unauthorized,
    /// The token is valid, but it does not have the permission.
    #[error(
        "the identity is not allowed to {verb} auditrecords.datastorage.kubernaut.io in {}",
        Place(.namespace.as_deref())
    )]
    Forbidden {
        /// The missing verb.
        verb: Verb,
        /// The namespace. None is the whole cluster.
        namespace: Option<String>,
    },
    /// Too many requests without a valid token from this address.
    #[error("too many requests without a valid token")]
    TooMany,
    /// The API server cannot be asked.
    #[error("the service cannot check the token and its permissions, because the API server is unavailable")]
    Unavailable,
}

impl AuthError {
    /// When to ask again, if that can help.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany => Some(Sources::RETRY_AFTER),
            Self::Unavailable => Some(kubernetes::RETRY_AFTER),
            Self::Unauthorized | Self::Forbidden { .. } => None,
        }
    }

    /// One of [`crate::metrics::AUTH_RESULTS`].
    fn result(&self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::TooMany => "too_many",
            Self::Unavailable => "unavailable",
        }
    }
}

/// A namespace or the whole cluster, in words.
struct Place<'a>(Option<&'a str>);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(namespace) => write!(f, "namespace {namespace}"),
            None => f.write_str("all namespaces"),
        }
    }
}

/// Identifies clients and checks their permissions. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

enum Inner {
    /// `--auth=none`: every client on a loopback address has all permissions.
    None,
    Tokens(Box<Tokens>),
}

struct Tokens {
    kubernetes: Kubernetes,
    readers: Option<ReadTokens>,
    sources: Sources,
    metrics: Arc<Metrics>,
}

impl Auth {
    /// `--auth=none`: every client has all permissions. Use it only with loopback addresses.
    pub fn none() -> Self {
        Self { inner: Arc::new(Inner::None) }
    }

    /// `--auth=kubernetes`: the API server of `client` reviews tokens with the `audience`. `readers` are the static
    /// tokens.
    ///
    /// Fails if the operating system provides no random numbers.
    pub fn kubernetes(
        client: Client,
        audience: &str,
        readers: Option<ReadTokens>,
        metrics: Arc<Metrics>,
    ) -> anyhow::Result<Self> {
        let kubernetes = Kubernetes::new(client, audience, kubernetes::Times::default())?;
        Ok(Self::with(kubernetes, readers, metrics))
    }

    fn with(kubernetes: Kubernetes, readers: Option<ReadTokens>, metrics: Arc<Metrics>) -> Self {
        let tokens = Tokens { kubernetes, readers, sources: Sources::new(), metrics };
        Self { inner: Arc::new(Inner::Tokens(Box::new(tokens))) }
    }

    /// Whether every client has all permissions, because of `--auth=none`.
    pub fn is_none(&self) -> bool {
        matches!(*self.inner, Inner::None)
    }

    /// Identifies a client. `bearer` is the token from the header `Authorization`, and `peer` is the address of the
    /// connection.
    ///
    /// A token that was valid some seconds ago is not reviewed again. Concurrent requests with the same token share one
    /// review. While the API server is unavailable, a token stays valid for five minutes, but not longer than until it
    /// expires.
    pub async fn identify(&self, bearer: Option<&str>, peer: IpAddr) -> Result<Identity, AuthError> {
        match &*self.inner {
            Inner::None => Ok(Identity::anonymous()),
            Inner::Tokens(tokens) => {
                let identified = tokens.identify(bearer, peer).await;
                tokens.metrics.auth(identified.as_ref().map_or_else(AuthError::result, |_| "authenticated"));
                identified
            }
        }
    }

    /// Fails if `identity` does not have the permission in the namespace. `None` means all namespaces. It is also
    /// required for records without a namespace and for records of other clusters.
    pub async fn require(&self, identity: &Identity, verb: Verb, namespace: Option<&str>) -> Result<(), AuthError> {
        let Inner::Tokens(tokens) = &*self.inner else { return Ok(()) };
        let allowed = tokens.allows(identity, verb, namespace).await;
        tokens.counted(allowed.and_then(|allowed| if allowed { Ok(()) } else { Err(forbidden(verb, namespace)) }))
    }

    /// Whether `identity` has the permission in the namespace. This check refuses nothing, so the metrics do not count
    /// a refusal.
    pub async fn may(&self, identity: &Identity, verb: Verb, namespace: Option<&str>) -> Result<bool, AuthError> {
        let Inner::Tokens(tokens) = &*self.inner else { return Ok(true) };
        tokens.allows(identity, verb, namespace).await
    }

    /// The records that `identity` can read with `verb`. If it has the permission for all namespaces, these are all
    /// records, even if the request is for one namespace. Otherwise, they are the records of this namespace, or of the
    /// namespaces of a static token. Fails if there are none.
    ///
    /// The scope limits which records the client can see. The query additionally filters by the namespace of the
    /// request.
    pub async fn scope(&self, identity: &Identity, verb: Verb, namespace: Option<&str>) -> Result<Scope, AuthError> {
        match &*self.inner {
            Inner::None => Ok(Scope::Cluster),
            Inner::Tokens(tokens) => tokens.counted(tokens.scope(identity, verb, namespace).await),
        }
    }
}

impl Tokens {
    async fn identify(&self, bearer: Option<&str>, peer: IpAddr) -> Result<Identity, AuthError> {
        let Some(token) = bearer.filter(|token| plausible(token)) else { return Err(self.refuse(peer)) };
        if let Some(tokens) = &self.readers
            && let Some(reader) = tokens.find(token).await
        {
            return Ok(Identity::reader(reader));
        }
        let token = self.kubernetes.token(token);
        if !self.kubernetes.knows(&token) && !self.sources.may_review(peer) {
            return Err(AuthError::TooMany);
        }
        match self.kubernetes.user(&token).await {
            Ok(Some(user)) => Ok(Identity::user(user)),
            Ok(None) => Err(self.refuse(peer)),
            Err(kubernetes::Unavailable) => Err(AuthError::Unavailable),
        }
    }

    /// Counts and logs a request without a valid token.
    fn refuse(&self, peer: IpAddr) -> AuthError {
        if self.sources.failed(peer) {
            tracing::warn!(%peer, "rejected a request without a valid token");
            AuthError::Unauthorized
        } else {
            AuthError::TooMany
        }
    }

    async fn allows(&self, identity: &Identity, verb: Verb, namespace: Option<&str>) -> Result<bool, AuthError> {
        match identity.who() {
            // No identity of this service: `--auth=none` is a service of its own.
            Who::Anonymous => Ok(false),
            Who::Reader(reader) => Ok(reader.may(verb, namespace)),
            Who::User(user) => self.kubernetes.allows(user, verb, namespace).await.map_err(AuthError::from),
        }
    }

    async fn scope(&self, identity: &Identity, verb: Verb, namespace: Option<&str>) -> Result<Scope, AuthError> {
        if let (Who::Reader(reader), None) = (identity.who(), namespace) {
            return reader.scope(verb).ok_or_else(|| forbidden(verb, None));
        }
        // While the API server is away, the old answer about the namespace can be there without one about the cluster.
        let whole = self.allows(identity, verb, None).await;
        match (whole, namespace) {
            (Ok(true), _) => Ok(Scope::Cluster),
            (Ok(false), None) => Err(forbidden(verb, None)),
            (Err(error), None) => Err(error),
            (_, Some(name)) if self.allows(identity, verb, namespace).await? => {
                Ok(Scope::Namespaces(vec![name.to_owned()]))
            }
            (_, Some(_)) => Err(forbidden(verb, namespace)),
        }
    }

    /// Counts what was refused. What was allowed counts once, as authenticated.
    fn counted<T>(&self, result: Result<T, AuthError>) -> Result<T, AuthError> {
        result.inspect_err(|error| self.metrics.auth(error.result()))
    }
}

impl From<kubernetes::Unavailable> for AuthError {
    fn from(_: kubernetes::Unavailable) -> Self {
        Self::Unavailable
    }
}

fn forbidden(verb: Verb, namespace: Option<&str>) -> AuthError {
    AuthError::Forbidden { verb, namespace: namespace.map(str::to_owned) }
}

/// Whether it can be a token at all: RFC 6750's characters.
fn plausible(token: &str) -> bool {
    let length = (1..=LONGEST_TOKEN).contains(&token.len());
    length && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte))
}

#[cfg(test)]
mod tests;

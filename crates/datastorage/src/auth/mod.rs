//! Who asks, and what they may do.
//!
//! A token is either one of the static read-only tokens of a file, or the API server reviews it (`TokenReview`) and what its
//! user may do (`SubjectAccessReview` of the resource `auditrecords.datastorage.kubernaut.io`, which needs no
//! CustomResourceDefinition). Answers are kept for a short time, by an HMAC of the token and never by the token itself.

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

/// The longest token that is looked at. The tokens of ServiceAccounts have about 1,000 bytes.
const LONGEST_TOKEN: usize = 8 * 1024;

/// Why somebody may not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No token, or one that is not valid.
    #[error("the request has no valid token")]
    Unauthorized,
    /// A valid token without the right.
    #[error("the identity may not {verb} auditrecords.datastorage.kubernaut.io in {}", Place(.namespace.as_deref()))]
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
    #[error("the API server cannot be asked who this is and what they may do")]
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
            None => f.write_str("the whole cluster"),
        }
    }
}

/// Decides who asks and what they may do. Cheap to clone.
#[derive(Clone)]
pub struct Auth {
    inner: Arc<Inner>,
}

enum Inner {
    /// `--auth=none`: everybody on loopback may do everything.
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
    /// `--auth=none`: everybody may do everything. Only for loopback addresses.
    pub fn none() -> Self {
        Self { inner: Arc::new(Inner::None) }
    }

    /// `--auth=kubernetes`: the API server that `client` leads to reviews tokens of the `audience`. `readers` may
    /// read besides.
    ///
    /// Fails if the system has no random numbers.
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

    /// Whether everybody may do everything, because of `--auth=none`.
    pub fn is_none(&self) -> bool {
        matches!(*self.inner, Inner::None)
    }

    /// Who asks. `bearer` is the token of the header `Authorization`, `peer` the address of the connection.
    ///
    /// A token that was valid some seconds ago is not reviewed again. Concurrent requests with one token share a review.
    /// While the API server is away, a token stays valid for five minutes, but never longer than it says itself.
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

    /// Fails unless `identity` has the right in the namespace. None is the whole cluster, also for records without a namespace
    /// and of other clusters.
    pub async fn require(&self, identity: &Identity, verb: Verb, namespace: Option<&str>) -> Result<(), AuthError> {
        let Inner::Tokens(tokens) = &*self.inner else { return Ok(()) };
        let allowed = tokens.allows(identity, verb, namespace).await;
        tokens.counted(allowed.and_then(|allowed| if allowed { Ok(()) } else { Err(forbidden(verb, namespace)) }))
    }

    /// Whether `identity` has the right in the namespace. Nothing is refused, so nothing counts as refused.
    pub async fn may(&self, identity: &Identity, verb: Verb, namespace: Option<&str>) -> Result<bool, AuthError> {
        let Inner::Tokens(tokens) = &*self.inner else { return Ok(true) };
        tokens.allows(identity, verb, namespace).await
    }

    /// What `identity` can read with `verb`: the whole cluster if it has this right, also if it asks for one namespace, or else
    /// this namespace, or else the namespaces of a static token. Fails if that is nothing.
    ///
    /// The scope is what may be seen, not what is asked for: a query for one namespace filters by it besides.
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
            tracing::warn!(%peer, "refused a request without a valid token");
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

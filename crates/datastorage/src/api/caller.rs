//! The client of a request, and the records that it can read.

use audit::problem::ProblemType;
use axum::extract::FromRequestParts;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::{HeaderMap, header, request::Parts};

use super::{App, Failure, Notes};
use crate::{
    auth::{Identity, Verb},
    server::Peer,
    store::{Namespaces, Scope},
};

/// The maximum number of concurrent reviews for one request.
const REVIEWS: usize = 8;

/// The client of a request. A handler with this argument has authenticated the request before it reads the body.
pub struct Caller {
    /// The identity of the client.
    pub identity: Identity,
    app: App,
    notes: Notes,
}

impl FromRequestParts<App> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        if app.auth.is_none() && !is_local(&parts.headers) {
            let detail = "without authentication, the service accepts only requests to localhost";
            return Err(Failure::new(ProblemType::Forbidden, detail));
        }
        let peer = parts.extensions.get::<Peer>().ok_or_else(|| Failure::internal("the request has no address"))?;
        let bearer = match parts.headers.get(header::AUTHORIZATION) {
            None => None,
            Some(value) => value.to_str().ok().and_then(|value| {
                let (scheme, token) = value.split_once(' ')?;
                scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
            }),
        };
        let identity = app.auth.identify(bearer, peer.0).await?;
        let notes = parts.extensions.get::<Notes>().cloned().unwrap_or_default();
        notes.identity(identity.name.clone());
        notes.keep(app.limits.enter(&identity.name)?);
        let allowance = app.limits.allowance(&identity.name);
        notes.allowance(allowance.clone());
        // For the body, which is read later.
        parts.extensions.insert(allowance);
        Ok(Self { identity, app: app.clone(), notes })
    }
}

impl Caller {
    /// Fails if the client does not have the permission in the namespace. `None` means all namespaces.
    pub async fn require(&self, verb: Verb, namespace: Option<&str>) -> Result<(), Failure> {
        Ok(self.app.auth.require(&self.identity, verb, namespace).await?)
    }

    /// Whether the client has the permission for all namespaces.
    pub async fn has_everywhere(&self, verb: Verb) -> Result<bool, Failure> {
        Ok(self.app.auth.may(&self.identity, verb, None).await?)
    }

    /// Whether the client has the permission in the namespace.
    pub async fn has(&self, verb: Verb, namespace: &str) -> Result<bool, Failure> {
        Ok(self.app.auth.may(&self.identity, verb, Some(namespace)).await?)
    }

    /// The records that a list can show. A client with the permission for all namespaces sees everything, even in a
    /// list of one namespace: the numbers of records, and records of other clusters in this namespace.
    pub async fn scope(&self, namespace: Option<&str>, cluster: Option<&str>) -> Result<Scope, Failure> {
        if cluster.is_some_and(|cluster| cluster != &*self.app.cluster) {
            self.require(Verb::List, None).await?;
        }
        Ok(self.app.auth.scope(&self.identity, Verb::List, namespace).await?)
    }

    /// Counts the request no longer as in flight, which it is otherwise until its answer is sent.
    pub fn release(&self) {
        self.notes.release();
    }

    /// What somebody sees of records that are found by something else than a namespace, for example a correlation, and whether
    /// there may be more. If nothing wider is granted, `namespaces` tells the namespaces of these records, and the caller sees
    /// those where they may list. The answer is the same whether there are no records or none that the caller may read.
    pub async fn scope_among(
        &self,
        cluster: Option<&str>,
        namespaces: impl Future<Output = Result<Namespaces, Failure>>,
    ) -> Result<(Scope, bool), Failure> {
        let refused = match self.scope(None, cluster).await {
            Err(failure) if failure.problem.r#type == ProblemType::Forbidden => failure,
            decided => return Ok((decided?, false)),
        };
        if cluster.is_some_and(|cluster| cluster != &*self.app.cluster) {
            return Err(refused);
        }
        let found = namespaces.await?;
        let readable = stream::iter(found.names)
            .map(async |namespace| Ok::<_, Failure>(self.has(Verb::List, &namespace).await?.then_some(namespace)))
            .buffered(REVIEWS)
            .try_filter_map(async |namespace| Ok(namespace))
            .try_collect()
            .await?;
        Ok((Scope::Namespaces(readable), found.truncated))
    }
}

/// Whether the request is to a name or an address of this machine, with or without a port. The page of a stranger can reach this
/// machine by a name of its own that leads to 127.0.0.1, and then read the answers.
fn is_local(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
    let host = authority.host();
    if host.eq_ignore_ascii_case("localhost") {
        return true;
    }
    let address = host.trim_start_matches('[').trim_end_matches(']');
    address.parse::<std::net::IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_names_and_addresses_of_this_machine_are_local() {
        let is_local = |host| is_local(&HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]));
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "127.1.2.3:1", "[::1]:8080", "[::1]"]
        {
            assert!(is_local(host), "{host}");
        }
        for host in
            ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "", "127.0.0.1.evil.example"]
        {
            assert!(!is_local(host), "{host}");
        }
        assert!(!super::is_local(&HeaderMap::new()));
    }
}

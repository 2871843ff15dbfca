//! What an HTTP request asks of the API server, and what became of it.

use axum::body::Bytes;
use http::{Method, Uri};
use serde_json::Value;
use tokio::time::Instant;

/// A request in the words of RBAC and of audit logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRequest {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'static str,
    /// The API group; empty for the core group and for paths outside the API.
    pub group: String,
    /// The resource in plural, with its subresource: `toolsetconfigs/status`. Empty for paths outside the API.
    pub resource: String,
    /// Empty for all namespaces and for what is in none.
    pub namespace: String,
    /// The object's name, also where a list or watch selects one object by `metadata.name`. Empty for the others.
    pub name: String,
    /// Whether it is a forced server-side apply.
    pub applies: bool,
}

impl ApiRequest {
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let parts: Vec<_> = uri.path().trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _version, rest @ ..] => ("", rest),
            ["apis", group, _version, rest @ ..] => (*group, rest),
            _ => ("", &[][..]),
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
            rest => ("", rest),
        };
        let (resource, name) = match rest {
            [] => (String::new(), ""),
            [resource] => ((*resource).to_owned(), ""),
            [resource, name] => ((*resource).to_owned(), *name),
            [resource, name, subresource, ..] => (format!("{resource}/{subresource}"), *name),
        };
        let query = uri.query().unwrap_or_default();
        let verb = verb(method, name, query);
        let name = if name.is_empty() { selected_name(query) } else { name.to_owned() };
        let applies = verb == "patch" && query.split('&').any(|part| part == "force=true");
        Self { verb, group: group.to_owned(), resource, namespace: namespace.to_owned(), name, applies }
    }

    /// Whether it is this verb on this resource.
    pub fn is(&self, verb: &str, resource: &str) -> bool {
        self.verb == verb && self.resource == resource
    }

    /// Whether it changes anything.
    pub fn writes(&self) -> bool {
        ["create", "update", "patch", "delete", "deletecollection"].contains(&self.verb)
    }
}

fn verb(method: &Method, name: &str, query: &str) -> &'static str {
    let watches = query.split('&').any(|part| part == "watch=true" || part == "watch=1");
    match method.as_str() {
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if name.is_empty() => "deletecollection",
        "DELETE" => "delete",
        _ if watches => "watch",
        _ if name.is_empty() => "list",
        _ => "get",
    }
}

/// The name in a field selector. Names of objects need no escapes; the `=` between is escaped or not.
fn selected_name(query: &str) -> String {
    let selector = query.split('&').find_map(|part| part.strip_prefix("fieldSelector=metadata.name"));
    let name = selector.and_then(|rest| rest.strip_prefix("%3D").or_else(|| rest.strip_prefix('=')));
    name.unwrap_or_default().to_owned()
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The client has this status, and of a watch every event that is there.
    Answered(u16),
    /// The client went away before it had an answer.
    Abandoned,
}

/// A request that has arrived at the proxy.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The request.
    pub request: ApiRequest,
    /// Its body, as the client sent it.
    pub body: Bytes,
    /// When the proxy had all of it.
    pub arrived: Instant,
    /// How and when it ended; `None` while the client waits.
    pub end: Option<(Instant, End)>,
}

impl Exchange {
    /// Whether the client has had an answer of success.
    pub fn succeeded(&self) -> bool {
        matches!(self.end, Some((_, End::Answered(200..300))))
    }

    /// The body as JSON; null if it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(method: &str, uri: &str) -> [String; 5] {
        let ApiRequest { verb, group, resource, namespace, name, .. } =
            ApiRequest::of(&method.parse().unwrap(), &uri.parse().unwrap());
        [verb.to_owned(), group, resource, namespace, name]
    }

    #[test]
    fn a_path_reads_as_rbac_has_it() {
        let cases = [
            ("PATCH", "/api/v1/namespaces/a/configmaps/c?force=true", ["patch", "", "configmaps", "a", "c"]),
            (
                "PATCH",
                "/apis/toolset.kubernaut.io/v1alpha1/namespaces/a/toolsetconfigs/c/status",
                ["patch", "toolset.kubernaut.io", "toolsetconfigs/status", "a", "c"],
            ),
            ("GET", "/api/v1/services?limit=500", ["list", "", "services", "", ""]),
            ("GET", "/api/v1/namespaces?watch=true", ["watch", "", "namespaces", "", ""]),
            ("GET", "/api/v1/namespaces/a", ["get", "", "namespaces", "", "a"]),
            (
                "PUT",
                "/apis/coordination.k8s.io/v1/namespaces/a/leases/l",
                ["update", "coordination.k8s.io", "leases", "a", "l"],
            ),
            ("POST", "/apis/events.k8s.io/v1/namespaces/a/events?", ["create", "events.k8s.io", "events", "a", ""]),
            ("GET", "/readyz", ["list", "", "", "", ""]),
        ];
        for (method, uri, expected) in cases {
            assert_eq!(parsed(method, uri), expected, "{method} {uri}");
        }
    }

    #[test]
    fn a_watch_of_one_object_has_its_name() {
        let uri = "/api/v1/namespaces/a/configmaps?&watch=true&fieldSelector=metadata.name%3Dc&resourceVersion=1";
        assert_eq!(parsed("GET", uri), ["watch", "", "configmaps", "a", "c"]);
    }
}

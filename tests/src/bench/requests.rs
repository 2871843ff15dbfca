//! The requests of a program, from the audit log of the API server.

use std::collections::BTreeMap;

use crate::controlplane::AuditedRequest;

/// Numbers of requests, by verb and resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Requests(BTreeMap<String, u32>);

impl Requests {
    /// All requests of a user except watches, which the audit log contains at their start and at their end.
    pub(super) fn of(user: &str, requests: &[AuditedRequest]) -> Self {
        Self::count(user, requests, |verb| verb != "watch")
    }

    /// The writes of a user.
    pub(super) fn writes_of(user: &str, requests: &[AuditedRequest]) -> Self {
        Self::count(user, requests, |verb| !matches!(verb, "get" | "list" | "watch"))
    }

    fn count(user: &str, requests: &[AuditedRequest], counts: impl Fn(&str) -> bool) -> Self {
        let mut numbers = BTreeMap::new();
        for request in requests.iter().filter(|request| request.user == user && counts(&request.verb)) {
            *numbers.entry(format!("{} {}", request.verb, request.resource)).or_default() += 1;
        }
        Self(numbers)
    }

    /// The number of all requests.
    pub(super) fn total(&self) -> u32 {
        self.0.values().sum()
    }

    /// The number of requests on a resource.
    pub(super) fn on(&self, resource: &str) -> u32 {
        let ours = self.0.iter().filter(|(request, _)| request.split(' ').next_back() == Some(resource));
        ours.map(|(_, number)| number).sum()
    }

    /// Requests per change, like `1.00 patch configmaps, 1.00 patch toolsetconfigs/status`, or `none`.
    pub(super) fn per(&self, changes: u32) -> String {
        let each =
            self.0.iter().map(|(request, number)| format!("{:.2} {request}", f64::from(*number) / f64::from(changes)));
        if self.0.is_empty() { "none".to_owned() } else { each.collect::<Vec<_>>().join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(user: &str, verb: &str, resource: &str) -> AuditedRequest {
        AuditedRequest {
            user: user.to_owned(),
            user_agent: String::new(),
            verb: verb.to_owned(),
            group: String::new(),
            resource: resource.to_owned(),
            namespace: String::new(),
            name: String::new(),
            code: 200,
        }
    }

    #[test]
    fn requests_are_counted_by_user_and_watches_are_not() {
        let log = [
            request("a", "patch", "configmaps"),
            request("a", "patch", "configmaps"),
            request("a", "patch", "toolsetconfigs/status"),
            request("a", "list", "services"),
            request("a", "watch", "services"),
            request("b", "patch", "configmaps"),
        ];
        assert_eq!(Requests::of("a", &log).total(), 4);
        let writes = Requests::writes_of("a", &log);
        assert_eq!((writes.total(), writes.on("configmaps"), writes.on("leases")), (3, 2, 0));
        assert_eq!(writes.per(2), "1.00 patch configmaps, 0.50 patch toolsetconfigs/status");
        assert_eq!(Requests::of("nobody", &log).per(1), "none");
    }
}

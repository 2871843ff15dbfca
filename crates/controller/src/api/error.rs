//! Why a request to the API server failed. Metrics, conditions and retries depend on it.

use std::{fmt, time::Duration};

use kube::core::Status;

/// A request that did not succeed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No answer in time. The request may or may not have been carried out.
    #[error("the API server did not respond within {} s", .0.as_secs_f32())]
    Timeout(Duration),
    /// This replica does not hold the lease, or its renewal is overdue. Nothing was sent.
    #[error("not sent, because this replica does not hold the Lease")]
    NotLeading,
    /// The API server refused, or could not be reached.
    #[error("{}", message(.0))]
    Api(#[source] kube::Error),
}

impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        Self::Api(error)
    }
}

impl Error {
    /// The kind of failure.
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Timeout(_) => Cause::Timeout,
            Self::NotLeading => Cause::NotLeading,
            Self::Api(error) => Cause::of(error),
        }
    }
}

/// The message of an error. kube's own message also contains the whole Status.
pub(crate) fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        kube::Error::Api(status) => format!("the API server responded with {} {}", status.code, status.reason),
        kube::Error::Service(source) => format!("cannot reach the API server: {}", innermost(&**source)),
        kube::Error::HyperError(source) => format!("the connection to the API server was lost: {}", innermost(source)),
        other => other.to_string(),
    }
}

/// The last link of an error's chain; the first ones only say "client error (Connect)".
fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

/// The kind of a failure. The set is closed, because it labels metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cause {
    /// RBAC or an admission plugin refused.
    Forbidden,
    /// The API server does not accept the credentials.
    Unauthorized,
    /// The object, or its kind, does not exist.
    NotFound,
    /// A uid or resource version does not match, another field manager owns a field, or the object to create exists.
    Conflict,
    /// The resource version is too old, so the next list starts over.
    Gone,
    /// The resource version is newer than the data of the API server, as after etcd was restored from a backup.
    Ahead,
    /// The API server finds the request invalid.
    Invalid,
    /// The namespace is being deleted. Not an error.
    Terminating,
    /// Too many requests.
    Throttled,
    /// The API server has an internal problem.
    Unavailable,
    /// No answer in time.
    Timeout,
    /// No connection, or it broke.
    Transport,
    /// The answer cannot be read.
    Decode,
    /// A watch ended too soon, without an error and without an event.
    Ended,
    /// Nothing was sent, because this replica does not hold the lease.
    NotLeading,
    /// Anything else.
    Other,
}

impl Cause {
    /// The kind of a client's error.
    pub(crate) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of_status(status),
            kube::Error::Auth(_) => Self::Unauthorized,
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Decode,
            kube::Error::HyperError(_) | kube::Error::Service(_) | kube::Error::ReadEvents(_) => Self::Transport,
            _ => Self::Other,
        }
    }

    /// The kind of a refusal.
    pub(crate) fn of_status(status: &Status) -> Self {
        // The admission plugin NamespaceLifecycle refuses with 403 and this cause.
        let has_cause = |reason: &str| {
            let mut causes = status.details.iter().flat_map(|details| &details.causes);
            causes.any(|cause| cause.reason == reason)
        };
        if has_cause("NamespaceTerminating") {
            return Self::Terminating;
        }
        // The code is that of a timeout, but another attempt with the same resource version does not help.
        if status.message.contains("Too large resource version") || has_cause("ResourceVersionTooLarge") {
            return Self::Ahead;
        }
        match status.code {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            409 => Self::Conflict,
            410 => Self::Gone,
            400 | 422 => Self::Invalid,
            429 => Self::Throttled,
            500..=599 => Self::Unavailable,
            _ => Self::Other,
        }
    }

    /// The kind of a watch's error.
    pub(crate) fn of_watch(error: &kube::runtime::watcher::Error) -> Self {
        use kube::runtime::watcher::Error;
        match error {
            Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => {
                Self::of(error)
            }
            Error::WatchError(status) => Self::of_status(status),
            Error::NoResourceVersion => Self::Decode,
        }
    }

    /// The value in metrics and log lines.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::Unauthorized => "Unauthorized",
            Self::NotFound => "NotFound",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Ahead => "ResourceVersionTooLarge",
            Self::Invalid => "Invalid",
            Self::Terminating => "NamespaceTerminating",
            Self::Throttled => "Throttled",
            Self::Unavailable => "Unavailable",
            Self::Timeout => "Timeout",
            Self::Transport => "Transport",
            Self::Decode => "Decode",
            Self::Ended => "Ended",
            Self::NotLeading => "NotLeading",
            Self::Other => "Other",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The message of a watch's error, in one line.
pub(crate) fn watch_message(error: &kube::runtime::watcher::Error) -> String {
    use kube::runtime::watcher::Error;
    match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => message(error),
        Error::WatchError(status) => status.message.clone(),
        Error::NoResourceVersion => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(json: serde_json::Value) -> Status {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_terminating_namespace_is_not_taken_for_missing_rights() {
        let rbac = status(serde_json::json!({"code": 403, "reason": "Forbidden", "message": "no"}));
        assert_eq!(Cause::of_status(&rbac), Cause::Forbidden);
        let terminating = status(serde_json::json!({
            "code": 403, "reason": "Forbidden", "message": "being terminated",
            "details": {"causes": [{"reason": "NamespaceTerminating", "message": "x", "field": "metadata.namespace"}]}
        }));
        assert_eq!(Cause::of_status(&terminating), Cause::Terminating);
    }

    #[test]
    fn a_resource_version_of_the_future_is_not_taken_for_a_timeout() {
        let too_large = status(serde_json::json!({
            "code": 504, "reason": "Timeout", "message": "Timeout: Too large resource version: 10, current: 5",
            "details": {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]}
        }));
        assert_eq!(Cause::of_status(&too_large), Cause::Ahead);
        let timeout = status(serde_json::json!({"code": 504, "reason": "Timeout", "message": "Timeout: later"}));
        assert_eq!(Cause::of_status(&timeout), Cause::Unavailable);
    }

    #[test]
    fn a_refusal_keeps_the_message_of_the_api_server() {
        let error = kube::Error::Api(Box::new(status(serde_json::json!({"code": 422, "message": "spec.x: wrong"}))));
        assert_eq!(Error::from(error).to_string(), "spec.x: wrong");
    }
}

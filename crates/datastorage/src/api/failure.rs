//! Errors of the API: what the client learns, and what only the log learns.

use std::time::Duration;

use audit::{
    FieldError, Reason,
    problem::{Problem, ProblemType},
};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use crate::{auth::AuthError, limits::Limited, store::StoreError, writer::WriteError};

/// When to ask again if nothing better is known.
const LATER: Duration = Duration::from_secs(5);

const NO_ANSWER: &str = "the database does not answer; try again later";
const NOT_WRITTEN: &str = "the service cannot write to the database; send the records again later with the same ids";

/// Why a request failed. The envelope around all handlers adds the path and the id of the request and writes it as
/// `application/problem+json`.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the client learns.
    pub problem: Box<Problem>,
    /// When to ask again.
    pub retry_after: Option<Duration>,
    /// What only the log learns, for example the error of the database.
    pub cause: Option<String>,
    /// The log has the cause already, in one line for all requests that fail for it.
    pub is_told: bool,
}

impl Failure {
    /// A failure of a type.
    pub fn new(r#type: ProblemType, detail: impl Into<String>) -> Self {
        Problem::new(r#type, detail).into()
    }

    /// One field of the request breaks a rule.
    pub fn field(field: &str, reason: Reason, message: impl Into<String>) -> Self {
        Problem::validation(vec![FieldError::new(field, reason, message)]).into()
    }

    /// A fault of the program. The client learns nothing of it.
    pub fn internal(cause: impl Into<String>) -> Self {
        let detail = "the service could not answer this request; search its log for the request id";
        Self::new(ProblemType::Internal, detail).because(cause)
    }

    /// The request reached its timeout.
    pub fn timeout() -> Self {
        Self::new(
            ProblemType::Timeout,
            "the request took longer than the limit; use a shorter time range or more filters, for example since",
        )
    }

    /// The record does not exist, or the client is not allowed to read it. The response is the same in both cases.
    pub fn no_record() -> Self {
        Self::new(ProblemType::NotFound, "the record does not exist, or you are not allowed to read it")
    }

    /// The same failure with a time after which a new try makes sense.
    #[must_use]
    pub fn after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// The same failure with a cause that the log has already.
    #[must_use]
    pub fn told(mut self, cause: impl Into<String>) -> Self {
        self.is_told = true;
        self.because(cause)
    }

    /// The same failure with a cause for the log.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), retry_after: None, cause: None, is_told: false }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { reason, retry_after } => {
                Self::new(ProblemType::DatabaseUnavailable, NO_ANSWER).because(reason).after(retry_after)
            }
            StoreError::Away { reason, retry_after } => {
                Self::new(ProblemType::DatabaseUnavailable, NO_ANSWER).told(reason).after(retry_after)
            }
            StoreError::Timeout => Self::timeout(),
            error @ StoreError::Database(_) => Self::internal(error.to_string()),
        }
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Full { retry_after } => {
                let detail = "too many records wait in the queue; send the records again later with the same ids";
                Self::new(ProblemType::TooManyRequests, detail).after(retry_after)
            }
            WriteError::Unavailable { reason, retry_after } => {
                Self::new(ProblemType::DatabaseUnavailable, NOT_WRITTEN).because(reason).after(retry_after)
            }
            WriteError::Away { reason, retry_after } => {
                Self::new(ProblemType::DatabaseUnavailable, NOT_WRITTEN).told(reason).after(retry_after)
            }
            WriteError::Timeout => {
                let detail =
                    "the service does not know whether it has stored the records; send them again with the same ids";
                Self::new(ProblemType::Timeout, detail)
            }
        }
    }
}

impl From<AuthError> for Failure {
    fn from(error: AuthError) -> Self {
        let failure = match &error {
            AuthError::Unauthorized => {
                Self::new(ProblemType::Unauthorized, "send a valid token in the header Authorization: Bearer")
            }
            AuthError::Forbidden { .. } => Self::new(
                ProblemType::Forbidden,
                format!(
                    "{error}; a RoleBinding (for one namespace) or a ClusterRoleBinding (for all namespaces) can \
                     grant it"
                ),
            ),
            AuthError::TooMany => {
                Self::new(ProblemType::TooManyRequests, format!("{error} from your address; try again later"))
            }
            AuthError::Unavailable => Self::new(ProblemType::AuthUnavailable, format!("{error}; try again later")),
        };
        Self { retry_after: error.retry_after(), ..failure }
    }
}

impl From<Limited> for Failure {
    fn from(limited: Limited) -> Self {
        Self::new(ProblemType::TooManyRequests, format!("{limited}; try again later")).after(limited.retry_after())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        let headers = response.headers_mut();
        let later = matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT);
        if let Some(after) = self.retry_after.or(later.then_some(LATER)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(in_seconds(after)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Whole seconds, rounded up: who comes earlier comes in vain.
fn in_seconds(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Verb;

    #[test]
    fn a_refusal_names_the_missing_verb_and_the_namespace() {
        let missing = |namespace: Option<&str>| {
            let error = AuthError::Forbidden { verb: Verb::List, namespace: namespace.map(str::to_owned) };
            Failure::from(error).problem.detail
        };
        let detail = missing(Some("prod"));
        assert!(detail.contains("list auditrecords.datastorage.kubernaut.io in namespace prod"), "{detail}");
        assert!(missing(None).contains("in all namespaces"));
    }

    #[test]
    fn what_can_pass_says_when_to_ask_again() {
        for kind in [ProblemType::Timeout, ProblemType::SearchUnavailable, ProblemType::AuthUnavailable] {
            assert_eq!(Failure::new(kind, "").into_response().headers()[header::RETRY_AFTER], "5");
        }
        assert!(!Failure::new(ProblemType::NotFound, "").into_response().headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn the_time_to_come_back_is_never_too_early() {
        let seconds = [0, 1, 999, 1_000, 1_001, 3_000].map(|ms| in_seconds(Duration::from_millis(ms)));
        assert_eq!(seconds, [1, 1, 1, 1, 2, 3]);
    }

    #[test]
    fn a_failure_of_the_database_is_for_the_log_only() {
        let error = StoreError::Unavailable { reason: "10.0.0.7 refused".into(), retry_after: Duration::from_secs(3) };
        let failure = Failure::from(error);
        assert!(!serde_json::to_string(&failure.problem).unwrap().contains("10.0.0.7"));
        assert_eq!(failure.cause.as_deref(), Some("10.0.0.7 refused"));
        assert_eq!(failure.into_response().headers()[header::RETRY_AFTER], "3");
    }
}

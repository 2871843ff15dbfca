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
        let detail = "the server could not answer this request; its log has the reason under this request id";
        Self::new(ProblemType::Internal, detail).because(cause)
    }

    /// The request took longer than it may.
    pub fn timeout() -> Self {
        Self::new(ProblemType::Timeout, "the request took longer than it may; narrow it, for example with since")
    }

    /// No such record, or none that the caller may read: the answer is the same.
    pub fn no_record() -> Self {
        Self::new(ProblemType::NotFound, "there is no such record, or you may not read it")
    }

    /// The same failure with a time after which a new try makes sense.
    #[must_use]
    pub fn after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
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
        Self { problem: Box::new(problem), retry_after: None, cause: None }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { reason, retry_after } => {
                Self::new(ProblemType::DatabaseUnavailable, "the database does not answer; try again later")
                    .because(reason)
                    .after(retry_after)
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
                let detail = "too many records wait to be written; send them again later with the same ids";
                Self::new(ProblemType::TooManyRequests, detail).after(retry_after)
            }
            WriteError::Unavailable { reason, retry_after } => {
                let detail = "the database cannot be written; send the records again later with the same ids";
                Self::new(ProblemType::DatabaseUnavailable, detail).because(reason).after(retry_after)
            }
            WriteError::Timeout => {
                let detail = "it is not known whether the records were written; send them again with the same ids";
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
            AuthError::Forbidden { .. } => Self::new(ProblemType::Forbidden, format!("{error}; a Role can grant it")),
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
            headers.insert(header::RETRY_AFTER, HeaderValue::from(after.as_secs().max(1)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
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
        assert!(missing(None).contains("in the whole cluster"));
    }

    #[test]
    fn what_can_pass_says_when_to_ask_again() {
        for kind in [ProblemType::Timeout, ProblemType::SearchUnavailable, ProblemType::AuthUnavailable] {
            assert_eq!(Failure::new(kind, "").into_response().headers()[header::RETRY_AFTER], "5");
        }
        assert!(!Failure::new(ProblemType::NotFound, "").into_response().headers().contains_key(header::RETRY_AFTER));
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

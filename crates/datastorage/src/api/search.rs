//! Search by words and by meaning.

use audit::problem::{Problem, ProblemType};
use axum::{Json, extract::State};

use super::{App, Caller, Failure, JsonBody, parameters::Parameters};
use crate::{
    metrics::Operation,
    search::{Answer, Query, SearchError, search},
};

/// `POST /api/v1/search`.
pub(super) async fn post(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
    body: JsonBody,
) -> Result<Json<Answer>, Failure> {
    parameters.finish()?;
    let query: Query = body.parse()?;
    let given = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
    let (namespace, cluster) = (given(&query.namespace), given(&query.cluster));
    let scope = caller.scope(namespace.as_deref(), cluster.as_deref()).await?;
    Ok(Json(app.query(&caller.identity.name, Operation::SemanticSearch, search(&app, scope, &query)).await?))
}

impl From<SearchError> for Failure {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Invalid(errors) => Problem::validation(errors).into(),
            SearchError::Unavailable(reason) => {
                let detail = "vectors are not available; use the mode text or hybrid, or try again later";
                Self::new(ProblemType::SearchUnavailable, detail).because(reason)
            }
            SearchError::Store(error) => error.into(),
        }
    }
}

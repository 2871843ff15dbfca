//! The newest record of the chain, for clients that keep it: if the records no longer lead to it, they were changed.

use axum::{Json, extract::State};

use super::{App, Caller, Failure, parameters::Parameters};
use crate::{auth::Verb, metrics::Operation, store::Checkpoint};

/// `GET /api/v1/audit/checkpoint`.
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    parameters: Parameters,
) -> Result<Json<Checkpoint>, Failure> {
    parameters.finish()?;
    caller.require(Verb::List, None).await?;
    Ok(Json(app.query(&caller.identity.name, Operation::Verify, app.store.checkpoint()).await?))
}

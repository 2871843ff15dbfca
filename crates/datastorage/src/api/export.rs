//! Exports: all records of a list as lines of JSON, with constant memory.
//!
//! The last line has the number of records and the SHA-256 of all lines before it. If it is missing, the export is not complete.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use audit::problem::ProblemType;
use axum::{
    body::{Body, Bytes},
    extract::State,
    response::{IntoResponse, Response},
};
use futures::stream;
use http::header;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{App, Caller, Failure, parameters::Parameters};
use crate::{
    limits::Permit,
    metrics::Operation,
    store::{Checkpoint, Filters, Reader, Scope, Start},
};

/// The maximum number of exports at the same time.
pub const AT_ONCE: usize = 2;
/// The maximum duration of an export. A slow client must not block the few exports that can run.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// The records of a page.
const PAGE: u16 = 500;

/// The last line of an export.
#[derive(Serialize)]
struct End<'a> {
    /// Null for clients that cannot read all namespaces.
    checkpoint: Option<&'a Checkpoint>,
    count: u64,
    sha256: String,
}

/// An export in progress.
struct Export {
    app: App,
    scope: Scope,
    filters: Filters,
    checkpoint: Checkpoint,
    after: Option<Uuid>,
    hash: Sha256,
    count: u64,
    stage: Stage,
    identity: Arc<str>,
    began: Instant,
    _one_of_few: OwnedSemaphorePermit,
    _only_one: Permit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Pages,
    End,
    Done,
}

/// `GET /api/v1/audit/export`.
pub(super) async fn get(
    State(app): State<App>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Failure> {
    let filters = parameters.filters(Timestamp::now());
    parameters.finish()?;
    let scope = caller.scope(filters.namespace.as_deref(), filters.cluster.as_deref()).await?;
    let only_one = app.limits.allowance(&caller.identity.name).export()?;
    let one_of_few = Arc::clone(&app.exports).try_acquire_owned().map_err(|_| {
        let detail = format!("{AT_ONCE} exports are in progress; try again when one of them has ended");
        Failure::new(ProblemType::TooManyRequests, detail).after(Duration::from_secs(10))
    })?;
    let checkpoint = app.query(&caller.identity.name, Operation::Export, app.store.checkpoint()).await?;
    let mut export = Export {
        app,
        scope,
        filters,
        checkpoint,
        after: None,
        hash: Sha256::new(),
        count: 0,
        stage: Stage::Pages,
        identity: Arc::clone(&caller.identity.name),
        began: Instant::now(),
        _one_of_few: one_of_few,
        _only_one: only_one,
    };
    // The first page decides about the status of the answer.
    let first = export.next().await?;
    let pages = stream::try_unfold((Some(first), export), |(first, mut export)| async move {
        let bytes = match first {
            Some(bytes) => bytes,
            // An error closes the connection, and the last line is missing.
            None => export.next().await.map_err(|failure| {
                tracing::warn!(cause = failure.cause, reason = failure.problem.detail, "an export ended early");
                io::Error::other(failure.problem.detail.clone())
            })?,
        };
        Ok::<_, io::Error>(bytes.map(|bytes| (bytes, (None, export))))
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response())
}

impl Export {
    /// The next lines. None after the last one.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.stage {
                Stage::Pages => {
                    let lines = self.page().await?;
                    if !lines.is_empty() {
                        return Ok(Some(lines));
                    }
                }
                Stage::End => {
                    self.stage = Stage::Done;
                    let hash: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
                    let checkpoint = matches!(self.scope, Scope::Cluster).then_some(&self.checkpoint);
                    let end = End { checkpoint, count: self.count, sha256: crate::store::hex(&hash) };
                    return Ok(Some(line(&end)?.into()));
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    async fn page(&mut self) -> Result<Bytes, Failure> {
        if self.began.elapsed() > LONGEST {
            let detail = "the export took longer than an hour; use a shorter time range with since and until";
            return Err(Failure::new(ProblemType::Timeout, detail));
        }
        let reader = Reader { scope: &self.scope, cluster: &self.app.cluster };
        let page = self.app.store.export_page(&reader, &self.filters, self.after, self.checkpoint.seq, PAGE);
        let page = self.app.query(&self.identity, Operation::Export, page).await?;
        match page.resume {
            Some(Start::Oldest(after)) => self.after = after,
            _ => self.stage = Stage::End,
        }
        let mut lines = Vec::new();
        for record in &page.records {
            lines.extend(line(record)?);
            self.count += 1;
        }
        self.hash.update(&lines);
        Ok(lines.into())
    }
}

fn line(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    let mut line = serde_json::to_vec(value).map_err(|error| Failure::internal(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

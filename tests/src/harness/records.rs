//! A service in the place of Data Storage, whose behaviour a test decides. It keeps what operators send it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::sleep};

use super::eventually;

/// How the service treats what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsBehaviour {
    /// It stores it at once.
    Stores,
    /// It stores it after half a second.
    StoresSlowly,
    /// It never answers.
    Hangs,
    /// It answers with this status.
    Answers(StatusCode),
}

#[derive(Clone, Default)]
struct Known(Arc<Mutex<(usize, Vec<Value>)>>);

impl Known {
    fn with<T>(&self, of: impl FnOnce(&mut (usize, Vec<Value>)) -> T) -> T {
        of(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A service in the place of Data Storage, which keeps the records. It ends with the value.
pub struct RecordsService {
    url: String,
    known: Known,
    task: JoinHandle<()>,
}

impl Drop for RecordsService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RecordsService {
    /// Starts it on a free port.
    pub async fn that(behaviour: RecordsBehaviour) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let known = Known::default();
        let router =
            Router::new().route("/api/v1/audit/events/batch", post(batch)).with_state((behaviour, known.clone()));
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) });
        Ok(Self { url, known, task })
    }

    /// The URL of a port where nobody listens.
    pub async fn absent() -> Result<String> {
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        Ok(format!("http://{address}"))
    }

    /// The URL for `--audit-url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The arguments of an operator that sends its records here.
    pub fn arguments(&self) -> Vec<String> {
        vec![format!("--audit-url={}", self.url)]
    }

    /// Waits until that many requests have arrived.
    pub async fn is_asked(&self, times: usize) -> Result<()> {
        eventually(&format!("{times} requests for records"), async || {
            let arrived = self.known.with(|known| known.0);
            ensure!(arrived >= times, "{arrived}");
            Ok(())
        })
        .await
    }

    /// Waits for a record with this action that meets a condition.
    pub async fn keeps(&self, action: &str, condition: impl Fn(&Value) -> bool) -> Result<Value> {
        eventually(&format!("a record of {action}"), async || {
            let records = self.known.with(|known| known.1.clone());
            let found = records.iter().find(|record| record["action_type"] == action && condition(record)).cloned();
            found.with_context(|| serde_json::to_string_pretty(&records).unwrap_or_default())
        })
        .await
    }
}

async fn batch(
    State((behaviour, known)): State<(RecordsBehaviour, Known)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, StatusCode> {
    known.with(|known| known.0 += 1);
    match behaviour {
        RecordsBehaviour::Stores => {}
        RecordsBehaviour::StoresSlowly => sleep(Duration::from_millis(500)).await,
        RecordsBehaviour::Hangs => std::future::pending().await,
        RecordsBehaviour::Answers(status) => return Ok((status, [(header::RETRY_AFTER, "1")]).into_response()),
    }
    let mut body: Value = serde_json::from_slice(&body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let mut events: Vec<Value> = body["events"].as_array_mut().map(std::mem::take).ok_or(StatusCode::BAD_REQUEST)?;
    let results: Vec<_> =
        events.iter().map(|event| json!({"event_id": event["event_id"], "status": "created"})).collect();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    for event in &mut events {
        event["authorization"] = json!(authorization);
    }
    known.with(|known| known.1.append(&mut events));
    let answer = json!({"created": results.len(), "duplicates": 0, "rejected": 0, "results": results});
    Ok(([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response())
}

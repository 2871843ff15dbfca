//! A client of the HTTP API.

use anyhow::{Context as _, Result, ensure};
use http::{HeaderMap, Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Event, contract};

/// A client with connections that it uses again. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: Client<HttpConnector, Full<axum::body::Bytes>>,
    port: u16,
    token: Option<String>,
}

/// An answer, complete.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status, such as 201.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// The answer to a record that is durable.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Written {
    /// The id, also of a record that came without one.
    pub event_id: String,
    /// The number in the order of recording. Only readers of the whole cluster see it.
    pub seq: Option<i64>,
    /// When it was written.
    pub recorded_at: String,
    /// Whether it had been written before.
    pub duplicate: bool,
}

/// A page of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    /// The records.
    pub items: Vec<Value>,
    /// Where the next page begins. None on the last page.
    pub next_cursor: Option<String>,
}

impl ApiClient {
    /// A client for a port of 127.0.0.1, without a token.
    pub fn new(port: u16) -> Self {
        let http = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(128).build_http();
        Self { http, port, token: None }
    }

    /// The same client with a token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Sends a request with a path and further headers, whatever they are. The answer may have any status, but it must be one
    /// of the OpenAPI document.
    pub async fn send(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer> {
        let mut request = Request::builder().method(&method).uri(self.url(path));
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let sent = self.http.request(request.body(Full::from(body))?).await;
        let answer = sent.with_context(|| format!("no answer to {method} {path}"))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.with_context(|| format!("the answer to {method} {path} is cut"))?;
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, body: body.to_bytes().to_vec() };
        contract::check(&method, path, &answer)?;
        Ok(answer)
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(Method::GET, path, &[], Vec::new()).await
    }

    /// POST of a JSON document.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer> {
        self.send(Method::POST, path, &[("content-type", "application/json")], serde_json::to_vec(body)?).await
    }

    /// Sends a record to be written. The answer may have any status.
    pub async fn post_event(&self, event: &Event) -> Result<Answer> {
        self.post("/api/v1/audit/events", event).await
    }

    /// Writes a record. Fails unless it is durable.
    pub async fn write(&self, event: &Event) -> Result<Written> {
        let answer = self.post_event(event).await?;
        ensure!([200, 201].contains(&answer.status), "a record was not written: {answer}");
        answer.json()
    }

    /// Writes records in one batch. Fails unless the service answers with a result for each of them.
    pub async fn write_batch(&self, events: &[Event]) -> Result<Value> {
        let result: Value =
            self.post("/api/v1/audit/events/batch", &json!({"events": events})).await?.require(200)?.json()?;
        let results = result["results"].as_array().map(Vec::len);
        ensure!(results == Some(events.len()), "{results:?} results for {} records", events.len());
        Ok(result)
    }

    /// A record. None if there is none.
    pub async fn record(&self, event_id: &str) -> Result<Option<Value>> {
        let answer = self.get(&format!("/api/v1/audit/events/{event_id}")).await?;
        if answer.status == 404 { Ok(None) } else { answer.require(200)?.json().map(Some) }
    }

    /// A page of the list. The query is that of a URL, without `?`.
    pub async fn list(&self, query: &str) -> Result<Page> {
        self.get(&format!("/api/v1/audit/events?{query}")).await?.require(200)?.json()
    }

    /// All pages of a list.
    pub async fn list_all(&self, query: &str) -> Result<Vec<Value>> {
        let mut page = self.list(query).await?;
        let mut all = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.list(&format!("{query}&cursor={cursor}")).await?;
            all.append(&mut page.items);
        }
        Ok(all)
    }

    /// Searches.
    pub async fn search(&self, request: &Value) -> Result<Value> {
        self.post("/api/v1/search", request).await?.require(200)?.json()
    }
}

impl Answer {
    /// Fails, with the body, if the status is another one.
    pub fn require(self, status: u16) -> Result<Self> {
        ensure!(self.status == status, "expected {status}, but the answer is {self}");
        Ok(self)
    }

    /// The body as JSON.
    pub fn json<T: for<'de> Deserialize<'de>>(&self) -> Result<T> {
        serde_json::from_slice(&self.body).with_context(|| format!("this is not the expected JSON: {self}"))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The problem of an error. Fails unless the answer has this status and this type, such as `validation-error`, in the
    /// content type for problems.
    pub fn problem(self, status: u16, kind: &str) -> Result<Value> {
        let answer = self.require(status)?;
        let content_type = answer.header("content-type").unwrap_or_default();
        ensure!(content_type == "application/problem+json", "the content type is {content_type}: {answer}");
        let problem: Value = answer.json()?;
        ensure!(problem["type"] == format!("urn:datastorage:problem:{kind}"), "another problem: {answer}");
        ensure!(problem["status"] == status, "the body has another status: {answer}");
        Ok(problem)
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.status, self.text())
    }
}

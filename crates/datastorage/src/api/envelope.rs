//! What is common to all answers: the id of the request, the headers, errors as problems, and a line in the log.

use std::{
    any::Any,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use audit::problem::{MEDIA_TYPE, Problem, ProblemType};
use axum::{
    Router,
    body::{Body, HttpBody as _},
    extract::{MatchedPath, Request},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument as _;
use uuid::Uuid;

use super::{Failure, sending::Sending};
use crate::{
    limits::{Allowance, Limited},
    server::SendBy,
};

/// Answers from this size on take memory that is counted.
const LARGE: u32 = 64 * 1024;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What handlers note about a request: for its line in the log, and what counts until its answer is sent.
#[derive(Clone, Default)]
pub struct Notes(Arc<Noted>);

#[derive(Default)]
struct Noted {
    id: OnceLock<Arc<str>>,
    identity: OnceLock<Arc<str>>,
    kind: OnceLock<&'static str>,
    allowance: OnceLock<Allowance>,
    kept: Mutex<Vec<Box<dyn Any + Send>>>,
}

impl Notes {
    /// Notes who asks.
    pub fn identity(&self, name: Arc<str>) {
        // The first note counts.
        let _ = self.0.identity.set(name);
    }

    /// The id of the request.
    pub fn id(&self) -> Option<&str> {
        self.0.id.get().map(|id| &**id)
    }

    /// Notes how much memory the answer may take.
    pub fn allowance(&self, allowance: Allowance) {
        let _ = self.0.allowance.set(allowance);
    }

    /// Keeps something until the answer is sent.
    pub fn keep(&self, kept: impl Any + Send) {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(kept));
    }

    /// Gives everything back that is kept.
    pub fn release(&self) {
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Notes the kind of the records.
    pub fn kind(&self, kind: &'static str) {
        let _ = self.0.kind.set(kind);
    }
}

/// Puts the envelope around all routes. It comes last, so that it sees every answer.
pub(super) fn around<S: Clone + Send + Sync + 'static>(routes: Router<S>) -> Router<S> {
    routes
        .fallback(|| async { Failure::new(ProblemType::NotFound, "this path does not exist") })
        .method_not_allowed_fallback(|| async {
            Failure::new(
                ProblemType::MethodNotAllowed,
                "this path does not support this method; the header Allow lists the supported methods",
            )
        })
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(envelope))
}

#[allow(clippy::needless_pass_by_value, reason = "the layer gives it away")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    Failure::internal(format!("panic: {text}")).into_response()
}

async fn envelope(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let trace_id = trace_id(request.headers()).map(str::to_owned);
    let trace_id = trace_id.as_deref();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let notes = Notes::default();
    let _ = notes.0.id.set(Arc::clone(&id));
    let send_by = request.extensions().get::<SendBy>().cloned();
    request.extensions_mut().insert(notes.clone());

    let span = tracing::info_span!("request", request_id = %id, trace_id);
    let mut response = next.run(request).instrument(span).await;

    if let Err(limited) = memory(&notes, &response) {
        response = Failure::from(limited).into_response();
    }
    let failure = failure(&response);
    let status = response.status();
    let (identity, kind) = (notes.0.identity.get().map(|name| &**name), notes.0.kind.get());
    let cause = failure.as_ref().and_then(|failure| failure.cause.as_deref());
    let is_told = failure.as_ref().is_some_and(|failure| failure.is_told);
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                request_id = %id, trace_id, identity, kind, %method, route, status = status.as_u16(), duration_ms, cause,
                "request answered"
            )
        };
    }
    match status.as_u16() {
        500.. if cause.is_some() && !is_told => log!(warn),
        // Many times a minute.
        _ if matches!(route, "/health" | "/ready" | "/metrics") => log!(debug),
        _ => log!(info),
    }
    if let Some(failure) = failure {
        write(&mut response, &failure.problem.at(path, &*id));
    }
    let mut response = response.map(|body| Body::new(Sending::new(body, notes, send_by)));
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    response
}

/// Takes memory for a large answer until it is sent. An answer without a length is a stream, which has little at a time.
fn memory(notes: &Notes, response: &Response) -> Result<(), Limited> {
    let length = response.body().size_hint().exact().and_then(|length| u32::try_from(length).ok()).unwrap_or(0);
    if length >= LARGE
        && let Some(allowance) = notes.0.allowance.get()
    {
        notes.keep(allowance.answer(length)?);
    }
    Ok(())
}

/// The failure of an answer: that of a handler, or what the router itself refused, for example a path that is not UTF-8.
fn failure(response: &Response) -> Option<Failure> {
    if let Some(failure) = response.extensions().get::<Failure>() {
        return Some(failure.clone());
    }
    let status = response.status();
    let is_plain =
        response.headers().get(header::CONTENT_TYPE).is_none_or(|kind| kind.as_bytes().starts_with(b"text/"));
    if !is_plain || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    let (r#type, detail) = match status {
        StatusCode::NOT_FOUND => (ProblemType::NotFound, "this path does not exist"),
        StatusCode::METHOD_NOT_ALLOWED => (ProblemType::MethodNotAllowed, "this path does not support this method"),
        StatusCode::PAYLOAD_TOO_LARGE => (ProblemType::PayloadTooLarge, "the body is too large"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (ProblemType::UnsupportedMediaType, "the body must be application/json"),
        status if status.is_client_error() => (ProblemType::ValidationError, "the request cannot be read"),
        _ => return Some(Failure::internal("the server failed")),
    };
    Some(Failure::new(r#type, detail))
}

/// Makes the problem the body of the answer. Other headers stay.
fn write(response: &mut Response, problem: &Problem) {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
}

/// The id that the client sent, if it has only harmless characters, or else a new one.
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let is_sane = |id: &&str| {
        (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(&b))
    };
    let sent = headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_sane);
    sent.map_or_else(|| Uuid::now_v7().to_string().into(), Into::into)
}

/// The id of the trace in the header `traceparent` of W3C Trace Context.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex = |text: &str, length: usize| {
        text.len() == length && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_valid = is_hex(version, 2) && version != "ff" && is_hex(id, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    (is_valid && id.bytes().any(|b| b != b'0')).then_some(id)
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn panics() {
        std::panic::panic_any("secret");
    }

    async fn ask(method: &str, path: &str, headers: &[(&str, &str)]) -> (Response<()>, Option<Problem>) {
        let routes = Router::new()
            .route("/fine", get(|| async { "fine" }))
            .route("/panics", get(panics))
            .route("/posts", post(|| async {}));
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = around(routes).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(parts, ()), serde_json::from_slice(&body).ok())
    }

    #[tokio::test]
    async fn an_unknown_path_and_a_wrong_method_are_problems() {
        let (answer, problem) = ask("GET", "/nothing?x=1", &[("x-request-id", "abc-1")]).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        let problem = problem.unwrap();
        assert_eq!(problem.r#type, ProblemType::NotFound);
        assert_eq!(problem.instance.as_deref(), Some("/nothing"));
        assert_eq!(problem.request_id.as_deref(), Some("abc-1"));
        let (answer, problem) = ask("DELETE", "/posts", &[]).await;
        assert_eq!(answer.status(), 405);
        assert_eq!(answer.headers()["allow"], "POST");
        assert_eq!(problem.unwrap().r#type, ProblemType::MethodNotAllowed);
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_its_text() {
        let (answer, problem) = ask("GET", "/panics", &[]).await;
        assert_eq!(answer.status(), 500);
        let problem = problem.unwrap();
        assert_eq!(problem.r#type, ProblemType::Internal);
        assert!(!problem.detail.contains("secret"));
    }

    #[tokio::test]
    async fn every_answer_has_its_id_and_is_not_stored_by_caches() {
        let (answer, _) = ask("GET", "/fine", &[]).await;
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers()["x-request-id"].len(), 36);
    }

    #[test]
    fn an_id_with_strange_characters_is_replaced() {
        let of = |id: &'static str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID.clone(), HeaderValue::from_static(id))]);
            request_id(&headers).to_string()
        };
        assert_eq!(of("a:b/c-1"), "a:b/c-1");
        for bad in ["", "a b", "<x>", "a\"b"] {
            assert_ne!(of(bad), bad);
        }
    }

    #[test]
    fn only_a_valid_traceparent_names_a_trace() {
        let of = |text: &'static str| {
            let headers =
                HeaderMap::from_iter([(HeaderName::from_static("traceparent"), HeaderValue::from_static(text))]);
            trace_id(&headers).map(str::to_owned)
        };
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        assert_eq!(of("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").as_deref(), Some(id));
        for bad in [
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f",
            "",
        ] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}

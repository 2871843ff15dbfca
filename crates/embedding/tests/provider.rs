//! The provider against a server that answers, hangs, errs and lies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::post,
};
use embedding::{BATCH, EmbeddingError, Provider, Settings};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const TIMEOUT: Duration = Duration::from_secs(5);

/// How the server answers.
#[derive(Clone, Debug, Default)]
enum Behaviour {
    /// A vector for each text: its length, and 1.
    #[default]
    Right,
    /// Never.
    Hang,
    /// With a status.
    Status(u16),
    /// With this document.
    Document(Value),
    /// With so many bytes.
    Bytes(usize),
}

#[derive(Clone, Default)]
struct Server {
    behaviour: Arc<Mutex<Behaviour>>,
    requests: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

impl Server {
    async fn start() -> (Self, Settings) {
        let server = Self::default();
        let app = Router::new().route("/v1/embeddings", post(answer)).with_state(server.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let settings = Settings {
            url,
            model: "small".to_owned(),
            dimensions: 2,
            token_file: None,
            ca: None,
            cache_bytes: 1 << 20,
            cache_ttl: Duration::from_secs(3600),
        };
        (server, settings)
    }

    fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    /// How many texts each request had.
    fn sizes(&self) -> Vec<usize> {
        self.requests.lock().unwrap().iter().map(|(_, body)| body["input"].as_array().unwrap().len()).collect()
    }
}

async fn answer(State(server): State<Server>, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap();
    server.requests.lock().unwrap().push((headers, body));
    let behaviour = server.behaviour.lock().unwrap().clone();
    match behaviour {
        Behaviour::Right => {
            // Backwards, because the index counts and not the place.
            let data = texts.iter().enumerate().rev();
            let data: Vec<_> =
                data.map(|(index, text)| json!({"index": index, "embedding": [text.len(), 1.0]})).collect();
            Json(json!({"object": "list", "data": data, "model": "small"})).into_response()
        }
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Behaviour::Document(document) => Json(document).into_response(),
        Behaviour::Bytes(bytes) => " ".repeat(bytes).into_response(),
    }
}

fn failure(result: Result<embedding::Embedded, EmbeddingError>) -> String {
    match result {
        Err(EmbeddingError::Failed(reason)) => reason,
        other => panic!("expected a failure: {other:?}"),
    }
}

#[tokio::test]
async fn vectors_have_the_order_of_the_texts_and_the_length_one() {
    let (_server, settings) = Server::start().await;
    let embedded = Provider::new(&settings).unwrap().embed(&["abc", "a"], TIMEOUT).await.unwrap();
    for (vector, first) in embedded.vectors.iter().zip([3.0_f32, 1.0]) {
        assert!((vector[0] / vector[1] - first).abs() < 1e-6, "{vector:?}");
        assert!((vector[0].hypot(vector[1]) - 1.0).abs() < 1e-6, "{vector:?}");
    }
    assert_eq!(embedded.vectors.len(), 2);
    assert_eq!(embedded.cached, 0);
    assert!(embedded.took.is_some());
}

#[tokio::test]
async fn the_provider_gets_the_model_and_at_most_32_texts_at_a_time() {
    let (server, settings) = Server::start().await;
    let texts: Vec<_> = (0..70).map(|i| format!("text {i}")).collect();
    let texts: Vec<_> = texts.iter().map(String::as_str).collect();
    let embedded = Provider::new(&settings).unwrap().embed(&texts, TIMEOUT).await.unwrap();
    assert_eq!(embedded.vectors.len(), 70);
    assert_eq!(server.sizes(), [BATCH, BATCH, 6]);
    assert_eq!(server.requests.lock().unwrap()[0].1["model"], "small");
}

#[tokio::test]
async fn a_text_that_was_embedded_is_not_sent_again() {
    let (server, settings) = Server::start().await;
    let provider = Provider::new(&settings).unwrap();
    let first = provider.embed(&["a", "bb"], TIMEOUT).await.unwrap();
    let second = provider.embed(&["ccc", "bb"], TIMEOUT).await.unwrap();
    assert_eq!(second.vectors[1], first.vectors[1]);
    assert_eq!(second.cached, 1);
    assert_eq!(server.sizes(), [2, 1]);
    let third = provider.embed(&["a"], TIMEOUT).await.unwrap();
    assert_eq!((third.cached, third.took), (1, None));
}

#[tokio::test]
async fn the_token_is_read_for_each_request() {
    let (server, mut settings) = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    settings.token_file = Some(file.clone());
    let provider = Provider::new(&settings).unwrap();
    let reason = failure(provider.embed(&["a"], TIMEOUT).await);
    assert!(reason.contains("token file"), "{reason}");
    for token in ["one", "two"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        provider.embed(&[token], TIMEOUT).await.unwrap();
    }
    let requests = server.requests.lock().unwrap();
    let tokens: Vec<_> = requests.iter().map(|(headers, _)| headers["authorization"].to_str().unwrap()).collect();
    assert_eq!(tokens, ["Bearer one", "Bearer two"]);
}

#[tokio::test]
async fn vectors_that_the_table_cannot_hold_are_refused() {
    let (server, settings) = Server::start().await;
    let item = |index: usize, embedding: Value| json!({"index": index, "embedding": embedding});
    for (data, expected) in [
        (json!([item(0, json!([1.0, 2.0, 3.0]))]), "3 dimensions, and 2 are required"),
        (json!([item(0, json!([0.0, 0.0]))]), "a vector of length 0"),
        (json!([item(0, json!([null, 0.0]))]), "not the expected JSON"),
        (json!([item(1, json!([1.0, 2.0]))]), "index 1, but the number of texts is 1"),
        (json!([item(0, json!([1, 2])), item(0, json!([1, 2]))]), "two vectors with index 0"),
        (json!([]), "0 of 1 vectors"),
        (json!("sorry"), "not the expected JSON"),
    ] {
        server.behave(Behaviour::Document(json!({"data": data})));
        let reason = failure(Provider::new(&settings).unwrap().embed(&["a"], TIMEOUT).await);
        assert!(reason.contains(expected), "{reason}");
    }
    // It depends on how numbers are parsed whether this one is refused as a number or as a vector.
    server.behave(Behaviour::Document(json!({"data": [item(0, json!([1e300, 0.0]))]})));
    failure(Provider::new(&settings).unwrap().embed(&["a"], TIMEOUT).await);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let (server, settings) = Server::start().await;
    server.behave(Behaviour::Bytes(1 << 20));
    let reason = failure(Provider::new(&settings).unwrap().embed(&["a"], TIMEOUT).await);
    assert!(reason.contains("cannot read its response"), "{reason}");
}

#[tokio::test]
async fn five_failures_in_a_row_open_the_breaker_and_the_server_is_left_alone() {
    let (server, settings) = Server::start().await;
    let provider = Provider::new(&settings).unwrap();
    server.behave(Behaviour::Status(500));
    for _ in 0..5 {
        assert_eq!(failure(provider.embed(&["a"], TIMEOUT).await), "it answered 500 Internal Server Error");
    }
    assert!(provider.rest() > Duration::from_secs(29));
    let refused = provider.embed(&["a"], TIMEOUT).await;
    assert!(matches!(refused, Err(EmbeddingError::Open { failures: 5, .. })), "{refused:?}");
    assert_eq!(server.sizes().len(), 5);
}

#[tokio::test]
async fn a_provider_that_hangs_fails_after_the_timeout() {
    let (server, settings) = Server::start().await;
    server.behave(Behaviour::Hang);
    let start = Instant::now();
    let reason = failure(Provider::new(&settings).unwrap().embed(&["a"], Duration::from_millis(100)).await);
    assert_eq!(reason, "it did not answer within 100ms");
    assert!(start.elapsed() < TIMEOUT);
}

#[tokio::test]
async fn a_refused_text_is_no_failure_of_the_provider() {
    let (server, settings) = Server::start().await;
    let provider = Provider::new(&settings).unwrap();
    for status in [400, 413, 422, 400, 413, 422] {
        server.behave(Behaviour::Status(status));
        let refused = provider.embed(&["a"], TIMEOUT).await;
        assert!(matches!(refused, Err(EmbeddingError::Refused(_))), "{refused:?}");
    }
    assert_eq!(provider.rest(), Duration::ZERO);
}

#[tokio::test]
async fn a_server_that_is_away_is_a_failure() {
    let (_server, mut settings) = Server::start().await;
    settings.url = "http://127.0.0.1:1".to_owned();
    let reason = failure(Provider::new(&settings).unwrap().embed(&["a"], TIMEOUT).await);
    assert!(reason.contains("refused"), "{reason}");
}

#[test]
fn a_url_or_a_file_that_cannot_be_used_is_said_at_once() {
    let settings = |url: &str, ca: Option<&str>| Settings {
        url: url.to_owned(),
        model: String::new(),
        dimensions: 2,
        token_file: None,
        ca: ca.map(Into::into),
        cache_bytes: 0,
        cache_ttl: Duration::from_secs(1),
    };
    let error = Provider::new(&settings("ftp://a", None)).unwrap_err().to_string();
    assert!(error.contains("must begin with http:// or https://"), "{error}");
    let error = Provider::new(&settings("https://a", Some("/absent"))).unwrap_err().to_string();
    assert!(error.contains("/absent"), "{error}");
}

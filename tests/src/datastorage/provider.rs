//! A provider of vectors whose answers a test decides. No database is behind it, so it may be a fake.

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

/// The length of the vectors, unless the behaviour says otherwise.
pub const DIMENSIONS: usize = 384;

/// A function that makes the vector of a text.
pub type Vector = dyn Fn(&str) -> Vec<f32> + Send + Sync;

/// How the provider answers.
#[derive(Clone)]
pub enum Behaviour {
    /// With the vector that this function makes of each text.
    Vectors(Arc<Vector>),
    /// Never.
    Hang,
    /// With this status.
    Status(u16),
    /// With 413 if one of the texts has more characters than this, or else with vectors of [`meaning`].
    AtMost(usize),
}

/// A running provider. Dropping it closes its port.
pub struct Provider {
    shared: Arc<Shared>,
    port: u16,
    task: JoinHandle<()>,
}

struct Shared {
    behaviour: Mutex<Behaviour>,
    requests: Mutex<Vec<Request>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The model.
    pub model: String,
    /// The texts.
    pub texts: Vec<String>,
}

impl Provider {
    /// Starts it on a free port, with vectors of [`meaning`].
    pub async fn start() -> Result<Self> {
        let behaviour = Mutex::new(Behaviour::Vectors(Arc::new(meaning)));
        let shared = Arc::new(Shared { behaviour, requests: Mutex::default() });
        let app = Router::new().route("/v1/embeddings", post(answer)).with_state(Arc::clone(&shared));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move { drop(axum::serve(listener, app).await) });
        Ok(Self { shared, port, task })
    }

    /// The flags of a service that uses it.
    pub fn flags(&self) -> Vec<String> {
        vec!["--embedding=http".to_owned(), format!("--embedding-url=http://127.0.0.1:{}", self.port)]
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on it answers so.
    pub fn behave(&self, behaviour: Behaviour) {
        *lock(&self.shared.behaviour) = behaviour;
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// All texts that were sent so far.
    pub fn texts(&self) -> Vec<String> {
        self.requests().into_iter().flat_map(|request| request.texts).collect()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn answer(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let texts: Vec<String> = serde_json::from_value(body["input"].clone()).unwrap_or_default();
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    lock(&shared.requests).push(Request { authorization, model, texts: texts.clone() });
    let behaviour = lock(&shared.behaviour).clone();
    match behaviour {
        Behaviour::Vectors(vector) => vectors(&texts, &*vector),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Status(status) => {
            StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR).into_response()
        }
        Behaviour::AtMost(most) if texts.iter().any(|text| text.chars().count() > most) => {
            StatusCode::PAYLOAD_TOO_LARGE.into_response()
        }
        Behaviour::AtMost(_) => vectors(&texts, &meaning),
    }
}

fn vectors(texts: &[String], vector: &dyn Fn(&str) -> Vec<f32>) -> Response {
    let data = texts.iter().enumerate();
    let data: Vec<_> = data.map(|(index, text)| json!({"index": index, "embedding": vector(text)})).collect();
    let body = json!({"object": "list", "data": data}).to_string();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// A vector of what a text is about. Texts about the same thing are near each other, also if they have no word in common.
pub fn meaning(text: &str) -> Vec<f32> {
    const SUBJECTS: [&[&str]; 4] = [
        &["memory", "oom", "heap"],
        &["disk", "space", "volume"],
        &["certificate", "tls", "x509"],
        &["image", "pull", "registry"],
    ];
    let text = text.to_lowercase();
    let mut vector = vec![0.0; DIMENSIONS];
    for (place, words) in SUBJECTS.iter().enumerate() {
        let found = words.iter().filter(|word| text.contains(**word)).count();
        vector[place] = f32::from(u16::try_from(found).unwrap_or(u16::MAX));
    }
    // Texts of one subject differ a little, and a text of none has a direction too.
    let rest = text.bytes().fold(7_usize, |hash, byte| (hash * 31 + usize::from(byte)) % 1_000_003);
    vector[SUBJECTS.len() + rest % (DIMENSIONS - SUBJECTS.len())] += 0.1;
    vector
}

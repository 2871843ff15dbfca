//! With an API server that is an HTTP server of the test. The real one is in tests/datastorage.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Instant,
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse as _, routing::post};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{kubernetes::Times, *};

const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

/// What the API server of the test does.
struct ApiServer {
    token_reviews: AtomicUsize,
    access_reviews: AtomicUsize,
    /// Every answer is a 500.
    broken: AtomicBool,
    /// The user may do nothing any more.
    revoked: AtomicBool,
    /// Answers need a permit.
    gate: Semaphore,
    bodies: Mutex<Vec<Value>>,
}

impl ApiServer {
    /// Starts one and connects to it.
    async fn start(times: Times) -> (Arc<Self>, Auth) {
        Self::start_with(times, None).await
    }

    async fn start_with(times: Times, read_tokens: Option<ReadTokens>) -> (Arc<Self>, Auth) {
        let server = Arc::new(Self {
            token_reviews: AtomicUsize::new(0),
            access_reviews: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            revoked: AtomicBool::new(false),
            gate: Semaphore::new(1_000_000),
            bodies: Mutex::default(),
        });
        let router = Router::new()
            .route("/apis/authentication.k8s.io/v1/tokenreviews", post(token_review))
            .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(access_review))
            .with_state(Arc::clone(&server));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, connected(url, times, read_tokens))
    }

    fn counts(&self) -> (usize, usize) {
        (self.token_reviews.load(SeqCst), self.access_reviews.load(SeqCst))
    }
}

fn connected(url: http::Uri, times: Times, read_tokens: Option<ReadTokens>) -> Auth {
    let mut config = kube::Config::new(url);
    config.default_retry = false;
    let kubernetes = Kubernetes::new(Client::try_from(config).unwrap(), "datastorage", times).unwrap();
    Auth::with(kubernetes, read_tokens, Arc::new(Metrics::new()))
}

/// Tokens are `user`, `user~audience` or a JWT of the user `admin`. The user `nobody` has none.
async fn token_review(State(server): State<Arc<ApiServer>>, Json(mut review): Json<Value>) -> axum::response::Response {
    server.token_reviews.fetch_add(1, SeqCst);
    let _ = server.gate.acquire().await;
    server.bodies.lock().unwrap().push(review.clone());
    if server.broken.load(SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let token = review["spec"]["token"].as_str().unwrap().to_owned();
    let (name, audience) = token.split_once('~').unwrap_or((&token, "datastorage"));
    let name = if token.starts_with("e30.") { "admin" } else { name };
    let valid = name != "nobody" && !server.revoked.load(SeqCst);
    let user = json!({"username": name, "uid": "u1", "groups": ["system:authenticated"], "extra": {"pod": ["p1"]}});
    review["status"] = match (valid, audience) {
        (false, _) => json!({"authenticated": false, "error": "invalid bearer token"}),
        (true, "none") => json!({"authenticated": true, "user": user}),
        (true, audience) => json!({"authenticated": true, "user": user, "audiences": [audience]}),
    };
    Json(review).into_response()
}

/// A user may do everything in the namespace of its name; `admin` may do everything.
async fn access_review(
    State(server): State<Arc<ApiServer>>,
    Json(mut review): Json<Value>,
) -> axum::response::Response {
    server.access_reviews.fetch_add(1, SeqCst);
    let _ = server.gate.acquire().await;
    server.bodies.lock().unwrap().push(review.clone());
    if server.broken.load(SeqCst) {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let user = review["spec"]["user"].as_str().unwrap();
    let namespace = review.pointer("/spec/resourceAttributes/namespace").and_then(Value::as_str);
    let allowed = !server.revoked.load(SeqCst) && (user == "admin" || namespace == Some(user));
    review["status"] = json!({"allowed": allowed});
    Json(review).into_response()
}

/// Answers last as long as in the program.
fn usual() -> Times {
    Times::default()
}

/// Every question is asked again, and only errors bring old answers.
fn never_fresh() -> Times {
    Times { fresh: Duration::ZERO, pause: Duration::ZERO, ..Times::default() }
}

/// A JWT that ends after some seconds.
fn jwt(seconds: i64) -> String {
    let end = Timestamp::now().as_second() + seconds;
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(json!({"exp": end}).to_string()))
}

async fn user(auth: &Auth, token: &str) -> Identity {
    auth.identify(Some(token), PEER).await.unwrap()
}

#[tokio::test]
async fn the_api_server_says_who_asks_and_what_they_may_do() {
    let (server, auth) = ApiServer::start(usual()).await;
    let prod = user(&auth, "prod").await;
    assert_eq!(&*prod.name, "prod");
    auth.require(&prod, Verb::Create, Some("prod")).await.unwrap();
    let error = auth.require(&prod, Verb::Create, Some("other")).await.unwrap_err();
    assert_eq!(error, AuthError::Forbidden { verb: Verb::Create, namespace: Some("other".to_owned()) });
    assert_eq!(
        error.to_string(),
        "the identity is not allowed to create auditrecords.datastorage.kubernaut.io in namespace other"
    );
    let error = auth.require(&prod, Verb::List, None).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the identity is not allowed to list auditrecords.datastorage.kubernaut.io in all namespaces"
    );
    let bodies = server.bodies.lock().unwrap();
    assert_eq!(bodies[0]["spec"], json!({"token": "prod", "audiences": ["datastorage"]}));
    let attributes =
        json!({"group": "datastorage.kubernaut.io", "resource": "auditrecords", "verb": "create", "namespace": "prod"});
    assert_eq!(
        bodies[1]["spec"],
        json!({"user": "prod", "uid": "u1", "groups": ["system:authenticated"], "extra": {"pod": ["p1"]},
            "resourceAttributes": attributes})
    );
}

#[tokio::test]
async fn a_token_of_another_audience_is_refused() {
    let (_server, auth) = ApiServer::start(usual()).await;
    for token in ["prod~other", "prod~none", "nobody"] {
        assert_eq!(auth.identify(Some(token), PEER).await, Err(AuthError::Unauthorized), "{token}");
    }
    user(&auth, "prod~datastorage").await;
}

#[tokio::test]
async fn answers_are_kept_for_a_while_good_and_bad_ones() {
    let (server, auth) = ApiServer::start(usual()).await;
    for _ in 0..3 {
        let prod = user(&auth, "prod").await;
        auth.identify(Some("nobody"), PEER).await.unwrap_err();
        auth.require(&prod, Verb::Get, Some("prod")).await.unwrap();
        auth.require(&prod, Verb::Get, Some("other")).await.unwrap_err();
    }
    assert_eq!(server.counts(), (2, 2));
}

#[tokio::test]
async fn concurrent_reviews_of_one_token_are_one() {
    let (server, auth) = ApiServer::start(usual()).await;
    server.gate.forget_permits(1_000_000);
    let requests = futures::future::join_all((0..50).map(|_| auth.identify(Some("prod"), PEER)));
    let open = async {
        while server.counts().0 == 0 {
            tokio::task::yield_now().await;
        }
        server.gate.add_permits(1_000_000);
    };
    let (identities, ()) = futures::join!(requests, open);
    assert!(identities.iter().all(Result::is_ok));
    assert_eq!(server.counts(), (1, 0));
}

#[tokio::test]
async fn what_a_token_may_do_ends_with_the_token() {
    let (server, auth) = ApiServer::start(usual()).await;
    let token = jwt(2);
    let admin = user(&auth, &token).await;
    auth.require(&admin, Verb::Get, None).await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(8);
    while auth.identify(Some(&token), PEER).await.is_ok() {
        assert!(Instant::now() < deadline, "the token has ended and still counts");
        tokio::task::yield_now().await;
    }
    // Also what it may do, although the API server would still say yes.
    assert_eq!(auth.require(&admin, Verb::Get, None).await, Err(forbidden(Verb::Get, None)));
    assert_eq!(server.counts(), (2, 2));
}

#[tokio::test]
async fn a_token_that_has_ended_is_refused_even_if_the_api_server_takes_it() {
    let (_server, auth) = ApiServer::start(usual()).await;
    assert_eq!(auth.identify(Some(&jwt(-1)), PEER).await, Err(AuthError::Unauthorized));
}

#[tokio::test]
async fn only_cached_permissions_work_while_the_api_server_is_unavailable() {
    let (server, auth) = ApiServer::start(never_fresh()).await;
    let prod = user(&auth, "prod").await;
    auth.require(&prod, Verb::Create, Some("prod")).await.unwrap();
    auth.require(&prod, Verb::Create, Some("other")).await.unwrap_err();
    assert_eq!(auth.scope(&prod, Verb::List, Some("prod")).await, Ok(Scope::Namespaces(vec!["prod".to_owned()])));

    server.broken.store(true, SeqCst);
    let again = user(&auth, "prod").await;
    assert_eq!(again, prod);
    auth.require(&again, Verb::Create, Some("prod")).await.unwrap();
    assert_eq!(auth.scope(&again, Verb::List, Some("prod")).await, Ok(Scope::Namespaces(vec!["prod".to_owned()])));
    assert_eq!(auth.require(&again, Verb::Create, Some("other")).await, Err(AuthError::Unavailable));
    assert_eq!(auth.require(&again, Verb::Import, Some("prod")).await, Err(AuthError::Unavailable));
    assert_eq!(auth.identify(Some("nobody"), PEER).await, Err(AuthError::Unavailable));
    assert_eq!(auth.identify(Some("stranger"), PEER).await, Err(AuthError::Unavailable));

    server.broken.store(false, SeqCst);
    assert_eq!(auth.require(&again, Verb::Create, Some("other")).await, Err(forbidden(Verb::Create, Some("other"))));
    assert_eq!(auth.identify(Some("nobody"), PEER).await, Err(AuthError::Unauthorized));
}

#[tokio::test]
async fn revoked_permissions_are_not_granted_while_the_api_server_is_unavailable() {
    let (server, auth) = ApiServer::start(never_fresh()).await;
    let prod = user(&auth, "prod").await;
    auth.require(&prod, Verb::Create, Some("prod")).await.unwrap();
    server.revoked.store(true, SeqCst);
    auth.identify(Some("prod"), PEER).await.unwrap_err();
    auth.require(&prod, Verb::Create, Some("prod")).await.unwrap_err();
    server.broken.store(true, SeqCst);
    assert_eq!(auth.identify(Some("prod"), PEER).await, Err(AuthError::Unavailable));
    assert_eq!(auth.require(&prod, Verb::Create, Some("prod")).await, Err(AuthError::Unavailable));
}

#[tokio::test]
async fn old_allows_end() {
    let times = Times { old: Duration::from_millis(300), ..never_fresh() };
    let (server, auth) = ApiServer::start(times).await;
    user(&auth, "prod").await;
    server.broken.store(true, SeqCst);
    let deadline = Instant::now() + Duration::from_secs(10);
    while auth.identify(Some("prod"), PEER).await != Err(AuthError::Unavailable) {
        assert!(Instant::now() < deadline, "an old allow counts for ever");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_api_server_that_does_not_answer_delays_only_the_first_request() {
    let times = Times { review: Duration::from_millis(100), pause: Duration::from_secs(60), ..never_fresh() };
    let (server, auth) = ApiServer::start(times).await;
    user(&auth, "prod").await;
    server.gate.forget_permits(1_000_000);
    user(&auth, "prod").await;
    assert_eq!(server.counts().0, 2);
    user(&auth, "prod").await;
    assert_eq!(auth.identify(Some("stranger"), PEER).await, Err(AuthError::Unavailable));
    assert_eq!(server.counts().0, 2);
}

#[tokio::test]
async fn an_api_server_that_is_not_there_is_never_a_401() {
    let auth = connected("http://127.0.0.1:1".parse().unwrap(), usual(), None);
    let error = auth.identify(Some("prod"), PEER).await.unwrap_err();
    assert_eq!(error, AuthError::Unavailable);
    assert!(error.retry_after() >= Some(Duration::from_secs(1)));
}

#[tokio::test]
async fn too_many_bad_tokens_from_one_address_are_not_reviewed_any_more() {
    let (server, auth) = ApiServer::start(usual()).await;
    let loud: IpAddr = "10.0.0.1".parse().unwrap();
    user(&auth, "prod").await;
    let mut refused = Vec::new();
    for number in 0..100 {
        refused.push(auth.identify(Some(&format!("nobody~{number}")), loud).await.unwrap_err());
    }
    assert!(refused.contains(&AuthError::TooMany));
    assert!(AuthError::TooMany.retry_after().is_some());
    assert!(server.counts().0 < 60, "{:?}", server.counts());
    // A token that is known passes from the same address, and others pass from other addresses.
    auth.identify(Some("prod"), loud).await.unwrap();
    assert_eq!(auth.identify(Some("nobody~x"), PEER).await, Err(AuthError::Unauthorized));
}

#[tokio::test]
async fn no_token_and_what_cannot_be_one_is_refused_without_a_review() {
    let (server, auth) = ApiServer::start(usual()).await;
    let long = "a".repeat(LONGEST_TOKEN + 1);
    for bearer in [None, Some(""), Some("a b"), Some("é"), Some("a\n"), Some(long.as_str())] {
        assert_eq!(auth.identify(bearer, PEER).await, Err(AuthError::Unauthorized), "{bearer:?}");
    }
    assert_eq!(server.counts(), (0, 0));
}

#[tokio::test]
async fn a_namespace_that_cannot_exist_is_refused_without_a_review() {
    let (server, auth) = ApiServer::start(usual()).await;
    let prod = user(&auth, "prod").await;
    for namespace in ["", "Prod", "a/b", "*", "-a", "a-", &"a".repeat(64)] {
        let refused = auth.require(&prod, Verb::Get, Some(namespace)).await;
        assert_eq!(refused, Err(forbidden(Verb::Get, Some(namespace))), "{namespace}");
    }
    assert_eq!(server.counts(), (1, 0));
}

#[tokio::test]
async fn a_scope_is_the_cluster_or_the_namespace_or_nothing() {
    let (_server, auth) = ApiServer::start(usual()).await;
    let (admin, prod) = (user(&auth, "admin").await, user(&auth, "prod").await);
    assert_eq!(auth.scope(&admin, Verb::List, None).await, Ok(Scope::Cluster));
    assert_eq!(auth.scope(&admin, Verb::List, Some("prod")).await, Ok(Scope::Cluster));
    assert_eq!(auth.scope(&prod, Verb::List, Some("prod")).await, Ok(Scope::Namespaces(vec!["prod".to_owned()])));
    assert_eq!(auth.scope(&prod, Verb::List, None).await, Err(forbidden(Verb::List, None)));
    assert_eq!(auth.scope(&prod, Verb::List, Some("other")).await, Err(forbidden(Verb::List, Some("other"))));
}

#[tokio::test]
async fn a_static_token_reads_its_namespaces_and_writes_nothing() {
    use sha2::{Digest as _, Sha256};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    let line = |name, token: &str, namespaces| {
        let digest = Sha256::digest(token).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
        format!("{name} {digest} {namespaces}\n")
    };
    let text = line("holmesgpt", "agent-token", "prod,staging") + &line("auditor", "auditor-token", "*");
    std::fs::write(&path, text).unwrap();
    let tokens = ReadTokens::load(&path).unwrap();
    let (server, auth) = ApiServer::start_with(usual(), Some(tokens)).await;
    server.broken.store(true, SeqCst);

    let (agent, auditor) = (user(&auth, "agent-token").await, user(&auth, "auditor-token").await);
    assert_eq!(&*agent.name, "read-token:holmesgpt");
    for verb in [Verb::Get, Verb::List] {
        auth.require(&agent, verb, Some("prod")).await.unwrap();
        auth.require(&agent, verb, Some("other")).await.unwrap_err();
        auth.require(&agent, verb, None).await.unwrap_err();
        auth.require(&auditor, verb, None).await.unwrap();
    }
    for verb in [Verb::Create, Verb::Import] {
        auth.require(&agent, verb, Some("prod")).await.unwrap_err();
        auth.require(&auditor, verb, Some("prod")).await.unwrap_err();
        auth.require(&auditor, verb, None).await.unwrap_err();
        auth.scope(&auditor, verb, None).await.unwrap_err();
    }
    let both = Scope::Namespaces(vec!["prod".to_owned(), "staging".to_owned()]);
    assert_eq!(auth.scope(&agent, Verb::List, None).await, Ok(both));
    assert_eq!(auth.scope(&agent, Verb::List, Some("prod")).await, Ok(Scope::Namespaces(vec!["prod".to_owned()])));
    assert_eq!(auth.scope(&agent, Verb::List, Some("x")).await, Err(forbidden(Verb::List, Some("x"))));
    assert_eq!(auth.scope(&auditor, Verb::List, None).await, Ok(Scope::Cluster));
    assert_eq!(server.counts(), (0, 0));
}

#[tokio::test]
async fn without_authentication_everybody_may_do_everything() {
    let auth = Auth::none();
    let somebody = auth.identify(None, PEER).await.unwrap();
    assert_eq!(&*somebody.name, "anonymous");
    auth.require(&somebody, Verb::Import, None).await.unwrap();
    assert_eq!(auth.scope(&somebody, Verb::List, Some("prod")).await, Ok(Scope::Cluster));
}

#[tokio::test]
async fn requests_are_counted_by_their_result() {
    let (server, auth) = ApiServer::start(never_fresh()).await;
    let prod = user(&auth, "prod").await;
    auth.identify(None, PEER).await.unwrap_err();
    auth.require(&prod, Verb::Get, None).await.unwrap_err();
    server.broken.store(true, SeqCst);
    auth.identify(Some("stranger"), PEER).await.unwrap_err();
    let Inner::Tokens(tokens) = &*auth.inner else { panic!("not tokens") };
    let text = tokens.metrics.render().unwrap();
    for result in ["authenticated", "unauthorized", "forbidden", "unavailable"] {
        let line = format!("datastorage_auth_total{{result=\"{result}\"}} 1");
        assert!(text.contains(&line), "{line} is missing in:\n{text}");
    }
}

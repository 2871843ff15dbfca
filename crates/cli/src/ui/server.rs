//! The server: which address has which page, and what every request passes before it reaches one.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use axum::{
    Router,
    extract::{Query, Request, State as Shared},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use super::{
    command_line::Origin,
    guard,
    pages::{self, message},
    redirect_file::RedirectFile,
    session::{self, Session},
    state::State,
};
use crate::failure::Failure;

/// The addresses that need no session. They show nothing of the cluster.
const ASSETS: [&str; 3] = ["/assets/style.css", "/assets/page.js", "/assets/icon.svg"];
/// The same below the path of the pages.
const PUBLIC: [&str; 2] = ["/open", "/welcome"];

/// What all requests share. A clone is the same server.
#[derive(Clone)]
pub(super) struct Server(Arc<Parts>);

struct Parts {
    state: State,
    origin: Origin,
    session: Session,
    port: u16,
    /// Part of every `ETag`, so that a browser does not take an answer of an earlier process for a current one.
    run: String,
    /// Removed after the browser has used it.
    redirect: Mutex<Option<RedirectFile>>,
}

impl Server {
    pub(super) fn new(
        state: State,
        origin: Origin,
        session: Session,
        port: u16,
        redirect: Option<RedirectFile>,
    ) -> Result<Self, Failure> {
        let run = session::random()?.chars().take(8).collect();
        Ok(Self(Arc::new(Parts { state, origin, session, port, run, redirect: Mutex::new(redirect) })))
    }

    pub(super) fn state(&self) -> &State {
        &self.0.state
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.0.origin
    }

    /// The part of an `ETag` that names this process.
    pub(super) fn run_prefix(&self) -> String {
        format!("{}-", self.0.run)
    }

    /// The part of an `ETag` that names this process and the change after which a page was made.
    pub(super) fn tag(&self, version: u64) -> String {
        format!("{}-{version}-", self.0.run)
    }

    pub(super) fn router(&self) -> Router {
        let base = self.0.session.base();
        pages::routes(base)
            .route(&format!("{base}/open"), get(open))
            .route(&format!("{base}/welcome"), get(message::welcome))
            .fallback(message::not_found)
            .layer(middleware::from_fn_with_state(self.clone(), admit))
            .with_state(self.clone())
    }
}

#[derive(Deserialize)]
struct OneTime {
    #[serde(default)]
    token: String,
}

/// Opens the session and leads to an address without the token.
///
/// The browser comes from a file or another program, so it would not send the new cookie after this redirect: the cookie
/// is `SameSite=Strict`. The next page is public and leads on, and then the request is one of our own site.
async fn open(Shared(server): Shared<Server>, Query(one_time): Query<OneTime>) -> Response {
    let Some(cookie) = server.0.session.open(&one_time.token, Instant::now()) else {
        return message::locked();
    };
    server.0.redirect.lock().unwrap_or_else(PoisonError::into_inner).take();
    let mut response = Redirect::to("welcome").into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Refuses what is not from our own page in the browser of the session, and protects every answer.
async fn admit(Shared(server): Shared<Server>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut response = match guard::check(request.method(), headers, server.0.port) {
        Err(refused) => message::refused(refused),
        Ok(()) if server.is_public(request.uri().path()) || server.admits(headers) => next.run(request).await,
        Ok(()) => message::locked(),
    };
    guard::protect(response.headers_mut());
    response
}

impl Server {
    fn is_public(&self, path: &str) -> bool {
        let below = path.strip_prefix(self.0.session.base());
        ASSETS.contains(&path) || below.is_some_and(|path| PUBLIC.contains(&path))
    }

    fn admits(&self, headers: &HeaderMap) -> bool {
        let mut cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        cookies.any(|cookies| self.0.session.admits(cookies, Instant::now()))
    }
}

/// An answer with a file of this program.
pub(super) fn asset(kind: &'static str, content: &'static str) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, kind)], content).into_response()
}

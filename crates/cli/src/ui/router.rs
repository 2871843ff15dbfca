//! Which address has which page, and what every request passes before it reaches one.

use axum::{
    Router,
    extract::{Query, Request, State as Shared},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Redirect, Response},
    routing::get,
};
use serde::Deserialize;

use super::{
    guard,
    pages::{self, message},
    server::Server,
};

/// The addresses that need no session. They show nothing of the cluster.
const ASSETS: [&str; 3] = ["/assets/style.css", "/assets/page.js", "/assets/icon.svg"];
/// The same below the path of the pages.
const PUBLIC: [&str; 2] = ["/open", "/welcome"];

/// All addresses.
pub(super) fn router(server: &Server) -> Router {
    let base = server.base();
    pages::routes(base)
        .route(&format!("{base}/open"), get(open))
        .route(&format!("{base}/welcome"), get(message::welcome))
        .fallback(message::not_found)
        .layer(middleware::from_fn_with_state(server.clone(), admit))
        .with_state(server.clone())
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
    let Some(cookie) = server.open(&one_time.token) else {
        return message::locked();
    };
    let mut response = Redirect::to("welcome").into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    response
}

/// Refuses what is not from our own page in the browser of the session, and protects every answer.
async fn admit(Shared(server): Shared<Server>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let mut response = match guard::check(request.method(), headers, server.port()) {
        Err(refused) => message::refused(refused),
        Ok(()) if is_public(server.base(), request.uri().path()) || server.admits(headers) => next.run(request).await,
        Ok(()) => message::locked(),
    };
    guard::protect(response.headers_mut());
    response
}

fn is_public(base: &str, path: &str) -> bool {
    ASSETS.contains(&path) || path.strip_prefix(base).is_some_and(|path| PUBLIC.contains(&path))
}

//! The pages. Each file holds one page: what it shows, and its handler.

pub(super) mod message;
mod output;
mod overview;
mod service;
mod services;
mod what_if;

use askama::Template;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use toolset::digest::of_parts;

use super::{review::Review, server::Server, what_if::MAX_BYTES};

/// The most lines of a file, and the most entries of a list, that a page shows.
pub(super) const LINES: usize = 2000;
pub(super) const ENTRIES: usize = 500;

/// The addresses of the pages, below a path, and of what they load. Links of a page are relative, so that no page has to
/// know the path.
pub(super) fn routes(base: &str) -> Router<Server> {
    let at = |path: &str| format!("{base}{path}");
    Router::new()
        .route(&at("/"), get(overview::page))
        .route(&at("/services"), get(services::page))
        .route(&at("/services/{namespace}/{name}"), get(service::page))
        .route(&at("/output"), get(output::page))
        .route(&at("/what-if"), get(what_if::page).post(what_if::evaluated))
        .route(&at("/what-if/toolsetconfig.yaml"), post(what_if::toolset_config))
        .route(&at("/what-if/configmap.yaml"), post(what_if::config_map))
        // The text of a form is longer in the request.
        .layer(DefaultBodyLimit::max(4 * MAX_BYTES))
        .route(
            "/assets/style.css",
            get(async || asset("text/css; charset=utf-8", include_str!("../../../templates/assets/style.css"))),
        )
        .route(
            "/assets/page.js",
            get(async || asset("text/javascript; charset=utf-8", include_str!("../../../templates/assets/page.js"))),
        )
        .route(
            "/assets/icon.svg",
            get(async || asset("image/svg+xml", include_str!("../../../templates/assets/icon.svg"))),
        )
}

/// An answer with a file of this program.
fn asset(kind: &'static str, content: &'static str) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, kind)], content).into_response()
}

/// What every page has around its content.
pub(super) struct Frame {
    title: String,
    /// The address of the page in the navigation.
    active: &'static str,
    /// The way from this page to the first one.
    up: &'static str,
    origin: String,
    /// Whether everything was read once.
    complete: bool,
    /// The ToolsetConfigs to choose from. Empty if there is nothing to choose.
    configs: Vec<Choice>,
    /// The query that keeps the chosen ToolsetConfig, with its question mark.
    query: String,
    config_name: String,
    problems: Vec<String>,
    notes: Vec<String>,
}

/// A value to choose.
pub(super) struct Choice {
    value: String,
    label: String,
    selected: bool,
}

impl Frame {
    /// The navigation: addresses and labels.
    #[expect(clippy::unused_self, reason = "a template calls methods of what it shows")]
    fn pages(&self) -> &'static [(&'static str, &'static str)] {
        &[("./", "Overview"), ("services", "Services"), ("output", "Output"), ("what-if", "What if")]
    }

    /// `asked` is the ToolsetConfig that the address names.
    fn new(server: &Server, review: &Review, title: &str, active: &'static str, asked: &str) -> Self {
        let mut problems = review.problems.clone();
        let found = asked.is_empty() || asked == review.config_name || !review.complete;
        if !found {
            problems
                .push(format!("ToolsetConfig {asked} does not exist, so this page is about {}.", review.config_name));
        }
        let names: Vec<&String> = review.configs.keys().collect();
        let choice =
            |name: &String| Choice { value: name.clone(), label: name.clone(), selected: *name == review.config_name };
        let several = names.len() > 1;
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("config", &review.config_name).finish();
        Self {
            title: title.to_owned(),
            active,
            up: "",
            origin: server.origin().in_words(),
            complete: review.complete,
            configs: if several { names.iter().copied().map(choice).collect() } else { Vec::new() },
            query: if several { format!("?{query}") } else { String::new() },
            config_name: review.config_name.clone(),
            problems,
            notes: review.notes.clone(),
        }
    }
}

/// The page with an `ETag`, or 304 if the browser has it already.
fn answer(server: &Server, version: u64, headers: &HeaderMap, page: &impl Template) -> Response {
    let Ok(html) = page.render() else {
        return message::failed("The page cannot be written.");
    };
    let digest = of_parts([html.as_str()]);
    let tag = format!("\"{}{digest}\"", server.tag(version));
    // The last part is the content. A change that the page does not show makes no new answer.
    let content = |tag: &str| tag.trim_matches('"').rsplit_once('-').map(|(_, content)| content.to_owned());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let same_run = known.trim_matches('"').starts_with(&*server.run_prefix());
    let mut response = if same_run && content(known).as_deref() == Some(&*digest) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// Shows what follows for the ToolsetConfig that the address names, or 304 if nothing changed.
async fn reviewed(
    server: &Server,
    headers: &HeaderMap,
    config: &str,
    show: impl FnOnce(&Review) -> Response,
) -> Response {
    if let Some(response) = unchanged(server, headers).await {
        return response;
    }
    match server.state().review(config).await {
        Ok(review) => show(&review),
        Err(failure) => message::failure(&failure),
    }
}

/// 304 if nothing at all changed since the browser got the page, so that the page need not be made.
async fn unchanged(server: &Server, headers: &HeaderMap) -> Option<Response> {
    let known = headers.get(header::IF_NONE_MATCH)?;
    let version = server.state().known().await.version();
    let same = known.to_str().ok()?.trim_matches('"').starts_with(&*server.tag(version));
    same.then(|| (StatusCode::NOT_MODIFIED, [(header::ETAG, known.clone())]).into_response())
}

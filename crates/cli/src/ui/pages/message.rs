//! Pages with one message. They show nothing of the cluster.

use askama::Template;
use axum::{
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};

use crate::{failure::Failure, ui::guard::Refused};

#[derive(Template)]
#[template(path = "message.html")]
struct Message<'a> {
    title: &'a str,
    text: &'a str,
    /// Whether the page leads to the first page by itself.
    leads_on: bool,
}

fn show(code: StatusCode, title: &str, text: &str, leads_on: bool) -> Response {
    let page = Message { title, text, leads_on };
    match page.render() {
        Ok(html) => (code, Html(html)).into_response(),
        Err(_) => (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.to_owned()).into_response(),
    }
}

/// After the one-time address: leads to the first page.
pub(in crate::ui) async fn welcome() -> Response {
    show(StatusCode::OK, "Opening the page", "The page opens shortly.", true)
}

pub(in crate::ui) async fn not_found() -> Response {
    show(StatusCode::NOT_FOUND, "Not found", "This page does not exist.", false)
}

pub(super) fn no_service() -> Response {
    show(StatusCode::NOT_FOUND, "Not found", "This Service does not exist, or it cannot be read.", false)
}

/// For a browser without a session.
pub(in crate::ui) fn locked() -> Response {
    show(
        StatusCode::UNAUTHORIZED,
        "This page is locked",
        "The address works only once, in one browser, and a session ends after an hour without use. \
         To get a new address, stop kubectl toolset ui with Ctrl-C and start it again.",
        false,
    )
}

pub(in crate::ui) fn refused(refused: Refused) -> Response {
    show(StatusCode::FORBIDDEN, "Request refused", refused.message(), false)
}

pub(in crate::ui) fn failed(text: &str) -> Response {
    show(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", text, false)
}

/// A page for a failure of a command.
pub(in crate::ui) fn failure(failure: &Failure) -> Response {
    failed(&failure.lines().collect::<Vec<_>>().join("; "))
}

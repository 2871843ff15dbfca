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
    /// The way to the first page, if there is one.
    first_page: Option<&'static str>,
    /// Whether the page leads there by itself.
    leads_on: bool,
}

fn show(code: StatusCode, title: &str, text: &str, first_page: Option<&'static str>) -> Response {
    let page = Message { title, text, first_page, leads_on: code == StatusCode::OK };
    match page.render() {
        Ok(html) => (code, Html(html)).into_response(),
        Err(_) => (code, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.to_owned()).into_response(),
    }
}

/// After the one-time address: leads to the first page.
pub(in crate::ui) async fn welcome() -> Response {
    show(StatusCode::OK, "Opening the page", "The page opens shortly.", Some("./"))
}

pub(in crate::ui) async fn not_found() -> Response {
    show(StatusCode::NOT_FOUND, "Not found", "This page does not exist.", None)
}

pub(super) fn no_service() -> Response {
    show(StatusCode::NOT_FOUND, "Not found", "This Service does not exist, or it cannot be read.", Some("../../"))
}

/// For a browser without a session.
pub(in crate::ui) fn locked() -> Response {
    show(
        StatusCode::UNAUTHORIZED,
        "This page is locked",
        "The address works only once, in one browser, and a session ends an hour after you close the last tab. \
         To get a new address, stop kubectl toolset ui with Ctrl-C and start it again.",
        None,
    )
}

pub(in crate::ui) fn refused(refused: Refused) -> Response {
    show(StatusCode::FORBIDDEN, "Request refused", refused.message(), None)
}

pub(in crate::ui) fn failed(text: &str) -> Response {
    show(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", text, None)
}

/// A page for a failure of a command.
pub(in crate::ui) fn failure(failure: &Failure) -> Response {
    failed(&failure.lines().collect::<Vec<_>>().join("; "))
}

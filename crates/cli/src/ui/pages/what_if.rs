//! A ToolsetConfig to edit, and what it would change.

use askama::Template;
use axum::{
    Form,
    extract::{Query, State as Shared},
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{Frame, message};
use crate::{
    difference::{Kind, Line},
    ui::{
        filter::Filter,
        server::Server,
        what_if::{Effect, evaluate, yaml_of},
    },
};

#[derive(Template)]
#[template(path = "what_if.html")]
struct WhatIf {
    frame: Frame,
    text: String,
    effect: Option<Effect>,
    problems: Vec<String>,
}

/// The fields of the form.
#[derive(Deserialize)]
pub(super) struct Fields {
    #[serde(default)]
    text: String,
    /// The ToolsetConfig to compare with.
    #[serde(default)]
    config: String,
}

pub(super) async fn page(Shared(server): Shared<Server>, Query(filter): Query<Filter>) -> Response {
    let review = match server.state().review(&filter.config).await {
        Ok(review) => review,
        Err(failure) => return message::failure(&failure),
    };
    let frame = Frame::new(&server, &review, "What if", "what-if", &filter.config);
    show(&WhatIf { frame, text: yaml_of(&review.config), effect: None, problems: Vec::new() })
}

pub(super) async fn evaluated(Shared(server): Shared<Server>, Form(fields): Form<Fields>) -> Response {
    let review = match server.state().review(&fields.config).await {
        Ok(review) => review,
        Err(failure) => return message::failure(&failure),
    };
    let text = unix_lines(&fields.text);
    let (effect, problems) = match evaluate(server.state(), &text, &fields.config).await {
        Ok(Ok(effect)) => (Some(effect), Vec::new()),
        Ok(Err(problems)) => (None, problems),
        Err(failure) => return message::failure(&failure),
    };
    let frame = Frame::new(&server, &review, "What if", "what-if", &fields.config);
    show(&WhatIf { frame, text, effect, problems })
}

/// The text as a file.
pub(super) async fn toolset_config(Form(fields): Form<Fields>) -> Response {
    download("toolsetconfig.yaml", unix_lines(&fields.text))
}

/// The ConfigMap as a file, the same bytes as from `render`.
pub(super) async fn config_map(Shared(server): Shared<Server>, Form(fields): Form<Fields>) -> Response {
    match evaluate(server.state(), &unix_lines(&fields.text), &fields.config).await {
        Ok(Ok(effect)) => download("configmap.yaml", effect.config_map),
        Ok(Err(problems)) => (StatusCode::UNPROCESSABLE_ENTITY, problems.join("\n")).into_response(),
        Err(failure) => message::failure(&failure),
    }
}

/// A form sends the line breaks of a text as CR LF.
fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn show(page: &WhatIf) -> Response {
    page.render().map_or_else(|_| message::failed("The page cannot be written."), |html| Html(html).into_response())
}

fn download(name: &str, text: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/yaml; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, text).into_response()
}

//! The ConfigMap: as it is, and as it would be written now.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    extract::{Query, State as Shared},
    http::HeaderMap,
    response::Response,
};
use toolset::render::is_of_a_format;

use super::{Frame, answer, message, unchanged};
use crate::ui::{
    difference::{FileDifference, Kind, Line},
    filter::Filter,
    review::Review,
    server::Server,
};

#[derive(Template)]
#[template(path = "output.html")]
struct Output<'a> {
    frame: Frame,
    name: String,
    /// Whether the ConfigMap exists.
    exists: bool,
    files: Vec<FileDifference>,
    /// The keys that belong to others.
    foreign: Vec<&'a str>,
    summary: &'static str,
}

pub(super) async fn page(Shared(server): Shared<Server>, Query(filter): Query<Filter>, headers: HeaderMap) -> Response {
    if let Some(response) = unchanged(&server, &headers).await {
        return response;
    }
    let review = match server.state().review(&filter.config).await {
        Ok(review) => review,
        Err(failure) => return message::failure(&failure),
    };
    let page = Output::new(&server, &review);
    answer(&server, review.version, &headers, &page)
}

impl<'a> Output<'a> {
    fn new(server: &Server, review: &'a Review) -> Self {
        let present = review.present.as_ref();
        let of_present = present.into_iter().flat_map(|data| data.keys().map(String::as_str));
        let (ours, foreign): (Vec<&str>, Vec<&str>) = of_present.partition(|key| is_of_a_format(key));
        let keys: BTreeSet<&str> =
            ours.into_iter().chain(review.planned.rendered.data.keys().map(|key| &**key)).collect();
        let files: Vec<FileDifference> = keys
            .into_iter()
            .map(|key| {
                let after = review.planned.rendered.data.get(key).map(|text| &**text);
                let before = present.and_then(|data| data.get(key)).map(String::as_str);
                // A file without anything to compare it with is shown as it is.
                FileDifference::new(key, if present.is_none() { after } else { before }, after)
            })
            .collect();
        let summary = match (present.is_some(), files.iter().all(|file| file.kind == Kind::Same)) {
            (true, true) => "The ConfigMap is up to date.",
            (true, false) => "The ConfigMap differs from what would be written now.",
            (false, _) if review.live => "The ConfigMap does not exist. This is what would be written.",
            (false, _) => "The input has no such ConfigMap. This is what would be written.",
        };
        let namespace = review.config.metadata.namespace.as_deref().unwrap_or_default();
        Self {
            frame: Frame::new(server, review, "Output", "/output"),
            name: format!("{namespace}/{}", review.config.spec.output.config_map_name),
            exists: present.is_some(),
            files,
            foreign,
            summary,
        }
    }
}

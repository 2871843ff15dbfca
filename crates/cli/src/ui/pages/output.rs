//! The ConfigMap: as it is, and as it would be written now.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::{Query, State as Shared},
    http::HeaderMap,
    response::Response,
};
use toolset::render::DataKey;

use super::{Frame, answer, reviewed};
use crate::{
    diff::Comparison,
    difference::{FileDifference, Kind, Line},
    ui::{
        filter::Filter,
        review::{OutputSeen, Review},
        server::Server,
    },
};

#[derive(Template)]
#[template(path = "output.html")]
struct Output<'a> {
    frame: Frame,
    review: &'a Review,
    comparison: &'a Comparison,
    /// The files as they would be written, if there is nothing to compare them with.
    planned: Vec<FileDifference>,
    summary: &'static str,
}

pub(super) async fn page(Shared(server): Shared<Server>, Query(filter): Query<Filter>, headers: HeaderMap) -> Response {
    let show =
        |review: &Review| answer(&server, review.version, &headers, &Output::new(&server, review, &filter.config));
    reviewed(&server, &headers, &filter.config, show).await
}

impl<'a> Output<'a> {
    fn new(server: &Server, review: &'a Review, asked: &str) -> Self {
        let comparison = &review.comparison;
        let summary = match (comparison.exists, comparison.differs) {
            (true, false) => "The ConfigMap is up to date.",
            (true, true) => "The ConfigMap differs from what would be written now.",
            (false, _) if review.output == OutputSeen::Waiting => {
                "The ConfigMap was not read yet. This is what would be written."
            }
            (false, _) if review.output == OutputSeen::Unreadable => {
                "The ConfigMap cannot be read. This is what would be written."
            }
            (false, _) if review.live => "The ConfigMap does not exist. This is what would be written.",
            (false, _) => "The input has no such ConfigMap. This is what would be written.",
        };
        let same = |(key, text): (&DataKey, &Arc<str>)| FileDifference::new(key, Some(text), Some(text));
        let planned = review.planned.rendered.data.iter().map(same).collect();
        Self { frame: Frame::new(server, review, "Output", "output", asked), review, comparison, planned, summary }
    }

    fn files(&self) -> &[FileDifference] {
        if self.comparison.exists { &self.comparison.files } else { &self.planned }
    }
}

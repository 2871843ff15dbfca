//! The list of Services.

use askama::Template;
use axum::{
    extract::{Query, State as Shared},
    http::HeaderMap,
    response::Response,
};

use super::{Choice, Frame, answer, reviewed};
use crate::ui::{
    command_line,
    filter::{self, COLUMNS, Filter, Page, SHOWN},
    review::Review,
    server::Server,
};

#[derive(Template)]
#[template(path = "services.html")]
struct Services<'a> {
    frame: Frame,
    review: &'a Review,
    filter: Filter,
    page: Page<'a>,
    shown: Vec<Choice>,
    namespaces: Vec<Choice>,
    types: Vec<Choice>,
    reasons: Vec<Choice>,
    columns: Vec<Column>,
    command: Option<String>,
}

/// The heading of a column.
struct Column {
    label: &'static str,
    address: String,
    /// The value of `aria-sort`.
    order: &'static str,
}

pub(super) async fn page(Shared(server): Shared<Server>, Query(filter): Query<Filter>, headers: HeaderMap) -> Response {
    let show =
        |review: &Review| answer(&server, review.version, &headers, &Services::new(&server, review, filter.clone()));
    reviewed(&server, &headers, &filter.config, show).await
}

impl<'a> Services<'a> {
    fn new(server: &Server, review: &'a Review, mut filter: Filter) -> Self {
        let frame = Frame::new(server, review, "Services", "services", &filter.config);
        filter.config = if frame.query.is_empty() { String::new() } else { review.config_name.clone() };
        let config = if review.config_given { review.config_name.as_str() } else { "" };
        let shown = SHOWN
            .iter()
            .map(|(value, label)| Choice {
                value: (*value).to_owned(),
                label: (*label).to_owned(),
                selected: *value == filter.show,
            })
            .collect();
        let columns = COLUMNS.into_iter().filter(|(key, _)| review.health_known || *key != "health");
        let columns = columns
            .map(|(key, label)| Column {
                label,
                address: filter.sorted_by(key),
                order: match filter.order() {
                    (now, false) if now == key => "ascending",
                    (now, true) if now == key => "descending",
                    _ => "none",
                },
            })
            .collect();
        Self {
            shown,
            namespaces: offered(filter::choices(review, |row| &row.namespace), &filter.namespace),
            types: offered(filter::choices(review, |row| &row.type_name), &filter.type_name),
            reasons: offered(filter::reasons(review), &filter.reason),
            columns,
            command: command_line::list(server.origin(), &filter, config),
            page: filter.apply(review),
            frame,
            review,
            filter,
        }
    }

    /// Which of the Services the page shows.
    fn range(&self) -> String {
        let first = (self.page.number - 1) * filter::PAGE;
        match self.page.matching {
            0 => "No Service".to_owned(),
            1 => "1 Service".to_owned(),
            all if self.page.pages == 1 => format!("{all} Services"),
            all => format!("{} to {} of {all} Services", first + 1, first + self.page.rows.len()),
        }
    }
}

/// The values to choose, with the number of Services. The chosen value is offered even if it has none now.
fn offered(values: Vec<(&str, usize)>, chosen: &str) -> Vec<Choice> {
    let known = values.iter().any(|(value, _)| *value == chosen);
    let mut choices: Vec<Choice> = values
        .into_iter()
        .map(|(value, count)| Choice {
            value: value.to_owned(),
            label: format!("{value} ({count})"),
            selected: value == chosen,
        })
        .collect();
    if !known && !chosen.is_empty() {
        choices.push(Choice { value: chosen.to_owned(), label: format!("{chosen} (0)"), selected: true });
    }
    choices
}

//! The first page: the ToolsetConfig with its status, the tools, and why the other candidates are none.

use askama::Template;
use axum::{
    extract::{Query, State as Shared},
    http::HeaderMap,
    response::Response,
};
use crd_types::{ToolsetConfig, ToolsetConfigStatus};
use url::form_urlencoded::Serializer;

use super::{Frame, answer, reviewed};
use crate::ui::{
    filter::{self, Filter},
    review::{Outcome, Review, Row},
    server::Server,
};

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview<'a> {
    frame: Frame,
    review: &'a Review,
    configs: Vec<Config>,
    types: Vec<Count>,
    reasons: Vec<Count>,
    tools: Vec<&'a Row>,
    unhealthy: usize,
}

/// A ToolsetConfig and its status.
struct Config {
    name: String,
    address: String,
    /// Whether the rest of the page is about it.
    selected: bool,
    status: Option<Status>,
}

/// A number with a link to the Services that it counts.
struct Count {
    label: String,
    number: usize,
    /// The length of a bar, of 100.
    share: usize,
    address: String,
}

/// What the operator reported.
struct Status {
    ready: Condition,
    /// The other conditions that are not True.
    others: Vec<Condition>,
    /// Whether the agent has loaded the tools, if somebody asked.
    agent: Option<String>,
    outdated: bool,
}

#[derive(Default)]
struct Condition {
    type_name: String,
    status: String,
    reason: String,
    message: String,
}

pub(super) async fn page(Shared(server): Shared<Server>, Query(filter): Query<Filter>, headers: HeaderMap) -> Response {
    let show =
        |review: &Review| answer(&server, review.version, &headers, &Overview::new(&server, review, &filter.config));
    reviewed(&server, &headers, &filter.config, show).await
}

impl<'a> Overview<'a> {
    fn new(server: &Server, review: &'a Review, asked: &str) -> Self {
        let frame = Frame::new(server, review, "Overview", "./", asked);
        let config = if frame.query.is_empty() { String::new() } else { review.config_name.clone() };
        let filter = Filter { config, ..Filter::default() };
        let tools = review.tool_rows();
        let mut types: Vec<(&str, usize)> = tools
            .chunk_by(|a, b| a.type_name == b.type_name)
            .filter_map(|same| Some((same.first()?.type_name.as_str(), same.len())))
            .collect();
        types.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let of_type = |type_name: &str| Filter {
            type_name: type_name.to_owned(),
            show: Outcome::Tool.as_str().to_owned(),
            ..filter.clone()
        };
        let of_reason = |reason: &str| Filter {
            reason: reason.to_owned(),
            show: Outcome::Rejected.as_str().to_owned(),
            ..filter.clone()
        };
        Self {
            configs: review.configs.iter().map(|(name, config)| Config::new(name, config, review)).collect(),
            types: counts(types, |name| of_type(name).address(1)),
            reasons: counts(filter::reasons(review), |name| of_reason(name).address(1)),
            unhealthy: review.rows.iter().filter(|row| row.health == "Unhealthy").count(),
            tools,
            frame,
            review,
        }
    }
}

fn counts(numbers: Vec<(&str, usize)>, address: impl Fn(&str) -> String) -> Vec<Count> {
    let all = numbers.iter().map(|(_, count)| *count).sum::<usize>().max(1);
    let one = |(label, number): (&str, usize)| Count {
        label: label.to_owned(),
        number,
        share: (number * 100 / all).max(2),
        address: address(label),
    };
    numbers.into_iter().map(one).collect()
}

impl Config {
    fn new(name: &str, config: &ToolsetConfig, review: &Review) -> Self {
        let query = Serializer::new(String::new()).append_pair("config", name).finish();
        Self {
            name: name.to_owned(),
            address: format!("./?{query}"),
            selected: name == review.config_name,
            status: config.status.as_ref().map(|status| Status::new(status, config.metadata.generation)),
        }
    }
}

impl Status {
    fn new(status: &ToolsetConfigStatus, generation: Option<i64>) -> Self {
        let mut conditions: Vec<Condition> = status
            .conditions
            .iter()
            .map(|condition| Condition {
                type_name: condition.type_.clone(),
                status: condition.status.clone(),
                reason: condition.reason.clone(),
                message: condition.message.clone(),
            })
            .collect();
        let at = conditions.iter().position(|condition| condition.type_name == "Ready");
        let ready = at.map(|at| conditions.remove(at)).unwrap_or_default();
        let loaded = conditions.iter().find(|condition| condition.type_name == "AgentLoaded");
        let agent = loaded.map(|condition| match &status.agent {
            Some(agent) if condition.status == "True" => format!("{} replicas have loaded it", agent.loaded),
            Some(agent) => format!("{} replicas have loaded it ({})", agent.loaded, condition.reason),
            None => condition.reason.clone(),
        });
        conditions.retain(|condition| condition.status != "True");
        Self { ready, others: conditions, agent, outdated: status.observed_generation != generation }
    }
}

impl Condition {
    /// The class of a badge.
    fn class(&self) -> &'static str {
        match self.status.as_str() {
            "True" => "good",
            "False" => "bad",
            _ => "warn",
        }
    }
}

//! One Service: the explanation of `explain` as a page.

use askama::Template;
use axum::{
    extract::{Path, Query, State as Shared},
    http::HeaderMap,
    response::Response,
};
use detectors::ServiceKey;

use super::{Frame, answer, message, unchanged};
use crate::{
    explain::{
        self,
        model::{Candidate, Detector, Explanation, Finding, Result},
    },
    ui::{address::service_address, command_line, filter::Filter, server::Server},
};

/// The way from the page of a Service to the first page.
const UP: &str = "../../";

#[derive(Template)]
#[template(path = "service.html")]
struct Service {
    frame: Frame,
    explanation: Explanation,
    command: String,
}

pub(super) async fn page(
    Shared(server): Shared<Server>,
    Path((namespace, name)): Path<(String, String)>,
    Query(filter): Query<Filter>,
    headers: HeaderMap,
) -> Response {
    if let Some(response) = unchanged(&server, &headers).await {
        return response;
    }
    let key = ServiceKey::new(namespace, name);
    let asked = filter.config.clone();
    let explained = server.state().compute(move |objects, cluster_domain| {
        let review = objects.review(&filter.config, cluster_domain);
        let explanation = explain::explanation(&objects.known.snapshot, &review.planned, &key, cluster_domain);
        (review, explanation)
    });
    let (review, explanation) = match explained.await {
        Ok((review, Some(explanation))) => (review, explanation),
        Ok((_, None)) => return message::no_service(),
        Err(failure) => return message::failure(&failure),
    };
    let config = if review.config_given { review.config_name.as_str() } else { "" };
    let command = command_line::explain(server.origin(), &explanation.namespace, &explanation.service, config);
    let frame = Frame { up: UP, ..Frame::new(&server, &review, &explanation.service, "services", &asked) };
    answer(&server, review.version, &headers, &Service { frame, explanation, command })
}

impl Service {
    fn is_tool(&self) -> bool {
        self.explanation.conclusion.result == Result::Tool
    }

    /// The result in one line.
    fn headline(&self) -> &'static str {
        match self.explanation.conclusion.result {
            Result::Tool => "Tool",
            Result::Rejected => "Not a tool",
            Result::NotSelected => "Not selected",
            Result::NotRecognised => "Not recognised",
        }
    }

    fn badge(&self) -> &'static str {
        match self.explanation.conclusion.result {
            Result::Tool => "good",
            Result::Rejected => "warn",
            Result::NotSelected | Result::NotRecognised => "",
        }
    }

    /// The address of a candidate. `None` for an entry of `spec.tools` and for the Service itself.
    fn address_of(&self, candidate: &Candidate) -> Option<String> {
        let (namespace, name) = candidate.service.split_once('/').filter(|_| !candidate.is_this)?;
        Some(format!("{UP}{}", service_address(namespace, name, &self.frame.query)))
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of what it shows")]
    fn class_of(&self, detector: &Detector) -> &'static str {
        match detector.finding {
            Finding::Endpoint => "good",
            Finding::NotAnEndpoint | Finding::NoUsablePort => "warn",
            Finding::NotEnoughEvidence => "",
        }
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of what it shows")]
    fn finding_of(&self, detector: &Detector) -> &'static str {
        match detector.finding {
            Finding::Endpoint => "Endpoint",
            Finding::NotAnEndpoint => "Serves no queries",
            Finding::NoUsablePort => "No known port",
            Finding::NotEnoughEvidence => "Not enough evidence",
        }
    }
}

//! The OpenAPI document of the API.
//!
//! The schemas come from the types of requests and answers. Paths and parameters stand here as a table. The tests compare the
//! table with the routes, and every answer with its schema.

use audit::{
    Kind, Phase, Record, Status,
    problem::{MEDIA_TYPE, Problem, ProblemType},
    schema::NewRecord,
};
use axum::Json;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    correlations::CorrelationAnswer,
    events::List,
    history::HistoryAnswer,
    write::{Batch, BatchResult, Written},
};
use crate::{search, store::Checkpoint};

const INFO: &str = "Data Storage keeps audit records in PostgreSQL and finds them by key, by time, by words and by \
                    meaning. All errors have the type `application/problem+json`. Responses with status 429 or 503 \
                    contain the header `Retry-After`. You can repeat a write with the same ids.";

/// `GET /openapi.json`.
pub(super) async fn get() -> Json<Value> {
    Json(document())
}

/// A parameter: its name, its schema and what it means.
type Parameter = (&'static str, Value, &'static str);

/// A path and a method.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Parameter>,
    body: Option<Schema>,
    answers: Vec<(u16, &'static str, &'static str, Value)>,
    /// The problems besides those that every request can have.
    problems: &'static [ProblemType],
    /// Whether it needs no token.
    public: bool,
}

/// The OpenAPI document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    // A field with a default need not be sent, and is always there in an answer.
    let mut bodies = settings.clone().for_deserialize().into_generator();
    let mut generator = settings.for_serialize().into_generator();
    let operations = operations(&mut generator, &mut bodies);
    let problem = generator.subschema_for::<Problem>();
    let mut schemas = bodies.take_definitions(true);
    schemas.extend(generator.take_definitions(true));
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations {
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method] = operation.document(&problem);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Data Storage",
            "version": env!("CARGO_PKG_VERSION"),
            "description": INFO,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {
                "type": "http",
                "scheme": "bearer",
                "description": "The token of a ServiceAccount with the audience of the service, or a read-only token.",
            }},
        },
    })
}

impl Operation {
    fn document(&self, problem: &Schema) -> Value {
        let mut answers: Map<String, Value> = Map::new();
        for (status, description, kind, schema) in &self.answers {
            answers.insert(
                status.to_string(),
                json!({"description": description, "content": {*kind: {"schema": schema}}}),
            );
        }
        let everywhere: &[ProblemType] = if self.public {
            &[]
        } else {
            use ProblemType::{AuthUnavailable, Forbidden, Internal, TooManyRequests, Unauthorized, ValidationError};
            &[ValidationError, Unauthorized, Forbidden, TooManyRequests, Internal, AuthUnavailable]
        };
        for kind in everywhere.iter().chain(self.problems) {
            let answer = answers
                .entry(kind.status().to_string())
                .or_insert_with(|| json!({"description": "", "content": {MEDIA_TYPE: {"schema": problem}}}));
            let before = answer["description"].as_str().unwrap_or_default();
            let name = kind.urn().rsplit(':').next().unwrap_or_default();
            answer["description"] = if before.is_empty() { name.into() } else { format!("{before}, {name}").into() };
        }
        let mut document = json!({"operationId": self.id, "summary": self.summary, "responses": answers});
        if !self.parameters.is_empty() {
            let in_path = |name: &str| self.path.contains(&format!("{{{name}}}"));
            document["parameters"] = self.parameters.iter().map(|(name, schema, description)| {
                let place = if in_path(name) { "path" } else { "query" };
                let required = in_path(name) || (self.id, *name) == ("history", "target");
                json!({"name": name, "in": place, "required": required, "schema": schema, "description": description})
            }).collect();
        }
        if let Some(body) = &self.body {
            document["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": body}}});
        }
        if self.public {
            document["security"] = json!([]);
        }
        document
    }
}

fn text(most: usize) -> Value {
    json!({"type": "string", "maxLength": most})
}

fn time() -> Value {
    json!({"type": "string", "examples": ["2026-11-25T22:25:42Z", "24h"]})
}

/// The parameters that select records.
fn filters(generator: &mut SchemaGenerator) -> Vec<Parameter> {
    vec![
        ("kind", json!({"type": "string", "enum": Kind::ALL.map(Kind::as_str)}), "Only records of this kind."),
        (
            "namespace",
            text(255),
            "Only records of this namespace. Without it, the client needs the permission for all namespaces.",
        ),
        (
            "cluster",
            text(255),
            "Only records of this cluster. For another cluster, the client needs the permission for all namespaces.",
        ),
        ("phase", generator.subschema_for::<Phase>().into(), "Only records with this phase."),
        ("status", generator.subschema_for::<Status>().into(), "Only records with this status."),
        ("severity", text(50), "Only records with this severity."),
        ("environment", text(50), "Only records of this environment."),
        ("action_type", text(100), "Only records with this action."),
        ("target", text(512), "Only records with this target, for example `Deployment/prod/payments-api`."),
        ("fingerprint", text(255), "Only records with this fingerprint."),
        ("correlation_id", text(255), "Only records with this `correlation_id`."),
        ("recorded_by", text(512), "Only records from this identity."),
        (
            "since",
            time(),
            "Only records whose id has this time or a later one. The value is a time, or a duration before now.",
        ),
        ("until", time(), "Only records whose id has an earlier time. The value is a time, or a duration before now."),
    ]
}

/// A schema, as an answer in JSON.
fn answer<T: JsonSchema>(
    generator: &mut SchemaGenerator,
    status: u16,
    description: &'static str,
) -> (u16, &'static str, &'static str, Value) {
    (status, description, "application/json", generator.subschema_for::<T>().into())
}

#[allow(clippy::too_many_lines, reason = "one table of all paths")]
fn operations(generator: &mut SchemaGenerator, bodies: &mut SchemaGenerator) -> Vec<Operation> {
    use ProblemType::{
        BadCursor, Conflict, DatabaseUnavailable, NotFound, PayloadTooLarge, SearchUnavailable, Timeout,
        UnsupportedMediaType,
    };
    const READ: &[ProblemType] = &[DatabaseUnavailable, Timeout];
    const READ_ONE: &[ProblemType] = &[NotFound, DatabaseUnavailable, Timeout];
    let mut list = filters(generator);
    list.extend([
        (
            "order",
            json!({"type": "string", "enum": ["desc", "asc"]}),
            "`desc` (default) returns the newest record \
          first, and `asc` the oldest.",
        ),
        (
            "limit",
            json!({"type": "integer", "minimum": 1, "maximum": 1000}),
            "The maximum number of records in the \
          response. The default is 100.",
        ),
        ("cursor", text(512), "`next_cursor` of the previous page. All other parameters must be the same as before."),
        (
            "after_seq",
            json!({"type": "integer", "minimum": 0}),
            "Only records with a greater number (`seq`), in the order of recording and without gaps. The client needs \
             the permission for all namespaces.",
        ),
    ]);
    let status = json!({"type": "object", "required": ["status"], "properties": {"status": {"type": "string"}}});
    vec![
        Operation {
            path: "/api/v1/audit/events",
            method: "post",
            id: "writeEvent",
            summary: "Writes a record. Status 201 means that the record is durable in PostgreSQL.",
            parameters: Vec::new(),
            body: Some(bodies.subschema_for::<NewRecord>()),
            answers: vec![
                answer::<Written>(generator, 201, "The record is durable."),
                answer::<Written>(generator, 200, "The same record was already stored."),
            ],
            problems: &[Conflict, PayloadTooLarge, UnsupportedMediaType, DatabaseUnavailable, Timeout],
            public: false,
        },
        Operation {
            path: "/api/v1/audit/events",
            method: "get",
            id: "listEvents",
            summary: "Lists records.",
            parameters: list,
            body: None,
            answers: vec![answer::<List>(generator, 200, "A page of the list.")],
            problems: &[BadCursor, DatabaseUnavailable, Timeout],
            public: false,
        },
        Operation {
            path: "/api/v1/audit/events/batch",
            method: "post",
            id: "writeBatch",
            summary: "Writes up to 500 records. An invalid record does not affect the others.",
            parameters: Vec::new(),
            body: Some(bodies.subschema_for::<Batch>()),
            answers: vec![answer::<BatchResult>(
                generator,
                200,
                "One result for each record, in the order of the request.",
            )],
            problems: &[PayloadTooLarge, UnsupportedMediaType, DatabaseUnavailable, Timeout],
            public: false,
        },
        Operation {
            path: "/api/v1/audit/events/{event_id}",
            method: "get",
            id: "getEvent",
            summary: "Returns one record.",
            parameters: vec![("event_id", json!({"type": "string", "format": "uuid"}), "The id of the record.")],
            body: None,
            answers: vec![answer::<Record>(generator, 200, "The record.")],
            problems: READ_ONE,
            public: false,
        },
        Operation {
            path: "/api/v1/audit/correlations/{correlation_id}",
            method: "get",
            id: "getCorrelation",
            summary: "Returns the records with one `correlation_id`, as far as the client is allowed to read them.",
            parameters: vec![
                ("correlation_id", text(512), "The `correlation_id`. You do not need to encode a slash in it."),
                ("namespace", text(255), "Only records of this namespace."),
            ],
            body: None,
            answers: vec![answer::<CorrelationAnswer>(generator, 200, "The records.")],
            problems: READ_ONE,
            public: false,
        },
        Operation {
            path: "/api/v1/audit/history",
            method: "get",
            id: "history",
            summary: "Returns what was tried on an object, and whether it helped.",
            parameters: vec![
                (
                    "target",
                    text(512),
                    "The object, as in `target_resource`, for example `Deployment/prod/payments-api`.",
                ),
                ("namespace", text(255), "Only records of this namespace."),
                ("cluster", text(255), "The cluster of the object. The default is the cluster of the service."),
                ("since", time(), "The start of the time range: a time, or a duration before now. The default is 90d."),
                ("spec_hash", text(512), "The hash of the current spec of the object, to compare with remediations."),
                (
                    "limit",
                    json!({"type": "integer", "minimum": 1, "maximum": 500}),
                    "The maximum number of attempts. The default is 50.",
                ),
            ],
            body: None,
            answers: vec![answer::<HistoryAnswer>(generator, 200, "The attempts.")],
            problems: READ,
            public: false,
        },
        Operation {
            path: "/api/v1/audit/export",
            method: "get",
            id: "export",
            summary: "Returns all records that exist when the export starts, one per line. The last line has \
                      `checkpoint`, `count` and `sha256`, which is the SHA-256 of all lines before it. Without this \
                      line, the export is incomplete.",
            parameters: filters(generator),
            body: None,
            answers: vec![(200, "The records.", "application/x-ndjson", json!({"type": "string"}))],
            problems: READ,
            public: false,
        },
        Operation {
            path: "/api/v1/audit/checkpoint",
            method: "get",
            id: "checkpoint",
            summary: "Returns the number and the hash of the newest record. Later, `datastorage verify --checkpoint` \
                      shows whether the records still lead to it.",
            parameters: Vec::new(),
            body: None,
            answers: vec![answer::<Checkpoint>(generator, 200, "The checkpoint.")],
            problems: READ,
            public: false,
        },
        Operation {
            path: "/api/v1/search",
            method: "post",
            id: "search",
            summary: "Finds records by words and by meaning.",
            parameters: Vec::new(),
            body: Some(bodies.subschema_for::<search::Query>()),
            answers: vec![answer::<search::Answer>(generator, 200, "The results, with the best one first.")],
            problems: &[PayloadTooLarge, UnsupportedMediaType, DatabaseUnavailable, SearchUnavailable, Timeout],
            public: false,
        },
        Operation {
            path: "/mcp",
            method: "post",
            id: "mcp",
            summary: "Offers tools to agents with the Model Context Protocol.",
            parameters: Vec::new(),
            body: Some(schemars::json_schema!({"type": "object"})),
            answers: vec![
                (200, "The response to a request.", "application/json", json!({"type": "object"})),
                (202, "The notification was accepted.", "text/plain", json!({"type": "string"})),
            ],
            problems: &[PayloadTooLarge, UnsupportedMediaType],
            public: false,
        },
        Operation {
            path: "/health",
            method: "get",
            id: "health",
            summary: "Shows that the process runs.",
            parameters: Vec::new(),
            body: None,
            answers: vec![(200, "The process runs.", "application/json", status.clone())],
            problems: &[],
            public: true,
        },
        Operation {
            path: "/ready",
            method: "get",
            id: "ready",
            summary: "Shows whether the service can answer requests.",
            parameters: Vec::new(),
            body: None,
            answers: vec![(200, "The service can answer requests.", "application/json", status)],
            problems: &[DatabaseUnavailable],
            public: true,
        },
        Operation {
            path: "/openapi.json",
            method: "get",
            id: "openapi",
            summary: "Returns this document.",
            parameters: Vec::new(),
            body: None,
            answers: vec![(200, "The document.", "application/json", json!({"type": "object"}))],
            problems: &[],
            public: true,
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::parameters::FILTERS, *};

    #[test]
    fn the_documented_filters_are_those_that_are_read() {
        let document = document();
        for path in ["/api/v1/audit/events", "/api/v1/audit/export"] {
            let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
            let names: BTreeSet<_> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
            assert!(FILTERS.iter().all(|filter| names.contains(filter)), "{path}: {names:?}");
        }
    }

    #[test]
    fn every_reference_has_its_schema() {
        fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str));
                    fields.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 10);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some_and(Value::is_object), "{reference}");
        }
    }
}

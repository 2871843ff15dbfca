//! The three tools.

use audit::problem::Problem;
use axum::{
    Router,
    body::{Body, to_bytes},
};
use http::{HeaderMap, HeaderName, Method, Request, header};
use schemars::JsonSchema;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::{
    rpc::{Error, INVALID_PARAMS},
    text,
};
use crate::server::Peer;

/// The maximum number of bytes in a response of the API: ten records of the maximum size, with a reserve.
const LARGEST: usize = 8 << 20;
/// The maximum number of attempts in a history.
const MOST_ATTEMPTS: usize = 50;
/// The maximum number of results of a search.
const MOST_RESULTS: u32 = 10;
/// What is passed on to the API.
const PASSED_ON: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::HOST,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
];

/// Returns what was done to one Kubernetes object, with the newest attempt first. Each attempt has its action, its
/// result and its error. The first line has the numbers of successful and failed attempts for each action. Use this
/// tool before you act on an object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TargetHistory {
    /// The kind of the object, for example Deployment.
    #[schemars(length(min = 1, max = 100))]
    kind: String,
    /// The namespace of the object. Empty for a cluster-scoped object, such as a Node.
    #[schemars(length(max = 63))]
    namespace: String,
    /// The name of the object.
    #[schemars(length(min = 1, max = 253))]
    name: String,
    /// The start of the time range: a duration such as 24h or 30d, or a time such as 2026-11-25T00:00:00Z. The default
    /// is 90d.
    #[serde(default)]
    since: Option<String>,
}

/// Finds earlier incidents and actions by words, and by meaning if vectors are available. Each result shows the newest
/// record with a text, and the number of records with this text. Use this tool to find out whether something similar
/// happened before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchIncidents {
    /// The search text, for example an error message, a reason or a name. Use quotes for phrases.
    #[schemars(length(min = 1, max = 2048))]
    query: String,
    /// Only records of this namespace. Required if you can read only some namespaces.
    #[serde(default)]
    namespace: Option<String>,
    /// The start of the time range: a duration such as 24h or 30d, or a time such as 2026-11-25T00:00:00Z. By default,
    /// there is no limit.
    #[serde(default)]
    since: Option<String>,
    /// The maximum number of results. The default is 5.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    limit: Option<u32>,
}

/// Returns one complete record, by its `event_id`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetRecord {
    /// The `event_id` of the record, from the results of the other tools.
    event_id: String,
}

/// The tools. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tools {
    api: Router,
}

/// The client that calls a tool, as the API sees it.
pub(super) struct Client {
    pub headers: HeaderMap,
    pub peer: Peer,
}

impl Tools {
    /// Tools that use these routes.
    pub(super) fn new(api: Router) -> Self {
        Self { api }
    }

    /// The description of the tools for clients.
    pub(super) fn list() -> Value {
        json!([
            tool::<TargetHistory>("target_history", "History of an object"),
            tool::<SearchIncidents>("search_incidents", "Search of incidents"),
            tool::<GetRecord>("get_record", "One record"),
        ])
    }

    /// Calls a tool. An error of a tool is a result that the model can read.
    pub(super) async fn call(&self, params: &Map<String, Value>, client: &Client) -> Result<Value, Error> {
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let arguments = params.get("arguments").cloned().unwrap_or_else(|| json!({}));
        let called = match name {
            "target_history" => self.target_history(arguments, client).await,
            "search_incidents" => self.search_incidents(arguments, client).await,
            "get_record" => self.get_record(arguments, client).await,
            _ => return Err(Error::new(INVALID_PARAMS, "this tool does not exist")),
        };
        let (text, is_error) = match called {
            Ok(text) => (text, false),
            Err(text) => (text, true),
        };
        Ok(json!({"content": [{"type": "text", "text": text}], "isError": is_error}))
    }

    async fn target_history(&self, arguments: Value, client: &Client) -> Result<String, String> {
        let TargetHistory { kind, namespace, name, since } = read(arguments)?;
        let parts = [("kind", &kind), ("namespace", &namespace), ("name", &name)];
        if let Some((field, _)) = parts.iter().find(|(_, value)| value.contains('/')) {
            return Err(format!("{field} must not contain a slash"));
        }
        let target = if namespace.is_empty() { format!("{kind}/{name}") } else { format!("{kind}/{namespace}/{name}") };
        let path = history_path(&target, since.as_deref());
        let history = self.ask(client, Method::GET, &path, Body::empty()).await?;
        let attempts = history["attempts"].as_array().map(Vec::as_slice).unwrap_or_default();
        if attempts.is_empty() {
            return Ok(format!("There are no records of {target}, or you are not allowed to read them."));
        }
        let by_action = json!({"by_action": history["by_action"]});
        let shown = attempts.iter().take(MOST_ATTEMPTS).cloned();
        let entries: Vec<Value> = std::iter::once(by_action).chain(shown).collect();
        let is_complete = attempts.len() <= MOST_ATTEMPTS && history["truncated"] == false;
        let more =
            if is_complete { "" } else { " The list is not complete. There are other attempts, most of them older." };
        Ok(text::answer(
            &format!(
                "{} attempts on {target}, with the newest one first. The first line has the results of each action.{more}",
                entries.len() - 1
            ),
            &entries,
        ))
    }

    async fn search_incidents(&self, arguments: Value, client: &Client) -> Result<String, String> {
        let SearchIncidents { query, namespace, since, limit } = read(arguments)?;
        let limit = limit.unwrap_or(5);
        if !(1..=MOST_RESULTS).contains(&limit) {
            return Err(format!("limit must be from 1 to {MOST_RESULTS}"));
        }
        let request = json!({
            "query": query, "namespace": namespace.unwrap_or_default(), "since": since.unwrap_or_default(), "limit": limit,
        });
        let answer = self.ask(client, Method::POST, "/api/v1/search", Body::from(request.to_string())).await?;
        let results = answer["results"].as_array().map(Vec::as_slice).unwrap_or_default();
        let how = if answer["model"].is_null() { "only by words" } else { "by words and by meaning" };
        if results.is_empty() {
            return Ok(format!("Nothing was found {how}."));
        }
        let entries: Vec<Value> = results.iter().map(result).collect();
        Ok(text::answer(&format!("{} results, found {how}, with the best one first.", entries.len()), &entries))
    }

    async fn get_record(&self, arguments: Value, client: &Client) -> Result<String, String> {
        let GetRecord { event_id } = read(arguments)?;
        let event_id = Uuid::try_parse(&event_id).map_err(|_| "event_id must be a UUID, as the other tools show it")?;
        let path = format!("/api/v1/audit/events/{event_id}");
        let mut record = self.ask(client, Method::GET, &path, Body::empty()).await?;
        without_proof(&mut record);
        Ok(text::answer("One record.", &[record]))
    }

    /// Sends a request to the API with the permissions of the client. An error of the API becomes a text.
    async fn ask(&self, client: &Client, method: Method, path: &str, body: Body) -> Result<Value, String> {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        for name in PASSED_ON {
            if let Some(value) = client.headers.get(&name) {
                request = request.header(name, value);
            }
        }
        let unreadable = |_| "the service could not answer; try again later".to_owned();
        let mut request = request.body(body).map_err(|_| "the arguments cannot be sent".to_owned())?;
        request.extensions_mut().insert(client.peer);
        let Ok(answer) = self.api.clone().oneshot(request).await;
        let (head, body) = answer.into_parts();
        let body = to_bytes(body, LARGEST)
            .await
            .map_err(|_| "the response is too large; request fewer results at once".to_owned())?;
        if head.status.is_success() {
            return serde_json::from_slice(&body).map_err(unreadable);
        }
        let problem: Problem = serde_json::from_slice(&body).map_err(unreadable)?;
        let fields = problem.errors.iter().skip(1).map(|error| format!("; {}: {}", error.field, error.message));
        let first =
            problem.errors.first().map_or(problem.detail, |error| format!("{}: {}", error.field, error.message));
        Err(first + &fields.collect::<String>())
    }
}

/// A tool with its description and the schema of its arguments, both of which come from its type.
fn tool<T: JsonSchema>(name: &str, title: &str) -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    let mut description = Value::Null;
    if let Some(schema) = schema.as_object_mut() {
        description = schema.remove("description").unwrap_or_default();
        schema.remove("title");
    }
    json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": schema,
        "annotations": {
            "title": title, "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": false,
        },
    })
}

fn history_path(target: &str, since: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("target", target);
    // One more than is shown, which says whether there is one.
    query.append_pair("limit", &(MOST_ATTEMPTS + 1).to_string());
    if let Some(since) = since {
        query.append_pair("since", since);
    }
    format!("/api/v1/audit/history?{}", query.finish())
}

/// The arguments of a tool. The messages of serde quote only names of fields and types.
fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, String> {
    serde_json::from_value(arguments).map_err(|error| format!("the arguments are invalid: {error}"))
}

/// A result of a search, with the fields that are useful for a model.
fn result(found: &Value) -> Value {
    let mut entry = found.clone();
    if let Some(fields) = entry.as_object_mut() {
        for ranking in ["score", "text_rank", "vector_rank"] {
            fields.remove(ranking);
        }
        if let Some(event) = fields.get_mut("event") {
            without_proof(event);
        }
    }
    entry
}

/// A model cannot check the chain.
fn without_proof(record: &mut Value) {
    if let Some(fields) = record.as_object_mut() {
        fields.remove("seq");
        fields.remove("chain_hash");
    }
}

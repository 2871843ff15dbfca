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

/// The most bytes of an answer of the API: ten records of the largest size and room.
const LARGEST: usize = 8 << 20;
/// The most results of a search.
const MOST_RESULTS: u32 = 10;
/// What is passed on to the API.
const PASSED_ON: [HeaderName; 4] = [
    header::AUTHORIZATION,
    header::HOST,
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
];

/// What was done to one Kubernetes object, newest first: each attempt with its action, its outcome and its error, and how often
/// each action succeeded and failed. Use it before you act on an object.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TargetHistory {
    /// The kind of the object, for example Deployment.
    #[schemars(length(min = 1, max = 100))]
    kind: String,
    /// The namespace of the object. Empty for an object without a namespace, such as a Node.
    #[schemars(length(max = 63))]
    namespace: String,
    /// The name of the object.
    #[schemars(length(min = 1, max = 253))]
    name: String,
    /// How far to look back: a duration such as 24h or 30d, or a time such as 2026-11-25T00:00:00Z. The default is 90d.
    #[serde(default)]
    since: Option<String>,
}

/// Finds earlier incidents and actions by words, and by meaning where vectors are available. Each result is the newest of the
/// records with the same text, and says how many there are. Use it to find out whether something like this happened before.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SearchIncidents {
    /// What to look for, for example an error message, a reason or a name. Quotes keep words together.
    #[schemars(length(min = 1, max = 2048))]
    query: String,
    /// Only records of this namespace. Needed if you may read single namespaces only.
    #[serde(default)]
    namespace: Option<String>,
    /// How far to look back: a duration such as 24h or 30d, or a time such as 2026-11-25T00:00:00Z. The default is no limit.
    #[serde(default)]
    since: Option<String>,
    /// How many results. The default is 5.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10))]
    limit: Option<u32>,
}

/// Shows one record completely, by its `event_id`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct GetRecord {
    /// The `event_id` of the record, as the other tools show it.
    event_id: String,
}

/// The tools. Cheap to clone.
#[derive(Clone)]
pub(super) struct Tools {
    api: Router,
}

/// Who calls a tool: what the API learns about it.
pub(super) struct Client {
    pub headers: HeaderMap,
    pub peer: Peer,
}

impl Tools {
    /// Tools that ask these routes.
    pub(super) fn new(api: Router) -> Self {
        Self { api }
    }

    /// What a client learns about the tools.
    pub(super) fn list() -> Value {
        json!([
            tool::<TargetHistory>("target_history", "History of an object"),
            tool::<SearchIncidents>("search_incidents", "Search of incidents"),
            tool::<GetRecord>("get_record", "One record"),
        ])
    }

    /// Calls a tool. What goes wrong within a tool is a result that the model can read.
    pub(super) async fn call(&self, params: &Map<String, Value>, client: &Client) -> Result<Value, Error> {
        let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
        let arguments = params.get("arguments").cloned().unwrap_or_else(|| json!({}));
        let called = match name {
            "target_history" => self.target_history(arguments, client).await,
            "search_incidents" => self.search_incidents(arguments, client).await,
            "get_record" => self.get_record(arguments, client).await,
            _ => return Err(Error::new(INVALID_PARAMS, "there is no tool with this name")),
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
            return Ok(format!("No record of {target} was found, or you may not read it."));
        }
        let by_action = json!({"by_action": history["by_action"]});
        let entries: Vec<Value> = std::iter::once(by_action).chain(attempts.iter().cloned()).collect();
        Ok(text::answer(
            &format!(
                "{} attempts on {target}, the newest first, after a line with the outcomes of each action.",
                attempts.len()
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
        let how = if answer["model"].is_null() { "by words only" } else { "by words and by meaning" };
        if results.is_empty() {
            return Ok(format!("Nothing was found {how}."));
        }
        let entries: Vec<Value> = results.iter().map(result).collect();
        Ok(text::answer(&format!("{} results, the best first, found {how}.", entries.len()), &entries))
    }

    async fn get_record(&self, arguments: Value, client: &Client) -> Result<String, String> {
        let GetRecord { event_id } = read(arguments)?;
        let event_id = Uuid::try_parse(&event_id).map_err(|_| "event_id must be a UUID, as the other tools show it")?;
        let path = format!("/api/v1/audit/events/{event_id}");
        let mut record = self.ask(client, Method::GET, &path, Body::empty()).await?;
        without_proof(&mut record);
        Ok(text::answer("One record.", &[record]))
    }

    /// Asks the API as the client would. What it refuses becomes a text.
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
        let body =
            to_bytes(body, LARGEST).await.map_err(|_| "the answer is too large; ask for less at once".to_owned())?;
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
    if let Some(since) = since {
        query.append_pair("since", since);
    }
    format!("/api/v1/audit/history?{}", query.finish())
}

/// The arguments of a tool. The messages of serde quote only names of fields and types.
fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, String> {
    serde_json::from_value(arguments).map_err(|error| format!("the arguments are not what is expected: {error}"))
}

/// A result of a search with what helps a model.
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

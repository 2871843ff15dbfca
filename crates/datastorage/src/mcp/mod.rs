//! The tools for agents, with the Model Context Protocol over streamable HTTP.
//!
//! The server keeps no session and sends nothing on its own, so each answer is one JSON document and the protocol has four
//! methods: `initialize`, `ping`, `tools/list` and `tools/call`. That is less code here than the adapter that the crate `rmcp`
//! would need, with its sessions, streams and 30 further crates.
//!
//! [`tools`] uses the HTTP API with the token of the client. So the permissions, limits, redaction and metrics of the
//! API apply, and a tool cannot show more than the API.

mod gate;
mod rpc;
mod text;
mod tools;

use audit::problem::ProblemType;
use axum::{
    Extension, Json, Router,
    response::{IntoResponse as _, Response},
    routing::post,
};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use self::{
    gate::{Gate, Origins},
    rpc::{Error, Message},
    tools::{Client, Tools},
};
use crate::{
    api::{App, Caller, Failure, JsonBody},
    server::Peer,
};

/// The versions of the protocol, the newest first. The last one is that of a request that names none.
const VERSIONS: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
/// The header that names the version.
const VERSION_HEADER: &str = "mcp-protocol-version";
/// The maximum size of a message. The longest argument has 2,048 characters.
const LONGEST: usize = 64 * 1024;
/// What a client learns about the server.
const INSTRUCTIONS: &str = "Data Storage records what was done in this Kubernetes environment and with which result: \
                            remediations, workflows, executed actions, analyses and changes of toolsets. Before you \
                            act on an object, read its history with target_history. An action that failed before will \
                            probably fail again.";

/// The path `/mcp`. `api` contains all routes of the HTTP API, and `origins` the origins of web pages that can use the
/// endpoint.
pub fn router(api: Router, origins: Vec<String>) -> Router<App> {
    // The router answers other methods than POST with 405.
    Router::new()
        .route("/mcp", post(handle))
        .layer(Extension(Tools::new(api)))
        .layer(Extension(Origins(origins.into())))
}

async fn handle(
    _not_from_a_strange_page: Gate,
    caller: Caller,
    Extension(tools): Extension<Tools>,
    Extension(peer): Extension<Peer>,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Failure> {
    if body.bytes().len() > LONGEST {
        return Err(Failure::new(ProblemType::PayloadTooLarge, "a message has at most 64 KiB"));
    }
    if let Err(error) = version(&headers) {
        return Ok(refusal(error));
    }
    let (id, method, params) = match Message::parse(body.bytes()) {
        Ok(Message::Request { id, method, params }) => (id, method, params),
        Ok(Message::OneWay) => return Ok(StatusCode::ACCEPTED.into_response()),
        Err(error) => return Ok(refusal(error)),
    };
    // A tool asks the API as this client, which then counts as one request in flight, not as two.
    caller.release();
    let result = match method.as_str() {
        "initialize" => Ok(initialize(&params)),
        "ping" => Ok(json!({})),
        "tools/list" => Ok(json!({"tools": Tools::list()})),
        "tools/call" => tools.call(&params, &Client { headers, peer }).await,
        _ => Err(Error::new(
            rpc::METHOD_NOT_FOUND,
            "this server supports only initialize, ping, tools/list and tools/call",
        )),
    };
    Ok(Json(rpc::answer(&id, result)).into_response())
}

/// A message that is not read. JSON-RPC wants an answer without an id.
fn refusal(error: Error) -> Response {
    (StatusCode::BAD_REQUEST, Json(rpc::answer(&Value::Null, Err(error)))).into_response()
}

/// Fails if the request is of a version that this server does not speak.
fn version(headers: &HeaderMap) -> Result<(), Error> {
    let Some(version) = headers.get(VERSION_HEADER) else { return Ok(()) };
    let version = version.to_str().unwrap_or_default();
    if VERSIONS.contains(&version) {
        return Ok(());
    }
    let data = json!({"supported": VERSIONS, "requested": version});
    let message = format!("the protocol version must be one of {}", VERSIONS.join(", "));
    Err(Error { data: Some(data), ..Error::new(rpc::UNSUPPORTED_VERSION, message) })
}

/// The version that the client wants, or else the newest, which the client may refuse.
fn initialize(params: &Map<String, Value>) -> Value {
    let wanted = params.get("protocolVersion").and_then(Value::as_str);
    let version = VERSIONS.into_iter().find(|version| Some(*version) == wanted).unwrap_or(VERSIONS[0]);
    json!({
        "protocolVersion": version,
        "capabilities": {"tools": {"listChanged": false}},
        "serverInfo": {"name": "datastorage", "title": "Data Storage", "version": env!("CARGO_PKG_VERSION")},
        "instructions": INSTRUCTIONS,
    })
}

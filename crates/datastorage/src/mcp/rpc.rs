//! The messages of JSON-RPC 2.0 that a stateless server needs.

use serde_json::{Map, Value, json};

/// Not JSON.
pub(super) const PARSE_ERROR: i32 = -32_700;
/// Not a message.
pub(super) const INVALID_REQUEST: i32 = -32_600;
/// No such method.
pub(super) const METHOD_NOT_FOUND: i32 = -32_601;
/// The parameters are not those of the method.
pub(super) const INVALID_PARAMS: i32 = -32_602;
/// Another version of the protocol. Clients of later versions go on with one of `data.supported`.
pub(super) const UNSUPPORTED_VERSION: i32 = -32_022;

/// A message from a client.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Message {
    /// A request, which gets an answer.
    Request {
        /// A string or a number.
        id: Value,
        method: String,
        params: Map<String, Value>,
    },
    /// A notification or an answer, which gets none.
    OneWay,
}

/// Why a message gets an error instead of a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Error {
    pub code: i32,
    pub message: String,
    pub data: Option<Value>,
}

impl Error {
    pub(super) fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }
}

impl Message {
    /// Reads the body of a request.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Error> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|error| Error::new(PARSE_ERROR, format!("the body is not JSON: {error}")))?;
        let invalid = |message: &str| Error::new(INVALID_REQUEST, message);
        let Value::Object(mut message) = body else {
            return Err(invalid("the body must be one JSON-RPC message, not a batch"));
        };
        if message.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return Err(invalid("jsonrpc must be \"2.0\""));
        }
        let method = match message.remove("method") {
            Some(Value::String(method)) => method,
            None if message.contains_key("result") || message.contains_key("error") => return Ok(Self::OneWay),
            _ => return Err(invalid("method must be a string")),
        };
        let params = match message.remove("params") {
            None => Map::new(),
            Some(Value::Object(params)) => params,
            Some(_) => return Err(invalid("params must be an object")),
        };
        match message.remove("id") {
            None => Ok(Self::OneWay),
            Some(id) if id.is_string() || id.is_i64() || id.is_u64() => Ok(Self::Request { id, method, params }),
            Some(_) => Err(invalid("id must be a string or an integer")),
        }
    }
}

/// The answer to a request. `id` is null if the request could not be read.
pub(super) fn answer(id: &Value, result: Result<Value, Error>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(Error { code, message, data }) => {
            let mut error = json!({"code": code, "message": message});
            if let Some(data) = data {
                error["data"] = data;
            }
            json!({"jsonrpc": "2.0", "id": id, "error": error})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<Message, i32> {
        Message::parse(body.as_bytes()).map_err(|error| error.code)
    }

    #[test]
    fn a_request_has_an_id_and_a_notification_has_none() {
        let request = parse(r#"{"jsonrpc":"2.0","id":0,"method":"ping"}"#);
        assert_eq!(request, Ok(Message::Request { id: json!(0), method: "ping".into(), params: Map::new() }));
        assert_eq!(parse(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), Ok(Message::OneWay));
        assert_eq!(parse(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), Ok(Message::OneWay));
    }

    #[test]
    fn what_is_no_message_is_an_error_with_its_code() {
        assert_eq!(parse("{"), Err(PARSE_ERROR));
        for body in [
            "[]",
            r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
            "1",
            r#"{"id":1,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":1}"#,
            r#"{"jsonrpc":"2.0","id":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        ] {
            assert_eq!(parse(body), Err(INVALID_REQUEST), "{body}");
        }
    }
}

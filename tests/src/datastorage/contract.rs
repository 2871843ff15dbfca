//! Compares every answer with the OpenAPI document.
//!
//! The schemas of the document use few keywords, and this check refuses a keyword that it does not know. So it needs no library:
//! those for JSON Schema bring thirty crates, which the demo and the benchmarks would compile too.

use std::sync::LazyLock;

use anyhow::{Context as _, Result, bail, ensure};
use http::Method;
use serde_json::{Map, Value};

use super::Answer;

/// The document as it is committed. A test compares it with what the service serves.
pub const DOCUMENT: &str = include_str!("../../../docs/data-storage/openapi.json");

static PARSED: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(DOCUMENT).unwrap_or_default());

/// Fails if the answer is not one that the document promises for this request. `path` may have a query.
pub(super) fn check(method: &Method, path: &str, answer: &Answer) -> Result<()> {
    let path = path.split('?').next().unwrap_or_default();
    // Headers that are too large never reach the API.
    if path == "/mcp" || path == "/metrics" || *method == Method::HEAD || answer.status == 431 {
        return Ok(());
    }
    let paths = PARSED["paths"].as_object().context("the document has no paths")?;
    let operation = paths.iter().find(|(template, _)| fits(template, path)).map(|(_, operations)| operations);
    let operation = operation.and_then(|operations| operations.get(method.as_str().to_lowercase()));
    checked(operation, answer)
        .with_context(|| format!("{method} {path} does not answer as openapi.json says: {answer}"))
}

fn checked(operation: Option<&Value>, answer: &Answer) -> Result<()> {
    let kind = answer.header("content-type").unwrap_or_default();
    let Some(operation) = operation else {
        ensure!([404, 405].contains(&answer.status), "the document has no such path and method");
        return schema(&serde_json::json!({"$ref": "#/components/schemas/Problem"}), &answer.json()?, "");
    };
    let content = &operation["responses"][answer.status.to_string()]["content"];
    let contents = content.as_object().context("the document has no such status")?;
    let expected = contents.get(kind).with_context(|| format!("the document has no content type {kind:?} here"))?;
    if kind == "application/x-ndjson" {
        return Ok(());
    }
    schema(&expected["schema"], &answer.json()?, "")
}

/// Whether a path is one of a template. The last parameter may have slashes.
fn fits(template: &str, path: &str) -> bool {
    match template.split_once('{') {
        None => template == path,
        Some((before, parameter)) => {
            let slashes = parameter.starts_with("correlation_id");
            path.strip_prefix(before).is_some_and(|value| !value.is_empty() && (slashes || !value.contains('/')))
                // A fixed path wins over a parameter.
                && path != "/api/v1/audit/events/batch"
        }
    }
}

/// Fails if a value breaks a schema. `at` is where the value stands.
fn schema(schema: &Value, value: &Value, at: &str) -> Result<()> {
    let Some(rules) = schema.as_object() else {
        ensure!(schema == &Value::Bool(true), "{at}: nothing is allowed here");
        return Ok(());
    };
    for (keyword, rule) in rules {
        keyword_of(rules, keyword, rule, value, at)?;
    }
    Ok(())
}

fn keyword_of(rules: &Map<String, Value>, keyword: &str, rule: &Value, value: &Value, at: &str) -> Result<()> {
    match keyword {
        "$ref" => {
            let pointer = rule.as_str().and_then(|reference| reference.strip_prefix('#')).context("a reference")?;
            let target = PARSED.pointer(pointer).with_context(|| format!("{pointer} is missing"))?;
            schema(target, value, at)?;
        }
        "type" => {
            let types = rule.as_array().map_or_else(|| vec![rule], |types| types.iter().collect());
            ensure!(types.iter().any(|kind| is(kind, value)), "{at}: {value} is not of type {rule}");
        }
        "enum" => {
            ensure!(rule.as_array().is_some_and(|words| words.contains(value)), "{at}: {value} is none of {rule}");
        }
        "const" => ensure!(rule == value, "{at}: {value} is not {rule}"),
        "anyOf" | "oneOf" => {
            let alternatives = rule.as_array().context("alternatives")?;
            let fits = alternatives.iter().any(|alternative| schema(alternative, value, at).is_ok());
            ensure!(fits, "{at}: {value} fits no alternative of {rule}");
        }
        "required" => {
            for name in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
                ensure!(!value.is_object() || value.get(name).is_some(), "{at}/{name} is missing");
            }
        }
        "properties" => {
            for (name, value) in value.as_object().into_iter().flatten() {
                let at = format!("{at}/{name}");
                // Stricter than JSON Schema: what is not documented must not be there.
                schema(rule.get(name).with_context(|| format!("{at} is not documented"))?, value, &at)?;
            }
        }
        "items" => {
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                schema(rule, item, &format!("{at}/{index}"))?;
            }
        }
        "minimum" => {
            ensure!(!value.is_number() || value.as_f64() >= rule.as_f64(), "{at}: {value} is less than {rule}");
        }
        "maximum" => {
            ensure!(!value.is_number() || value.as_f64() <= rule.as_f64(), "{at}: {value} is more than {rule}");
        }
        "maxLength" => {
            let length = value.as_str().map(|text| text.chars().count() as u64);
            ensure!(length <= rule.as_u64(), "{at}: {value} is longer than {rule}");
        }
        "minLength" => {
            let length = value.as_str().map(|text| text.chars().count() as u64);
            ensure!(length.is_none() || length >= rule.as_u64(), "{at}: {value} is shorter than {rule}");
        }
        "format" => format_of(rule, value, at)?,
        "additionalProperties" => {
            let open = rule == &Value::Bool(true) || rules.contains_key("properties");
            ensure!(open, "{at}: additionalProperties is only known together with properties");
        }
        "description" | "title" | "default" | "examples" => {}
        unknown => bail!("{at}: this check does not know the keyword {unknown}; add it"),
    }
    Ok(())
}

fn is(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("null") => value.is_null(),
        _ => false,
    }
}

fn format_of(format: &Value, value: &Value, at: &str) -> Result<()> {
    let Some(text) = value.as_str() else { return Ok(()) };
    let fits = match format.as_str() {
        Some("date-time") => text.ends_with('Z') && text.len() >= "2026-11-25T22:25:42Z".len() && text.contains('T'),
        Some("uuid") => text.parse::<uuid::Uuid>().is_ok(),
        Some(known) if known.starts_with("int") || known.starts_with("uint") || known == "double" => true,
        _ => bail!("{at}: this check does not know the format {format}; add it"),
    };
    ensure!(fits, "{at}: {text} is not a {format}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use serde_json::json;

    use super::*;

    fn answer(status: u16, kind: &str, body: &Value) -> Answer {
        let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, kind.parse().unwrap())]);
        Answer { status, headers, body: body.to_string().into_bytes() }
    }

    #[test]
    fn an_answer_that_is_not_documented_is_refused() {
        let list =
            |body: &Value| check(&Method::GET, "/api/v1/audit/events?x=1", &answer(200, "application/json", body));
        list(&json!({"items": [], "next_cursor": null})).unwrap();
        for wrong in [
            json!({"items": []}),
            json!({"items": [], "next_cursor": 1}),
            json!({"items": [], "next_cursor": null, "total": 0}),
            json!({"items": [{}], "next_cursor": null}),
        ] {
            list(&wrong).unwrap_err();
        }
        let empty = json!({"items": [], "next_cursor": null});
        check(&Method::GET, "/api/v1/audit/events", &answer(200, "text/plain", &empty)).unwrap_err();
        check(&Method::GET, "/api/v1/audit/events", &answer(418, "application/json", &empty)).unwrap_err();
        check(&Method::GET, "/api/v2/audit/events", &answer(200, "application/json", &empty)).unwrap_err();
    }

    #[test]
    fn null_is_neither_too_small_nor_too_short() {
        let rules =
            json!({"type": ["integer", "string", "null"], "minimum": 1, "maximum": 2, "minLength": 1, "maxLength": 2});
        for (value, fits) in
            [(json!(null), true), (json!(1), true), (json!(0), false), (json!("abc"), false), (json!("a"), true)]
        {
            assert_eq!(schema(&rules, &value, "").is_ok(), fits, "{value}");
        }
    }

    #[test]
    fn a_problem_has_all_its_fields() {
        let problem =
            json!({"type": "urn:a", "title": "a", "status": 404, "detail": "a", "instance": "/", "request_id": "1"});
        let of = |body: &Value| answer(404, "application/problem+json", body);
        check(&Method::GET, "/nothing", &of(&problem)).unwrap();
        check(&Method::GET, "/api/v1/audit/correlations/a/b", &of(&problem)).unwrap();
        check(&Method::GET, "/nothing", &of(&json!({"title": "a"}))).unwrap_err();
    }
}

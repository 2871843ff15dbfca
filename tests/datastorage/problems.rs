//! Every error is a problem of RFC 9457, with the id of the request. The client of all tests checks the form.

use anyhow::{Context as _, Result};
use e2e::datastorage::{Database, Service, events};
use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const EVENTS: &str = "/api/v1/audit/events";
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn an_unknown_path_and_a_method_that_a_path_does_not_take_are_problems() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    for path in ["/", "/api/v1/audit", "/api/v2/audit/events", "/api/v1/audit/events/", "/API/v1/audit/events"] {
        let problem = api.get(path).await?.problem(404, "not-found")?;
        assert_eq!(problem["instance"], path);
    }
    for (method, path, allowed) in [
        (Method::DELETE, EVENTS, "GET,HEAD,POST"),
        (Method::PUT, "/api/v1/audit/events/batch", "POST"),
        (Method::POST, "/health", "GET,HEAD"),
        (Method::GET, "/api/v1/search", "POST"),
    ] {
        let answer = api.send(method, path, &[], Vec::new()).await?;
        assert_eq!(answer.header("allow"), Some(allowed));
        answer.problem(405, "method-not-allowed")?;
    }
    Ok(())
}

#[tokio::test]
async fn a_body_that_is_not_json_is_refused_before_anything_else() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    for path in [EVENTS, "/api/v1/audit/events/batch", "/api/v1/search"] {
        for headers in [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/jsonx")]] {
            let answer = api.send(Method::POST, path, headers, b"{}".to_vec()).await?;
            answer.problem(415, "unsupported-media-type")?;
        }
        for body in ["", "{", "nonsense", "[1,", "{\"a\":1}{"] {
            api.send(Method::POST, path, &[JSON], body.into()).await?.problem(400, "validation-error")?;
        }
    }
    let charset = [("content-type", "Application/JSON; charset=utf-8")];
    let body = serde_json::to_vec(&events::sample())?;
    api.send(Method::POST, EVENTS, &charset, body).await?.require(201)?;
    Ok(())
}

/// Sends bytes as they are and returns the answer, until the service closes the connection.
async fn raw(service: &Service, request: &[u8]) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", service.port())).await?;
    // The service may answer and close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test]
async fn a_body_of_more_than_4_mib_is_refused_with_and_without_its_length() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let announced = format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        (4 << 20) + 1
    );
    assert!(raw(&service, announced.as_bytes()).await?.contains("urn:datastorage:problem:payload-too-large"));
    let mut chunked = format!(
        "POST {EVENTS} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    .into_bytes();
    for _ in 0..5 {
        chunked.extend(b"100000\r\n");
        chunked.extend(vec![b' '; 1 << 20]);
        chunked.extend(b"\r\n");
    }
    let answer = raw(&service, &chunked).await?;
    assert!(answer.is_empty() || answer.contains("payload-too-large"), "{answer}");
    // Just below the limit it is read.
    let body = format!("{{\"events\":[{}]}}", " ".repeat((4 << 20) - 13));
    let batch = "/api/v1/audit/events/batch";
    let answer = service.api().send(Method::POST, batch, &[JSON], body.into_bytes()).await?;
    assert_eq!(answer.problem(400, "validation-error")?["errors"][0]["field"], "events");
    Ok(())
}

#[tokio::test]
async fn every_answer_has_the_id_of_its_request_and_is_not_kept_by_caches() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    for path in ["/health", "/nothing", EVENTS, "/openapi.json"] {
        let answer = api.send(Method::GET, path, &[("x-request-id", "job-7:a/b")], Vec::new()).await?;
        assert_eq!(answer.header("x-request-id"), Some("job-7:a/b"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    for strange in ["a b", "<script>", "\"", &"a".repeat(129)] {
        let answer = api.send(Method::GET, "/nothing", &[("x-request-id", strange)], Vec::new()).await?;
        let id = answer.header("x-request-id").context("an id")?.to_owned();
        assert_eq!(id.len(), 36, "{id}");
        assert_eq!(answer.problem(404, "not-found")?["request_id"], id);
    }
    Ok(())
}

#[tokio::test]
async fn a_fault_of_the_database_is_answered_without_its_text_and_logged_with_it() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    database.owner().await?.batch_execute("ALTER TABLE audit_event RENAME TO gone").await?;
    let answer = service.api().send(Method::GET, EVENTS, &[("x-request-id", "fault-1")], Vec::new()).await?;
    assert!(!answer.text().contains("audit_event"), "{answer}");
    answer.problem(500, "internal")?;
    let log = service.log()?;
    let line = log.lines().find(|line| line.contains("fault-1")).context("the request is logged")?;
    let line: Value = serde_json::from_str(line)?;
    assert!(line["cause"].as_str().is_some_and(|cause| cause.contains("audit_event")), "{line}");
    Ok(())
}

#[tokio::test]
async fn a_request_is_one_line_of_json_without_what_was_sent() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let headers = [
        JSON,
        ("x-request-id", "write-1"),
        ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        ("authorization", "Bearer very-secret-token"),
    ];
    let event = events::sample().with("summary", "a summary that nobody logs");
    let body = serde_json::to_vec(&event)?;
    service.api().send(Method::POST, EVENTS, &headers, body).await?.require(201)?;
    let log = service.log()?;
    let lines: Vec<Value> =
        log.lines().filter(|line| line.contains("write-1")).map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert_eq!(lines.len(), 1, "{lines:?}");
    let expected = [
        ("request_id", json!("write-1")),
        ("trace_id", json!(trace)),
        ("identity", json!("anonymous")),
        ("kind", json!("execution")),
        ("method", json!("POST")),
        ("route", json!(EVENTS)),
        ("status", json!(201)),
    ];
    for (field, value) in expected {
        assert_eq!(lines[0][field], value, "{field}");
    }
    for secret in ["very-secret-token", "nobody logs", "payments"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    Ok(())
}

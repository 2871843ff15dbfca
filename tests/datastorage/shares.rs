//! What one client may use of what all share, and what it gets while it does.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    datastorage::{Database, Event, Service, events},
    harness::prelude::*,
};
use http::Method;
use serde_json::{Value, json};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::access::{Access, WRITE};

const EVENTS: &str = "/api/v1/audit/events";
const DAY: u64 = 24 * 60 * 60;

/// A client that asks and does not read.
async fn stalled(service: &Service, path: &str) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    let mut stream = socket.connect(([127, 0, 0, 1], service.port()).into()).await?;
    // The system keeps some megabytes for the client, so one answer does not fill what it keeps.
    for _ in 0..100 {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await?;
    }
    Ok(stream)
}

#[tokio::test]
async fn a_request_counts_until_its_answer_is_read_and_a_page_has_about_two_mebibytes() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &["--rate-limit-in-flight=2"]).await?;
    let large = || events::sample().with("data", json!({"output": "x ".repeat(30_000)}));
    for _ in 0..3 {
        service.api().write_batch(&(0..60).map(|_| large()).collect::<Vec<_>>()).await?;
    }
    let page = service.api().list("limit=1000").await?;
    assert!((20..60).contains(&page.items.len()), "{}", page.items.len());
    assert_eq!(service.api().list_all("limit=1000").await?.len(), 180);

    let path = format!("{EVENTS}?limit=1000");
    let mut clients = Vec::new();
    eventually("no more requests are taken", async || {
        // While the request below is in flight, those of a client can all be refused, and then it holds nothing. The next holds.
        clients.push(stalled(&service, &path).await?);
        let answer = service.api().get(&format!("{EVENTS}?limit=1")).await?;
        ensure!(answer.status == 429, "{}", answer.status);
        Ok(())
    })
    .await?;
    drop(clients);
    eventually("requests are taken again", async || {
        service.api().get(&format!("{EVENTS}?limit=1")).await?.require(200).map(drop)
    })
    .await
}

#[tokio::test]
async fn without_authentication_a_name_that_leads_to_this_machine_is_refused() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    for path in [EVENTS, "/api/v1/audit/export", "/api/v1/audit/checkpoint"] {
        let answer = service.api().send(Method::GET, path, &[("host", "evil.example")], Vec::new()).await?;
        answer.problem(403, "forbidden")?;
        service.api().get(path).await?.require(200)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_write_that_is_allowed_counts_nothing_as_refused() -> Result<()> {
    scenario("ds-not-refused", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let writer = access.caller_in(world, &prod, "writer", WRITE).await?;
        let event = events::sample().with("namespace", prod.as_str()).without("target_resource");
        writer.api.write(&event).await?;
        let refused = access.service.metric("datastorage_auth_total{result=\"forbidden\"}").await?;
        assert!(refused.unwrap_or_default() < 1.0, "{refused:?}");
        writer.api.get(EVENTS).await?.problem(403, "forbidden")?;
        let refused = access.service.metric("datastorage_auth_total{result=\"forbidden\"}").await?;
        assert_eq!(refused, Some(1.0));
        Ok(())
    })
    .await
}

/// Records of six days, of which every fifth is rare.
fn days() -> Vec<Event> {
    let made =
        |index: u64| events::sample().with("event_id", events::id_made(Duration::from_secs(index * DAY / 5 + 60)));
    let severity = |index| if index % 5 == 0 { "rare" } else { "usual" };
    (0..30).map(|index| made(index).with("severity", severity(index))).collect()
}

#[tokio::test]
async fn a_filter_without_an_index_finds_every_record_in_every_order() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let days = days();
    service.api().write_batch(&days).await?;
    let rare: Vec<_> = days.iter().filter(|event| event.get("severity") == "rare").map(Event::id).collect();
    for limit in [1, 2, 6, 100] {
        for (order, backwards) in [("", false), ("&order=asc", true), ("&after_seq=0", false)] {
            let found = service.api().list_all(&format!("severity=rare&limit={limit}{order}")).await?;
            let mut ids: Vec<_> = found.iter().filter_map(|record| record["event_id"].as_str()).collect();
            if backwards {
                ids.reverse();
            }
            assert_eq!(ids, rare, "{limit} {order}");
        }
    }
    let last = service.api().list("severity=rare&limit=6").await?;
    assert_eq!((last.items.len(), last.next_cursor), (6, None), "the last page says that it is the last");
    assert_eq!(service.api().list_all("severity=none").await?.len(), 0);
    assert_eq!(service.api().list_all("severity=rare&since=50h").await?.len(), 3);
    let export = service.api().get("/api/v1/audit/export?severity=rare").await?.require(200)?.text();
    assert_eq!(export.lines().count(), 7, "{export}");
    Ok(())
}

#[tokio::test]
async fn a_cluster_that_gets_its_name_later_keeps_its_history() -> Result<()> {
    let database = Database::fresh().await?;
    let path = "/api/v1/audit/history?target=Deployment/prod/payments-api";
    let service = Service::start(&database, &[]).await?;
    service.api().write(&events::sample().without("cluster")).await?;
    service.stop().await?;
    let service = Service::start(&database, &["--cluster=eu-1"]).await?;
    service.api().write(&events::sample().without("cluster").with("correlation_id", "rr-2")).await?;
    service.api().write(&events::sample().with("cluster", "eu-2").with("correlation_id", "rr-3")).await?;
    let history: Value = service.api().get(path).await?.require(200)?.json()?;
    assert_eq!(history["attempts"].as_array().map(Vec::len), Some(2), "{history}");
    let elsewhere: Value = service.api().get(&format!("{path}&cluster=eu-2")).await?.require(200)?.json()?;
    assert_eq!(elsewhere["attempts"].as_array().map(Vec::len), Some(1), "{elsewhere}");
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_record_of_a_batch_names_the_request_and_only_rfc_3339_is_a_time() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let batch = [events::sample(), events::sample().with("occurred_at", "2026-11-25T22Z")];
    let result = service.api().write_batch(&batch).await?;
    let problem = &result["results"][1]["problem"];
    assert_eq!(problem["errors"][0]["field"], "occurred_at");
    assert_eq!(problem["instance"], "/api/v1/audit/events/batch");
    assert!(problem["request_id"].is_string(), "{problem}");
    service.api().get(&format!("{EVENTS}?since=2026-11-25T22Z")).await?.problem(400, "validation-error")?;
    Ok(())
}

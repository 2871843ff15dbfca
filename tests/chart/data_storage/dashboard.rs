//! The dashboard's queries and the alerts' expressions, run by a real Prometheus that scrapes the metrics of the service.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use audit::{Kind, Reason};
use axum::{Router, routing::get};
use datastorage::metrics::{DualWriteFailure, Metrics, Operation, WriteStatus};
use e2e::{
    chart::{self, DATA_STORAGE},
    harness::eventually,
};
use tokio::net::TcpListener;

use crate::{grafana, prometheus::Prometheus};

/// The panels, by the names under which people know them.
const PANELS: [&str; 13] = [
    "Write rate",
    "Write duration",
    "Write error rate",
    "Dual-write success and failure",
    "Fallback",
    "Cache hit rate",
    "Embedding duration",
    "Validation failures by field",
    "Validation failure rate",
    "Query rate",
    "Query duration by operation",
    "Query error rate",
    "Semantic search duration",
];

#[test]
fn there_are_thirteen_panels_and_six_alerts() -> Result<()> {
    let dashboard = grafana::read(DATA_STORAGE)?;
    let titles: Vec<_> = grafana::panels(&dashboard)?.iter().filter_map(|panel| panel["title"].as_str()).collect();
    assert_eq!(titles, PANELS);
    let alerts: Vec<_> = grafana::alerts(DATA_STORAGE)?.into_iter().map(|(alert, _)| alert).collect();
    let expected = [
        "DataStorageHighWriteErrorRate",
        "DataStoragePostgreSQLFailure",
        "DataStorageHighQueryErrorRate",
        "DataStorageVectorDBDegraded",
        "DataStorageLowCacheHitRate",
        "DataStorageSlowSemanticSearch",
    ];
    assert_eq!(alerts, expected);
    Ok(())
}

#[test]
fn every_panel_has_a_place_and_an_id_of_its_own() -> Result<()> {
    grafana::check_places(&grafana::read(DATA_STORAGE)?)
}

#[test]
fn every_panel_says_what_it_shows_and_every_link_leads_somewhere() -> Result<()> {
    grafana::check_links(&grafana::read(DATA_STORAGE)?, DATA_STORAGE)
}

/// What a service counts in a moment of normal work.
fn work(metrics: &Metrics) {
    let took = Duration::from_millis(5);
    metrics.database_up(true);
    for _ in 0..100 {
        metrics.write(Kind::Toolset, WriteStatus::Success);
        metrics.write_duration(Kind::Toolset, took);
        metrics.query(Operation::List, true, took);
        metrics.query(Operation::SemanticSearch, true, took);
    }
    metrics.write(Kind::Toolset, WriteStatus::Failure);
    metrics.write(Kind::Toolset, WriteStatus::Refused);
    metrics.query(Operation::List, false, took);
    metrics.dualwrite_success(100);
    metrics.dualwrite_failure(DualWriteFailure::PostgresqlFailure, 1);
    metrics.cache(9, 1);
    metrics.embedding_duration(took);
    metrics.validation_failure("name", Reason::Required);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_the_dashboard_has_data_in_a_real_prometheus_and_no_alert_fires() -> Result<()> {
    let Some(program) = chart::of_prometheus("prometheus")? else { return Ok(()) };
    let metrics = Arc::new(Metrics::new());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let url = format!("http://{}/metrics", listener.local_addr()?);
    let counted = Arc::clone(&metrics);
    let scraped = get(async move || {
        // Rates and quantiles are empty while nothing happens, so something happens before every scrape.
        work(&counted);
        let head = [("content-type", "application/openmetrics-text; version=1.0.0; charset=utf-8")];
        counted.render().map(|text| (head, text)).map_err(|error| error.to_string())
    });
    let server = tokio::spawn(async move { axum::serve(listener, Router::new().route("/metrics", scraped)).await });
    let folder = tempfile::tempdir()?;
    let prometheus = Prometheus::start(&program, folder.path(), &url, ("audit", "data-storage-0"))?;
    for (title, query) in grafana::queries(&grafana::read(DATA_STORAGE)?)? {
        eventually(&format!("panel {title:?} shows data for {query}"), async || {
            ensure!(!prometheus.query(&query).await?.is_empty(), "no data");
            Ok(())
        })
        .await?;
    }
    for (alert, expression) in grafana::alerts(DATA_STORAGE)? {
        let firing = prometheus.query(&expression).await?;
        ensure!(firing.is_empty(), "{alert} fires on a healthy service: {firing:?}");
    }
    server.abort();
    Ok(())
}

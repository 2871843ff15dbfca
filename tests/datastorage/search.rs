//! Search by words: what is found, what a result is, and what the filters do.

use anyhow::{Context as _, Result, ensure};
use e2e::datastorage::{Database, Event, Service, events};
use serde_json::{Value, json};

const SEARCH: &str = "/api/v1/search";

/// A record that says this.
fn saying(summary: &str) -> Event {
    events::sample().with("summary", summary).without("error_message")
}

/// The summaries of the results, the best first.
async fn found(service: &Service, request: Value) -> Result<Vec<String>> {
    let answer = service.api().search(&request).await?;
    let results = answer["results"].as_array().context("no results")?;
    Ok(results.iter().map(|result| result["event"]["summary"].as_str().unwrap_or_default().to_owned()).collect())
}

#[tokio::test]
async fn a_record_is_found_by_every_part_of_its_words() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let text = "Back-off pulling image \"ghcr.io/acme/payments-api:1.4.2-rc.1\": java.lang.OutOfMemoryError: Java heap space; \
                exitCode=137, dial tcp 10.0.0.12:5432: connect: connection refused; pod payments-api-6c9f7d8b5-xk2lp on \
                ip-10-0-3-4.eu-west-1.compute.internal; /var/log/app.log: no space left; größe überschritten; 0x1F 5e3 -1";
    service.api().write(&saying(text)).await?;
    for query in [
        "OutOfMemoryError",
        "java.lang.OutOfMemoryError",
        "oom or outofmemoryerror",
        "1.4.2-rc.1",
        "1.4.2",
        "payments-api:1.4.2-rc.1",
        "ghcr.io/acme/payments-api",
        "exitCode=137",
        "137",
        "\"connection refused\"",
        "10.0.0.12:5432",
        "10.0.0.12",
        "5432",
        "payments-api-6c9f7d8b5-xk2lp",
        "payments-api",
        "xk2lp",
        "ip-10-0-3-4.eu-west-1.compute.internal",
        "/var/log/app.log",
        "app.log",
        "BACK-OFF image",
        "größe überschritten",
        "0x1F",
        "5e3",
        "heap -disk",
        "restart_pod",
        "restart-payments-api",
        "Deployment/prod/payments-api",
    ] {
        let found = found(&service, json!({"query": query, "mode": "text"})).await?;
        ensure!(found == [text], "{query} found {found:?}");
    }
    for query in ["disk", "\"refused connection\"", "heap -java", "1.4.3", "13", "..."] {
        let found = found(&service, json!({"query": query, "mode": "text"})).await?;
        ensure!(found.is_empty(), "{query} found {found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn records_with_one_text_are_one_result_with_the_newest_of_them() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    // The texts differ only in what changes from one time to the next.
    let times = [3, 1, 2].map(|n| saying(&format!("Restarted payments-api {n} times after OOMKilled")));
    for event in &times {
        service.api().write(event).await?;
    }
    service.api().write(&saying("Scaled after OOMKilled")).await?;
    let answer = service.api().search(&json!({"query": "restarted oomkilled", "mode": "text"})).await?;
    let results = answer["results"].as_array().context("no results")?;
    ensure!(results.len() == 1, "{answer}");
    let result = &results[0];
    ensure!(result["event"]["event_id"] == times[2].id(), "{result}");
    ensure!(result["matches"] == 3, "{result}");
    let record = async |event: &Event| service.api().record(event.id()).await?.context("no record");
    ensure!(result["first_at"] == record(&times[0]).await?["occurred_at"], "{result}");
    ensure!(result["last_at"] == record(&times[2]).await?["occurred_at"], "{result}");
    ensure!(result["text_rank"] == 1 && result["vector_rank"].is_null() && result["similarity"].is_null(), "{result}");
    ensure!(answer["exact"] == true && answer["mode"] == "text", "{answer}");
    ensure!(answer["model"].is_null() && answer["degraded"].is_null(), "{answer}");
    // Of the records with one text, the newest that has the words is shown.
    let answer = service.api().search(&json!({"query": "\"3 times\"", "mode": "text"})).await?;
    ensure!(answer["results"][0]["event"]["event_id"] == times[0].id(), "{answer}");
    ensure!(answer["results"][0]["matches"] == 1, "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_record_without_a_text_is_found_by_its_name() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    for _ in 0..2 {
        service.api().write(&events::minimal().with("name", "drain-node-seven")).await?;
    }
    let answer = service.api().search(&json!({"query": "seven", "mode": "text"})).await?;
    let results = answer["results"].as_array().context("no results")?;
    ensure!(results.len() == 2 && results.iter().all(|result| result["matches"] == 1), "{answer}");
    Ok(())
}

#[tokio::test]
async fn every_filter_is_an_and() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let record = |summary: &str| saying(&format!("quota of {summary}"));
    for event in [
        record("everything"),
        record("another kind").with("kind", "workflow"),
        record("another namespace").with("namespace", "stage"),
        record("another cluster").with("cluster", "eu-2"),
        record("another action").with("action_type", "scale_up"),
        record("another status").with("status", "success"),
    ] {
        service.api().write(&event).await?;
    }
    for (filter, missing) in [
        (json!({"kinds": ["execution", "toolset"]}), "another kind"),
        (json!({"namespace": "prod"}), "another namespace"),
        (json!({"action_type": "restart_pod"}), "another action"),
        (json!({"status": "failure"}), "another status"),
    ] {
        let mut request = json!({"query": "quota", "mode": "text", "limit": 50});
        for (name, value) in filter.as_object().context("not an object")? {
            request[name] = value.clone();
        }
        let found = found(&service, request).await?;
        let expected = if missing == "another namespace" { [4, 5].as_slice() } else { [5].as_slice() };
        ensure!(expected.contains(&found.len()), "{filter} found {found:?}");
        ensure!(!found.contains(&format!("quota of {missing}")), "{filter} found {found:?}");
        ensure!(found.contains(&"quota of everything".to_owned()), "{filter} found {found:?}");
    }
    let only = found(&service, json!({"query": "quota", "mode": "text", "cluster": "eu-2"})).await?;
    ensure!(only == ["quota of another cluster"], "{only:?}");
    for (name, value, expected) in [("since", "1h", 6), ("since", "0s", 0), ("until", "1h", 0), ("until", "0s", 6)] {
        let found = found(&service, json!({"query": "quota", "mode": "text", "limit": 50, name: value})).await?;
        ensure!(found.len() == expected, "{name} {value} found {found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_limit_cuts_the_results_after_the_best() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"];
    for word in words {
        service.api().write(&saying(&format!("quota {word}"))).await?;
    }
    service.api().write(&saying("quota quota quota of a kind")).await?;
    service.api().write(&saying("nothing")).await?;
    let first = found(&service, json!({"query": "quota", "mode": "text", "limit": 1})).await?;
    ensure!(first == ["quota quota quota of a kind"], "{first:?}");
    ensure!(found(&service, json!({"query": "quota", "mode": "text"})).await?.len() == 10);
    ensure!(found(&service, json!({"query": "quota", "mode": "text", "limit": 50})).await?.len() == 13);
    Ok(())
}

#[tokio::test]
async fn what_is_wrong_with_a_query_is_named() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    for (request, field, reason) in [
        (json!({"query": ""}), "query", "required"),
        (json!({"mode": "text"}), "query", "required"),
        (json!({"query": " \t"}), "query", "whitespace_only"),
        (json!({"query": "a".repeat(2049)}), "query", "length_exceeded"),
        (json!({"query": "a\u{0}b"}), "query", "invalid"),
        (json!({"query": "a", "limit": 0}), "limit", "invalid"),
        (json!({"query": "a", "limit": 51}), "limit", "invalid"),
        (json!({"query": "a", "min_similarity": 1.1}), "min_similarity", "invalid"),
        (json!({"query": "a", "kinds": ["party"]}), "kinds", "invalid"),
        (json!({"query": "a", "status": "odd"}), "status", "invalid"),
        (json!({"query": "a", "since": "yesterday"}), "since", "invalid"),
    ] {
        let problem = service.api().post(SEARCH, &request).await?.problem(400, "validation-error")?;
        ensure!(problem["errors"][0]["field"] == field, "{request}: {problem}");
        ensure!(problem["errors"][0]["reason"] == reason, "{request}: {problem}");
    }
    for request in [json!({"query": "a", "qery": "b"}), json!({"query": "a", "mode": "magic"}), json!([])] {
        service.api().post(SEARCH, &request).await?.problem(400, "validation-error")?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_provider_hybrid_has_only_words_and_vector_has_no_answer() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write(&saying("quota exceeded")).await?;
    for request in [json!({"query": "quota"}), json!({"query": "quota", "mode": "hybrid"})] {
        let answer = service.api().search(&request).await?;
        ensure!(answer["results"].as_array().map(Vec::len) == Some(1), "{answer}");
        ensure!(answer["mode"] == "hybrid" && answer["degraded"] == "vector_unavailable", "{answer}");
    }
    let vector = service.api().post(SEARCH, &json!({"query": "quota", "mode": "vector"})).await?;
    vector.problem(503, "search-unavailable")?;
    let fallback = service.metric("datastorage_fallback_mode_total").await?;
    ensure!(fallback == Some(0.0), "nothing counts as a fallback while embeddings are off: {fallback:?}");
    ensure!(service.metric("datastorage_search_path_total{path=\"text\"}").await? == Some(2.0));
    Ok(())
}

#[tokio::test]
async fn a_hybrid_search_whose_words_are_in_no_record_together_finds_those_with_most_of_them() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let (most, some) = ("Ledger is slow after a dump of the heap", "Ledger of billing answers");
    for summary in [some, most, "Ledger of billing answers again", "Node drained"] {
        service.api().write(&saying(summary)).await?;
    }
    // No record has the last word.
    let query = "ledger slow heap zebra";
    let answer = service.api().search(&json!({"query": query})).await?;
    ensure!(found(&service, json!({"query": query})).await? == [most], "{answer}");
    ensure!(answer["degraded"] == "vector_unavailable" && answer["exact"] == true, "{answer}");
    ensure!(answer["results"][0]["text_rank"] == 1, "{answer}");
    // No record has two of the words.
    let few = found(&service, json!({"query": "billing zebra giraffe drained"})).await?;
    ensure!(few.len() == 3 && !few.contains(&most.to_owned()), "{few:?}");
    // Where a record has all words, the others are left out.
    let all = found(&service, json!({"query": "ledger heap"})).await?;
    ensure!(all == [most], "{all:?}");
    Ok(())
}

#[tokio::test]
async fn words_that_must_all_occur_are_never_left_out() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write(&saying("Ledger is slow after a dump of the heap")).await?;
    for request in [
        json!({"query": "ledger heap zebra", "mode": "text"}),
        json!({"query": "\"ledger heap\" slow"}),
        json!({"query": "zebra or giraffe"}),
        json!({"query": "ledger zebra -heap"}),
        json!({"query": "zebra"}),
        json!({"query": "ledger zebra", "namespace": "elsewhere"}),
    ] {
        let found = found(&service, request.clone()).await?;
        ensure!(found.is_empty(), "{request} found {found:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_month_without_its_words_is_not_read() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    service.api().write(&saying("quota exceeded")).await?;
    // The newest month has all records, and the others have none of them.
    let owner = database.owner().await?;
    owner.batch_execute("SET enable_seqscan = off").await?;
    let rows = owner
        .query(
            "EXPLAIN SELECT event_id FROM audit_event WHERE words @@ websearch_to_tsquery('pg_catalog.simple', 'quota')",
            &[],
        )
        .await?;
    let plan: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    ensure!(plan.iter().any(|line| line.contains("words_idx")), "no index of words: {plan:#?}");
    Ok(())
}

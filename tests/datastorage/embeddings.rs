//! Search by meaning, and what happens to searches and writes while the provider fails.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{
        Database, Event, OWNER, Service, ServiceOptions, datastorage, events,
        provider::{Behaviour, DIMENSIONS, Provider, Vector},
        run,
    },
    harness::eventually,
};
use serde_json::{Value, json};

const SEARCH: &str = "/api/v1/search";

fn saying(summary: &str) -> Event {
    events::sample().with("summary", summary).without("error_message")
}

/// A service with a provider.
async fn start(database: &Database, provider: &Provider, arguments: &[&str]) -> Result<Service> {
    let arguments = provider.flags().into_iter().chain(arguments.iter().map(|&argument| argument.to_owned()));
    Service::start_with(database, ServiceOptions { arguments: arguments.collect(), ..ServiceOptions::default() }).await
}

/// Waits until no text waits for its vector.
async fn embedded(database: &Database) -> Result<()> {
    let owner = database.owner().await?;
    eventually("every text has its vector", async || {
        let sql = "SELECT count(*) FROM search_text t LEFT JOIN embedding_1 e USING (text_id) WHERE e.text_id IS NULL";
        let (texts, jobs): (i64, i64) = (
            owner.query_one(sql, &[]).await?.get(0),
            owner.query_one("SELECT count(*) FROM embedding_job", &[]).await?.get(0),
        );
        ensure!(texts == 0 && jobs == 0, "{texts} texts without a vector, {jobs} jobs");
        Ok(())
    })
    .await
}

fn summaries(answer: &Value) -> Result<Vec<&str>> {
    let results = answer["results"].as_array().context("no results")?;
    Ok(results.iter().filter_map(|result| result["event"]["summary"].as_str()).collect())
}

#[tokio::test]
async fn a_record_is_found_by_its_meaning() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider, &[]).await?;
    for summary in ["Restarted after OOMKilled", "No space left on device", "The image cannot be pulled"] {
        service.api().write(&saying(summary)).await?;
    }
    embedded(&database).await?;
    let answer = service.api().search(&json!({"query": "heap exhausted", "mode": "vector", "limit": 1})).await?;
    ensure!(summaries(&answer)? == ["Restarted after OOMKilled"], "{answer}");
    let result = &answer["results"][0];
    ensure!(result["vector_rank"] == 1 && result["text_rank"].is_null() && result["matches"] == 1, "{answer}");
    ensure!(result["similarity"].as_f64().context("no similarity")? > 0.9, "{answer}");
    ensure!(
        answer["model"] == "all-MiniLM-L6-v2" && answer["exact"] == true && answer["degraded"].is_null(),
        "{answer}"
    );
    let none = json!({"query": "heap exhausted", "mode": "vector", "min_similarity": 0.9});
    ensure!(summaries(&service.api().search(&none).await?)? == ["Restarted after OOMKilled"]);
    let nothing = json!({"query": "weather", "mode": "vector", "min_similarity": 0.9});
    ensure!(summaries(&service.api().search(&nothing).await?)?.is_empty());
    ensure!(service.metric("datastorage_search_path_total{path=\"exact\"}").await? == Some(3.0));
    Ok(())
}

#[tokio::test]
async fn hybrid_joins_words_and_meaning() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider, &[]).await?;
    for summary in ["The heap is exhausted", "Restarted after OOMKilled", "exhausted by the weather", "all is well"] {
        service.api().write(&saying(summary)).await?;
    }
    embedded(&database).await?;
    let request = json!({"query": "heap exhausted", "min_similarity": 0.5});
    let answer = service.api().search(&request).await?;
    // First what is in both lists, then what has the meaning alone.
    ensure!(summaries(&answer)? == ["The heap is exhausted", "Restarted after OOMKilled"], "{answer}");
    let (first, second) = (&answer["results"][0], &answer["results"][1]);
    ensure!(first["text_rank"] == 1 && first["vector_rank"].is_number(), "{answer}");
    ensure!(second["text_rank"].is_null() && second["vector_rank"].is_number(), "{answer}");
    ensure!(answer["mode"] == "hybrid" && answer["degraded"].is_null(), "{answer}");
    Ok(())
}

#[tokio::test]
async fn filters_apply_to_meaning_too() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider, &[]).await?;
    let same = saying("Restarted after OOMKilled");
    for event in [same.renewed(), same.renewed(), same.renewed().with("namespace", "stage")] {
        service.api().write(&event).await?;
    }
    let other = saying("out of memory in stage only").with("namespace", "stage");
    service.api().write(&other).await?;
    embedded(&database).await?;
    let answer = service.api().search(&json!({"query": "heap", "mode": "vector", "namespace": "prod"})).await?;
    ensure!(summaries(&answer)? == ["Restarted after OOMKilled"], "{answer}");
    ensure!(answer["results"][0]["matches"] == 2, "{answer}");
    ensure!(answer["results"][0]["event"]["namespace"] == "prod", "{answer}");
    let answer = service.api().search(&json!({"query": "heap", "mode": "vector", "since": "0s"})).await?;
    ensure!(summaries(&answer)?.is_empty(), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_secret_in_a_query_reaches_no_provider() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider, &[]).await?;
    eventually("vectors are available", async || {
        let answer = service.api().search(&json!({"query": "password=hunter2secret now", "mode": "vector"})).await;
        answer.map(drop)
    })
    .await?;
    let texts = provider.texts();
    ensure!(!texts.is_empty() && !texts.iter().any(|text| text.contains("hunter2")), "{texts:?}");
    ensure!(!service.log()?.contains("hunter2"));
    Ok(())
}

#[tokio::test]
async fn the_provider_gets_the_token_of_the_file_and_the_texts_with_placeholders() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    std::fs::write(&token, "the-token\n")?;
    let flag = format!("--embedding-token-file={}", token.display());
    let service = start(&database, &provider, &[&flag, "--embedding-model=small"]).await?;
    service.api().write(&saying("Restarted 17 times after OOMKilled")).await?;
    embedded(&database).await?;
    let requests = provider.requests();
    ensure!(
        requests.iter().all(|request| request.authorization.as_deref() == Some("Bearer the-token")),
        "{requests:?}"
    );
    ensure!(requests.iter().all(|request| request.model == "small"), "{requests:?}");
    let texts = provider.texts();
    ensure!(texts.iter().any(|text| text.contains("Restarted <n> times")), "{texts:?}");
    Ok(())
}

#[tokio::test]
async fn while_the_provider_fails_writes_go_on_and_hybrid_has_words() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider, &[]).await?;
    service.api().write(&saying("Restarted after OOMKilled")).await?;
    embedded(&database).await?;
    let wrong: Arc<Vector> = Arc::new(|_| vec![1.0; DIMENSIONS + 1]);
    for (number, behaviour) in
        [Behaviour::Status(500), Behaviour::Hang, Behaviour::Vectors(wrong)].into_iter().enumerate()
    {
        provider.behave(behaviour);
        let (written, record) =
            (std::time::Instant::now(), saying(&format!("OOMKilled again {}", ["a", "b", "c"][number])));
        service.api().write(&record).await?;
        ensure!(written.elapsed() < Duration::from_secs(4), "a write waited for the provider");
        let query = format!("OOMKilled {}", ["a", "b", "c"][number]);
        let answer = service.api().search(&json!({"query": query})).await?;
        ensure!(answer["degraded"] == "vector_unavailable" && answer["model"].is_null(), "{answer}");
        ensure!(answer["results"].as_array().map(Vec::len) == Some(1), "{answer}");
        let vector = service.api().post(SEARCH, &json!({"query": query, "mode": "vector"})).await?;
        vector.problem(503, "search-unavailable")?;
    }
    // The breaker is open after five failures in a row: three searches by meaning, two hybrid ones, and the worker's.
    eventually("writes count as a fallback", async || {
        service.api().write(&saying("OOMKilled for the last time")).await?;
        let fallback = service.metric("datastorage_fallback_mode_total").await?;
        ensure!(fallback.is_some_and(|count| count > 0.0), "{fallback:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn vectors_of_another_model_are_not_compared() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider, &[]).await?;
    service.api().write(&saying("Restarted after OOMKilled")).await?;
    embedded(&database).await?;
    service.stop().await?;

    let mut service = start(&database, &provider, &["--embedding-model=another"]).await?;
    service.api().write(&saying("No space left on device")).await?;
    let answer = service.api().search(&json!({"query": "heap"})).await?;
    ensure!(answer["degraded"] == "vector_unavailable", "{answer}");
    eventually("the log says what to do", async || {
        ensure!(service.log()?.contains("datastorage embed --reset"), "{}", service.log()?);
        Ok(())
    })
    .await?;
    service.terminate().await?;

    // The owner decides for the other model, with vectors of another length.
    reset(&database, "another", 8).await?;
    provider.behave(Behaviour::Vectors(Arc::new(|_| vec![1.0; 8])));
    let service = start(&database, &provider, &["--embedding-model=another", "--embedding-dimensions=8"]).await?;
    embedded(&database).await?;
    let answer = service.api().search(&json!({"query": "heap", "mode": "vector"})).await?;
    ensure!(answer["results"].as_array().map(Vec::len) == Some(2) && answer["model"] == "another", "{answer}");
    Ok(())
}

/// Runs `datastorage embed --reset` as the owner.
async fn reset(database: &Database, model: &str, dimensions: usize) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let url_file = folder.path().join("url");
    std::fs::write(&url_file, database.url(OWNER))?;
    let mut embed = datastorage().await?;
    embed
        .args(["embed", "--reset", "--embedding-model", model])
        .arg("--embedding-dimensions")
        .arg(dimensions.to_string());
    embed.arg("--database-url-file").arg(&url_file);
    let output = run(embed).await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    ensure!(text.contains("Queued texts: 2."), "{text}");
    Ok(())
}

#[tokio::test]
async fn vectors_of_another_length_are_refused_until_the_owner_makes_the_table_for_them() -> Result<()> {
    let database = Database::fresh().await?;
    let provider = Provider::start().await?;
    let service = start(&database, &provider, &["--embedding-dimensions=8"]).await?;
    service.api().write(&saying("Restarted after OOMKilled")).await?;
    eventually("the log says what to do", async || {
        let log = service.log()?;
        ensure!(log.contains("the table for vectors has 384 dimensions"), "{log}");
        Ok(())
    })
    .await?;
    let vector = service.api().post(SEARCH, &json!({"query": "heap", "mode": "vector"})).await?;
    vector.problem(503, "search-unavailable")?;
    Ok(())
}

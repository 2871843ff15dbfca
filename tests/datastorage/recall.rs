//! How many of the ten nearest texts a search by meaning finds, with and without filters. The neighbours are known: the vectors
//! are made around centres, and the database computes all distances.

use std::{collections::HashMap, sync::Arc, time::Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::datastorage::{
    Database, Postgres, PostgresOptions, Service, ServiceOptions, Version,
    provider::{Behaviour, Provider},
};
use serde_json::json;
use tokio_postgres::Client;

/// Up to so many records that match, all distances are computed.
const FEW: i64 = 50_000;

/// How many texts, around how many centres, and how many of the centres are searched with each filter.
struct Population {
    texts: i32,
    centres: i32,
    queries: i32,
}

/// Texts with vectors around centres. Each has two records: in the namespaces `clustered-…`, all texts of a centre are together,
/// and those in the namespaces `scattered-…` are there whatever their centre. Of both, namespaces have 89 %, 10 %, 1 % and 0.1 %.
async fn fill(owner: &Client, Population { texts, centres, .. }: &Population) -> Result<()> {
    owner
        .batch_execute(&format!(
            "SET maintenance_work_mem = '512MB'; SELECT setseed(0.5);
             CREATE TABLE centre AS SELECT c, (SELECT array_agg(random_normal()::real) FROM generate_series(1, 384)
               WHERE c > 0)::vector AS v FROM generate_series(1, {centres}) c;
             CREATE TABLE noise AS SELECT n, (SELECT array_agg((0.35 * random_normal())::real) FROM generate_series(1, 384)
               WHERE n > 0)::vector AS v FROM generate_series(1, 997) n;
             INSERT INTO search_text (text_hash, text) SELECT sha256(i::text::bytea), 'text ' || i
               FROM generate_series(1, {texts}) i ORDER BY i;
             DROP INDEX embedding_1_hnsw;
             INSERT INTO embedding_1 SELECT t.text_id, l2_normalize(c.v + n.v)::halfvec
               FROM (SELECT text_id, substr(text, 6)::int AS i FROM search_text) t
               JOIN centre c ON c.c = 1 + i % {centres} JOIN noise n ON n.n = 1 + (i::bigint * 7919) % 997;
             CREATE INDEX embedding_1_hnsw ON embedding_1 USING hnsw (embedding halfvec_cosine_ops)
               WITH (m = 16, ef_construction = 64);"
        ))
        .await?;
    let parts = [
        ("clustered", format!("(1 + i % {centres})::bigint * 7919 % 1000 / 1000.0")),
        ("scattered", "random()".to_owned()),
    ];
    for (arrangement, part) in parts {
        let namespace = format!(
            "'{arrangement}-' || CASE WHEN part < 0.001 THEN 'per-mille' WHEN part < 0.011 THEN 'percent'
             WHEN part < 0.111 THEN 'tenth' ELSE 'most' END"
        );
        let texts = format!(
            "SELECT *, {part} AS part FROM (SELECT text_id, text, substr(text, 6)::int AS i FROM search_text) t"
        );
        record(owner, &namespace, &texts).await?;
    }
    // The planner should know the tables, as after a while.
    for table in ["audit_event", "embedding_1", "search_text"] {
        owner.batch_execute(&format!("VACUUM ANALYZE {table}")).await?;
    }
    Ok(())
}

/// A record for each row of `texts`, which has the columns `text_id`, `text` and `i`. The greatest `i` is the oldest.
async fn record(owner: &Client, namespace: &str, texts: &str) -> Result<()> {
    let sql = format!(
        "INSERT INTO audit_event (event_id, seq, kind, occurred_at, recorded_at, recorded_by, name, namespace, phase,
           action_type, correlation_id, summary, text_id, redaction_version, content_hash, chain_hash, chain_key,
           chain_version)
           SELECT (left(id_at(now() - i * interval '1 ms')::text, 15) || lpad(to_hex(i % 4096), 3, '0') || '-8'
             || substr(hash, 1, 3) || '-' || substr(hash, 4, 12))::uuid, i, 'execution', now(), now(), 'test', 'name',
             namespace, 'completed', 'restart_pod', 'rr-' || i, text, text_id, 1, sha256(''), sha256(''), 0, 1
           FROM (SELECT *, md5(namespace || i) AS hash FROM (SELECT *, {namespace} AS namespace FROM ({texts}) t) t) t"
    );
    owner.batch_execute(&sql).await.context("cannot fill the table of records")
}

/// A name for a number without digits, which are replaced in the texts of which vectors are made.
fn spelled(number: i32) -> String {
    let letter = |digit: char| char::from_u32(u32::from('g') + digit.to_digit(10).unwrap_or_default()).unwrap_or('x');
    format!("centre {}", number.to_string().chars().map(letter).collect::<String>())
}

/// The summaries of the ten nearest texts, by all distances.
async fn nearest(owner: &Client, centre: i32, namespace: &str) -> Result<Vec<String>> {
    // The sum keeps the index out.
    let sql = "SELECT t.text FROM embedding_1 JOIN search_text t USING (text_id) \
               WHERE $2 = '' OR text_id IN (SELECT text_id FROM audit_event WHERE namespace = $2) \
               ORDER BY (embedding <=> (SELECT v FROM centre WHERE c = $1)::halfvec) + 0 LIMIT 10";
    let rows = owner.query(sql, &[&centre, &namespace]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

#[tokio::test]
async fn recall_at_10_is_at_least_95_percent_with_every_filter() -> Result<()> {
    // More than 20,000, so that the index is used.
    let population = Population { texts: 24_000, centres: 2_400, queries: 20 };
    let database = Database::fresh().await?;
    measure(&database, &population).await
}

/// `cargo xtask test datastorage -- among_many --ignored --show-output` runs this and prints what it measures.
#[tokio::test]
#[ignore = "takes minutes; run `cargo xtask test datastorage -- among_many --ignored --show-output`"]
async fn nine_and_a_half_of_the_ten_nearest_are_found_among_many() -> Result<()> {
    let population = Population { texts: 250_000, centres: 2_500, queries: 100 };
    // Room for the vectors and their index, as the runbook recommends.
    let options = PostgresOptions::default().with("shared_buffers", "1GB");
    let postgres = Postgres::start(Version::of_the_run()?, options).await?;
    let database = Database::fresh_in(&postgres).await?;
    measure(&database, &population).await
}

/// Fails if less than 95 % of the ten nearest are found. Prints the recall, and how long the searches took.
#[allow(clippy::print_stdout, reason = "what was measured, for those who ask with --show-output")]
async fn measure(database: &Database, population: &Population) -> Result<()> {
    let owner = database.owner().await?;
    fill(&owner, population).await?;
    let (service, _provider) = searched(database, &owner, population.queries).await?;

    let mut paths = [0.0; 2];
    let of = |arrangement: &str| ["most", "tenth", "percent", "per-mille"].map(|part| format!("{arrangement}-{part}"));
    let mut missed = Vec::new();
    for namespace in [vec![String::new()], of("clustered").to_vec(), of("scattered").to_vec()].concat() {
        let sql = "SELECT count(*) FROM audit_event WHERE $1 IN ('', namespace)";
        let records: i64 = owner.query_one(sql, &[&namespace]).await?.get(0);
        let exact = !namespace.is_empty() && records <= FEW;
        paths[usize::from(exact)] += f64::from(population.queries);
        let (mut found, mut times) = (0, Vec::new());
        for centre in 1..=population.queries {
            let request = json!({"query": spelled(centre), "mode": "vector", "namespace": namespace, "limit": 10});
            let start = Instant::now();
            let answer = service.api().search(&request).await?;
            times.push(start.elapsed());
            ensure!(answer["exact"] == exact, "namespace {namespace:?} was searched another way: {}", answer["exact"]);
            let nearest = nearest(&owner, centre, &namespace).await?;
            let results = answer["results"].as_array().context("no results")?;
            ensure!(results.len() == 10, "namespace {namespace:?} has {} results", results.len());
            let is_near = |result: &&serde_json::Value| {
                result["event"]["summary"].as_str().is_some_and(|summary| nearest.iter().any(|near| near == summary))
            };
            found += results.iter().filter(is_near).count();
        }
        times.sort();
        let recall = f64::from(u32::try_from(found)?) / f64::from(10 * population.queries);
        let (median, most) = (times[times.len() / 2], times[times.len() * 95 / 100]);
        println!("{namespace:22} {records:6} records: recall@10 {recall:.3}, median {median:.1?}, p95 {most:.1?}");
        if recall < 0.95 {
            missed.push((namespace, recall));
        }
    }
    ensure!(missed.is_empty(), "recall@10 is below 0.95: {missed:?}");
    let counted = [
        service.metric("datastorage_search_path_total{path=\"hnsw\"}").await?,
        service.metric("datastorage_search_path_total{path=\"exact\"}").await?,
    ];
    ensure!(counted == paths.map(Some), "{counted:?} instead of {paths:?}");
    Ok(())
}

/// A service, and a provider that knows the vectors of the first centres by their names.
async fn searched(database: &Database, owner: &Client, queries: i32) -> Result<(Service, Provider)> {
    let centres = owner.query("SELECT c, v::real[] FROM centre WHERE c <= $1", &[&queries]).await?;
    let centres: HashMap<String, Vec<f32>> = centres.iter().map(|row| (spelled(row.get(0)), row.get(1))).collect();
    let provider = Provider::start().await?;
    provider.behave(Behaviour::Vectors(Arc::new(move |text| centres.get(text).cloned().unwrap_or_default())));
    let options = ServiceOptions { arguments: provider.flags(), ..ServiceOptions::default() };
    Ok((Service::start_with(database, options).await?, provider))
}

#[tokio::test]
async fn many_records_with_few_texts_are_found_by_their_texts() -> Result<()> {
    let database = Database::fresh().await?;
    let owner = database.owner().await?;
    let population = Population { texts: 2_000, centres: 20, queries: 3 };
    fill(&owner, &population).await?;
    // The newest records of this namespace have 40 texts, and the oldest have another.
    let many = "SELECT text_id, text, i FROM generate_series(1, 50010) i
                JOIN search_text ON text = 'text ' || CASE WHEN i > 50001 THEN 1999 ELSE 1 + i % 40 END";
    record(&owner, "'many'", many).await?;
    owner.batch_execute("ANALYZE audit_event").await?;
    let (service, _provider) = searched(&database, &owner, population.queries).await?;
    for centre in 1..=population.queries {
        let request = json!({"query": spelled(centre), "mode": "vector", "namespace": "many", "limit": 10});
        let answer = service.api().search(&request).await?;
        let results = answer["results"].as_array().context("no results")?;
        let summaries: Vec<_> = results.iter().filter_map(|result| result["event"]["summary"].as_str()).collect();
        ensure!(summaries == nearest(&owner, centre, "many").await?, "centre {centre}: {summaries:?}");
        // A text that only older records have may have been missed.
        ensure!(answer["exact"] == false, "{answer}");
    }
    // Up to 50,000 records, all are compared, however many have the same text.
    let newer = json!({"query": spelled(1), "mode": "vector", "namespace": "many", "since": "49s"});
    let answer = service.api().search(&newer).await?;
    ensure!(answer["exact"] == true, "{answer}");
    Ok(())
}

//! Searches by words, by meaning and by both, beside the bare SQL; and how soon a record is found by its meaning.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::sleep;
use tokio_postgres::Client;
use uuid::Uuid;

use super::{
    super::{quantiles::Quantiles, report::print},
    load::{Connection, post},
    population::COLUMNS,
    reads::{Read, Times, one_kind},
    start_service,
};
use crate::datastorage::{
    Database, Postgres, events,
    provider::{Behaviour, DIMENSIONS, Provider},
};

/// As many results as the service has if the request does not say how many.
const LIMIT: usize = 10;
/// The searches whose results are compared with all distances.
const COMPARED: usize = 100;
/// The records that are looked for as soon as they are written.
const LOOKED_FOR: usize = 40;
/// The texts that wait when the worker begins.
const BACKLOG: i64 = 5_000;
/// The first word of the name of a centre.
const CENTRE: &str = "centre ";
/// The longest wait for a vector.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the searches by meaning are about.
pub(super) struct Centres(Vec<(String, Vec<f32>)>);

impl Centres {
    /// Those of the first texts, at most so many.
    pub(super) async fn of(database: &Client, count: usize) -> Result<Self> {
        let rows =
            database.query("SELECT c, v::real[] FROM centre ORDER BY c LIMIT $1", &[&i64::try_from(count)?]).await?;
        Ok(Self(rows.iter().map(|row| (spelled(row.get(0)), row.get(1))).collect()))
    }

    /// A provider that knows their vectors.
    pub(super) async fn provider(&self) -> Result<Provider> {
        let provider = Provider::start().await?;
        let vectors: HashMap<_, _> = self.0.iter().cloned().collect();
        let vector = move |text: &str| {
            let subject = subject(text);
            vectors.get(subject).cloned().unwrap_or_else(|| direction(subject))
        };
        provider.behave(Behaviour::Vectors(Arc::new(vector)));
        Ok(provider)
    }
}

/// A name for a number without digits, which are replaced in the texts of which vectors are made.
fn spelled(number: i32) -> String {
    let letter = |digit: char| char::from_u32(u32::from('g') + digit.to_digit(10).unwrap_or_default()).unwrap_or('x');
    format!("{CENTRE}{}", number.to_string().chars().map(letter).collect::<String>())
}

/// What a text is about: the centre that it names, whatever else it says.
fn subject(text: &str) -> &str {
    let Some(start) = text.find(CENTRE) else { return text };
    let name = &text[start..];
    let end = name[CENTRE.len()..].find(|character: char| !character.is_ascii_lowercase());
    end.map_or(name, |end| &name[..CENTRE.len() + end])
}

/// A direction of its own for every other text.
fn direction(text: &str) -> Vec<f32> {
    let mut state = text.bytes().fold(7_u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap_or_default()) - 32_768.0
    };
    (0..DIMENSIONS).map(|_| next()).collect()
}

fn search(query: &str, mode: &str) -> Vec<u8> {
    post("/api/v1/search", json!({"query": query, "mode": mode, "limit": LIMIT}).to_string().as_bytes())
}

/// The records with these words, the best first.
fn by_words(words: &str) -> String {
    format!(
        "SELECT {COLUMNS}, ts_rank(words, query) AS rank FROM audit_event,
         websearch_to_tsquery('pg_catalog.simple', '{words}') AS query
         WHERE words @@ query ORDER BY rank DESC, event_id DESC LIMIT 50"
    )
}

/// The texts nearest to a vector, each with its newest record and how many records it has, as far as the service counts them.
fn by_meaning(vector: &[f32]) -> String {
    format!(
        "SELECT r.*, n.* FROM (SELECT text_id, embedding <=> '{vector:?}' AS distance FROM embedding_1
           ORDER BY distance LIMIT {LIMIT}) e
         CROSS JOIN LATERAL (SELECT {COLUMNS} FROM audit_event WHERE text_id = e.text_id
           ORDER BY event_id DESC LIMIT 1) r
         CROSS JOIN LATERAL (SELECT count(*), min(occurred_at), max(occurred_at) FROM (SELECT occurred_at
           FROM audit_event WHERE text_id = e.text_id ORDER BY event_id DESC LIMIT 1000) a) n
         ORDER BY e.distance"
    )
}

/// Measures the three modes.
pub(super) async fn measure(
    port: u16,
    provider: &Provider,
    database: &Client,
    centres: &Centres,
    (count, codes): (usize, u32),
) -> Result<Vec<Times>> {
    // As the service searches.
    database.batch_execute("SET hnsw.ef_search = 600").await?;
    // The text of a record with a rare word.
    let rare = |number: usize| format!("oomkilled exit code {}", number * 37 % usize::try_from(codes).unwrap_or(1));
    let words = (0..count).map(|number| {
        let words = rare(number);
        Read { request: search(&words, "text"), statement: by_words(&words), embedding: None }
    });
    let embedding = |text: &str| {
        let body = json!({"model": "all-MiniLM-L6-v2", "input": [text]}).to_string();
        Some(post("/v1/embeddings", body.as_bytes()))
    };
    // Half of the centres for each kind, because the service keeps the vector of a query.
    let (first, second) = centres.0.split_at(centres.0.len() / 2);
    let meanings = first.iter().map(|(name, vector)| Read {
        request: search(name, "vector"),
        statement: by_meaning(vector),
        embedding: embedding(name),
    });
    let both = second.iter().enumerate().map(|(number, (name, vector))| {
        // Records have the first words, and the vector is that of the last ones.
        let words = format!("{} or {name}", rare(number));
        Read {
            request: search(&words, "hybrid"),
            statement: format!("{}; {}", by_words(&words), by_meaning(vector)),
            embedding: embedding(&words),
        }
    });
    let provider = Some(provider.port());
    Ok(vec![
        one_kind("text", port, None, database, words.collect()).await?,
        one_kind("vector", port, provider, database, meanings.collect()).await?,
        one_kind("hybrid", port, provider, database, both.collect()).await?,
    ])
}

/// Which part of the ten nearest texts the searches by meaning find.
pub(super) async fn recall(port: u16, database: &Client, centres: &Centres) -> Result<f64> {
    let mut connection = Connection::open(port).await?;
    let (mut found, mut all) = (0_u32, 0_u32);
    for (name, vector) in centres.0.iter().take(COMPARED) {
        let answer: Value = serde_json::from_slice(&connection.exchange(&search(name, "vector")).await?)?;
        let results = answer["results"].as_array().context("a search has no results")?;
        let ids = results.iter().filter_map(|result| result["event"]["event_id"].as_str()?.parse().ok());
        let ids: Vec<Uuid> = ids.collect();
        let texts = database.query("SELECT text_id FROM audit_event WHERE event_id = ANY($1)", &[&ids]).await?;
        let texts: HashSet<i64> = texts.iter().map(|row| row.get(0)).collect();
        // The sum keeps the index out.
        let nearest = "SELECT text_id FROM embedding_1 ORDER BY (embedding <=> $1::real[]::halfvec) + 0 LIMIT 10";
        let nearest = database.query(nearest, &[vector]).await?;
        found += u32::try_from(nearest.iter().filter(|row| texts.contains(&row.get(0))).count())?;
        all += u32::try_from(nearest.len())?;
    }
    ensure!(all > 0, "there are no vectors");
    let recall = f64::from(found) / f64::from(all);
    print(&format!("recall@{LIMIT} without a filter: {recall:.3}"));
    Ok(recall)
}

/// The time from the request that writes a record to the search by meaning that finds it, in milliseconds. Nothing else is done.
pub(super) async fn searchable(port: u16) -> Result<Quantiles> {
    let mut connection = Connection::open(port).await?;
    let mut times = Vec::new();
    for number in 0..LOOKED_FOR {
        let name = spelled(i32::try_from(1_000_000 + number)?);
        let event = events::sample().with("summary", name.clone()).without("error_message");
        let started = Instant::now();
        connection.exchange(&post("/api/v1/audit/events", &serde_json::to_vec(&event)?)).await?;
        loop {
            let answer: Value = serde_json::from_slice(&connection.exchange(&search(&name, "vector")).await?)?;
            let results = answer["results"].as_array().context("a search has no results")?;
            if results.iter().any(|result| result["event"]["event_id"] == event.id()) {
                break;
            }
            ensure!(started.elapsed() < PATIENCE, "a record is not found by its meaning");
        }
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    let times = Quantiles::of(times).context("no record was written")?;
    print(&format!("a record is found by its meaning after p50 {:.0} ms, p95 {:.0} ms", times.p50, times.p95));
    Ok(times)
}

/// Vectors in a second that the worker makes of texts that wait, with a provider that takes no time.
pub(super) async fn backlog(postgres: &Postgres) -> Result<f64> {
    let database = Database::another_in(postgres).await?;
    let owner = database.owner().await?;
    owner
        .batch_execute(&format!(
            "INSERT INTO search_text (text_hash, text) SELECT sha256(i::text::bytea), 'text ' || i
               FROM generate_series(1, {BACKLOG}) i;
             INSERT INTO embedding_job (text_id, model_id) SELECT text_id, 1 FROM search_text"
        ))
        .await?;
    let provider = Centres(Vec::new()).provider().await?;
    let service = start_service(&database, provider.flags()).await?;
    let count = async || -> Result<i64> { Ok(owner.query_one("SELECT count(*) FROM embedding_1", &[]).await?.get(0)) };
    let (first, started) = loop {
        match count().await? {
            0 => sleep(Duration::from_millis(10)).await,
            some => break (some, Instant::now()),
        }
    };
    while count().await? < BACKLOG {
        ensure!(started.elapsed() < PATIENCE, "the backlog does not end");
        sleep(Duration::from_millis(50)).await;
    }
    let rate = f64::from(u32::try_from(BACKLOG - first)?) / started.elapsed().as_secs_f64();
    drop(service);
    print(&format!("{BACKLOG} texts that wait: {rate:.0} vectors a second"));
    Ok(rate)
}

//! Attacks on the service, each tried. Reading other namespaces is in `tenants.rs`, changes by the database's owner are in
//! `chain.rs`, and changes by the service's role are in `roles.rs`.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    datastorage::{Database, Event, Postgres, PostgresOptions, Service, Version, events},
    harness::prelude::*,
};
use serde_json::{Value, json};

use crate::access::{Access, READ, WRITE};

const EVENTS: &str = "/api/v1/audit/events";

#[tokio::test]
async fn a_forged_actor_or_stamp_does_not_change_who_wrote_a_record() -> Result<()> {
    scenario("ds-forged", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let writer = access.caller_in(world, &prod, "writer", &["create", "get"]).await?;
        let admin = json!({"type": "user", "id": "system:admin"});
        let event = events::sample_in(&prod).with("actor", admin.clone());
        writer.api.write(&event).await?;
        let record = writer.api.record(event.id()).await?.context("no record")?;
        assert_eq!(record["recorded_by"], writer.account.user());
        assert_eq!(record["actor"], admin, "what the client claims stays a claim");
        for (stamp, value) in [
            ("recorded_by", json!("system:admin")),
            ("recorded_at", json!("2026-01-01T00:00:00Z")),
            ("seq", json!(1)),
            ("chain_hash", json!("00")),
            ("content_hash", json!("00")),
            ("text_id", json!(1)),
        ] {
            let forged = event.renewed().with(stamp, value);
            let problem = writer.api.post_event(&forged).await?.problem(400, "validation-error")?;
            assert!(problem["errors"].to_string().contains(stamp), "{problem}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_replayed_id_changes_nothing() -> Result<()> {
    scenario("ds-replayed", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &[]).await?;
        let writer = access.caller_in(world, &prod, "writer", WRITE).await?;
        let other = access.caller_in(world, &prod, "other", WRITE).await?;
        let event = events::sample_in(&prod);
        let first = writer.api.write(&event).await?;
        let again = writer.api.write(&event).await?;
        assert!(again.duplicate && again.recorded_at == first.recorded_at);
        // The same content of another identity, and other content of the same one.
        other.api.post_event(&event).await?.problem(409, "conflict")?;
        let changed = event.clone().with("summary", "it was somebody else");
        writer.api.post_event(&changed).await?.problem(409, "conflict")?;
        let rows = access.database.owner().await?.query("SELECT summary FROM audit_event", &[]).await?;
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].get::<_, Option<&str>>(0), event.get("summary").as_str());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn oversized_and_deep_bodies_are_refused_and_the_service_goes_on() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    let json = [("content-type", "application/json")];
    let send = async |body: Vec<u8>| api.send(http::Method::POST, EVENTS, &json, body).await;

    let large = format!("{{\"summary\":\"{}\"}}", "x".repeat(5 << 20));
    send(large.into_bytes()).await?.problem(413, "payload-too-large")?;
    for body in [
        "[".repeat(1 << 20),
        "{\"data\":".repeat(100_000),
        format!("{{\"data\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000)),
        "{\"kind\":\"execution\",\"kind\":\"workflow\"}".to_owned(),
        "{\"duration_ms\":1e999}".to_owned(),
        "{\"duration_ms\":NaN}".to_owned(),
        "\u{feff}{}".to_owned(),
        "null".to_owned(),
        String::new(),
    ] {
        let start: String = body.chars().take(40).collect();
        let answer = send(body.into_bytes()).await?;
        // What would take too much memory is refused before it is read.
        let (status, kind) = if answer.status == 413 { (413, "payload-too-large") } else { (400, "validation-error") };
        answer.problem(status, kind).context(start)?;
    }
    send(b"{\"name\":\"\xff\xfe\"}".to_vec()).await?.problem(400, "validation-error")?;

    let deep = (0..17).fold(json!(1), |inner, _| json!({"a": inner}));
    let many: Value =
        (0..5_000).map(|number| (number.to_string(), json!(number))).collect::<serde_json::Map<_, _>>().into();
    for data in [deep, many, json!({"text": "x".repeat(70_000)}), json!({"n": 9_007_199_254_740_993_u64})] {
        api.post_event(&events::sample().with("data", data)).await?.problem(400, "validation-error")?;
    }
    let header = "x".repeat(64_000);
    if let Ok(answer) = api.send(http::Method::GET, EVENTS, &[("x-large", &header)], Vec::new()).await {
        ensure!((400..500).contains(&answer.status), "{answer}");
    }
    api.write(&events::sample()).await?;
    Ok(())
}

/// Fields that name something, and what makes them valid.
const IDENTIFIERS: [&str; 9] = [
    "name",
    "namespace",
    "action_type",
    "correlation_id",
    "severity",
    "environment",
    "cluster",
    "target_resource",
    "fingerprint",
];
const TEXTS: [&str; 2] = ["summary", "error_message"];
const INJECTIONS: [&str; 8] = [
    "'; DROP TABLE audit_event; --",
    "' OR '1'='1",
    "$1); DELETE FROM audit_event; --",
    "\\'; SELECT pg_sleep(10); --",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}%s%n",
    "../../etc/hosts",
];

/// The text as a part of an address.
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |encoded, byte| format!("{encoded}%{byte:02x}"))
}

#[tokio::test]
async fn sql_and_script_in_every_field_are_refused_or_kept_as_they_are() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    let mut kept = 0;
    for injection in INJECTIONS {
        for field in IDENTIFIERS.into_iter().chain(TEXTS) {
            let event = events::sample().with(field, injection);
            let answer = api.post_event(&event).await?;
            if answer.status == 400 {
                ensure!(IDENTIFIERS.contains(&field), "{field} is free text, but {injection} was refused: {answer}");
                let problem = answer.problem(400, "validation-error")?;
                assert_eq!(problem["errors"][0]["field"], field, "{problem}");
                continue;
            }
            answer.require(201)?;
            let record = api.record(event.id()).await?.context("no record")?;
            assert_eq!(record[field], injection, "{field}");
            kept += 1;
        }
        let data = json!({"text": injection, injection: "key", "list": [injection]});
        let event = events::sample().with("data", data.clone());
        api.write(&event).await?;
        assert_eq!(api.record(event.id()).await?.context("no record")?["data"], data);
        kept += 1;
    }
    for (field, injection, reason) in [
        ("name", "<script>", "xss_detected"),
        ("severity", "javascript:alert(1)", "xss_detected"),
        ("environment", "a'b", "sql_injection_detected"),
        ("action_type", "a;b", "sql_injection_detected"),
    ] {
        let problem =
            api.post_event(&events::sample().with(field, injection)).await?.problem(400, "validation-error")?;
        assert_eq!(problem["errors"][0]["reason"], reason, "{problem}");
    }
    // As parameters, paths and queries: nothing is ever part of a statement.
    for injection in INJECTIONS {
        let encoded = percent_encoded(injection);
        for path in [
            format!("{EVENTS}?namespace={encoded}"),
            format!("{EVENTS}?correlation_id={encoded}&order=asc"),
            format!("{EVENTS}?cursor={encoded}"),
            format!("{EVENTS}?since={encoded}"),
            format!("{EVENTS}?{encoded}=1"),
            format!("{EVENTS}/{encoded}"),
            format!("/api/v1/audit/correlations/{encoded}"),
            format!("/api/v1/audit/history?target={encoded}&spec_hash={encoded}"),
            format!("/api/v1/audit/export?action_type={encoded}"),
        ] {
            let answer = api.get(&path).await?;
            ensure!([200, 400, 404].contains(&answer.status), "{path}: {answer}");
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
            assert!(answer.header("content-type").is_some_and(|kind| !kind.contains("html")), "{path}");
        }
        for request in
            [json!({"query": injection}), json!({"query": "x", "action_type": injection, "cluster": injection})]
        {
            let answer = api.post("/api/v1/search", &request).await?;
            ensure!([200, 400].contains(&answer.status), "{request}: {answer}");
        }
    }
    let rows: i64 = database.owner().await?.query_one("SELECT count(*) FROM audit_event", &[]).await?.get(0);
    assert_eq!(rows, kept);
    Ok(())
}

#[tokio::test]
async fn a_cursor_that_was_changed_is_refused() -> Result<()> {
    let database = Database::fresh().await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    api.write_batch(&[events::sample(), events::sample(), events::sample()]).await?;
    let query = "namespace=prod&limit=1";
    let cursor = api.list(query).await?.next_cursor.context("no cursor")?;
    assert_eq!(api.list(&format!("{query}&cursor={cursor}")).await?.items.len(), 1);
    for filters in
        ["namespace=other&limit=1", "limit=1", "namespace=prod&kind=workflow&limit=1", "namespace=prod&order=asc"]
    {
        api.get(&format!("{EVENTS}?{filters}&cursor={cursor}")).await?.problem(400, "bad-cursor")?;
    }
    let cut = &cursor[..cursor.len() - 3];
    let long = cursor.repeat(1000);
    for bad in ["x", "%00", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", cut, &long] {
        let answer = api.get(&format!("{EVENTS}?{query}&cursor={bad}")).await;
        // One that is longer than a header may be does not even get that far.
        let Ok(answer) = answer else { continue };
        ensure!((400..500).contains(&answer.status), "{bad}: {answer}");
    }
    Ok(())
}

/// A text for each class of secrets, with the part that must not remain. Each has the form of its class and opens nothing.
const SECRETS: [(&str, &str, &str); 26] = [
    (
        "private_key",
        "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKEYMATERIAL\n-----END PRIVATE KEY-----",
        "KEYMATERIAL",
    ),
    (
        "gcp_service_account_key",
        "{\"type\":\"service_account\",\"private_key\":\"-----BEGIN PRIVATE KEY-----\\nGCPMATERIAL0\\n-----END PRIVATE KEY-----\\n\"}",
        "GCPMATERIAL0",
    ),
    (
        "kubernetes_secret",
        "apiVersion: v1\nkind: Secret\ndata:\n  dsn: S3ViZXJuZXRlc1NlY3JldA==\n",
        "S3ViZXJuZXRlc1NlY3JldA",
    ),
    ("jwt", "got eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJKV1RTRUNSRVQifQ.c2lnbmF0dXJlLW9mLWp3dA", "eyJzdWIiOiJKV1RTRUNSRVQifQ"),
    ("postgresql_url", "postgres://app:PgUrlPass1@db:5432/shop", "PgUrlPass1"),
    ("mysql_url", "mysql://root:MyUrlPass1@db:3306/x", "MyUrlPass1"),
    ("mongodb_url", "mongodb+srv://u:MongoPass1@cluster0.example.net/db", "MongoPass1"),
    ("redis_url", "redis://:RedisPass1@cache:6379/0", "RedisPass1"),
    ("url_credentials", "cloning https://bob:UrlPass12@git.example.com/x.git", "UrlPass12"),
    (
        "azure_connection_string",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=QXp1cmVLZXlBenVyZUtleUF6dXJlS2V5QXp1cmVLZXlBenVyZUtleUF6dXJlS2V5QXp1cmVLZXlBenVyZUtleUF6dQ==;EndpointSuffix=core.windows.net",
        "QXp1cmVLZXlBenVyZUtleUF6",
    ),
    (
        "github_token",
        "remote: ghp_0123456789abcdefghijABCDEFGHIJ012345 refused",
        "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    ),
    ("gitlab_token", "using glpat-0123456789abcdefABCD", "glpat-0123456789abcdefABCD"),
    ("slack_token", "slack xoxb-123456789012-1234567890123-abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx"),
    ("stripe_key", "charge failed for sk_live_0123456789abcdefABCDEFGH", "0123456789abcdefABCDEFGH"),
    ("openai_key", "using sk-proj-Ab1_Cd2-Ef3Gh4Ij5Kl6Mn7Op8 now", "Ab1_Cd2-Ef3Gh4Ij5Kl6Mn7Op8"),
    ("aws_access_key_id", "key AKIAIOSFODNN7SECRETX is not allowed", "AKIAIOSFODNN7SECRETX"),
    (
        "aws_secret_key",
        "aws_secret_access_key=wJalrXUtnFEMIK7MDENGbPxRfiCYSECRETKEY01",
        "wJalrXUtnFEMIK7MDENGbPxRfiCYSECRETKEY01",
    ),
    ("bearer_token", "Authorization: Bearer BearerSecret0123456789", "BearerSecret0123456789"),
    ("basic_authorization", "Authorization: Basic dXNlcjpCYXNpY1NlY3JldA==", "dXNlcjpCYXNpY1NlY3JldA"),
    ("password_json", "{\"user\":\"bob\",\"password\":\"JsonPassw0rd\"}", "JsonPassw0rd"),
    ("password", "login failed with password=PlainPassw0rd for bob", "PlainPassw0rd"),
    ("api_key_json", "{\"apiKey\":\"JsonApiKey123456\"}", "JsonApiKey123456"),
    ("api_key", "api_key=PlainApiKey123456", "PlainApiKey123456"),
    ("client_secret", "client_secret=ClientSecret123456", "ClientSecret123456"),
    ("access_token", "access_token=AccessToken123456", "AccessToken123456"),
    ("token", "token=OtherToken123456", "OtherToken123456"),
];

/// A record with the text of a class in every field that takes a text.
fn with_secret(text: &str) -> Event {
    events::sample()
        .with("summary", format!("Restarted; {text}"))
        .with("error_message", format!("the program said:\n{text}"))
        .with("data", json!({"log": text, "nested": {"list": ["harmless", text]}, text: "as a key"}))
}

#[tokio::test]
async fn no_secret_of_any_class_reaches_an_answer_the_log_the_database_or_its_files() -> Result<()> {
    // A server of its own, so that its files have nothing else.
    let postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    let service = Service::start(&database, &["--log-level=debug"]).await?;
    let api = service.api();
    for (class, text, secret) in SECRETS {
        assert!(text.contains(secret), "{class}");
        let event = with_secret(text);
        api.write(&event).await?;
        let record = api.record(event.id()).await?.context("no record")?.to_string();
        assert!(!record.contains(secret), "{class}: {record}");
        assert!(record.contains("[REDACTED:"), "{class}: {record}");

        // In an identifier it is refused, and the answer does not repeat it.
        let single = text.lines().next().unwrap_or_default();
        for field in ["name", "correlation_id", "fingerprint", "target_resource", "environment"] {
            let answer = api.post_event(&events::sample().with(field, single)).await?;
            ensure!([201, 400].contains(&answer.status), "{class} in {field}: {answer}");
            ensure!(!answer.text().contains(secret), "{class} in {field}: {answer}");
            // Only what spreads over several lines has no secret in its first one.
            ensure!(answer.status == 400 || !single.contains(secret), "{class} in {field} was accepted");
        }
        // Searched for, it is not logged, and refused requests are not either.
        api.search(&json!({"query": text})).await?;
        let broken = json!({"kind": "nonsense", "summary": text, text: text}).to_string();
        let json = [("content-type", "application/json")];
        let answer = api.send(http::Method::POST, EVENTS, &json, broken.into_bytes()).await?;
        ensure!(!answer.text().contains(secret), "{class}: {answer}");
        let encoded = percent_encoded(text);
        let answer = api.get(&format!("{EVENTS}?correlation_id={encoded}")).await?;
        ensure!(!answer.text().contains(secret), "{class}: {answer}");
    }
    for (class, ..) in SECRETS {
        let series = format!("datastorage_redactions_total{{class=\"{class}\"}}");
        let count = service.metric(&series).await?;
        assert!(count.is_some_and(|count| count >= 1.0), "{series} is {count:?}");
    }

    let log = service.log()?;
    let owner = database.owner().await?;
    let tables =
        owner.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'datastorage'", &[]).await?;
    let mut everything = String::new();
    for table in &tables {
        let name: &str = table.get(0);
        let rows = owner.query(&format!("SELECT to_jsonb(t)::text FROM \"{name}\" t"), &[]).await?;
        everything.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    assert!(everything.contains("Restarted; "), "the tables were read");
    service.stop().await?;
    database.superuser().await?.batch_execute("CHECKPOINT").await?;
    let files = Files::read(&postgres.data())?;
    assert!(files.contain("Restarted; "), "the files were read");
    for (class, _, secret) in SECRETS {
        assert!(!log.contains(secret), "{class} is in the log");
        assert!(!everything.contains(secret), "{class} is in a table");
        assert!(!files.contain(secret), "{class} is in a file of the database");
    }
    Ok(())
}

/// The contents of all files of a folder.
struct Files(Vec<String>);

impl Files {
    fn read(folder: &Path) -> Result<Self> {
        let mut files = Self(Vec::new());
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                } else if let Ok(content) = fs::read(entry.path()) {
                    // A file can be gone already. What is not UTF-8 does not matter: what is looked for is ASCII.
                    files.0.push(String::from_utf8_lossy(&content).into_owned());
                }
            }
        }
        Ok(files)
    }

    fn contain(&self, text: &str) -> bool {
        self.0.iter().any(|file| file.contains(text))
    }
}

#[tokio::test]
async fn tokens_reach_neither_the_log_nor_an_answer() -> Result<()> {
    scenario("ds-token-log", async |world| {
        let prod = world.namespace("prod").await?;
        let access = Access::start(world, &["--log-level=debug"]).await?;
        let reader = access.caller_in(world, &prod, "reader", READ).await?;
        let token = crate::access::token(world.cluster(), &prod, "reader", crate::access::AUDIENCE).await?;
        let mut shown = Vec::new();
        for token in [token.as_str(), "ThisIsNoToken0123456789"] {
            let api = access.service.api().with_token(token);
            shown.push(api.get(&format!("{EVENTS}?namespace={prod}")).await?.text());
            shown.push(api.get(EVENTS).await?.text());
            shown.push(api.post("/mcp", &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await?.text());
        }
        reader.api.get(&format!("{EVENTS}?namespace={prod}")).await?.require(200)?;
        shown.push(access.service.log()?);
        shown.push(access.service.metrics().await?);
        for text in shown {
            for part in token.split('.').chain(["ThisIsNoToken0123456789"]) {
                ensure!(!text.contains(part), "a part of a token is in: {text}");
            }
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_answer_of_the_database_reaches_no_client() -> Result<()> {
    let postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
    let database = Database::fresh_in(&postgres).await?;
    let service = Service::start(&database, &[]).await?;
    let api = service.api();
    // Somebody has broken the schema.
    database
        .superuser()
        .await?
        .batch_execute("ALTER TABLE audit_event RENAME COLUMN correlation_id TO renamed")
        .await?;
    for path in [EVENTS, "/api/v1/audit/history?target=x", "/api/v1/audit/correlations/x"] {
        let answer = api.get(path).await?;
        ensure!(answer.status >= 500, "{path}: {answer}");
        for word in ["column", "correlation_id\"", "audit_event", "SELECT", "42703"] {
            ensure!(!answer.text().contains(word), "{word} is in: {answer}");
        }
    }
    Ok(())
}

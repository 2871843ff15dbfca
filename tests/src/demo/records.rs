//! Data Storage beside the operator, with a PostgreSQL of the demo's own: it records what becomes of the ConfigMap.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::screen::{Ink, Screen, time};
use crate::{
    datastorage::{Database, Postgres, PostgresOptions, SERVICE, Service, ServiceOptions, Version},
    harness::eventually,
};

/// What the demo changes in the database, as its owner could.
const FORGERY: &str = "UPDATE audit_event SET summary = 'nothing happened' WHERE seq = 2";

/// A running Data Storage. Dropping it ends it and removes its data.
pub(super) struct Records {
    // Dropped in this order.
    service: Service,
    database: Database,
    postgres: Postgres,
    key: PathBuf,
}

impl Records {
    /// Starts PostgreSQL, creates the schema and starts the service.
    pub(super) async fn start(screen: &mut Screen) -> Result<Self> {
        screen.step("Start PostgreSQL and Data Storage, which records what the operator does");
        let started = Instant::now();
        let postgres = Postgres::start(Version::of_the_run()?, PostgresOptions::default()).await?;
        let owner = postgres.connect("postgres", "postgres").await?;
        let version: String = owner.query_one("SHOW server_version", &[]).await?.get(0);
        screen.done(&format!("PostgreSQL {version} with pgvector started in {}", time(started.elapsed())));

        screen.command("datastorage migrate --service-role datastorage");
        let database = Database::fresh_in(&postgres).await?;
        screen.done("the schema is ready. The role of the service can add records, and cannot change or remove them");

        let started = Instant::now();
        screen.command("datastorage serve --chain-key-file 1:chain.key");
        let key = postgres.data().with_file_name("chain.key");
        std::fs::write(&key, uuid::Uuid::new_v4().to_string()).context("cannot write a key")?;
        let options = ServiceOptions { quiet: true, ..ServiceOptions::arguments(&[&Self::key_flag(&key)]) };
        let service = Service::start_with(&database, options).await?;
        screen.done(&format!("ready after {}", time(started.elapsed())));
        Ok(Self { service, database, postgres, key })
    }

    /// Where the operator sends its records.
    pub(super) fn url(&self) -> String {
        self.service.api().url("")
    }

    /// Shows the records of the changes that the demo has made, finds one of them and verifies all of them.
    pub(super) async fn show(&self, screen: &mut Screen, tool: &str) -> Result<()> {
        self.list(screen).await?;
        self.search(screen, tool).await?;
        self.verify(screen).await
    }

    /// What a user can try while the demo keeps running.
    pub(super) fn ideas(&self) -> Vec<(String, String)> {
        let ideas = [
            (format!("curl -s '{}/api/v1/audit/events?kind=toolset'", self.url()), "list the records"),
            (format!("curl -s {}/openapi.json", self.url()), "read what the API can do"),
            (
                format!("psql '{}'", self.postgres.url("datastorage_owner", self.database.name())),
                "look into the tables",
            ),
        ];
        ideas.into_iter().map(|(command, what)| (command, what.to_owned())).collect()
    }

    /// Fails if the service has ended.
    pub(super) fn require_running(&mut self) -> Result<()> {
        self.service.process().require_running()
    }

    async fn list(&self, screen: &mut Screen) -> Result<()> {
        screen.step("What Data Storage has recorded of it");
        screen.command(&format!("curl -s '{}/api/v1/audit/events?kind=toolset&order=asc'", self.url()));
        let records = eventually("both repairs are recorded", async || {
            let records = self.service.api().list("kind=toolset&order=asc").await?.items;
            let repairs = records.iter().filter(|record| record["action_type"] == "drift_repaired").count();
            ensure!(repairs >= 2, "{repairs} repairs are recorded");
            Ok(records)
        })
        .await?;
        let row = |record: &Value| {
            let field = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            vec![
                (Ink::Plain, record["seq"].to_string()),
                (Ink::Good, field("action_type")),
                (Ink::Dim, field("summary")),
            ]
        };
        screen.table(&["SEQ", "ACTION", "SUMMARY"], &records.iter().map(row).collect::<Vec<_>>());
        Ok(())
    }

    async fn search(&self, screen: &mut Screen, tool: &str) -> Result<()> {
        screen.gap();
        screen.say("Somebody asks later when this Grafana appeared:");
        let words = format!("added {tool}");
        screen.command(&format!(
            "curl -s {}/api/v1/search -H 'Content-Type: application/json' -d '{{\"query\":\"{words}\"}}'",
            self.url()
        ));
        let started = Instant::now();
        let found = self.service.api().search(&json!({"query": words})).await?;
        let duration = time(started.elapsed());
        let first = &found["results"][0]["event"];
        ensure!(first.is_object(), "no record has the words {words}: {found}");
        let excerpt = json!({
            "occurred_at": first["occurred_at"], "action_type": first["action_type"],
            "target_resource": first["target_resource"], "added": first["data"]["added"],
        });
        screen.block(&serde_json::to_string_pretty(&excerpt)?, Ink::Plain);
        screen.done(&format!("found by its words in {}", screen.paint(Ink::Good, &duration)));
        Ok(())
    }

    async fn verify(&self, screen: &mut Screen) -> Result<()> {
        screen.step("Prove that nobody has changed the records");
        screen.command("datastorage verify --chain-key-file 1:chain.key");
        let (unchanged, report) = self.verification().await?;
        screen.block(&report, Ink::Plain);
        ensure!(unchanged, "the records do not verify");
        screen.done("every record has the hash of the record before it, with a key that the database does not have");

        screen.gap();
        screen.say("The administrator of the database changes a record:");
        screen.command(&format!("psql -c \"{FORGERY}\""));
        let admin = self.database.superuser().await?;
        // As whoever may do everything in the database: the trigger would refuse the change.
        admin.batch_execute("SET session_replication_role = replica").await?;
        admin.batch_execute(FORGERY).await?;
        screen.command("datastorage verify --chain-key-file 1:chain.key");
        let (unchanged, report) = self.verification().await?;
        screen.block(&report, Ink::Warn);
        ensure!(!unchanged, "the change is not found");
        screen.done("the change is found");
        Ok(())
    }

    /// Whether all records are unchanged, and what the program prints.
    async fn verification(&self) -> Result<(bool, String)> {
        let key = Self::key_flag(&self.key);
        let output = tokio::time::timeout(Duration::from_secs(30), self.database.run(SERVICE, &["verify", &key])).await;
        let output = output.context("datastorage verify does not end")??;
        ensure!(
            [Some(0), Some(1)].contains(&output.status.code()),
            "datastorage verify failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }

    fn key_flag(key: &std::path::Path) -> String {
        format!("--chain-key-file=1:{}", key.display())
    }
}

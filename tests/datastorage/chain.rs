//! The chain: what verification finds, and what it cannot find.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use audit::{
    Event,
    chain::{self, Hash, Keys, VERSION},
};
use e2e::{
    datastorage::{Database, OWNER, SERVICE, Service, ServiceOptions, events},
    harness::{DEADLINE, within},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

/// What `datastorage verify` said.
#[derive(Debug)]
pub(crate) struct Verified {
    pub code: i32,
    pub report: Value,
    pub error: String,
}

/// Runs `datastorage verify` with further arguments.
pub(crate) async fn verify(database: &Database, arguments: &[&str]) -> Result<Verified> {
    let output = database.run(SERVICE, &[&["verify", "--output=json"], arguments].concat()).await?;
    let report = if output.stdout.is_empty() { Value::Null } else { serde_json::from_slice(&output.stdout)? };
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Verified { code: output.status.code().context("verify was killed")?, report, error })
}

impl Verified {
    /// Fails unless the records are complete and unchanged.
    fn require_intact(self) -> Result<Self> {
        ensure!(self.code == 0 && self.report["verified"] == true, "{self:?}");
        Ok(self)
    }

    /// Fails unless this is the first record with which something is wrong.
    fn require_bad(self, seq: i64, reason: &str) -> Result<()> {
        ensure!(self.report["first_bad"] == json!({"seq": seq, "reason": reason}), "{self:?}");
        ensure!(self.code == 1 && self.report["verified"] == false, "{self:?}");
        Ok(())
    }
}

/// Files with keys.
pub(crate) struct KeyFiles(TempDir);

impl KeyFiles {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for id in 1..=9 {
            std::fs::write(folder.path().join(id.to_string()), format!("{id} {}\n", "k".repeat(40)))?;
        }
        Ok(Self(folder))
    }

    fn path(&self, id: i16) -> PathBuf {
        self.0.path().join(id.to_string())
    }

    pub(crate) fn read(&self, id: i16) -> Result<Keys> {
        Ok(Keys::from_files([format!("{id}:{}", self.path(id).display())])?)
    }

    pub(crate) fn flag(&self, id: i16) -> String {
        format!("--chain-key-file={id}:{}", self.path(id).display())
    }
}

/// Writes records through a service with these flags, which then stops.
async fn record(database: &Database, flags: &[&str], count: usize) -> Result<()> {
    let service = Service::start(database, flags).await?;
    for number in 0..count {
        let event = events::sample().renewed().with("summary", format!("record {number}"));
        service.api().write(&event).await?;
    }
    service.stop().await
}

/// The owner, for whom the trigger is no obstacle.
async fn tamperer(database: &Database) -> Result<Client> {
    let owner = database.owner().await?;
    owner.batch_execute("ALTER TABLE audit_event DISABLE TRIGGER append_only").await?;
    Ok(owner)
}

#[tokio::test]
async fn what_was_recorded_verifies_also_after_a_dump_of_every_kind_of_value() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    let service = Service::start(&database, &[&keys.flag(1)]).await?;
    let odd = json!({"float": 0.1, "big": 9_007_199_254_740_991_i64, "exponent": 1e-7, "small": 5e-324, "zero": -0.0,
                     "text": "ü \u{1F600} \" \\ \u{7f} /", "empty": {}, "null": null, "nested": [[1, {"b": 2, "a": 1.50}]]});
    service.api().write(&events::sample().with("data", odd)).await?;
    service.api().write(&events::minimal()).await?;
    service.api().write(&events::sample().renewed().with("occurred_at", Timestamp::now().to_string())).await?;
    let many: Vec<_> = (0..500).map(|_| events::sample().renewed()).collect();
    service.api().write_batch(&many).await?;

    let report = verify(&database, &[&keys.flag(1)]).await?.require_intact()?.report;
    assert_eq!((&report["checked"], &report["gaps"], &report["next_from"]), (&json!(503), &json!([]), &json!(504)));
    let part = verify(&database, &["--from-seq=2", "--to-seq=499", &keys.flag(1)]).await?.require_intact()?.report;
    assert_eq!((&part["checked"], &part["next_from"]), (&json!(498), &json!(500)));
    Ok(())
}

#[tokio::test]
async fn whatever_the_owner_of_the_database_changes_is_found() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    record(&database, &[&keys.flag(1)], 6).await?;
    let owner = tamperer(&database).await?;
    owner.batch_execute("CREATE TABLE kept AS SELECT * FROM audit_event").await?;

    let same = "recorded_by, recorded_at, content_hash, chain_hash, chain_key, seq";
    let columns = ["name", "summary", "data", "status", "occurred_at", "actor_id", "kind", "correlation_id", same];
    let undo: String = columns
        .iter()
        .flat_map(|columns| columns.split(", "))
        .map(|column| format!("{column} = k.{column}"))
        .collect::<Vec<_>>()
        .join(", ");
    let zeros = "decode(repeat('00', 32), 'hex')";
    let changes = [
        ("name = 'another' WHERE seq = 3".to_owned(), 3, "content"),
        ("summary = NULL WHERE seq = 3".to_owned(), 3, "content"),
        ("data = '{\"dry_run\": true}' WHERE seq = 3".to_owned(), 3, "content"),
        ("status = 'success' WHERE seq = 3".to_owned(), 3, "content"),
        ("occurred_at = occurred_at + interval '1 microsecond' WHERE seq = 3".to_owned(), 3, "content"),
        ("actor_id = 'somebody else' WHERE seq = 3".to_owned(), 3, "content"),
        ("kind = 'workflow' WHERE seq = 3".to_owned(), 3, "content"),
        ("correlation_id = 'another' WHERE seq = 3".to_owned(), 3, "content"),
        (format!("content_hash = {zeros} WHERE seq = 3"), 3, "content"),
        ("recorded_by = 'somebody else' WHERE seq = 3".to_owned(), 3, "link"),
        ("recorded_at = recorded_at - interval '1 microsecond' WHERE seq = 3".to_owned(), 3, "link"),
        (format!("chain_hash = {zeros} WHERE seq = 3"), 3, "link"),
        ("chain_key = 0 WHERE seq = 3".to_owned(), 3, "link"),
        ("seq = 5 - seq WHERE seq IN (2, 3)".to_owned(), 2, "link"),
        ("seq = 3 WHERE seq = 5".to_owned(), 3, "duplicate"),
        ("seq = 9 WHERE seq = 6".to_owned(), 6, "missing"),
    ];
    for (change, seq, reason) in changes {
        owner.batch_execute(&format!("UPDATE audit_event SET {change}")).await.with_context(|| change.clone())?;
        verify(&database, &[&keys.flag(1)]).await?.require_bad(seq, reason).with_context(|| change.clone())?;
        owner
            .batch_execute(&format!("UPDATE audit_event e SET {undo} FROM kept k WHERE k.event_id = e.event_id"))
            .await?;
        verify(&database, &[&keys.flag(1)]).await?.require_intact()?;
    }

    owner.batch_execute("DELETE FROM audit_event WHERE seq = 4").await?;
    verify(&database, &[&keys.flag(1)]).await?.require_bad(4, "missing")?;
    verify(&database, &["--from-seq=5", &keys.flag(1)]).await?.require_bad(4, "missing")?;
    verify(&database, &["--to-seq=3", &keys.flag(1)]).await?.require_intact()?;
    Ok(())
}

#[tokio::test]
async fn a_cut_tail_is_found_by_a_checkpoint_and_by_nothing_else() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    let mut service = Service::start(&database, &[&keys.flag(1)]).await?;
    for _ in 0..5 {
        service.api().write(&events::sample().renewed()).await?;
    }
    let checkpoint = service.api().get("/api/v1/audit/checkpoint").await?.require(200)?.text();
    service.terminate().await?;
    let (with_key, with_checkpoint) = (keys.flag(1), format!("--checkpoint={checkpoint}"));
    verify(&database, &[&with_key, &with_checkpoint]).await?.require_intact()?;

    let owner = tamperer(&database).await?;
    owner.batch_execute("DELETE FROM audit_event WHERE seq > 3").await?;
    // The head still knows them.
    verify(&database, &[&with_key]).await?.require_bad(4, "missing")?;

    let head = "UPDATE chain_head SET (seq, hash) = (SELECT seq, chain_hash FROM audit_event WHERE seq = 3)";
    owner.batch_execute(head).await?;
    verify(&database, &[&with_key]).await?.require_intact()?;
    verify(&database, &[&with_key, &with_checkpoint]).await?.require_bad(4, "missing")?;

    // The service goes on from there, with the same numbers.
    record(&database, &[&with_key], 4).await?;
    verify(&database, &[&with_key]).await?.require_intact()?;
    verify(&database, &[&with_key, &with_checkpoint]).await?.require_bad(5, "link")
}

#[tokio::test]
async fn records_that_the_head_does_not_know_are_found() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    record(&database, &[&keys.flag(1)], 5).await?;
    let head = "UPDATE chain_head SET (seq, hash) = (SELECT seq, chain_hash FROM audit_event WHERE seq = 3)";
    database.owner().await?.batch_execute(head).await?;
    verify(&database, &[&keys.flag(1)]).await?.require_bad(4, "link")
}

/// Writes the chain anew from a record on, as somebody would who has all of the database and not the key.
async fn rewrite(owner: &Client, from: i64, keys: &Keys) -> Result<()> {
    let rows =
        "SELECT row_to_json(e) AS row, seq, recorded_at, recorded_by, chain_hash FROM audit_event e ORDER BY seq";
    let mut previous: Hash = [0; 32];
    for row in owner.query(rows, &[]).await? {
        let (seq, recorded_at, recorded_by): (i64, Timestamp, String) = (row.get(1), row.get(2), row.get(3));
        if seq < from {
            previous = row.get::<_, &[u8]>(4).try_into()?;
            continue;
        }
        let mut json: Value = row.get(0);
        json["actor"] = json!({"type": json["actor_type"], "id": json["actor_id"]});
        let event: Event = serde_json::from_value(json)?;
        let content = chain::content_hash(&event);
        let link = chain::Link {
            version: VERSION,
            key_id: keys.current(),
            seq,
            recorded_at,
            recorded_by: &recorded_by,
            previous: &previous,
            content: &content,
        };
        previous = chain::chain_hash(keys, &link).context("the key is there")?;
        let update = "UPDATE audit_event SET content_hash = $2, chain_hash = $3, chain_key = $4 WHERE seq = $1";
        let hashes: [&[u8]; 2] = [&content, &previous];
        owner.execute(update, &[&seq, &hashes[0], &hashes[1], &keys.current()]).await?;
    }
    let head = "UPDATE chain_head SET hash = $1, chain_key = $2";
    owner.execute(head, &[&previous.as_slice(), &keys.current()]).await?;
    Ok(())
}

#[tokio::test]
async fn without_a_key_the_owner_can_rewrite_the_chain_and_only_a_checkpoint_shows_it() -> Result<()> {
    let database = Database::fresh().await?;
    record(&database, &[], 5).await?;
    let checkpoint = database.run(SERVICE, &["verify", "--output=json"]).await?;
    let report: Value = serde_json::from_slice(&checkpoint.stdout)?;
    let checkpoint = json!({"seq": 5, "hash": report["hash"], "key_id": 0, "at": "2026-01-01T00:00:00Z"});

    let owner = tamperer(&database).await?;
    owner.batch_execute("UPDATE audit_event SET summary = 'nothing happened' WHERE seq = 3").await?;
    rewrite(&owner, 3, &Keys::none()).await?;
    verify(&database, &[]).await?.require_intact()?;
    verify(&database, &[&format!("--checkpoint={checkpoint}")]).await?.require_bad(5, "link")
}

#[tokio::test]
async fn with_a_key_the_owner_cannot_rewrite_the_chain() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    record(&database, &[&keys.flag(1)], 5).await?;
    let owner = tamperer(&database).await?;
    owner.batch_execute("UPDATE audit_event SET summary = 'nothing happened' WHERE seq = 3").await?;

    // As if there had been no key from this record on.
    rewrite(&owner, 3, &Keys::none()).await?;
    verify(&database, &[&keys.flag(1)]).await?.require_bad(3, "link")?;
    // As if there had never been one.
    rewrite(&owner, 1, &Keys::none()).await?;
    let verified = verify(&database, &[&keys.flag(1)]).await?;
    assert_eq!((verified.code, &verified.report["result"]), (3, &json!("unverifiable")), "{verified:?}");
    // With a key that the owner has made up.
    let mut made_up = Keys::none();
    made_up.insert(1, "a key of the same id that somebody made up")?;
    rewrite(&owner, 1, &made_up).await?;
    verify(&database, &[&keys.flag(1)]).await?.require_bad(1, "link")
}

/// A record that says that the records 3 to 5 were dropped, with the hashes that its columns and no key make.
async fn forge_excuse(owner: &Client, seq: i64, key_id: i16, previous: &Hash) -> Result<Hash> {
    owner
        .batch_execute(&format!(
            "CREATE TABLE forged AS SELECT * FROM audit_event WHERE seq = 8; \
             UPDATE forged SET event_id = overlay(event_id::text placing '000000000000' from 25)::uuid, seq = {seq}, \
             kind = 'system', action_type = 'month_dropped', text_id = NULL, chain_key = {key_id}, data = jsonb_build_object( \
             'removed', jsonb_build_array(jsonb_build_object('from', 3, 'to', 5, 'hash_after', \
             (SELECT encode(chain_hash, 'hex') FROM kept WHERE seq = 5))))"
        ))
        .await?;
    let row = owner.query_one("SELECT row_to_json(f), recorded_at, recorded_by FROM forged f", &[]).await?;
    let mut json: Value = row.get(0);
    json["actor"] = json!({"type": json["actor_type"], "id": json["actor_id"]});
    let content = chain::content_hash(&serde_json::from_value::<Event>(json)?);
    let link = chain::Link {
        version: VERSION,
        key_id: 0,
        seq,
        recorded_at: row.get(1),
        recorded_by: row.get(2),
        previous,
        content: &content,
    };
    let hash = chain::chain_hash(&Keys::none(), &link).context("no key is needed")?;
    let hashes: [&[u8]; 2] = [&content, &hash];
    owner.execute("UPDATE forged SET content_hash = $1, chain_hash = $2", &hashes.each_ref().map(|h| h as _)).await?;
    let columns: String = owner
        .query_one(
            "SELECT string_agg(attname, ', ') FROM pg_attribute WHERE attrelid = 'audit_event'::regclass AND attnum > 0 \
             AND attgenerated = ''",
            &[],
        )
        .await?
        .get(0);
    owner
        .batch_execute(&format!("INSERT INTO audit_event ({columns}) SELECT {columns} FROM forged; DROP TABLE forged"))
        .await?;
    Ok(hash)
}

#[tokio::test]
async fn a_forged_record_about_a_dropped_month_is_not_trusted() -> Result<()> {
    let keys = KeyFiles::new()?;
    let flag = keys.flag(1);
    // Before the first record, behind the head, and in place of the newest record; with a key that nobody knows, and with none.
    for (seq, key_id) in [(-5, 99), (20, 99), (9, 99), (9, 0), (-5, 1)] {
        let database = Database::fresh().await?;
        record(&database, &[&flag], 8).await?;
        let owner = tamperer(&database).await?;
        owner
            .batch_execute(
                "CREATE TABLE kept AS SELECT * FROM audit_event; DELETE FROM audit_event WHERE seq BETWEEN 3 AND 5; \
                 ALTER TABLE audit_event DROP CONSTRAINT audit_event_seq_check",
            )
            .await?;
        let head = "SELECT hash FROM chain_head";
        let previous: Hash = owner.query_one(head, &[]).await?.get::<_, &[u8]>(0).try_into()?;
        let previous = if seq == 9 { previous } else { [0; 32] };
        if seq != 9 {
            // Something that the forged record can follow.
            owner
                .batch_execute(&format!(
                    "INSERT INTO audit_event (event_id, seq, kind, occurred_at, recorded_at, recorded_by, name, namespace, \
                     phase, action_type, correlation_id, redaction_version, content_hash, chain_hash, chain_key, chain_version) \
                     SELECT overlay(event_id::text placing 'ffffffffffff' from 25)::uuid, {seq} - 1, kind, occurred_at, \
                     recorded_at, recorded_by, name, namespace, phase, action_type, correlation_id, redaction_version, \
                     content_hash, decode(repeat('00', 32), 'hex'), 0, 1 FROM kept WHERE seq = 8"
                ))
                .await?;
        }
        let hash = forge_excuse(&owner, seq, key_id, &previous).await?;
        if seq == 9 {
            let head = "UPDATE chain_head SET seq = 9, hash = $1, chain_key = $2";
            owner.execute(head, &[&hash.as_slice(), &key_id]).await?;
        }
        let case = format!("{seq} with key {key_id}");
        verify(&database, &[&flag]).await?.require_bad(3, "missing").context(case.clone())?;
        if seq != 9 {
            let part = verify(&database, &["--from-seq=7", "--to-seq=8", &flag]).await?;
            part.require_bad(seq - 1, "link").context(case)?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn verify_checks_the_first_record_of_a_range() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    record(&database, &[&keys.flag(1)], 5).await?;
    let owner = tamperer(&database).await?;
    owner.batch_execute("UPDATE audit_event SET recorded_by = 'somebody else' WHERE seq = 3").await?;
    verify(&database, &["--from-seq=4", &keys.flag(1)]).await?.require_bad(3, "link")?;
    let behind = verify(&database, &["--from-seq=5", &keys.flag(1)]).await?.require_intact()?;
    assert_eq!(behind.report["checked"], 1);
    Ok(())
}

#[tokio::test]
async fn a_key_that_is_older_than_the_one_before_is_tampering_also_if_it_was_not_given() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    record(&database, &[&keys.flag(1)], 2).await?;
    record(&database, &[&keys.flag(1), &keys.flag(2)], 3).await?;
    let owner = tamperer(&database).await?;
    owner.batch_execute("UPDATE audit_event SET chain_key = 1 WHERE seq = 4").await?;
    verify(&database, &[&keys.flag(2)]).await?.require_bad(4, "link")?;
    // A key that never was.
    owner.batch_execute("UPDATE audit_event SET chain_key = 9 WHERE seq = 4").await?;
    verify(&database, &[&keys.flag(1), &keys.flag(2)]).await?.require_bad(5, "link")
}

#[tokio::test]
async fn records_of_a_key_that_was_not_given_are_unverifiable_and_not_tampered() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    let (one, two) = (keys.flag(1), keys.flag(2));
    record(&database, &[&one], 3).await?;
    record(&database, &[&one, &two], 3).await?;
    verify(&database, &[&one, &two]).await?.require_intact()?;

    let lost = verify(&database, &[&two]).await?;
    assert_eq!(lost.code, 3, "{lost:?}");
    let report = &lost.report;
    assert_eq!((&report["unverifiable"], &report["last_unverifiable"]), (&json!(3), &json!(3)));
    assert_eq!((&report["verified"], &report["first_bad"]), (&json!(false), &Value::Null));
    verify(&database, &["--from-seq=4", &two]).await?.require_intact()?;

    // The form of the hashes may be one of a newer program.
    let newer = tamperer(&database).await?;
    newer.batch_execute("UPDATE audit_event SET chain_version = 2 WHERE seq = 6").await?;
    let verified = verify(&database, &[&one, &two]).await?;
    assert_eq!((verified.code, &verified.report["last_unverifiable"]), (3, &json!(6)), "{verified:?}");

    // What needs no key is found all the same.
    tamperer(&database).await?.batch_execute("UPDATE audit_event SET name = 'x' WHERE seq = 2").await?;
    verify(&database, &[]).await?.require_bad(2, "content")
}

#[tokio::test]
async fn a_service_whose_key_is_gone_does_not_write_on_without_one() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    record(&database, &[&keys.flag(1)], 1).await?;
    let options = ServiceOptions { do_not_wait: true, ..ServiceOptions::default() };
    let mut service = Service::start_with(&database, options).await?;
    let status = service.process().wait(DEADLINE).await?;
    assert_eq!(status.code(), Some(1));
    let log = service.log()?;
    assert!(
        log.contains(
            "the newest record has the chain key 1, which is missing; start the service with --chain-key-file=1:"
        ),
        "{log}"
    );

    // Nor with an older one.
    record(&database, &[&keys.flag(1), &keys.flag(2)], 1).await?;
    let options = ServiceOptions { do_not_wait: true, ..ServiceOptions::arguments(&[&keys.flag(1)]) };
    let mut service = Service::start_with(&database, options).await?;
    assert_eq!(service.process().wait(DEADLINE).await?.code(), Some(1));
    let log = service.log()?;
    assert!(
        log.contains(
            "the newest record has the chain key 2, which is missing; start the service with --chain-key-file=2:"
        ),
        "{log}"
    );
    Ok(())
}

#[tokio::test]
async fn verification_that_is_not_possible_ends_with_2_and_says_why() -> Result<()> {
    let database = Database::fresh().await?;
    record(&database, &[], 2).await?;
    for (arguments, words) in [
        (vec!["--from-seq=5"], "the newest record is 2"),
        (vec!["--to-seq=3"], "the newest record is 2"),
        (vec!["--checkpoint={}"], "--checkpoint"),
        (vec!["--checkpoint=/does/not/exist"], "/does/not/exist"),
        (vec!["--chain-key-file=1:/does/not/exist"], "/does/not/exist"),
        (vec!["--schema=nothing"], "nothing"),
    ] {
        let verified = verify(&database, &arguments).await?;
        assert_eq!(verified.code, 2, "{arguments:?}: {verified:?}");
        assert!(verified.error.contains(words), "{arguments:?}: {verified:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_service_writes_a_checkpoint_to_standard_output_that_verify_reads() -> Result<()> {
    let (database, keys) = (Database::fresh().await?, KeyFiles::new()?);
    record(&database, &[&keys.flag(1)], 3).await?;
    let service = Service::start(&database, &[&keys.flag(1)]).await?;
    let line = within(DEADLINE, "a checkpoint is written", async || {
        let log = service.log()?;
        log.lines().find(|line| line.starts_with("{\"checkpoint\"")).map(str::to_owned).context("no checkpoint")
    })
    .await?;
    let checkpoint: Value = serde_json::from_str(&line)?;
    assert_eq!(checkpoint["checkpoint"]["seq"], 3);
    let file = service.file("log of the service", service.log()?)?;
    verify(&database, &[&keys.flag(1), &format!("--checkpoint={}", file.display())]).await?.require_intact()?;
    Ok(())
}

#[tokio::test]
async fn the_text_for_people_says_what_is_wrong() -> Result<()> {
    let database = Database::fresh().await?;
    record(&database, &[], 3).await?;
    let text = async || {
        let output = database.run(SERVICE, &["verify"]).await?;
        anyhow::Ok(String::from_utf8(output.stdout)?)
    };
    let intact = text().await?;
    assert!(intact.contains("3 records were checked.\nVERIFIED"), "{intact}");
    assert!(intact.contains("The records have no key"), "{intact}");
    tamperer(&database).await?.batch_execute("DELETE FROM audit_event WHERE seq = 2").await?;
    assert!(text().await?.contains("TAMPERED: record 2 is missing."), "{}", text().await?);
    Ok(())
}

#[tokio::test]
async fn verify_needs_no_more_than_the_rights_of_the_service_and_check_names_those_of_the_owner() -> Result<()> {
    let database = Database::fresh().await?;
    record(&database, &[], 1).await?;
    let check = async |role: &str| {
        let output = database.run(role, &["check", "--output=json"]).await?;
        ensure!(output.status.success(), "{output:?}");
        anyhow::Ok(serde_json::from_slice::<Value>(&output.stdout)?)
    };
    let service = check(SERVICE).await?;
    assert_eq!((&service["state"]["owner"], &service["state"]["can_change"]), (&json!(false), &json!([])));
    assert_eq!((&service["schema_version"], &service["state"]["seq"]), (&json!(1), &json!(1)));
    assert_eq!(check(OWNER).await?["state"]["owner"], true);
    Ok(())
}

//! The rights of the service's role and of the owner.

use anyhow::{Context as _, Result};
use e2e::datastorage::{Database, SERVICE, events};

use crate::writer::Library;

/// The message of the error of a statement.
async fn refused(client: &tokio_postgres::Client, sql: &str) -> Result<String> {
    let error = client.batch_execute(sql).await.err().with_context(|| format!("{sql} is allowed"))?;
    let said = error.as_db_error().with_context(|| format!("{sql}: {error}"))?;
    Ok(format!("{} {}", said.code().code(), said.message()))
}

#[tokio::test]
async fn the_service_can_neither_change_nor_remove_a_record() -> Result<()> {
    let database = Database::fresh().await?;
    Library::start(&database)?.write(&[events::sample()]).await?;
    let service = database.service().await?;
    let month: String = service
        .query_one(
            "SELECT relname::text FROM pg_class WHERE relname LIKE 'audit_event_20%' AND relkind = 'r' LIMIT 1",
            &[],
        )
        .await?
        .get(0);
    for sql in [
        "UPDATE audit_event SET name = 'x'".to_owned(),
        "DELETE FROM audit_event".to_owned(),
        "TRUNCATE audit_event".to_owned(),
        format!("DELETE FROM {month}"),
        format!("TRUNCATE {month}"),
        "UPDATE search_text SET text = 'x'".to_owned(),
        "DELETE FROM search_text".to_owned(),
        "DELETE FROM chain_head".to_owned(),
        "INSERT INTO chain_head SELECT * FROM chain_head".to_owned(),
        "UPDATE retention SET keep = interval '100 years'".to_owned(),
        "DELETE FROM migration".to_owned(),
        "SELECT drop_month(now())".to_owned(),
        "CREATE TABLE datastorage.mine (n int)".to_owned(),
    ] {
        let message = refused(&service, &sql).await?;
        assert!(message.starts_with("42501 permission denied"), "{sql}: {message}");
    }
    for sql in [
        "DROP TABLE audit_event".to_owned(),
        format!("DROP TABLE {month}"),
        format!("ALTER TABLE audit_event DETACH PARTITION {month}"),
        "ALTER TABLE audit_event DISABLE TRIGGER append_only".to_owned(),
        "DROP TRIGGER append_only ON audit_event".to_owned(),
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
            .to_owned(),
    ] {
        let message = refused(&service, &sql).await?;
        assert!(message.starts_with("42501"), "{sql}: {message}");
    }
    Ok(())
}

#[tokio::test]
async fn the_owner_is_stopped_by_the_trigger_until_it_is_disabled() -> Result<()> {
    let database = Database::fresh().await?;
    Library::start(&database)?.write(&[events::sample()]).await?;
    let owner = database.owner().await?;
    for sql in ["UPDATE audit_event SET name = 'x'", "DELETE FROM audit_event"] {
        assert_eq!(refused(&owner, sql).await?, "23514 audit records are append-only");
    }
    Ok(())
}

#[tokio::test]
async fn the_service_has_exactly_the_rights_that_it_needs() -> Result<()> {
    let database = Database::fresh().await?;
    let rights = "SELECT table_name || ' ' || string_agg(privilege_type, ' ' ORDER BY privilege_type) \
                  FROM information_schema.role_table_grants WHERE grantee = $1 GROUP BY table_name ORDER BY 1";
    let rights = database.owner().await?.query(rights, &[&SERVICE]).await?;
    let rights: Vec<String> = rights.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        rights,
        [
            "audit_event INSERT SELECT",
            "chain_head SELECT UPDATE",
            "embedding_1 INSERT SELECT",
            "embedding_job DELETE INSERT SELECT UPDATE",
            "embedding_model INSERT SELECT",
            "migration SELECT",
            "retention SELECT",
            "search_text INSERT SELECT",
        ]
    );
    Ok(())
}

#[tokio::test]
async fn granting_again_takes_back_what_somebody_added() -> Result<()> {
    let database = Database::fresh().await?;
    database.owner().await?.batch_execute(&format!("GRANT UPDATE, DELETE ON audit_event TO {SERVICE}")).await?;
    e2e::datastorage::migrate(&database.url(e2e::datastorage::OWNER)).await?;
    let message = refused(&database.service().await?, "DELETE FROM audit_event").await?;
    assert!(message.starts_with("42501"), "{message}");
    Ok(())
}

#[tokio::test]
async fn functions_with_the_rights_of_the_owner_find_their_tables_whatever_the_caller_has() -> Result<()> {
    let database = Database::fresh().await?;
    let functions = "SELECT proname::text, array_to_string(proconfig, ' '), \
                     has_function_privilege('public', oid, 'EXECUTE') \
                     FROM pg_proc WHERE pronamespace = 'datastorage'::regnamespace AND prosecdef";
    let functions = database.owner().await?.query(functions, &[]).await?;
    assert!(!functions.is_empty());
    for row in functions {
        let (name, path, public): (String, String, bool) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(path, "search_path=datastorage, pg_temp", "{name}");
        assert!(!public, "everybody can execute {name}");
    }

    // A table of the same name in the schema of the caller is not used.
    let service = database.service().await?;
    service.batch_execute("CREATE TEMPORARY TABLE retention AS SELECT interval '100 years' AS keep").await?;
    let old = refused(&service, "SELECT datastorage.ensure_month('2001-01-01')").await?;
    assert!(old.starts_with("DS001"), "{old}");
    Ok(())
}

#[tokio::test]
async fn a_role_whose_rights_cannot_be_restricted_is_refused() -> Result<()> {
    let database = Database::fresh().await?;
    for (role, words) in [
        ("datastorage_owner", "cannot be restricted"),
        ("postgres", "cannot be restricted"),
        ("nobody", "does not exist"),
    ] {
        let output = database.run("datastorage_owner", &["migrate", "--service-role", role]).await?;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{role}: {error}");
        assert!(error.contains(words), "{role}: {error}");
    }
    Ok(())
}

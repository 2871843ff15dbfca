//! `datastorage check`

use anyhow::Result;

use super::print;
use crate::{
    args::{Check, Database, Output},
    store::{self, MigrateMode, MigrateOptions, State, Store, Tls},
};

/// Connects, changes nothing, and prints what was found. Fails if the service could not run on this database.
pub async fn check(database: &Database, flags: &Check) -> Result<()> {
    let settings = database.settings()?;
    let store = Store::new(&settings)?;
    let options = MigrateOptions { mode: MigrateMode::Check, ..MigrateOptions::default() };
    let found = store::migrate(&store, &options).await?;
    let state = store.state().await?;
    match flags.output {
        Output::Json => print(&serde_json::to_string(&serde_json::json!({
            "postgres": found.postgres,
            "schema": store.schema(),
            "schema_version": found.schema_version,
            "pgvector": found.vectors.as_ref().ok(),
            "without_vectors": found.vectors.as_ref().err(),
            "state": state,
        }))?)?,
        Output::Text => {
            print(&format!("PostgreSQL    {}.{}", found.postgres / 10_000, found.postgres % 10_000))?;
            print(&format!("schema        {}, version {}", store.schema(), found.schema_version))?;
            print(&format!(
                "pgvector      {}",
                found.vectors.unwrap_or_else(|reason| format!("not used: {reason}; search by words works without it"))
            ))?;
            for line in lines(&state, settings.tls) {
                print(&line)?;
            }
        }
    }
    Ok(())
}

fn lines(state: &State, tls: Tls) -> Vec<String> {
    let tls = match (&state.tls, tls) {
        (None, _) => "none: anyone on the network can read and change the traffic".to_owned(),
        (Some(version), Tls::VerifyFull) => format!("{version}, and the certificate of the server was verified"),
        (Some(version), _) => {
            format!("{version}, but the certificate of the server was not verified; use --database-ca")
        }
    };
    let rights = match (state.owner, state.can_change.as_slice()) {
        (true, _) => {
            "owns the schema, so it can remove records; use another role, and grant the permissions to it with \
             datastorage migrate --service-role"
                .to_owned()
        }
        (false, []) => "can add records, and cannot change or remove them".to_owned(),
        (false, rights) => {
            format!("has the permissions {} on records; run datastorage migrate --service-role", rights.join(", "))
        }
    };
    vec![
        format!("TLS           {tls}"),
        format!("role          {} {rights}", state.role),
        format!("records       newest number {}, {} months", state.seq, state.months.len()),
    ]
}

//! The rights of the service's role: it adds records, and can neither change nor remove one.

use tokio_postgres::Client;

use super::{connect::identifier, migration::MigrateError};

/// The rights on each table.
const RIGHTS: &[(&str, &str)] = &[
    ("audit_event", "SELECT, INSERT"),
    ("search_text", "SELECT, INSERT"),
    ("chain_head", "SELECT, UPDATE"),
    ("embedding_model", "SELECT, INSERT"),
    ("embedding_1", "SELECT, INSERT"),
    ("embedding_job", "SELECT, INSERT, UPDATE, DELETE"),
    ("retention", "SELECT"),
    ("migration", "SELECT"),
];

/// Gives a role exactly the rights of the service, and takes all others on the schema from it.
pub(super) async fn grant(client: &mut Client, schema: &str, role: &str) -> Result<(), MigrateError> {
    let transaction = client.transaction().await?;
    let row = transaction
        .query_opt("SELECT rolname = current_user, rolsuper FROM pg_roles WHERE rolname = $1", &[&role])
        .await?
        .ok_or_else(|| MigrateError::NoRole(role.to_owned()))?;
    if row.get(0) || row.get(1) {
        // Its rights cannot be restricted.
        return Err(MigrateError::SameRole(role.to_owned()));
    }
    let name = identifier(role);
    let schema_name = identifier(schema);
    let first = format!(
        "REVOKE ALL ON SCHEMA {schema_name} FROM {name}; REVOKE ALL ON ALL TABLES IN SCHEMA {schema_name} FROM {name}; \
         REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema_name} FROM {name}; GRANT USAGE ON SCHEMA {schema_name} TO {name}; \
         GRANT EXECUTE ON FUNCTION {schema_name}.ensure_month(timestamptz) TO {name}"
    );
    let mut grants = vec![first];
    for (table, rights) in RIGHTS {
        let exists = transaction
            .query_one("SELECT to_regclass($1) IS NOT NULL", &[&format!("{schema_name}.{table}")])
            .await?
            .get::<_, bool>(0);
        if exists {
            grants.push(format!("GRANT {rights} ON {schema_name}.{table} TO {name}"));
        }
    }
    transaction.batch_execute(&grants.join("; ")).await?;
    Ok(transaction.commit().await?)
}

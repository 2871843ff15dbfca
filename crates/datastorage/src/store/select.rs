//! Statements that select records.
//!
//! The text of a statement is made of pieces that stand in this program. What a request contains is always a parameter.

use std::{error::Error, fmt::Write as _, str::FromStr};

use audit::{Actor, Event, Kind, Phase, Record, Status};
use tokio_postgres::{
    Row,
    types::{FromSql, Json, ToSql, Type},
};

use super::{Reader, Scope, names_of};

/// The columns that [`record`] reads.
pub(super) const COLUMNS: &str = "event_id, seq, kind, occurred_at, recorded_at, recorded_by, name, namespace, cluster, phase, \
     status, action_type, correlation_id, parent_event_id, severity, environment, target_resource, fingerprint, actor_type, \
     actor_id, duration_ms, trace_id, summary, error_message, data, chain_hash";

/// A value and its type.
pub(super) type Parameter = (Box<dyn ToSql + Sync + Send>, Type);

/// A statement and its parameters.
pub(super) struct Select {
    sql: String,
    parameters: Vec<Parameter>,
    conditions: usize,
}

impl Select {
    /// A statement that begins with `sql`.
    pub(super) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), parameters: Vec::new(), conditions: 0 }
    }

    /// Adds a piece. Each `?` in it stands for the next of the values.
    pub(super) fn push<const N: usize>(&mut self, piece: &'static str, values: [Parameter; N]) -> &mut Self {
        let mut values = values.into_iter();
        for (number, part) in piece.split('?').enumerate() {
            if number > 0 {
                self.parameters.extend(values.next());
                // Writing into a string cannot fail.
                let _ = write!(self.sql, "${}", self.parameters.len());
            }
            self.sql.push_str(part);
        }
        self
    }

    /// Adds a condition.
    pub(super) fn and<const N: usize>(&mut self, condition: &'static str, values: [Parameter; N]) -> &mut Self {
        self.sql.push_str(if self.conditions == 0 { " WHERE " } else { " AND " });
        self.conditions += 1;
        self.push(condition, values)
    }

    /// Adds the condition of what a reader may see.
    pub(super) fn visible_to(&mut self, reader: &Reader<'_>) -> &mut Self {
        match reader.scope {
            Scope::Cluster => self,
            Scope::Namespaces(names) => {
                let names: Vec<String> = names.iter().filter(|name| !name.is_empty()).cloned().collect();
                let clusters = names_of(reader.cluster, reader.cluster);
                self.and("namespace = ANY(?) AND cluster = ANY(?)", [texts(names), texts(clusters)])
            }
        }
    }

    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    pub(super) fn parameters(&self) -> Vec<(&(dyn ToSql + Sync), Type)> {
        self.parameters.iter().map(|(value, kind)| (&**value as &(dyn ToSql + Sync), kind.clone())).collect()
    }
}

/// A parameter.
pub(super) fn value<T: ToSql + Sync + Send + 'static>(value: T, kind: Type) -> Parameter {
    (Box::new(value), kind)
}

/// A parameter of type text.
pub(super) fn text(text: &str) -> Parameter {
    value(text.to_owned(), Type::TEXT)
}

/// A parameter that is an array of texts.
pub(super) fn texts(texts: Vec<String>) -> Parameter {
    value(texts, Type::TEXT_ARRAY)
}

/// Reads the columns [`COLUMNS`]. The position in the chain is only for readers who see everything.
pub(super) fn record(row: &Row, reader: &Reader<'_>) -> Result<Record, tokio_postgres::Error> {
    let sees_chain = matches!(reader.scope, Scope::Cluster);
    let (actor_type, actor_id): (Option<String>, Option<String>) =
        (row.try_get("actor_type")?, row.try_get("actor_id")?);
    let actor = (actor_type.is_some() || actor_id.is_some()).then_some(Actor { r#type: actor_type, id: actor_id });
    let status: Option<Word<Status>> = row.try_get("status")?;
    let data: Json<_> = row.try_get("data")?;
    Ok(Record {
        event: Event {
            event_id: row.try_get("event_id")?,
            kind: row.try_get::<_, Word<Kind>>("kind")?.0,
            occurred_at: row.try_get("occurred_at")?,
            name: row.try_get("name")?,
            namespace: row.try_get("namespace")?,
            cluster: row.try_get("cluster")?,
            phase: row.try_get::<_, Word<Phase>>("phase")?.0,
            status: status.map(|word| word.0),
            action_type: row.try_get("action_type")?,
            correlation_id: row.try_get("correlation_id")?,
            parent_event_id: row.try_get("parent_event_id")?,
            severity: row.try_get("severity")?,
            environment: row.try_get("environment")?,
            target_resource: row.try_get("target_resource")?,
            fingerprint: row.try_get("fingerprint")?,
            actor,
            duration_ms: row.try_get("duration_ms")?,
            trace_id: row.try_get("trace_id")?,
            summary: row.try_get("summary")?,
            error_message: row.try_get("error_message")?,
            data: data.0,
        },
        seq: if sees_chain { row.try_get("seq")? } else { None },
        recorded_at: row.try_get("recorded_at")?,
        recorded_by: row.try_get("recorded_by")?,
        chain_hash: if sees_chain { Some(hex(row.try_get("chain_hash")?)) } else { None },
    })
}

/// Bytes in hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A word of a closed vocabulary.
pub(super) struct Word<T>(pub(super) T);

impl<'a, T: FromStr<Err: Error + Sync + Send + 'static>> FromSql<'a> for Word<T> {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(<&str>::from_sql(kind, raw)?.parse()?))
    }

    fn accepts(kind: &Type) -> bool {
        <&str as FromSql<'_>>::accepts(kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_numbered_parameters_and_never_text() {
        let mut select = Select::new("SELECT 1 FROM audit_event");
        select.and("name = ?", [text("'; DROP TABLE audit_event; --")]);
        select.and("a > ? AND b < ?", [value(1_i64, Type::INT8), value(2_i64, Type::INT8)]);
        select.push(" LIMIT ?", [value(3_i64, Type::INT8)]);
        assert_eq!(select.sql(), "SELECT 1 FROM audit_event WHERE name = $1 AND a > $2 AND b < $3 LIMIT $4");
        assert_eq!(select.parameters().len(), 4);
    }

    #[test]
    fn a_reader_without_namespaces_sees_nothing() {
        let scope = Scope::Namespaces(vec![String::new()]);
        let mut select = Select::new("");
        select.visible_to(&Reader { scope: &scope, cluster: "a" });
        assert_eq!(select.sql(), " WHERE namespace = ANY($1) AND cluster = ANY($2)");
        assert_eq!(format!("{:?}", select.parameters()[0].0), "[]");
    }
}

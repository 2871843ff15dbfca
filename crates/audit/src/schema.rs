//! The schemas of records and errors in JSON, for the OpenAPI document. They come from the types and from the table of the
//! fields, so that a new field cannot be forgotten.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::fields::{self, TextRule};
use crate::{Actor, Event, Kind, Phase, Reason, Status};

/// A type whose schema is the words of a vocabulary.
macro_rules! words {
    ($($name:ident: $words:expr;)+) => {
        $(
            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    json_schema!({"type": "string", "enum": $words})
                }
            }
        )+
    };
}

words! {
    Kind: Kind::ALL.into_iter().chain([Kind::System]).map(Kind::as_str).collect::<Vec<_>>();
    Phase: Phase::ALL.map(Phase::as_str);
    Status: Status::ALL.map(Status::as_str);
    Reason: Reason::ALL.map(Reason::as_str);
}

/// An event as a client sends it. Only a schema: [`crate::Accepted::parse`] reads it.
#[derive(Debug)]
pub struct NewRecord;

/// The actor of a [`NewRecord`].
#[derive(Debug)]
pub struct NewActor;

/// What the server adds where a client says nothing, and what is said about it.
const ADDED: [(&str, &str); 4] = [
    (
        "event_id",
        "A UUID of version 7. Its time is when the record was made. A second record with the same id and the same content is \
         a duplicate, so a retry is safe. Without an id, the server makes one, and a retry is a new record.",
    ),
    ("occurred_at", "When it happened: within 24 hours of the time of the id, which is the default."),
    ("cluster", "The cluster of the object. The default is the cluster of the service."),
    ("data", "What else the client has to say, at most 64 KiB."),
];

impl JsonSchema for NewRecord {
    fn schema_name() -> Cow<'static, str> {
        "NewRecord".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = properties(&Event::json_schema(generator));
        for (field, description) in ADDED {
            properties[field]["type"] = json!([properties[field]["type"], "null"]);
            properties[field]["description"] = json!(description);
        }
        properties["kind"]["enum"] = json!(Kind::ALL.map(Kind::as_str));
        properties["kind"]["description"] = json!("What the record is about.");
        properties["duration_ms"]["minimum"] = json!(0);
        let actor = generator.subschema_for::<NewActor>();
        properties["actor"] =
            json!({"description": properties["actor"]["description"], "anyOf": [actor, {"type": "null"}]});
        limit(&mut properties, "");
        let required: Vec<_> = fields::texts().filter(|rule| rule.required).map(|rule| rule.field).collect();
        json_schema!({
            "description": "A record as a client sends it.", "type": "object", "properties": properties, "required": required,
            "additionalProperties": false,
        })
    }
}

impl JsonSchema for NewActor {
    fn schema_name() -> Cow<'static, str> {
        "NewActor".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut properties = properties(&Actor::json_schema(generator));
        limit(&mut properties, "actor.");
        json_schema!({
            "description": "Who did it, as the client claims.", "type": "object", "properties": properties,
            "additionalProperties": false,
        })
    }
}

fn properties(schema: &Schema) -> Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Adds the lengths of texts to the properties of an object.
fn limit(properties: &mut Map<String, Value>, object: &str) {
    for TextRule { field, empty, limit, .. } in fields::texts() {
        let property = field.strip_prefix(object).and_then(|name| properties.get_mut(name));
        // A word of a vocabulary has no length.
        let Some(property) = property.and_then(Value::as_object_mut).filter(|text| !text.contains_key("enum")) else {
            continue;
        };
        if property.get("anyOf").is_some() {
            continue;
        }
        property.insert("maxLength".to_owned(), json!(limit));
        if !empty {
            property.insert("minLength".to_owned(), json!(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schemars::schema_for;
    use serde::Serialize;

    use super::*;

    fn names(schema: &Schema) -> BTreeSet<String> {
        properties(schema).keys().cloned().collect()
    }

    fn keys(value: impl Serialize) -> BTreeSet<String> {
        serde_json::to_value(value).unwrap().as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn a_client_may_send_every_field_of_an_event_and_must_send_few() {
        let event = Event::new(Kind::Execution, "a", "b", Phase::Pending, "c", "d");
        let schema = schema_for!(NewRecord);
        assert_eq!(names(&schema), keys(&event));
        assert_eq!(names(&schema_for!(NewActor)), keys(Actor::default()));
        let required = json!(["kind", "name", "namespace", "phase", "action_type", "correlation_id"]);
        assert_eq!(schema.get("required"), Some(&required));
        assert!(properties(&schema).values().all(|field| field.get("description").is_some()), "{schema:?}");
    }

    #[test]
    fn the_limits_are_those_of_the_table() {
        let fields = properties(&schema_for!(NewRecord));
        let bounds = |field: &str| (fields[field].get("minLength").cloned(), fields[field].get("maxLength").cloned());
        assert_eq!(bounds("name"), (Some(json!(1)), Some(json!(255))));
        assert_eq!(bounds("namespace"), (None, Some(json!(63))));
        assert_eq!(bounds("summary"), (None, Some(json!(2_048))));
        assert_eq!(bounds("kind"), (None, None));
        let actor = properties(&schema_for!(NewActor));
        assert_eq!((&actor["type"]["maxLength"], &actor["id"]["maxLength"]), (&json!(50), &json!(255)));
        assert_eq!(fields["event_id"]["type"], json!(["string", "null"]));
    }

    #[test]
    fn system_is_a_kind_of_stored_records_only() {
        let kinds = |schema: &Schema| properties(schema)["kind"]["enum"].as_array().unwrap().len();
        assert_eq!(kinds(&schema_for!(crate::Record)), kinds(&schema_for!(NewRecord)) + 1);
    }
}

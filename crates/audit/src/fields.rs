//! The fields of a record that hold text, as a table, and how they are read.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use crate::charset::Charset;
use crate::redact;
use crate::{FieldError, Reason};

/// Whether a field has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// With at least one character.
    Required,
    /// It has to be there and may be empty: an object of the cluster has the namespace `""`.
    RequiredOrEmpty,
    /// Absent, null and empty mean the same.
    Optional,
}

/// The rule of one field.
struct Rule {
    field: &'static str,
    presence: Presence,
    /// In characters.
    limit: usize,
    charset: Charset,
}

const fn rule(field: &'static str, presence: Presence, limit: usize, charset: Charset) -> Rule {
    Rule { field, presence, limit, charset }
}

use Charset::{Free, Label, Printable, Word};
use Presence::{Optional, Required, RequiredOrEmpty};

const RULES: &[Rule] = &[
    rule("kind", Required, 50, Word),
    rule("name", Required, 255, Printable),
    rule("namespace", RequiredOrEmpty, 63, Label),
    rule("cluster", Optional, 255, Word),
    rule("phase", Required, 50, Word),
    rule("status", Optional, 50, Word),
    rule("action_type", Required, 100, Word),
    rule("correlation_id", Required, 255, Printable),
    rule("severity", Optional, 50, Word),
    rule("environment", Optional, 50, Word),
    rule("target_resource", Optional, 512, Printable),
    rule("fingerprint", Optional, 255, Word),
    rule("actor.type", Optional, 50, Word),
    rule("actor.id", Optional, 255, Printable),
    rule("trace_id", Optional, 64, Word),
    rule("summary", Optional, 2_048, Free),
    rule("error_message", Optional, 16_384, Free),
];

/// What a schema says about a text.
#[cfg(feature = "schemars")]
pub(crate) struct TextRule {
    /// The name, for example `actor.id`.
    pub(crate) field: &'static str,
    /// Whether it has to be there.
    pub(crate) required: bool,
    /// Whether it may be empty.
    pub(crate) empty: bool,
    /// In characters.
    pub(crate) limit: usize,
}

/// The texts of a record.
#[cfg(feature = "schemars")]
pub(crate) fn texts() -> impl Iterator<Item = TextRule> {
    RULES.iter().map(|rule| TextRule {
        field: rule.field,
        required: rule.presence != Optional,
        empty: rule.presence != Required,
        limit: rule.limit,
    })
}

/// The fields that hold no text.
const OTHERS: &[&str] = &["event_id", "occurred_at", "parent_event_id", "actor", "duration_ms", "data"];

/// The name of a field as a label of a metric: one of a closed list, whatever a client sends.
pub(crate) fn label(field: &str) -> &'static str {
    let known = RULES.iter().map(|rule| rule.field).chain(OTHERS.iter().copied()).chain(["body"]);
    let field = if field.starts_with("data.") { "data" } else { field };
    known.into_iter().find(|name| *name == field).unwrap_or("other")
}

/// Whether a record has such a field.
pub(crate) fn is_known(field: &str) -> bool {
    !field.contains('.') && (RULES.iter().any(|rule| rule.field == field) || OTHERS.contains(&field))
}

/// The texts of one record that obey their rules.
pub(crate) struct Texts(BTreeMap<&'static str, String>);

impl Texts {
    /// Takes the texts out of the values and checks them.
    pub(crate) fn read(values: &mut BTreeMap<String, Value>, errors: &mut Vec<FieldError>) -> Self {
        let mut texts = BTreeMap::new();
        let mut actor = actor(values.remove("actor"), errors);
        for rule in RULES {
            let value = match rule.field.strip_prefix("actor.") {
                Some(member) => actor.remove(member),
                None => values.remove(rule.field),
            };
            match rule.read(value) {
                Ok(Some(text)) => _ = texts.insert(rule.field, text),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        errors.extend(actor.keys().map(|name| unknown(&format!("actor.{name}"))));
        Self(texts)
    }

    /// An optional text.
    pub(crate) fn take(&mut self, field: &str) -> Option<String> {
        self.0.remove(field)
    }

    /// A text that is empty only if an error was found.
    pub(crate) fn required(&mut self, field: &str) -> String {
        self.take(field).unwrap_or_default()
    }

    /// A word of a vocabulary; none if it is absent or an error was found.
    pub(crate) fn word<T: FromStr<Err = crate::UnknownWord>>(
        &mut self,
        field: &str,
        errors: &mut Vec<FieldError>,
    ) -> Option<T> {
        let word = self.take(field)?;
        word.parse()
            .map_err(|e: crate::UnknownWord| errors.push(FieldError::new(field, Reason::Invalid, e.to_string())))
            .ok()
    }
}

/// The error of a field that a record does not have.
pub(crate) fn unknown(field: &str) -> FieldError {
    let message = "is not a field of a record; put other data into the field data";
    FieldError::new(crate::json::shown(field), Reason::Invalid, message)
}

fn actor(value: Option<Value>, errors: &mut Vec<FieldError>) -> BTreeMap<String, Value> {
    match value {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(members)) => members.into_iter().collect(),
        Some(_) => {
            errors.push(FieldError::new("actor", Reason::Invalid, "expected an object with type and id"));
            BTreeMap::new()
        }
    }
}

impl Rule {
    fn read(&self, value: Option<Value>) -> Result<Option<String>, FieldError> {
        let refuse = |reason, message: String| Err(FieldError::new(self.field, reason, message));
        let text = match value {
            Some(Value::String(text)) => text,
            None | Some(Value::Null) if self.presence == Optional => return Ok(None),
            None | Some(Value::Null) => return refuse(Reason::Required, "is required".to_owned()),
            Some(_) => return refuse(Reason::Invalid, "expected a string".to_owned()),
        };
        if text.is_empty() {
            return match self.presence {
                Required => refuse(Reason::Required, "is required and must not be empty".to_owned()),
                RequiredOrEmpty => Ok(Some(text)),
                Optional => Ok(None),
            };
        }
        let free = self.charset == Free;
        if free {
            return within_growth(self.field, &text, self.limit).map(|()| Some(text));
        }
        let length = characters(&text);
        if length > self.limit {
            return refuse(
                Reason::LengthExceeded,
                format!("has {length} characters; at most {} are allowed", self.limit),
            );
        }
        if text.chars().all(char::is_whitespace) {
            return refuse(Reason::WhitespaceOnly, "contains only white space".to_owned());
        }
        self.charset.check(self.field, &text)?;
        if let Some(class) = redact::secret_in(&text) {
            let message = format!(
                "contains a secret ({}); leave it out, or move the text to summary, error_message or data, where \
                 secrets are replaced",
                class.as_str()
            );
            return refuse(Reason::Invalid, message);
        }
        Ok(Some(text))
    }
}

/// Whether a free text that was redacted keeps its bound.
pub(crate) fn check_redacted(field: &'static str, text: Option<&str>) -> Result<(), FieldError> {
    let limit = RULES.iter().find(|rule| rule.field == field).map_or(0, |rule| rule.limit);
    text.map_or(Ok(()), |text| within_growth(field, text, limit))
}

fn within_growth(field: &'static str, text: &str, limit: usize) -> Result<(), FieldError> {
    let length = redact::length_without_markers(text, characters);
    let whole = characters(text);
    let message = if length > limit {
        format!("has {length} characters; at most {limit} are allowed")
    } else if whole > redact::GROWTH * limit {
        let most = redact::GROWTH * limit;
        format!("has {whole} characters after the secrets are replaced; at most {most} are allowed")
    } else {
        return Ok(());
    };
    Err(FieldError::new(field, Reason::LengthExceeded, message))
}

fn characters(text: &str) -> usize {
    text.chars().count()
}

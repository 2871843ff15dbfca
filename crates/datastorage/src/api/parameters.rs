//! The parameters of a query string. Unknown ones are refused: a misspelt filter must not return everything.

use std::{collections::BTreeMap, convert::Infallible, fmt::Display, str::FromStr};

use audit::{FieldError, Reason, problem::Problem};
use axum::extract::FromRequestParts;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};

use super::Failure;
use crate::{args, store::Filters};

/// The most characters of a value, as the longest field of a record has.
const MOST: usize = 512;
/// The names of filters.
pub(super) const FILTERS: [&str; 14] = [
    "kind",
    "namespace",
    "cluster",
    "phase",
    "status",
    "severity",
    "environment",
    "action_type",
    "target",
    "fingerprint",
    "correlation_id",
    "recorded_by",
    "since",
    "until",
];

/// The parameters that are not read yet, and what is wrong with those that are. A parameter without a value counts as absent.
pub(super) struct Parameters {
    values: BTreeMap<String, String>,
    errors: Vec<FieldError>,
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.query().unwrap_or_default()))
    }
}

impl Parameters {
    fn of(query: &str) -> Self {
        let mut parameters = Self { values: BTreeMap::new(), errors: Vec::new() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if value.is_empty() {
                // Still refused later if its name is unknown.
                parameters.values.entry(name.into_owned()).or_default();
            } else if let Some(before) = parameters.values.insert(name.to_string(), value.into_owned())
                && !before.is_empty()
            {
                parameters.refuse(&name, Reason::Invalid, "occurs twice; use it once");
            }
        }
        parameters
    }

    /// The values of some parameters as they were sent, in a fixed order.
    pub(super) fn raw(&self, names: &[&str]) -> Vec<(String, String)> {
        let given = |name: &&str| self.values.get(*name).filter(|value| !value.is_empty());
        names.iter().filter_map(|name| Some(((*name).to_owned(), given(name)?.clone()))).collect()
    }

    /// A text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let value = self.values.remove(name).filter(|value| !value.is_empty())?;
        match check_text(&value) {
            Ok(()) => Some(value),
            Err((reason, message)) => {
                self.refuse(name, reason, message);
                None
            }
        }
    }

    /// A word of a vocabulary, or a number.
    pub(super) fn word<T: FromStr<Err: Display>>(&mut self, name: &str) -> Option<T> {
        let value = self.text(name)?;
        value.parse().map_err(|error: T::Err| self.refuse(name, Reason::Invalid, error.to_string())).ok()
    }

    /// A number within bounds.
    pub(super) fn number(&mut self, name: &str, least: i64, most: i64) -> Option<i64> {
        let number: Option<i64> = self.text(name)?.parse().ok().filter(|number| (least..=most).contains(number));
        if number.is_none() {
            let most = if most == i64::MAX { String::new() } else { format!(" to {most}") };
            self.refuse(name, Reason::Invalid, format!("must be a number from {least}{most}"));
        }
        number
    }

    /// A point in time: RFC 3339, or a duration before `now`.
    pub(super) fn time(&mut self, name: &str, now: Timestamp) -> Option<Timestamp> {
        let value = self.text(name)?;
        let time = audit::rfc3339(&value).or_else(|| {
            let before = SignedDuration::try_from(args::duration(&value).ok()?).ok()?;
            now.checked_sub(before).ok()
        });
        if time.is_none() {
            self.refuse(
                name,
                Reason::Invalid,
                "must be a time such as 2026-11-25T22:25:42Z, or a duration such as 24h or 90d",
            );
        }
        time
    }

    /// All filters.
    pub(super) fn filters(&mut self, now: Timestamp) -> Filters {
        Filters {
            kind: self.word("kind"),
            namespace: self.text("namespace"),
            cluster: self.text("cluster"),
            phase: self.word("phase"),
            status: self.word("status"),
            severity: self.text("severity"),
            environment: self.text("environment"),
            action_type: self.text("action_type"),
            target: self.text("target"),
            fingerprint: self.text("fingerprint"),
            correlation_id: self.text("correlation_id"),
            recorded_by: self.text("recorded_by"),
            since: self.time("since", now),
            until: self.time("until", now),
        }
    }

    /// Notes what is wrong with a parameter.
    pub(super) fn refuse(&mut self, name: &str, reason: Reason, message: impl Into<String>) {
        let name: String = name.chars().take(64).collect();
        self.errors.push(FieldError::new(name, reason, message));
    }

    /// Fails with everything that is wrong, also with parameters that nobody has read.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        for name in std::mem::take(&mut self.values).into_keys() {
            self.refuse(&name, Reason::Invalid, "is not a parameter of this path; correct its name, or remove it");
        }
        if self.errors.is_empty() { Ok(()) } else { Err(Problem::validation(self.errors).into()) }
    }
}

/// Whether the database can compare the text with a field.
pub(super) fn check_text(text: &str) -> Result<(), (Reason, String)> {
    if text.chars().count() > MOST {
        Err((Reason::LengthExceeded, format!("must have at most {MOST} characters")))
    } else if text.contains('\0') {
        Err((Reason::Invalid, "must not contain the character U+0000".to_owned()))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use audit::Kind;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-25T12:00:00Z".parse().unwrap()
    }

    fn errors(parameters: Parameters) -> Vec<(String, Reason)> {
        let problem = parameters.finish().unwrap_err().problem;
        problem.errors.into_iter().map(|error| (error.field, error.reason)).collect()
    }

    #[test]
    fn filters_are_read_by_their_names() {
        let mut parameters =
            Parameters::of("kind=execution&namespace=prod&since=24h&until=2026-11-25T11:00:00%2B01:00&phase=");
        let filters = parameters.filters(now());
        parameters.finish().unwrap();
        assert_eq!(filters.kind, Some(Kind::Execution));
        assert_eq!(filters.namespace.as_deref(), Some("prod"));
        assert_eq!(filters.since.unwrap().to_string(), "2026-11-24T12:00:00Z");
        assert_eq!(filters.until.unwrap().to_string(), "2026-11-25T10:00:00Z");
        assert_eq!(filters.phase, None);
    }

    #[test]
    fn everything_that_is_wrong_is_named() {
        let long = "a".repeat(513);
        let query = format!(
            "kind=party&namespace=a&namespace=b&since=soon&name_space=x&severity={long}&target=%00&until=-5s&phase="
        );
        let mut parameters = Parameters::of(&query);
        parameters.filters(now());
        let expected = [
            ("namespace", Reason::Invalid),
            ("kind", Reason::Invalid),
            ("severity", Reason::LengthExceeded),
            ("target", Reason::Invalid),
            ("since", Reason::Invalid),
            ("until", Reason::Invalid),
            ("name_space", Reason::Invalid),
        ];
        assert_eq!(errors(parameters), expected.map(|(name, reason)| (name.to_owned(), reason)));
    }

    #[test]
    fn an_unknown_parameter_is_refused_also_without_a_value() {
        assert_eq!(errors(Parameters::of("atomic")), [("atomic".to_owned(), Reason::Invalid)]);
    }

    #[test]
    fn numbers_have_bounds() {
        for bad in ["0", "1001", "-1", "x", "1.5", "99999999999999999999"] {
            let mut parameters = Parameters::of(&format!("limit={bad}"));
            assert_eq!(parameters.number("limit", 1, 1000), None);
            assert_eq!(errors(parameters), [("limit".to_owned(), Reason::Invalid)]);
        }
        assert_eq!(Parameters::of("limit=7").number("limit", 1, 1000), Some(7));
    }
}

//! What is taken from an agent's answer. Pure.
//!
//! The answer is not trusted. It repeats what backends of the agent have sent, for example in `error`, which may hold
//! passwords. So only the revisions, the states of our own entries and the version are read, and each is checked.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use toolset::render::AgentFile;

use super::version::Version;

/// The most toolsets of an answer. An agent has some hundreds.
const MOST_TOOLSETS: usize = 2000;
/// The most revision entries that are remembered. There is one per file that the agent loads.
const MOST_REVISIONS: usize = 16;

/// An answer to `GET /api/info?detail=full`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `None` if it is not written as a version.
    pub(crate) version: Option<Version>,
    /// The revisions of the files that the agent has loaded.
    pub(crate) revisions: BTreeSet<String>,
    /// Those of the wanted entries that the agent lists.
    pub(crate) entries: BTreeMap<String, Loaded>,
}

/// An entry in the agent. If the answer lists it more than once, the worst one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) state: EntryState,
    pub(crate) tools: i32,
}

/// The state of an entry, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum EntryState {
    Enabled,
    Disabled,
    /// The agent does not list it.
    Missing,
    /// The agent gives no state that the operator knows.
    Unknown,
    Failed,
}

impl EntryState {
    pub(crate) const ALL: [Self; 5] = [Self::Enabled, Self::Disabled, Self::Missing, Self::Unknown, Self::Failed];

    /// The value in the status and in metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow, default)]
    version: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "bounded")]
    toolsets: Vec<&'a RawValue>,
}

/// Reads a list of at most [`MOST_TOOLSETS`]. A body of `1,1,1,…` would be a much longer one.
fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<&'de RawValue>, D::Error> {
    struct Bounded;

    impl<'de> Visitor<'de> for Bounded {
        type Value = Vec<&'de RawValue>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MOST_TOOLSETS} toolsets")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut toolsets = Vec::new();
            while let Some(toolset) = list.next_element()? {
                if toolsets.len() == MOST_TOOLSETS {
                    return Err(A::Error::invalid_length(MOST_TOOLSETS + 1, &self));
                }
                toolsets.push(toolset);
            }
            Ok(toolsets)
        }
    }

    deserializer.deserialize_seq(Bounded)
}

/// One of `toolsets`. What is missing or has another type is left out, and `error` is not read.
#[derive(Deserialize)]
struct Toolset<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    #[serde(borrow, default)]
    status: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_count: Option<&'a RawValue>,
}

/// Reads an answer. `wanted` are the names of the entries whose states are needed.
///
/// Returns `None` if it is not an answer of the agent.
pub(crate) fn read(body: &[u8], wanted: &BTreeSet<String>) -> Option<Answer> {
    let body: Body<'_> = serde_json::from_slice(body).ok()?;
    let version = body.version.and_then(text).and_then(|version| Version::parse(&version));
    let mut answer = Answer { version, ..Answer::default() };
    for toolset in body.toolsets {
        let Ok(toolset) = serde_json::from_str::<Toolset<'_>>(toolset.get()) else { continue };
        let Some(name) = text(toolset.name) else { continue };
        if let Some(revision) = AgentFile::revision_of(&name) {
            if answer.revisions.len() < MOST_REVISIONS {
                answer.revisions.insert(revision.to_owned());
            }
        } else if wanted.contains(&name) {
            let tools = toolset.tool_count.and_then(|count| count.get().parse::<u32>().ok()).unwrap_or_default();
            let loaded = Loaded { state: state(toolset.status), tools: i32::try_from(tools).unwrap_or(i32::MAX) };
            let entry = answer.entries.entry(name).or_insert(loaded);
            if entry.state < loaded.state {
                *entry = loaded;
            }
        }
    }
    Some(answer)
}

fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}

fn state(status: Option<&RawValue>) -> EntryState {
    match status.and_then(text).as_deref() {
        Some("enabled") => EntryState::Enabled,
        Some("disabled") => EntryState::Disabled,
        Some("failed") => EntryState::Failed,
        _ => EntryState::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn wanted(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn revisions_our_entries_and_the_version_are_read_and_nothing_else() {
        let body = json!({
            "version": "0.45.0", "uptime_seconds": 12, "auth_enabled": true,
            "toolsets": [
                {"name": "discovered-revision-00112233", "enabled": true, "status": "enabled", "type": "custom", "error": null, "tool_count": 0},
                {"name": "grafana/loki", "enabled": true, "status": "failed", "error": "https://user:secret@loki", "tool_count": 4},
                {"name": "somebody-elses", "status": "failed", "error": "secret", "tool_count": 1},
                {"name": "jaeger-apps-tracing", "status": "enabled", "tool_count": 1},
            ],
        });
        let answer =
            read(body.to_string().as_bytes(), &wanted(&["grafana/loki", "jaeger-apps-tracing", "not-listed"])).unwrap();
        assert_eq!(answer.version, Version::parse("0.45.0"));
        assert_eq!(answer.revisions, wanted(&["00112233"]));
        let expected = BTreeMap::from([
            ("grafana/loki".to_owned(), Loaded { state: EntryState::Failed, tools: 4 }),
            ("jaeger-apps-tracing".to_owned(), Loaded { state: EntryState::Enabled, tools: 1 }),
        ]);
        assert_eq!(answer.entries, expected);
        assert!(!format!("{answer:?}").contains("secret"));
    }

    #[test]
    fn what_is_not_an_answer_is_refused() {
        for body in [
            "",
            "<html>",
            "null",
            "[]",
            "{}",
            "{\"toolsets\": null}",
            "{\"toolsets\": {}}",
            "{\"toolsets\": [], ",
            "{\"detail\": \"no\"}",
        ] {
            assert_eq!(read(body.as_bytes(), &wanted(&["a"])), None, "{body}");
        }
        assert_eq!(read(b"{\"toolsets\": []} trailing", &wanted(&[])), None);
        assert_eq!(read(b"{\"toolsets\": [\xff]}", &wanted(&[])), None);
        let deep = format!("{{\"toolsets\": [{}{}]}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(deep.as_bytes(), &wanted(&[])), Some(Answer::default()), "it is not an entry");
    }

    #[test]
    fn hostile_entries_are_left_out_or_have_an_unknown_state() {
        let body = json!({
            "version": "0.45.0\u{1b}[2J",
            "toolsets": [
                1, null, "a", {}, {"name": 7, "status": "enabled"}, {"name": null},
                {"name": "a\u{0}", "status": "failed"},
                {"name": "discovered-revision-0011223"},
                {"name": "discovered-revision-0011223G"},
                {"name": "discovered-revision-00112233\u{202e}"},
                {"name": "a"},
                {"name": "b", "status": 7, "tool_count": -1},
                {"name": "c", "status": "{{ env.TOKEN }}", "tool_count": 99_999_999_999_u64},
                {"name": "d", "status": "enabled", "tool_count": 4_000_000_000_u32},
                {"name": "e", "status": "enabled", "tool_count": 1.5},
                {"name": "f", "status": "enabled"}, {"name": "f", "status": "failed"}, {"name": "f", "status": "disabled"},
            ],
        });
        let answer = read(body.to_string().as_bytes(), &wanted(&["a", "b", "c", "d", "e", "f"])).unwrap();
        assert_eq!((&answer.version, &answer.revisions), (&None, &BTreeSet::new()));
        let of = |name: &str| (answer.entries[name].state, answer.entries[name].tools);
        for name in ["a", "b", "c"] {
            assert_eq!(of(name), (EntryState::Unknown, 0), "{name}");
        }
        assert_eq!(of("d"), (EntryState::Enabled, i32::MAX));
        assert_eq!(of("e"), (EntryState::Enabled, 0));
        assert_eq!(of("f").0, EntryState::Failed, "the worst one counts");
    }

    #[test]
    fn revisions_are_bounded() {
        let toolsets: Vec<_> = (0..1000).map(|n| json!({"name": format!("discovered-revision-{n:08x}")})).collect();
        let answer = read(json!({"toolsets": toolsets}).to_string().as_bytes(), &wanted(&[])).unwrap();
        assert_eq!(answer.revisions.len(), MOST_REVISIONS);
    }

    #[test]
    fn an_answer_with_too_many_toolsets_is_not_one_of_the_agent() {
        let of = |count: usize| format!("{{\"toolsets\": [{}]}}", vec!["1"; count].join(","));
        assert_eq!(read(of(MOST_TOOLSETS).as_bytes(), &wanted(&[])), Some(Answer::default()));
        assert_eq!(read(of(MOST_TOOLSETS + 1).as_bytes(), &wanted(&[])), None);
        assert_eq!(read(of(500_000).as_bytes(), &wanted(&[])), None);
    }

    proptest! {
        #[test]
        fn nothing_from_an_answer_is_kept_but_what_was_asked_for(
            names in proptest::collection::vec("\\PC{0,20}", 0..8),
            status in "\\PC{0,20}",
            version in "\\PC{0,20}",
        ) {
            let toolsets: Vec<_> = names.iter().map(|name| json!({"name": name, "status": status, "error": status})).collect();
            let body = json!({"version": version, "toolsets": toolsets}).to_string();
            let asked = wanted(&["ours"]);
            let answer = read(body.as_bytes(), &asked).unwrap();
            prop_assert!(answer.entries.keys().all(|name| asked.contains(name)));
        }
    }
}

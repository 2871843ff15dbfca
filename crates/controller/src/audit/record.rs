//! The records about an output. Pure, apart from the id and the time that [`Event::new`] gives them.

use audit_client::{Actor, Event, Kind, Phase, Status};
use serde_json::{Value, json};

use super::Difference;
use crate::api::NamespacedName;

/// The longest summary that the service takes, in characters.
const MAX_SUMMARY: usize = 2_048;
/// The longest correlation id that the service takes, in characters.
const MAX_CORRELATION: usize = 255;
/// The longest error that is recorded, in characters.
const MAX_ERROR: usize = 4_096;

/// What became of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// It was written, because the plan changed.
    ToolsetChanged,
    /// It was written as it had been, because somebody else had changed or deleted it.
    DriftRepaired,
    /// The API server did not take it.
    ApplyFailed,
    /// It is not written, because an input cannot be read, or because the ConfigMap is somebody else's.
    OutputHeld,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::ToolsetChanged => "toolset_changed",
            Self::DriftRepaired => "drift_repaired",
            Self::ApplyFailed => "apply_failed",
            Self::OutputHeld => "output_held",
        }
    }

    const fn outcome(self) -> (Phase, Status) {
        match self {
            Self::ToolsetChanged | Self::DriftRepaired => (Phase::Completed, Status::Success),
            Self::ApplyFailed => (Phase::Failed, Status::Failure),
            Self::OutputHeld => (Phase::Pending, Status::Pending),
        }
    }
}

/// What led to a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The spec of the ToolsetConfig changed.
    Spec,
    /// A watched object of the cluster changed, such as a Service.
    Cluster,
    /// Somebody else changed or deleted the ConfigMap.
    Drift,
    /// Time passed, for example the grace period of a Service without endpoints.
    Time,
}

impl Trigger {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Cluster => "cluster",
            Self::Drift => "drift",
            Self::Time => "time",
        }
    }
}

/// The output that a record is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    /// The ToolsetConfig.
    pub(crate) name: &'a NamespacedName,
    pub(crate) uid: &'a str,
    pub(crate) generation: Option<i64>,
    /// The name of the ConfigMap.
    pub(crate) config_map: &'a str,
}

/// A write that the API server acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Change<'a> {
    pub(crate) action: Action,
    pub(crate) trigger: Trigger,
    /// The field managers that wrote the spec or changed the ConfigMap, if the operator knows them.
    pub(crate) field_manager: Option<String>,
    /// The first difference between the ConfigMap and the plan.
    pub(crate) found: String,
    pub(crate) digest_before: Option<&'a str>,
    pub(crate) digest_after: &'a str,
    pub(crate) difference: Difference,
    /// The number of tools that the ConfigMap now has.
    pub(crate) tools: usize,
}

/// The record of a write.
pub(crate) fn changed(subject: &Subject<'_>, change: &Change<'_>) -> Event {
    let mut event = event(subject, change.action);
    let (config_map, tools, difference) = (subject.config_map, change.tools, &change.difference);
    let what = match difference.words.as_slice() {
        [] => change.found.clone(),
        words => words.join("; "),
    };
    let done = if change.action == Action::DriftRepaired { "was repaired" } else { "was changed" };
    let omitted = if difference.omitted == 0 { String::new() } else { format!("; and {} more", difference.omitted) };
    event.summary =
        Some(cut(&format!("ConfigMap {config_map} {done} and has {tools} tools: {what}{omitted}."), MAX_SUMMARY));
    event.actor = change.field_manager.as_deref().map(|manager| Actor {
        r#type: Some("field_manager".to_owned()),
        id: Some(identifier(manager, MAX_CORRELATION)),
    });
    event.data.extend(object(json!({
        "trigger": change.trigger.as_str(),
        "field_manager": change.field_manager,
        "found": change.found,
        "digest_before": change.digest_before,
        "digest_after": change.digest_after,
        "added": difference.added,
        "removed": difference.removed,
        "changed": difference.changed,
        "omitted": difference.omitted,
    })));
    event
}

/// The record of an output that cannot be written or is held. `reason` is a word, `message` says why and what to do.
pub(crate) fn problem(subject: &Subject<'_>, action: Action, reason: &str, message: &str) -> Event {
    let mut event = event(subject, action);
    let what = if action == Action::ApplyFailed { "cannot be written" } else { "is not changed" };
    event.summary = Some(cut(&format!("ConfigMap {} {what}: {reason}. {message}", subject.config_map), MAX_SUMMARY));
    event.error_message = (action == Action::ApplyFailed).then(|| cut(message, MAX_ERROR));
    event.data.insert("reason".to_owned(), reason.into());
    event
}

fn event(subject: &Subject<'_>, action: Action) -> Event {
    let NamespacedName { namespace, name } = subject.name;
    let (phase, status) = action.outcome();
    let mut event = Event::new(Kind::Toolset, &**name, &**namespace, phase, action.as_str(), correlation(subject));
    event.status = Some(status);
    event.target_resource = Some(format!("ConfigMap/{namespace}/{}", subject.config_map));
    event.data.insert("generation".to_owned(), subject.generation.into());
    event
}

/// What holds the records about one ToolsetConfig together. A name that is too long is cut; the uid makes it unique.
fn correlation(subject: &Subject<'_>) -> String {
    let (namespace, name, uid) = (&subject.name.namespace, &subject.name.name, subject.uid);
    let room = MAX_CORRELATION.saturating_sub("toolset///".len() + namespace.len() + uid.len());
    let name: String = name.chars().take(room).collect();
    format!("toolset/{namespace}/{name}/{uid}")
}

/// A text without the characters that an identifier cannot have.
fn identifier(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).take(most).collect()
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

fn object(value: Value) -> serde_json::Map<String, Value> {
    match value {
        Value::Object(object) => object,
        _ => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> NamespacedName {
        NamespacedName::new("holmes", "agent")
    }

    fn subject(name: &NamespacedName) -> Subject<'_> {
        Subject { name, uid: "0a1b", generation: Some(3), config_map: "toolset" }
    }

    fn change() -> Change<'static> {
        Change {
            action: Action::ToolsetChanged,
            trigger: Trigger::Cluster,
            field_manager: None,
            found: "the data key toolset.json differs".to_owned(),
            digest_before: Some("one"),
            digest_after: "two",
            difference: Difference {
                added: vec![json!({"tool": "grafana", "service": "apps/grafana", "reason": "label a=b"})],
                words: vec!["added grafana (Service apps/grafana)".to_owned()],
                ..Difference::default()
            },
            tools: 1,
        }
    }

    #[test]
    fn a_change_says_what_changed_why_and_where() {
        let name = name();
        let event = changed(&subject(&name), &change());
        let mut json = serde_json::to_value(&event).unwrap();
        for field in ["event_id", "occurred_at"] {
            assert!(json.as_object_mut().unwrap().remove(field).is_some());
        }
        let expected = json!({
            "kind": "toolset", "name": "agent", "namespace": "holmes", "cluster": "", "phase": "completed",
            "status": "success", "action_type": "toolset_changed", "correlation_id": "toolset/holmes/agent/0a1b",
            "parent_event_id": null, "severity": null, "environment": null,
            "target_resource": "ConfigMap/holmes/toolset", "fingerprint": null, "actor": null, "duration_ms": null,
            "trace_id": null, "error_message": null,
            "summary": "ConfigMap toolset was changed and has 1 tools: added grafana (Service apps/grafana).",
            "data": {
                "trigger": "cluster", "generation": 3, "digest_before": "one", "digest_after": "two",
                "added": [{"tool": "grafana", "service": "apps/grafana", "reason": "label a=b"}],
                "removed": [], "changed": [], "field_manager": null, "omitted": 0,
                "found": "the data key toolset.json differs",
            },
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn a_repair_names_the_other_field_manager() {
        let name = name();
        let repair = Change {
            action: Action::DriftRepaired,
            trigger: Trigger::Drift,
            field_manager: Some("kubectl-edit".to_owned()),
            difference: Difference::default(),
            ..change()
        };
        let event = changed(&subject(&name), &repair);
        let expected = "ConfigMap toolset was repaired and has 1 tools: the data key toolset.json differs.";
        assert_eq!((event.action_type.as_str(), event.summary.as_deref()), ("drift_repaired", Some(expected)));
        assert_eq!(event.actor.unwrap().id.as_deref(), Some("kubectl-edit"));
        assert_eq!(event.data["field_manager"], "kubectl-edit");
    }

    #[test]
    fn a_problem_has_its_reason_and_message() {
        let name = name();
        let failed = problem(&subject(&name), Action::ApplyFailed, "Forbidden", "The operator may not write.");
        assert_eq!((failed.phase, failed.status), (Phase::Failed, Some(Status::Failure)));
        assert_eq!(failed.error_message.as_deref(), Some("The operator may not write."));
        let held = problem(&subject(&name), Action::OutputHeld, "OutputConflict", "It belongs to Helm.");
        assert_eq!((held.phase, held.status), (Phase::Pending, Some(Status::Pending)));
        assert_eq!(
            held.summary.as_deref(),
            Some("ConfigMap toolset is not changed: OutputConflict. It belongs to Helm.")
        );
        assert_eq!((held.data["reason"].as_str(), held.error_message), (Some("OutputConflict"), None));
    }

    /// Every record must be one that the service accepts, with the longest names that Kubernetes allows.
    #[test]
    fn the_service_accepts_every_record() {
        let long = NamespacedName::new("n".repeat(63), "c".repeat(253));
        let uid = "01234567-89ab-cdef-0123-456789abcdef";
        let config_map = "m".repeat(253);
        let subject = Subject { name: &long, uid, generation: None, config_map: &config_map };
        let mut change = Change { field_manager: Some("a<b>".repeat(100)), ..change() };
        change.difference.words = vec!["added a tool with a long name".to_owned(); 500];
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = jiff::Timestamp::from_millisecond(i64::try_from(now.as_millis()).unwrap()).unwrap();
        let defaults = audit::Defaults { now, cluster: "", max_age: std::time::Duration::from_secs(60) };
        let lost = audit_client::Lost { records: 7, since: std::time::Duration::from_secs(3) };
        for event in [
            changed(&subject, &change),
            problem(&subject, Action::ApplyFailed, "Timeout", &"x".repeat(20_000)),
            problem(&subject, Action::OutputHeld, "InputForbidden", "No."),
            super::super::lost_records("holmes", &lost),
        ] {
            let json = serde_json::to_vec(&event).unwrap();
            let accepted = audit::Accepted::parse(&json, &defaults).unwrap_or_else(|errors| panic!("{errors:?}"));
            assert!(accepted.event().correlation_id.len() <= MAX_CORRELATION);
        }
    }
}

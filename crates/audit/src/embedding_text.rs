//! The text of a record that is embedded.
//!
//! What changes from one occurrence to the next (suffixes of Pods, names of nodes, versions, ids, addresses, times,
//! numbers) becomes a placeholder, so that the thousandth restart of a Deployment has the text of the first one and is
//! embedded once.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::{Event, Status};

/// The most characters of a text. Models read fewer.
pub const MAX_CHARACTERS: usize = 4_096;

/// What is replaced, the first that fits at a place. Names made by Kubernetes use an alphabet without vowels.
const PLACEHOLDERS: &[(&str, &str)] = &[
    ("id", r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"),
    ("time", r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?"),
    ("id", r"sha(?:1|256|512):[0-9a-fA-F]{6,128}"),
    ("node", r"ip-[0-9]+-[0-9]+-[0-9]+-[0-9]+(?:\.[a-z0-9.-]*[a-z0-9])?"),
    ("node", r"(?:gke|aks|eks|lke|doks)-[a-z0-9-]*[a-z0-9]"),
    ("node", r"(?:node|worker|master|control-plane|instance|vm)-?[0-9]+(?:\.[a-z0-9.-]*[a-z0-9])?"),
    ("ip", r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?:/[0-9]{1,2})?(?::[0-9]{1,5})?"),
    ("version", r"(?:v[0-9]+(?:\.[0-9]+)*|[0-9]+(?:\.[0-9]+){2,})(?:[-+][0-9A-Za-z.]*[0-9A-Za-z])?"),
    ("id", r"0x[0-9a-fA-F]+|[0-9a-f]{7,64}"),
    ("n", r"[0-9]+(?:[.,][0-9]+)*[A-Za-z]{0,3}"),
];

/// The suffix of a Pod of a Deployment, or of a Pod of another owner.
const POD: &str =
    r"-[bcdfghjklmnpqrstvwxz2456789]{8,10}-[bcdfghjklmnpqrstvwxz2456789]{5}|-[bcdfghjklmnpqrstvwxz2456789]{5}";

static CHANGING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let groups: Vec<_> = PLACEHOLDERS.iter().map(|(_, pattern)| format!("({pattern})")).collect();
    Regex::new(&format!(r"(?-u)\b(?:{})\b|({POD})\b|[ \t\r\n]+", groups.join("|"))).ok()
});

/// The normalised text; none if the record says nothing in words.
pub fn of(event: &Event) -> Option<String> {
    let words: Vec<&str> =
        [&event.summary, &event.error_message].into_iter().flatten().map(|text| text.trim()).collect();
    if words.iter().all(|text| text.is_empty()) {
        return None;
    }
    let target = event.target_resource.as_deref().and_then(|target| target.split('/').next());
    let status = event.status.map(Status::as_str);
    let subject = [Some(event.kind.as_str()), Some(event.action_type.as_str()), target, status];
    let text: Vec<&str> = subject.into_iter().flatten().chain(words).filter(|part| !part.is_empty()).collect();
    Some(normalise(&text.join(" ")))
}

/// A text with placeholders, as the texts of records have them: for queries too.
pub fn normalise(text: &str) -> String {
    let Some(changing) = &*CHANGING else { return text.to_owned() };
    let text = changing.replace_all(text, |found: &Captures<'_>| {
        let known = PLACEHOLDERS.iter().enumerate().find(|(index, _)| found.get(index + 1).is_some());
        match known {
            Some((_, (name, _))) => format!("<{name}>"),
            None if found.get(PLACEHOLDERS.len() + 1).is_some() => "-<pod>".to_owned(),
            None => " ".to_owned(),
        }
    });
    text.trim().chars().take(MAX_CHARACTERS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Phase};

    #[test]
    fn what_changes_from_one_occurrence_to_the_next_becomes_a_placeholder() {
        for (text, expected) in [
            ("Pod payments-api-7d9f8b6c5-x2x4z OOMKilled", "Pod payments-api-<pod> OOMKilled"),
            ("fluentd-x2x4z restarted 3 times", "fluentd-<pod> restarted <n> times"),
            ("payments-small and redis-cache stay", "payments-small and redis-cache stay"),
            ("on ip-10-0-1-23.eu-west-1.compute.internal", "on <node>"),
            ("node gke-prod-pool-1-8c7d6e5f-abcd is full", "node <node> is full"),
            ("worker-12 not ready since 2026-11-25T22:25:42.888Z", "<node> not ready since <time>"),
            ("image v1.36.3 replaced 1.35.0-rc.1", "image <version> replaced <version>"),
            ("dial tcp 10.96.0.1:443: timeout after 30s", "dial tcp <ip>: timeout after <n>"),
            ("request 01a214d0-91e8-7879-817e-770341496902 failed", "request <id> failed"),
            ("digest sha256:0123456789abcdef, commit 5833e24f", "digest <id>, commit <id>"),
            ("memory 512Mi of 1.5Gi (34.1%)", "memory <n> of <n> (<n>%)"),
            ("a\n\n  b", "a b"),
            ("[REDACTED:aws_secret_key] stays", "[REDACTED:aws_secret_key] stays"),
            ("größer als 12 µs", "größer als <n> µs"),
        ] {
            let text = normalise(text);
            assert_eq!(text, expected);
            assert_eq!(normalise(&text), text, "again");
        }
    }

    #[test]
    fn the_text_has_kind_action_kind_of_target_status_summary_and_error() {
        let mut event = Event::new(Kind::Execution, "x", "prod", Phase::Failed, "restart_pod", "c");
        assert_eq!(of(&event), None);
        event.target_resource = Some("Deployment/prod/payments-api".to_owned());
        event.status = Some(Status::Failure);
        event.summary = Some("Restarted 3 times".to_owned());
        event.error_message = Some(" quota exceeded ".to_owned());
        let expected = "execution restart_pod Deployment failure Restarted <n> times quota exceeded";
        assert_eq!(of(&event).as_deref(), Some(expected));
        event.summary = Some("  ".to_owned());
        event.error_message = None;
        assert_eq!(of(&event), None);
    }

    #[test]
    fn a_text_is_bounded() {
        assert_eq!(normalise(&"ä ".repeat(10_000)).chars().count(), MAX_CHARACTERS);
    }
}

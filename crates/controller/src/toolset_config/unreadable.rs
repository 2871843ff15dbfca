//! Reports a ToolsetConfig that cannot be read in its status, an Event and the metrics.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crd_types::{ConditionType, Reason};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    api::{
        Cause, Error, NamespacedName, Writer,
        events::{About, Event, Events, Kind},
        fence::{Leadership, Term},
        status,
    },
    cluster::{Cluster, Unreadable, moment},
    metrics::{Metrics, ReconcileResult},
};

/// How long after a failure the next attempt is made.
const RETRY: Duration = Duration::from_secs(10);

/// Reports each of them once a term. Never returns.
pub(crate) async fn report(
    cluster: Arc<Cluster>,
    metrics: Arc<Metrics>,
    writer: Writer,
    events: Events,
    mut leadership: Leadership,
) {
    let mut reported: BTreeMap<NamespacedName, (Term, Unreadable)> = BTreeMap::new();
    let (mut retry_at, mut refused) = (None, false);
    loop {
        tokio::select! {
            () = cluster.toolset_configs.unreadable_changed.notified() => {}
            () = leadership.changed_or(refused) => {}
            () = moment(retry_at) => {}
        }
        (retry_at, refused) = (None, false);
        let current = cluster.toolset_configs.unreadable();
        reported.retain(|name, _| current.contains_key(name));
        let Some(term) = leadership.term() else { continue };
        for (name, unreadable) in current {
            let report = (term, unreadable);
            if reported.get(&name) == Some(&report) {
                // Every event of the object clears its metrics.
                metrics.ready(&name, Reason::InvalidConfig);
                continue;
            }
            let (began, unreadable) = (Instant::now(), &report.1);
            if let Err(error) = write(&writer, term, &name, unreadable).await {
                let (namespace, reason) = (&name.namespace, error.cause());
                match reason {
                    Cause::NotFound | Cause::Terminating => continue,
                    Cause::NotLeading => {
                        refused = true;
                        continue;
                    }
                    // If a validation rule cannot be evaluated on the stored object, the API server accepts no write.
                    // Then only the Event, the metric and the log report the problem.
                    Cause::Invalid => {
                        warn!(%namespace, name = %name.name, %reason, %error, "cannot write the status");
                    }
                    _ => {
                        warn!(%namespace, name = %name.name, %reason, %error, "cannot write the status, trying again");
                        retry_at = Some(Instant::now() + RETRY);
                        continue;
                    }
                }
            }
            // Meanwhile another replica may lead, or somebody may have corrected or deleted the object.
            if writer.term() != Some(term) || cluster.toolset_configs.unreadable().get(&name) != Some(unreadable) {
                continue;
            }
            metrics.reconciled(ReconcileResult::Unreadable, began.elapsed());
            metrics.ready(&name, Reason::InvalidConfig);
            events.send(event(term, &name, unreadable));
            reported.insert(name, report);
        }
    }
}

async fn write(writer: &Writer, term: Term, name: &NamespacedName, unreadable: &Unreadable) -> Result<(), Error> {
    let old = status::read_untyped(writer, name).await?;
    let new = with_ready_false(&old, unreadable, &status::now().to_string());
    if ["conditions", "observedGeneration"].iter().all(|field| new[field] == old[field]) {
        return Ok(());
    }
    status::merge_untyped(writer, term, name, &new).await
}

/// The old conditions with Ready set to False. The rest of the status and the ConfigMap are not changed.
fn with_ready_false(old: &Value, unreadable: &Unreadable, now: &str) -> Value {
    let ready = ConditionType::Ready.as_str();
    let conditions = old.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let (before, mut others): (Vec<_>, Vec<_>) =
        conditions.into_iter().partition(|condition| condition["type"] == ready);
    let since =
        before.first().filter(|before| before["status"] == "False").map(|before| before["lastTransitionTime"].clone());
    let mut condition = json!({
        "type": ready,
        "status": "False",
        "reason": Reason::InvalidConfig.as_str(),
        "message": message(unreadable),
        "lastTransitionTime": since.unwrap_or_else(|| json!(now)),
    });
    if let Some(generation) = unreadable.generation {
        condition["observedGeneration"] = json!(generation);
    }
    others.insert(0, condition);
    let mut new = json!({"conditions": others});
    if let Some(generation) = unreadable.generation {
        new["observedGeneration"] = json!(generation);
    }
    new
}

fn message(unreadable: &Unreadable) -> String {
    let error: String = unreadable.error.chars().take(512).collect();
    format!("The operator cannot read the stored object: {error}. Correct the spec and apply it again.")
}

fn event(term: Term, name: &NamespacedName, unreadable: &Unreadable) -> Event {
    Event {
        term,
        about: About::Config { name: name.clone(), uid: unreadable.uid.clone() },
        kind: Kind::Warning,
        reason: Reason::InvalidConfig.as_str(),
        action: "Read",
        note: message(unreadable),
        repeats: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable() -> Unreadable {
        Unreadable { uid: "u".to_owned(), generation: Some(3), error: "unknown variant `Q`".to_owned() }
    }

    #[test]
    fn only_ready_turns_false_and_the_rest_of_the_status_stays() {
        let old = json!({
            "conditions": [
                {"type": "Ready", "status": "True", "reason": "AsExpected", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"},
                {"type": "OutputApplied", "status": "True", "reason": "AsExpected", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            ],
            "output": {"configMap": "c"}
        });
        let new = with_ready_false(&old, &unreadable(), "2026-02-02T00:00:00Z");
        assert_eq!(new["conditions"][0]["reason"], "InvalidConfig");
        assert_eq!(new["conditions"][0]["lastTransitionTime"], "2026-02-02T00:00:00Z");
        assert_eq!(new["conditions"][1], old["conditions"][1]);
        assert_eq!(new.get("output"), None, "not touched");
        let again = with_ready_false(&new, &unreadable(), "2026-03-03T00:00:00Z");
        assert_eq!(again, new, "nothing moves at rest");
    }
}

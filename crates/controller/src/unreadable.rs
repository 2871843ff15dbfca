//! ToolsetConfigs that cannot be read get a status, an Event and a count, too: a silent skip helps nobody.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crd_types::{ConditionType, Reason};
use serde_json::{Value, json};
use tokio::time::Instant;
use tracing::warn;

use crate::{
    configs::Unreadable,
    error::{Cause, Error},
    events::{About, Event, Events, Kind},
    metrics::Looked,
    object::ObjectName,
    status,
    world::World,
    writer::Writer,
};

/// How long after a failure the next attempt is made.
const RETRY: Duration = Duration::from_secs(10);

/// Reports every one once, while this replica leads. Never returns.
pub async fn report(world: Arc<World>, writer: Writer, events: Events) {
    let mut leading = world.leading.clone();
    let mut reported: BTreeMap<ObjectName, Unreadable> = BTreeMap::new();
    loop {
        let current = world.configs.unreadable();
        reported.retain(|name, _| current.contains_key(name));
        let mut failed = false;
        for (name, unreadable) in current.iter().filter(|_| world.is_leading()) {
            if reported.get(name) == Some(unreadable) {
                continue;
            }
            let started = Instant::now();
            if let Err(error) = say(&writer, name, unreadable).await {
                let (namespace, reason) = (&name.namespace, error.cause());
                match reason {
                    Cause::NotFound | Cause::Terminating | Cause::NotLeading => continue,
                    // Where a rule cannot even be evaluated on what is stored, the API server takes no write at all, and the
                    // Event, the metric and the log have to do.
                    Cause::Invalid => {
                        warn!(%namespace, name = %name.name, %reason, %error, "its status cannot be written");
                    }
                    _ => {
                        warn!(%namespace, name = %name.name, %reason, %error, "cannot write the status, trying again");
                        failed = true;
                        continue;
                    }
                }
            }
            world.metrics.looked(Looked::Unreadable, started.elapsed());
            world.metrics.judged(name, Reason::InvalidConfig);
            events.send(event(name, unreadable));
            reported.insert(name.clone(), unreadable.clone());
        }
        let retry = async { if failed { tokio::time::sleep(RETRY).await } else { std::future::pending().await } };
        tokio::select! {
            () = world.configs.unreadable_changed.notified() => {}
            _ = leading.changed() => {}
            () = retry => {}
        }
    }
}

async fn say(writer: &Writer, name: &ObjectName, unreadable: &Unreadable) -> Result<(), Error> {
    let old = status::read_untyped(writer, name).await?;
    let new = with_ready_false(&old, unreadable, &status::now().to_string());
    if ["conditions", "observedGeneration"].iter().all(|field| new[field] == old[field]) {
        return Ok(());
    }
    status::write_untyped(writer, name, &new).await
}

/// The conditions with Ready: False in place of the old Ready; everything else stands, as the output does.
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
    format!("the stored object cannot be read: {error}; correct the spec and apply it again")
}

fn event(name: &ObjectName, unreadable: &Unreadable) -> Event {
    Event {
        about: About::Config { name: name.clone(), uid: unreadable.uid.clone() },
        kind: Kind::Warning,
        reason: Reason::InvalidConfig.as_str(),
        action: "Read",
        note: message(unreadable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreadable() -> Unreadable {
        Unreadable { uid: "u".to_owned(), generation: Some(3), error: "unknown variant `Q`".to_owned() }
    }

    #[test]
    fn what_is_known_of_the_output_stands_and_only_ready_turns_false() {
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

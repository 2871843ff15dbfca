//! After the output: the agent's restart, the status, and Events about what changed in it.

use std::{collections::BTreeMap, time::Duration};

use crd_types::{ConditionType, Mode, Reason, Reload as ReloadMode, ServiceReason, ToolsetConfig, ToolsetConfigStatus};
use detectors::ServiceKey;
use kube::ResourceExt;
use tokio::time::Instant;
use toolset::{
    Plan,
    status::{Observed, OutputState, ReloadState, status},
};
use tracing::{info, warn};

use crate::{
    brake::retry_after,
    error::Cause,
    events::{About, Event, Kind},
    gate::Verdict,
    object::ObjectName,
    reconcile::{Outcome, Reconciler, soonest},
    reload::Due,
    restart::Agent,
    status::{newest, now as now_in_seconds, write},
    work::Work,
};

/// How long after a failed status write the next attempt is made.
const STATUS_RETRY: Duration = Duration::from_secs(2);
/// How long after a failed look at the agent's Deployment the next attempt is made.
const RELOAD_RETRY: Duration = Duration::from_secs(30);

/// Reports one look. Returns when to look again.
pub async fn report(
    reconciler: &Reconciler,
    config: &ToolsetConfig,
    name: &ObjectName,
    work: &mut Work,
    verdict: &Verdict,
    outcome: &Outcome,
) -> Option<Instant> {
    let (reload, reload_at) = reload(reconciler, config, name, work, outcome).await;
    let observed = Observed {
        now: now_in_seconds(),
        plan: outcome.planned.as_ref().map(|planned| &planned.plan),
        rendered: outcome.planned.as_ref().map(|planned| &planned.rendered),
        inputs: &verdict.states,
        output: outcome.output.clone(),
        reload,
    };
    let old = newest(config, work).cloned();
    let new = status(config, old.as_ref(), &observed);
    if let Some(reason) = ready_reason(&new) {
        reconciler.world.metrics.judged(name, reason);
    }
    let again = if old.as_ref() == Some(&new) {
        None
    } else {
        publish(reconciler, config, name, work, old.as_ref(), new).await
    };
    if let Some(planned) = outcome.planned.as_ref().filter(|_| config.spec.mode != Mode::Suspended) {
        tell_services(reconciler, work, old.as_ref(), &planned.plan);
    }
    soonest(again, reload_at)
}

fn ready_reason(status: &ToolsetConfigStatus) -> Option<Reason> {
    let ready = status.conditions.iter().find(|condition| condition.type_ == ConditionType::Ready.as_str())?;
    Reason::ALL.iter().copied().find(|reason| reason.as_str() == ready.reason)
}

async fn publish(
    reconciler: &Reconciler,
    config: &ToolsetConfig,
    name: &ObjectName,
    work: &mut Work,
    old: Option<&ToolsetConfigStatus>,
    new: ToolsetConfigStatus,
) -> Option<Instant> {
    reconciler.world.configs.expect_status(name, &new);
    match write(&reconciler.writer, name, &new).await {
        Ok(version) => {
            for event in conditions_news(config, name, old, &new) {
                reconciler.events.send(event);
            }
            work.status = Some((version, new));
            None
        }
        Err(error) => match error.cause() {
            // Gone, or another replica's business.
            Cause::NotFound | Cause::Terminating | Cause::NotLeading => None,
            cause => {
                let namespace = &name.namespace;
                warn!(%namespace, name = %name.name, reason = %cause, %error, "cannot write the status, trying again");
                Some(Instant::now() + STATUS_RETRY.max(retry_after(work.failures)))
            }
        },
    }
}

/// One Event per condition that turned bad, changed its reason, or recovered. Several conditions with one cause say it once.
fn conditions_news(
    config: &ToolsetConfig,
    name: &ObjectName,
    old: Option<&ToolsetConfigStatus>,
    new: &ToolsetConfigStatus,
) -> Vec<Event> {
    let about = About::Config { name: name.clone(), uid: config.uid().unwrap_or_default() };
    let mut events: BTreeMap<&'static str, Event> = BTreeMap::new();
    for condition in &new.conditions {
        let before = old.and_then(|old| old.conditions.iter().find(|before| before.type_ == condition.type_));
        let same = |before: &&_| {
            let before: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition = before;
            before.status == condition.status && before.reason == condition.reason
        };
        if before.as_ref().is_some_and(same) {
            continue;
        }
        let Some(reason) = Reason::ALL.iter().copied().find(|reason| reason.as_str() == condition.reason) else {
            continue;
        };
        let kind = match reason {
            // A first "all is well" is no news; a restart that waits for its time is none either.
            Reason::AsExpected if before.is_none() || condition.status == "False" => continue,
            Reason::AsExpected if before.is_some_and(|before| !was_bad(&before.reason)) => continue,
            Reason::WaitingForInputs => continue,
            Reason::AsExpected | Reason::Preview | Reason::Suspended => Kind::Normal,
            _ => Kind::Warning,
        };
        let note = format!("{}: {}", condition.type_, condition.message);
        let event = Event { about: about.clone(), kind, reason: reason.as_str(), action: "Reconcile", note };
        events.entry(reason.as_str()).or_insert(event);
    }
    events.into_values().collect()
}

fn was_bad(reason: &str) -> bool {
    ![Reason::AsExpected, Reason::WaitingForInputs].iter().any(|fine| fine.as_str() == reason)
}

/// Tells each rejected Service's owner once per reason. What the status already said before this process started is told.
fn tell_services(reconciler: &Reconciler, work: &mut Work, old: Option<&ToolsetConfigStatus>, plan: &Plan) {
    let said_before = |key: &ServiceKey, reason: ServiceReason| {
        old.is_some_and(|old| {
            old.rejected.iter().any(|rejected| {
                *rejected.namespace == *key.namespace
                    && *rejected.service == *key.name
                    && rejected.reason == reason.as_str()
            })
        })
    };
    let mut told = BTreeMap::new();
    for rejection in plan.rejected.iter().filter(|rejection| worth_telling(rejection.reason)) {
        let known =
            work.told.get(&rejection.key) == Some(&rejection.reason) || said_before(&rejection.key, rejection.reason);
        let event = || Event {
            about: About::Service(ObjectName::new(&rejection.key.namespace, &rejection.key.name)),
            kind: if asks_for_action(rejection.reason) { Kind::Warning } else { Kind::Normal },
            reason: rejection.reason.as_str(),
            action: "Select",
            note: rejection.message.clone(),
        };
        if known || reconciler.events.send(event()) {
            told.insert(rejection.key.clone(), rejection.reason);
        }
    }
    work.told = told;
}

/// What somebody decided needs no telling: the Service's owner by opting out, the ToolsetConfig's by the spec.
fn worth_telling(reason: ServiceReason) -> bool {
    !matches!(reason, ServiceReason::OptedOut | ServiceReason::DetectorDisabled | ServiceReason::OverriddenOff)
}

/// Whether the Service's owner can have meant something else.
fn asks_for_action(reason: ServiceReason) -> bool {
    !matches!(
        reason,
        ServiceReason::NotAnEndpoint
            | ServiceReason::HeadlessTwin
            | ServiceReason::LostToPreferred
            | ServiceReason::NotEnoughEvidence
    )
}

/// Restarts the agent if it is due. Returns the state for the status and when to look again.
async fn reload(
    reconciler: &Reconciler,
    config: &ToolsetConfig,
    name: &ObjectName,
    work: &mut Work,
    outcome: &Outcome,
) -> (ReloadState, Option<Instant>) {
    let consumer = &config.spec.consumer;
    let (ReloadMode::RolloutRestart, Some(deployment)) = (consumer.reload, &consumer.deployment_ref) else {
        return (ReloadState::NotAsked, None);
    };
    let hash = outcome.planned.as_ref().and_then(|planned| planned.rendered.holmesgpt_hash.as_deref());
    let (OutputState::Applied, Some(hash)) = (&outcome.output, hash) else {
        return (ReloadState::Due { message: "waits until the ConfigMap holds what was planned".to_owned() }, None);
    };
    let agent = Agent { writer: &reconciler.writer, namespace: &name.namespace, name: &deployment.name };
    let least = Duration::from_secs(u64::try_from(consumer.min_interval_seconds).unwrap_or_default());
    loop {
        let now = Instant::now();
        let attempt = match work.reload.due(hash, least, now) {
            Due::Nothing => return (ReloadState::Current, None),
            Due::At(at) => {
                let message = format!("the content changed; Deployment {} is restarted when it has settled", deployment.name);
                return (ReloadState::Due { message }, Some(at));
            }
            Due::Look => agent.look().await.map(|(carries, ago)| work.reload.looked(&carries, ago, Instant::now())),
            Due::Now => agent.restart(hash).await.map(|()| {
                work.reload.restarted(hash, Instant::now());
                info!(namespace = %name.namespace, name = %name.name, deployment = %deployment.name, hash, "agent restarted");
                reconciler.events.send(Event {
                    about: About::Config { name: name.clone(), uid: config.uid().unwrap_or_default() },
                    kind: Kind::Normal,
                    reason: "ConsumerReloaded",
                    action: "Reload",
                    note: format!("restarted Deployment {} for content {hash}", deployment.name),
                });
            }),
        };
        if let Err(error) = attempt {
            let retry_at = now + RELOAD_RETRY;
            work.reload.failed(retry_at);
            if error.cause() == Cause::NotLeading {
                return (ReloadState::Due { message: "waits for the lease".to_owned() }, None);
            }
            let (namespace, reason) = (&name.namespace, error.cause());
            warn!(%namespace, name = %name.name, deployment = %deployment.name, %reason, %error, "cannot restart the agent");
            let message = format!("Deployment {}: {error}", deployment.name);
            return (ReloadState::Failed { message }, Some(retry_at));
        }
    }
}

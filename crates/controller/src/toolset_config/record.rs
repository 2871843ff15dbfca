//! Records what became of an output. It is left with the client, which sends it in the background.

use audit_client::{Client, Event};
use crd_types::ToolsetConfig;
use toolset::{ConfigMapView, config_map::HASH_ANNOTATION, status::OutputState};

use super::{decide, outcome::Outcome};
use crate::{
    api::NamespacedName,
    audit::{self, Action, Difference, Subject, Tools, Trigger},
};

/// What is remembered of the last records about one ToolsetConfig.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// The tools of the last write. `None` before the first one of this term.
    tools: Option<Tools>,
    /// The generation of the spec that the output was last as planned for.
    generation: Option<i64>,
    /// The problem that was last recorded, until it is over.
    problem: Option<(Action, String)>,
}

/// A reconcile that has ended.
pub(super) struct Reconciled<'a> {
    pub(super) config: &'a ToolsetConfig,
    pub(super) name: &'a NamespacedName,
    /// The ConfigMap's name.
    pub(super) target: &'a NamespacedName,
    /// The ConfigMap before the reconcile.
    pub(super) before: Option<&'a ConfigMapView>,
    /// Whether an event of a watch caused the reconcile.
    pub(super) by_event: bool,
    pub(super) outcome: &'a Outcome,
}

/// Leaves the records about a reconcile with the client. It never waits.
pub(super) fn record(client: &Client, recorded: &mut Recorded, reconciled: &Reconciled<'_>) {
    for event in recorded.events(reconciled) {
        // The client counts what it drops.
        let _dropped = client.try_send(&event);
    }
}

impl Recorded {
    /// The records about a reconcile: a write, and a problem that has not been recorded yet.
    fn events(&mut self, reconciled: &Reconciled<'_>) -> Vec<Event> {
        let mut events = Vec::new();
        let subject = reconciled.subject();
        if let Some(change) = &reconciled.outcome.written {
            events.extend(self.written(&subject, reconciled, change));
        }
        if let Some(output) = &reconciled.outcome.output {
            let problem = problem(output, reconciled.outcome);
            let is_new = problem.as_ref().map(|(action, reason, _)| (action, reason))
                != self.problem.as_ref().map(|(action, reason)| (action, reason));
            if let Some((action, reason, message)) = problem.as_ref().filter(|_| is_new) {
                events.push(audit::problem(&subject, *action, reason, message));
            }
            self.problem = problem.map(|(action, reason, _)| (action, reason));
            if output.is_written() {
                self.generation = reconciled.config.metadata.generation;
            }
        }
        events
    }

    fn written(
        &mut self,
        subject: &Subject<'_>,
        reconciled: &Reconciled<'_>,
        change: &decide::Change,
    ) -> Option<Event> {
        let (config, outcome) = (reconciled.config, reconciled.outcome);
        let before = self.tools.take().unwrap_or_else(|| Tools::of_status(config.status.as_ref()));
        let plan = outcome.planned.as_ref().map(|planned| &planned.plan);
        let after = match (plan, &outcome.reduced) {
            (Some(plan), _) => Tools::of_plan(plan),
            (None, Some(reduced)) => before.without(&reduced.removed),
            (None, None) => before.clone(),
        };
        let planned = outcome.planned.as_ref().map(|planned| &planned.rendered);
        let rendered = planned.or(outcome.reduced.as_ref().map(|reduced| &reduced.rendered))?;
        let repairs = change.reverts && !change.plan_changed;
        let reported = config.status.as_ref().and_then(|status| status.observed_generation);
        let trigger = match () {
            () if repairs => Trigger::Drift,
            () if self.generation.or(reported) != config.metadata.generation => Trigger::Spec,
            () if reconciled.by_event => Trigger::Cluster,
            () => Trigger::Time,
        };
        let event = audit::changed(
            subject,
            &audit::Change {
                action: if repairs { Action::DriftRepaired } else { Action::ToolsetChanged },
                trigger,
                field_manager: reconciled.field_manager(trigger),
                found: change.found.to_string(),
                digest_before: reconciled.before.and_then(|view| Some(view.annotations.get(HASH_ANNOTATION)?.as_str())),
                digest_after: &rendered.hash,
                difference: Difference::between(&before, &after, plan),
                tools: after.len(),
            },
        );
        self.tools = Some(after);
        Some(event)
    }
}

impl Reconciled<'_> {
    fn subject(&self) -> Subject<'_> {
        Subject {
            name: self.name,
            uid: self.config.metadata.uid.as_deref().unwrap_or_default(),
            generation: self.config.metadata.generation,
            config_map: &self.target.name,
        }
    }

    /// Who caused a write, as far as the API server tells: no user, but a field manager.
    fn field_manager(&self, trigger: Trigger) -> Option<String> {
        match trigger {
            Trigger::Spec => {
                self.config.metadata.managed_fields.iter().flatten().find_map(|entry| entry.manager.clone())
            }
            Trigger::Drift => {
                let managers = self.before.map(|view| view.other_managers.join(", "));
                managers.filter(|managers| !managers.is_empty())
            }
            Trigger::Cluster | Trigger::Time => None,
        }
    }
}

/// The problem of an output, with its reason and its message.
fn problem(output: &OutputState, outcome: &Outcome) -> Option<(Action, String, String)> {
    let held = |reason: &str, message: &String| Some((Action::OutputHeld, reason.to_owned(), message.clone()));
    match output {
        OutputState::Failed { message } => {
            let cause = outcome.cause.map_or("Unknown", |cause| cause.as_str());
            Some((Action::ApplyFailed, cause.to_owned(), message.clone()))
        }
        OutputState::Held { message, .. } => held("InputUnavailable", message),
        OutputState::Conflict { message } => held("OutputConflict", message),
        OutputState::Contested { message } => held("OutputContested", message),
        OutputState::Terminating { message, .. } => held("OutputTerminating", message),
        OutputState::Applied | OutputState::Preview | OutputState::Suspended | OutputState::Waiting => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crd_types::{ToolStatus, ToolsetConfigStatus};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
    use serde_json::Value;
    use tokio::time::Duration;
    use toolset::{Drift, Plan, Rendered};

    use super::*;
    use crate::{
        api::Cause,
        metrics::{Operation, ReconcileResult},
        toolset_config::{decide::Change, outcome::Planned},
    };

    /// The output of one ToolsetConfig, reconcile after reconcile.
    struct Output {
        config: ToolsetConfig,
        before: ConfigMapView,
        recorded: Recorded,
    }

    impl Output {
        fn new() -> Self {
            let mut config: ToolsetConfig = serde_json::from_value(serde_json::json!({
                "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig",
                "metadata": {"name": "c", "namespace": "n", "uid": "u", "generation": 1},
                "spec": {"sources": [{"name": "s", "trust": "Trusted", "namespaces": {"from": "All"}}]}
            }))
            .unwrap();
            let manager = ManagedFieldsEntry { manager: Some("helm".to_owned()), ..ManagedFieldsEntry::default() };
            config.metadata.managed_fields = Some(vec![manager]);
            Self { config, before: ConfigMapView::default(), recorded: Recorded::default() }
        }

        fn ends(&mut self, by_event: bool, outcome: &Outcome) -> Vec<Event> {
            let (name, target) = (NamespacedName::new("n", "c"), NamespacedName::new("n", "toolset"));
            let reconciled = Reconciled {
                config: &self.config,
                name: &name,
                target: &target,
                before: Some(&self.before),
                by_event,
                outcome,
            };
            self.recorded.events(&reconciled)
        }
    }

    fn written(reverts: bool, plan_changed: bool) -> Outcome {
        let rendered = Rendered { hash: "new".into(), ..Rendered::default() };
        let planned = Planned { plan: Plan::default(), rendered, recheck_in: None, took: Duration::ZERO };
        let change = Change { operation: Operation::Update, found: Drift::Annotation, reverts, plan_changed };
        let outcome = Outcome::new(OutputState::Applied, ReconcileResult::Applied).wrote(change);
        Outcome { planned: Some(Arc::new(planned)), ..outcome }
    }

    fn of(event: &Event) -> (&str, &Value) {
        (&event.action_type, &event.data["trigger"])
    }

    #[test]
    fn a_write_is_recorded_with_what_led_to_it() {
        let mut output = Output::new();
        let events = output.ends(true, &written(false, true));
        assert_eq!(events.len(), 1);
        assert_eq!(of(&events[0]), ("toolset_changed", &"spec".into()));
        assert_eq!(events[0].data["field_manager"], "helm");
        let events = output.ends(true, &written(false, true));
        assert_eq!(of(&events[0]), ("toolset_changed", &"cluster".into()));
        let events = output.ends(false, &written(false, true));
        assert_eq!(of(&events[0]), ("toolset_changed", &"time".into()));
        output.config.metadata.generation = Some(2);
        let events = output.ends(true, &written(true, true));
        assert_eq!(of(&events[0]), ("toolset_changed", &"spec".into()), "both changed");
    }

    #[test]
    fn a_repair_is_recorded_with_the_other_field_manager_and_the_digests() {
        let mut output = Output::new();
        output.before.other_managers = vec!["kubectl-edit".to_owned()];
        output.before.annotations.insert(HASH_ANNOTATION.to_owned(), "old".to_owned());
        let events = output.ends(true, &written(true, false));
        assert_eq!(of(&events[0]), ("drift_repaired", &"drift".into()));
        let data = &events[0].data;
        assert_eq!((&data["digest_before"], &data["digest_after"]), (&"old".into(), &"new".into()));
        assert_eq!(data["field_manager"], "kubectl-edit");
    }

    #[test]
    fn a_new_process_compares_with_the_last_status() {
        let mut output = Output::new();
        let tool = |service: &str| ToolStatus {
            name: service.to_owned(),
            namespace: "apps".to_owned(),
            service: service.to_owned(),
            ..ToolStatus::default()
        };
        output.config.status = Some(ToolsetConfigStatus {
            tools: vec![tool("grafana")],
            observed_generation: Some(1),
            ..ToolsetConfigStatus::default()
        });
        let events = output.ends(true, &written(false, true));
        assert_eq!(of(&events[0]), ("toolset_changed", &"cluster".into()));
        assert_eq!(events[0].data["removed"][0]["service"], "apps/grafana");
        let events = output.ends(true, &written(false, true));
        assert_eq!(events[0].data["removed"], serde_json::json!([]), "the last write is known now");
    }

    #[test]
    fn a_problem_is_recorded_once_until_it_is_over_or_another_one() {
        let mut output = Output::new();
        let held = || Outcome::held(OutputState::Conflict { message: "It belongs to Helm.".to_owned() });
        let failed = |cause| {
            let state = OutputState::Failed { message: "No.".to_owned() };
            Outcome { cause: Some(cause), ..Outcome::new(state, ReconcileResult::Failed) }
        };
        let mut actions = |outcome: &Outcome| {
            let events = output.ends(true, outcome);
            events.iter().map(|e| format!("{} {}", e.action_type, e.data["reason"])).collect::<Vec<_>>()
        };
        let nothing: [String; 0] = [];
        assert_eq!(actions(&held()), ["output_held \"OutputConflict\""]);
        assert_eq!(actions(&held()), nothing);
        assert_eq!(actions(&failed(Cause::Forbidden)), ["apply_failed \"Forbidden\""]);
        assert_eq!(actions(&failed(Cause::Forbidden)), nothing);
        assert_eq!(actions(&Outcome::unreported()), nothing);
        assert_eq!(actions(&failed(Cause::Forbidden)), nothing, "nothing is known to be better");
        assert_eq!(actions(&failed(Cause::Timeout)), ["apply_failed \"Timeout\""]);
        assert_eq!(actions(&Outcome::new(OutputState::Applied, ReconcileResult::Unchanged)), nothing);
        assert_eq!(actions(&failed(Cause::Timeout)), ["apply_failed \"Timeout\""]);
    }
}

//! The CRD and the operator.

use k8s_openapi::{api::coordination::v1::Lease, jiff::Timestamp};
use kube::{Api, Client};

use super::Section;
use crate::{
    live::{
        self, Reach,
        crd::{self, API_VERSION, Crd},
        operator::{self, Operator},
    },
    text::quoted,
    version,
};

const INSTALL_CRD: &str = "kubectl toolset crds | kubectl apply --server-side -f -";

pub(super) async fn crd(client: &Client) -> Section {
    let mut section = Section::new("CRD");
    match crd::compare(client).await {
        Crd::Missing => section.broken("The CRD of ToolsetConfigs is not installed.", INSTALL_CRD),
        Crd::Same => {
            section.ok(format!("The CRD is installed ({API_VERSION}) and has the same schema as this plugin."));
        }
        Crd::Different => section.warn(
            "The CRD is installed, but its schema differs from the schema in this plugin.",
            "Use the same version of the chart and of this plugin.",
        ),
        Crd::OtherVersion(found) => section.broken(
            format!("The CRD has no version {API_VERSION}; it has {}.", found.join(", ")),
            "Use the same version of the chart and of this plugin.",
        ),
        Crd::Unreadable(why) => section.warn(format!("The CRD cannot be read: {why}"), ""),
    }
    section
}

/// The operators, or `None` if the user may not see them.
pub(super) async fn operators(reach: &mut Reach<'_>) -> (Section, Option<Vec<Operator>>) {
    let mut section = Section::new("Operator");
    let all = match operator::find(reach).await {
        Ok(all) => all,
        Err(failure) => {
            section.warn(format!("The operator is unknown: {}.", live::message_of(&failure)), "");
            return (section, None);
        }
    };
    if all.is_empty() {
        if let Some(note) = reach.note_about("the operator may be in another namespace") {
            section.warn(format!("No operator was found: {note}."), "Use -n with the namespace of the operator.");
            return (section, None);
        }
        section.broken(
            "No Deployment with the label app.kubernetes.io/part-of=toolset-operator was found.",
            "Install the Helm chart. Without it, render, explain and diff still work.",
        );
    }
    for one in &all {
        let version = one.version.as_deref().unwrap_or("unknown");
        let replicas = format!("{} of {} replicas are available", one.available, one.wanted);
        let message = format!("{} runs version {version}; {replicas}.", one.title());
        if one.available > 0 {
            section.ok(message);
        } else {
            let action = format!("kubectl describe deployment {} -n {}", quoted(&one.name), quoted(&one.namespace));
            section.broken(message, &action);
        }
        if let Some(skew) = version::skew(one) {
            section.warn(skew, "");
        }
        lease(reach.client, one, &mut section).await;
        section.ok(match one.config_namespaces() {
            None => "The operator handles ToolsetConfigs in all namespaces.".to_owned(),
            Some(names) => format!("The operator handles ToolsetConfigs in {}.", names.join(", ")),
        });
        if let Some(names) = one.watch_namespaces() {
            section.ok(format!("The operator watches Services only in {}.", names.join(", ")));
        }
    }
    (section, Some(all))
}

async fn lease(client: &Client, operator: &Operator, section: &mut Section) {
    let Some((namespace, name)) = operator.lease() else { return };
    let title = format!("Lease {namespace}/{name}");
    let logs = format!("kubectl logs deployment/{} -n {}", quoted(&operator.name), quoted(&operator.namespace));
    match Api::<Lease>::namespaced(client.clone(), &namespace).get_opt(&name).await {
        Err(error) => section.warn(format!("{title} cannot be read: {}", live::of_request(&error)), ""),
        Ok(None) => section.broken(format!("{title} does not exist, so no replica is the leader."), &logs),
        Ok(Some(lease)) => {
            let spec = lease.spec.unwrap_or_default();
            let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
            let duration = i64::from(spec.lease_duration_seconds.unwrap_or(15));
            let age = spec.renew_time.map(|time| Timestamp::now().as_second() - time.0.as_second());
            match (holder, age) {
                // Clocks differ a little.
                (Some(holder), Some(age)) if age <= 2 * duration => {
                    section.ok(format!("{holder} holds {title}."));
                }
                (Some(holder), Some(age)) => {
                    section.broken(
                        format!("{title} was last renewed {age} s ago by {holder}, so no replica writes."),
                        &logs,
                    );
                }
                _ => section.broken(format!("No replica holds {title}, so no replica writes."), &logs),
            }
        }
    }
}

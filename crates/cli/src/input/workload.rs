//! Reads Pods, and the objects that have a template for Pods.

use detectors::pods::PodView;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::pods::Workload;

/// A Pod. Only the fields that are used are read.
#[derive(Deserialize)]
pub(crate) struct ThinPod {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: PodView,
    #[serde(default)]
    status: PodStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: Option<String>,
    conditions: Vec<PodCondition>,
}

#[derive(Deserialize)]
struct PodCondition {
    #[serde(rename = "type")]
    type_: String,
    status: String,
}

/// An object with a template for Pods.
#[derive(Deserialize)]
pub(super) struct Template {
    metadata: ObjectMeta,
    #[serde(default)]
    spec: TemplateSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TemplateSpec {
    replicas: Option<i64>,
    template: Option<PodTemplate>,
}

#[derive(Deserialize)]
struct PodTemplate {
    #[serde(default)]
    metadata: ObjectMeta,
    #[serde(default)]
    spec: PodView,
}

/// Whether objects of a kind have a template for Pods that a Service can select. The Pods of a Job end, so no Service
/// leads to them for long.
pub(super) fn has_template(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    match kind {
        "Deployment" | "DaemonSet" | "ReplicaSet" => matches!(group, "apps" | "extensions"),
        "StatefulSet" => group == "apps",
        "ReplicationController" => group.is_empty(),
        "DeploymentConfig" => matches!(group, "" | "apps.openshift.io"),
        _ => false,
    }
}

impl From<ThinPod> for Workload {
    fn from(pod: ThinPod) -> Self {
        let ready = pod.status.conditions.iter().find(|condition| condition.type_ == "Ready");
        let deleted = pod.metadata.deletion_timestamp.is_some();
        Self {
            kind: "Pod".to_owned(),
            runs: pod.status.phase.as_deref().is_none_or(|phase| phase == "Running"),
            serving: usize::from(!deleted && ready.is_none_or(|ready| ready.status == "True")),
            labels: pod.metadata.labels.clone(),
            metadata: pod.metadata,
            spec: pod.spec,
        }
    }
}

impl Template {
    /// The Pods that it makes. `None` without a template, which the API server would refuse.
    pub(super) fn into_workload(self, kind: &str) -> Option<Workload> {
        let template = self.spec.template?;
        let replicas = self.spec.replicas.unwrap_or(1);
        Some(Workload {
            kind: kind.to_owned(),
            runs: replicas > 0,
            serving: usize::try_from(replicas).unwrap_or_default(),
            labels: template.metadata.labels,
            metadata: self.metadata,
            spec: template.spec,
        })
    }

    pub(super) fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

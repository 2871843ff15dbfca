//! The Pods and the Pod templates of the input, matched by the selectors of the Services.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::ToolsetConfig;
use detectors::ServiceView;
use toolset::{
    Index,
    pods::{Owner, PodRef, ReadPod, controller, evidence, representatives, selects},
};

use super::{KnownPods, Origin, Workload, wanted};

/// Adds what the Pods and the templates of the input say to the index.
pub(crate) fn of_input(workloads: &[Workload], config: &ToolsetConfig, index: &mut Index) -> KnownPods {
    let mut known = KnownPods::default();
    let mut by_namespace: BTreeMap<String, Vec<&Workload>> = BTreeMap::new();
    for workload in last_of_each(workloads) {
        by_namespace.entry(workload.metadata.namespace.clone().unwrap_or_default()).or_default().push(workload);
    }
    for key in wanted(config, index) {
        let (Some(service), Some(workloads)) = (index.service(&key), by_namespace.get(&*key.namespace)) else {
            continue;
        };
        let read = read(&service.view, workloads);
        let evidence = evidence(&read.iter().map(|(pod, _)| pod.clone()).collect::<Vec<_>>());
        for (_, origin) in read {
            known.add(key.clone(), origin);
        }
        index.apply_pods(&key, evidence);
    }
    known
}

/// Of objects with the same kind and name, the last one, as for other kinds of objects. Sorted, so that the order of
/// the documents does not matter.
fn last_of_each(workloads: &[Workload]) -> Vec<&Workload> {
    let named = workloads.iter().map(|workload| {
        let metadata = &workload.metadata;
        ((&metadata.namespace, &workload.kind, &metadata.name), workload)
    });
    named.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// What the Pods of a Service say, and where each spec comes from.
fn read(view: &ServiceView, workloads: &[&Workload]) -> Vec<(ReadPod, Origin)> {
    let mut selected: Vec<&Workload> =
        workloads.iter().copied().filter(|workload| selects(view, workload.labels.as_ref())).collect();
    if selected.iter().any(|workload| workload.runs) {
        selected.retain(|workload| workload.runs);
    }
    let (pods, mut templates): (Vec<&Workload>, Vec<&Workload>) =
        selected.into_iter().partition(|workload| workload.is_pod());
    // A Pod wins over the template that it comes from, and a Deployment over its ReplicaSets.
    let by_pods: BTreeSet<String> = pods.iter().filter_map(|pod| pod.controller()).collect();
    templates.retain(|template| template.controller().is_none_or(|controller| !by_pods.contains(&controller)));
    let of_rollouts: BTreeSet<String> =
        templates.iter().filter(|template| template.rolls_out()).filter_map(|template| template.controller()).collect();
    templates.retain(|template| {
        template.rolls_out() || template.controller().is_none_or(|controller| !of_rollouts.contains(&controller))
    });
    let of_pods = read_pods(view, &pods);
    of_pods.into_iter().chain(templates.into_iter().map(|template| template.read(view))).collect()
}

/// Reads one Pod for all with the same template, as in a cluster.
fn read_pods(view: &ServiceView, pods: &[&Workload]) -> Vec<(ReadPod, Origin)> {
    let references: Vec<PodRef> = pods.iter().map(|pod| pod.reference()).collect();
    let chosen = representatives(&references).into_iter();
    chosen
        .filter_map(|chosen| {
            let pod = pods.iter().find(|pod| pod.reference().uid == chosen.uid)?;
            let read = ReadPod::of(view, &chosen, &pod.metadata, &pod.spec);
            let origin = Origin::of_pod(&chosen, read.controller.as_deref());
            Some((read, origin))
        })
        .collect()
}

impl Workload {
    fn is_pod(&self) -> bool {
        self.kind == "Pod"
    }

    /// Whether it replaces its Pods by making another object with a template.
    fn rolls_out(&self) -> bool {
        matches!(self.kind.as_str(), "Deployment" | "DeploymentConfig")
    }

    fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }

    /// The Pod as an EndpointSlice would name it. A Pod of a manifest has no uid.
    fn reference(&self) -> PodRef {
        let uid = self.metadata.uid.as_deref().unwrap_or(self.name()).to_owned();
        PodRef { name: self.name().to_owned(), uid, serving: self.serving > 0 }
    }

    /// The controller of its Pods as the Pods of a cluster show it. `None` for a Pod that nothing controls.
    fn controller(&self) -> Option<String> {
        let labels = self.labels.as_ref();
        let name = self.name();
        match self.kind.as_str() {
            "Pod" => {
                let owners = self.metadata.owner_references.iter().flatten();
                let owner = owners.into_iter().find(|owner| owner.controller == Some(true))?;
                Some(controller(Owner { kind: &owner.kind, name: &owner.name }, labels))
            }
            "Deployment" => Some(format!("ReplicaSet/{name}")),
            "DeploymentConfig" => Some(format!("ReplicationController/{name}")),
            kind => Some(controller(Owner { kind, name }, labels)),
        }
    }

    /// Reads a template. It stands for its replicas.
    fn read(&self, view: &ServiceView) -> (ReadPod, Origin) {
        let read = ReadPod {
            controller: self.controller(),
            stem: self.name().to_owned(),
            serving: self.serving,
            created: self.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second()),
            facts: detectors::pods::read(view, &self.spec),
        };
        let object = format!("{} {}", self.kind, self.name());
        (read, Origin { object, is_template: true, serving: self.serving })
    }
}

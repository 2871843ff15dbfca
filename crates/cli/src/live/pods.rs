//! The Pods behind the EndpointSlices, read with the permissions of the user as the operator reads them.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::ToolsetConfig;
use detectors::ServiceKey;
use k8s_openapi::api::{
    core::v1::Pod,
    discovery::v1::{Endpoint, EndpointSlice},
};
use kube::{Client, Resource, api::GetParams, core::Request};
use tokio::task::JoinSet;
use toolset::{
    Index, SliceView,
    pods::{PodRef, ReadPod, Representative, evidence, representatives, selects},
};

use super::of_request;
use crate::{
    input::ThinPod,
    pods::{KnownPods, Origin, wanted_by_any},
};

/// The most Pods that are read, as in the operator.
const MAX_PODS: usize = 500;
/// How many Pods are read at the same time.
const AT_ONCE: usize = 16;

/// The Pods of the Services, as the EndpointSlices name them.
#[derive(Default)]
pub(super) struct Targets(BTreeMap<ServiceKey, Vec<PodRef>>);

/// A Pod to read.
#[derive(Clone)]
pub(crate) struct Task {
    service: ServiceKey,
    pod: Representative,
}

/// The Pods to read, and those that are too many.
#[derive(Default)]
pub(crate) struct Tasks {
    all: Vec<Task>,
    beyond: Vec<Task>,
}

/// What was read.
pub(crate) struct Answers {
    answers: Vec<(Task, Result<ThinPod, Unread>)>,
    beyond: Vec<Task>,
}

/// Why a Pod was not read.
#[derive(Clone)]
enum Unread {
    /// The user may not read the Pods of its namespace.
    Forbidden(String),
    /// It is gone, or it is not a Pod of the Service.
    NotOfService,
    /// Anything else.
    Failed(String),
}

impl Targets {
    /// Takes the Pods of an EndpointSlice that the control plane made for a Service. Everybody can write a slice by hand,
    /// and it could name any Pod.
    pub(super) fn add(&mut self, index: &Index, slice: &EndpointSlice, view: &SliceView) {
        let key = ServiceKey::new(&*view.namespace, &*view.service);
        if is_of_service(index, &key, view) {
            self.0.entry(key).or_default().extend(pods_of(slice, view));
        }
    }

    /// Reads the Pods of the Services for which something is open, and adds what they say to the index. The index holds
    /// all Services, EndpointSlices and Namespaces.
    pub(super) async fn read(
        self,
        client: &Client,
        configs: &[ToolsetConfig],
        index: &mut Index,
        notes: &mut Vec<String>,
    ) -> KnownPods {
        let mut tasks = Tasks::default();
        for service in wanted_by_any(configs, index) {
            let pods = self.0.get(&service).map(|pods| representatives(pods)).unwrap_or_default();
            tasks.add(&service, pods);
        }
        let mut known = KnownPods::default();
        notes.extend(tasks.read(client).await.apply(index, &mut known));
        known
    }
}

/// Whether the control plane made a slice for this Service.
pub(crate) fn is_of_service(index: &Index, key: &ServiceKey, view: &SliceView) -> bool {
    view.managed && index.service(key).is_some_and(|service| service.view.uid == view.owner)
}

/// The Pods of a slice.
pub(crate) fn pods_of(slice: &EndpointSlice, view: &SliceView) -> Vec<PodRef> {
    slice.endpoints.iter().filter_map(|endpoint| pod_of(endpoint, &view.namespace)).collect()
}

impl Tasks {
    /// Adds the Pods of a Service.
    pub(crate) fn add(&mut self, service: &ServiceKey, pods: Vec<Representative>) {
        for pod in pods {
            let tasks = if self.all.len() < MAX_PODS { &mut self.all } else { &mut self.beyond };
            tasks.push(Task { service: service.clone(), pod });
        }
    }

    /// Reads the Pods, without those of a namespace that was refused.
    pub(crate) async fn read(self, client: &Client) -> Answers {
        let mut answers = Vec::new();
        let mut refused: BTreeMap<String, String> = BTreeMap::new();
        for some in self.all.chunks(AT_ONCE) {
            let (asked, skipped): (Vec<&Task>, Vec<&Task>) =
                some.iter().partition(|task| !refused.contains_key(&*task.service.namespace));
            for task in skipped {
                let message = refused.get(&*task.service.namespace).cloned().unwrap_or_default();
                answers.push((task.clone(), Err(Unread::Forbidden(message))));
            }
            for (task, answer) in ask(client, asked).await {
                if let Err(Unread::Forbidden(message)) = &answer {
                    refused.insert(task.service.namespace.to_string(), message.clone());
                }
                answers.push((task, answer));
            }
        }
        Answers { answers, beyond: self.beyond }
    }
}

/// Why the Pods of a Service were not read. Another try can read them.
#[cfg(feature = "ui")]
pub(crate) enum Failed {
    /// The user may not read them.
    Forbidden(String),
    /// Anything else.
    Other,
}

impl Answers {
    /// The Services of which a Pod could not be read.
    #[cfg(feature = "ui")]
    pub(crate) fn failed(&self) -> BTreeMap<ServiceKey, Failed> {
        let failed = self.answers.iter().filter_map(|(task, answer)| {
            let why = match answer {
                Err(Unread::Forbidden(message)) => Failed::Forbidden(message.clone()),
                Err(Unread::Failed(_)) => Failed::Other,
                Ok(_) | Err(Unread::NotOfService) => return None,
            };
            Some((task.service.clone(), why))
        });
        failed.collect()
    }

    /// Adds what the Pods say to the index. Returns notes about what could not be read.
    fn apply(self, index: &mut Index, known: &mut KnownPods) -> Vec<String> {
        let (beyond, unread) = self.add(index, known);
        beyond.into_iter().chain(unreadable_namespaces(&unread)).collect()
    }

    /// Adds what the Pods say to the index. Returns a note if there are too many Pods, and the namespaces that were
    /// refused, with the messages.
    pub(crate) fn add(self, index: &mut Index, known: &mut KnownPods) -> (Option<String>, BTreeMap<String, String>) {
        for task in &self.beyond {
            known.add_unreadable(task.service.clone(), format!("only {MAX_PODS} Pods are read"));
        }
        let beyond = self.beyond.len();
        let beyond = (beyond > 0).then(|| format!("only {MAX_PODS} Pods are read, and {beyond} are not"));
        let mut read: BTreeMap<ServiceKey, Vec<ReadPod>> = BTreeMap::new();
        let mut unread: BTreeMap<String, String> = BTreeMap::new();
        for (task, answer) in self.answers {
            let Some(service) = index.service(&task.service) else { continue };
            match answer.and_then(|pod| pod_of_service(&service.view, &task.pod, &pod)) {
                Ok(pod) => {
                    known.add(task.service.clone(), Origin::of_pod(&task.pod, pod.controller.as_deref()));
                    read.entry(task.service).or_default().push(pod);
                }
                Err(Unread::NotOfService) => {}
                Err(Unread::Forbidden(message)) => {
                    let namespace = task.service.namespace.to_string();
                    let why = format!("you are not allowed to read Pods in namespace {namespace}");
                    known.add_forbidden(task.service, why);
                    unread.entry(namespace).or_insert(message);
                }
                Err(Unread::Failed(message)) => {
                    known.add_unreadable(task.service.clone(), format!("Pod {}: {message}", task.pod.name));
                }
            }
        }
        for (key, pods) in read {
            index.apply_pods(&key, evidence(&pods));
        }
        (beyond, unread)
    }
}

/// The note about namespaces whose Pods cannot be read.
pub(crate) fn unreadable_namespaces(unread: &BTreeMap<String, String>) -> Option<String> {
    let first = unread.values().next()?;
    let namespaces: BTreeSet<&str> = unread.keys().map(String::as_str).collect();
    let namespaces = namespaces.into_iter().collect::<Vec<_>>().join(", ");
    Some(format!(
        "Pods in namespace {namespaces} cannot be read, so only the Services count there (products, ports, schemes and paths that Pods show are missing): {first}"
    ))
}

/// Asks for all of these Pods at once.
async fn ask(client: &Client, tasks: Vec<&Task>) -> Vec<(Task, Result<ThinPod, Unread>)> {
    let mut running = JoinSet::new();
    for (place, task) in tasks.into_iter().cloned().enumerate() {
        let client = client.clone();
        running.spawn(async move {
            let answer = get(&client, &task).await;
            (place, task, answer)
        });
    }
    let mut all = running.join_all().await;
    all.sort_by_key(|(place, ..)| *place);
    all.into_iter().map(|(_, task, answer)| (task, answer)).collect()
}

async fn get(client: &Client, task: &Task) -> Result<ThinPod, Unread> {
    let request = Request::new(Pod::url_path(&(), Some(&task.service.namespace)));
    let request =
        request.get(&task.pod.name, &GetParams::default()).map_err(|error| Unread::Failed(error.to_string()))?;
    client.request::<ThinPod>(request).await.map_err(|error| match &error {
        kube::Error::Api(status) if status.code == 403 => Unread::Forbidden(of_request(&error)),
        kube::Error::Api(status) if status.code == 404 => Unread::NotOfService,
        kube::Error::SerdeError(_) => Unread::Failed("the response of the API server is not a Pod".to_owned()),
        other => Unread::Failed(of_request(other)),
    })
}

/// What a Pod says, if it is one of the Service.
fn pod_of_service(view: &detectors::ServiceView, chosen: &Representative, pod: &ThinPod) -> Result<ReadPod, Unread> {
    let is_same = pod.metadata.uid.as_deref().is_some_and(|uid| uid == chosen.uid);
    if !is_same || !selects(view, pod.metadata.labels.as_ref()) {
        return Err(Unread::NotOfService);
    }
    Ok(ReadPod::of(view, chosen, &pod.metadata, &pod.spec))
}

/// The Pod of an endpoint, if it is in the namespace of the Service.
fn pod_of(endpoint: &Endpoint, namespace: &str) -> Option<PodRef> {
    let target = endpoint.target_ref.as_ref().filter(|target| target.kind.as_deref() == Some("Pod"))?;
    if target.namespace.as_deref().is_some_and(|other| other != namespace) {
        return None;
    }
    Some(PodRef {
        name: target.name.clone()?,
        uid: target.uid.clone()?,
        serving: toolset::convert::is_serving(endpoint.conditions.as_ref()),
    })
}

//! One round: finds the replicas of an agent, and asks each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{AgentServiceRef, Reason};
use futures::{StreamExt as _, stream};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::{sync::Semaphore, time::Instant};
use tracing::debug;

use super::{
    client,
    installed::{Access, Installed},
    replicas,
    schedule::Timing,
    version::Unsupported,
    view::{Known, NoAnswer, Outcome, PodId, Replica},
};
use crate::{
    api::{Cause, Error, NamespacedName, backends},
    dial::{
        address::{Reserved, parse},
        local,
    },
};

/// How many replicas of one agent are asked at the same time. Slow replicas must not take the permits of other agents.
const AT_ONCE: usize = 2;
/// How many replicas of all agents are asked at the same time. Each may send a body of 1 MiB.
const AT_ONCE_IN_ALL: usize = 8;

/// What all observations share.
pub(crate) struct Agents {
    client: Client,
    /// The URL of the API server, which is never asked.
    api_server: String,
    installed: Installed,
    timing: Timing,
    permits: Semaphore,
}

/// What a round asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The name of the ToolsetConfig.
    pub(crate) config: NamespacedName,
    pub(crate) service: AgentServiceRef,
    /// `consumer.agentVersion`.
    pub(crate) version: Option<String>,
    /// The hash and the entries of the file.
    pub(crate) file: String,
    pub(crate) wanted: BTreeSet<String>,
}

/// Why a round has no result.
enum Stop {
    /// The installation or the Service has to be changed.
    Problem(Reason, String),
    /// The API server does not answer. Nothing is known.
    Api(Error),
}

impl Agents {
    pub(crate) fn new(client: Client, api_server: String, installed: Installed, timing: Timing) -> Self {
        Self { client, api_server, installed, timing, permits: Semaphore::new(AT_ONCE_IN_ALL) }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// Asks all replicas. No request starts once `leads` is false.
    ///
    /// Fails if the API server does not answer, so that nothing is known.
    pub(crate) async fn ask(self: Arc<Self>, question: Question, leads: impl Fn() -> bool) -> Result<Known, Error> {
        let mut remarks = Vec::new();
        let outcome = match self.replicas(&question, &leads, &mut remarks).await {
            Ok(replicas) => Outcome::Replicas(replicas),
            Err(Stop::Problem(reason, message)) => Outcome::Problem { reason, message },
            Err(Stop::Api(error)) => return Err(error),
        };
        Ok(Known { at: Instant::now(), file: question.file, outcome, remarks })
    }

    async fn replicas(
        &self,
        question: &Question,
        leads: &impl Fn() -> bool,
        remarks: &mut Vec<String>,
    ) -> Result<BTreeMap<PodId, Replica>, Stop> {
        let access = self.installed.access(&question.config);
        let access = access.map_err(|message| Stop::Problem(Reason::AgentUnauthorized, message))?;
        let name = question.config.sibling(&access.service);
        if access.service != question.service.name {
            return Err(Stop::Problem(Reason::AgentUnauthorized, unequal(&access, &question.service)));
        }
        let service = backends::service(&self.client, &name).await.map_err(|error| stop(&name, error))?;
        let unreachable = |message: String| Stop::Problem(Reason::AgentUnreachable, message);
        let service = service.ok_or_else(|| unreachable(format!("Service {} does not exist", name.name)))?;
        let selector = replicas::check_service(&service).map_err(|why| {
            unreachable(format!(
                "Service {} does not lead to Pods of its own, because {why}, so the operator does not ask it",
                name.name
            ))
        })?;
        let port = replicas::port(&service, &access.port)
            .ok_or_else(|| unreachable(format!("Service {} has no TCP port {}", name.name, access.port)))?;
        if replicas::port(&service, &question.service.port) != Some(port) {
            return Err(Stop::Problem(Reason::AgentUnauthorized, unequal(&access, &question.service)));
        }
        let slices = backends::slices(&self.client, &name).await.map_err(|error| stop(&name, error))?;
        let candidates = replicas::candidates(&service, port, &slices);
        remarks.extend(candidates.remarks);
        let reserved = self.reserved().await?;
        let mut found = BTreeMap::new();
        for candidate in &candidates.pods {
            let pod_name = name.sibling(&candidate.pod);
            let pod = backends::pod(&self.client, &pod_name).await.map_err(|error| stop(&pod_name, error))?;
            let id = (candidate.pod.clone(), candidate.uid.clone());
            let Some(pod) = pod.filter(|pod| pod.metadata.uid.as_ref() == Some(&candidate.uid)) else {
                remarks.push(format!("Pod {} does not exist any more", candidate.pod));
                continue;
            };
            found.insert(id, candidate.replica(&pod, selector, &reserved, question.version.as_deref()));
        }
        let asked = stream::iter(found).map(async |(id, found)| {
            let replica = match found {
                Ok(found) => self.replica(found, question, &name, &access, leads).await,
                Err(why) => Some(Replica { created: None, version: None, answer: Err(NoAnswer::Refused(why)) }),
            };
            replica.map(|replica| (id, replica))
        });
        let asked: Vec<_> = asked.buffer_unordered(AT_ONCE).collect().await;
        Ok(asked.into_iter().flatten().collect())
    }

    /// Asks one replica, if its version allows it. `None` if this replica of the operator does not lead any more.
    async fn replica(
        &self,
        found: replicas::Replica,
        question: &Question,
        service: &NamespacedName,
        access: &Access,
        leads: &impl Fn() -> bool,
    ) -> Option<Replica> {
        let created = found.created.and_then(instant);
        let version = match found.version {
            Ok(version) => version,
            Err(why) => {
                let version = match &why {
                    Unsupported::TooOld(version) => Some(version.clone()),
                    Unsupported::Unknown => None,
                };
                return Some(Replica { created, version, answer: Err(NoAnswer::Unsupported(why)) });
            }
        };
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.ok();
        if !leads() {
            return None;
        }
        let answer = client::ask(found.address, service, access, &question.wanted, self.timing.answer).await;
        debug!(%service, address = %found.address, answered = answer.is_ok(), "agent asked");
        Some(Replica { created, version: Some(version), answer: answer.map_err(NoAnswer::Failed) })
    }

    /// The addresses that are never called.
    async fn reserved(&self) -> Result<Reserved, Stop> {
        let unknown = |why: String| {
            let message =
                format!("the operator cannot know the addresses of the API server, which it never asks: {why}");
            Stop::Problem(Reason::AgentUnreachable, message)
        };
        let slice = backends::api_server_addresses(&self.client).await.map_err(|error| match error.cause() {
            Cause::Forbidden => unknown(format!(
                "{error}; grant get on the EndpointSlice kubernetes in the namespace default, as the Helm chart does"
            )),
            _ => Stop::Api(error),
        })?;
        let mut api_server = local::api_server_addresses(&self.api_server)
            .await
            .map_err(|host| unknown(format!("{host} cannot be resolved; check the DNS of the operator's Pod")))?;
        api_server.extend(slice.iter().filter_map(|address| parse(address).ok()));
        Ok(Reserved { api_server, own: local::own_addresses() })
    }
}

/// An object on the way to the replicas cannot be read.
fn stop(name: &NamespacedName, error: Error) -> Stop {
    match error.cause() {
        Cause::Forbidden => Stop::Problem(
            Reason::AgentUnreachable,
            format!(
                "the operator cannot find the replicas of the agent: {error}; add the Service to the value agents of the \
                 Helm chart, or grant what the chart grants for it ({name})"
            ),
        ),
        _ => Stop::Api(error),
    }
}

fn unequal(access: &Access, wanted: &AgentServiceRef) -> String {
    format!(
        "spec.consumer.serviceRef is Service {} port {}, and the installation allows only Service {} port {} for this \
         ToolsetConfig; change serviceRef, or the value agents of the Helm chart",
        wanted.name, wanted.port, access.service, access.port
    )
}

/// A time of the API server as an instant of this process.
fn instant(time: Timestamp) -> Option<Instant> {
    let ago = std::time::Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default();
    Instant::now().checked_sub(ago)
}

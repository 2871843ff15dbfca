//! One round: finds the replicas of an agent, and asks each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{AgentServiceRef, Reason};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use tokio::{sync::Semaphore, time::Instant};
use toolset::convert;
use tracing::debug;

use super::{
    answer::Answer,
    client,
    installed::{Access, Installed},
    replicas::{self, Candidates},
    schedule::Timing,
    version::{OLDEST, Unsupported, Version},
    view::{Known, NoAnswer, Replica},
    watched::{Backends, PodId},
};
use crate::{
    api::{Cause, Error, NamespacedName, backends},
    dial::{
        address::Reserved,
        backends::Candidate,
        local::{self, ApiServer, Unknown},
    },
};

/// The most replicas that are asked in one round. An agent with more is never known to be current.
const MOST: usize = 32;
/// How many replicas of one agent are asked at the same time. Slow replicas must not take the permits of other agents.
const AT_ONCE: usize = 2;
/// How many replicas of all agents are asked at the same time. Each may send a body of 1 MiB.
const AT_ONCE_IN_ALL: usize = 8;

/// What all observations share.
pub(crate) struct Agents {
    client: Client,
    /// The URL of the API server, which is never asked.
    api_server: ApiServer,
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
    /// The Pods that must not be asked again: what each showed and what it then answered.
    pub(crate) too_old: TooOld,
}

/// The versions that Pods answered although their image shows a later one, by the Pod and the version of the image.
pub(crate) type TooOld = BTreeMap<(PodId, Version), Version>;

/// What is the same for all replicas of a round.
struct Round<'a, L> {
    question: &'a Question,
    access: Access,
    service: NamespacedName,
    backends: Arc<Backends>,
    reserved: Reserved,
    leads: &'a L,
}

/// Why a round has no result.
enum Stop {
    /// The installation or the Service has to be changed.
    Problem(Reason, String),
    /// The API server does not answer. Nothing is known.
    Api(Error),
}

impl Agents {
    pub(crate) fn new(client: Client, api_server: ApiServer, installed: Installed, timing: Timing) -> Self {
        Self { client, api_server, installed, timing, permits: Semaphore::new(AT_ONCE_IN_ALL) }
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn timing(&self) -> Timing {
        self.timing
    }

    /// Asks all replicas.
    ///
    /// Fails if the API server does not answer, so that nothing is known, and once `leads` is false. No request starts
    /// then.
    pub(crate) async fn ask(self: Arc<Self>, question: Question, leads: impl Fn() -> bool) -> Result<Known, Error> {
        let mut known = Known {
            at: Instant::now(),
            file: question.file.clone(),
            wanted: question.wanted.clone(),
            problem: None,
            ready: BTreeSet::new(),
            backends: None,
            replicas: BTreeMap::new(),
            remarks: Vec::new(),
        };
        match self.round(&question, &leads, &mut known).await {
            Ok(()) => {}
            Err(Stop::Problem(reason, message)) => known.problem = Some((reason, message)),
            Err(Stop::Api(error)) => return Err(error),
        }
        known.at = Instant::now();
        Ok(known)
    }

    async fn round(&self, question: &Question, leads: &impl Fn() -> bool, known: &mut Known) -> Result<(), Stop> {
        let access = self.installed.access(&question.config);
        let access = access.map_err(|message| Stop::Problem(Reason::AgentUnauthorized, message))?;
        let name = question.config.sibling(&access.service);
        if access.service != question.service.name {
            return Err(Stop::Problem(Reason::AgentUnauthorized, unequal(&access, &question.service)));
        }
        let service = backends::service(&self.client, &name).await.map_err(|error| stop(&name, error))?;
        let unreachable = |message: String| Stop::Problem(Reason::AgentUnreachable, message);
        let service = service.ok_or_else(|| {
            unreachable(format!(
                "Service {} does not exist. Correct spec.consumer.serviceRef and the Helm value agents.",
                name.name
            ))
        })?;
        let service = convert::service(&service.metadata, service.spec.as_ref());
        replicas::check_service(&service).map_err(|why| {
            unreachable(format!(
                "The operator does not send requests to Service {}, because {why}. The Service must select the Pods of the agent.",
                name.name
            ))
        })?;
        let port = replicas::port(&service, &access.port).ok_or_else(|| {
            unreachable(format!(
                "Service {} has no TCP port {}. Correct spec.consumer.serviceRef and the Helm value agents.",
                name.name, access.port
            ))
        })?;
        if replicas::port(&service, &question.service.port) != Some(port) {
            return Err(Stop::Problem(Reason::AgentUnauthorized, unequal(&access, &question.service)));
        }
        let port = port.clone();
        let slices = backends::slices(&self.client, &name).await.map_err(|error| stop(&name, error))?;
        let backends = Arc::new(Backends { service, port });
        let Candidates { pods, remarks } = backends.candidates(&slices);
        known.remarks = remarks;
        known.backends = Some(Arc::clone(&backends));
        if pods.len() > MOST {
            known.remarks.push(format!("only {MOST} of {} replicas are checked", pods.len()));
        }
        known.ready = pods.iter().map(id).collect();
        let reserved = self.reserved().await?;
        let round = Round { question, access, service: name, backends, reserved, leads };
        let asked = stream::iter(pods.into_iter().take(MOST)).map(async |candidate| {
            let replica = self.replica(&candidate, &round).await;
            replica.map(|replica| (id(&candidate), replica))
        });
        let asked: Vec<_> = asked.buffer_unordered(AT_ONCE).try_collect().await?;
        for (id, replica) in asked {
            if let Some(replica) = replica {
                known.replicas.insert(id, replica);
            } else {
                known.remarks.push(format!("Pod {} no longer exists", id.0));
                known.ready.remove(&id);
            }
        }
        Ok(())
    }

    /// Asks one replica, if its version allows it. `None` if the Pod does not exist any more.
    async fn replica(
        &self,
        candidate: &Candidate,
        round: &Round<'_, impl Fn() -> bool>,
    ) -> Result<Option<Replica>, Stop> {
        // The semaphore is never closed.
        let _permit = self.permits.acquire().await.ok();
        // Only now, because the address can belong to another Pod a minute later.
        let name = round.service.sibling(&candidate.pod);
        let pod = backends::pod(&self.client, &name).await.map_err(|error| stop(&name, error))?;
        let Some(pod) = pod.filter(|pod| candidate.is(pod)) else { return Ok(None) };
        let Question { version, wanted, too_old, .. } = round.question;
        let Backends { service, port } = &*round.backends;
        let found = match replicas::replica(candidate, &pod, (service, port), &round.reserved, version.as_deref()) {
            Ok(found) => found,
            Err(why) => return Ok(Some(Replica::new(None, None, Err(NoAnswer::Refused(why.to_string()))))),
        };
        let created = found.created.and_then(instant);
        let shown = match found.version {
            Ok(version) => version,
            Err(why) => {
                let version = match &why {
                    Unsupported::TooOld(version) => Some(version.clone()),
                    Unsupported::Unknown => None,
                };
                return Ok(Some(Replica::new(created, version, Err(NoAnswer::Unsupported(why)))));
            }
        };
        if let Some(said) = too_old.get(&(id(candidate), shown.clone())) {
            let why = NoAnswer::Unsupported(Unsupported::TooOld(said.clone()));
            return Ok(Some(Replica::new(created, Some(shown), Err(why))));
        }
        if !(round.leads)() {
            return Err(Stop::Api(Error::NotLeading));
        }
        let answer = client::ask(found.address, &round.service, &round.access, wanted, self.timing.answer).await;
        debug!(service = %round.service, address = %found.address, answered = answer.is_ok(), "agent asked");
        // The image can show another version than the agent has.
        let answer = match answer {
            Ok(Answer { version: Some(said), .. }) if said < OLDEST => {
                Err(NoAnswer::Unsupported(Unsupported::TooOld(said)))
            }
            answer => answer.map_err(NoAnswer::Failed),
        };
        Ok(Some(Replica::new(created, Some(shown), answer)))
    }

    /// The addresses that are never called.
    async fn reserved(&self) -> Result<Reserved, Stop> {
        let unknown = |why: String| {
            let message = format!(
                "The operator cannot determine the addresses of the API server: {why}. It asks no agent until it knows them, because it must never send these requests to the API server."
            );
            Stop::Problem(Reason::AgentUnreachable, message)
        };
        local::reserved(&self.client, &self.api_server).await.map_err(|error| match error {
            Unknown::Api(error) if error.cause() != Cause::Forbidden => Stop::Api(error),
            error => unknown(error.to_string()),
        })
    }
}

/// An object on the way to the replicas cannot be read.
fn stop(name: &NamespacedName, error: Error) -> Stop {
    match error.cause() {
        Cause::Forbidden => Stop::Problem(
            Reason::AgentUnreachable,
            format!(
                "The operator cannot find the replicas of the agent: {error}. Add Service {name} to the Helm value agents, or \
                 grant the permissions that the chart grants for it."
            ),
        ),
        _ => Stop::Api(error),
    }
}

fn unequal(access: &Access, wanted: &AgentServiceRef) -> String {
    format!(
        "spec.consumer.serviceRef is port {1} of Service {0}, but the installation allows only port {3} of Service {2} \
         for this ToolsetConfig. Change serviceRef, or the Helm value agents.",
        wanted.name, wanted.port, access.service, access.port
    )
}

fn id(candidate: &Candidate) -> PodId {
    (candidate.pod.clone(), candidate.uid.clone())
}

/// A time of the API server as an instant of this process.
fn instant(time: Timestamp) -> Option<Instant> {
    let ago = std::time::Duration::try_from(Timestamp::now().duration_since(time)).unwrap_or_default();
    Instant::now().checked_sub(ago)
}

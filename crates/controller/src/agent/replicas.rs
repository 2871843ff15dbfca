//! From an agent's Service to its replicas. Pure. `dial/backends.rs` says which Pods may be called at all.

use std::net::SocketAddr;

use crd_types::PortRef;
use detectors::{PortView, Protocol, ServiceType, ServiceView};
use k8s_openapi::jiff::Timestamp;

use super::version::{self, Images, Unsupported, Version};
use crate::{
    api::backends::{BackendEndpoint, BackendPod, BackendSlice, Container},
    dial::{
        address::Reserved,
        backends::{self, Candidate, Ignored, PodRefused},
    },
};

/// The ready Pods of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// Sorted by name.
    pub(crate) pods: Vec<Candidate>,
    /// What is not asked, and why.
    pub(crate) remarks: Vec<String>,
}

/// A Pod of the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replica {
    pub(crate) address: SocketAddr,
    pub(crate) created: Option<Timestamp>,
    /// What its image shows, or why it is not asked.
    pub(crate) version: Result<Version, Unsupported>,
}

/// The port of the Service that a reference means.
pub(crate) fn port<'a>(service: &'a ServiceView, wanted: &PortRef) -> Option<&'a PortView> {
    let mut tcp = service.ports.iter().filter(|port| port.protocol == Protocol::Tcp);
    tcp.find(|port| match wanted {
        PortRef::Number(number) => i32::from(port.port) == *number,
        PortRef::Name(name) => port.name.as_deref() == Some(name),
    })
}

/// Checks whether the Service leads to Pods of its namespace and nowhere else.
///
/// Fails with what is wrong with it.
pub(crate) fn check_service(service: &ServiceView) -> Result<(), &'static str> {
    if service.service_type == ServiceType::ExternalName {
        return Err("it is of type ExternalName, so it can refer to a name outside the cluster");
    }
    if service.external_ips {
        return Err("it has externalIPs");
    }
    if service.selector.is_empty() {
        return Err("it has no selector");
    }
    Ok(())
}

/// The ready Pods of the Service behind one of its ports.
pub(crate) fn candidates(service: &ServiceView, port: &PortView, slices: &[BackendSlice]) -> Candidates {
    let backends::Candidates { pods, ignored } = backends::candidates(service, port, slices, BackendEndpoint::is_ready);
    let remark = |(name, why): (String, Ignored)| match why {
        Ignored::NotManaged => {
            format!("EndpointSlice {name} is ignored, because it is not managed by the EndpointSlice controller")
        }
        Ignored::NotIp => format!("EndpointSlice {name} is ignored, because it does not contain IP addresses"),
        Ignored::NoPort => format!(
            "EndpointSlice {name} is ignored, because it does not have the port {} of the Service. Check that the Pods \
             have its targetPort",
            port.name.as_deref().map_or_else(|| port.port.to_string(), str::to_owned)
        ),
        Ignored::NotPod => {
            format!("an address of EndpointSlice {name} is ignored, because it does not belong to a Pod")
        }
    };
    Candidates { pods, remarks: ignored.into_iter().map(remark).collect() }
}

/// The replica that a Pod is. `stated` is `consumer.agentVersion`. One of its addresses is enough.
///
/// Fails with why the Pod is not asked.
pub(crate) fn replica(
    candidate: &Candidate,
    pod: &BackendPod,
    (service, port): (&ServiceView, &PortView),
    reserved: &Reserved,
    stated: Option<&str>,
) -> Result<Replica, PodRefused> {
    let addresses = candidate.addresses(pod, service, port, reserved)?;
    let address = *addresses.first().ok_or(PodRefused::NoAddress)?;
    let version = version::of_agent(&images(pod, address.port()), stated);
    let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
    Ok(Replica { address, created, version })
}

/// The images of the containers that may run the agent.
fn images(pod: &BackendPod, port: u16) -> Images<'_> {
    let containers = agents_containers(&pod.spec.containers, port);
    let statuses = pod.status.container_statuses.iter();
    let running = statuses.filter(|status| containers.iter().any(|container| container.name == status.name));
    Images {
        wanted: containers.iter().map(|container| container.image.as_str()).collect(),
        running: running.map(|status| status.image.as_str()).collect(),
    }
}

/// The containers that may run the agent: those with the agent's name or with an image that is called like it. A proxy beside
/// it may own the port. If none has exactly the agent's name, the one that owns the port counts as well, or the only one.
fn agents_containers(containers: &[Container], port: u16) -> Vec<&Container> {
    let owns = |one: &Container| one.ports.iter().any(|owned| owned.number == i32::from(port));
    let is_named = |one: &Container| one.name == "holmes" || version::is_agents_image(&one.image);
    let certain = containers.iter().any(is_named);
    let called = |one: &Container| is_named(one) || version::is_like_agents_image(&one.image);
    let found: Vec<&Container> = containers.iter().filter(|one| called(one) || !certain && owns(one)).collect();
    match containers {
        [only] if found.is_empty() => vec![only],
        // Nothing tells which of several owners of the port is the agent.
        _ if !containers.iter().any(called) && found.len() > 1 => Vec::new(),
        _ => found,
    }
}

#[cfg(test)]
mod tests;

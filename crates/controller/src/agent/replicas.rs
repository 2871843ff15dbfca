//! From an agent's Service to the Pods that may be asked. Pure.
//!
//! The operator connects to addresses of EndpointSlices, whose author chooses them. So only the slices of the
//! EndpointSlice controller count, and each address must be that of a Pod of the same namespace that the Service selects.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use crd_types::PortRef;
use k8s_openapi::{api::core::v1::ServicePort, apimachinery::pkg::util::intstr::IntOrString, jiff::Timestamp};

use super::version::{self, Images, Unsupported, Version};
use crate::{
    api::{
        backends::{BackendPod, BackendSlice, Container, PodSpec, SlicePort, matches},
        thin::ThinService,
    },
    dial::address::{Reserved, parse},
};

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// A ready address of the Service, before its Pod is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) pod: String,
    pub(crate) uid: String,
    /// All addresses of the Pod in the slices, as they are written there, with the port.
    addresses: Vec<(String, u16)>,
    /// The port of the Pod that the Service means.
    target: IntOrString,
}

/// The ready addresses of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// Sorted by the name of the Pod.
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
pub(crate) fn port<'a>(service: &'a ThinService, wanted: &PortRef) -> Option<&'a ServicePort> {
    let ports = service.spec.as_ref()?.ports.as_ref()?;
    let tcp = |port: &&ServicePort| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP");
    ports.iter().filter(tcp).find(|port| match wanted {
        PortRef::Number(number) => port.port == *number,
        PortRef::Name(name) => port.name.as_ref() == Some(name),
    })
}

/// Whether the Service leads to Pods of its namespace and nowhere else.
///
/// Fails with what is wrong with it.
pub(crate) fn check_service(service: &ThinService) -> Result<&BTreeMap<String, String>, &'static str> {
    let spec = service.spec.as_ref().ok_or("it has no spec")?;
    if spec.type_.as_deref() == Some("ExternalName") {
        return Err("it is of type ExternalName, so it can refer to a name outside the cluster");
    }
    if spec.external_ips.as_ref().is_some_and(|addresses| !addresses.is_empty()) {
        return Err("it has externalIPs");
    }
    spec.selector.as_ref().filter(|selector| !selector.is_empty()).ok_or("it has no selector")
}

/// The ready addresses of the Service behind one of its ports.
pub(crate) fn candidates(service: &ThinService, port: &ServicePort, slices: &[BackendSlice]) -> Candidates {
    let mut found: BTreeMap<(String, String), Vec<(String, u16)>> = BTreeMap::new();
    let mut remarks = BTreeSet::new();
    for slice in slices.iter().filter(|slice| slice.endpoints.as_ref().is_some_and(|endpoints| !endpoints.is_empty())) {
        let name = slice.metadata.name.as_deref().unwrap_or_default();
        if !is_controllers(slice, service) {
            remarks.insert(format!(
                "EndpointSlice {name} is ignored, because it is not managed by the EndpointSlice controller"
            ));
            continue;
        }
        if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
            remarks.insert(format!("EndpointSlice {name} is ignored, because it does not contain IP addresses"));
            continue;
        }
        let Some(number) = port_of(slice, port) else {
            remarks.insert(format!(
                "EndpointSlice {name} is ignored, because it does not have the port {} of the Service. Check that the Pods \
                 have its targetPort",
                port.name.as_deref().map_or_else(|| port.port.to_string(), str::to_owned)
            ));
            continue;
        };
        for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| endpoint.is_ready()) {
            let target = endpoint.target_ref.as_ref().filter(|target| {
                target.kind == "Pod" && Some(&target.namespace) == service.metadata.namespace.as_ref()
            });
            let Some(target) = target else {
                remarks.insert(format!(
                    "an address of EndpointSlice {name} is ignored, because it does not belong to a Pod"
                ));
                continue;
            };
            let addresses = found.entry((target.name.clone(), target.uid.clone())).or_default();
            addresses.extend(endpoint.addresses.iter().map(|address| (address.clone(), number)));
        }
    }
    let target = port.target_port.clone().unwrap_or(IntOrString::Int(port.port));
    let candidate = |((pod, uid), addresses)| Candidate { pod, uid, addresses, target: target.clone() };
    let pods = found.into_iter().map(candidate).collect();
    Candidates { pods, remarks: remarks.into_iter().collect() }
}

/// Whether the EndpointSlice controller made the slice for the present Service. The author of a slice could pretend this,
/// so the Pods are checked as well.
fn is_controllers(slice: &BackendSlice, service: &ThinService) -> bool {
    let managed_by = slice.metadata.labels.as_ref().and_then(|labels| labels.get(MANAGED_BY));
    let owners = slice.metadata.owner_references.iter().flatten();
    let mut services = owners.filter(|owner| owner.kind == "Service" && owner.controller == Some(true));
    managed_by.is_some_and(|manager| manager == CONTROLLER)
        && service.metadata.uid.is_some()
        && services.any(|owner| Some(&owner.uid) == service.metadata.uid.as_ref())
}

/// The number of the Service's port in a slice.
fn port_of(slice: &BackendSlice, port: &ServicePort) -> Option<u16> {
    let same = |candidate: &&SlicePort| {
        candidate.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
            && candidate.protocol.as_deref().is_none_or(|protocol| protocol == "TCP")
    };
    let found = slice.ports.iter().flatten().find(same)?;
    u16::try_from(found.port?).ok().filter(|number| *number > 0)
}

impl Candidate {
    /// The replica behind this address. `stated` is `consumer.agentVersion`.
    ///
    /// Fails with why the Pod is not asked.
    pub(crate) fn replica(
        &self,
        pod: &BackendPod,
        selector: &BTreeMap<String, String>,
        reserved: &Reserved,
        stated: Option<&str>,
    ) -> Result<Replica, String> {
        if !matches(selector, pod.metadata.labels.as_ref()) {
            return Err("does not match the selector of the Service".to_owned());
        }
        if pod.spec.host_network {
            return Err("uses the host network, so its address is the address of its node".to_owned());
        }
        let node = node_addresses(pod);
        if node.is_empty() {
            return Err("does not show the address of its node yet, so its own address could be the same".to_owned());
        }
        let port = port_in(&pod.spec, &self.target).ok_or("does not have the targetPort of the Service")?;
        let own: Vec<IpAddr> = pod.status.pod_ips.iter().filter_map(|one| parse(&one.ip).ok()).collect();
        // One address is enough. It is the Pod's first one that a slice has.
        let mut known: Vec<(usize, IpAddr)> = Vec::new();
        for (text, given) in &self.addresses {
            let address = parse(text).map_err(|why| format!("has an address that the operator never calls: {why}"))?;
            let place = own.iter().position(|own| *own == address);
            let place = place.ok_or("does not have the address that an EndpointSlice lists for it")?;
            if node.contains(&address) {
                return Err("has the address of its node".to_owned());
            }
            reserved.check(address).map_err(|why| format!("has an address that the operator never calls: {why}"))?;
            if *given != port {
                return Err(format!("has port {port} for the Service, but an EndpointSlice lists port {given}"));
            }
            known.push((place, address));
        }
        let (_, address) = known.into_iter().min().ok_or("has no address")?;
        let version = version::of_agent(&images(pod, port), stated);
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Ok(Replica { address: SocketAddr::new(address, port), created, version })
    }
}

fn node_addresses(pod: &BackendPod) -> BTreeSet<IpAddr> {
    let all = pod.status.host_ip.iter().chain(pod.status.host_ips.iter().map(|one| &one.ip));
    all.filter_map(|address| parse(address).ok()).collect()
}

/// The port of a Pod that a Service means by its `targetPort`. The EndpointSlice controller finds it in the same way.
fn port_in(pod: &PodSpec, target: &IntOrString) -> Option<u16> {
    let number = match target {
        IntOrString::Int(number) => *number,
        IntOrString::String(name) => {
            let ports = pod.containers.iter().chain(&pod.init_containers).flat_map(|container| &container.ports);
            let mut tcp = ports.filter(|port| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP"));
            tcp.find(|port| port.name.as_ref() == Some(name))?.number
        }
    };
    u16::try_from(number).ok().filter(|number| *number > 0)
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

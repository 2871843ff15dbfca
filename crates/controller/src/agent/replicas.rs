//! From an agent's Service to the Pods that may be asked. Pure.
//!
//! The operator connects to addresses of EndpointSlices, whose author chooses them. So only the slices of the
//! EndpointSlice controller count, and each address must be that of a Pod of the same namespace that the Service selects.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use crd_types::PortRef;
use k8s_openapi::{api::core::v1::ServicePort, jiff::Timestamp};

use super::version::{self, Unsupported, Version};
use crate::{
    api::{
        backends::{BackendPod, BackendSlice, Container, SlicePort, matches},
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
        return Err("its type is ExternalName, so it leads to a name outside of the cluster");
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
                "EndpointSlice {name} is ignored, because the EndpointSlice controller does not manage it"
            ));
            continue;
        }
        if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
            remarks.insert(format!("EndpointSlice {name} is ignored, because it does not hold IP addresses"));
            continue;
        }
        let Some(number) = target_port(slice, port) else { continue };
        for endpoint in slice.endpoints.iter().flatten().filter(|endpoint| endpoint.is_ready()) {
            let target = endpoint.target_ref.as_ref().filter(|target| {
                target.kind == "Pod" && Some(&target.namespace) == service.metadata.namespace.as_ref()
            });
            let Some(target) = target else {
                remarks.insert(format!(
                    "an address of EndpointSlice {name} is not asked, because it is not that of a Pod"
                ));
                continue;
            };
            let addresses = found.entry((target.name.clone(), target.uid.clone())).or_default();
            addresses.extend(endpoint.addresses.iter().map(|address| (address.clone(), number)));
        }
    }
    let pods = found.into_iter().map(|((pod, uid), addresses)| Candidate { pod, uid, addresses }).collect();
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

/// The number of the Service's port in the Pods of a slice.
fn target_port(slice: &BackendSlice, port: &ServicePort) -> Option<u16> {
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
            return Err("uses the network of its node, so its address is not its own".to_owned());
        }
        let own: Vec<IpAddr> = pod.status.pod_ips.iter().filter_map(|one| parse(&one.ip).ok()).collect();
        // One address is enough. It is the Pod's first one that a slice has.
        let mut known: Vec<(usize, IpAddr, u16)> = Vec::new();
        for (text, port) in &self.addresses {
            let address = parse(text).map_err(|why| format!("has an address that is not called: {why}"))?;
            let place = own.iter().position(|own| *own == address);
            let place = place.ok_or("does not have the address that an EndpointSlice gives it")?;
            reserved.check(address).map_err(|why| format!("has an address that is not called: {why}"))?;
            known.push((place, address, *port));
        }
        let (_, address, port) = known.into_iter().min().ok_or("has no address")?;
        let version = match agents_container(&pod.spec.containers, port) {
            Some(container) => version::of_agent(&container.image, stated),
            None => version::of_agent("", stated),
        };
        let created = pod.metadata.creation_timestamp.as_ref().map(|time| time.0);
        Ok(Replica { address: SocketAddr::new(address, port), created, version })
    }
}

/// The container that runs the agent: the one with the agent's image or name, because a proxy beside it may own the port.
/// Otherwise the one that owns the port, or the only one.
fn agents_container(containers: &[Container], port: u16) -> Option<&Container> {
    fn only<'a>(mut found: impl Iterator<Item = &'a Container>) -> Option<&'a Container> {
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }
    let by_image = containers.iter().filter(|one| version::is_agents_image(&one.image));
    let by_name = containers.iter().filter(|one| one.name == "holmes");
    let owns = |one: &&Container| one.ports.iter().any(|owned| owned.container_port == i32::from(port));
    only(by_image)
        .or_else(|| only(by_name))
        .or_else(|| only(containers.iter().filter(owns)))
        .or_else(|| only(containers.iter()))
}

#[cfg(test)]
mod tests;

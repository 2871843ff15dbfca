//! Decides which Pods of a Service the operator may call, and at which addresses. Pure.
//!
//! The addresses come from EndpointSlices, and the author of an EndpointSlice chooses them. So only EndpointSlices of
//! the EndpointSlice controller count, and each address must belong to a Pod that the Service selects in its namespace.
//!
//! ```text
//! EndpointSlices ──► candidates ──► (get each Pod) ──► addresses
//!                        │                                │
//!                   Ignored slices                    PodRefused
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::{IpAddr, SocketAddr},
};

use detectors::{PortView, Protocol, ServiceView, TargetPort};
use toolset::{convert, pods::selects};

use super::address::{Refused, Reserved, parse};
use crate::api::backends::{BackendEndpoint, BackendPod, BackendSlice, Container, PodSpec, SlicePort};

/// A Pod that EndpointSlices name, before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) pod: String,
    pub(crate) uid: String,
    /// All addresses of the Pod in the slices, in the spelling of the slices, with the port.
    addresses: Vec<(String, u16)>,
}

/// The Pods that the EndpointSlices of a Service name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidates {
    /// Sorted by name and uid.
    pub(crate) pods: Vec<Candidate>,
    /// The slices that do not count, or with an address that does not count: the name and the reason.
    pub(crate) ignored: BTreeSet<(String, Ignored)>,
}

/// Why a slice, or one of its addresses, does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Ignored {
    /// The EndpointSlice controller did not create the slice for this Service.
    NotManaged,
    /// The slice contains names instead of addresses.
    NotIp,
    /// The slice does not have the port of the Service.
    NoPort,
    /// An address does not belong to a Pod of the namespace.
    NotPod,
}

/// Why the operator must not call a Pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PodRefused {
    NotSelected,
    /// The address of a Pod that has ended can belong to another Pod.
    Ended,
    HostNetwork,
    /// The address of the node is not known, so the Pod could have the same address.
    NodeUnknown,
    NodeAddress,
    /// The Pod does not have the target port of the Service.
    NoPort,
    /// A slice lists another port.
    OtherPort {
        own: u16,
        given: u16,
    },
    /// A slice lists an address that the Pod does not have.
    OtherAddress,
    NoAddress,
    /// The Pod has an address that the operator never calls.
    Reserved(Refused),
}

impl fmt::Display for PodRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSelected => f.write_str("does not match the selector of the Service"),
            Self::Ended => f.write_str("has ended, so its address can belong to another Pod"),
            Self::HostNetwork => f.write_str("uses the host network, so its address is the address of its node"),
            Self::NodeUnknown => {
                f.write_str("does not show the address of its node yet, so its own address could be the same")
            }
            Self::NodeAddress => f.write_str("has the address of its node"),
            Self::NoPort => f.write_str("does not have the targetPort of the Service"),
            Self::OtherPort { own, given } => {
                write!(f, "has port {own} for the Service, but an EndpointSlice lists port {given}")
            }
            Self::OtherAddress => f.write_str("does not have the address that an EndpointSlice lists for it"),
            Self::NoAddress => f.write_str("has no address"),
            Self::Reserved(why) => write!(f, "has an address that the operator never calls: {why}"),
        }
    }
}

/// The Pods that the slices name for a port of the Service. `counts` decides which endpoints count.
pub(crate) fn candidates(
    view: &ServiceView,
    port: &PortView,
    slices: &[BackendSlice],
    counts: impl Fn(&BackendEndpoint) -> bool,
) -> Candidates {
    let mut found: BTreeMap<(&str, &str), Vec<(String, u16)>> = BTreeMap::new();
    let mut ignored = BTreeSet::new();
    for slice in slices {
        let Some(endpoints) = slice.endpoints.as_deref().filter(|endpoints| !endpoints.is_empty()) else { continue };
        let mut ignore = |why| {
            ignored.insert((slice.metadata.name.clone().unwrap_or_default(), why));
        };
        let number = match port_of(view, port, slice) {
            Ok(number) => number,
            Err(why) => {
                ignore(why);
                continue;
            }
        };
        for endpoint in endpoints.iter().filter(|endpoint| counts(endpoint)) {
            let target = endpoint.target_ref.as_ref();
            let target = target.filter(|target| {
                target.kind == "Pod" && *target.namespace == *view.key.namespace && !target.uid.is_empty()
            });
            if let Some(target) = target {
                let addresses = found.entry((&target.name, &target.uid)).or_default();
                addresses.extend(endpoint.addresses.iter().map(|address| (address.clone(), number)));
            } else {
                ignore(Ignored::NotPod);
            }
        }
    }
    let candidate =
        |((pod, uid), addresses): ((&str, &str), _)| Candidate { pod: pod.to_owned(), uid: uid.to_owned(), addresses };
    Candidates { pods: found.into_iter().map(candidate).collect(), ignored }
}

/// The number that a slice gives to the port of the Service.
///
/// Fails if the slice does not count.
fn port_of(view: &ServiceView, port: &PortView, slice: &BackendSlice) -> Result<u16, Ignored> {
    if !is_controllers(view, slice) {
        return Err(Ignored::NotManaged);
    }
    if !matches!(slice.address_type.as_str(), "IPv4" | "IPv6") {
        return Err(Ignored::NotIp);
    }
    let is_same = |one: &&SlicePort| {
        one.name.as_deref().unwrap_or_default() == port.name.as_deref().unwrap_or_default()
            && is_tcp(one.protocol.as_deref())
    };
    let found = slice.ports.iter().flatten().find(is_same).and_then(|found| found.port);
    found.and_then(number).ok_or(Ignored::NoPort)
}

/// Whether the EndpointSlice controller created the slice for the current Service. The author of a slice can forge
/// this, so the operator also checks the Pods.
fn is_controllers(view: &ServiceView, slice: &BackendSlice) -> bool {
    let mut owners = slice.metadata.owner_references.iter().flatten();
    convert::is_managed(&slice.metadata)
        && view.uid != 0
        && convert::owning_service(&slice.metadata) == view.uid
        && owners.any(|owner| owner.kind == "Service" && owner.controller == Some(true))
}

impl Candidate {
    /// Whether `pod` is the Pod that the slices name, and is not being deleted.
    pub(crate) fn is(&self, pod: &BackendPod) -> bool {
        pod.metadata.uid.as_ref() == Some(&self.uid) && pod.metadata.deletion_timestamp.is_none()
    }

    /// The addresses at which the operator may call the Pod, in the order of the Pod, and at most one of each IP
    /// family.
    ///
    /// Fails if the operator must not call the Pod. One wrong address is enough, because it shows that the slices are
    /// not trustworthy.
    pub(crate) fn addresses(
        &self,
        pod: &BackendPod,
        view: &ServiceView,
        port: &PortView,
        reserved: &Reserved,
    ) -> Result<Vec<SocketAddr>, PodRefused> {
        if !selects(view, pod.metadata.labels.as_ref()) {
            return Err(PodRefused::NotSelected);
        }
        if matches!(pod.status.phase.as_str(), "Succeeded" | "Failed") {
            return Err(PodRefused::Ended);
        }
        if pod.spec.host_network {
            return Err(PodRefused::HostNetwork);
        }
        let node = node_addresses(pod);
        if node.is_empty() {
            return Err(PodRefused::NodeUnknown);
        }
        let own_port = port_in(&pod.spec, port).ok_or(PodRefused::NoPort)?;
        let own: Vec<IpAddr> = pod.status.pod_ips.iter().filter_map(|one| parse(&one.ip).ok()).collect();
        let mut known: BTreeSet<(usize, IpAddr)> = BTreeSet::new();
        for (text, given) in &self.addresses {
            let address = parse(text).map_err(PodRefused::Reserved)?;
            let place = own.iter().position(|own| *own == address).ok_or(PodRefused::OtherAddress)?;
            if node.contains(&address) {
                return Err(PodRefused::NodeAddress);
            }
            reserved.check(address).map_err(PodRefused::Reserved)?;
            if *given != own_port {
                return Err(PodRefused::OtherPort { own: own_port, given: *given });
            }
            known.insert((place, address));
        }
        let mut found: Vec<SocketAddr> = Vec::new();
        for (_, address) in known {
            if found.iter().all(|other| other.is_ipv4() != address.is_ipv4()) {
                found.push(SocketAddr::new(address, own_port));
            }
        }
        if found.is_empty() { Err(PodRefused::NoAddress) } else { Ok(found) }
    }
}

fn node_addresses(pod: &BackendPod) -> BTreeSet<IpAddr> {
    let all = pod.status.host_ip.iter().chain(pod.status.host_ips.iter().map(|one| &one.ip));
    all.filter_map(|address| parse(address).ok()).collect()
}

/// The port of a Pod to which the `targetPort` of a Service resolves. The EndpointSlice controller finds it in the same
/// way (`FindPort` in `pkg/api/v1/pod/util.go`).
fn port_in(pod: &PodSpec, port: &PortView) -> Option<u16> {
    let name = match &port.target {
        None => return Some(port.port),
        Some(TargetPort::Number(number)) => return Some(*number),
        Some(TargetPort::Name(name)) => name,
    };
    let sidecars = pod.init_containers.iter().filter(|one| one.restart_policy.as_deref() == Some("Always"));
    let ports = pod.containers.iter().chain(sidecars).flat_map(|container: &Container| &container.ports);
    let mut tcp = ports.filter(|port| is_tcp(port.protocol.as_deref()));
    number(tcp.find(|port| port.name.as_deref() == Some(name))?.number)
}

/// The port of the Service with this number, if it is TCP.
pub(crate) fn port_numbered(view: &ServiceView, number: u16) -> Option<&PortView> {
    view.ports.iter().find(|port| port.port == number && port.protocol == Protocol::Tcp)
}

/// An absent protocol means TCP.
fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

fn number(port: i32) -> Option<u16> {
    u16::try_from(port).ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests;

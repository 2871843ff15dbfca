//! A network for a controller, in which every packet that it sends is counted.
//!
//! The controller runs in a network namespace that has one cable. Another namespace at its end has every address: whatever
//! the controller calls, there is a machine that answers, or refuses because nobody listens. So an address that must not be
//! called is as easy to reach as a Pod. The API server is reached through a relay on the loopback address.

mod capture;
mod namespace;
mod relay;
mod server;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};

use self::{capture::Capture, namespace::Namespace, relay::Relay};
pub use self::{
    capture::{Kind, Packet, counted},
    server::PodServer,
};
use super::Reply;

/// The operator's own address. It is in no range of the Pods.
const OPERATOR: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 2);
const OPERATOR_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 2);
/// The other end of the cable.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 168, 77, 1);
const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 0, 0, 0, 0, 0, 1);

/// A network. It ends with its last clone.
#[derive(Clone, Debug)]
pub struct Network(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    /// The ports of the relays to the API server.
    relays: Mutex<Vec<(u16, Relay)>>,
    cable: Capture,
    loopback: Capture,
    operator: Arc<Namespace>,
    pods: Namespace,
}

impl Network {
    /// What a machine needs to have such a network.
    pub const NEEDS: &str =
        "a network of its own needs root, and the programs unshare and ip of util-linux and iproute2";
    /// The addresses of the controller.
    pub const OPERATOR: [IpAddr; 2] = [IpAddr::V4(OPERATOR), IpAddr::V6(OPERATOR_V6)];

    /// Creates a network. `None` if this machine does not allow it.
    pub fn create() -> Result<Option<Self>> {
        let has_ip = std::process::Command::new("ip").arg("-V").output().is_ok();
        let (Some((operator, _operator)), Some((pods, maker)), true) =
            (Namespace::create()?, Namespace::create()?, has_ip)
        else {
            return Ok(None);
        };
        // They see everything from the first packet on.
        let cable = operator.inside(Capture::of_cable)?;
        let loopback = operator.inside(Capture::of_loopback)?;
        operator.ip(&format!("link add cable type veth peer name cable netns {}", maker.pid()))?;
        for (namespace, v4, v6) in [(&operator, OPERATOR, OPERATOR_V6), (&pods, GATEWAY, GATEWAY_V6)] {
            namespace.ip("link set lo up")?;
            namespace.ip("link set cable addrgenmode none")?;
            namespace.ip("link set cable up")?;
            namespace.ip(&format!("addr add {v4}/24 dev cable"))?;
            namespace.ip(&format!("addr add {v6}/64 dev cable nodad"))?;
        }
        operator.ip(&format!("route add default via {GATEWAY}"))?;
        operator.ip(&format!("-6 route add default via {GATEWAY_V6}"))?;
        // Every address is local there, but for the operator's.
        for (family, all, operator) in
            [("-4", "0.0.0.0/0", OPERATOR.to_string()), ("-6", "::/0", OPERATOR_V6.to_string())]
        {
            pods.ip(&format!("{family} route add {operator} dev cable table local"))?;
            pods.ip(&format!("{family} route add local {all} dev lo"))?;
        }
        let relays = Mutex::default();
        Ok(Some(Self(Arc::new(Ends { relays, cable, loopback, operator: Arc::new(operator), pods }))))
    }

    /// Serves an address and port. The address `0.0.0.0` or `::` serves all of that family that nobody else serves.
    pub fn serve(&self, at: SocketAddr, reply: Reply) -> Result<PodServer> {
        PodServer::start(self.0.pods.inside(|| server::listen(at))?, reply)
    }

    /// From now on, this address takes every packet and gives no answer.
    pub fn swallow(&self, address: IpAddr) -> Result<()> {
        let family = if address.is_ipv6() { "-6" } else { "-4" };
        self.0.pods.ip(&format!("{family} route add blackhole {address} table local"))
    }

    /// All packets that have left the operator by the cable so far, and the connections on its loopback interface that
    /// lead neither to the API server nor to these ports of its own.
    pub fn packets(&self, own: &[u16]) -> Vec<Packet> {
        let relays = self.0.relays.lock().unwrap_or_else(PoisonError::into_inner);
        let is_expected = |packet: &Packet| {
            let port = packet.port;
            packet.to == Ipv4Addr::LOCALHOST && (own.contains(&port) || relays.iter().any(|(relay, _)| *relay == port))
        };
        let local = self.0.loopback.packets().into_iter().filter(|packet| !is_expected(packet));
        self.0.cable.packets().into_iter().chain(local).collect()
    }

    /// Fails if the interface has sent more packets than were seen, so that a count of 0 is a proof.
    pub fn require_complete(&self) -> Result<()> {
        let sent = self.0.operator.inside(|| {
            let path = "/proc/thread-self/net/dev";
            let table = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
            let line =
                table.lines().find_map(|line| line.trim().strip_prefix("cable:")).context("there is no cable")?;
            // Eight columns for what was received, then bytes and packets.
            line.split_whitespace().nth(9).and_then(|count| count.parse::<u64>().ok()).context("it has no count")
        })?;
        let seen = self.0.cable.frames();
        ensure!(seen >= sent, "{sent} packets were sent, and {seen} were seen");
        Ok(())
    }

    /// Lets the operator reach a local port of the test.
    pub(super) fn offer(&self, port: u16) -> Result<()> {
        let mut relays = self.0.relays.lock().unwrap_or_else(PoisonError::into_inner);
        if relays.iter().all(|(offered, _)| *offered != port) {
            relays.push((port, Relay::out_of(&self.0.operator, port)?));
        }
        Ok(())
    }

    /// Lets the test reach a local port of the operator.
    pub(super) fn expose(&self, port: u16) -> Result<Door> {
        Ok(Door(Relay::into(self.0.operator.clone(), port)?))
    }

    /// Does something where the operator is: sockets and processes that it makes are in the operator's network.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.0.operator.inside(work)
    }
}

/// A port of the operator that the test can reach. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Door(#[allow(dead_code, reason = "it is dropped")] Relay);

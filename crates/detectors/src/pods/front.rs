//! Which container a port of a Service reaches.

use std::collections::BTreeMap;

use super::{
    container::{Container, Listening},
    identify::{Identity, identify},
    view::PodView,
};
use crate::view::{PortView, Protocol, TargetPort};

/// A container that runs while the Pod runs.
pub(crate) struct Running<'a> {
    pub container: Container<'a>,
    pub identity: Identity,
    /// Where the product or the proxy listens.
    pub listening: Option<Listening>,
}

impl Running<'_> {
    /// Whether the container declares this port, or listens there, or does not say where it listens.
    pub(crate) fn says_nothing_else_than(&self, port: u16) -> bool {
        let mut declared = self.container.view.ports.iter().filter(|one| one.protocol == Protocol::Tcp).peekable();
        let is_silent = declared.peek().is_none();
        declared.any(|one| one.container_port == port)
            || is_silent && self.can_listen_on(port)
            || self.listening.as_ref().is_some_and(|listening| listening.ports.contains(&port))
    }

    /// Whether the program listens on this port, or a file can let it.
    pub(crate) fn can_listen_on(&self, port: u16) -> bool {
        self.listening.as_ref().is_none_or(|listening| listening.is_open || listening.ports.contains(&port))
    }
}

/// The containers of a Pod, by what leads to them.
pub(crate) struct Containers<'a> {
    pub all: Vec<Running<'a>>,
    /// Names of declared TCP ports.
    names: BTreeMap<&'a str, (usize, u16)>,
    /// Numbers of declared TCP ports.
    declared: BTreeMap<u16, Vec<usize>>,
    /// Ports on which a setting lets a container listen.
    stated: BTreeMap<u16, usize>,
    /// Ports on which a container listens without a setting.
    default: BTreeMap<u16, usize>,
}

impl<'a> Containers<'a> {
    /// The containers, and the init containers that run beside them.
    /// <https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/>
    pub(crate) fn of(pod: &'a PodView) -> Self {
        let sidecars =
            pod.init_containers.iter().filter(|container| container.restart_policy.as_deref() == Some("Always"));
        let mut containers = Self {
            all: Vec::new(),
            names: BTreeMap::new(),
            declared: BTreeMap::new(),
            stated: BTreeMap::new(),
            default: BTreeMap::new(),
        };
        for view in pod.containers.iter().chain(sidecars) {
            let container = Container::of(view);
            let identity = identify(&container);
            let listening = listening(&container, identity);
            containers.add(Running { container, identity, listening });
        }
        containers
    }

    fn add(&mut self, running: Running<'a>) {
        let at = self.all.len();
        for port in running.container.view.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
            if let Some(name) = &port.name {
                self.names.entry(name).or_insert((at, port.container_port));
            }
            self.declared.entry(port.container_port).or_default().push(at);
        }
        if let Some(listening) = &running.listening {
            let ports = if listening.stated { &mut self.stated } else { &mut self.default };
            for port in &listening.ports {
                ports.entry(*port).or_insert(at);
            }
        }
        self.all.push(running);
    }

    /// The container that a port of the Service reaches, and the number of its port.
    pub(crate) fn reached_by(&self, port: &PortView) -> Option<(&Running<'a>, u16)> {
        let number = match &port.target {
            Some(TargetPort::Number(number)) => *number,
            Some(TargetPort::Name(name)) => match (self.names.get(&**name), name.parse()) {
                (Some((at, number)), _) => return Some((self.all.get(*at)?, *number)),
                (None, Ok(number)) => number,
                (None, Err(_)) => return None,
            },
            None => port.port,
        };
        Some((self.all.get(self.with_port(number, true)?)?, number))
    }

    /// The container that a proxy in the Pod reaches.
    pub(crate) fn reached_inside(&self, number: u16) -> Option<&Running<'a>> {
        self.all.get(self.with_port(number, false)?)
    }

    /// The only product of the Pod.
    pub(crate) fn only_product(&self) -> Option<&Running<'a>> {
        let mut products = self.all.iter().filter(|running| matches!(running.identity, Identity::Product(..)));
        products.next().filter(|_| products.next().is_none())
    }

    fn with_port(&self, number: u16, from_outside: bool) -> Option<usize> {
        let is_reached = |at: &usize| {
            let listening = self.all.get(*at).and_then(|running| running.listening.as_ref());
            !from_outside || listening.is_none_or(|listening| !listening.only_in_pod)
        };
        let stated = self.stated.get(&number).copied().filter(is_reached);
        let declared = || self.declared.get(&number).and_then(|all| self.of_declared(all, number));
        let default = || self.default.get(&number).copied();
        let only = || if self.all.len() == 1 { Some(0) } else { None };
        stated.or_else(declared).or_else(default).or_else(only)
    }

    /// Which of the containers that declare a port listens on it. Rancher's Grafana declares the port of the proxy beside
    /// it.
    fn of_declared(&self, all: &[usize], number: u16) -> Option<usize> {
        let listens_elsewhere = |at: &usize| {
            let listening = self.all.get(*at).and_then(|running| running.listening.as_ref());
            listening.is_some_and(|listening| !listening.ports.contains(&number))
        };
        let is_proxy = |running: &Running<'_>| match running.identity {
            Identity::Proxy(proxy, _) => proxy.is_by_file() && running.container.view.ports.is_empty(),
            Identity::NamedProxy => running.container.view.ports.is_empty(),
            _ => false,
        };
        let is_product =
            |at: &usize| self.all.get(*at).is_some_and(|running| matches!(running.identity, Identity::Product(..)));
        let sure = all.iter().copied().find(|at| !listens_elsewhere(at));
        let first = all.first().copied()?;
        let proxy = || {
            if is_product(&first) { self.all.iter().position(is_proxy) } else { None }
        };
        sure.or_else(proxy).or(Some(first))
    }
}

fn listening(container: &Container<'_>, identity: Identity) -> Option<Listening> {
    match identity {
        Identity::Product(program, _) => Some(container.listening(&program.listen)),
        Identity::Proxy(proxy, _) if !proxy.is_by_file() => {
            let all = proxy.listening(container);
            let stated: Vec<u16> = all.iter().filter(|(.., by)| by.is_some()).map(|(port, ..)| *port).collect();
            let is_stated = !stated.is_empty();
            let ports = if is_stated { stated } else { all.iter().map(|(port, ..)| *port).collect() };
            Some(Listening { ports, stated: is_stated, only_in_pod: false, is_open: false })
        }
        _ => None,
    }
}

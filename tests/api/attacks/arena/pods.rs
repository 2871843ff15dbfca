//! The Pods of the platform and of the tenant, and what answers at their addresses.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use anyhow::{Result, ensure};
use e2e::harness::{
    Backend, Reply,
    net::{Kind, Network, Packet, PodServer},
    prelude::*,
};
use k8s_openapi::api::core::v1::Service;
use serde_json::json;

use super::Arena;

/// The deadline for probes. A namespace gets one request per second, and a Service that failed is probed again later.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The port of the Pods behind the tenant's Services.
pub(crate) const PORT: u16 = 9090;

impl Arena<'_> {
    /// A ready Pod behind one of the tenant's Services, as the kubelet would run it.
    pub(crate) async fn backend(&self, service: &Service) -> Result<Backend> {
        self.world.backend(service).await
    }

    /// A ready Pod behind one of the tenant's Services, with a server of this kind.
    pub(crate) async fn pod(&self, service: &Service, reply: Reply) -> Result<(Backend, PodServer)> {
        pod(self.world, &self.network, service, PORT, reply).await
    }

    /// A ready Pod behind a Service. Its address accepts every packet and sends no response.
    pub(crate) async fn backend_without_server(&self, service: &Service) -> Result<SocketAddr> {
        let container = json!({"name": "app", "image": "app.example/app:1", "ports": [{"containerPort": PORT}]});
        let backend = Backend::not_ready(&self.world.client(), service, container).await?;
        let at = socket(&backend, PORT)?;
        self.network.swallow(at.ip())?;
        backend.set_ready(true).await?;
        Ok(at)
    }

    /// The Pod of an honest tool. Grafana is the first.
    pub(crate) fn control(&self, number: usize) -> &PodServer {
        &self.controls[number]
    }

    /// Waits until the operator has probed every honest tool twice from now on, and these packets are counted. This
    /// shows that the operator sends probes, and that the test sees its packets.
    pub(crate) async fn controls_are_probed(&self) -> Result<()> {
        let before: Vec<_> = self.controls.iter().map(|control| (control, self.probed(control))).collect();
        within(PATIENCE, "the honest tools are probed", async || {
            for (control, (requests, packets)) in &before {
                let (more_requests, more_packets) = self.probed(control);
                let at = control.address();
                ensure!(more_requests >= requests + 2, "{at} has had {more_requests} requests, {requests} before");
                ensure!(more_packets >= packets + 2, "{at} was sent {more_packets} packets, {packets} before");
            }
            Ok(())
        })
        .await
    }

    /// The number of requests to a Pod, and the number of packets that opened a connection to it.
    fn probed(&self, control: &PodServer) -> (usize, usize) {
        let at = control.address();
        let packets = self.packets();
        let opens = |packet: &&Packet| {
            packet.kind == (Kind::Tcp { opens: true }) && SocketAddr::new(packet.to, packet.port) == at
        };
        (control.requests().len(), packets.iter().filter(opens).count())
    }
}

/// A ready Pod behind a Service. Its server listens before the Pod is ready.
pub(super) async fn pod(
    world: &World,
    network: &Network,
    service: &Service,
    port: u16,
    reply: Reply,
) -> Result<(Backend, PodServer)> {
    let container = json!({"name": "app", "image": "app.example/app:1", "ports": [{"containerPort": port}]});
    let backend = Backend::not_ready(&world.client(), service, container).await?;
    let server = network.serve(socket(&backend, port)?, reply)?;
    backend.set_ready(true).await?;
    Ok((backend, server))
}

/// The address at which a Pod is called.
pub(crate) fn socket(backend: &Backend, port: u16) -> Result<SocketAddr> {
    Ok(SocketAddr::new(backend.address().parse::<IpAddr>()?, port))
}

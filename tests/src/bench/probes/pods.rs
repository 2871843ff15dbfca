//! The Pods that are probed, in the network of the operators. Most answer. The others do what delays a probe the most.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::Api;
use serde_json::json;

use crate::harness::{
    Backend, Reply, World,
    net::{Network, PodServer},
    services::ServiceBuilder,
    within,
};

use super::PATIENCE;

/// How many Pods are created at once.
const AT_ONCE: usize = 8;
/// The port of the targets.
const PORT: u16 = 3000;
/// The port of the other tools.
const OTHER_PORT: u16 = 9090;
/// One target in ten hangs.
const HANGING: usize = 10;
/// What every Pod answers that answers.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nOK\n";

/// What answers at the addresses of the Pods.
pub(super) struct Pods {
    network: Network,
    /// It answers at every address that nobody else has.
    targets: PodServer,
    _others: PodServer,
    hanging: Vec<PodServer>,
}

/// What a target does with a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Answers,
    /// Accepts the connection and never answers.
    Silent,
    /// Never accepts the connection.
    Away,
}

/// The numbers of targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) all: usize,
    pub(super) good: usize,
}

impl Pods {
    pub(super) fn start(network: Network) -> Result<Self> {
        let any = |port| SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port);
        let [targets, others] = [PORT, OTHER_PORT].map(|port| network.serve(any(port), Reply::Bytes(ANSWER.into())));
        Ok(Self { targets: targets?, _others: others?, network, hanging: Vec::new() })
    }

    /// Creates so many targets with ready Pods, in these namespaces in turn, and waits for their EndpointSlices.
    pub(super) async fn create(
        &mut self,
        world: &World,
        prefix: &str,
        count: usize,
        namespaces: &[String],
    ) -> Result<Numbers> {
        let network = &self.network;
        let create = async |(number, namespace): (usize, &String)| {
            let service = world.create(&grafana(namespace, &format!("{prefix}-{number:05}"))).await?;
            let container = json!({"name": "app", "image": "app.example/app:1"});
            let backend = Backend::not_ready(&world.client(), &service, container).await?;
            let at = SocketAddr::new(backend.address().parse()?, PORT);
            let server = match kind(number, namespaces.len()) {
                Target::Answers => None,
                Target::Silent => Some(network.serve(at, Reply::Nothing)?),
                Target::Away => {
                    network.swallow(at.ip())?;
                    None
                }
            };
            backend.set_ready(true).await?;
            anyhow::Ok(server)
        };
        let all = (0..count).zip(namespaces.iter().cycle());
        let servers: Vec<_> = stream::iter(all).map(create).buffer_unordered(AT_ONCE).try_collect().await?;
        self.hanging.extend(servers.into_iter().flatten());
        let slices: Api<EndpointSlice> = Api::all(world.client());
        within(PATIENCE, "every target has an endpoint", async || {
            let slices = slices.list(&kube::api::ListParams::default()).await?.items;
            let has_endpoint = |slice: &&EndpointSlice| {
                let name = slice.metadata.name.as_deref().unwrap_or_default();
                name.starts_with(prefix) && slice.endpoints.iter().any(is_ready)
            };
            let ready = slices.iter().filter(has_endpoint).count();
            if ready < count {
                tokio::time::sleep(super::PAUSE).await;
            }
            anyhow::ensure!(ready >= count, "{ready} of {count} have");
            Ok(())
        })
        .await?;
        let good = (0..count).filter(|number| kind(*number, namespaces.len()) == Target::Answers).count();
        Ok(Numbers { all: count, good })
    }

    /// The targets with this prefix that were asked since the start, of those that answer.
    pub(super) fn asked(&self, prefix: &str) -> Result<BTreeSet<String>> {
        let requests = self.targets.requests();
        let hosts = requests.iter().map(|request| {
            let host = request.lines().find_map(|line| line.strip_prefix("host: "));
            host.context("a probe names no host")
        });
        let hosts: Vec<&str> = hosts.collect::<Result<_>>()?;
        Ok(hosts.into_iter().filter(|host| host.starts_with(prefix)).map(str::to_owned).collect())
    }
}

fn is_ready(endpoint: &k8s_openapi::api::discovery::v1::Endpoint) -> bool {
    endpoint.conditions.as_ref().and_then(|conditions| conditions.ready) == Some(true)
}

/// One in ten hangs, in one way or the other, and they are in different namespaces as far as there are enough.
fn kind(number: usize, namespaces: usize) -> Target {
    let place = number / namespaces + number % namespaces;
    match (place % HANGING, place / HANGING % 2) {
        (0, 0) => Target::Silent,
        (0, _) => Target::Away,
        _ => Target::Answers,
    }
}

fn grafana(namespace: &str, name: &str) -> Service {
    let pods = [("app.kubernetes.io/name", "grafana"), ("app.kubernetes.io/instance", name)];
    let port = i32::from(PORT);
    ServiceBuilder::new(namespace, name).labels(&pods).selector(&pods).port("http", port, port).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_target_in_ten_hangs_in_half_of_the_namespaces_and_half_of_these_accept() {
        let of = |target| (0..200).filter(|number| kind(*number, 40) == target).collect::<Vec<_>>();
        let [silent, away] = [Target::Silent, Target::Away].map(of);
        assert_eq!((silent.len(), away.len()), (10, 10));
        let namespaces: BTreeSet<_> = silent.iter().chain(&away).map(|number| number % 40).collect();
        assert_eq!(namespaces.len(), 20);
    }

    #[test]
    fn one_target_in_ten_hangs_if_they_share_a_namespace() {
        let of = |target| (0..200).filter(|number| kind(*number, 1) == target).count();
        assert_eq!((of(Target::Silent), of(Target::Away)), (10, 10));
    }
}

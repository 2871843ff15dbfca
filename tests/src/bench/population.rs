//! Services as in a cluster, with many applications and some observability systems.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::{
    api::core::v1::{Namespace, Service},
    api::discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams},
};
use serde_json::{from_value, json};

use super::report::print;
use crate::{controlplane::controllers_run, harness::within};

/// How many requests are in progress at once.
const AT_ONCE: usize = 32;

/// The number of Services in each namespace.
pub(super) const PER_NAMESPACE: usize = 50;
/// How long the EndpointSlice controller may take, with a low estimate of its rate.
const PUBLISHED: Duration = Duration::from_secs(1800);

/// This number of Services, of which one in `one_in` is an observability system. The benchmark of the pipeline
/// (`crates/toolset/benches/recognise.rs`) uses the same mix.
pub(super) fn services(count: usize, one_in: usize) -> Result<Vec<Service>> {
    spread(count, one_in, &namespaces(count.div_ceil(PER_NAMESPACE)))
}

/// The same, in these namespaces in turn.
pub(super) fn spread(count: usize, one_in: usize, namespaces: &[String]) -> Result<Vec<Service>> {
    let namespaces = namespaces.iter().cycle();
    (0..count).zip(namespaces).map(|(number, namespace)| service(number, one_in, namespace)).collect()
}

/// The names of this number of namespaces.
pub(super) fn namespaces(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("team-{number}")).collect()
}

/// This number of observability systems in one namespace.
pub(super) fn tools(namespace: &str, count: usize) -> Result<Vec<Service>> {
    (0..count).map(|number| service(number, 1, namespace)).collect()
}

/// Whether a Service of the population is an observability system.
pub(super) fn is_tool(service: &Service) -> bool {
    !service.name_any().starts_with("checkout")
}

/// Creates the Services, and their namespaces if they do not exist.
pub(super) async fn create(client: &Client, services: &[Service]) -> Result<()> {
    let names: BTreeSet<_> = services.iter().filter_map(ResourceExt::namespace).collect();
    let namespaces: Api<Namespace> = Api::all(client.clone());
    all(&names, async |name| {
        let namespace = from_value(json!({"metadata": {"name": name}})).map_err(kube::Error::SerdeError)?;
        match namespaces.create(&PostParams::default(), &namespace).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            other => other.map(drop),
        }
    })
    .await?;
    all(services, async |service| {
        let api: Api<Service> = Api::namespaced(client.clone(), &service.namespace().unwrap_or_default());
        api.create(&PostParams::default(), service).await.map(drop)
    })
    .await
}

async fn all<T>(objects: impl IntoIterator<Item = T>, create: impl AsyncFn(T) -> kube::Result<()>) -> Result<()> {
    let requests = stream::iter(objects).map(|object| create(object));
    requests.buffer_unordered(AT_ONCE).try_for_each(async |()| Ok(())).await.context("cannot create the population")
}

/// Creates the Services, and waits until the EndpointSlice controller has made their slices, because it must not
/// compete with the measurement.
pub(super) async fn create_and_settle(client: &Client, services: &[Service]) -> Result<()> {
    print(&format!("creating {} Services", services.len()));
    let started = Instant::now();
    let before = endpoint_slices(client).await?;
    create(client, services).await?;
    let created = started.elapsed();
    if controllers_run() {
        within(PUBLISHED, "every Service has an EndpointSlice", async || {
            let slices = endpoint_slices(client).await? - before;
            if slices < services.len() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            ensure!(slices >= services.len(), "{slices} of {} have", services.len());
            Ok(())
        })
        .await?;
    }
    let (created, settled) = (created.as_secs_f64(), started.elapsed().as_secs_f64());
    print(&format!("created after {created:.0} s, their EndpointSlices after {settled:.0} s"));
    Ok(())
}

/// How many EndpointSlices there are.
async fn endpoint_slices(client: &Client) -> Result<usize> {
    let api: Api<EndpointSlice> = Api::all(client.clone());
    let page = api.list_metadata(&ListParams::default().limit(1)).await?;
    let rest = page.metadata.remaining_item_count.unwrap_or_default();
    Ok(page.items.len() + usize::try_from(rest)?)
}

/// An application as a chart labels it, or one of four products.
fn service(number: usize, one_in: usize, namespace: &str) -> Result<Service> {
    let (name, component, port, port_number) = match (number % one_in, number / one_in % 4) {
        (0, 0) => ("prometheus", Some("server"), "http", 9090),
        (0, 1) => ("grafana", None, "service", 3000),
        (0, 2) => ("loki", Some("gateway"), "http", 80),
        (0, _) => ("jaeger", Some("query"), "query", 16686),
        _ => ("checkout", Some("api"), "http", 8080),
    };
    let instance = format!("{name}-{number}");
    let mut labels = json!({
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/version": "1.2.3",
        "helm.sh/chart": "chart-1.2.3",
    });
    if let Some(component) = component {
        labels["app.kubernetes.io/component"] = component.into();
    }
    let service = json!({
        "metadata": {"namespace": namespace, "name": instance, "labels": labels},
        "spec": {
            "selector": {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": instance},
            "ports": [
                {"name": port, "port": port_number, "targetPort": port_number},
                {"name": "metrics", "port": 9100, "targetPort": 9100},
            ],
        },
    });
    Ok(from_value(service)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_so_many_services_is_an_observability_system() {
        let services = services(1000, 50).unwrap();
        assert_eq!(services.len(), 1000);
        assert_eq!(services.iter().filter(|service| is_tool(service)).count(), 20);
        let mut keys: Vec<_> = services.iter().map(|service| (service.namespace(), service.name_any())).collect();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), 1000);
        let mut namespaces: Vec<_> = keys.into_iter().filter_map(|(namespace, _)| namespace).collect();
        namespaces.dedup();
        assert_eq!(namespaces.len(), 20);
        assert!(tools("here", 14).unwrap().iter().all(is_tool));
    }
}

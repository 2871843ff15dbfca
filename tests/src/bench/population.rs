//! Services as a cluster has them: many applications, some observability systems.

use anyhow::{Context as _, Result};
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

/// How many requests are under way at once.
const AT_ONCE: usize = 32;

/// So many Services, one in `one_in` of them an observability system, fifty to a namespace. The same mix as in the
/// benchmark of the pure part (`crates/toolset/benches/recognise.rs`).
pub(super) fn services(count: usize, one_in: usize) -> Result<Vec<Service>> {
    (0..count).map(|number| service(number, one_in, count.div_ceil(50))).collect()
}

/// Whether a Service of the population is an observability system.
pub(super) fn is_tool(service: &Service) -> bool {
    !service.name_any().starts_with("checkout")
}

/// Creates them and their namespaces.
pub(super) async fn create(client: &Client, services: &[Service]) -> Result<()> {
    let mut namespaces: Vec<_> = services.iter().filter_map(ResourceExt::namespace).collect();
    namespaces.sort();
    namespaces.dedup();
    let api: Api<Namespace> = Api::all(client.clone());
    let namespaces = namespaces.iter().map(|name| from_value(json!({"metadata": {"name": name}})));
    let namespaces = namespaces.collect::<Result<Vec<Namespace>, _>>()?;
    create_all(&namespaces, async |namespace| api.create(&PostParams::default(), namespace).await).await?;
    create_all(services, async |service| {
        let namespace = service.namespace().unwrap_or_default();
        Api::<Service>::namespaced(client.clone(), &namespace).create(&PostParams::default(), service).await
    })
    .await
}

async fn create_all<K>(objects: &[K], create: impl AsyncFn(&K) -> kube::Result<K>) -> Result<()> {
    let requests = stream::iter(objects).map(|object| create(object));
    requests.buffer_unordered(AT_ONCE).try_for_each(|_| async { Ok(()) }).await.context("cannot create the population")
}

/// How many EndpointSlices there are.
pub(super) async fn endpoint_slices(client: &Client) -> Result<usize> {
    let api: Api<EndpointSlice> = Api::all(client.clone());
    let page = api.list_metadata(&ListParams::default().limit(1)).await?;
    let rest = page.metadata.remaining_item_count.unwrap_or_default();
    Ok(page.items.len() + usize::try_from(rest)?)
}

/// An application as a chart labels it, or one of four products.
fn service(number: usize, one_in: usize, namespaces: usize) -> Result<Service> {
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
        "metadata": {"namespace": format!("team-{}", number % namespaces), "name": instance, "labels": labels},
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
    }
}

//! The arena of the attacks: a platform with trusted tools, a tenant with one honest tool, the admin of the tenant's
//! namespace, and an operator whose packets are counted.

mod pods;
mod rejected;
mod unchanged;

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Result;
use e2e::{
    controlplane,
    harness::{
        Account, Controller, DEFAULT_CONFIG_MAP, Reply,
        net::{Network, PodServer},
        prelude::*,
        services::{self, ServiceBuilder},
    },
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{ConfigMap, Pod, Service},
        discovery::v1::EndpointSlice,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

pub(crate) use self::{
    pods::{PATIENCE, PORT, socket},
    rejected::Attack,
};
use crate::{
    stage::{CONFIG, over},
    tenants::{announced, sources},
};

/// The index of the trusted tool whose product is not certain.
pub(crate) const VAGUE: usize = 2;

/// The address of the Service of the API server.
const API_SERVER: &str = "10.96.0.1";

/// Everything that a module needs.
pub(crate) struct Arena<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) network: Network,
    pub(crate) controller: Controller,
    /// The ports of all operators so far.
    own_ports: Vec<u16>,
    /// The namespace of the trusted Prometheus. A namespace gets one request per second. Each trusted tool has its own
    /// namespace, so that each is probed every second.
    pub(crate) platform: String,
    /// The namespace of the trusted Grafana.
    pub(crate) dashboards: String,
    pub(crate) tenant: String,
    pub(crate) agent: String,
    /// The admin of the tenant's namespace.
    pub(crate) admin: Client,
    /// An admin of the same namespace who may also write EndpointSlices, as in some clusters.
    pub(crate) with_slices: Client,
    /// The Pods of the honest tools, which are probed.
    controls: Vec<PodServer>,
    /// The servers that respond at every other address.
    _servers: Vec<PodServer>,
    /// The output before the attacks.
    calm: ConfigMap,
}

impl<'a> Arena<'a> {
    /// Starts an operator for the platform and the tenant. `spec` is merged into the spec.
    pub(crate) async fn set(world: &'a mut World, network: Network, spec: Value) -> Result<Self> {
        let (platform, dashboards) = (world.namespace("platform").await?, world.namespace("dashboards").await?);
        let metrics = world.namespace("metrics").await?;
        let (tenant, agent) = (world.namespace("tenant").await?, world.namespace("agent").await?);
        let [admin, with_slices] = [account(world, &tenant, "admin").await?, account(world, &tenant, "more").await?];
        let slices = json!([{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["*"]}]);
        with_slices.grant(&tenant, "endpoint-slices", &slices).await?;
        let clients = [client(&admin, &tenant).await?, client(&with_slices, &tenant).await?];

        let options = options(&network, &agent);
        let controller = world.start_controller(options).await?;
        let mut servers = Vec::new();
        // These servers respond at all addresses without another server. So a call to a forbidden address would
        // succeed.
        for any in ["0.0.0.0", "::"] {
            for port in [80, 443, 3000, 9090] {
                servers.push(network.serve(SocketAddr::new(any.parse()?, port), Reply::Bytes(ANSWER.into()))?);
            }
        }
        // The product of this Service is not certain, so it gets identity probes. It responds with a redirect.
        let vague = ServiceBuilder::new(&metrics, "prometheus").port("http", 9090, 9090).build();
        let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/graph\r\ncontent-length: 0\r\n\r\n";
        let mut controls = Vec::new();
        for (service, port, answer) in [
            (services::grafana(&dashboards), 3000, ANSWER),
            (services::prometheus_server(&platform), PORT, ANSWER),
            (vague, PORT, elsewhere),
            (announced(&tenant, "honest").build(), PORT, ANSWER),
        ] {
            let service = world.create(&service).await?;
            controls.push(pods::pod(world, &network, &service, port, Reply::Bytes(answer.into())).await?.1);
        }
        let probe = json!({"periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 3, "successThreshold": 1});
        let probing = json!({
            "sources": sources(&[&platform, &dashboards, &metrics], &tenant),
            "health": {"mode": "Probe", "withholdAfterSeconds": 0, "probe": probe},
            "evidence": {"identity": "Probe"},
        });
        let spec = over(probing, spec);
        world.configure(&agent, CONFIG, &spec).await?;
        let honest = format!("honest-{tenant}");
        let names = ["grafana", "prometheus", "prometheus-server", &honest];
        world.tools(&agent, "lists all honest tools", |tools| tools.names() == names).await?;
        let output: Api<ConfigMap> = world.api(&agent);
        let calm = output.get(DEFAULT_CONFIG_MAP).await?;
        let [admin, with_slices] = clients;
        Ok(Self {
            world,
            network,
            own_ports: vec![controller.health_port(), controller.metrics_port()],
            controller,
            platform,
            dashboards,
            tenant,
            agent,
            admin,
            with_slices,
            controls,
            _servers: servers,
            calm,
        })
    }

    /// Kills the operator.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.controller.process().kill()
    }

    /// Starts another operator.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        // The operator has more objects to read than usual.
        let options = ControllerOptions { do_not_wait: true, ..options(&self.network, &self.agent) };
        self.controller = self.world.start_controller(options).await?;
        self.own_ports.extend([self.controller.health_port(), self.controller.metrics_port()]);
        Ok(())
    }

    /// A Service of the tenant that opts in as a Prometheus.
    pub(crate) fn announced(&self, name: &str) -> ServiceBuilder {
        announced(&self.tenant, name)
    }

    /// Waits until `is` is true for the ToolsetConfig, and returns it.
    pub(crate) async fn config_is(&self, what: &str, is: impl Fn(&DynamicObject) -> bool) -> Result<DynamicObject> {
        present(&toolset_configs(&self.world.client(), &self.agent), CONFIG, what, is).await
    }

    /// The current output.
    pub(crate) async fn output(&self) -> Result<ConfigMap> {
        Ok(self.world.api::<ConfigMap>(&self.agent).get(DEFAULT_CONFIG_MAP).await?)
    }

    /// Creates an object in the tenant's namespace as the admin.
    pub(crate) async fn create<K>(&self, object: &K) -> Result<K, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        self.create_as(&self.admin, object).await
    }

    /// Creates an object in the tenant's namespace with this client.
    pub(crate) async fn create_as<K>(&self, who: &Client, object: &K) -> Result<K, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        let api: Api<K> = Api::namespaced(who.clone(), &self.tenant);
        api.create(&PostParams::default(), object).await
    }

    /// The file with the log of the controller.
    pub(crate) fn controller_log(&self) -> PathBuf {
        self.world.folder().join("controller-1.log")
    }

    /// Deletes all objects of the tenant except its honest tool, and waits until the output is as before the attacks.
    pub(crate) async fn clear(&self) -> Result<()> {
        let services: Api<Service> = Api::namespaced(self.admin.clone(), &self.tenant);
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), &self.tenant);
        for service in services.list(&ListParams::default()).await? {
            if service.name_any() != "honest" {
                services.delete(&service.name_any(), &DeleteParams::default()).await?;
            }
        }
        for pod in pods.list(&ListParams::default()).await? {
            if !pod.name_any().starts_with("honest-") {
                pods.delete(&pod.name_any(), &DeleteParams::default().grace_period(0)).await?;
            }
        }
        let slices: Api<EndpointSlice> = Api::namespaced(self.with_slices.clone(), &self.tenant);
        for slice in slices.list(&ListParams::default()).await? {
            let of = slice.labels().get("kubernetes.io/service-name");
            if of.is_none_or(|name| name != "honest") {
                // The garbage collector or the EndpointSlice controller may have deleted the object already.
                _ = slices.delete(&slice.name_any(), &DeleteParams::default()).await;
            }
        }
        self.config_is("nothing is rejected", |config| {
            config.data.pointer("/status/summary/rejected") == Some(&json!(0))
        })
        .await?;
        self.is_calm().await
    }
}

/// The response of a Pod to every request.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nOK\n";

fn options(network: &Network, agent: &str) -> ControllerOptions {
    ControllerOptions {
        network: Some(network.clone()),
        config_namespaces: Some(vec![agent.to_owned()]),
        // Kubernetes sets this variable in every Pod.
        environment: vec![
            ("KUBERNETES_SERVICE_HOST".to_owned(), API_SERVER.to_owned()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
        ],
        ..ControllerOptions::default()
    }
}

/// An admin of a namespace, with the built-in role `admin`.
async fn account(world: &World, namespace: &str, name: &str) -> Result<Account> {
    let account = world.account(namespace, name).await?;
    account.bind(namespace, "admin").await?;
    Ok(account)
}

/// Waits until the permissions of an account are in effect, and returns its client.
async fn client(account: &Account, namespace: &str) -> Result<Client> {
    let client = controlplane::client(account.kubeconfig()).await?;
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    eventually("the admin may create Services", async || {
        let probe = announced(namespace, "probe").build();
        services.create(&PostParams { dry_run: true, ..PostParams::default() }, &probe).await?;
        Ok(())
    })
    .await?;
    Ok(client)
}

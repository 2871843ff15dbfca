//! A platform with trusted tools, a tenant with one honest tool, the admin of the tenant's namespace, and an operator whose
//! packets are counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    controlplane,
    harness::{
        Account, Backend, Controller, DEFAULT_CONFIG_MAP, Moment, Reply, Step,
        net::{Kind, Network, Packet, PodServer, counted},
        prelude::*,
        services::{self, ServiceBuilder},
    },
};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        core::v1::{ConfigMap, Event, Pod, Service},
        discovery::v1::EndpointSlice,
    },
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::table;
use crate::{
    stage::{CONFIG, data, over},
    tenants::{announced, sources},
};

/// How long probes may take: one request per second goes to a namespace, and a Service that failed is asked again later.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The number of the trusted tool whose product is not certain.
pub(crate) const VAGUE: usize = 2;

/// The port of the Pods behind the tenant's Services.
pub(crate) const PORT: u16 = 9090;

/// The address of the Service of the API server.
const API_SERVER: &str = "10.96.0.1";

/// Everything that a module needs.
pub(crate) struct Arena<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) network: Network,
    pub(crate) controller: Controller,
    /// The ports of all operators so far.
    own_ports: Vec<u16>,
    pub(crate) platform: String,
    pub(crate) tenant: String,
    pub(crate) agent: String,
    /// The admin of the tenant's namespace.
    pub(crate) admin: Client,
    /// One that may also write EndpointSlices, as in some clusters.
    pub(crate) with_slices: Client,
    /// The Pods of the honest tools, which are probed.
    controls: Vec<PodServer>,
    /// They answer at every other address.
    _servers: Vec<PodServer>,
    /// The output as it is without attacks.
    calm: ConfigMap,
}

/// A Service of an attack.
pub(crate) struct Attack {
    pub(crate) threat: &'static str,
    pub(crate) vector: String,
    pub(crate) service: Service,
    /// Made together with it, by somebody who may.
    pub(crate) slices: Vec<EndpointSlice>,
    /// Why it is rejected.
    pub(crate) reason: &'static str,
}

/// The start of a batch of attacks.
pub(crate) struct Batch {
    packets: usize,
    moment: Moment,
}

impl<'a> Arena<'a> {
    /// Starts an operator for the platform and the tenant. `spec` is merged into the spec.
    pub(crate) async fn set(world: &'a mut World, network: Network, spec: Value) -> Result<Self> {
        let (platform, tenant) = (world.namespace("platform").await?, world.namespace("tenant").await?);
        let agent = world.namespace("agent").await?;
        let [admin, with_slices] = [account(world, &tenant, "admin").await?, account(world, &tenant, "more").await?];
        let slices = json!([{"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["*"]}]);
        with_slices.grant(&tenant, "endpoint-slices", &slices).await?;
        let clients = [client(&admin, &tenant).await?, client(&with_slices, &tenant).await?];

        let options = options(&network, &agent);
        let controller = world.start_controller(options).await?;
        let mut servers = Vec::new();
        // Whatever listens nowhere else: what must not be called would answer.
        for any in ["0.0.0.0", "::"] {
            for port in [80, 443, 3000, 9090] {
                servers.push(network.serve(SocketAddr::new(any.parse()?, port), Reply::Bytes(ANSWER.into()))?);
            }
        }
        // Its product is not certain, so it is asked which one it is, and its answer leads elsewhere.
        let vague = ServiceBuilder::new(&platform, "prometheus").port("http", 9090, 9090).build();
        let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/graph\r\ncontent-length: 0\r\n\r\n";
        let mut controls = Vec::new();
        for (service, port, answer) in [
            (services::grafana(&platform), 3000, ANSWER),
            (services::prometheus_server(&platform), PORT, ANSWER),
            (vague, PORT, elsewhere),
            (announced(&tenant, "honest").build(), PORT, ANSWER),
        ] {
            let service = world.create(&service).await?;
            controls.push(pod(world, &network, &service, port, Reply::Bytes(answer.into())).await?.1);
        }
        let probe = json!({"periodSeconds": 1, "timeoutSeconds": 3, "failureThreshold": 3, "successThreshold": 1});
        let probing = json!({
            "sources": sources(&platform, &tenant),
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

    /// Starts another one.
    pub(crate) async fn start_again(&mut self) -> Result<()> {
        // It has more to read than usual.
        let options = ControllerOptions { do_not_wait: true, ..options(&self.network, &self.agent) };
        self.controller = self.world.start_controller(options).await?;
        self.own_ports.extend([self.controller.health_port(), self.controller.metrics_port()]);
        Ok(())
    }

    /// A Service of the tenant's that opts in as a Prometheus.
    pub(crate) fn announced(&self, name: &str) -> ServiceBuilder {
        announced(&self.tenant, name)
    }

    /// The ToolsetConfig, when it is as `is` says.
    pub(crate) async fn config_is(&self, what: &str, is: impl Fn(&DynamicObject) -> bool) -> Result<DynamicObject> {
        present(&toolset_configs(&self.world.client(), &self.agent), CONFIG, what, is).await
    }

    /// The output as it is.
    pub(crate) async fn output(&self) -> Result<ConfigMap> {
        Ok(self.world.api::<ConfigMap>(&self.agent).get(DEFAULT_CONFIG_MAP).await?)
    }

    /// Creates an object of the tenant's as the admin.
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

    /// The same as somebody else.
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

    /// A ready Pod behind one of the tenant's Services, as the kubelet would run it.
    pub(crate) async fn backend(&self, service: &Service) -> Result<Backend> {
        self.world.backend(service).await
    }

    /// The beginning of a batch.
    pub(crate) async fn begin(&self) -> Result<Batch> {
        let packets = self.packets().len();
        Ok(Batch { packets, moment: self.world.moment(&self.agent).await? })
    }

    /// A batch with every packet so far.
    pub(crate) async fn since_the_start(&self) -> Result<Batch> {
        Ok(Batch { packets: 0, moment: self.world.moment(&self.agent).await? })
    }

    /// Checks everything that no attack may change, since the beginning of a batch. Returns the number of packets to
    /// addresses that may not be called, which is 0.
    pub(crate) async fn check(&self, batch: &Batch, targets: &[SocketAddr]) -> Result<usize> {
        let expected = trusted(&self.calm, &self.tenant)?;
        let versions = batch.moment.steps(DEFAULT_CONFIG_MAP).await?;
        ensure!(versions.iter().all(|step| *step != Step::Deleted), "the output was deleted");
        for version in versions.iter().filter_map(Step::config_map) {
            assert_eq!(trusted(version, &self.tenant)?, expected, "the entries of trusted tools changed");
        }
        let packets = self.packets().split_off(batch.packets);
        let is_target = |packet: &&Packet| {
            let to = SocketAddr::new(packet.to, packet.port);
            self.controls.iter().any(|control| control.address() == to) || targets.contains(&to)
        };
        let strays: Vec<Packet> = packets.iter().filter(|packet| !is_target(packet)).copied().collect();
        ensure!(strays.is_empty(), "packets went to others than targets: {:?}", counted(&strays));
        self.network.require_complete()?;
        Ok(strays.len())
    }

    /// Fails unless the output is what it was before all attacks, to the byte.
    pub(crate) async fn is_calm(&self) -> Result<()> {
        let output: Api<ConfigMap> = self.world.api(&self.agent);
        present(&output, DEFAULT_CONFIG_MAP, "is as it was", |found| found.data == self.calm.data).await?;
        Ok(())
    }

    /// Creates Services that must be rejected, checks that they are and that nothing else happens, and deletes them.
    pub(crate) async fn are_rejected(&self, attacks: Vec<Attack>) -> Result<()> {
        let batch = self.begin().await?;
        let mut refused = Vec::new();
        let mut judged: Vec<&Attack> = Vec::new();
        let mut without_slices = BTreeSet::new();
        for attack in &attacks {
            match self.create(&attack.service).await {
                Ok(created) => {
                    judged.push(attack);
                    for slice in &attack.slices {
                        if !self.write_slice(&created, slice.clone()).await? {
                            without_slices.insert(attack.vector.as_str());
                        }
                    }
                }
                // The API server itself is the first to refuse.
                Err(kube::Error::Api(error)) if error.code == 422 => refused.push(attack),
                Err(error) => return Err(error).context(attack.vector.clone()),
            }
        }
        let name = |attack: &&Attack| attack.service.name_any();
        self.config_is("all attacks are rejected", |config| {
            judged.iter().all(|attack| {
                without_slices.contains(attack.vector.as_str())
                    || crate::tenants::rejects(config, &name(attack), attack.reason)
            })
        })
        .await?;
        let without_slices: Vec<_> = judged.extract_if(.., |attack| without_slices.contains(&*attack.vector)).collect();
        self.owners_are_told(&judged).await?;
        self.is_counted(&judged).await?;
        self.controls_are_probed().await?;
        let packets = self.check(&batch, &[]).await?;
        ensure!(batch.moment.steps(DEFAULT_CONFIG_MAP).await?.is_empty(), "the output was written");
        for attack in &judged {
            let happened = format!("`{}`, with an Event", attack.reason);
            table::add(attack.threat, &attack.vector, &happened, packets)?;
        }
        for attack in refused {
            table::add(attack.threat, &attack.vector, "The API server rejects it.", packets)?;
        }
        for attack in without_slices {
            table::add(attack.threat, &attack.vector, "The API server rejects the slice.", packets)?;
        }
        self.clear().await
    }

    /// Writes a slice. `false` if the API server rejects it.
    async fn write_slice(&self, service: &Service, mut slice: EndpointSlice) -> Result<bool> {
        let uid = service.uid().unwrap_or_default();
        for owner in slice.metadata.owner_references.iter_mut().flatten() {
            owner.uid.clone_from(&uid);
        }
        match self.create_as(&self.with_slices, &slice).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(error)) if error.code == 422 => Ok(false),
            Err(error) => Err(error).with_context(|| format!("slice of {}", service.name_any())),
        }
    }

    /// Waits for an Event about each of them.
    async fn owners_are_told(&self, attacks: &[&Attack]) -> Result<()> {
        let events: Api<Event> = Api::namespaced(self.admin.clone(), &self.tenant);
        eventually("the owners get Events", async || {
            let events = events.list(&ListParams::default()).await?.items;
            let told: BTreeSet<(&str, &str)> = events
                .iter()
                .filter_map(|event| Some((event.involved_object.name.as_deref()?, event.reason.as_deref()?)))
                .collect();
            let silent = attacks.iter().find(|attack| !told.contains(&(&attack.service.name_any(), attack.reason)));
            ensure!(silent.is_none(), "no Event for {:?}", silent.map(|attack| &attack.vector));
            Ok(())
        })
        .await
    }

    /// Waits until the metric counts them.
    async fn is_counted(&self, attacks: &[&Attack]) -> Result<()> {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        for attack in attacks {
            *counts.entry(attack.reason).or_default() += 1;
        }
        for (reason, count) in counts {
            let series = format!("dynamictoolset_rejected_services{{reason=\"{reason}\"}}");
            eventually(&format!("{series} counts them"), async || {
                let value = self.controller.metric(&series).await?;
                ensure!(value.is_some_and(|value| value >= f64::from(count)), "{value:?} instead of {count}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Waits until the operator has probed every honest tool twice from now on, and the packets of that are counted. So
    /// the operator probes, and what it sends is seen.
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

    /// How many requests a Pod has had, and how many packets opened a connection to it.
    fn probed(&self, control: &PodServer) -> (usize, usize) {
        let at = control.address();
        let packets = self.packets();
        let opens = |packet: &&Packet| {
            packet.kind == (Kind::Tcp { opens: true }) && SocketAddr::new(packet.to, packet.port) == at
        };
        (control.requests().len(), packets.iter().filter(opens).count())
    }

    /// A ready Pod behind one of the tenant's Services, with a server of this kind.
    pub(crate) async fn pod(&self, service: &Service, reply: Reply) -> Result<(Backend, PodServer)> {
        pod(self.world, &self.network, service, PORT, reply).await
    }

    /// A ready Pod behind a Service whose address takes every packet and gives no answer.
    pub(crate) async fn backend_without_server(&self, service: &Service) -> Result<SocketAddr> {
        let container = json!({"name": "app", "image": "app.example/app:1", "ports": [{"containerPort": PORT}]});
        let backend = Backend::not_ready(&self.world.client(), service, container).await?;
        let at = socket(&backend, PORT)?;
        self.network.swallow(at.ip())?;
        backend.set_ready(true).await?;
        Ok(at)
    }

    /// One of the honest tools: Grafana is the first.
    pub(crate) fn control(&self, number: usize) -> &PodServer {
        &self.controls[number]
    }

    /// The packets to name servers, of which there is none.
    pub(crate) fn name_queries(&self) -> usize {
        self.packets().iter().filter(|packet| packet.port == 53 || packet.kind == Kind::Udp).count()
    }

    /// The file with the log of the controller.
    pub(crate) fn controller_log(&self) -> PathBuf {
        self.world.folder().join("controller-1.log")
    }

    /// Deletes everything of the tenant's but its honest tool, and waits until the output is as it was.
    pub(crate) async fn clear(&self) -> Result<()> {
        let services: Api<Service> = Api::namespaced(self.admin.clone(), &self.tenant);
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), &self.tenant);
        let mut left = BTreeSet::new();
        for service in services.list(&ListParams::default()).await? {
            if service.name_any() != "honest" {
                services.delete(&service.name_any(), &DeleteParams::default()).await?;
                left.insert(service.name_any());
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
                // The garbage collector and the EndpointSlice controller delete them, too.
                _ = slices.delete(&slice.name_any(), &DeleteParams::default()).await;
            }
        }
        self.config_is("nothing is rejected", |config| {
            config.data.pointer("/status/summary/rejected") == Some(&json!(0))
        })
        .await?;
        self.is_calm().await
    }

    fn packets(&self) -> Vec<Packet> {
        self.network.packets(&self.own_ports)
    }
}

/// A ready Pod behind a Service. It listens before it is ready.
async fn pod(
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

/// What a Pod answers to anything.
const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nOK\n";

fn options(network: &Network, agent: &str) -> ControllerOptions {
    ControllerOptions {
        network: Some(network.clone()),
        config_namespaces: Some(vec![agent.to_owned()]),
        // As in every Pod.
        environment: vec![
            ("KUBERNETES_SERVICE_HOST".to_owned(), API_SERVER.to_owned()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), "443".to_owned()),
        ],
        ..ControllerOptions::default()
    }
}

/// The admin of a namespace, as the built-in role `admin` makes it.
async fn account(world: &World, namespace: &str, name: &str) -> Result<Account> {
    let account = world.account(namespace, name).await?;
    account.bind(namespace, "admin").await?;
    Ok(account)
}

/// Its client, when its permissions are in effect.
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

/// Where a Pod is called.
pub(crate) fn socket(backend: &Backend, port: u16) -> Result<SocketAddr> {
    Ok(SocketAddr::new(backend.address().parse::<IpAddr>()?, port))
}

/// The entries of trusted tools, as text: all but those that name the tenant, and the entry that changes with the rest of
/// the file. A tenant's text in an entry of a trusted tool would take that entry away.
fn trusted(output: &ConfigMap, tenant: &str) -> Result<(BTreeMap<String, String>, Vec<Value>)> {
    let mut entries: BTreeMap<String, String> = BTreeMap::new();
    let mut section = String::new();
    let mut entry = String::new();
    for line in data(output, "custom_toolset.yaml").lines() {
        let indent = line.len() - line.trim_start().len();
        match indent {
            0 => line.clone_into(&mut section),
            2 if !line.trim_start().starts_with(['-', '#']) => entry = format!("{section}{line}"),
            _ => {}
        }
        let text: &mut String = entries.entry(entry.clone()).or_default();
        text.push_str(line);
        text.push('\n');
    }
    entries.retain(|name, text| !text.contains(tenant) && !name.contains("discovered-revision-"));
    let file: Value = serde_json::from_str(data(output, "toolset.json")).context("toolset.json is JSON")?;
    let tools = file["tools"].as_array().context("it has tools")?;
    let tools = tools.iter().filter(|tool| !tool.to_string().contains(tenant)).cloned().collect();
    Ok((entries, tools))
}

#[test]
fn an_entry_with_a_text_of_the_tenant_is_no_entry_of_a_trusted_tool() -> Result<()> {
    let output = |yaml: &str| ConfigMap {
        data: Some(BTreeMap::from([
            ("custom_toolset.yaml".to_owned(), yaml.to_owned()),
            ("toolset.json".to_owned(), r#"{"tools": []}"#.to_owned()),
        ])),
        ..ConfigMap::default()
    };
    let calm = output("toolsets:\n  a:\n    url: x\n  b:\n    url: y\n");
    let both = output("toolsets:\n  a:\n    url: x\n  b:\n    url: y\n  c-evil:\n    url: z\n");
    let mixed = output("toolsets:\n  a:\n    url: x\n    more: evil\n  b:\n    url: y\n");
    assert_eq!(trusted(&calm, "evil")?, trusted(&both, "evil")?);
    assert_ne!(trusted(&calm, "evil")?, trusted(&mixed, "evil")?);
    Ok(())
}

//! A cluster from bytes, through the objects of the Kubernetes API.

use std::collections::BTreeMap;

use detectors::{ServiceView, pods};
use k8s_openapi::{
    api::{
        core::v1::{ObjectReference, ServicePort, ServiceSpec},
        discovery::v1::{Endpoint, EndpointConditions},
    },
    apimachinery::pkg::{
        apis::meta::v1::{ObjectMeta, OwnerReference},
        util::intstr::IntOrString,
    },
};
use toolset::{Index, NamespaceView, SliceView, convert, pods::PodEvidence, select::annotation};

use crate::{input::Input, pod, words};

/// What the API server would hold.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// One Service per namespace and name.
    pub services: Vec<ServiceView>,
    /// Their EndpointSlices, and others.
    pub slices: Vec<SliceView>,
    /// Namespaces with labels.
    pub namespaces: Vec<NamespaceView>,
    /// What the Pods of the Service at this place say.
    pub pods: Vec<(usize, PodEvidence)>,
}

impl World {
    /// A world of at most this many Services.
    pub fn of(input: &mut Input<'_>, most: usize) -> Self {
        let mut services = input.several(most, service);
        services.sort_by(|a, b| a.key.cmp(&b.key));
        services.dedup_by(|a, b| a.key == b.key);
        let mut world = Self { services, ..Self::default() };
        for at in 0..world.services.len() {
            let slices = input.several(2, |input| slice(input, &world.services[at]));
            world.slices.extend(slices.into_iter().flatten());
            if input.one_in(3) {
                let facts = pods::read(&world.services[at], &pod::view(input));
                world.pods.push((at, PodEvidence { facts, ambiguous: input.any() }));
            }
        }
        world.slices.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        world.slices.dedup_by(|a, b| (&a.namespace, &a.name) == (&b.namespace, &b.name));
        world.namespaces = input.several(3, |input| {
            let metadata = ObjectMeta {
                name: Some(namespace(input).to_owned()),
                labels: Some(labels(input)),
                ..ObjectMeta::default()
            };
            convert::namespace(&metadata)
        });
        world
    }

    /// The index of the Services that are wanted, in one of two orders.
    pub fn index(&self, wanted: impl Fn(&ServiceView) -> bool, reverse: bool) -> Index {
        let mut index = Index::default();
        let mut services: Vec<_> = self.services.iter().filter(|view| wanted(view)).cloned().collect();
        let mut slices: Vec<_> = self.slices.iter().collect();
        if reverse {
            services.reverse();
            slices.reverse();
        }
        for namespace in &self.namespaces {
            index.apply_namespace(namespace.clone());
        }
        let keys: Vec<_> = services.iter().map(|view| view.key.clone()).collect();
        for view in services {
            index.apply_service(view);
        }
        for slice in slices {
            if keys.iter().any(|key| *key.namespace == *slice.namespace && *key.name == *slice.service) {
                index.apply_slice(slice.clone());
            }
        }
        for (at, evidence) in &self.pods {
            let key = &self.services[*at].key;
            if keys.contains(key) {
                index.apply_pods(key, Some(evidence.clone()));
            }
        }
        index
    }
}

/// Whether a namespace is one of the platform's.
pub fn is_trusted(namespace: &str) -> bool {
    words::TRUSTED.contains(&namespace)
}

fn namespace(input: &mut Input<'_>) -> &'static str {
    if input.any() { input.word(words::TENANTS) } else { input.word(words::TRUSTED) }
}

/// A Service with everything that a rule or an attack can use.
pub fn service(input: &mut Input<'_>) -> ServiceView {
    let namespace = namespace(input);
    let name =
        if input.one_in(12) { input.text(words::ANNOTATIONS, 3) } else { input.word(words::SERVICES).to_owned() };
    let type_ = input.word(&["ClusterIP", "ClusterIP", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]);
    let selector = labels(input);
    let mut ports = input.several(4, port);
    // The API server refuses a port that is there twice.
    let mut numbers = Vec::new();
    ports.retain(|port| {
        numbers.push(port.port);
        !numbers[..numbers.len() - 1].contains(&port.port)
    });
    let spec = ServiceSpec {
        type_: Some(type_.to_owned()),
        cluster_ip: input.sometimes(4, |_| "None".to_owned()),
        external_ips: input.sometimes(12, |_| vec!["192.0.2.1".to_owned()]),
        external_name: input.sometimes(4, |_| format!("{}.evil.example", words::TAINT)),
        ports: Some(ports),
        selector: (!input.one_in(8)).then_some(selector),
        ..ServiceSpec::default()
    };
    let own_host = format!("{name}.{namespace}.svc");
    let metadata = ObjectMeta {
        uid: Some(format!("{namespace}/{name}")),
        namespace: Some(namespace.to_owned()),
        name: Some(name),
        labels: Some(labels(input)),
        annotations: Some(annotations(input, &own_host)),
        ..ObjectMeta::default()
    };
    let mut view = convert::service(&metadata, Some(&spec));
    view.created = i64::from(input.up_to(3_u8));
    view
}

fn port(input: &mut Input<'_>) -> ServicePort {
    let target = match input.up_to(3_u8) {
        0 => None,
        1 => Some(IntOrString::Int(i32::from(port_number(input)))),
        _ => Some(IntOrString::String(input.word(words::PORTS).to_owned())),
    };
    ServicePort {
        name: input.any::<bool>().then(|| input.word(words::PORTS).to_owned()),
        port: i32::from(port_number(input)),
        target_port: target,
        protocol: input.sometimes(6, |input| input.word(&["UDP", "SCTP"]).to_owned()),
        app_protocol: input.sometimes(4, |input| input.word(&["https", "http", "grpc", words::TAINT]).to_owned()),
        ..ServicePort::default()
    }
}

/// The number of a port.
pub fn port_number(input: &mut Input<'_>) -> u16 {
    if input.one_in(8) { input.any() } else { input.one_of(words::NUMBERS).unwrap_or(80) }
}

/// Labels that products carry, and others.
pub fn labels(input: &mut Input<'_>) -> BTreeMap<String, String> {
    let pairs = input.several(4, |input| {
        let value = if input.one_in(8) {
            input.text(words::ANNOTATIONS, 2)
        } else {
            input.word(words::LABEL_VALUES).to_owned()
        };
        (input.word(words::LABEL_KEYS).to_owned(), value)
    });
    pairs.into_iter().collect()
}

/// This project's own annotations, and others. `own_host` is the name in DNS that a full URL may have.
pub fn annotations(input: &mut Input<'_>, own_host: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    // Most combinations are malformed, so some are made to fit.
    if input.one_in(3) {
        let type_ = input.word(&["prometheus", "grafana", "loki", "jaeger", "mcp", "thing", "elasticsearch", "zipkin"]);
        all.insert(annotation::TOOLSET.to_owned(), "enabled".to_owned());
        all.insert(annotation::TYPE.to_owned(), type_.to_owned());
    }
    for _ in 0..input.up_to(3_u8) {
        if input.one_in(6) {
            all.insert("example.com/note".to_owned(), format!("{}{}", words::TAINT, input.text(words::ANNOTATIONS, 2)));
        } else {
            let key = input.word(&annotation::ALL);
            all.insert(key.to_owned(), annotation_value(input, key, own_host));
        }
    }
    all
}

/// A value of one of this project's own annotations: one that mostly fits it, or any.
fn annotation_value(input: &mut Input<'_>, key: &str, own_host: &str) -> String {
    let fits = input.any::<bool>();
    match key {
        annotation::ENDPOINT | annotation::HEALTH_ENDPOINT if fits => {
            let (scheme, domain) =
                (input.word(&["http://", "https://"]), input.word(&["", ".cluster.local", ".evil.example"]));
            let port = input.one_of(words::NUMBERS).unwrap_or(80);
            format!(
                "{scheme}{own_host}{domain}:{port}{}",
                input.word(&["", "/", "/base", "/a/../b", "?x", "@evil.example"])
            )
        }
        annotation::PORT if fits => port_number(input).to_string(),
        annotation::PATH | annotation::HEALTH_PATH if fits => format!("/{}", input.text(words::ANNOTATIONS, 3)),
        _ if fits => input.word(words::ANNOTATIONS).to_owned(),
        _ => input.text(words::ANNOTATIONS, 6),
    }
}

fn slice(input: &mut Input<'_>, of: &ServiceView) -> Option<SliceView> {
    // Most slices are those of the control plane.
    let odd = input.one_in(4);
    let mut odd_one = |usual: &str, other: &'static str| {
        if odd && input.any() { other.to_owned() } else { usual.to_owned() }
    };
    let (namespace, name) = (&*of.key.namespace, &*of.key.name);
    let uid = odd_one(&format!("{namespace}/{name}"), "another");
    let labels = [
        ("kubernetes.io/service-name".to_owned(), odd_one(name, "prometheus")),
        ("endpointslice.kubernetes.io/managed-by".to_owned(), odd_one("endpointslice-controller.k8s.io", "somebody")),
    ];
    let kind = odd_one("Pod", "Node");
    let target_namespace = odd_one(namespace, "monitoring");
    let metadata = ObjectMeta {
        name: Some(format!("{name}-{}", input.up_to(1_u8))),
        namespace: Some(namespace.to_owned()),
        uid: Some("slice".to_owned()),
        labels: Some(labels.into_iter().collect()),
        owner_references: Some(vec![OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Service".to_owned(),
            name: name.to_owned(),
            uid,
            ..OwnerReference::default()
        }]),
        ..ObjectMeta::default()
    };
    let endpoint = Endpoint {
        addresses: vec!["10.0.0.1".to_owned()],
        conditions: Some(EndpointConditions { ready: Some(!input.one_in(4)), ..EndpointConditions::default() }),
        target_ref: Some(ObjectReference {
            kind: Some(kind),
            namespace: Some(target_namespace),
            ..ObjectReference::default()
        }),
        ..Endpoint::default()
    };
    convert::slice(&metadata, [convert::EndpointParts::from(&endpoint)])
}

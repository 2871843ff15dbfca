//! What holds for every Service.

use detectors::{
    Finding, Outcome, PortView, Product, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort,
    displaced_endpoints, explain, recognise, target_of,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::fixture::{Fixture, service};

/// Words that the rules know, so that they recognise many of the random Services.
const WORDS: &[&str] = &[
    "prometheus",
    "grafana",
    "loki",
    "tempo",
    "mimir",
    "thanos",
    "jaeger",
    "zipkin",
    "elasticsearch",
    "opensearch",
    "kibana",
    "alertmanager",
    "victoria-metrics",
    "vmselect",
    "vlogs",
    "query",
    "query-frontend",
    "gateway",
    "server",
    "exporter",
    "operator",
    "metrics",
    "headless",
    "monitoring",
    "web",
    "http",
    "https",
    "main",
    "shop",
    "",
    "-",
    "é",
    "0",
];
const KEYS: &[&str] = &[
    "app",
    "k8s-app",
    "component",
    "role",
    "release",
    "chart",
    "name",
    "app.kubernetes.io/name",
    "app.kubernetes.io/component",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/part-of",
    "io.kompose.service",
    "operated-prometheus",
    "linkerd.io/extension",
    "kagent.dev/mcp-service",
    "prometheus",
    "common.k8s.elastic.co/type",
];
const PORT_NAMES: &[&str] = &[
    "http",
    "https",
    "web",
    "http-metrics",
    "http-query",
    "metrics",
    "grpc",
    "service",
    "mcp",
    "ui",
    "transport",
    "30090",
    "",
];
const NUMBERS: &[u16] =
    &[0, 1, 80, 443, 3000, 3100, 3200, 5601, 8080, 8428, 8481, 9090, 9093, 9200, 9411, 10902, 16686, 65535];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(WORDS).prop_map(str::to_owned),
        3 => (select(WORDS), select(WORDS)).prop_map(|(a, b)| format!("{a}-{b}")),
        1 => any::<String>(),
    ]
}

fn map() -> impl Strategy<Value = StringMap> {
    let key = prop_oneof![4 => select(KEYS).prop_map(str::to_owned), 1 => any::<String>()];
    vec((key, value()), 0..6).prop_map(|pairs| pairs.into_iter().collect())
}

fn number() -> impl Strategy<Value = u16> {
    prop_oneof![3 => select(NUMBERS), 1 => any::<u16>()]
}

fn port() -> impl Strategy<Value = PortView> {
    let name = prop_oneof![3 => select(PORT_NAMES).prop_map(str::to_owned), 1 => value()];
    let target = prop_oneof![
        number().prop_map(TargetPort::Number),
        select(PORT_NAMES).prop_map(|name| TargetPort::Name(name.into())),
        number().prop_map(|number| TargetPort::Name(number.to_string().into())),
    ];
    let protocol = select(&[Protocol::Tcp, Protocol::Udp, Protocol::Sctp][..]);
    let app_protocol = select(&["http", "HTTPS", "mcp", "kgateway.dev/mcp", "grpc", ""][..]);
    (option::of(name), number(), option::of(target), protocol, option::of(app_protocol)).prop_map(
        |(name, port, target, protocol, app_protocol)| PortView {
            name: name.map(Into::into),
            port,
            target,
            protocol,
            app_protocol: app_protocol.map(Into::into),
        },
    )
}

fn any_service() -> impl Strategy<Value = ServiceView> {
    let service_type = select(
        &[ServiceType::ClusterIP, ServiceType::NodePort, ServiceType::LoadBalancer, ServiceType::ExternalName][..],
    );
    let shape = (service_type, any::<bool>(), any::<bool>());
    (value(), map(), map(), map(), vec(port(), 0..5), shape).prop_map(
        |(name, labels, annotations, selector, ports, (service_type, headless, external_ips))| ServiceView {
            key: ServiceKey::new("default", name),
            labels,
            annotations,
            selector,
            ports: ports.into(),
            service_type,
            headless,
            external_ips,
            uid: 0,
            created: 0,
        },
    )
}

/// Services that labels or an operator's shape identify.
fn decided_by_labels() -> Vec<Fixture> {
    vec![
        service("a").both("@name=prometheus @component=server").ports("http:80>9090"),
        service("a").both("app=prometheus component=server chart=prometheus-15.0.1").ports("http:80>9090"),
        service("a").labels("app=x-prometheus @part-of=x").ports("http-web:9090 reloader-web:8080"),
        service("a").both("@name=prometheus @component=alertmanager").ports("http:80"),
        service("a").both("@name=prometheus-node-exporter").ports("metrics:9100"),
        service("a").both("@name=grafana").ports("service:80>3000"),
        service("a").both("@name=loki @component=gateway").ports("http:80>http"),
        service("a").both("@name=loki").ports("http-metrics:3100"),
        service("a").both("@name=loki @component=distributor").ports("http-metrics:3100"),
        service("a").both("app=loki chart=loki-2.16.0 release=r").ports("http-metrics:3100"),
        service("a").both("@name=tempo @component=query-frontend").ports("http-metrics:3200"),
        service("a").both("@name=mimir @component=gateway").ports("http-metrics:80"),
        service("a").both("@name=thanos @component=query").ports("http:9090"),
        service("a").both("@name=jaeger @component=all-in-one").ports("http-query:16686 http-zipkin:9411"),
        service("a").both("@name=zipkin").ports("http-query:9411"),
        service("a").both("chart=elasticsearch app=logs-data").ports("http:9200 transport:9300"),
        service("a").both("opensearch.org/opensearch-cluster=c").ports("http:9200[https]"),
        service("a").both("@name=victoria-metrics-cluster @component=vmselect").ports("http:8481"),
        service("a").both("@name=vlsingle @component=monitoring").ports("http:9428"),
        service("a").both("@name=vt-single @component=server").ports("http:10428"),
        service("a").both("common.k8s.elastic.co/type=kibana").ports("https:5601"),
        service("a").labels("kagent.dev/mcp-service=true").ports("http:8080[mcp]"),
    ]
}

/// The findings without their hints, which contain the name of the Service.
fn results(view: &ServiceView) -> Vec<(Product, detectors::Confidence, Outcome, detectors::Rank)> {
    recognise(view)
        .into_iter()
        .map(|finding| (finding.product, finding.confidence, finding.outcome, finding.rank))
        .collect()
}

/// The best endpoint.
fn endpoint(view: &ServiceView) -> Option<Finding> {
    recognise(view).into_iter().find(|finding| matches!(finding.outcome, Outcome::Endpoint(_)))
}

proptest! {
    #[test]
    fn no_service_however_malformed_panics(view in any_service()) {
        let findings = recognise(&view);
        prop_assert_eq!(explain(&view).len(), Product::ALL.len());
        for product in Product::ALL {
            let _ = target_of(*product, &view);
        }
        let endpoints: Vec<_> = findings.iter().map(|finding| (&view, finding)).collect();
        prop_assert_eq!(displaced_endpoints(&endpoints).len(), endpoints.len());
    }

    #[test]
    fn an_endpoint_is_always_a_declared_tcp_port_and_a_plain_path(view in any_service()) {
        let found = recognise(&view).into_iter().filter_map(|finding| match finding.outcome {
            Outcome::Endpoint(target) => Some(target),
            _ => None,
        });
        let stated = Product::ALL.iter().filter_map(|product| target_of(*product, &view));
        for target in found.chain(stated) {
            let declared = view.ports.iter().any(|port| port.port == target.port && port.protocol == Protocol::Tcp);
            prop_assert!(declared, "{:?}", target);
            prop_assert!(target.path.is_empty() || (target.path.starts_with('/') && !target.path.ends_with('/')));
        }
    }

    #[test]
    fn findings_come_best_first_and_one_per_product(view in any_service()) {
        let findings = recognise(&view);
        let keys: Vec<_> = findings
            .iter()
            .map(|f| (!matches!(f.outcome, Outcome::Endpoint(_)), std::cmp::Reverse(f.confidence), f.product))
            .collect();
        prop_assert!(keys.is_sorted());
        let mut products: Vec<_> = findings.iter().map(|finding| finding.product).collect();
        products.sort_unstable();
        products.dedup();
        prop_assert_eq!(products.len(), findings.len());
    }

    #[test]
    fn explaining_agrees_with_recognising(view in any_service()) {
        let mut explained: Vec<Finding> =
            explain(&view).into_iter().filter_map(|explanation| explanation.finding).collect();
        let mut found = recognise(&view);
        explained.sort_by_key(|finding| finding.product);
        found.sort_by_key(|finding| finding.product);
        prop_assert_eq!(explained, found);
    }

    #[test]
    fn the_order_of_ports_never_matters(view in any_service(), seed in any::<u64>()) {
        let mut shuffled = view.clone();
        let count = u64::try_from(shuffled.ports.len().max(1)).unwrap_or(1);
        shuffled.ports.rotate_left(usize::try_from(seed % count).unwrap_or(0));
        // Two ports of one number and protocol cannot be in one Service.
        let mut numbers: Vec<_> = view.ports.iter().map(|port| port.port).collect();
        numbers.sort_unstable();
        prop_assume!(numbers.windows(2).all(|pair| pair[0] != pair[1]));
        prop_assert_eq!(results(&view), results(&shuffled));
    }

    #[test]
    fn renaming_changes_nothing_where_labels_decide(name in value(), namespace in value(), at in 0..22_usize) {
        let fixtures = decided_by_labels();
        let fixture = &fixtures[at % fixtures.len()];
        let mut renamed = fixture.view().clone();
        renamed.key = ServiceKey::new(namespace, name);
        let mut before = results(fixture.view());
        let mut after = results(&renamed);
        // Without a label, the name says whether an install belongs to another product.
        for result in before.iter_mut().chain(&mut after) {
            result.3.bundled = false;
        }
        let first = |results: Vec<_>| results.into_iter().next();
        if before.is_empty() {
            prop_assert!(endpoint(&renamed).is_none_or(|finding| finding.confidence < detectors::Confidence::Medium));
        } else {
            prop_assert_eq!(first(before), first(after));
        }
    }

    #[test]
    fn unrelated_labels_and_ports_change_nothing(
        view in any_service(),
        labels in vec(("[a-z]{3,8}\\.example/[a-z]{3,8}", "[a-z0-9-]{0,12}"), 0..4),
        number in 20_000..30_000_u16,
    ) {
        prop_assume!(view.ports.iter().all(|port| port.port != number));
        let mut more = view.clone();
        let own = view.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned()));
        more.labels = own.chain(labels).collect();
        let debug = PortView {
            name: Some("debug".into()),
            port: number,
            target: Some(TargetPort::Number(number)),
            protocol: Protocol::Tcp,
            app_protocol: None,
        };
        more.ports = view.ports.iter().cloned().chain([debug]).collect();
        // Having no labels at all is part of the shape of Google's frontend.
        prop_assume!(!view.labels.is_empty());
        // The port of an MCP server that names none is its only one, so another port does change it. The same is true
        // of a product whose only port has a strange name.
        prop_assume!(view.ports.iter().filter(|port| port.protocol == Protocol::Tcp).count() != 1);
        let rules = |view: &ServiceView| -> Vec<_> {
            results(view).into_iter().filter(|result| result.0 != Product::MCP).collect()
        };
        prop_assert_eq!(rules(&view), rules(&more));
    }

    #[test]
    fn displacing_ignores_order_and_names_endpoints_that_are_used(views in vec(any_service(), 0..8), by in 0..8_usize) {
        let mut views = views;
        for (at, view) in views.iter_mut().enumerate() {
            view.key = ServiceKey::new("default", format!("{}-{at}", view.key.name));
        }
        let found: Vec<(&ServiceView, Finding)> =
            views.iter().filter_map(|view| Some((view, endpoint(view)?))).collect();
        let mut endpoints: Vec<(&ServiceView, &Finding)> =
            found.iter().map(|(view, finding)| (*view, finding)).collect();
        let result = |endpoints: &[(&ServiceView, &Finding)]| {
            let displaced = displaced_endpoints(endpoints);
            let mut all: Vec<_> = endpoints.iter().map(|(view, _)| view.key.clone()).zip(displaced).collect();
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            all
        };
        let before = result(&endpoints);
        for (key, displaced) in &before {
            if let Some(displaced) = displaced {
                prop_assert_ne!(key, &displaced.by);
                let kept = before.iter().any(|(other, theirs)| *other == displaced.by && theirs.is_none());
                prop_assert!(kept, "{} gives way to {}, which is not used", key, displaced.by);
            }
        }
        if !endpoints.is_empty() {
            let by = by % endpoints.len();
            endpoints.rotate_left(by);
        }
        prop_assert_eq!(before, result(&endpoints));
    }

    #[test]
    fn services_elsewhere_change_nothing(views in vec(any_service(), 1..5), others in vec(any_service(), 0..5)) {
        let mut views = views;
        let mut others = others;
        for (at, view) in views.iter_mut().enumerate() {
            view.key = ServiceKey::new("here", format!("s{at}"));
        }
        for (at, view) in others.iter_mut().enumerate() {
            view.key = ServiceKey::new("there", format!("s{at}"));
        }
        let found: Vec<(&ServiceView, Finding)> =
            views.iter().chain(&others).filter_map(|view| Some((view, endpoint(view)?))).collect();
        let all: Vec<(&ServiceView, &Finding)> = found.iter().map(|(view, finding)| (*view, finding)).collect();
        let here: Vec<(&ServiceView, &Finding)> =
            all.iter().copied().filter(|(view, _)| &*view.key.namespace == "here").collect();
        prop_assert_eq!(&displaced_endpoints(&all)[..here.len()], &displaced_endpoints(&here)[..]);
    }
}

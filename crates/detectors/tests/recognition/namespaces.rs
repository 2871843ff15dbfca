//! Which of several Services of one install is used.

use detectors::{DisplacedBecause, displaced_endpoints};

use crate::fixture::{Fixture, chosen_of, service};

#[test]
fn a_headless_twin_gives_way() {
    let loki = |name: &str| {
        service(name).both("app=loki release=logs chart=loki-2.16.0").ports("http-metrics:3100>http-metrics")
    };
    assert_eq!(chosen_of(&[loki("logs-headless").headless(), loki("logs")]), ["logs"]);
    assert_eq!(chosen_of(&[loki("logs-headless").headless()]), ["logs-headless"], "alone it is the endpoint");
}

#[test]
fn a_headless_twin_is_known_by_the_same_pods_or_the_same_labels() {
    let query = service("loki")
        .labels("@name=loki @instance=loki")
        .selector("@name=loki @instance=loki @component=single-binary")
        .ports("http-metrics:3100>http-metrics");
    let wider = service("loki-headless")
        .labels("@name=loki @instance=loki variant=headless")
        .selector("@name=loki @instance=loki")
        .ports("http-metrics:3100>http-metrics")
        .headless();
    assert_eq!(chosen_of(&[wider, query]), ["loki"]);
}

#[test]
fn a_headless_twin_is_known_by_its_name_beside_the_others() {
    let es = |name: &str, pods: &str| service(name).selector(pods).ports("http:9200");
    let twin = es("elasticsearch-headless", "app=elasticsearch tier=data").headless();
    assert_eq!(chosen_of(&[twin, es("elasticsearch", "app=elasticsearch tier=client")]), ["elasticsearch"]);
    let alone = es("elasticsearch-headless", "app=elasticsearch").headless();
    assert_eq!(chosen_of(&[alone]), ["elasticsearch-headless"]);
}

#[test]
fn headless_parts_of_different_kinds_both_stay() {
    let single =
        service("vmsingle-main").both("@name=vmsingle @instance=main @component=monitoring").ports("http:8429");
    let select = service("vmselect-main")
        .both("@name=vmselect @instance=main @component=monitoring")
        .ports("http:8481")
        .headless();
    assert_eq!(chosen_of(&[single, select]), ["vmselect-main", "vmsingle-main"]);
}

fn operated(name: &str) -> Fixture {
    service(name).labels("operated-alertmanager=true").selector("@name=alertmanager").ports("web:9093>web").headless()
}

#[test]
fn the_operators_governing_service_gives_way_even_where_selectors_do_not_overlap() {
    let stack = service("kps-alertmanager")
        .labels("app=kube-prometheus-stack-alertmanager @part-of=kube-prometheus-stack release=kps")
        .selector("app=alertmanager alertmanager=kps")
        .ports("web:9093");
    assert_eq!(chosen_of(&[operated("alertmanager-operated"), stack]), ["kps-alertmanager"]);
    assert_eq!(chosen_of(&[operated("alertmanager-operated")]), ["alertmanager-operated"]);
}

#[test]
fn the_gateway_is_taken_before_the_parts_behind_it() {
    let loki = |component: &str, port: &str| {
        service(&format!("loki-{component}"))
            .both(&format!("@name=loki @instance=loki @component={component}"))
            .ports(port)
    };
    let all = [
        loki("read", "http-metrics:3100>http-metrics"),
        loki("gateway", "http:80>http"),
        loki("query-frontend", "http-metrics:3100>http-metrics"),
    ];
    assert_eq!(chosen_of(&all), ["loki-gateway"]);
    assert_eq!(chosen_of(&[all.into_iter().next().expect("read")]), ["loki-read"]);
}

#[test]
fn tempos_query_frontend_is_taken_before_its_gateway() {
    let tempo = |component: &str, port: &str| {
        service(&format!("tempo-{component}"))
            .both(&format!("@name=tempo @instance=t @component={component}"))
            .ports(port)
    };
    let all = [tempo("gateway", "http-metrics:80>http"), tempo("query-frontend", "http-metrics:3200>http-metrics")];
    assert_eq!(chosen_of(&all), ["tempo-query-frontend"]);
}

#[test]
fn coordinating_nodes_are_taken_before_the_others() {
    let role = |role: &str| {
        service(&format!("es-{role}"))
            .both(&format!("@name=elasticsearch @instance=es @component={role}"))
            .ports("http:9200>http")
    };
    assert_eq!(chosen_of(&[role("data"), role("master"), role("coordinating-only")]), ["es-coordinating-only"]);
}

#[test]
fn two_installs_in_one_namespace_both_stay() {
    let gateway = |instance: &str| {
        service(&format!("{instance}-gateway"))
            .both(&format!("@name=loki @instance={instance} @component=gateway"))
            .ports("http:80>http")
    };
    let single = service("other").both("@name=loki @instance=other").ports("http-metrics:3100>http-metrics");
    assert_eq!(chosen_of(&[gateway("a"), gateway("b"), single]), ["a-gateway", "b-gateway", "other"]);
}

#[test]
fn of_two_services_over_the_same_pods_the_one_for_the_cluster_is_taken() {
    let grafana = |name: &str| service(name).both("app=grafana").ports("http:3000");
    assert_eq!(chosen_of(&[grafana("grafana-external").node_port(), grafana("grafana")]), ["grafana"]);
}

#[test]
fn a_service_for_one_replica_gives_way_to_the_one_for_all() {
    let labels = "@name=alertmanager @instance=am";
    let all = service("am-alertmanager").both(labels).ports("http:9093");
    let first = service("am-alertmanager-0")
        .labels(labels)
        .selector("@name=alertmanager @instance=am statefulset.kubernetes.io/pod-name=am-alertmanager-0")
        .ports("http:9093");
    assert_eq!(chosen_of(&[first, all]), ["am-alertmanager"]);
}

#[test]
fn istios_query_service_is_preferred_to_the_service_for_spans() {
    let endpoint = service("tracing").both("app=zipkin").ports("http-query:80>9411");
    let intake = service("zipkin").labels("name=zipkin").selector("app=zipkin").ports("http-query:9411");
    assert_eq!(chosen_of(&[intake, endpoint]), ["tracing"]);
}

#[test]
fn a_displaced_endpoint_names_the_one_that_is_used() {
    let twin =
        service("logs-headless").both("app=loki release=logs chart=loki-2.16.0").ports("http-metrics:3100").headless();
    let loki = service("logs").both("app=loki release=logs chart=loki-2.16.0").ports("http-metrics:3100");
    let (of_twin, of_loki) = (twin.chosen().expect("chosen"), loki.chosen().expect("chosen"));
    let displaced = displaced_endpoints(&[(twin.view(), &of_twin), (loki.view(), &of_loki)]);
    let displaced_twin = displaced[0].as_ref().expect("set aside");
    assert_eq!(displaced_twin.by, loki.view().key);
    assert_eq!(displaced_twin.because, DisplacedBecause::HeadlessTwin);
    assert!(displaced[1].is_none());
}

#[test]
fn services_of_different_namespaces_never_meet() {
    let mut twin =
        service("logs-headless").both("app=loki release=logs chart=loki-2.16.0").ports("http-metrics:3100").headless();
    twin.0.key.namespace = "elsewhere".into();
    let loki = service("logs").both("app=loki release=logs chart=loki-2.16.0").ports("http-metrics:3100");
    assert_eq!(chosen_of(&[twin, loki]), ["logs", "logs-headless"]);
}

#[test]
fn query_and_query_frontend_with_instances_of_their_own_are_one_install() {
    let query = "@name=thanos-query @instance=thanos-query @component=query-layer";
    let frontend = "@name=thanos-query-frontend @instance=thanos-query-frontend @component=query-cache";
    let kept = chosen_of(&[
        service("thanos-query").both(query).ports("grpc:10901 http:9090"),
        service("thanos-query-frontend").both(frontend).ports("http:9090"),
    ]);
    assert_eq!(kept, ["thanos-query"]);
}

#[test]
fn two_services_that_name_the_same_pods_by_other_labels_are_one() {
    let operators = "@name=prometheus operator.prometheus.io/name=main";
    let kept = chosen_of(&[
        service("prometheus-main").both(operators).ports("http-web:9090>http-web"),
        service("prometheus-outside")
            .selector("@name=prometheus prometheus=main")
            .ports("web:9090>http-web")
            .node_port(),
    ]);
    assert_eq!(kept, ["prometheus-main"]);
    let two = chosen_of(&[
        service("prometheus-a").selector("app=prometheus prometheus=a").ports("web:9090"),
        service("prometheus-b").selector("app=prometheus prometheus=b").ports("web:9090"),
    ]);
    assert_eq!(two, ["prometheus-a", "prometheus-b"]);
}

#[test]
fn an_operators_gateway_is_preferred_to_the_query_frontend_behind_it() {
    let stack =
        |component: &str| format!("@name=tempo @instance=traces @managed-by=tempo-operator @component={component}");
    let kept = chosen_of(&[
        service("tempo-traces-gateway")
            .both(&stack("gateway"))
            .ports("grpc-public:8090 internal:8081 public:8080>public"),
        service("tempo-traces-query-frontend")
            .both(&stack("query-frontend"))
            .ports("http:3200 grpc:9095 jaeger-ui:16686"),
    ]);
    assert_eq!(kept, ["tempo-traces-gateway"]);
    let stack = |component: &str| {
        format!("@name=lokistack @instance=logs @managed-by=lokistack-controller @component={component}")
    };
    let kept = chosen_of(&[
        service("logs-gateway-http").both(&stack("lokistack-gateway")).ports("public:8080>public metrics:8083"),
        service("logs-query-frontend-http").both(&stack("query-frontend")).ports("metrics:3100>metrics"),
    ]);
    assert_eq!(kept, ["logs-gateway-http"]);
}

//! Prometheus, Thanos, Mimir, VictoriaMetrics, Alertmanager.

use detectors::{Confidence, Outcome, Product};

use crate::fixture::service;

#[test]
fn kube_prometheus_stack_is_known_by_its_stack_and_not_by_its_release() {
    let kps = service("monitoring-kube-prometheus-prometheus")
        .labels(
            "app=kube-prometheus-stack-prometheus @part-of=kube-prometheus-stack release=monitoring self-monitor=true",
        )
        .selector("@name=prometheus operator.prometheus.io/name=monitoring-kube-prometheus-prometheus")
        .ports("http-web:9090 reloader-web:8080>reloader-web");
    assert_eq!(kps.chosen_url(), "Prometheus http://:9090");
    assert_eq!(kps.confidence(), Some(Confidence::High));

    let renamed = service("rancher-monitoring-prometheus")
        .labels("app=rancher-monitoring-prometheus @part-of=rancher-monitoring")
        .selector("@name=prometheus prometheus=rancher-monitoring-prometheus")
        .ports("http-web:9090");
    assert_eq!(renamed.chosen_url(), "Prometheus http://:9090");

    let before_part_of = service("mon-prometheus-operator-prometheus")
        .labels("app=prometheus-operator-prometheus chart=prometheus-operator-9.3.1 release=mon heritage=Helm")
        .selector("app=prometheus prometheus=mon-prometheus-operator-prometheus")
        .ports("web:9090");
    assert_eq!(before_part_of.chosen_url(), "Prometheus http://:9090");
}

#[test]
fn the_prometheus_chart_is_taken_on_port_80() {
    let modern = service("prometheus-server")
        .both("@name=prometheus @component=server @instance=prometheus")
        .ports("http:80>9090");
    assert_eq!(modern.chosen_url(), "Prometheus http://:80");
    assert_eq!(modern.confidence(), Some(Confidence::High));

    let legacy = service("shop-prometheus-server")
        .labels("app=prometheus component=server release=shop chart=prometheus-15.0.1 heritage=Helm")
        .selector("app=prometheus component=server release=shop")
        .ports("http:80>9090");
    assert_eq!(legacy.chosen_url(), "Prometheus http://:80");
    assert_eq!(legacy.confidence(), Some(Confidence::High));
}

#[test]
fn the_old_prometheus_charts_other_parts_are_no_prometheus() {
    for (part, port) in [("node-exporter", "metrics:9100"), ("pushgateway", "http:9091")] {
        let service = service(&format!("shop-prometheus-{part}"))
            .both(&format!("app=prometheus component={part} release=shop chart=prometheus-15.0.1"))
            .ports(port);
        assert_eq!(service.chosen_url(), "-", "{part}");
    }
    let alertmanager = service("shop-prometheus-alertmanager")
        .both("app=prometheus component=alertmanager release=shop chart=prometheus-15.0.1")
        .ports("http:80>9093");
    assert_eq!(alertmanager.chosen_url(), "Alertmanager http://:80");
}

#[test]
fn openshift_serves_tls_where_it_has_a_serving_certificate() {
    let cert = |name: &str| format!("service.beta.openshift.io/serving-cert-secret-name={name}-tls");
    let prometheus = service("prometheus-k8s")
        .both("@name=prometheus @component=prometheus @instance=k8s @part-of=openshift-monitoring")
        .annotations(&cert("prometheus-k8s"))
        .ports("web:9091>web metrics:9092>metrics");
    assert_eq!(prometheus.chosen_url(), "Prometheus https://:9091");

    let before_recommended_labels = service("prometheus-k8s")
        .labels("prometheus=k8s")
        .selector("app=prometheus prometheus=k8s")
        .annotations("service.alpha.openshift.io/serving-cert-secret-name=prometheus-k8s-tls")
        .ports("web:9091>web tenancy:9092>tenancy");
    assert_eq!(before_recommended_labels.chosen_url(), "Prometheus https://:9091");

    let thanos = service("thanos-querier")
        .both("@name=thanos-query @component=query-layer @instance=thanos-querier @part-of=openshift-monitoring")
        .annotations(&cert("thanos-querier"))
        .ports("web:9091>web tenancy:9092>tenancy tenancy-rules:9093>tenancy-rules metrics:9094>metrics");
    assert_eq!(thanos.chosen_url(), "Thanos https://:9091");

    for (instance, number) in [("main", 9094), ("user-workload", 9095)] {
        let alertmanager = service(&format!("alertmanager-{instance}"))
            .both(&format!("@name=alertmanager @component=alert-router @instance={instance}"))
            .annotations(&cert("alertmanager"))
            .ports(&format!("web:{number}>web tenancy:9092>tenancy metrics:9097>metrics"));
        assert_eq!(alertmanager.chosen_url(), format!("Alertmanager https://:{number}"));
    }
}

#[test]
fn openshifts_user_workload_prometheus_has_no_query_port() {
    let user_workload = service("prometheus-user-workload")
        .both("@name=prometheus @component=prometheus @instance=user-workload @part-of=openshift-monitoring")
        .ports("metrics:9091>metrics federate:9092>federate thanos-proxy:10902>thanos-proxy");
    assert_eq!(user_workload.chosen_url(), "-");
    let finding = user_workload.finding(Product::Prometheus).expect("recognised all the same");
    assert_eq!(finding.outcome, Outcome::NoUsablePort);
}

#[test]
fn bitnami_prometheus_and_its_thanos_twin_differ_only_in_their_ports() {
    let labels = "@name=kube-prometheus @component=prometheus @instance=kps";
    let prometheus = service("kps-kube-prometheus-prometheus").labels(labels).ports("http:9090");
    assert_eq!(prometheus.chosen_url(), "Prometheus http://:9090");
    let sidecar = service("kps-kube-prometheus-prometheus-thanos").labels(labels).ports("grpc:10901>grpc").headless();
    assert_eq!(sidecar.chosen_url(), "-");
}

#[test]
fn prometheus_of_a_service_mesh_sees_only_the_mesh() {
    let viz = service("prometheus")
        .labels("component=prometheus linkerd.io/extension=viz namespace=linkerd-viz")
        .selector("component=prometheus linkerd.io/extension=viz")
        .ports("admin:9090");
    assert_eq!(viz.chosen_url(), "Prometheus http://:9090");
    assert!(viz.chosen().expect("chosen").rank.bundled);

    let kubecost = service("kubecost-prometheus-server")
        .both("app=prometheus component=server release=kubecost")
        .ports("http:80>9090");
    assert!(kubecost.chosen().expect("chosen").rank.bundled);

    let own =
        service("prometheus-server").both("@name=prometheus @component=server @instance=prom").ports("http:80>9090");
    assert!(!own.chosen().expect("chosen").rank.bundled);
}

#[test]
fn googles_frontend_is_known_by_its_whole_shape() {
    let frontend = service("frontend").selector("app=frontend").ports("web:9090").headless();
    assert_eq!(frontend.chosen_url(), "Prometheus http://:9090");

    let with_a_cluster_ip = service("frontend").selector("app=frontend").ports("web:9090");
    assert_eq!(with_a_cluster_ip.chosen_url(), "-");
    let with_labels = service("frontend").both("app=frontend").ports("web:9090").headless();
    assert_eq!(with_labels.chosen_url(), "-");
}

#[test]
fn the_cluster_addons_labels_are_read_in_any_case() {
    let prometheus = service("prometheus")
        .labels("kubernetes.io/name=Prometheus kubernetes.io/cluster-service=true")
        .selector("k8s-app=prometheus")
        .ports("http:9090");
    assert_eq!(prometheus.chosen_url(), "Prometheus http://:9090");
    let alertmanager = service("alertmanager")
        .labels("kubernetes.io/name=Alertmanager")
        .selector("k8s-app=alertmanager")
        .ports("http:80>9093");
    assert_eq!(alertmanager.chosen_url(), "Alertmanager http://:80");
}

#[test]
fn the_operators_governing_services_are_endpoints_of_last_resort() {
    let operated = service("prometheus-operated")
        .labels("operated-prometheus=true managed-by=prometheus-operator")
        .selector("@name=prometheus")
        .ports("http-web:9090>http-web")
        .headless();
    assert_eq!(operated.chosen_url(), "Prometheus http://:9090");
    assert_eq!(operated.chosen().expect("chosen").rank.tier, u8::MAX);
}

#[test]
fn a_service_over_the_operators_pods_is_known_by_its_selector() {
    let prometheus = service("metrics-external").selector("prometheus=k8s").ports("web:9090>web").node_port();
    assert_eq!(prometheus.chosen_url(), "Prometheus http://:9090");
    assert_eq!(prometheus.confidence(), Some(Confidence::Medium));
    let alertmanager = service("alerts").selector("alertmanager=main").ports("web:9093>web");
    assert_eq!(alertmanager.chosen_url(), "Alertmanager http://:9093");
}

#[test]
fn only_thanos_query_answers_of_all_that_share_its_ports() {
    let part = |component: &str| {
        service(&format!("thanos-{component}"))
            .both(&format!("@name=thanos @component={component}"))
            .ports("http:9090>http")
    };
    assert_eq!(part("query").chosen_url(), "Thanos http://:9090");
    assert_eq!(part("query-frontend").chosen_url(), "Thanos http://:9090");
    assert!(part("query").chosen().expect("chosen").rank < part("query-frontend").chosen().expect("chosen").rank);
    for component in ["storegateway", "compactor", "bucketweb", "receive", "ruler"] {
        assert_eq!(part(component).chosen_url(), "-", "{component}");
        let finding = part(component).finding(Product::Thanos).expect("recognised");
        assert_eq!(finding.outcome, Outcome::NotAnEndpoint { role: component.to_owned().into() });
    }
    let grpc = service("thanos-query-grpc").both("@name=thanos @component=query").ports("grpc:10901>grpc");
    assert_eq!(grpc.chosen_url(), "-");
}

#[test]
fn mimir_answers_under_its_prometheus_path() {
    let nginx = service("mimir-nginx").both("@name=mimir @component=nginx").ports("http-metric:80>http-metric");
    assert_eq!(nginx.chosen_url(), "Mimir http://:80/prometheus");
    let gateway = service("mimir-gateway")
        .both("@name=mimir @component=gateway")
        .ports("http-metrics:80>http-metrics legacy-http-metrics:8080>http-metrics");
    assert_eq!(gateway.chosen_url(), "Mimir http://:80/prometheus");
    let enterprise = service("gem-enterprise-metrics-gateway")
        .labels("app=enterprise-metrics-gateway chart=enterprise-metrics-1.8.1 release=gem heritage=Helm")
        .selector("app=enterprise-metrics-gateway release=gem")
        .ports("http-metrics:8080>http-metrics");
    assert_eq!(enterprise.chosen_url(), "Mimir http://:8080/prometheus");
    let bitnami =
        service("bn-grafana-mimir-gateway").both("@name=grafana-mimir @component=gateway").ports("http:80>http");
    assert_eq!(bitnami.chosen_url(), "Mimir http://:80/prometheus");
}

#[test]
fn mimirs_other_parts_answer_nothing_its_alertmanager_included() {
    for part in [
        "distributor",
        "ingester",
        "querier",
        "store-gateway",
        "ruler",
        "compactor",
        "overrides-exporter",
        "alertmanager",
    ] {
        let service = service(&format!("mimir-{part}"))
            .both(&format!("@name=mimir @component={part}"))
            .ports("http-metrics:8080>http-metrics grpc:9095>grpc");
        assert_eq!(service.chosen_url(), "-", "{part}");
    }
}

#[test]
fn victoriametrics_is_found_on_its_nodes_and_on_vmselect() {
    let single = service("vm-victoria-metrics-single-server")
        .labels("@name=victoria-metrics-single @component=server @instance=vm")
        .selector("@name=victoria-metrics-single @instance=vm app=server")
        .ports("http:8428>http")
        .headless();
    assert_eq!(single.chosen_url(), "VictoriaMetrics http://:8428");
    let select = service("vm-victoria-metrics-cluster-vmselect")
        .both("@name=victoria-metrics-cluster @component=vmselect")
        .ports("http:8481>http");
    assert_eq!(select.chosen_url(), "VictoriaMetrics http://:8481/select/0/prometheus");
    let before_component = service("vm-victoria-metrics-cluster-vmselect")
        .both("@name=victoria-metrics-cluster app=vmselect")
        .ports("http:8481>http");
    assert_eq!(before_component.chosen_url(), "VictoriaMetrics http://:8481/select/0/prometheus");
    let by_operator = service("vmsingle-main")
        .both("@name=vmsingle @instance=main @component=monitoring managed-by=vm-operator")
        .ports("http:8429");
    assert_eq!(by_operator.chosen_url(), "VictoriaMetrics http://:8429");
    let select_by_operator = service("vmselect-main")
        .both("@name=vmselect @instance=main @component=monitoring managed-by=vm-operator")
        .ports("http:8481")
        .headless();
    assert_eq!(select_by_operator.chosen_url(), "VictoriaMetrics http://:8481/select/0/prometheus");
}

#[test]
fn victoriametrics_write_path_storage_and_agents_answer_nothing() {
    let storage = service("vm-victoria-metrics-cluster-vmstorage")
        .both("@name=victoria-metrics-cluster @component=vmstorage")
        .ports("http:8482>http vmselect:8401>vmselect vminsert:8400>vminsert")
        .headless();
    assert_eq!(storage.chosen_url(), "-");
    for (name, port) in [("vmagent", 8429), ("vmalert", 8080), ("vmauth", 8427), ("vminsert", 8480)] {
        let service = service(&format!("{name}-main"))
            .both(&format!("@name={name} @instance=main @component=monitoring managed-by=vm-operator"))
            .ports(&format!("http:{port}"));
        assert_eq!(service.chosen_url(), "-", "{name}");
    }
}

#[test]
fn an_alertmanager_is_known_by_its_role_where_the_stack_names_it() {
    for labels in [
        "@name=alertmanager @instance=am",
        "@name=kube-prometheus @component=alertmanager",
        "@name=prometheus @component=alertmanager",
        "@name=victoria-metrics-alert @component=alertmanager",
        "@name=victoria-metrics-alert app=alertmanager",
        "app=kube-prometheus-stack-alertmanager @part-of=kube-prometheus-stack",
    ] {
        let service = service("x").labels(labels).ports("http:9093");
        assert_eq!(service.chosen_url(), "Alertmanager http://:9093", "{labels}");
    }
    let by_operator = service("vmalertmanager-main")
        .both("@name=vmalertmanager @instance=main @component=monitoring managed-by=vm-operator")
        .ports("http:9093>web tcp-mesh:9094 udp-mesh:9094/UDP")
        .headless();
    assert_eq!(by_operator.chosen_url(), "Alertmanager http://:9093");
}

//! Elasticsearch, `OpenSearch`.

use detectors::{Outcome, Product};

use crate::fixture::service;

#[test]
fn the_elastic_chart_is_known_whatever_its_cluster_is_called() {
    let elastic =
        service("logs-data").both("app=logs-data chart=elasticsearch release=logs").ports("http:9200 transport:9300");
    assert_eq!(elastic.chosen_url(), "Elasticsearch http://:9200");
}

#[test]
fn ecks_public_service_is_taken_and_its_port_name_is_the_scheme() {
    let labels = "common.k8s.elastic.co/type=elasticsearch elasticsearch.k8s.elastic.co/cluster-name=logs";
    let tls = service("logs-es-http").both(labels).ports("https:9200");
    assert_eq!(tls.chosen_url(), "Elasticsearch https://:9200");
    let plain = service("logs-es-http").both(labels).ports("http:9200");
    assert_eq!(plain.chosen_url(), "Elasticsearch http://:9200");

    assert_eq!(service("logs-es-internal-http").both(labels).ports("https:9200").chosen_url(), "-");
    assert_eq!(service("logs-es-transport").both(labels).ports("tls-transport:9300").headless().chosen_url(), "-");
    let node_set = format!("{labels} elasticsearch.k8s.elastic.co/statefulset-name=logs-es-default");
    let node_set = service("logs-es-default").both(&node_set).ports("https:9200").headless();
    assert_eq!(node_set.chosen_url(), "-");
}

#[test]
fn bitnamis_coordinating_nodes_rank_before_the_others() {
    let role = |name: &str, role: &str| {
        service(name)
            .both(&format!("@name={name} @component={role} @instance=x"))
            .ports("tcp-rest-api:9200>rest-api tcp-transport:9300")
    };
    for (name, product) in [("elasticsearch", "Elasticsearch"), ("opensearch", "OpenSearch")] {
        let coordinating = role(name, "coordinating-only");
        assert_eq!(coordinating.chosen_url(), format!("{product} http://:9200"));
        let data = role(name, "data");
        assert!(coordinating.chosen().expect("chosen").rank < data.chosen().expect("chosen").rank);
        assert_eq!(role(name, "metrics").chosen_url(), "-");
    }
}

#[test]
fn roles_of_hand_written_clusters_are_read() {
    let client = service("elasticsearch").both("component=elasticsearch role=client").ports("http:9200");
    assert_eq!(client.chosen_url(), "Elasticsearch http://:9200");
    let discovery =
        service("elasticsearch-discovery").both("component=elasticsearch role=master").ports("transport:9300");
    assert_eq!(discovery.chosen_url(), "-");
    let addon = service("elasticsearch-logging").both("k8s-app=elasticsearch-logging").ports("-:9200>db");
    assert_eq!(addon.chosen_url(), "Elasticsearch http://:9200");
}

#[test]
fn a_role_that_only_describes_the_stack_is_no_other_part() {
    let storage = service("elasticsearch")
        .both("@name=elasticsearch @component=storage-backend @part-of=jaeger")
        .ports("http:9200 transport:9300")
        .headless();
    assert_eq!(storage.chosen_url(), "Elasticsearch http://:9200");
}

#[test]
fn opensearch_of_the_chart_names_its_own_node_groups() {
    let opensearch = service("opensearch-cluster-master")
        .labels("@name=opensearch @component=opensearch-cluster-master @instance=os")
        .selector("@name=opensearch @instance=os")
        .ports("http:9200 transport:9300 metrics:9600");
    assert_eq!(opensearch.chosen_url(), "OpenSearch http://:9200");
}

#[test]
fn opensearch_of_the_operator_shows_its_scheme() {
    let tls = service("logs")
        .both("opensearch.org/opensearch-cluster=logs")
        .ports("http:9200[https] transport:9300 rca:9650");
    assert_eq!(tls.chosen_url(), "OpenSearch https://:9200");
    let old = service("logs").both("opster.io/opensearch-cluster=logs").ports("http:9200 transport:9300 metrics:9600");
    assert_eq!(old.chosen_url(), "OpenSearch http://:9200");

    let pool = service("logs-nodes")
        .both("opensearch.org/opensearch-cluster=logs opensearch.org/opensearch-nodepool=nodes")
        .ports("http:9200[https] transport:9300")
        .headless();
    let finding = pool.finding(Product::OpenSearch).expect("recognised");
    assert!(matches!(finding.outcome, Outcome::NotAnEndpoint { .. }));
    let discovery =
        service("logs-discovery").both("opensearch.org/opensearch-cluster=logs").ports("transport:9300").headless();
    assert_eq!(discovery.chosen_url(), "-");
}

#[test]
fn elasticsearchs_number_makes_a_candidate_only_together_with_that_of_its_transport() {
    assert!(service("catalog-search").both("app=catalog-search").ports("http:9200").findings().is_empty());
    let api = service("catalog-search").both("app=catalog-search").ports("http:9200 transport:9300");
    assert_eq!(api.chosen_url(), "-");
    let finding = api.finding(Product::Elasticsearch).expect("a candidate");
    assert_eq!(finding.confidence, detectors::Confidence::Low);
    let hint = finding.hint.expect("says what would settle it");
    assert!(hint.contains("kubernaut.io/toolset-type=elasticsearch"), "{hint}");
}

#[test]
fn wazuhs_builds_of_opensearch_and_its_dashboards_are_known() {
    let rest = service("indexer").both("app=wazuh-indexer").ports("indexer-rest:9200");
    assert_eq!(rest.chosen_url(), "OpenSearch http://:9200");
    let nodes = service("wazuh-indexer").both("app=wazuh-indexer").ports("indexer-nodes:9300").headless();
    let finding = nodes.finding(Product::OpenSearch).expect("known");
    assert!(matches!(finding.outcome, Outcome::NotAnEndpoint { .. }));
    let dashboard = service("dashboard").both("app=wazuh-dashboard").ports("dashboard:443>5601");
    assert_eq!(dashboard.chosen_url(), "Kibana http://:443");
    let manager = service("wazuh").both("app=wazuh-manager").ports("registration:1515 api:55000");
    assert!(manager.findings().is_empty());
}

#[test]
fn open_distros_chart_shares_its_name_among_all_nodes() {
    let part = |name: &str, role: &str, ports: &str| {
        service(name)
            .labels(&format!(
                "app=logs-opendistro-es chart=opendistro-es-1.13.3 release=logs heritage=Helm role={role}"
            ))
            .selector(&format!("role={role}"))
            .ports(ports)
    };
    let client = part("logs-opendistro-es-client-service", "client", "http:9200 transport:9300 metrics:9600");
    assert_eq!(client.chosen_url(), "Elasticsearch http://:9200");
    let data = part("logs-opendistro-es-data-svc", "data", "transport:9300").headless();
    assert_eq!(data.chosen_url(), "-");
    let kibana = part("logs-opendistro-es-kibana-svc", "kibana", "kibana-svc:443>5601");
    assert_eq!(kibana.chosen_url(), "Kibana http://:443");
}

#[test]
fn the_number_of_the_dashboards_is_never_the_search_engines() {
    for label in ["opster.io/opensearch-cluster=logs", "@name=opensearch", "app=opensearch", "@name=elasticsearch"] {
        for port in ["http:5601", "http:80>5601", "-:5601"] {
            let fixture = service("logs").both(label).ports(port);
            assert_eq!(fixture.chosen_url(), "-", "{label} {port}");
        }
    }
    let both = service("logs-dashboards")
        .labels("opster.io/opensearch-cluster=logs opensearch.cluster.dashboards=logs")
        .selector("opensearch.cluster.dashboards=logs")
        .ports("http:5601");
    assert_eq!(both.chosen_url(), "Kibana http://:5601");
}

//! The names that `HolmesGPT` 0.45.0 uses itself. None of our entries may have one, and no Tenant may have a name that
//! looks like one. `spec.baseline` can name the toolsets. The test tier `agent` checks the list of toolsets with the
//! agent itself.

use std::{collections::BTreeSet, sync::LazyLock};

/// Every built-in toolset, sorted, and the names that the agent's loader treats in a way of their own.
const TOOLSETS: [&str; 54] = [
    "MongoDBAtlas",
    "aks/core",
    "aks/node-health",
    "argocd/core",
    "bash",
    "cilium/core",
    "confluence",
    "connectivity_check",
    "coralogix",
    "coralogix/logs",
    "core_investigation",
    "crossplane/core",
    "database/sql",
    "datadog/general",
    "datadog/logs",
    "datadog/metrics",
    "datadog/traces",
    "docker/core",
    "elasticsearch/cluster",
    "elasticsearch/data",
    "grafana/dashboards",
    "grafana/loki",
    "grafana/tempo",
    "helm/core",
    "http",
    "hubble/observability",
    "inspektor-gadget/node",
    "inspektor-gadget/tcpdump",
    "internet",
    "kafka/admin",
    "kubectl-run",
    "kubernetes/core",
    "kubernetes/kube-prometheus-stack",
    "kubernetes/live-metrics",
    "kubernetes/logs",
    "kubevela/core",
    "mongodb",
    "newrelic",
    "notion",
    "opensearch/query_assist",
    "openshift/core",
    "openshift/live-metrics",
    "openshift/logs",
    "openshift/security",
    "prometheus/metrics",
    "prometheus/multi-tenant-metrics",
    "rabbitmq/core",
    "robusta",
    "robusta_platform_mcp",
    "runbook",
    "servicenow/tables",
    "skills",
    "slab",
    "victorialogs",
];

/// Those of [`TOOLSETS`] that are not toolsets: a `type`, or a name that the loader skips or renames.
const NOT_TOOLSETS: [&str; 3] = ["http", "kubectl-run", "mongodb"];

/// The tools of the built-in toolsets, without those of all toolsets with several instances.
const TOOLS: &str = "\
    aggregate_datadog_spans aks_get_cluster aks_get_credentials aks_list_addons aks_list_clusters_by_rg \
    aks_list_node_pools aks_list_versions aks_show_node_pool argocd_app_diff argocd_app_get argocd_app_history \
    argocd_app_list argocd_app_manifest_source_revision argocd_app_manifests argocd_app_resources \
    argocd_cluster_list argocd_proj_get argocd_proj_list argocd_repo_list atlas_return_events_from_project \
    atlas_return_events_type_from_project atlas_return_logs_for_host_in_project atlas_return_project_alerts \
    atlas_return_project_processes atlas_return_project_processes_slow_queries check_network_inbound \
    check_network_outbound check_node_resource_usage check_node_status check_top_resource_consuming_pods \
    cilium_bgp_peers cilium_bgp_routes cilium_clustermesh_status cilium_config cilium_connectivity_test \
    cilium_connectivity_test_namespace cilium_context cilium_encryption_status cilium_features_status \
    cilium_install_status cilium_multicast_groups cilium_status cilium_status_verbose cilium_sysdump cilium_version \
    cloud_provider cluster_overview consume_messages coralogix_execute_dataprime_query crossplane_get_claim \
    crossplane_get_composite_resource crossplane_get_composition crossplane_get_managed_resource \
    crossplane_get_provider crossplane_get_provider_config crossplane_get_resource_events crossplane_get_xrd \
    crossplane_list_compositions crossplane_list_managed_by_composite crossplane_list_managed_resources \
    crossplane_list_provider_configs crossplane_list_provider_revisions crossplane_list_providers \
    crossplane_list_xrds database_sql_describe_table database_sql_list_tables database_sql_query datadog_api_get \
    datadog_api_post_search describe_configs describe_consumer_group describe_node describe_topic docker_diff \
    docker_events docker_history docker_images docker_inspect docker_logs docker_ps docker_ps_all docker_top \
    elasticsearch_allocation_explain elasticsearch_cat elasticsearch_cluster_health elasticsearch_index_stats \
    elasticsearch_list_indices elasticsearch_mappings elasticsearch_nodes_stats elasticsearch_search \
    execute_prometheus_instant_query execute_prometheus_range_query fetch_datadog_logs fetch_datadog_spans \
    fetch_finding_by_id fetch_notion_webpage fetch_pod_logs fetch_skill fetch_slab_document fetch_webpage \
    find_consumer_groups_by_topic get_all_labels get_all_nsgs get_api_server_public_ip get_cluster_name \
    get_cluster_resource_group get_datadog_metric_metadata get_default_subscription get_label_values \
    get_metric_metadata get_metric_names get_node_events get_node_resource_group get_nsg_rules get_prometheus_target \
    get_rabbitmq_cluster_status get_series grafana_get_dashboard_by_uid grafana_get_dashboard_tags \
    grafana_get_home_dashboard grafana_loki_query grafana_render_dashboard grafana_render_panel \
    grafana_search_dashboards helm_chart helm_history helm_hooks helm_list helm_manifest helm_notes helm_status \
    helm_values http_request hubble_list_nodes hubble_observe hubble_observe_between_namespaces hubble_observe_dns \
    hubble_observe_drops hubble_observe_flows_summary hubble_observe_forwarded hubble_observe_from_pod \
    hubble_observe_grpc hubble_observe_http hubble_observe_json hubble_observe_l7_traffic hubble_observe_namespace \
    hubble_observe_pod hubble_observe_policy_verdicts hubble_observe_port hubble_observe_security_events \
    hubble_observe_service hubble_observe_since hubble_observe_to_pod hubble_status ig_node_snapshot_process \
    ig_node_snapshot_socket ig_node_tcpdump ig_node_trace_dns ig_node_trace_exec ig_node_trace_open \
    ig_node_trace_tcp ig_node_traceloop kubectl_container_logs kubectl_container_previous_logs kubectl_logs \
    kubectl_logs_all_containers kubectl_logs_all_containers_grep kubectl_logs_grep kubectl_previous_logs \
    kubectl_previous_logs_all_containers kubectl_top_nodes kubectl_top_pods kubernetes_count kubernetes_jq_query \
    kubernetes_tabular_query list_active_datadog_metrics list_brokers list_configured_clusters \
    list_datadog_api_resources list_datadog_metric_tags list_kafka_clusters list_kafka_consumers \
    list_prometheus_rules list_topics list_vmss_names newrelic_execute_nrql_query \
    newrelic_list_organization_accounts oc_adm_openshift_audit_logs oc_adm_openshift_audit_logs_with_filter \
    oc_build_logs oc_buildconfigs oc_builds oc_clusterrolebindings oc_container_logs oc_container_previous_logs \
    oc_deploymentconfigs oc_describe oc_events oc_find_resource oc_get_by_kind_in_cluster \
    oc_get_by_kind_in_namespace oc_get_by_name oc_get_yaml oc_imagestreams oc_logs oc_logs_all_containers \
    oc_logs_all_containers_grep oc_logs_grep oc_policy_can_i oc_policy_who_can oc_previous_logs \
    oc_previous_logs_all_containers oc_project_current oc_projects oc_rolebindings oc_route_describe oc_routes \
    oc_scc oc_scc_describe oc_serviceaccounts oc_top_nodes oc_top_pods opensearch_ppl_query_assist \
    openshift_jq_query query_datadog_metrics read_image_file review_activity_log servicenow_get_record \
    servicenow_get_records tcp_check tempo_fetch_traces_comparative_sample tempo_query_metrics_instant \
    tempo_query_metrics_range tempo_query_trace_by_id tempo_search_tag_names tempo_search_tag_values \
    tempo_search_traces_by_query tempo_search_traces_by_tags TodoWrite vela_addon_list vela_addon_status \
    vela_app_list vela_app_show vela_app_status vela_component_list vela_definition_show vela_dry_run vela_live_diff \
    vela_logs vela_port_forward vela_top vela_trait_list vela_workflow_list vela_workflow_logs vela_workflow_status \
    victorialogs_field_names victorialogs_field_values victorialogs_hits victorialogs_query victorialogs_streams";

/// The end of the name of the tool that lists the instances of a toolset.
const LIST_INSTANCES: &str = "_list_instances";
/// The end that the agent gives the name of the tool of an entry with `type: http`.
const REQUEST: &str = "_request";
/// The start of the name of the entry that tells the agent that the file has changed.
const REVISION: &str = "discovered_revision";

/// A name without its case and its kinds of separators. People and agents overlook both, so they would confuse two
/// tools with the same folded name.
pub fn folded(name: &str) -> String {
    let mut folded = String::with_capacity(name.len());
    let mut separated = false;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() {
            if separated && !folded.is_empty() {
                folded.push('_');
            }
            folded.push(c.to_ascii_lowercase());
        }
        separated = !c.is_ascii_alphanumeric();
    }
    folded
}

/// How the agent makes a tool's name from an entry's.
pub fn mapped(name: &str) -> String {
    let part: String = name.chars().map(|c| if matches!(c, '-' | '/') { '_' } else { c }).collect();
    format!("{part}{REQUEST}")
}

/// The names as [`folded`].
struct Folded {
    /// Names of toolsets and tools.
    all: BTreeSet<String>,
    /// Toolsets whose names have several words. A name that starts with all of them looks like a part of the toolset. A
    /// single word can well be a type, so a name may start with it.
    compound: Vec<String>,
}

static FOLDED: LazyLock<Folded> = LazyLock::new(|| {
    let toolsets = TOOLSETS.iter().map(|name| folded(name));
    let lists = TOOLSETS.iter().map(|name| folded(&format!("{name}{LIST_INSTANCES}")));
    let all = toolsets.clone().chain(lists).chain(TOOLS.split_whitespace().map(folded)).collect();
    Folded { all, compound: toolsets.filter(|name| name.contains('_')).collect() }
});

/// Whether the agent would confuse an entry of that name, or its tool, with one of its own. The agent distinguishes the
/// tools of MCP servers apart only by the letters and digits of their entry, so names are compared as [`folded`].
pub fn is_taken(name: &str) -> bool {
    let name = folded(name);
    FOLDED.all.contains(&name) || FOLDED.all.contains(&format!("{name}{REQUEST}")) || is_revision(&name)
}

/// Whether a name is reserved for the entry that tells the agent that the file has changed.
pub fn is_revision(name: &str) -> bool {
    is_within(REVISION, &folded(name))
}

/// Whether a person or a model would think that a tool of that name is a part of the agent.
pub fn looks_built_in(name: &str) -> bool {
    let folded = folded(name);
    is_taken(name) || FOLDED.compound.iter().any(|toolset| is_within(toolset, &folded))
}

/// Whether a folded name is another one, or starts with all of its words.
fn is_within(start: &str, name: &str) -> bool {
    name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

/// Whether the agent has a built-in toolset of exactly that name.
pub fn is_toolset(name: &str) -> bool {
    TOOLSETS.binary_search(&name).is_ok() && !NOT_TOOLSETS.contains(&name)
}

#[cfg(test)]
mod tests;

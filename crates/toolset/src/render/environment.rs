//! Format `Environment`: variables for `envFrom`, with one URL for each type of tool.
//!
//! Only Trusted tools are taken. A tool that needs credentials or a tenant is skipped, because a variable with a URL
//! cannot hold them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::Trust;
use detectors::Product;

use super::{before::CanFill, keys::DataKey};
use crate::{endpoint::Endpoint, tool::Tool};

/// The products that answer queries in the language of Prometheus.
const PROMETHEUS_COMPATIBLE: &[Product] =
    &[Product::Prometheus, Product::Thanos, Product::Mimir, Product::VictoriaMetrics];

/// Each variable with a URL, and the products that it can name.
const URLS: [(&str, &[Product]); 8] = [
    ("PROMETHEUS_URL", PROMETHEUS_COMPATIBLE),
    ("ALERTMANAGER_URL", &[Product::Alertmanager]),
    ("GRAFANA_URL", &[Product::Grafana]),
    ("LOKI_URL", &[Product::Loki]),
    ("TEMPO_URL", &[Product::Tempo]),
    ("JAEGER_URL", &[Product::Jaeger]),
    ("ELASTICSEARCH_URL", &[Product::Elasticsearch]),
    ("OPENSEARCH_URL", &[Product::OpenSearch]),
];

/// The variable with the root URL of a VictoriaMetrics.
const ENTRYPOINT: &str = "VM_INSTANCE_ENTRYPOINT";
/// Where vmselect answers the queries of the account that a cluster without tenants uses.
const ACCOUNT_0: &str = "/select/0/prometheus";

/// The chosen tool of a variable.
#[derive(Clone, Debug)]
pub struct Choice<'a> {
    /// The name of the variable.
    pub variable: &'static str,
    /// The tool.
    pub tool: &'a Tool,
}

/// The tool of every variable that holds a tool's own URL. A variable without a tool is not listed. `tools` are those of
/// a plan, in its order.
///
/// A tool of `spec.tools` comes before a discovered one, because somebody named it. Discovered tools are in the order of
/// their precedence, also across the Prometheus-compatible products: what belongs to another product comes last.
pub fn choices(tools: &[Tool]) -> Vec<Choice<'_>> {
    choices_among(tools, |_, _| true)
}

fn choices_among(tools: &[Tool], can_fill: impl Fn(&str, &Tool) -> bool) -> Vec<Choice<'_>> {
    let chosen = |(variable, products): &(&'static str, &[Product])| {
        let tool = best(tools, |tool| products.contains(&tool.product) && can_fill(variable, tool))?;
        Some(Choice { variable, tool })
    };
    URLS.iter().filter_map(chosen).collect()
}

/// The data of the `ConfigMap`, and the number of tools in it. `can_fill` says which discovered tools a variable can
/// name. `None` means all.
pub(super) fn render(tools: &[Tool], can_fill: Option<CanFill<'_>>) -> (BTreeMap<DataKey, Arc<str>>, usize) {
    let can_fill =
        |variable: &str, tool: &Tool| tool.key.is_none() || can_fill.is_none_or(|can_fill| can_fill(variable, tool));
    let choices = choices_among(tools, can_fill);
    let mut named: BTreeSet<&str> = choices.iter().map(|choice| choice.tool.name.as_str()).collect();
    let mut data: BTreeMap<DataKey, Arc<str>> =
        choices.iter().map(|choice| (DataKey::Borrowed(choice.variable), url(&choice.tool.endpoint).into())).collect();
    if let Some((tool, kind, root)) = victoria(tools, |tool| can_fill(ENTRYPOINT, tool)) {
        data.insert(DataKey::Borrowed(ENTRYPOINT), url(&root).into());
        data.insert(DataKey::Borrowed("VM_INSTANCE_TYPE"), kind.into());
        named.insert(&tool.name);
    }
    (data, named.len())
}

/// Why no variable names a tool of the plan. `None` if one does.
pub(super) fn why_absent(tools: &[Tool], tool: &Tool) -> Option<String> {
    if tool.credentials.is_some() {
        return Some("it has credentials, and a URL in a variable cannot contain credentials".to_owned());
    }
    if tool.tenant_id.is_some() {
        return Some("it has a tenantID, and a URL in a variable cannot contain a tenantID".to_owned());
    }
    let Some((variable, products)) = URLS.iter().find(|(_, products)| products.contains(&tool.product)) else {
        return Some("there is no variable for its type".to_owned());
    };
    let other = best(tools, |other| products.contains(&other.product))?;
    let is_entrypoint = victoria(tools, |_| true).is_some_and(|(named, ..)| named.name == tool.name);
    (other.name != tool.name && !is_entrypoint).then(|| {
        let other = other.origin_in_words();
        format!("{variable} contains the URL of {other}, which ranks higher; to use this Service instead, list it in spec.detectors[].preferred")
    })
}

/// The VictoriaMetrics whose root URL is a variable, its kind and that URL.
fn victoria(tools: &[Tool], can_fill: impl Fn(&Tool) -> bool) -> Option<(&Tool, &'static str, Endpoint)> {
    let can = |tool: &Tool| tool.product == Product::VictoriaMetrics && root(&tool.endpoint).is_some();
    let tool = best(tools, |tool| can(tool) && can_fill(tool))?;
    root(&tool.endpoint).map(|(kind, root)| (tool, kind, root))
}

/// What changes when one of the variables changes.
pub(super) fn text(data: &BTreeMap<DataKey, Arc<str>>) -> String {
    data.iter().flat_map(|(name, value)| [&**name, "=", &**value, "\n"]).collect()
}

/// The best of the tools that a variable can name. The first of `tools` wins among equals.
fn best(tools: &[Tool], can: impl Fn(&Tool) -> bool) -> Option<&Tool> {
    let plain = |tool: &&Tool| tool.trust == Trust::Trusted && tool.credentials.is_none() && tool.tenant_id.is_none();
    let by_rank = |tool: &&Tool| (tool.key.is_some(), tool.precedence);
    tools.iter().filter(plain).filter(|tool| can(tool)).min_by_key(by_rank)
}

/// The URL as readers take it. They join a path to it, and lose the last segment of a path that does not end in `/`.
fn url(endpoint: &Endpoint) -> String {
    if endpoint.path.is_empty() { endpoint.to_string() } else { endpoint.join("/") }
}

/// The kind of a VictoriaMetrics and its URL without the path of the queries. `None` for another account than 0, because
/// the root URL does not name the account.
fn root(endpoint: &Endpoint) -> Option<(&'static str, Endpoint)> {
    if let Some(prefix) = endpoint.path.strip_suffix(ACCOUNT_0) {
        return Some(("cluster", Endpoint { path: prefix.to_owned(), ..endpoint.clone() }));
    }
    let of_an_account = endpoint.path.split('/').any(|segment| segment == "select");
    (!of_an_account).then(|| ("single", endpoint.clone()))
}

#[cfg(test)]
mod tests {
    use crd_types::ToolsetConfig;
    use detectors::ServiceView;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Plan, Rendered,
        fixtures::{annotated, config, grafana, index, labelled, prometheus, rendered, service},
    };

    const DOMAIN: &str = "svc.cluster.local";

    fn for_variables(more: Value) -> ToolsetConfig {
        let mut spec = json!({
            "sources": [
                {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring", "linkerd-viz"]}},
                {"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}},
            ],
            "output": {"formats": ["Environment"]},
        });
        spec.as_object_mut().unwrap().extend(serde_json::from_value::<serde_json::Map<_, _>>(more).unwrap());
        config(spec)
    }

    /// A Service of this type by its annotation, with a path.
    fn of_type(namespace: &str, name: &str, type_: &str, path: &str) -> ServiceView {
        let marks = [
            ("kubernaut.io/toolset", "enabled"),
            ("kubernaut.io/toolset-type", type_),
            ("kubernaut.io/toolset-path", path),
        ];
        let marks = if path.is_empty() { &marks[..2] } else { &marks[..] };
        annotated(service(namespace, name, &[("http", 8080)]), marks)
    }

    fn of_linkerd() -> ServiceView {
        let view = service("linkerd-viz", "prometheus", &[("admin", 9090)]);
        labelled(
            view,
            &[("linkerd.io/extension", "viz"), ("component", "prometheus"), ("app.kubernetes.io/name", "prometheus")],
        )
    }

    fn written(config: &ToolsetConfig, services: impl IntoIterator<Item = ServiceView>) -> (Plan, Rendered) {
        rendered(config, &index(services))
    }

    fn variables(config: &ToolsetConfig, services: impl IntoIterator<Item = ServiceView>) -> Vec<String> {
        text(&written(config, services).1.data).lines().map(str::to_owned).collect()
    }

    #[test]
    fn every_type_has_its_variable_and_what_is_not_found_has_none() {
        let types = ["prometheus", "alertmanager", "grafana", "loki", "tempo", "jaeger", "elasticsearch", "opensearch"];
        let all = types.map(|type_| of_type("monitoring", type_, type_, ""));
        let found = variables(&for_variables(json!({})), all);
        let expected =
            types.map(|type_| format!("{}_URL=http://{type_}.monitoring.{DOMAIN}:8080", type_.to_ascii_uppercase()));
        let mut expected = Vec::from(expected);
        expected.sort();
        assert_eq!(found, expected);
        let (plan, nothing) = written(&for_variables(json!({})), [of_type("monitoring", "k", "kibana", "")]);
        assert_eq!((plan.tools.len(), nothing.data.len(), nothing.entries, nothing.bytes), (1, 0, 0, 0));
    }

    #[test]
    fn a_url_with_a_path_ends_in_a_slash_and_one_without_does_not() {
        for (path, expected) in [("", ""), ("/", ""), ("/prom", "/prom/"), ("/a/b/", "/a/b/")] {
            let found = variables(&for_variables(json!({})), [of_type("monitoring", "p", "prometheus", path)]);
            assert_eq!(found, [format!("PROMETHEUS_URL=http://p.monitoring.{DOMAIN}:8080{expected}")]);
        }
    }

    #[test]
    fn a_cluster_wide_instance_of_any_compatible_product_comes_before_a_bundled_one() {
        let bundled = written(&for_variables(json!({})), [of_linkerd()]);
        assert!(bundled.0.tools[0].precedence.rank.bundled, "{:?}", bundled.0);
        assert!(bundled.1.data["PROMETHEUS_URL"].contains("linkerd-viz"));
        for type_ in ["prometheus", "thanos", "mimir", "victoriametrics"] {
            let found = variables(&for_variables(json!({})), [of_linkerd(), of_type("monitoring", "z", type_, "")]);
            let url = format!("PROMETHEUS_URL=http://z.monitoring.{DOMAIN}:8080");
            assert!(found[0].starts_with(&url), "{type_}: {found:?}");
        }
    }

    #[test]
    fn the_preferred_instance_comes_first_also_across_products() {
        let both = || [prometheus("monitoring", "p"), of_type("monitoring", "t", "thanos", "")];
        let first = |more| variables(&for_variables(more), both()).swap_remove(0);
        assert_eq!(first(json!({})), format!("PROMETHEUS_URL=http://p.monitoring.{DOMAIN}:80"));
        let preferred = json!([{"namespace": "monitoring", "name": "t"}]);
        let first = first(json!({"detectors": [{"type": "Thanos", "preferred": preferred}]}));
        assert_eq!(first, format!("PROMETHEUS_URL=http://t.monitoring.{DOMAIN}:8080"));
    }

    #[test]
    fn an_instance_with_credentials_or_a_tenant_is_skipped_and_the_spec_is_told() {
        for (field, value, reason) in [
            ("credentials", json!({"type": "Bearer", "env": "TOKEN"}), "CredentialsUnsupported"),
            ("tenantID", json!("1"), "SettingUnsupported"),
        ] {
            let rule = json!({"name": "o", "match": {"namespace": "monitoring", "service": "a"}, field: value});
            let tool = json!({"name": "corp", "type": "Prometheus", "endpoint": "https://corp.example/", field: value});
            let config = for_variables(json!({"overrides": [rule], "tools": [tool]}));
            let (_, written) = written(&config, [prometheus("monitoring", "a"), prometheus("monitoring", "b")]);
            assert_eq!(&*written.data["PROMETHEUS_URL"], format!("http://b.monitoring.{DOMAIN}:80"));
            let told: Vec<&str> = written.notes.iter().map(|note| note.reason.as_str()).collect();
            assert_eq!(told, [reason, reason], "{:?}", written.notes);
            assert!(!format!("{:?}", written.data).contains("TOKEN"));
        }
    }

    #[test]
    fn a_tool_of_the_spec_comes_before_what_was_discovered() {
        let tool = json!([{"name": "corp", "type": "VictoriaMetrics", "endpoint": "https://vm.corp.example/"}]);
        let found = variables(&for_variables(json!({"tools": tool})), [prometheus("monitoring", "p")]);
        let url = "https://vm.corp.example:443";
        assert_eq!(
            found,
            [
                format!("PROMETHEUS_URL={url}"),
                format!("VM_INSTANCE_ENTRYPOINT={url}"),
                "VM_INSTANCE_TYPE=single".to_owned()
            ]
        );
    }

    #[test]
    fn a_tenants_tool_is_rejected_and_never_a_variable() {
        let (plan, nothing) = written(&for_variables(json!({})), [of_type("team", "p", "prometheus", "")]);
        assert_eq!((plan.tools.len(), nothing.data.len()), (0, 0));
        assert_eq!(plan.rejected[0].reason, crd_types::ServiceReason::TrustedOnly);
        assert!(plan.rejected[0].message.contains("Environment"), "{}", plan.rejected[0].message);
        let off = json!({"overrides": [{"name": "off", "match": {"namespace": "team"}, "state": "Disabled"}]});
        let (plan, _) = written(&for_variables(off), [of_type("team", "p", "prometheus", "")]);
        assert_eq!(plan.rejected[0].reason, crd_types::ServiceReason::OverriddenOff, "the owner's wish comes first");
    }

    #[test]
    fn the_entrypoint_of_victoria_metrics_is_its_root() {
        let vm = |path: &str| {
            let found = variables(&for_variables(json!({})), [of_type("monitoring", "vm", "victoriametrics", path)]);
            found
                .iter()
                .skip(1)
                .map(|line| line.replace("http://vm.monitoring.svc.cluster.local:8080", ""))
                .collect::<Vec<_>>()
        };
        assert_eq!(vm(""), ["VM_INSTANCE_ENTRYPOINT=", "VM_INSTANCE_TYPE=single"]);
        assert_eq!(vm("/vm"), ["VM_INSTANCE_ENTRYPOINT=/vm/", "VM_INSTANCE_TYPE=single"]);
        assert_eq!(vm("/select/0/prometheus"), ["VM_INSTANCE_ENTRYPOINT=", "VM_INSTANCE_TYPE=cluster"]);
        assert_eq!(vm("/vm/select/0/prometheus/"), ["VM_INSTANCE_ENTRYPOINT=/vm/", "VM_INSTANCE_TYPE=cluster"]);
        assert!(vm("/select/7/prometheus").is_empty(), "the root does not name the account");
    }

    #[test]
    fn an_instance_that_fills_several_variables_is_one_entry() {
        let both = [of_type("monitoring", "vm", "victoriametrics", ""), grafana("monitoring", "g")];
        let (_, written) = written(&for_variables(json!({})), both);
        assert_eq!((written.data.len(), written.entries), (4, 2));
    }

    #[test]
    fn every_change_is_a_change_of_the_agents_file_if_the_spec_restarts_it() {
        let restarts = json!({"consumer": {"reload": "RolloutRestart", "deploymentRef": {"name": "mcp"}}});
        let hash = |more: &Value, name: &str| {
            let (_, written) = written(&for_variables(more.clone()), [prometheus("monitoring", name)]);
            written.agent_file.map(|file| file.hash.clone())
        };
        assert_eq!(hash(&json!({}), "a"), None);
        assert!(hash(&restarts, "a").is_some());
        assert_eq!(hash(&restarts, "a"), hash(&restarts, "a"));
        assert_ne!(hash(&restarts, "a"), hash(&restarts, "b"));
        assert_eq!(for_variables(restarts).spec.restart_on(), crd_types::RestartOn::AnyChange);
    }

    #[test]
    fn what_has_no_place_in_a_variable_is_said() {
        let settings = json!({"timeoutSeconds": 5, "verifyTLS": "Disabled", "paths": ["/x"]});
        let rule = json!({"name": "o", "match": {"type": "Grafana"}, "toolName": "t", "description": "d", "instructions": "i", "settings": settings});
        let (_, written) = written(&for_variables(json!({"overrides": [rule]})), [grafana("monitoring", "g")]);
        assert_eq!(written.notes.len(), 1, "{:?}", written.notes);
        for field in
            ["Override o", "toolName", "description", "instructions", "timeoutSeconds", "verifyTLS", "settings.paths"]
        {
            assert!(written.notes[0].message.contains(field), "{field}: {}", written.notes[0].message);
        }
    }
}

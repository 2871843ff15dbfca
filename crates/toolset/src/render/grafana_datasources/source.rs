//! One data source, as Grafana's provisioning takes it.

use crd_types::{State, ToolsetConfig};
use detectors::Product;
use kube::ResourceExt;

use super::names;
use crate::{
    digest,
    tool::Tool,
    yaml::{Block, Node},
};

/// The characters of the digest in a uid. Grafana allows 40 characters in all.
const UID_DIGITS: usize = 12;
/// The field that Elasticsearch's documents have for their time by convention.
const TIME_FIELD: &str = "@timestamp";
/// The plug-in for OpenSearch needs a version. It treats all versions of OpenSearch alike.
const OPENSEARCH_VERSION: &str = "1.0.0";

/// The most bytes of a URL. Grafana does not start if one is longer.
const MAX_URL: usize = 255;
/// The most characters of a name.
const MAX_NAME: usize = 190;

/// Why a tool has no data source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absent {
    /// Grafana has no data source for it.
    Type,
    /// Its data source needs an index, and none is given.
    Index,
    /// A value has a `$`, which Grafana would expand.
    Dollar,
    /// Its URL or its name is longer than Grafana takes.
    TooLong,
}

impl Absent {
    /// In words, after "no data source is written for it, because".
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Type => "Grafana has no built-in data source for this type",
            Self::Index => "its data source requires an index. Set settings.index in an override or in spec.tools",
            Self::Dollar => "one of its values contains a $, which Grafana would expand as a variable. Remove the $",
            Self::TooLong => "its name or URL is longer than Grafana allows (255 characters for a URL). Shorten it",
        }
    }
}

/// The data source of a tool.
pub(super) fn of(config: &ToolsetConfig, tool: &Tool) -> Result<Block, Absent> {
    let type_ = type_of(tool.product).ok_or(Absent::Type)?;
    let (name, url) = (names::of_tool(tool), tool.endpoint.to_string());
    if url.len() > MAX_URL || name.len() > MAX_NAME {
        return Err(Absent::TooLong);
    }
    let mut json = Block::new();
    match tool.product {
        Product::Prometheus | Product::Thanos | Product::Mimir => json.set("prometheusType", tool.product.as_str()),
        Product::VictoriaMetrics => json.set("prometheusType", Product::Prometheus.as_str()),
        Product::Alertmanager => json.set("implementation", "prometheus"),
        Product::Elasticsearch => {
            json.set("index", index(tool)?);
            json.set("timeField", TIME_FIELD);
        }
        Product::OpenSearch => {
            json.set("database", index(tool)?);
            json.set("timeField", TIME_FIELD);
            json.set("flavor", "opensearch");
            json.set("version", OPENSEARCH_VERSION);
        }
        _ => {}
    }
    if tool.settings.verify_tls == Some(State::Disabled) {
        json.set("tlsSkipVerify", true);
    }
    if let Some(seconds) = tool.settings.timeout_seconds {
        json.set("timeout", seconds);
    }
    let mut secure = Block::new();
    if let Some(tenant) = &tool.tenant_id {
        json.set("httpHeaderName1", "X-Scope-OrgID");
        secure.set("httpHeaderValue1", tenant.clone());
    }
    let mut source = Block::new()
        .with("name", name)
        .with("uid", uid(config, type_, tool))
        .with("orgId", 1)
        .with("type", type_)
        .with("access", "proxy")
        .with("url", url)
        .with("isDefault", false)
        .with("editable", false)
        .with("jsonData", json);
    if !secure.is_empty() {
        source.set("secureJsonData", secure);
    }
    if has_dollar(&source) { Err(Absent::Dollar) } else { Ok(source) }
}

/// Grafana's name for the type of a data source.
fn type_of(product: Product) -> Option<&'static str> {
    Some(match product {
        Product::Prometheus | Product::Thanos | Product::Mimir | Product::VictoriaMetrics => "prometheus",
        Product::Loki => "loki",
        Product::Tempo => "tempo",
        Product::Jaeger => "jaeger",
        Product::Zipkin => "zipkin",
        Product::Alertmanager => "alertmanager",
        Product::Elasticsearch => "elasticsearch",
        // A plug-in, which Grafana does not bring. Who gives an index asks for it.
        Product::OpenSearch => "grafana-opensearch-datasource",
        Product::Grafana
        | Product::VictoriaLogs
        | Product::VictoriaTraces
        | Product::Kibana
        | Product::MCP
        | Product::Custom => return None,
    })
}

/// What the tool of a data source can be. VictoriaMetrics is written as a Prometheus.
pub(super) fn products(type_: &str, prometheus_type: &str) -> Vec<Product> {
    let written = |product: &Product| match product {
        Product::Prometheus | Product::Thanos | Product::Mimir => product.as_str() == prometheus_type,
        Product::VictoriaMetrics => prometheus_type == Product::Prometheus.as_str(),
        _ => true,
    };
    Product::ALL.iter().copied().filter(|product| type_of(*product) == Some(type_) && written(product)).collect()
}

/// Whether the data source of a product needs an index.
pub(super) const fn takes_index(product: Product) -> bool {
    matches!(product, Product::Elasticsearch | Product::OpenSearch)
}

fn index(tool: &Tool) -> Result<String, Absent> {
    tool.settings.index.clone().ok_or(Absent::Index)
}

/// The uid, by which dashboards refer to the data source. It stays the same as long as the tool is the same.
fn uid(config: &ToolsetConfig, type_: &str, tool: &Tool) -> String {
    let (namespace, name) = names::origin(tool);
    let own_namespace = config.namespace().unwrap_or_default();
    let digest = digest::of_parts([type_, &own_namespace, &config.name_any(), namespace, name]);
    format!("ts-{}", &digest[..UID_DIGITS])
}

/// Whether a text in it has a `$`. Grafana expands variables and files in every value.
fn has_dollar(block: &Block) -> bool {
    fn within(node: &Node) -> bool {
        match node {
            Node::Text(text) => text.contains('$'),
            Node::List(nodes) => nodes.iter().any(within),
            Node::Map(block) => has_dollar(block),
            Node::Tagged(_, node) => within(node),
            Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) => false,
        }
    }
    block.iter().any(|(_, node)| within(node))
}

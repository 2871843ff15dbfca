//! The toolsets of `HolmesGPT` 0.45.0: which of them a tool becomes, and which fields that toolset has. Checked against
//! the agent's own models by the test tier `agent`.

use crd_types::{CredentialsType, Trust};
use detectors::Product;

use crate::phrases::listed;

/// The version whose loader, models and probes this module describes.
pub(super) const VERSION: &str = "0.45.0";

/// One of the agent's toolsets that tools can become.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Toolset {
    /// `prometheus/metrics`: everything with the Prometheus query API.
    Metrics,
    /// `grafana/dashboards`.
    Dashboards,
    /// `grafana/loki`.
    Loki,
    /// `grafana/tempo`.
    Tempo,
    /// `elasticsearch/data` and `elasticsearch/cluster`: two toolsets over one configuration.
    Elasticsearch,
    /// `victorialogs`.
    VictoriaLogs,
    /// An entry of its own with `type: http`.
    Http,
    /// An entry of its own under `mcp_servers`.
    Mcp,
}

impl Toolset {
    /// The toolsets that hold all instances of their products in one entry, in the order of their entries.
    pub(super) const SHARED: [Self; 6] =
        [Self::Metrics, Self::Dashboards, Self::Loki, Self::Tempo, Self::Elasticsearch, Self::VictoriaLogs];

    /// The toolset that a tool becomes. A tool from a Tenant source becomes `type: http`, so it is never listed with
    /// Trusted instances and never reaches the agent's built-in code.
    pub(super) const fn of(product: Product, trust: Trust) -> Self {
        if matches!(trust, Trust::Tenant) {
            return Self::Http;
        }
        match product {
            Product::Prometheus | Product::Thanos | Product::Mimir | Product::VictoriaMetrics => Self::Metrics,
            Product::Grafana => Self::Dashboards,
            Product::Loki => Self::Loki,
            Product::Tempo => Self::Tempo,
            Product::Elasticsearch | Product::OpenSearch => Self::Elasticsearch,
            Product::VictoriaLogs => Self::VictoriaLogs,
            Product::MCP => Self::Mcp,
            Product::Alertmanager
            | Product::Jaeger
            | Product::Zipkin
            | Product::VictoriaTraces
            | Product::Kibana
            | Product::Custom => Self::Http,
        }
    }

    /// The names of its entries in the file. Empty if every tool has its own entry.
    pub(super) const fn entries(self) -> &'static [&'static str] {
        match self {
            Self::Metrics => &["prometheus/metrics"],
            Self::Dashboards => &["grafana/dashboards"],
            Self::Loki => &["grafana/loki"],
            Self::Tempo => &["grafana/tempo"],
            Self::Elasticsearch => &["elasticsearch/data", "elasticsearch/cluster"],
            Self::VictoriaLogs => &["victorialogs"],
            Self::Http | Self::Mcp => &[],
        }
    }

    /// Whether every tool has its own entry, and so a name among the agent's own names.
    pub(super) const fn has_own_entries(self) -> bool {
        matches!(self, Self::Http | Self::Mcp)
    }

    /// Its name in messages.
    pub(super) const fn in_words(self) -> &'static str {
        match self {
            Self::Metrics => "prometheus/metrics",
            Self::Dashboards => "grafana/dashboards",
            Self::Loki => "grafana/loki",
            Self::Tempo => "grafana/tempo",
            Self::Elasticsearch => "elasticsearch/data and elasticsearch/cluster",
            Self::VictoriaLogs => "victorialogs",
            Self::Http => "type: http",
            Self::Mcp => "mcp_servers",
        }
    }

    /// The field that holds an instance's URL.
    pub(super) const fn url_field(self) -> &'static str {
        match self {
            Self::Metrics => "prometheus_url",
            Self::Mcp => "url",
            _ => "api_url",
        }
    }

    /// How credentials of this type are written. `None` if the toolset has no field for them.
    pub(super) const fn credentials(self, type_: CredentialsType) -> Option<CredentialsField> {
        use CredentialsField as Field;
        use CredentialsType as Type;
        match (self, type_) {
            (Self::Metrics, Type::Bearer) => Some(Field::Header { map: "additional_headers", bearer: true }),
            (Self::Dashboards | Self::Loki | Self::Tempo, Type::Bearer | Type::ApiKey)
            | (Self::Elasticsearch, Type::ApiKey) => Some(Field::Key("api_key")),
            (Self::Metrics | Self::Dashboards | Self::Loki | Self::Tempo, Type::Header) => {
                Some(Field::Header { map: "additional_headers", bearer: false })
            }
            (Self::Dashboards | Self::Loki | Self::Tempo | Self::Elasticsearch | Self::VictoriaLogs, Type::Basic) => {
                Some(Field::UserAndPassword)
            }
            (Self::VictoriaLogs, Type::Bearer) => Some(Field::Key("bearer_token")),
            (Self::VictoriaLogs | Self::Mcp, Type::Header) => Some(Field::Header { map: "headers", bearer: false }),
            (Self::Mcp, Type::Bearer) => Some(Field::Header { map: "headers", bearer: true }),
            (Self::Http, Type::Bearer) => Some(Field::Auth("bearer")),
            (Self::Http, Type::Basic) => Some(Field::Auth("basic")),
            (Self::Http, Type::Header) => Some(Field::Auth("header")),
            (Self::Metrics | Self::VictoriaLogs | Self::Http | Self::Mcp, Type::ApiKey)
            | (Self::Metrics | Self::Mcp, Type::Basic)
            | (Self::Elasticsearch, Type::Bearer | Type::Header) => None,
        }
    }

    /// The map of headers that holds `X-Scope-OrgID`. `None` if there is none.
    pub(super) const fn tenant_headers(self) -> Option<&'static str> {
        match self {
            Self::Metrics | Self::Dashboards | Self::Loki | Self::Tempo => Some("additional_headers"),
            Self::Http => Some("default_headers"),
            // victorialogs has headers, but VictoriaLogs tells its tenants apart by AccountID and ProjectID.
            Self::Elasticsearch | Self::VictoriaLogs | Self::Mcp => None,
        }
    }

    /// Whether it has `timeout_seconds`. `prometheus/metrics` has timeouts for kinds of queries, and none for single
    /// calls.
    pub(super) const fn has_timeout(self) -> bool {
        !matches!(self, Self::Metrics | Self::Mcp)
    }

    /// Whether it restricts calls to paths.
    pub(super) const fn has_paths(self) -> bool {
        matches!(self, Self::Http)
    }

    /// Whether the user's instructions reach the model. Shared toolsets have their own, for all instances together.
    pub(super) const fn has_instructions(self) -> bool {
        self.has_own_entries()
    }

    /// The types of credentials that it has fields for, for messages.
    pub(super) fn credentials_in_words(self) -> String {
        let names: Vec<&str> = CredentialsType::ALL
            .iter()
            .filter(|type_| self.credentials(**type_).is_some())
            .map(|type_| type_.as_str())
            .collect();
        listed(&names)
    }
}

/// How a toolset takes credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CredentialsField {
    /// A field of that name holds the key or token.
    Key(&'static str),
    /// `username` and `password`.
    UserAndPassword,
    /// An entry in a map of headers: `Authorization: Bearer …`, or the header that the credentials name.
    Header {
        /// The field that holds the map.
        map: &'static str,
        /// Whether it is `Authorization: Bearer …`.
        bearer: bool,
    },
    /// `auth` of an endpoint of `type: http`, with this `type`.
    Auth(&'static str),
}

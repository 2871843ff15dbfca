//! The lists of products, schemes and grades of confidence. The API's schema is generated from them.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! products {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A product with an API that agents query: the type of a tool. If a Service can be two products with the same
        /// confidence, it is the first of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Product { $($(#[$doc])* $name),+ }

        impl Product {
            /// All products, in order.
            pub const ALL: &'static [Product] = &[$(Product::$name),+];

            /// The name in a ToolsetConfig, e.g. `VictoriaMetrics`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Product::$name => stringify!($name)),+ }
            }
        }
    };
}

products! {
    /// Prometheus server.
    Prometheus,
    /// Thanos Query.
    Thanos,
    /// Grafana Mimir.
    Mimir,
    /// VictoriaMetrics: a single node, or vmselect of a cluster.
    VictoriaMetrics,
    /// Alertmanager.
    Alertmanager,
    /// Grafana.
    Grafana,
    /// Grafana Loki.
    Loki,
    /// Grafana Tempo.
    Tempo,
    /// Jaeger query.
    Jaeger,
    /// Zipkin.
    Zipkin,
    /// Elasticsearch.
    Elasticsearch,
    /// OpenSearch.
    OpenSearch,
    /// VictoriaLogs.
    VictoriaLogs,
    /// VictoriaTraces.
    VictoriaTraces,
    /// Kibana and OpenSearch Dashboards.
    Kibana,
    /// Model Context Protocol server.
    #[allow(clippy::upper_case_acronyms, reason = "the API writes it so")]
    MCP,
    /// A type that the user names.
    Custom,
}

impl Product {
    /// The name in `toolset.json` and in annotations, in lower case.
    pub fn lower(self) -> String {
        self.as_str().to_ascii_lowercase()
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Product {
    type Err = ();

    /// Reads a name in any case: `prometheus`, `Prometheus`.
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|p| p.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// The scheme of an endpoint's URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scheme {
    /// Plain HTTP.
    #[default]
    Http,
    /// HTTP over TLS.
    Https,
}

impl Scheme {
    /// Both schemes.
    pub const ALL: &'static [Scheme] = &[Self::Http, Self::Https];

    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How sure a finding is. `docs/detection.md` explains the grades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Confidence {
    /// The evidence is not sufficient. The Service is a candidate, and is not used by default.
    Low,
    /// Two independent pieces of evidence agree and none contradicts.
    Medium,
    /// Labels state product and role, and the port matches; or an annotation or a signature says so.
    High,
}

impl Confidence {
    /// All grades, the highest first.
    pub const ALL: &'static [Confidence] = &[Self::High, Self::Medium, Self::Low];

    /// The name in a ToolsetConfig.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "Low",
            Self::Medium => "Medium",
            Self::High => "High",
        }
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

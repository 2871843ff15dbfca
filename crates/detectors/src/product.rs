//! The products, and the two scales a finding is measured on.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! products {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// What a Service speaks: the type of the tool it becomes. Ordered: where one Service could be two products with
        /// the same confidence, the earlier one wins.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Product { $($(#[$doc])* $name),+ }

        impl Product {
            /// Every product, in order.
            pub const ALL: &'static [Product] = &[$(Product::$name),+];

            /// The name as the ToolsetConfig writes it, e.g. `VictoriaMetrics`.
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
    /// Grafana Mimir (and Cortex-shaped gateways of it).
    Mimir,
    /// VictoriaMetrics, single node or vmselect.
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
    #[allow(clippy::upper_case_acronyms)]
    MCP,
    /// A kind the user named.
    Custom,
}

impl Product {
    /// The name in lower case, as `toolset.json` and annotations write it.
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

    /// In any case (`prometheus`, `Prometheus`).
    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|p| p.as_str().eq_ignore_ascii_case(text)).ok_or(())
    }
}

/// How an endpoint is called.
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
    /// Both.
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

/// How much of the evidence agrees (grades in `docs/detection.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Confidence {
    /// One piece of evidence only: a candidate, not chosen by default.
    Low,
    /// Two independent pieces agree and none contradicts.
    Medium,
    /// Labels state product and role, and the port fits; or somebody said so explicitly.
    High,
}

impl Confidence {
    /// Every grade, the highest first.
    pub const ALL: &'static [Confidence] = &[Self::High, Self::Medium, Self::Low];

    /// The name as the ToolsetConfig writes it.
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

//! The same closed lists as the detectors and as the API spell them.
//!
//! Two enums, because the detectors know no schema and the schema knows no detector; the matches here are exhaustive, so
//! that neither list can grow alone.

use crd_types::{DetectorType, EndpointScheme, MinConfidence};
use detectors::{Confidence, Product, Scheme};

macro_rules! same_names {
    ($($name:ident),+ $(,)?) => {
        /// The product that a detector type of the API stands for.
        pub const fn product(type_: DetectorType) -> Product {
            match type_ { $(DetectorType::$name => Product::$name),+ }
        }

        /// The API's detector type for a product.
        pub const fn detector_type(product: Product) -> DetectorType {
            match product { $(Product::$name => DetectorType::$name),+ }
        }
    };
}

same_names!(
    Prometheus,
    Thanos,
    Mimir,
    VictoriaMetrics,
    Alertmanager,
    Grafana,
    Loki,
    Tempo,
    Jaeger,
    Zipkin,
    Elasticsearch,
    OpenSearch,
    VictoriaLogs,
    VictoriaTraces,
    Kibana,
    MCP,
    Custom,
);

/// The grade that `minConfidence` asks for.
pub const fn confidence(wanted: MinConfidence) -> Confidence {
    match wanted {
        MinConfidence::High => Confidence::High,
        MinConfidence::Medium => Confidence::Medium,
        MinConfidence::Low => Confidence::Low,
    }
}

/// The scheme as the endpoint builder takes it.
pub const fn scheme(scheme: EndpointScheme) -> Scheme {
    match scheme {
        EndpointScheme::Http => Scheme::Http,
        EndpointScheme::Https => Scheme::Https,
    }
}

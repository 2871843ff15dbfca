//! Recognises observability systems among Kubernetes Services.
//!
//! ```text
//! ServiceView ──► recognise ──► Finding per product ──► displaced_endpoints (per namespace) ──► Displaced
//! ```
//! The functions are pure: no client, no clock. One file per product has its facts as a table. The engine assesses a
//! Service by each table, and nothing in the engine depends on a product.
//!
//! # Confidence
//! * **High**: labels, or the exact shape that a chart or an operator creates, state product and role, and the port
//!   matches.
//! * **Medium**: two independent pieces of evidence agree and none contradicts. The pieces are labels and selector, whole
//!   words of the Service's name, the chart, the role, and a port of the product's own. A port that is merely usual is
//!   none of them (`engine/pieces.rs`).
//! * **Low**: there is less evidence. The Service is a candidate, and a hint says what would make it certain.
//!
//! No rule looks for substrings of names or takes a port because it is the first. The numbers 80, 443, 3000, 8080, 8443,
//! 9090, 9093 and 9200 are never evidence alone.
//!
//! # A new product
//! A product is one file beside these with a `RULE` (`zipkin.rs` is the shortest), a table `PODS` for its images and
//! flags, and a table `PROBE` for its answers; a line in `rules.rs`, `pods/tables.rs` and `probe/tables.rs`; and a
//! variant of [`Product`]. Add fixtures to `tests/recognition`, `tests/pods` and `tests/probe`: the Services and Pods that
//! its charts, its operator and people write, what the program answers, and as many that only look like them.
//! `cargo run -p detectors --example corpus` scores all rules on Services whose product is known.

mod alertmanager;
mod displaced;
mod elasticsearch;
mod engine;
mod explain;
mod finding;
mod grafana;
mod jaeger;
mod kibana;
mod loki;
mod mcp;
mod mimir;
mod opensearch;
pub mod pods;
pub mod probe;
mod product;
mod prometheus;
mod recognise;
mod rules;
mod scheme;
mod tempo;
mod thanos;
mod victorialogs;
mod victoriametrics;
mod victoriatraces;
mod view;
mod zipkin;

pub use displaced::displaced_endpoints;
pub use explain::explain;
pub use finding::{
    Assumed, Auth, Displaced, DisplacedBecause, Evidence, EvidenceKind, Explanation, Finding, Outcome, Rank, Target,
};
pub use product::{Confidence, Product, Scheme};
pub use recognise::{path_setting, recognise, target_of};
pub use scheme::{scheme_of, shown_scheme};
pub use view::{PortView, Protocol, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort};

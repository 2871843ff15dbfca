//! From what is known of the cluster and one `ToolsetConfig` to what is written.
//!
//! ```text
//! Index ──► select ──► HealthStage::judge ──► plan ──► render ──► Manifest, status
//!           sources,    the only clock        overrides,  one file     what is applied,
//!           claims,                           ranks,      per format   and only if it
//!           trust                             limits,                  differs
//!                                             names
//!         └──────────────── pipeline::run ──────────────────┘
//! ```
//! The crate is pure: it has no client, no randomness, and no clock but the one that the caller passes to the health
//! stage. The controller, the command line, the tests and the benchmarks run the same [`pipeline`].

pub mod agent_names;
pub mod assumptions;
pub mod checked;
pub mod config_map;
pub mod convert;
pub mod digest;
pub mod endpoint;
#[cfg(test)]
mod fixtures;
pub mod health;
pub mod hold;
pub mod identity;
pub mod index;
mod phrases;
pub mod pipeline;
pub mod plan;
pub mod pods;
pub mod render;
pub mod select;
pub mod status;
pub mod tool;
pub mod visible;
pub mod wanted;
mod yaml;

pub use config_map::{ConfigMapView, Drift, Manifest, Ownership};
pub use endpoint::{DEFAULT_CLUSTER_DOMAIN, Endpoint};
pub use health::{Health, HealthReport, HealthStage, Probed, ToolHealth, Withheld, in_output};
pub use index::{Change, Index, NamespaceView, SliceView};
pub use plan::{Plan, probes::HealthTarget};
pub use render::{Base, Rendered};
pub use select::{
    candidate::{Candidate, Selection},
    interest::Interest,
    overridden::override_matches,
};
pub use tool::{Note, Rejection, Tool};

//! The pure middle: from what is known of the cluster and one `ToolsetConfig` to what is written.
//!
//! ```text
//! Index ──► select ──► HealthStage::judge ──► plan ──► render ──► manifest, status
//!           sources,    the only clock        overrides,  one file     what is applied,
//!           claims,                           ranks,      per format   and only if it
//!           trust, caps                       names                    differs
//! ```
//! No client, no clock but the one handed to the health stage, no randomness: the controller, the command line, the tests
//! and the benchmarks run the same code.

pub mod agent;
pub mod annotation;
pub mod base;
mod caps;
pub mod checked;
pub mod claim;
pub mod convert;
pub mod endpoint;
#[cfg(test)]
mod fixtures;
pub mod health;
pub mod index;
pub mod legacy;
pub mod manifest;
pub mod names;
mod overrides;
pub mod plan;
pub mod render;
pub mod select;
pub mod source;
pub mod status;
pub mod tool;

pub use endpoint::{DEFAULT_CLUSTER_DOMAIN, Endpoint};
pub use health::{Health, HealthReport, HealthStage, HealthVerdict, in_output};
pub use index::{Change, Index, NamespaceView, SliceView};
pub use manifest::{ConfigMapView, Drift, Ownership};
pub use overrides::override_matches;
pub use plan::{Plan, plan};
pub use render::{Base, Rendered, render};
pub use select::{Candidate, Context, Selection, select};
pub use tool::{Note, Rejection, Tool};

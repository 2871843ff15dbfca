//! The `ToolsetConfig` custom resource: spec, status, reasons, and the rules that the API server enforces.
//!
//! ```text
//! these types ──► crds() ──► crds/*.yaml and the chart ──► the API server: bounds, CEL, defaults
//!      └───────────────────► the same rules offline, `kubectl-toolset validate`
//! ```
//!
//! A field with a default is not an `Option`: the API server fills it in, and serde fills in the same when a file was never
//! sent to one.

// The doc comments of the fields are the CRD's descriptions, and `kubectl explain` shows backticks as they are.
#![allow(clippy::doc_markdown)]

mod adjust;
mod closed;
mod consumer;
mod crd;
mod detector;
mod health;
#[cfg(feature = "offline")]
mod offline;
mod output;
mod overrides;
mod patterns;
mod reason;
mod selector;
mod signature;
mod source;
mod spec;
mod status;
mod tools;

#[cfg(feature = "offline")]
pub use self::offline::{Problem, closest, validate, validate_update};
/// The lists that the detectors keep: the products, the grades of confidence and the schemes.
pub use detectors::{Confidence, Product, Scheme};

pub use self::{
    adjust::{Credentials, CredentialsType, Settings},
    closed::UnknownName,
    consumer::{Consumer, DeploymentRef, Reload},
    crd::{EmitError, crds, crds_yaml},
    detector::{DetectorConfig, Instances, ServiceRef, State},
    health::{Health, HealthEffect, HealthMode},
    output::{ConflictPolicy, DeletionPolicy, Output, OutputBase, OutputFormat},
    overrides::{EndpointAdjustment, Override, OverrideMatch},
    reason::{ConditionType, Reason, ServiceReason},
    signature::{PortRef, Signature},
    source::{Allowance, AllowanceKind, NamespaceSelection, NamespacesFrom, Source, Trust},
    spec::{Mode, ToolsetConfig, ToolsetConfigSpec},
    status::{DetectorSummary, OutputStatus, RejectedStatus, Summary, ToolStatus, ToolsetConfigStatus},
    tools::{Baseline, StaticTool},
};

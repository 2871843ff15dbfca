//! The `ToolsetConfig` custom resource: spec, status, reasons, and the rules that the API server enforces.
//!
//! ```text
//! these types ──► crds() ──► crds/*.yaml and the chart ──► the API server applies bounds, CEL rules and defaults
//!      └───────────────────► `kubectl-toolset validate` applies the same rules without a cluster
//! ```
//!
//! A field with a default is not an `Option`, because the API server sets the default. Serde sets the same default for
//! an object that was never sent to an API server.

#![allow(
    clippy::doc_markdown,
    reason = "the doc comments of the fields are the descriptions in the CRD, and `kubectl explain` does not render backticks"
)]
#![allow(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each type, with its visibility, inside a function"
)]

mod closed;
mod connection;
mod consumer;
mod crd;
mod detector;
mod evidence;
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
/// The lists of products, of grades of confidence and of schemes.
pub use detectors::{Confidence, Product, Scheme};

pub use self::{
    closed::UnknownName,
    connection::{Credentials, CredentialsType, Settings},
    consumer::{AgentServiceRef, Consumer, DeploymentRef, Observe, Reload, RestartOn},
    crd::{EmitError, crds, crds_yaml},
    detector::{DetectorConfig, Instances, ServiceRef, State},
    evidence::{Evidence, IdentityMode},
    health::{Health, HealthEffect, HealthMode, HealthProbe},
    output::{ConflictPolicy, DeletionPolicy, Output, OutputBase, OutputFormat},
    overrides::{EndpointAdjustment, Override, OverrideMatch},
    reason::{ConditionType, Reason, ServiceReason},
    signature::{PortRef, Signature},
    source::{Allowance, AllowanceKind, NamespaceSelection, NamespacesFrom, Source, Trust},
    spec::{Mode, ToolsetConfig, ToolsetConfigSpec},
    status::{
        AgentStatus, AgentToolsetStatus, DetectorSummary, OutputStatus, RejectedStatus, Summary, ToolStatus,
        ToolsetConfigStatus,
    },
    tools::{Baseline, StaticTool},
};

//! What `cargo xtask bench` measures on the real API server, and on the real PostgreSQL.
//!
//! ```text
//! population: Services as a cluster has them ──► API server ──► operator      usage: memory and CPU, from /proc
//! probe: one Service that changes, and the                 └──► floor         requests: from the audit log
//!        ConfigMaps that show it                                              log, metrics: what the operator says
//! ```
//!
//! - [`freshness`]: milliseconds from a Service's change to the ConfigMap's, and what a change costs, also while records are
//!   sent to Data Storage.
//! - [`configs`]: the cost of an event with many ToolsetConfigs.
//! - [`memory`]: memory with thousands of Services watched.
//! - [`datastorage`]: how fast Data Storage writes and reads, beside PostgreSQL alone.
//! - [`idle`]: what the operator costs, and what it writes, while nothing changes.
//! - [`probes`]: what health probes cost, and whom they delay, while some of the probed Services hang.
//!
//! Each benchmark prints what it measured, which promises are kept and which are broken, and one line of `key=value`
//! pairs. Ctrl-C ends a benchmark at once; the control plane's watchdog ends what it started.

pub mod configs;
pub mod datastorage;
pub mod endurance;
pub mod floor;
pub mod freshness;
pub mod idle;
mod log;
pub mod memory;
mod metrics;
mod operator;
mod population;
mod probe;
pub mod probes;
mod quantiles;
mod report;
mod requests;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{
    controlplane::{ControlPlane, Options},
    harness::{Account, World, isolated},
};

/// Measures on a control plane that is started for it. Returns whether every promise was kept.
async fn measured(
    name: &str,
    audit_log: bool,
    measure: impl AsyncFnOnce(&mut World, &mut ControlPlane) -> Result<bool>,
) -> Result<bool> {
    let mut kept = false;
    let options = Options { audit_log, ..Options::default() };
    isolated(name, options, async |world, plane| {
        kept = measure(world, plane).await?;
        Ok(())
    })
    .await?;
    Ok(kept)
}

/// A ServiceAccount that may do everything. The audit log then shows whose requests are whose.
async fn account(world: &World, namespace: &str, name: &str) -> Result<Account> {
    let account = world.account(namespace, name).await?;
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    account.grant_everywhere(&format!("bench-{name}"), &everything).await?;
    Ok(account)
}

/// One Trusted source over all namespaces, with this `health`.
fn trusted_all(health: &Value) -> Value {
    json!({
        "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "health": health,
    })
}

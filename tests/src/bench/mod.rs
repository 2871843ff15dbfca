//! What `cargo xtask bench` measures on the real API server.
//!
//! ```text
//! population: Services as a cluster has them ──► API server ──► toolset-controller   usage: memory and CPU, from /proc
//!                                                          └──► floor                requests: from the audit log
//! ```
//!
//! - [`freshness`]: milliseconds from a Service's change to the ConfigMap's.
//! - [`memory`]: memory with thousands of Services watched.
//! - [`idle`]: what it costs, and what it writes, while nothing changes.
//!
//! Ctrl-C ends a benchmark at once; the control plane's watchdog ends what it started.

pub mod floor;
pub mod freshness;
pub mod idle;
pub mod memory;
mod population;
mod quantiles;
mod report;
mod requests;
mod usage;

use anyhow::Result;
use serde_json::{Value, json};

use crate::harness::{Account, Controller, ControllerOptions, World};

/// A ServiceAccount that may do everything: the audit log then tells whose requests are whose.
async fn account(world: &World, namespace: &str, name: &str) -> Result<Account> {
    let account = world.account(namespace, name).await?;
    let everything = json!([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]);
    account.grant_everywhere(&format!("bench-{name}"), &everything).await?;
    Ok(account)
}

/// The operator as it is deployed: all namespaces, log level info.
async fn start_controller(world: &mut World, account: &Account, arguments: &[String]) -> Result<Controller> {
    let options = ControllerOptions {
        kubeconfig: Some(account.kubeconfig().to_owned()),
        log_level: Some("info".to_owned()),
        arguments: arguments.to_vec(),
        ..ControllerOptions::unrestricted()
    };
    world.start_controller(options).await
}

/// One Trusted source over all namespaces, with this `health`.
fn trusted_all(health: &Value) -> Value {
    json!({
        "sources": [{"name": "all", "trust": "Trusted", "namespaces": {"from": "All"}}],
        "health": health,
    })
}

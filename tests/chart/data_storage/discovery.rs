//! The toolset operator finds the Service of the chart by its annotations.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{DATA_STORAGE, Helm, of_kind},
    controlplane::command,
    harness::kubectl_toolset_program,
};
use serde_json::{Value, json};

use super::SMALLEST;

/// What the operator would write for HolmesGPT, with the MCP detector in this state.
async fn rendered(helm: &Helm, state: &str) -> Result<Value> {
    let services = helm.template(SMALLEST)?;
    let service =
        of_kind(&services, "Service").into_iter().find(|service| service["metadata"]["name"] == "data-storage");
    let config = json!({
        "apiVersion": "toolset.kubernaut.io/v1alpha1", "kind": "ToolsetConfig", "metadata": {"name": "default", "namespace": "holmes"},
        "spec": {
            "sources": [{"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["audit"]}}],
            "detectors": [{"type": "MCP", "state": state}],
            "overrides": [{
                "name": "data-storage", "match": {"type": "MCP", "namespace": "audit", "service": "data-storage"},
                "credentials": {"type": "Bearer", "env": "DATA_STORAGE_TOKEN"},
            }],
        },
    });
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("cluster.yaml");
    fs::write(&file, format!("{}\n---\n{config}\n", service.context("no Service")?))?;
    let mut render = command(kubectl_toolset_program().await?);
    let output = render.args(["render", "-o", "holmesgpt", "-f"]).arg(&file).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_saphyr::from_slice(&output.stdout)?)
}

#[tokio::test]
async fn the_agent_gets_the_mcp_endpoint_where_mcp_is_enabled_and_only_there() -> Result<()> {
    let Some(helm) = Helm::find_for(DATA_STORAGE)? else { return Ok(()) };
    let file = rendered(&helm, "Enabled").await?;
    let config = &file["mcp_servers"]["datastorage"]["config"];
    assert_eq!(config["url"], "https://data-storage.audit.svc.cluster.local:8080/mcp");
    assert_eq!(config["headers"]["Authorization"], "Bearer {{ env.DATA_STORAGE_TOKEN }}");
    assert_eq!(rendered(&helm, "Disabled").await?.get("mcp_servers"), None);
    Ok(())
}

//! The operator finds Data Storage by the annotations of its Service, and the real agent loads the entry. No code couples
//! them.

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{DATA_STORAGE, Helm, skipped},
    harness::{DEFAULT_CONFIG_MAP, LibraryAgent, prelude::*},
};
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use kube::ResourceExt as _;
use serde_json::{Value, from_value, json};

use crate::access::{Access, sha256};

#[tokio::test]
async fn the_operator_discovers_the_service_and_the_agent_loads_its_three_tools() -> Result<()> {
    let Some(helm) = Helm::find_for(DATA_STORAGE)? else { return Ok(()) };
    let Some(agent) = LibraryAgent::start().await? else {
        return skipped("HolmesGPT is not installed; `cargo xtask test datastorage` installs it");
    };
    scenario("ds-discovery", async |world| {
        let (apps, holmes) = (world.namespace("apps").await?, world.namespace("holmes").await?);
        let tokens = world.folder().join("read-tokens");
        std::fs::write(&tokens, format!("holmesgpt {} {apps}\n", sha256(LibraryAgent::TOKEN)))?;
        let access = Access::start(world, &[&format!("--read-token-file={}", tokens.display())]).await?;

        // The agent's client keeps the port of an address, whatever its name leads to.
        let port = access.service.port();
        let values = format!(
            "database: {{url: \"postgresql://service@pg:5432/datastorage\"}}\nmigration: {{urlSecret: {{name: owner}}}}\n\
             tls: {{enabled: false}}\nports: {{api: {port}}}\n"
        );
        let rendered = helm.template(&values)?;
        let announced = |object: &&Value| {
            object["kind"] == "Service" && object["metadata"]["annotations"]["kubernaut.io/toolset"] == "enabled"
        };
        let service = rendered.iter().find(announced).context("the chart announces no Service")?;
        let mut service: Service = from_value(service.clone())?;
        service.metadata.namespace = Some(apps.clone());
        let name = service.name_any();
        world.create(&service).await?;

        let _controller = world.start_controller(ControllerOptions::default()).await?;
        let mut spec = trusted_names(&[&apps]);
        spec["health"] = json!({"mode": "None"});
        spec["detectors"] = json!([{"type": "MCP", "state": "Enabled"}]);
        // The tests have no kubectl, so this toolset would fail.
        spec["baseline"] = json!([{"name": "kubernetes/core", "state": "Disabled"}]);
        spec["overrides"] = json!([{
            "name": "token",
            "match": {"namespace": apps, "service": name},
            "credentials": {"type": "Bearer", "env": LibraryAgent::TOKEN_VARIABLE},
        }]);
        world.configure(&holmes, "default", &spec).await?;
        world.tools(&holmes, "Data Storage is listed", |tools| tools.names() == ["datastorage"]).await?;
        let host = format!("{name}.{apps}.svc.cluster.local");
        let listed = world.tools(&holmes, "it has an endpoint", |_| true).await?;
        assert_eq!(listed.endpoint("datastorage"), Some(format!("http://{host}:{port}/mcp").as_str()));

        let output: ConfigMap = world.api(&holmes).get(DEFAULT_CONFIG_MAP).await?;
        let file = output.data.as_ref().and_then(|data| data.get("custom_toolset.yaml")).context("no file")?;
        ensure!(file.contains("mcp_servers:"), "{file}");
        agent.resolve(&json!({format!("{host}:{port}"): port})).await?;
        agent.mount(file).await?;
        agent.refresh().await?;
        let info: Value = agent.info().await?;
        let toolsets = info["toolsets"].as_array().context("the agent lists no toolsets")?;
        let loaded = toolsets.iter().find(|toolset| toolset["type"] == "mcp").with_context(|| info.to_string())?;
        assert_eq!((&loaded["status"], &loaded["tool_count"]), (&json!("enabled"), &json!(3)), "{loaded}\n{file}");
        Ok(())
    })
    .await
}

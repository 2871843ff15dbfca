//! A file that somebody else wrote into the ConfigMap of a ToolsetConfig in Preview.

use anyhow::Result;
use e2e::{
    controlplane::controllers_run,
    harness::{FakeAgent, Reply, prelude::*},
};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{from_value, json};

use crate::{
    agent_stage::{AgentStage, IMAGE, Pauses, SERVICE},
    harness::skipped,
    stage::{CONFIG, message},
};

#[tokio::test]
async fn the_names_in_a_config_map_of_somebody_else_do_not_reach_the_status() -> Result<()> {
    if !controllers_run() {
        return skipped("EndpointSlices need kube-controller-manager");
    }
    scenario("agent-foreign-file", async |world| {
        let cast = AgentStage::set(world, Pauses::default(), json!({})).await?;
        let agents = [CONFIG, "previewing"].map(|name| {
            json!({"namespace": cast.stage.agent, "toolsetConfig": name, "service": SERVICE, "port": 80})
        });
        let names = ["a".repeat(300), "somebody-elses".to_owned()];
        let toolsets: Vec<_> = names.iter().map(|name| json!({"name": name, "status": "failed"})).collect();
        let agent = FakeAgent::start(Reply::json(&json!({"version": "0.45.0", "toolsets": toolsets}))).await?;
        cast.install_list(&json!(agents))?;
        cast.replica(IMAGE, agent.port()).await?;
        // The label is one that anybody can write.
        let foreign: ConfigMap = from_value(json!({
            "metadata": {
                "name": "somebody-elses", "namespace": cast.stage.agent,
                "labels": {"app.kubernetes.io/managed-by": "toolset-operator"},
            },
            "data": {"custom_toolset.yaml": format!(
                "toolsets:\n  {}: {{enabled: true}}\n  {}: {{enabled: true}}\n", names[0], names[1]
            )},
        }))?;
        cast.stage.world.create(&foreign).await?;
        let spec = json!({
            "sources": [{"name": "apps", "trust": "Trusted", "namespaces": {"from": "Names", "names": [cast.stage.apps]}}],
            "mode": "Preview",
            "output": {"configMapName": "somebody-elses", "formats": ["HolmesGPT"]},
            "consumer": {"observe": "HolmesGPT", "serviceRef": {"name": SERVICE}},
        });
        cast.stage.world.configure(&cast.stage.agent, "previewing", &spec).await?;
        present(&cast.stage.configs(), "previewing", "there is nothing to compare", |config| {
            condition(config, "AgentLoaded") == Some(("Unknown", "Preview"))
                && message(config, "AgentLoaded").contains("has no key custom_toolset.yaml from this ToolsetConfig")
        })
        .await
        .map(drop)
    })
    .await
}

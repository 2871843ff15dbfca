//! The dashboard's queries and the alerts' expressions, run by a real Prometheus that scrapes a real controller.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use e2e::{
    chart::{self, OPERATOR},
    harness::{
        Backend, ControllerOptions, FakeAgent, Reply, eventually, scenario, services, services::ServiceBuilder,
        trusted_names,
    },
};
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use crate::{grafana, prometheus::Prometheus};

/// A controller that asks the agent in this namespace. The Pods have no network, so a local server answers for them.
fn asks_agent(folder: &Path, namespace: &str) -> Result<ControllerOptions> {
    let (agents, redirects) = (folder.join("agents"), folder.join("redirects"));
    fs::create_dir(&agents)?;
    fs::write(&redirects, "")?;
    let agent = json!({"namespace": namespace, "toolsetConfig": "default", "service": "holmes", "port": 80});
    fs::write(agents.join("agents.json"), json!({"agents": [agent]}).to_string())?;
    Ok(ControllerOptions {
        arguments: vec![format!("--agents-dir={}", agents.display())],
        environment: vec![
            ("TOOLSET_TEST_REDIRECTS".to_owned(), redirects.display().to_string()),
            ("TOOLSET_TEST_AGENT_TIMING".to_owned(), "100,1000,900000,30000".to_owned()),
        ],
        ..ControllerOptions::default()
    })
}

#[test]
fn every_panel_has_a_place_and_an_id_of_its_own() -> Result<()> {
    grafana::check_places(&grafana::read(OPERATOR)?)
}

#[test]
fn every_panel_says_what_it_shows_and_every_link_leads_somewhere() -> Result<()> {
    grafana::check_links(&grafana::read(OPERATOR)?, OPERATOR)
}

#[test]
fn every_variable_is_defined_and_the_freshness_has_the_threshold_of_its_alert() -> Result<()> {
    let dashboard = grafana::read(OPERATOR)?;
    let variables = dashboard["templating"]["list"].as_array().context("no variables")?;
    let names: Vec<_> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "namespace", "job", "config"]);
    let panels = grafana::panels(&dashboard)?;
    let fresh: Vec<_> = panels.iter().filter(|panel| panel["title"].to_string().contains("event to write")).collect();
    assert_eq!(fresh.len(), 2);
    for panel in fresh {
        let steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"].as_array().context("no thresholds")?;
        assert_eq!(steps.last().context("no step")?["value"], json!(5), "the alert ToolsetFreshnessLow");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_query_of_the_dashboard_and_of_the_alerts_has_data_in_a_real_prometheus() -> Result<()> {
    if !chart::controllers_run()? {
        return Ok(());
    }
    let Some(program) = chart::of_prometheus("prometheus")? else { return Ok(()) };
    scenario("dashboard", async |world| {
        let apps = world.namespace("apps").await?;
        let agent = world.namespace("agent").await?;
        let holmes = FakeAgent::start(Reply::json(&json!({"version": "0.45.0", "toolsets": []}))).await?;
        let controller = world.start_controller(asks_agent(world.folder(), &agent)?).await?;
        let prometheus =
            Prometheus::start(&program, world.folder(), &controller.metrics_url(), ("holmes", "toolset-operator-0"))?;

        let service = world.create(&ServiceBuilder::new(&agent, "holmes").port("http", 80, 5050).build()).await?;
        let container =
            json!({"name": "holmes", "image": "robustadev/holmes:0.45.0", "ports": [{"containerPort": 5050}]});
        let replica = Backend::not_ready(&world.client(), &service, container).await?;
        let redirects = format!("{}:5050=127.0.0.1:{}\n", replica.address(), holmes.port());
        fs::write(world.folder().join("redirects"), &redirects)?;
        replica.set_ready(true).await?;
        let mut spec = trusted_names(&[&apps]);
        spec["consumer"] = json!({"observe": "HolmesGPT", "serviceRef": {"name": "holmes"}});
        spec["health"] = json!({"mode": "Probe", "probe": {"periodSeconds": 1}});
        world.configure(&agent, "default", &spec).await?;
        let service = world.create(&services::prometheus_server(&apps)).await?;
        let container = json!({"name": "app", "image": "app.example/app:1"});
        let backend = Backend::not_ready(&world.client(), &service, container).await?;
        let redirects = format!("{redirects}{}:9090=127.0.0.1:{}\n", backend.address(), holmes.port());
        fs::write(world.folder().join("redirects"), redirects)?;
        backend.set_ready(true).await?;
        world.create(&services::annotated(&apps, "malformed", "NOT A TYPE")).await?;
        world.tools(&agent, "prometheus-server is listed", |tools| tools.names() == ["prometheus-server"]).await?;
        world.ready(&agent, "default", ("True", "AsExpected")).await?;

        let all_services: Api<Service> = world.api(&apps);
        let mut changes = 0;
        for (title, query) in grafana::queries(&grafana::read(OPERATOR)?)? {
            eventually(&format!("panel {title:?} shows data for {query}"), async || {
                // Rates and quantiles are empty or NaN while nothing happens, so something does.
                changes += 1;
                let annotations = json!({
                    "kubernaut.io/toolset": "enabled",
                    "kubernaut.io/toolset-type": "prometheus",
                    "kubernaut.io/toolset-path": format!("/number-{changes}"),
                });
                let change = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
                all_services.patch("prometheus-server", &PatchParams::default(), &change).await?;
                ensure!(!prometheus.query(&query).await?.is_empty(), "no data");
                Ok(())
            })
            .await?;
        }
        for (alert, expression) in grafana::alerts(OPERATOR)? {
            let firing = prometheus.query(&expression).await.with_context(|| alert.clone())?;
            ensure!(firing.is_empty(), "{alert} fires on a healthy operator: {firing:?}");
        }
        Ok(())
    })
    .await
}

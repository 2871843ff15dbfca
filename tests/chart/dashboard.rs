//! The dashboard's queries and the alerts' expressions, run by a real Prometheus that scrapes a real controller.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{
    chart,
    controlplane::ports,
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
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// The dashboard.
pub(crate) fn read() -> Result<Value> {
    let text = fs::read_to_string(chart::chart().join("files/dashboards/toolset-operator.json"))?;
    serde_json::from_str(&text).context("the dashboard is not JSON")
}

/// Title and expression of every query of every panel.
fn queries() -> Result<Vec<(String, String)>> {
    let dashboard = read()?;
    let mut queries = Vec::new();
    for panel in dashboard["panels"].as_array().context("no panels")? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().context("a panel without a title")?;
            queries.push((title.to_owned(), target["expr"].as_str().context("a target without a query")?.to_owned()));
        }
    }
    Ok(queries)
}

/// The query with everything selected, as Grafana would send it.
fn with_values(query: &str) -> String {
    let selected =
        ["$namespace", "$job", "$config"].iter().fold(query.to_owned(), |query, name| query.replace(name, ".*"));
    selected.replace("$__rate_interval", "1m").replace("$__range", "5m")
}

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
    let dashboard = read()?;
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in dashboard["panels"].as_array().context("no panels")? {
        ensure!(ids.insert(panel["id"].as_i64().context("no id")?), "id {} twice", panel["id"]);
        let at = |key: &str| panel["gridPos"][key].as_u64().with_context(|| format!("no {key}"));
        let (x, y, width, height) = (at("x")?, at("y")?, at("w")?, at("h")?);
        ensure!(x + width <= 24, "{} is over the edge", panel["title"]);
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            ensure!(cells.insert(cell), "{} overlaps another panel at {cell:?}", panel["title"]);
        }
    }
    Ok(())
}

#[test]
fn every_panel_says_what_it_shows_and_every_link_leads_somewhere() -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let runbooks = fs::read_to_string(docs.join("runbooks.md"))?.to_lowercase();
    let (dashboard, mut linked) = (read()?, BTreeSet::new());
    let panels = dashboard["panels"].as_array().context("no panels")?;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        ensure!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{} has no text", panel["title"]);
    }
    let of_panels = panels.iter().filter_map(|panel| panel["links"].as_array());
    for link in of_panels.chain(dashboard["links"].as_array()).flatten() {
        let url = link["url"].as_str().context("a link without a URL")?;
        let Some(page) = url.strip_prefix("https://github.com/kubernaut/toolset-operator/blob/main/docs/") else {
            ensure!(url.starts_with("/alerting/"), "{url} leads out of Grafana and out of the documentation");
            continue;
        };
        let (file, anchor) = page.split_once('#').unwrap_or((page, ""));
        ensure!(docs.join(file).is_file(), "{url} leads nowhere");
        ensure!(anchor.is_empty() || runbooks.contains(&format!("\n## {anchor}\n")), "there is no runbook {anchor}");
        linked.insert(anchor.to_owned());
    }
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(crate::alerts::file())?)?;
    for rule in rules["groups"][0]["rules"].as_array().context("no rules")? {
        let alert = rule["alert"].as_str().context("no name")?.to_lowercase();
        ensure!(linked.contains(&alert), "no panel leads to the runbook of {alert}");
    }
    Ok(())
}

#[test]
fn every_variable_is_defined_and_the_freshness_has_the_threshold_of_its_alert() -> Result<()> {
    let dashboard = read()?;
    let variables = dashboard["templating"]["list"].as_array().context("no variables")?;
    let names: Vec<_> = variables.iter().filter_map(|variable| variable["name"].as_str()).collect();
    assert_eq!(names, ["datasource", "namespace", "job", "config"]);
    let panels = dashboard["panels"].as_array().context("no panels")?;
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
        let prometheus = Prometheus::start(&program, world.folder(), &controller.metrics_url())?;

        let service = world.create(&ServiceBuilder::new(&agent, "holmes").port("http", 80, 5050).build()).await?;
        let container =
            json!({"name": "holmes", "image": "robustadev/holmes:0.45.0", "ports": [{"containerPort": 5050}]});
        let replica = Backend::not_ready(&world.client(), &service, container).await?;
        let redirect = format!("{}:5050=127.0.0.1:{}\n", replica.address(), holmes.port());
        fs::write(world.folder().join("redirects"), redirect)?;
        replica.set_ready(true).await?;
        let mut spec = trusted_names(&[&apps]);
        spec["consumer"] = json!({"observe": "HolmesGPT", "serviceRef": {"name": "holmes"}});
        world.configure(&agent, "default", &spec).await?;
        let service = world.create(&services::prometheus_server(&apps)).await?;
        world.backend(&service).await?;
        world.create(&services::annotated(&apps, "malformed", "NOT A TYPE")).await?;
        world.tools(&agent, "prometheus-server is listed", |tools| tools.names() == ["prometheus-server"]).await?;
        world.ready(&agent, "default", ("True", "AsExpected")).await?;

        let all_services: Api<Service> = world.api(&apps);
        let mut changes = 0;
        for (title, query) in queries()? {
            let query = with_values(&query);
            ensure!(!query.contains('$'), "panel {title:?} has a variable that the dashboard does not define: {query}");
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
        let rules: Value = serde_saphyr::from_str(&fs::read_to_string(crate::alerts::file())?)?;
        for rule in rules["groups"][0]["rules"].as_array().context("no rules")? {
            let (alert, expression) = (&rule["alert"], rule["expr"].as_str().context("no expr")?);
            let firing = prometheus.query(expression).await.with_context(|| alert.to_string())?;
            ensure!(firing.is_empty(), "{alert} fires on a healthy operator: {firing:?}");
        }
        Ok(())
    })
    .await
}

/// A Prometheus that scrapes one target every second. Dropping it ends it.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Prometheus {
    fn start(program: &Path, folder: &Path, url: &str) -> Result<Self> {
        let target = url.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/metrics")).context("no target")?;
        let config = folder.join("prometheus.yml");
        fs::write(
            &config,
            format!(
                "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: operator\n  \
                 static_configs:\n  - targets: ['{target}']\n    labels: {{namespace: holmes, pod: toolset-operator-0}}\n"
            ),
        )?;
        let port = ports::free()?;
        let log = fs::File::create(folder.join("prometheus.log"))?;
        let child = Command::new(program)
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start Prometheus")?;
        Ok(Self { child, port })
    }

    /// The series that an expression gives now, those without a number left out.
    async fn query(&self, expression: &str) -> Result<Vec<Value>> {
        let body = format!("query={}", encoded(expression));
        let request = format!(
            "POST /api/v1/query HTTP/1.0\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.context("Prometheus does not answer")?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, json) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let answer: Value = serde_json::from_str(json).with_context(|| format!("Prometheus says {json:?}"))?;
        if answer["status"] != "success" {
            bail!("Prometheus says {}", answer["error"]);
        }
        let series = answer["data"]["result"].as_array().cloned().unwrap_or_default();
        Ok(series.into_iter().filter(|series| series["value"][1] != "NaN").collect())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// As forms have it.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

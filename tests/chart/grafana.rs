//! What is true of every dashboard.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use e2e::chart::Chart;
use serde_json::Value;

const DOCS: &str = "https://github.com/kubernaut/toolset-operator/blob/main/docs/";

/// The dashboard of a chart.
pub(crate) fn read(chart: Chart) -> Result<Value> {
    let file = chart.folder().join("files/dashboards").join(chart.name).with_extension("json");
    serde_json::from_str(&fs::read_to_string(file)?).context("the dashboard is not JSON")
}

/// The panels of the dashboard.
pub(crate) fn panels(dashboard: &Value) -> Result<&Vec<Value>> {
    dashboard["panels"].as_array().context("no panels")
}

/// Title and expression of every query of every panel, with everything selected, as Grafana would send it.
pub(crate) fn queries(dashboard: &Value) -> Result<Vec<(String, String)>> {
    let mut queries = Vec::new();
    for panel in panels(dashboard)? {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let title = panel["title"].as_str().context("a panel without a title")?;
            let query = with_values(target["expr"].as_str().context("a target without a query")?);
            ensure!(!query.contains('$'), "panel {title:?} has a variable that the dashboard does not define: {query}");
            queries.push((title.to_owned(), query));
        }
    }
    Ok(queries)
}

fn with_values(query: &str) -> String {
    let selected =
        ["$namespace", "$job", "$config"].iter().fold(query.to_owned(), |query, name| query.replace(name, ".*"));
    selected.replace("$__rate_interval", "1m").replace("$__range", "5m")
}

/// Name and expression of every alert of a chart.
pub(crate) fn alerts(chart: Chart) -> Result<Vec<(String, String)>> {
    let rules: Value = serde_saphyr::from_str(&fs::read_to_string(chart.folder().join("files/alerts.yaml"))?)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let rules = rules["groups"][0]["rules"].as_array().context("no rules")?;
    rules.iter().map(|rule| text(&rule["alert"]).zip(text(&rule["expr"])).context("no name or no expr")).collect()
}

/// Fails if two panels overlap, or a panel is over the edge.
pub(crate) fn check_places(dashboard: &Value) -> Result<()> {
    let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels(dashboard)? {
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

/// Fails if a panel says nothing, a link leads nowhere, or no panel leads to the runbook of an alert of the chart.
pub(crate) fn check_links(dashboard: &Value, chart: Chart) -> Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let mut linked = BTreeSet::new();
    let panels = panels(dashboard)?;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        ensure!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{} has no text", panel["title"]);
    }
    let of_panels = panels.iter().filter_map(|panel| panel["links"].as_array());
    for link in of_panels.chain(dashboard["links"].as_array()).flatten() {
        let url = link["url"].as_str().context("a link without a URL")?;
        let Some(page) = url.strip_prefix(DOCS) else {
            ensure!(url.starts_with("/alerting/"), "{url} leads out of Grafana and out of the documentation");
            continue;
        };
        let (file, anchor) = page.split_once('#').unwrap_or((page, ""));
        let text = fs::read_to_string(docs.join(file)).with_context(|| format!("{url} leads nowhere"))?;
        let heading = format!("\n## {anchor}\n");
        ensure!(anchor.is_empty() || text.to_lowercase().contains(&heading), "there is no runbook {anchor}");
        linked.insert(anchor.to_owned());
    }
    for (alert, _) in alerts(chart)? {
        ensure!(linked.contains(&alert.to_lowercase()), "no panel leads to the runbook of {alert}");
    }
    Ok(())
}

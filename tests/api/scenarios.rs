//! The Services of whole clusters, as charts create them. The status, the ConfigMap and `explain` agree.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use e2e::harness::{kubectl_toolset, prelude::*};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Service;
use kube::api::DynamicObject;
use serde_json::{Value, from_value, json};

use crate::stage::{CONFIG, without_health};

/// Names the folder with a corpus of Services with a known result. The default is the folder beside the project.
const CORPUS: &str = "TOOLSET_CORPUS";

/// The largest scenarios of the corpus, and those with the most similar Services.
const SCENARIOS: [&str; 5] = ["otel-demo", "loki-dist", "kps-prom", "vmks", "istio-addons"];

/// A Service and port that an agent should call: namespace, name, type in lower case, and the endpoint without its
/// host.
type Tool = (String, String, String, String);

/// The tools that the status shows.
fn tools(config: &DynamicObject) -> Result<BTreeSet<Tool>> {
    let tools = config.data.pointer("/status/tools").and_then(Value::as_array).context("the status lists no tools")?;
    tools
        .iter()
        .map(|tool| {
            let text = |key: &str| tool[key].as_str().unwrap_or_default().to_owned();
            let host = format!("{}.{}.svc.cluster.local", text("service"), text("namespace"));
            let endpoint = text("endpoint");
            ensure!(endpoint.contains(&host), "{endpoint} is not at {host}");
            Ok((text("namespace"), text("service"), text("type").to_lowercase(), endpoint.replace(&host, "")))
        })
        .collect()
}

/// Creates Services whose namespaces are names within the scenario; each gets one of the test's own.
async fn create(world: &mut World, services: Vec<Service>) -> Result<(BTreeMap<String, String>, Vec<Service>)> {
    let names: BTreeSet<_> = services.iter().filter_map(|service| service.metadata.namespace.clone()).collect();
    let mut namespaces = BTreeMap::new();
    for name in names {
        namespaces.insert(name.clone(), world.namespace(&name).await?);
    }
    let moved = services.into_iter().map(|mut service| {
        let namespace = service.metadata.namespace.take().unwrap_or_default();
        service.metadata.namespace = namespaces.get(&namespace).cloned();
        service
    });
    let moved: Vec<_> = moved.collect();
    let created = stream::iter(&moved).map(|service| world.create(service)).buffer_unordered(8);
    let created = created.try_collect().await?;
    Ok((namespaces, created))
}

/// A Service does not contain the path of its program, so a tool without the path is correct too.
fn as_far_as_it_shows(tool: Tool, expected: &BTreeSet<Tool>) -> Tool {
    let with_path = expected.iter().find(|one| {
        let path = one.3.strip_prefix(&tool.3);
        (&one.0, &one.1, &one.2) == (&tool.0, &tool.1, &tool.2) && path.is_some_and(|path| path.starts_with('/'))
    });
    with_path.cloned().unwrap_or(tool)
}

/// Waits until the ToolsetConfig shows exactly these tools.
async fn shows(world: &World, agent: &str, expected: &BTreeSet<Tool>) -> Result<DynamicObject> {
    let configs = toolset_configs(&world.client(), agent);
    eventually("exactly the expected tools", async || {
        let config = configs.get(CONFIG).await?;
        let tools = tools(&config)?.into_iter().map(|tool| as_far_as_it_shows(tool, expected)).collect();
        let missing: Vec<_> = expected.difference(&tools).collect();
        let wrong: Vec<_> = tools.difference(expected).collect();
        ensure!(missing.is_empty() && wrong.is_empty(), "missing: {missing:?}\nwrong: {wrong:?}");
        Ok(config)
    })
    .await
}

/// The reason of a Service in the status, and its endpoint if it is a tool.
fn verdict<'a>(config: &'a DynamicObject, service: &Service) -> Option<(&'a str, Option<&'a str>)> {
    let of = |list: &str| {
        let all = config.data.pointer(list).and_then(Value::as_array).into_iter().flatten();
        let mut ours = all.filter(|one| {
            one["namespace"].as_str() == service.metadata.namespace.as_deref()
                && one["service"].as_str() == service.metadata.name.as_deref()
        });
        ours.next()
    };
    match (of("/status/tools"), of("/status/rejected")) {
        (Some(tool), _) => Some((tool["reason"].as_str()?, tool["endpoint"].as_str())),
        (None, Some(rejected)) => Some((rejected["reason"].as_str()?, None)),
        (None, None) => None,
    }
}

/// Checks that `explain --live` of every Service gives the same result as the status.
async fn explain_agrees(world: &World, agent: &str, config: &DynamicObject, services: &[Service]) -> Result<()> {
    let which = format!("{agent}/{CONFIG}");
    let explain = async |service: &Service| -> Result<()> {
        let (namespace, name) = (service.metadata.namespace.as_deref(), service.metadata.name.as_deref());
        let (namespace, name) = (namespace.context("a namespace")?, name.context("a name")?);
        let output = kubectl_toolset(world, &["explain", name, "-n", namespace, "--live", "--config", &which]).await?;
        let said = String::from_utf8(output.stdout)?;
        ensure!(output.status.success(), "explain {namespace}/{name}: {}", String::from_utf8_lossy(&output.stderr));
        let verdict = verdict(config, service);
        match verdict {
            Some((_, Some(endpoint))) => {
                let agrees = said.contains(" is a tool") && said.contains(endpoint);
                ensure!(agrees, "{namespace}/{name}: the status says {endpoint}, explain:\n{said}");
            }
            Some((reason, None)) => {
                let agrees = said.contains(" is not a tool") && said.contains(reason);
                ensure!(agrees, "{namespace}/{name}: the status says {reason}, explain:\n{said}");
            }
            None => {
                ensure!(said.contains(" is not a tool"), "{namespace}/{name}: no word in the status, explain:\n{said}");
            }
        }
        Ok(())
    };
    stream::iter(services).map(explain).buffer_unordered(2).try_collect::<()>().await
}

#[tokio::test]
async fn a_stack_of_charts_gives_exactly_its_endpoints_and_explain_says_the_same() -> Result<()> {
    scenario("stack", async |world| {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/stack.yaml");
        let documents = serde_saphyr::from_multiple::<Value>(&fs::read_to_string(file)?)?;
        let services = documents.into_iter().filter(|document| document["kind"] == "Service").map(from_value);
        let (namespaces, services) = create(world, services.collect::<Result<_, _>>()?).await?;
        let agent = world.namespace("agent").await?;
        let all: Vec<_> = namespaces.values().map(String::as_str).collect();
        world.configure(&agent, CONFIG, &without_health(&all)).await?;
        let _controller = world.start_controller(ControllerOptions::default()).await?;

        let expected = [
            ("elastic", "logs-es-http", "elasticsearch", "https://:9200"),
            ("elastic", "logs-kb-http", "kibana", "https://:5601"),
            ("logging", "loki-gateway", "loki", "http://:80"),
            ("monitoring", "kps-kube-prometheus-stack-alertmanager", "alertmanager", "http://:9093"),
            ("monitoring", "kps-kube-prometheus-stack-prometheus", "prometheus", "http://:9090"),
            ("monitoring", "thanos-query", "thanos", "http://:9090"),
            ("search", "vectors", "vector-database", "http://:6333"),
            ("tracing", "jaeger", "jaeger", "http://:16686"),
            ("tracing", "tempo", "tempo", "http://:3200"),
        ];
        let expected = expected.map(|(namespace, name, kind, endpoint)| {
            (namespaces[namespace].clone(), name.to_owned(), kind.to_owned(), endpoint.to_owned())
        });
        let config = shows(world, &agent, &expected.into()).await?;
        explain_agrees(world, &agent, &config, &services).await
    })
    .await
}

/// The rows of the corpus, or `None` where there is none.
fn corpus() -> Result<Option<Vec<Value>>> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    let file = env::var_os(CORPUS).map_or_else(beside, PathBuf::from).join("services.json");
    if !file.is_file() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_str(&fs::read_to_string(file)?)?))
}

/// A row of the corpus as the Service that it describes.
fn service(row: &Value) -> Result<Service> {
    let ports = row["ports"].as_array().context("a row has ports")?.iter().map(|port| {
        let mut port = port.clone();
        let target = port["targetPort"].as_str().and_then(|text| text.parse::<u16>().ok());
        if let Some(number) = target {
            port["targetPort"] = json!(number);
        }
        without_nulls(port)
    });
    let spec = without_nulls(json!({
        "type": row["type"],
        "clusterIP": row["clusterIP"].as_str().filter(|ip| *ip == "None" && row["type"] == "ClusterIP"),
        "selector": row["selector"],
        "ports": ports.collect::<Vec<_>>(),
    }));
    let metadata = json!({
        "name": row["name"], "namespace": row["namespace"], "labels": row["labels"], "annotations": row["annotations"],
    });
    Ok(from_value(json!({"metadata": without_nulls(metadata), "spec": spec}))?)
}

fn without_nulls(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

/// The product in the expected result, in lower case as in the status.
fn kind(family: &str) -> String {
    let known = match family {
        "opensearch-dashboards" => "kibana",
        "thanos-query" => "thanos",
        other => other,
    };
    known.to_lowercase()
}

#[tokio::test]
async fn scenarios_of_the_corpus_give_exactly_their_endpoints_and_explain_says_the_same() -> Result<()> {
    let Some(rows) = corpus()? else {
        // The corpus is not part of the project, so it is optional.
        writeln!(std::io::stderr(), "SKIPPED: no corpus beside the project, and none named by {CORPUS}")?;
        return Ok(());
    };
    for name in SCENARIOS {
        let rows: Vec<_> = rows.iter().filter(|row| row["scenario"] == name).collect();
        ensure!(!rows.is_empty(), "the corpus has no scenario {name}");
        scenario("corpus", async |world| {
            let services = rows.iter().map(|row| service(row)).collect::<Result<_>>()?;
            let (namespaces, services) = create(world, services).await?;
            let agent = world.namespace("agent").await?;
            let all: Vec<_> = namespaces.values().map(String::as_str).collect();
            world.configure(&agent, CONFIG, &without_health(&all)).await?;
            let _controller = world.start_controller(ControllerOptions::default()).await?;

            let usable = rows.iter().filter(|row| row["usable_endpoint"] == true).map(|row| {
                let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
                let namespace = namespaces.get(&text("namespace")).cloned().unwrap_or_default();
                let endpoint = format!("{}://:{}{}", text("scheme"), row["port_to_use"], text("path_prefix"));
                (namespace, text("name"), kind(&text("family")), endpoint)
            });
            let config = shows(world, &agent, &usable.collect()).await.context(name)?;
            explain_agrees(world, &agent, &config, &services).await.context(name)
        })
        .await?;
    }
    Ok(())
}

//! Reads the files of a corpus.

use std::path::{Path, PathBuf};

use detectors::{
    Auth, PortView, Product, Protocol, Scheme, ServiceKey, ServiceType, ServiceView, StringMap, TargetPort,
    pods::PodView,
};
use serde_json::Value;

/// What the truth says of a Service.
pub(crate) enum Truth {
    Usable { port: u16, scheme: Scheme, path: String },
    Alternate,
    Other,
}

/// A Service of the corpus.
pub(crate) struct Row {
    /// The file. Scenarios of different files are different clusters.
    pub file: usize,
    /// The cluster.
    pub scenario: String,
    pub view: ServiceView,
    /// The product with a detector that the truth names.
    pub product: Option<Product>,
    pub family: String,
    pub truth: Truth,
    pub undecidable: bool,
    /// Whether only the Pod shows the product or the role.
    pub needs_pod: bool,
    pub notes: String,
    /// The Pod behind it, with the truth that it decides.
    pub pod: Option<Pod>,
    pub raw: Value,
}

/// The Pod behind a Service.
pub(crate) struct Pod {
    pub view: PodView,
    pub truth: Truth,
    pub product: Option<Product>,
    pub auth: Auth,
    pub settled: Settled,
}

/// Which fields Service and Pod prove together.
#[allow(clippy::struct_excessive_bools, reason = "one per field, as in the corpus")]
pub(crate) struct Settled {
    pub product: bool,
    pub scheme: bool,
    pub path: bool,
    pub auth: bool,
}

/// The files beside the workspace.
pub(crate) fn default_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
    files.sort();
    files
}

/// The rows of one file.
pub(crate) fn read(number: usize, file: &Path) -> Result<Vec<Row>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let rows: Vec<Value> = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    rows.into_iter().map(|raw| row(number, raw)).collect()
}

fn row(file: usize, raw: Value) -> Result<Row, String> {
    let family = text(&raw, "family");
    let notes = text(&raw, "notes");
    Ok(Row {
        file,
        scenario: text(&raw, "scenario"),
        product: product_of(&family),
        needs_pod: raw["open_without_pod"]
            .as_array()
            .is_some_and(|open| open.iter().any(|field| field == "product" || field == "role")),
        undecidable: notes.starts_with("UNDECIDABLE"),
        view: view(&raw),
        truth: truth(&raw, flag(&raw, "alternate_ok"))?,
        pod: pod(&raw)?,
        family,
        notes,
        raw,
    })
}

fn text(raw: &Value, key: &str) -> String {
    raw[key].as_str().unwrap_or_default().to_owned()
}

fn flag(raw: &Value, key: &str) -> bool {
    raw[key].as_bool().unwrap_or_default()
}

fn truth(raw: &Value, alternate: bool) -> Result<Truth, String> {
    if flag(raw, "usable_endpoint") {
        let port = number(&raw["port_to_use"]).ok_or_else(|| format!("no port_to_use in {raw}"))?;
        let scheme = if text(raw, "scheme") == "https" { Scheme::Https } else { Scheme::Http };
        return Ok(Truth::Usable { port, scheme, path: text(raw, "path_prefix") });
    }
    Ok(if alternate { Truth::Alternate } else { Truth::Other })
}

fn pod(raw: &Value) -> Result<Option<Pod>, String> {
    if raw["pod"].is_null() {
        return Ok(None);
    }
    let mut spec = raw["pod"].clone();
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let paths = container["mounts"].as_array().cloned().unwrap_or_default();
            let mounts = paths.into_iter().map(|path| serde_json::json!({ "mountPath": path })).collect();
            container["volumeMounts"] = Value::Array(mounts);
        }
    }
    let with_pod = &raw["truth_with_pod"];
    let settled = |key: &str| flag(&with_pod["settled"], key);
    let product = text(with_pod, "product");
    Ok(Some(Pod {
        view: serde_json::from_value(spec).map_err(|error| format!("{}: {error}", text(raw, "name")))?,
        truth: truth(with_pod, flag(raw, "alternate_ok"))?,
        // Cortex has Mimir's API.
        product: if product == "cortex" { Some(Product::Mimir) } else { product_of(&product) },
        auth: match with_pod["auth"].as_str() {
            Some("none") => Auth::None,
            Some("basic") => Auth::Basic,
            Some("bearer") => Auth::Bearer,
            Some("tenant") => Auth::Tenant,
            _ => Auth::Unknown,
        },
        settled: Settled {
            product: settled("product"),
            scheme: settled("scheme"),
            path: settled("path_prefix"),
            auth: settled("auth"),
        },
    }))
}

fn product_of(family: &str) -> Option<Product> {
    match family {
        "gmp-frontend" => Some(Product::Prometheus),
        "thanos-query" => Some(Product::Thanos),
        "opensearch-dashboards" => Some(Product::Kibana),
        other => other.parse().ok(),
    }
}

fn view(raw: &Value) -> ServiceView {
    let text = |key: &str| raw[key].as_str().unwrap_or_default();
    let map = |key: &str| -> StringMap {
        let entries = raw[key].as_object().into_iter().flatten();
        entries.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))).collect()
    };
    ServiceView {
        key: ServiceKey::new(text("namespace"), text("name")),
        labels: map("labels"),
        annotations: map("annotations"),
        selector: map("selector"),
        ports: raw["ports"].as_array().into_iter().flatten().filter_map(port).collect(),
        service_type: match text("type") {
            "NodePort" => ServiceType::NodePort,
            "LoadBalancer" => ServiceType::LoadBalancer,
            "ExternalName" => ServiceType::ExternalName,
            _ => ServiceType::ClusterIP,
        },
        headless: text("clusterIP") == "None",
        external_ips: false,
        uid: 0,
        created: 0,
    }
}

fn port(raw: &Value) -> Option<PortView> {
    let target = match &raw["targetPort"] {
        Value::String(text) => {
            Some(text.parse().map_or_else(|_| TargetPort::Name(text.as_str().into()), TargetPort::Number))
        }
        other => number(other).map(TargetPort::Number),
    };
    Some(PortView {
        name: raw["name"].as_str().map(Into::into),
        port: number(&raw["port"])?,
        target,
        protocol: match raw["protocol"].as_str() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
        app_protocol: raw["appProtocol"].as_str().map(Into::into),
    })
}

fn number(raw: &Value) -> Option<u16> {
    raw.as_u64().and_then(|number| number.try_into().ok()).or_else(|| raw.as_str()?.parse().ok())
}

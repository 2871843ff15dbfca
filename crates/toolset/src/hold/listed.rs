//! The discovered tools of a written output, read back.
//!
//! `toolset.json` holds everything that is needed. If that format is not written, the status says what the tools are,
//! and the other formats say whether they are still in the output.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crd_types::{Instances, OutputFormat, RejectedStatus, ServiceReason, ToolStatus, ToolsetConfig, Trust};
use detectors::{Confidence, Product, ServiceKey};
use serde::Deserialize;

use crate::{
    checked,
    endpoint::Endpoint,
    health::in_output,
    render::{
        TOOLSET_JSON_KEY,
        grafana_datasources::{self, ListedSource},
        grafana_key,
        holmesgpt::TENANT_PROVIDED,
        is_of_a_format,
    },
    select::remembered::{Denial, Parts, Remembered, RememberedTool},
};

/// The data of a `ConfigMap`.
pub type Data = BTreeMap<String, Arc<str>>;

/// A discovered tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedTool {
    pub key: ServiceKey,
    /// What it can be, the most likely type first. There is more than one if the output does not show the type.
    pub types: Vec<(Product, Option<String>)>,
    pub endpoint: Endpoint,
    /// The trust of its source.
    pub trust: Trust,
    pub confidence: Confidence,
    /// The source that selected it, by name.
    pub source: String,
    /// The name that its owner chose.
    pub chosen_name: Option<String>,
    pub health_path: Option<String>,
    /// Its place in what is written. The agent's file has the instances in the order of their rank, and
    /// `PROMETHEUS_URL` comes before the variables of the other products that it can name.
    pub place: usize,
}

#[derive(Deserialize)]
struct File {
    tools: Vec<JsonTool>,
}

#[derive(Deserialize)]
struct JsonTool {
    name: String,
    #[serde(rename = "type")]
    type_: String,
    endpoint: String,
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Metadata {
    trust: String,
    confidence: String,
    /// Only a discovered tool has one.
    source: String,
    health_endpoint: String,
}

/// The Services whose tools are in an output, without those that only `spec.tools` or the base file name.
pub fn services(config: &ToolsetConfig, cluster_domain: &str, data: &Data, base: Option<&str>) -> BTreeSet<ServiceKey> {
    if let Some(discovered) = discovered(data) {
        return discovered.filter_map(|tool| service_of(&tool.endpoint, cluster_domain)).collect();
    }
    let mut found = in_output(texts(data), cluster_domain);
    let status = || config.status.iter().flat_map(|status| &status.tools);
    let known: BTreeSet<_> = status().map(key_of).collect();
    let stated = config.spec.tools.iter().map(|tool| tool.endpoint.as_str());
    let stated_before = status().filter(|tool| tool.service.is_empty()).map(|tool| tool.endpoint.as_str());
    for key in in_output(stated.chain(stated_before).chain(base), cluster_domain) {
        if !known.contains(&key) {
            found.remove(&key);
        }
    }
    let datasources = data.get(&*grafana_key(config));
    let listed = datasources.into_iter().flat_map(|text| grafana_datasources::listed(text));
    found.extend(listed.map(|source| source.key));
    found
}

/// The discovered tools of an output, and the Services of data sources that cannot be read back. These stay in Grafana,
/// although the next file does not have them.
///
/// Fails with the name of any other tool that cannot be read back.
pub(super) fn tools(
    config: &ToolsetConfig,
    cluster_domain: &str,
    data: &Data,
    base: Option<&str>,
) -> Result<(Vec<ListedTool>, BTreeSet<ServiceKey>), String> {
    let written = texts(data).collect::<Vec<_>>().join("\n");
    let status: BTreeMap<ServiceKey, &ToolStatus> =
        config.status.iter().flat_map(|status| &status.tools).map(|tool| (key_of(tool), tool)).collect();
    let reader = Reader { config, written: &written, status };
    if config.spec.output.writes(OutputFormat::GrafanaDatasources) {
        return Ok(reader.of_grafana(data.get(&*grafana_key(config)).map_or("", |text| &**text)));
    }
    let tools: Result<Vec<ListedTool>, String> = match discovered(data) {
        Some(discovered) => discovered
            .map(|tool| {
                let key = service_of(&tool.endpoint, cluster_domain);
                key.and_then(|key| reader.of_json(key, &tool)).ok_or(tool.name)
            })
            .collect(),
        None if !data.keys().any(|key| is_of_a_format(key)) => Ok(Vec::new()),
        None => services(config, cluster_domain, data, base)
            .into_iter()
            .chain(planned_before(config))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|key| reader.of_status(&key).ok_or_else(|| key.to_string()))
            .collect(),
    };
    Ok((tools?, BTreeSet::new()))
}

/// The Services of the tools in the status, if the format does not contain every tool of the plan. These tools were
/// planned, so they do not enter anew.
pub fn planned_before(config: &ToolsetConfig) -> impl Iterator<Item = ServiceKey> {
    let status = config.status.as_ref().filter(|_| config.spec.output.trusted_only().is_some());
    let tools = status.into_iter().flat_map(|status| &status.tools);
    tools.filter(|tool| !tool.service.is_empty()).map(key_of)
}

/// The entries of an output that have something from Pods or from an identity probe, by the note in the status, and the
/// Services that an identity probe has denied. The status lists only some of the rejected Services.
pub fn remembered(
    config: &ToolsetConfig,
    cluster_domain: &str,
    data: &Data,
    base: Option<&str>,
) -> BTreeMap<ServiceKey, Remembered> {
    let status = config.status.iter().flat_map(|status| &status.tools);
    let has_parts =
        |tool: &&ToolStatus| Parts::listed(&tool.from_pods).is_any() || Parts::listed(&tool.from_identity).is_any();
    let noted: BTreeMap<ServiceKey, &ToolStatus> = status.filter(has_parts).map(|tool| (key_of(tool), tool)).collect();
    let denied = denied(config);
    if noted.is_empty() && denied.is_empty() {
        return BTreeMap::new();
    }
    // The status can be older than the output.
    let written: BTreeMap<ServiceKey, Endpoint> = discovered(data)
        .into_iter()
        .flatten()
        .filter_map(|tool| Some((service_of(&tool.endpoint, cluster_domain)?, Endpoint::of_url(&tool.endpoint).ok()?)))
        .collect();
    let listed = services(config, cluster_domain, data, base);
    let of = |(key, tool): (ServiceKey, &ToolStatus)| {
        let endpoint = written.get(&key).cloned().or_else(|| Endpoint::of_url(&tool.endpoint).ok())?;
        let product = product(&tool.type_)?;
        let (from_pods, from_identity) = (Parts::listed(&tool.from_pods), Parts::listed(&tool.from_identity));
        let confidence = confidence(&tool.confidence);
        Some((
            key,
            Remembered::Tool(RememberedTool {
                product,
                endpoint,
                confidence,
                from_pods,
                from_identity,
                identity: tool.identity.clone(),
            }),
        ))
    };
    let tools = noted.into_iter().filter(|(key, _)| listed.contains(key)).filter_map(of);
    // What is in the output has been confirmed since the status was written.
    denied.into_iter().filter(|(key, _)| !listed.contains(key)).chain(tools).collect()
}

/// The Services in the status that an identity probe has denied.
fn denied(config: &ToolsetConfig) -> BTreeMap<ServiceKey, Remembered> {
    let rejected = config.status.iter().flat_map(|status| &status.rejected);
    let denied = rejected.filter(|rejected| rejected.reason == ServiceReason::NotTheProduct.as_str());
    let of = |rejected: &RejectedStatus| {
        let denial = Denial { product: product(&rejected.type_)?, message: rejected.message.clone() };
        Some((ServiceKey::new(rejected.namespace.as_str(), rejected.service.as_str()), Remembered::Denied(denial)))
    };
    denied.filter_map(of).collect()
}

/// The product with this name. `None` for a custom type.
fn product(name: &str) -> Option<Product> {
    Product::ALL.iter().copied().find(|product| product.as_str() == name)
}

/// What identity probes have shown of the Services in the status, for commands that send no probes.
pub fn identified(config: &ToolsetConfig) -> BTreeMap<ServiceKey, Remembered> {
    let of = |tool: &ToolStatus| {
        let from_identity = Parts::listed(&tool.from_identity);
        let product = product(&tool.type_)?;
        let remembered = RememberedTool {
            product,
            endpoint: Endpoint::of_url(&tool.endpoint).ok()?,
            confidence: confidence(&tool.confidence),
            from_pods: Parts::NOTHING,
            from_identity,
            identity: tool.identity.clone(),
        };
        from_identity.is_any().then(|| (key_of(tool), Remembered::Tool(remembered)))
    };
    denied(config).into_iter().chain(config.status.iter().flat_map(|status| &status.tools).filter_map(of)).collect()
}

/// What the formats have written, except `toolset.json`, in the order of the keys.
fn texts(data: &Data) -> impl Iterator<Item = &str> {
    let others = data.iter().filter(|(key, _)| is_of_a_format(key) && *key != TOOLSET_JSON_KEY);
    others.map(|(_, text)| &**text)
}

/// The discovered tools in `toolset.json`. `None` if that file is not there or malformed. Then the tools are read from
/// the other file, so that it can still change.
fn discovered(data: &Data) -> Option<impl Iterator<Item = JsonTool>> {
    let file: File = serde_json::from_str(data.get(TOOLSET_JSON_KEY)?).ok()?;
    Some(file.tools.into_iter().filter(|tool| !tool.metadata.source.is_empty()))
}

struct Reader<'a> {
    config: &'a ToolsetConfig,
    /// What the formats have written.
    written: &'a str,
    status: BTreeMap<ServiceKey, &'a ToolStatus>,
}

impl Reader<'_> {
    fn of_json(&self, key: ServiceKey, tool: &JsonTool) -> Option<ListedTool> {
        let endpoint = Endpoint::of_url(&tool.endpoint).ok()?;
        let trust = Trust::ALL.iter().copied().find(|trust| trust.as_str() == tool.metadata.trust)?;
        let health_path = tool.metadata.health_endpoint.strip_prefix(&endpoint.origin()).map(str::to_owned);
        Some(ListedTool {
            types: self.types(&key, &tool.type_),
            trust,
            confidence: confidence(&tool.metadata.confidence),
            source: tool.metadata.source.clone(),
            chosen_name: chosen_name(&key, &tool.name, trust),
            health_path: health_path.filter(|path| checked::path(path).is_ok()),
            place: self.place(&endpoint),
            endpoint,
            key,
        })
    }

    /// The tools of a file for Grafana. The status lists not all of them, and the file does not tell all types apart. The
    /// status also has tools that are no data sources.
    fn of_grafana(&self, text: &str) -> (Vec<ListedTool>, BTreeSet<ServiceKey>) {
        let (mut tools, mut unread) = (Vec::new(), BTreeSet::new());
        for source in grafana_datasources::listed(text) {
            match self.of_status(&source.key).or_else(|| self.of_source(&source)) {
                Some(tool) => tools.push(tool),
                None => _ = unread.insert(source.key),
            }
        }
        let known: BTreeSet<ServiceKey> = tools.iter().map(|tool| tool.key.clone()).collect();
        let others = planned_before(self.config).filter(|key| !known.contains(key) && !unread.contains(key));
        tools.extend(others.filter_map(|key| self.of_status(&key)));
        (tools, unread)
    }

    fn of_source(&self, source: &ListedSource) -> Option<ListedTool> {
        // If one of these types has a single instance, nothing says whether this is one of them.
        let is_single = |product: &Product| self.config.spec.detector(*product).instances == Instances::Single;
        if source.products.is_empty() || source.products.len() > 1 && source.products.iter().any(is_single) {
            return None;
        }
        let endpoint = Endpoint::of_url(&source.url).ok()?;
        Some(ListedTool {
            types: source.products.iter().map(|product| (*product, None)).collect(),
            trust: Trust::Trusted,
            confidence: Confidence::High,
            source: String::new(),
            chosen_name: None,
            health_path: None,
            place: self.place(&endpoint),
            endpoint,
            key: source.key.clone(),
        })
    }

    fn of_status(&self, key: &ServiceKey) -> Option<ListedTool> {
        let tool = self.status.get(key)?;
        let endpoint = Endpoint::of_url(&tool.endpoint).ok()?;
        let tenants = format!("{TENANT_PROVIDED} by namespace {}. {} ({key})", key.namespace, tool.type_);
        let trust = if self.written.contains(&tenants) { Trust::Tenant } else { Trust::Trusted };
        Some(ListedTool {
            types: self.types(key, &tool.type_),
            trust,
            confidence: confidence(&tool.confidence),
            source: tool.source.clone(),
            chosen_name: chosen_name(key, &tool.name, trust),
            health_path: None,
            place: self.place(&endpoint),
            endpoint,
            key: key.clone(),
        })
    }

    /// What a tool with this type is. The status spells products as the spec does. In `toolset.json`, a product and a
    /// custom type of the same name are spelt alike, but only a signature can claim such a type.
    fn types(&self, key: &ServiceKey, written: &str) -> Vec<(Product, Option<String>)> {
        let custom = |name: &str| (Product::Custom, Some(name.to_owned()));
        let stated = self.status.get(key).map(|tool| tool.type_.as_str());
        if let Some(stated) = stated.filter(|stated| stated.eq_ignore_ascii_case(written)) {
            let product = Product::ALL.iter().copied().find(|product| product.as_str() == stated);
            return vec![product.map_or_else(|| custom(stated), |product| (product, None))];
        }
        let by_signature =
            self.config.spec.signatures.iter().any(|signature| signature.custom_type.as_deref() == Some(written));
        match written.parse::<Product>() {
            Ok(Product::Custom) | Err(()) => vec![custom(written)],
            Ok(product) if by_signature => vec![(product, None), custom(written)],
            Ok(product) => vec![(product, None)],
        }
    }

    fn place(&self, endpoint: &Endpoint) -> usize {
        self.written.find(&endpoint.origin()).unwrap_or(usize::MAX)
    }
}

/// The Service of a URL under this domain.
pub(super) fn service_of(url: &str, cluster_domain: &str) -> Option<ServiceKey> {
    let endpoint = Endpoint::of_url(url).ok()?;
    let own = endpoint.host.strip_suffix(cluster_domain)?.strip_suffix(".svc.")?;
    own.split_once('.').map(|(name, namespace)| ServiceKey::new(namespace, name))
}

fn key_of(tool: &ToolStatus) -> ServiceKey {
    ServiceKey::new(tool.namespace.as_str(), tool.service.as_str())
}

fn confidence(text: &str) -> Confidence {
    [Confidence::Low, Confidence::Medium].into_iter().find(|one| one.to_string() == text).unwrap_or(Confidence::High)
}

/// The name that the owner chose, if the written name is not made from the Service's.
fn chosen_name(key: &ServiceKey, written: &str, trust: Trust) -> Option<String> {
    let suffix = format!("-{}", key.namespace);
    let name = if trust == Trust::Tenant { written.strip_suffix(&suffix)? } else { written };
    let by_service = name == &*key.name || name.starts_with(&format!("{}-", key.name));
    (!by_service && checked::is_tool_name(name)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{DEFAULT_CLUSTER_DOMAIN, fixtures::trusting_monitoring};

    #[test]
    fn only_the_entries_of_the_output_that_the_status_notes_are_remembered() {
        let tool = |service: &str, from_pods: &[&str]| {
            json!({
                "name": service, "type": "Grafana", "namespace": "monitoring", "service": service, "source": "platform",
                "endpoint": format!("http://{service}.monitoring.svc.cluster.local:80/old"), "confidence": "Medium",
                "fromPods": from_pods,
            })
        };
        let mut config = trusting_monitoring();
        let tools = json!([tool("a", &["Path"]), tool("b", &[]), tool("gone", &["Path"])]);
        config.status = Some(serde_json::from_value(json!({"tools": tools})).unwrap());
        let listed = |service: &str| {
            let endpoint = format!("http://{service}.monitoring.svc.cluster.local:80/new");
            json!({"name": service, "type": "grafana", "endpoint": endpoint, "metadata": {"source": "platform"}})
        };
        let text = json!({"tools": [listed("a"), listed("b")]}).to_string();
        let data = Data::from([(TOOLSET_JSON_KEY.to_owned(), text.into())]);
        let remembered = remembered(&config, DEFAULT_CLUSTER_DOMAIN, &data, None);
        let [(key, entry)] = &remembered.into_iter().collect::<Vec<_>>()[..] else { panic!("one entry") };
        let entry = entry.tool().unwrap();
        assert_eq!((&*key.name, &*entry.endpoint.path), ("a", "/new"), "the output is newer than the status");
        assert_eq!(entry.from_pods, Parts { path: true, ..Parts::NOTHING });
        assert_eq!(entry.confidence, Confidence::Medium);
    }
}

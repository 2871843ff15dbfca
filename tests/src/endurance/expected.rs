//! The plan from scratch: what each output must be, from the state of the API server and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, Result};
use crd_types::ToolsetConfig;
use detectors::ServiceKey;
use futures::future::try_join_all;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource, ResourceExt as _,
    api::{DynamicObject, ListParams},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toolset::{
    DEFAULT_CLUSTER_DOMAIN, HealthStage, Index, Manifest,
    config_map::LEGACY_OVERRIDES_KEY,
    convert,
    health::{HealthTime, in_output},
    pipeline::{self, HealthInput, Input},
    render::{Base, HOLMESGPT_KEY, TOOLSET_JSON_KEY},
};

use super::places::{ConfigPlace, Places};
use crate::harness::{condition, toolset_configs};

/// Every wait and every grace period is over then.
const LATER: Duration = Duration::from_secs(3600);

/// The state of the API server.
pub(super) struct Snapshot {
    index: Index,
    configs: BTreeMap<(String, String), DynamicObject>,
    config_maps: BTreeMap<(String, String), ConfigMap>,
}

/// What an output must be.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The ConfigMap, as it is applied.
    object: Value,
    /// The Services in each data key.
    pub(super) services: BTreeMap<&'static str, BTreeSet<ServiceKey>>,
    /// How many tools there are.
    tools: usize,
}

impl Snapshot {
    /// Reads what replicas see that are restricted to these namespaces, or everything.
    pub(super) async fn read(client: &Client, places: &Places, watched: Option<&[String]>) -> Result<Self> {
        let mut index = Index::default();
        for service in list_in::<Service>(client, watched).await? {
            index.apply_service(convert::service(&service.metadata, service.spec.as_ref()));
        }
        for slice in list_in::<EndpointSlice>(client, watched).await? {
            let endpoints = slice.endpoints.iter().map(Into::into);
            convert::slice(&slice.metadata, endpoints).map(|view| index.apply_slice(view));
        }
        for namespace in Api::<Namespace>::all(client.clone()).list(&ListParams::default()).await? {
            if watched.is_none_or(|watched| watched.contains(&namespace.name_any())) {
                index.apply_namespace(convert::namespace(&namespace.metadata));
            }
        }
        let (mut configs, mut config_maps) = (BTreeMap::new(), BTreeMap::new());
        for namespace in &places.agents {
            for config in toolset_configs(client, namespace).list(&ListParams::default()).await? {
                configs.insert((namespace.clone(), config.name_any()), config);
            }
            let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
            for config_map in api.list(&ListParams::default()).await? {
                config_maps.insert((namespace.clone(), config_map.name_any()), config_map);
            }
        }
        Ok(Self { index, configs, config_maps })
    }

    /// How many Services there are.
    pub(super) fn services(&self) -> usize {
        self.index.services_len()
    }

    /// The version of each `ToolsetConfig`.
    pub(super) fn config_versions(&self) -> Vec<String> {
        self.configs.values().filter_map(kube::ResourceExt::resource_version).collect()
    }

    /// What the output of a `ToolsetConfig` must be once nothing changes any more.
    pub(super) fn expected(&self, place: &ConfigPlace) -> Result<Expected> {
        let config: ToolsetConfig = self.config(place)?.clone().try_parse()?;
        let data = |name: &str, key: &str| {
            let config_map = self.config_maps.get(&(place.namespace.clone(), name.to_owned()))?;
            config_map.data.as_ref()?.get(key)
        };
        let base = config.spec.output.base.as_ref();
        let base = base.map(|base| data(&base.config_map_name, &base.key).context("there is no base")).transpose()?;
        let mut stage = HealthStage::default();
        let mut plan = |now: Duration| {
            pipeline::run(Input {
                config: &config,
                cluster_domain: DEFAULT_CLUSTER_DOMAIN,
                index: &self.index,
                admits: None,
                remembered: None,
                // Nothing is in the output, so a tool without endpoints is left out, as after its grace period.
                health: HealthInput::Observed {
                    stage: &mut stage,
                    time: &|_| HealthTime { now, ..HealthTime::default() },
                    in_output: &BTreeSet::new,
                    probed: None,
                },
                legacy_overrides: data(&place.config_map, LEGACY_OVERRIDES_KEY).map(String::as_str),
                base: base.map(|text| Base::Text(text)),
                previous: None,
            })
        };
        // A Tenant's tool enters only after its EndpointSlices have been the same for a while.
        plan(Duration::ZERO);
        let outcome = plan(LATER);
        let manifest = Manifest::new(&config, &outcome.rendered);
        let listed = |key: &'static str| Some((key, in_output([&**manifest.data().get(key)?], DEFAULT_CLUSTER_DOMAIN)));
        let services = [HOLMESGPT_KEY, TOOLSET_JSON_KEY].into_iter().filter_map(listed);
        Ok(Expected {
            object: serde_json::from_slice(&manifest.to_json(None))?,
            services: services.collect(),
            tools: outcome.plan.tools.len(),
        })
    }

    /// What is wrong with the output and the status of a `ToolsetConfig`, if anything is.
    pub(super) fn problem(&self, place: &ConfigPlace, expected: &Expected) -> Result<Option<String>> {
        let Some(config_map) = self.config_maps.get(&(place.namespace.clone(), place.config_map.clone())) else {
            return Ok(Some("there is no ConfigMap".to_owned()));
        };
        if let Some(problem) = difference(config_map, expected)? {
            return Ok(Some(problem));
        }
        let config = self.config(place)?;
        let field = |path: &str| config.data.pointer(path).and_then(Value::as_i64);
        Ok(if condition(config, "Ready") != Some(("True", "AsExpected")) {
            Some(format!("the status says {:?}", condition(config, "Ready")))
        } else if field("/status/observedGeneration") != config.metadata.generation {
            Some("the status is that of an earlier spec".to_owned())
        } else if field("/status/summary/tools") != i64::try_from(expected.tools).ok() {
            let tools = field("/status/summary/tools");
            Some(format!("the status counts {tools:?} tools and not {}", expected.tools))
        } else {
            None
        })
    }

    fn config(&self, place: &ConfigPlace) -> Result<&DynamicObject> {
        let config = self.configs.get(&(place.namespace.clone(), place.name.clone()));
        config.with_context(|| format!("there is no ToolsetConfig {}/{}", place.namespace, place.name))
    }
}

#[cfg(test)]
impl Expected {
    /// An output of one data key.
    pub(super) fn listing(key: &'static str, services: impl IntoIterator<Item = ServiceKey>) -> Self {
        let services = BTreeMap::from([(key, services.into_iter().collect())]);
        Self { object: Value::Null, services, tools: 0 }
    }
}

/// The first difference between a ConfigMap and what it must be.
fn difference(config_map: &ConfigMap, expected: &Expected) -> Result<Option<String>> {
    let actual = serde_json::to_value(config_map)?;
    for key in [HOLMESGPT_KEY, TOOLSET_JSON_KEY] {
        let (is, must) = (actual["data"][key].as_str(), expected.object["data"][key].as_str());
        if is != must {
            let services = is.map(|text| in_output([text], DEFAULT_CLUSTER_DOMAIN)).unwrap_or_default();
            let planned = expected.services.get(key).cloned().unwrap_or_default();
            let names = |from: &BTreeSet<ServiceKey>, without: &BTreeSet<ServiceKey>| -> Vec<String> {
                from.difference(without).map(ToString::to_string).collect()
            };
            let (missing, extra) = (names(&planned, &services), names(&services, &planned));
            let line = first_difference(is.unwrap_or_default(), must.unwrap_or_default());
            return Ok(Some(format!("{key} lacks {missing:?} and has {extra:?} too; {line}")));
        }
    }
    for field in ["labels", "annotations"] {
        for (key, must) in expected.object["metadata"][field].as_object().into_iter().flatten() {
            let is = &actual["metadata"][field][key];
            if is != must {
                return Ok(Some(format!("{field}: {key} is {is} and not {must}")));
            }
        }
    }
    let owners = |object: &Value| object["metadata"]["ownerReferences"].clone();
    let (is, must) = (owners(&actual), owners(&expected.object));
    Ok((is != must).then(|| format!("the owner is {is} and not {must}")))
}

/// The first line that two texts do not share.
fn first_difference(is: &str, must: &str) -> String {
    let pair = is.lines().zip(must.lines()).find(|(is, must)| is != must);
    match pair {
        Some((is, must)) => format!("a line is {is:?} and not {must:?}"),
        None => format!("{} lines and not {}", is.lines().count(), must.lines().count()),
    }
}

async fn list_in<K>(client: &Client, namespaces: Option<&[String]>) -> Result<Vec<K>>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let apis: Vec<Api<K>> = match namespaces {
        None => vec![Api::all(client.clone())],
        Some(namespaces) => namespaces.iter().map(|one| Api::namespaced(client.clone(), one)).collect(),
    };
    let params = ListParams::default();
    let lists = try_join_all(apis.iter().map(|api| api.list(&params))).await?;
    Ok(lists.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expected() -> Expected {
        let object = json!({
            "data": {"toolset.json": "a\nb"},
            "metadata": {"labels": {"l": "1"}, "annotations": {"a": "2"}, "ownerReferences": [{
                "apiVersion": "v", "kind": "k", "name": "n", "uid": "u",
            }]},
        });
        Expected { object, services: BTreeMap::new(), tools: 0 }
    }

    fn found(change: impl FnOnce(&mut Value)) -> Option<String> {
        let mut object = expected().object;
        change(&mut object);
        difference(&serde_json::from_value(object).unwrap(), &expected()).unwrap()
    }

    #[test]
    fn every_difference_is_found_and_what_belongs_to_others_is_none() {
        assert_eq!(found(|_| ()), None);
        assert_eq!(found(|object| object["data"]["notes"] = json!("x")), None);
        assert_eq!(found(|object| object["metadata"]["labels"]["other"] = json!("x")), None);
        for (change, says) in [
            (("/data/toolset.json", json!("a\nc")), r#"a line is "c" and not "b""#),
            (("/metadata/labels/l", json!("2")), r#"labels: l is "2" and not "1""#),
            (("/metadata/annotations/a", json!("3")), r#"annotations: a is "3" and not "2""#),
            (("/metadata/ownerReferences", json!([])), "the owner is"),
        ] {
            let problem = found(|object| *object.pointer_mut(change.0).unwrap() = change.1.clone()).unwrap();
            assert!(problem.contains(says), "{problem}");
        }
        let extra = found(|object| object["data"]["custom_toolset.yaml"] = json!("x")).unwrap();
        assert!(extra.starts_with("custom_toolset.yaml"), "{extra}");
        let missing = found(|object| object["data"] = json!({})).unwrap();
        assert!(missing.starts_with("toolset.json"), "{missing}");
    }
}

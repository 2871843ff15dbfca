//! `spec.output`: the ConfigMap that the operator writes.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{closed::closed, patterns};

/// Output specifies the ConfigMap that the operator writes. The ConfigMap is in the namespace of the ToolsetConfig.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "!has(self.base) || self.base.configMapName != self.configMapName",
        "base.configMapName must differ from configMapName, because the operator writes to the ConfigMap configMapName"
    ),
    validation = (
        "self.formats.size() == 1 || !('Environment' in self.formats || 'GrafanaDatasources' in self.formats)",
        "the formats Environment and GrafanaDatasources cannot be combined with another format; create a separate ToolsetConfig for each of them"
    )
)]
pub struct Output {
    /// configMapName is the name of the ConfigMap. It is immutable. To use another name, create another ToolsetConfig.
    #[serde(default = "config_map_name")]
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::SUBDOMAIN))]
    pub config_map_name: String,
    /// formats lists the formats that the operator writes. HolmesGPT is the key custom_toolset.yaml, which HolmesGPT
    /// loads. ToolsetJSON is the key toolset.json, in the format of the Dynamic Toolset Service, the predecessor of
    /// this operator. Environment is a set of environment variables such as PROMETHEUS_URL, for use with envFrom.
    /// GrafanaDatasources is a provisioning file for Grafana data sources. Environment and GrafanaDatasources cannot be
    /// combined with another format. If you remove a format, the operator removes its keys.
    #[serde(default = "formats")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub formats: Vec<OutputFormat>,
    /// labels lists additional labels for the ConfigMap. They cannot replace the labels that identify the operator's
    /// ConfigMap. With the format GrafanaDatasources, the operator also sets grafana_datasource: "1", which the sidecar
    /// of the Grafana chart selects, unless labels contains this key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "labels")]
    pub labels: BTreeMap<String, String>,
    /// base refers to a file with your own toolsets. The operator merges them into the file for HolmesGPT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<OutputBase>,
    /// conflictPolicy specifies what happens if the ConfigMap already exists and belongs to another owner. Fail leaves
    /// the ConfigMap unchanged and reports the conflict in the status. Adopt takes over the ConfigMap and keeps its
    /// other keys.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
    /// deletionPolicy specifies what happens to the ConfigMap when the ToolsetConfig is deleted. Delete deletes the
    /// ConfigMap too. Orphan keeps it.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            config_map_name: config_map_name(),
            formats: formats(),
            labels: BTreeMap::new(),
            base: None,
            conflict_policy: ConflictPolicy::default(),
            deletion_policy: DeletionPolicy::default(),
        }
    }
}

impl Output {
    /// Whether a format is written.
    pub fn writes(&self, format: OutputFormat) -> bool {
        self.formats.contains(&format)
    }

    /// The format that contains only tools of Trusted sources, if such a format is written.
    pub fn trusted_only(&self) -> Option<OutputFormat> {
        let only = [OutputFormat::Environment, OutputFormat::GrafanaDatasources];
        self.formats.iter().copied().find(|format| only.contains(format))
    }

    /// The base, if it is used. Only the file for HolmesGPT contains it.
    pub fn used_base(&self) -> Option<&OutputBase> {
        self.base.as_ref().filter(|_| self.writes(OutputFormat::HolmesGPT))
    }

    /// The names of the ConfigMaps that are written or read.
    pub fn config_map_names(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.config_map_name).chain(self.used_base().map(|base| &base.config_map_name))
    }
}

fn config_map_name() -> String {
    "kubernaut-toolset-config".to_owned()
}

fn formats() -> Vec<OutputFormat> {
    vec![OutputFormat::HolmesGPT, OutputFormat::ToolsetJSON]
}

fn labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "type": "string",
            "maxLength": 63,
            "pattern": patterns::LABEL_VALUE,
        },
        "x-kubernetes-validations": [
            {"rule": patterns::LABEL_KEYS.0, "message": patterns::LABEL_KEYS.1},
        ],
    })
}

closed! {
    /// The formats in which the operator writes the tools.
    pub enum OutputFormat {
        /// The key `custom_toolset.yaml`, which HolmesGPT loads.
        HolmesGPT,
        /// The key `toolset.json`, in the format of the Dynamic Toolset Service, the predecessor of this operator.
        ToolsetJSON,
        /// Environment variables, for `envFrom`.
        Environment,
        /// A provisioning file for the data sources of Grafana.
        GrafanaDatasources,
    }
}

/// OutputBase refers to a key of a ConfigMap that contains your own toolsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputBase {
    /// configMapName is the name of the ConfigMap. The ConfigMap must be in the namespace of the ToolsetConfig.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::SUBDOMAIN))]
    pub config_map_name: String,
    /// key is the key of the ConfigMap that contains the file.
    #[serde(default = "base_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::CONFIG_MAP_KEY))]
    pub key: String,
}

fn base_key() -> String {
    "custom_toolset.yaml".to_owned()
}

closed! {
    /// What happens if the ConfigMap already exists and belongs to another owner.
    #[derive(Default)]
    pub enum ConflictPolicy {
        /// The operator leaves it unchanged and reports the conflict.
        #[default]
        Fail,
        /// The operator takes it over.
        Adopt,
    }
}

closed! {
    /// What happens to the ConfigMap when the ToolsetConfig is deleted.
    #[derive(Default)]
    pub enum DeletionPolicy {
        /// The ConfigMap is deleted too.
        #[default]
        Delete,
        /// The ConfigMap stays.
        Orphan,
    }
}

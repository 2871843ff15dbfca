//! `spec.output`: the ConfigMap.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, patterns};

/// The ConfigMap that is written, in the ToolsetConfig's own namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "!has(self.base) || self.base.configMapName != self.configMapName",
    "base must be another ConfigMap than the one that is written"
))]
pub struct Output {
    /// Its name. Cannot be changed afterwards: create another ToolsetConfig instead.
    #[serde(default = "config_map_name")]
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::SUBDOMAIN))]
    pub config_map_name: String,
    /// HolmesGPT: key custom_toolset.yaml, as HolmesGPT loads it. ToolsetJSON: key toolset.json, as readers of the predecessor
    /// know it. Removing a format removes its key.
    #[serde(default = "formats")]
    #[schemars(length(min = 1, max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub formats: Vec<OutputFormat>,
    /// A file of your own toolsets, laid under what is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<OutputBase>,
    /// When a ConfigMap of that name exists and belongs to somebody else. Fail: it is left alone, and the status says so.
    /// Adopt: it is taken over; its other keys stay.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
    /// When the ToolsetConfig is deleted. Delete: the ConfigMap goes too. Orphan: it stays.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

impl Default for Output {
    fn default() -> Self {
        Self {
            config_map_name: config_map_name(),
            formats: formats(),
            base: None,
            conflict_policy: ConflictPolicy::default(),
            deletion_policy: DeletionPolicy::default(),
        }
    }
}

fn config_map_name() -> String {
    "kubernaut-toolset-config".to_owned()
}

fn formats() -> Vec<OutputFormat> {
    OutputFormat::ALL.to_vec()
}

closed! {
    /// A form in which the tools are written.
    pub enum OutputFormat {
        /// `custom_toolset.yaml`, as HolmesGPT loads it.
        HolmesGPT,
        /// `toolset.json`, as readers of the predecessor know it.
        ToolsetJSON,
    }
}

/// A file of the user's own toolsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OutputBase {
    /// The ConfigMap that holds it, in the same namespace.
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::SUBDOMAIN))]
    pub config_map_name: String,
    /// The key that holds it.
    #[serde(default = "base_key")]
    #[schemars(length(min = 1, max = 253), regex(pattern = patterns::CONFIG_MAP_KEY))]
    pub key: String,
}

fn base_key() -> String {
    "custom_toolset.yaml".to_owned()
}

closed! {
    /// What to do when the ConfigMap exists and is somebody else's.
    #[derive(Default)]
    pub enum ConflictPolicy {
        /// Leave it alone and say so.
        #[default]
        Fail,
        /// Take it over.
        Adopt,
    }
}

closed! {
    /// What becomes of the ConfigMap when the ToolsetConfig is deleted.
    #[derive(Default)]
    pub enum DeletionPolicy {
        /// It goes too.
        #[default]
        Delete,
        /// It stays.
        Orphan,
    }
}

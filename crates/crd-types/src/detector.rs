//! `spec.detectors`: which products are looked for.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    closed::{ConfidenceSchema, ProductSchema, closed},
    patterns,
};
use detectors::{Confidence, Product};

/// How one product is looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectorConfig {
    /// The product. One that is not listed is Enabled, except MCP, which is Disabled.
    #[serde(rename = "type")]
    #[schemars(with = "ProductSchema")]
    pub type_: Product,
    /// Disabled: nothing of this type becomes a tool.
    #[serde(default)]
    pub state: State,
    /// All: every instance found. Single: only the best ranked.
    #[serde(default)]
    pub instances: Instances,
    /// How much evidence a Service needs. High: labels state product and role, and the port fits. Medium: two independent
    /// pieces agree and none contradicts. Low: one piece is enough.
    #[serde(default = "medium")]
    #[schemars(with = "ConfidenceSchema")]
    pub min_confidence: Confidence,
    /// Services that are ranked first, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub preferred: Vec<ServiceRef>,
}

impl DetectorConfig {
    /// What holds for a type that the spec does not list.
    pub fn unlisted(type_: Product) -> Self {
        let state = if type_ == Product::MCP { State::Disabled } else { State::Enabled };
        Self { type_, state, instances: Instances::default(), min_confidence: medium(), preferred: Vec::new() }
    }
}

const fn medium() -> Confidence {
    Confidence::Medium
}

closed! {
    /// Whether something is switched on.
    #[derive(Default)]
    pub enum State {
        /// On.
        #[default]
        Enabled,
        /// Off.
        Disabled,
    }
}

closed! {
    /// How many instances of one product become tools.
    #[derive(Default)]
    pub enum Instances {
        /// Every one.
        #[default]
        All,
        /// The best ranked.
        Single,
    }
}

/// One Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// Its namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
}

//! `spec.detectors`: which products the operator detects.

use detectors::{Confidence, Product};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    closed::{ConfidenceSchema, ProductSchema, closed},
    patterns,
};

/// DetectorConfig specifies how the operator detects one product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DetectorConfig {
    /// type is the product. Products that are not listed are Enabled, except MCP, which is Disabled.
    #[serde(rename = "type")]
    #[schemars(with = "ProductSchema")]
    pub type_: Product,
    /// state enables or disables the detector. Disabled means that no Service of this type becomes a tool.
    #[serde(default)]
    pub state: State,
    /// instances specifies how many instances of the product become tools. All makes every instance a tool. Single
    /// makes only the highest-ranked instance a tool and rejects the others with the reason LostToPreferred.
    #[serde(default)]
    pub instances: Instances,
    /// minConfidence is the minimum confidence for a Service to become a tool. High requires labels that identify the
    /// product and the endpoint role, and a matching port. Medium requires two independent pieces of evidence that
    /// agree, and none that contradicts them. Low requires one piece of evidence.
    #[serde(default = "medium")]
    #[schemars(with = "ConfidenceSchema")]
    pub min_confidence: Confidence,
    /// preferred lists the Services that rank highest, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub preferred: Vec<ServiceRef>,
}

impl DetectorConfig {
    /// The configuration of a type that the spec does not list.
    pub fn unlisted(type_: Product) -> Self {
        let state = if type_ == Product::MCP { State::Disabled } else { State::Enabled };
        Self { type_, state, instances: Instances::default(), min_confidence: medium(), preferred: Vec::new() }
    }
}

const fn medium() -> Confidence {
    Confidence::Medium
}

closed! {
    /// Enables or disables a part of the configuration.
    #[derive(Default)]
    pub enum State {
        /// It is enabled.
        #[default]
        Enabled,
        /// It is disabled.
        Disabled,
    }
}

closed! {
    /// How many instances of a product become tools.
    #[derive(Default)]
    pub enum Instances {
        /// Every instance.
        #[default]
        All,
        /// The highest-ranked instance.
        Single,
    }
}

/// ServiceRef refers to a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceRef {
    /// namespace is the namespace of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub namespace: String,
    /// name is the name of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
}

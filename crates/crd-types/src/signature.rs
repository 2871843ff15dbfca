//! `spec.signatures`: the user's own recognition rules.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{
    closed::{ProductSchema, SchemeSchema},
    patterns,
    selector::label_selector,
};
use detectors::{Product, Scheme};

/// One recognition rule: which Services, what they speak, and on which port.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "has(self.selector) && (has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0 || has(self.selector.matchExpressions) && size(self.selector.matchExpressions) > 0) || has(self.annotations) && size(self.annotations) > 0",
        "say which Services are meant: give a selector that is not empty, or annotations"
    ),
    validation = ("self.type != 'Custom' || has(self.customType)", "type Custom needs a customType"),
    validation = ("self.type == 'Custom' || !has(self.customType)", "customType belongs to type Custom; remove it or set type to Custom"),
    validation = (
        "self.type == 'Custom' || !has(self.instructions)",
        "instructions of a signature belong to type Custom; for a known product use overrides"
    ),
)]
pub struct Signature {
    /// Names this rule. Unique.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// What a matching Service speaks, or Custom with customType.
    #[serde(rename = "type")]
    #[schemars(with = "ProductSchema")]
    pub type_: Product,
    /// With type Custom: your name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = patterns::CUSTOM_TYPE))]
    pub custom_type: Option<String>,
    /// Over the Service's labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<LabelSelector>,
    /// Annotations that the Service must all carry with these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    #[x_kube(validation = (
        "self.all(key, size(key) > 0 && size(key) <= 317)",
        "an annotation's key has 1 to 317 characters; shorten it"
    ))]
    pub annotations: BTreeMap<String, String>,
    /// The port to call, by name or number; the Service must declare it. Without it: the port that the type's own rule
    /// picks, else the Service's only TCP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRef>,
    /// The scheme to call it with. Without it: what the port shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SchemeSchema>")]
    pub scheme: Option<Scheme>,
    /// The path prefix of its API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 129), regex(pattern = patterns::PATH))]
    #[x_kube(validation = patterns::PLAIN_PATH)]
    pub path: Option<String>,
    /// The path that answers when it is healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 129), regex(pattern = patterns::PATH))]
    #[x_kube(validation = patterns::PLAIN_PATH)]
    pub health_path: Option<String>,
    /// With type Custom: what the agent should know to use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    #[x_kube(validation = patterns::TEXT)]
    pub instructions: Option<String>,
}

/// A port of a Service, by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PortRef {
    /// The Service's port number, 1 to 65535.
    Number(i32),
    /// The port's name in the Service.
    Name(String),
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

// By hand: the schema of an untagged enum is not structural, and Kubernetes has a word of its own for this one.
impl JsonSchema for PortRef {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PortRef".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "minimum": 1,
            "maximum": 65535,
            "minLength": 1,
            "maxLength": 63,
            "pattern": patterns::LABEL,
        })
    }
}

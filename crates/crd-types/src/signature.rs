//! `spec.signatures`: recognition rules of the user.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use detectors::{Product, Scheme};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{
    closed::{ProductSchema, SchemeSchema},
    patterns,
    selector::label_selector,
};

/// Signature is a custom recognition rule. It specifies which Services it matches, which product they are, and which
/// port the agent calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = (
        "has(self.selector) && (has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0 || has(self.selector.matchExpressions) && size(self.selector.matchExpressions) > 0) || has(self.annotations) && size(self.annotations) > 0",
        "a signature must not match every Service; set a non-empty selector or annotations"
    ),
    validation = ("self.type != 'Custom' || has(self.customType)", "customType is required when type is Custom; set it to a name for the type"),
    validation = ("self.type == 'Custom' || !has(self.customType)", "customType may only be set when type is Custom; remove customType or set type to Custom"),
    validation = (
        "self.type == 'Custom' || !has(self.instructions)",
        "instructions may only be set when type is Custom; remove instructions and use spec.overrides"
    ),
)]
pub struct Signature {
    /// name identifies this signature. It must be unique.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// type is the product of a matching Service, or Custom together with customType.
    #[serde(rename = "type")]
    #[schemars(with = "ProductSchema")]
    pub type_: Product,
    /// customType is a custom name for the type. Required when type is Custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 32), regex(pattern = patterns::CUSTOM_TYPE))]
    pub custom_type: Option<String>,
    /// selector selects Services by their labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<LabelSelector>,
    /// annotations lists annotations that a Service must have, with exactly these values.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 16, "additionalProperties" = {"type": "string", "maxLength": 256}))]
    #[x_kube(validation = (
        "self.all(key, size(key) > 0 && size(key) <= 317)",
        "annotation keys must have 1 to 317 characters"
    ))]
    pub annotations: BTreeMap<String, String>,
    /// port is the name or the number of the port that the agent calls. The Service must declare it. Defaults to the
    /// port that the product's own rule selects, or else to the only TCP port of the Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<PortRef>,
    /// scheme is the URL scheme. Defaults to the scheme that the port implies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<SchemeSchema>")]
    pub scheme: Option<Scheme>,
    /// path is the path prefix of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 129), regex(pattern = patterns::PATH))]
    #[x_kube(validation = patterns::PLAIN_PATH)]
    pub path: Option<String>,
    /// healthPath is the path of the health check. It is relative to the root of the host, and path is not prepended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 129), regex(pattern = patterns::PATH))]
    #[x_kube(validation = patterns::PLAIN_PATH)]
    pub health_path: Option<String>,
    /// instructions tell the model how to use the tool. Allowed only when type is Custom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    #[x_kube(validation = patterns::TEXT)]
    pub instructions: Option<String>,
}

/// A port of a Service. It is a number or a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PortRef {
    /// The number of the port, 1 to 65535.
    Number(i32),
    /// The name of the port in the Service.
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

// The derived schema of an untagged enum is not structural, so this one uses `x-kubernetes-int-or-string`.
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

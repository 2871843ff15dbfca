//! `spec.evidence`: what the operator reads beside Services to recognise a product.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::detector::State;

/// Evidence specifies what the operator reads beside Services to recognise a product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// pods specifies whether the operator reads the specs of the Pods behind a Service: images, arguments, certain
    /// environment variables and probes. They show the product, its role, its port, scheme and path, and which
    /// authentication it needs. The operator reads only Pods of Services in Trusted sources, because the owner of a
    /// Service also writes its Pods.
    #[serde(default)]
    pub pods: State,
}

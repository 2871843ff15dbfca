//! `spec.evidence`: what the operator reads in addition to Services to recognise a product.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::detector::State;

/// Evidence specifies what the operator reads in addition to Services to recognise a product.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    /// pods specifies whether the operator reads the specs of the Pods behind a Service: images, arguments, selected
    /// environment variables and probes. They show the product, its role, port, scheme and path, and the authentication
    /// that it requires. The operator reads Pods only for Services of Trusted sources, because a tenant controls its
    /// own Pods as well as its Services.
    #[serde(default)]
    pub pods: State,
}

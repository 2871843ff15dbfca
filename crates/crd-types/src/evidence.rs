//! `spec.evidence`: what the operator reads in addition to Services to recognise a product.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, detector::State};

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
    /// identity specifies whether the operator checks with HTTP requests which product a Service is. Probe sends at
    /// most 6 requests to a Pod of the Service, once for each version of the Pods. The operator sends them only to
    /// Services of Trusted sources, and only if the product is not certain or the scheme is assumed. The response can
    /// confirm the product, the scheme and the path, or show that the Service is another product.
    #[serde(default)]
    pub identity: IdentityMode,
}

closed! {
    /// Whether the operator checks with HTTP requests which product a Service is.
    #[derive(Default)]
    pub enum IdentityMode {
        /// The operator sends no requests.
        #[default]
        Disabled,
        /// The operator sends HTTP requests to a Pod of the Service.
        Probe,
    }
}

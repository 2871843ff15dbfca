//! `spec.sources`: where Services are taken from, and how far they are trusted.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, patterns, selector::label_selector};

/// One place to take Services from. The first source that selects a Service decides how far it is trusted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Names this source in the status. Unique.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// Trusted: whoever may create a Service there is believed. Tenant: only Services that opt in by annotation are taken,
    /// and they never look like, outrank or get the credentials of a Trusted one.
    pub trust: Trust,
    /// The namespaces this source covers.
    pub namespaces: NamespaceSelection,
    /// Only Services whose labels match. Without it every Service of the namespaces counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub service_selector: Option<LabelSelector>,
    /// Services that are taken although their addresses are not the cluster's own. Each one is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub allow: Vec<Allowance>,
}

closed! {
    /// How far the Services of a source are believed.
    pub enum Trust {
        /// Whoever may create a Service there is believed.
        Trusted,
        /// Only opted-in Services, rendered apart and without credentials.
        Tenant,
    }
}

/// Which namespaces a source covers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.from != 'Names' || has(self.names)", "list the namespaces in names, or choose another from"),
    validation = ("self.from == 'Names' || !has(self.names)", "names belongs to from: Names; remove names or set from to Names"),
    validation = ("self.from != 'Selector' || has(self.selector)", "give the selector over namespace labels, or choose another from"),
    validation = ("self.from == 'Selector' || !has(self.selector)", "selector belongs to from: Selector; remove selector or set from to Selector"),
    validation = (
        "!has(self.selector) || has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0 || has(self.selector.matchExpressions) && size(self.selector.matchExpressions) > 0",
        "an empty selector would select every namespace; give matchLabels or matchExpressions, or write from: All"
    ),
)]
pub struct NamespaceSelection {
    /// All: every namespace. Same: the ToolsetConfig's own. Names: those listed in names. Selector: those whose labels match.
    pub from: NamespacesFrom,
    /// With from Names: the namespaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63), regex(pattern = patterns::LABEL)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// With from Selector: a label selector over the namespaces' labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<LabelSelector>,
}

closed! {
    /// How a source names its namespaces.
    pub enum NamespacesFrom {
        /// Every namespace.
        All,
        /// The namespace of the ToolsetConfig.
        Same,
        /// Those listed.
        Names,
        /// Those whose labels match.
        Selector,
    }
}

/// One Service whose addresses somebody vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    /// The Service's namespace.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub namespace: String,
    /// The Service's name.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// ExternalName: it points to a name outside. Selectorless: it has no selector. ManualSlices: its EndpointSlices were
    /// made by hand. ExternalIPs: it has external addresses.
    pub kind: AllowanceKind,
}

closed! {
    /// What is allowed of a Service that is otherwise refused.
    pub enum AllowanceKind {
        /// A Service of type ExternalName.
        ExternalName,
        /// A Service without a selector.
        Selectorless,
        /// EndpointSlices that the endpoint slice controller did not make.
        ManualSlices,
        /// A Service with externalIPs.
        ExternalIPs,
    }
}

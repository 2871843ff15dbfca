//! `spec.sources`: which Services the operator considers, and how much it trusts them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{closed::closed, patterns, selector::label_selector};

/// Source selects Services and specifies how much the operator trusts them. If several sources select a Service, the
/// first one applies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// name identifies this source in the status. It must be unique.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// trust specifies how much the operator trusts the Services of this source. Trusted means that everyone who can
    /// create a Service in these namespaces can add tools. Tenant means that a Service becomes a tool only if an
    /// annotation opts it in. A tool from a Tenant source is marked as provided by a tenant, ranks below trusted tools
    /// and never gets credentials.
    pub trust: Trust,
    /// namespaces specifies the namespaces of this source.
    pub namespaces: NamespaceSelection,
    /// serviceSelector selects Services by their labels. If it is not set, the source selects every Service in its
    /// namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub service_selector: Option<LabelSelector>,
    /// allow lists Services that the operator otherwise rejects: Services of type ExternalName, without a selector,
    /// with manually managed EndpointSlices, or with external IPs. Kubernetes cannot verify these addresses, so list
    /// each one explicitly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub allow: Vec<Allowance>,
}

closed! {
    /// How much the operator trusts the Services of a source.
    pub enum Trust {
        /// Everyone who can create a Service in the namespaces of the source can add tools.
        Trusted,
        /// Only Services that opt in become tools. They have their own entries in the output and never get credentials.
        Tenant,
    }
}

/// NamespaceSelection specifies the namespaces of a source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.from != 'Names' || has(self.names)", "names is required when from is Names; list at least one namespace"),
    validation = ("self.from == 'Names' || !has(self.names)", "names may only be set when from is Names; remove names or set from to Names"),
    validation = ("self.from != 'Selector' || has(self.selector)", "selector is required when from is Selector; set it to a label selector that matches namespaces"),
    validation = ("self.from == 'Selector' || !has(self.selector)", "selector may only be set when from is Selector; remove selector or set from to Selector"),
    validation = (
        "!has(self.selector) || has(self.selector.matchLabels) && size(self.selector.matchLabels) > 0 || has(self.selector.matchExpressions) && size(self.selector.matchExpressions) > 0",
        "an empty selector would select every namespace; set matchLabels or matchExpressions, or set from to All"
    ),
)]
pub struct NamespaceSelection {
    /// from specifies how the namespaces are selected. All selects every namespace. Same selects the namespace of the
    /// ToolsetConfig. Names selects the namespaces listed in names. Selector selects the namespaces whose labels match
    /// selector.
    pub from: NamespacesFrom,
    /// names lists the namespaces. Required when from is Names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 64), inner(length(min = 1, max = 63), regex(pattern = patterns::LABEL)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
    /// selector selects namespaces by their labels. Required when from is Selector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "label_selector")]
    pub selector: Option<LabelSelector>,
}

closed! {
    /// How a source selects its namespaces.
    pub enum NamespacesFrom {
        /// Every namespace.
        All,
        /// The namespace of the ToolsetConfig.
        Same,
        /// The namespaces that `names` lists.
        Names,
        /// The namespaces whose labels match `selector`.
        Selector,
    }
}

/// Allowance allows a Service that the operator otherwise rejects. Kubernetes cannot verify the addresses of such a
/// Service, so allow it only if you trust everyone who can change it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    /// namespace is the namespace of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub namespace: String,
    /// name is the name of the Service.
    #[schemars(length(min = 1, max = 63), regex(pattern = patterns::LABEL))]
    pub name: String,
    /// kind specifies what is allowed. ExternalName allows a Service of type ExternalName. Selectorless allows a
    /// Service without a selector. ManualSlices allows EndpointSlices that are not managed by the EndpointSlice
    /// controller. ExternalIPs allows a Service with external IPs.
    pub kind: AllowanceKind,
}

closed! {
    /// What a source allows for a Service that the operator otherwise rejects.
    pub enum AllowanceKind {
        /// A Service of type ExternalName.
        ExternalName,
        /// A Service without a selector.
        Selectorless,
        /// EndpointSlices that the EndpointSlice controller does not manage.
        ManualSlices,
        /// A Service with external IPs.
        ExternalIPs,
    }
}

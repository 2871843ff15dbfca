//! The tools whose health is probed, and the requests for each of them.

use std::collections::BTreeMap;

use crd_types::{ToolsetConfig, Trust};
use detectors::{Product, ServiceKey, probe::health_paths};

use super::limits;
use crate::{
    health::{HealthAsk, Probed},
    select::claim::Origin,
    tool::Tool,
};

/// The most Services of Trusted sources that are probed for one `ToolsetConfig`.
const MAX_TRUSTED: usize = 500;
/// The most Services of Tenant sources that are probed for one `ToolsetConfig`. This is twice the number of tools that
/// Tenants can have, because some of the Services may be unhealthy.
const MAX_TENANTS: usize = 2 * limits::IN_ALL;
/// The most Services of Tenant sources in one namespace that are probed for one `ToolsetConfig`.
const MAX_TENANTS_PER_NAMESPACE: usize = 2 * limits::PER_NAMESPACE;

/// A tool whose health is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthTarget {
    /// The Service of the tool.
    pub key: ServiceKey,
    /// The product of the tool, for the metrics.
    pub product: Product,
    /// The trust of the source.
    pub trust: Trust,
    /// When the Service was created, in seconds since 1970.
    created: i64,
    /// The requests, or why there are none.
    pub ask: Result<HealthAsk, NoTarget>,
}

/// Why a tool is not probed, whatever its addresses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTarget {
    /// The type of the tool has no health path, and no annotation or signature sets one.
    NoPath,
    /// Too many Services are probed.
    TooMany,
}

impl NoTarget {
    /// The reason as text that follows "because".
    const fn as_str(self) -> &'static str {
        match self {
            Self::NoPath => {
                "its type has no health path; set the annotation kubernaut.io/toolset-health-path, or healthPath in a \
                 signature"
            }
            Self::TooMany => "the maximum number of probed Services is reached; let the sources select fewer Services",
        }
    }
}

impl From<NoTarget> for Probed {
    fn from(why: NoTarget) -> Self {
        match why {
            NoTarget::NoPath => Self::NotAllowed { why: why.as_str().into() },
            // Otherwise a Service beyond the limit would enter the output without a probe.
            NoTarget::TooMany => Self::Pending { why: Some(why.as_str().into()) },
        }
    }
}

impl HealthTarget {
    /// A target for a Service that is not a tool of a plan.
    pub fn new(key: ServiceKey, product: Product, trust: Trust, ask: Result<HealthAsk, NoTarget>) -> Self {
        Self { key, product, trust, created: 0, ask }
    }

    /// The target of a tool. `None` for a tool without a Service.
    ///
    /// A health path that is set replaces that of the product. In a Tenant source, an annotation can set only a path
    /// below the path of the endpoint. A signature can set any path.
    pub(super) fn of(config: &ToolsetConfig, tool: &Tool) -> Option<Self> {
        let endpoint = &tool.endpoint;
        let is_below = |path: &str| {
            let rest = path.strip_prefix(endpoint.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let is_of_spec = || {
            let mut signatures = config.spec.signatures.iter();
            let of_tool = signatures.find(|one| tool.origin == Some(Origin::Signature(one.name.clone())));
            of_tool.is_some_and(|signature| signature.health_path.is_some())
        };
        let counts = |path: &String| tool.trust == Trust::Trusted || is_of_spec() || is_below(path);
        let stated = tool.health_path.clone().filter(counts);
        // A GET request to an MCP server opens a stream.
        let stated = stated.filter(|_| tool.product != Product::MCP);
        let paths = stated.map_or_else(|| health_paths(tool.product, &endpoint.path), |path| vec![path]);
        let ask = HealthAsk { scheme: endpoint.scheme, port: endpoint.port, paths };
        let ask = if ask.paths.is_empty() { Err(NoTarget::NoPath) } else { Ok(ask) };
        Some(Self { key: tool.key.clone()?, product: tool.product, trust: tool.trust, created: tool.created, ask })
    }

    /// Limits the number of probed Services. Older Services keep their places, so new ones do not displace them.
    ///
    /// Services with a serving endpoint come first. Those without one cannot be tools, so they take only places that are
    /// left.
    pub(super) fn limit(targets: &mut [Self], is_serving: impl Fn(&ServiceKey) -> bool) {
        targets
            .sort_by_cached_key(|target| (target.trust, !is_serving(&target.key), target.created, target.key.clone()));
        let (mut trusted, mut tenants) = (0, 0);
        let mut of_namespace: BTreeMap<String, usize> = BTreeMap::new();
        for target in targets.iter_mut().filter(|target| target.ask.is_ok()) {
            let has_room = match target.trust {
                Trust::Trusted => {
                    trusted += 1;
                    trusted <= MAX_TRUSTED
                }
                Trust::Tenant => {
                    let count = of_namespace.entry(target.key.namespace.to_string()).or_default();
                    let has_room = *count < MAX_TENANTS_PER_NAMESPACE && tenants < MAX_TENANTS;
                    *count += usize::from(has_room);
                    tenants += usize::from(has_room);
                    has_room
                }
            };
            if !has_room {
                target.ask = Err(NoTarget::TooMany);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use detectors::ServiceView;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        DEFAULT_CLUSTER_DOMAIN, SliceView,
        fixtures::{annotated, config, grafana, index, slice},
        pipeline,
    };

    /// The targets of a plan with these Services of a Tenant source.
    fn targets(services: &[(&str, i64)], annotations: &[(&str, &str)]) -> Vec<HealthTarget> {
        targets_with(&json!([]), services, annotations)
    }

    /// The targets of a plan with these Services and signatures.
    fn targets_with(signatures: &Value, services: &[(&str, i64)], annotations: &[(&str, &str)]) -> Vec<HealthTarget> {
        let views = services.iter().map(|(name, created)| {
            let mut view = annotated(grafana("team", name), annotations);
            view.created = *created;
            view
        });
        let views: Vec<ServiceView> = views.collect();
        let serving: Vec<SliceView> =
            views.iter().filter(|view| !view.key.name.starts_with("dead")).map(|view| slice(view, true)).collect();
        let mut index = index(views);
        for slice in serving {
            index.apply_slice(slice);
        }
        let config = config(json!({
            "sources": [{"name": "t", "trust": "Tenant", "namespaces": {"from": "All"}}],
            "health": {"mode": "Probe"},
            "signatures": signatures,
        }));
        let outcome = pipeline::run(pipeline::Input {
            config: &config,
            cluster_domain: DEFAULT_CLUSTER_DOMAIN,
            index: &index,
            admits: None,
            remembered: None,
            health: pipeline::HealthInput::Unobserved,
            legacy_overrides: None,
            base: None,
            previous: None,
        });
        outcome.plan.probes
    }

    const OPTED_IN: [(&str, &str); 2] = [("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", "grafana")];

    #[test]
    fn the_annotation_of_a_tenant_sets_only_a_health_path_below_the_path_of_the_tool() {
        let paths = |stated: &[(&str, &str)]| {
            let all: Vec<(&str, &str)> = OPTED_IN.iter().chain(stated).copied().collect();
            targets(&[("g", 1)], &all)[0].ask.clone().unwrap().paths
        };
        assert_eq!(paths(&[]), ["/api/health"]);
        let below = [("kubernaut.io/toolset-path", "/team"), ("kubernaut.io/toolset-health-path", "/team/healthz")];
        assert_eq!(paths(&below), ["/team/healthz"]);
        for beside in ["/admin", "/teamwork/x", "/"] {
            let stated = [("kubernaut.io/toolset-path", "/team"), ("kubernaut.io/toolset-health-path", beside)];
            assert_eq!(paths(&stated), ["/team/api/health"], "{beside}");
        }
    }

    #[test]
    fn a_signature_sets_any_health_path_even_for_a_tenant() {
        let signatures = json!([{
            "name": "ours", "type": "Grafana", "annotations": {"kubernaut.io/toolset": "enabled"}, "path": "/team",
            "healthPath": "/-/ready",
        }]);
        let health_path = ("kubernaut.io/toolset-health-path", "/team/owners");
        let owners: Vec<(&str, &str)> = OPTED_IN.into_iter().chain([health_path]).collect();
        let asked = targets_with(&signatures, &[("g", 1)], &owners);
        assert_eq!(asked[0].ask.clone().unwrap().paths, ["/-/ready"], "the spec comes before the annotation");
    }

    #[test]
    fn services_without_endpoints_take_only_the_places_that_are_left() {
        let dead: Vec<String> = (0..30).map(|number| format!("dead{number:02}")).collect();
        let older = dead.iter().map(String::as_str).zip(0..);
        let all: Vec<(&str, i64)> = older.chain([("g1", 100), ("g2", 101)]).collect();
        let asked = targets(&all, &OPTED_IN).into_iter().filter(|target| target.ask.is_ok());
        let asked: Vec<String> = asked.map(|target| target.key.name.to_string()).collect();
        assert_eq!((&asked[..2], &asked[2..]), (&["g1".to_owned(), "g2".to_owned()][..], &dead[..18]));
    }

    #[test]
    fn many_new_services_of_tenants_do_not_displace_older_ones() {
        let names: Vec<String> = (0..50).map(|number| format!("g{number}")).collect();
        let services: Vec<(&str, i64)> = names.iter().map(String::as_str).zip(0..).collect();
        let asked: Vec<String> = targets(&services, &OPTED_IN)
            .into_iter()
            .filter(|target| target.ask.is_ok())
            .map(|target| target.key.name.to_string())
            .collect();
        assert_eq!(asked, names[..20]);
    }
}

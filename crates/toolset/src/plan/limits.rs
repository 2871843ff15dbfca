//! The limits on the number of tools, which protect the agent, and tenants from each other.
//!
//! Trusted Services are admitted before Tenants', then older ones before later ones, so nothing that comes later evicts
//! what was there before. Only what would be a tool uses a place.

use std::collections::BTreeMap;

use crd_types::{ServiceReason, Trust};
use detectors::{Product, ServiceKey};

use super::planned::PlannedTool;
use crate::tool::{Rejection, Tool};

/// Tools from Tenant sources in one namespace.
pub(super) const PER_NAMESPACE: usize = 10;
/// Tools from Tenant sources of one product, or of one custom type.
pub(super) const PER_TYPE: usize = 50;
/// Tools in all, `spec.tools` included. These are never left out.
pub(super) const IN_ALL: usize = 200;

/// Leaves out what is over the limits. `taken` places are used already.
pub(super) fn admit(taken: usize, planned: &mut Vec<PlannedTool>, rejected: &mut Vec<Rejection>) {
    let mut order: Vec<usize> = (0..planned.len()).collect();
    order.sort_by(|a, b| seniority(&planned[*a].tool).cmp(&seniority(&planned[*b].tool)));
    let mut places = Places { in_all: taken, ..Places::default() };
    let full: Vec<Option<String>> = {
        let mut full = vec![None; planned.len()];
        for place in order {
            full[place] = places.take(&planned[place].tool).err();
        }
        full
    };
    let mut full = full.into_iter();
    planned.retain(|one| {
        let Some(Some(message)) = full.next() else { return true };
        rejected.extend(Rejection::of(&one.tool, ServiceReason::LimitExceeded, message));
        false
    });
}

/// The order in which tools keep their places. The first one loses its place last.
pub fn seniority(tool: &Tool) -> impl Ord + '_ {
    (tool.trust == Trust::Tenant, tool.created, &tool.key)
}

/// The places that are used.
#[derive(Default)]
struct Places<'a> {
    in_all: usize,
    of_tenants_in: BTreeMap<&'a str, usize>,
    of_tenants_of: BTreeMap<(Product, Option<&'a str>), usize>,
}

impl<'a> Places<'a> {
    /// Takes a place for a tool. `Err` says which limit is reached.
    fn take(&mut self, tool: &'a Tool) -> Result<(), String> {
        if self.in_all >= IN_ALL {
            return Err(format!(
                "The limit of {IN_ALL} tools is reached. Trusted Services and older Services take precedence. Narrow spec.sources, or disable detectors or tools."
            ));
        }
        if let (Trust::Tenant, Some(ServiceKey { namespace, .. })) = (tool.trust, &tool.key) {
            let in_namespace = self.of_tenants_in.entry(namespace).or_default();
            let of_type = self.of_tenants_of.entry((tool.product, tool.custom.as_deref())).or_default();
            let limit = if *in_namespace >= PER_NAMESPACE {
                Some(format!("{PER_NAMESPACE} tools per namespace"))
            } else {
                (*of_type >= PER_TYPE).then(|| format!("{PER_TYPE} tools per type"))
            };
            if let Some(limit) = limit {
                return Err(format!(
                    "The limit of {limit} from Tenant sources is reached. Older Services take precedence. Remove the annotation kubernaut.io/toolset from Services that the agent does not need."
                ));
            }
            *in_namespace += 1;
            *of_type += 1;
        }
        self.in_all += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        Plan,
        fixtures::{annotated, config, grafana, index, planned, service},
    };

    fn of_tenant(namespace: &str, name: &str, type_: &str, age: i64) -> detectors::ServiceView {
        let mut view = annotated(
            service(namespace, name, &[("http", 80)]),
            &[("kubernaut.io/toolset", "enabled"), ("kubernaut.io/toolset-type", type_)],
        );
        view.created -= age;
        view
    }

    fn both(more: &Value) -> crd_types::ToolsetConfig {
        let mut spec = json!({"sources": [
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": ["monitoring"]}},
            {"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}},
        ]});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config(spec)
    }

    fn has(plan: &Plan, namespace: &str, name: &str) -> bool {
        plan.tools.iter().any(|tool| tool.key.as_ref() == Some(&ServiceKey::new(namespace, name)))
    }

    fn over_the_limit(plan: &Plan) -> usize {
        plan.rejected.iter().filter(|one| one.reason == ServiceReason::LimitExceeded).count()
    }

    /// Grafanas of the platform, the first one the youngest.
    fn platform(count: i64) -> impl Iterator<Item = detectors::ServiceView> {
        (0..count).map(|number| {
            let mut view = grafana("monitoring", &format!("g{number:04}"));
            view.created += 10_000 - number;
            view
        })
    }

    #[test]
    fn the_limit_in_all_counts_trusted_tools_and_those_of_the_spec_and_the_oldest_stay() {
        let tools: Vec<Value> = (0..20)
            .map(|number| json!({"name": format!("t{number}"), "type": "Loki", "endpoint": "https://loki.example/"}))
            .collect();
        let tenant = of_tenant("team", "old", "jaeger", 100_000);
        let plan = planned(&both(&json!({"tools": tools})), &index(platform(3000).chain([tenant])));
        assert_eq!((plan.tools.len(), over_the_limit(&plan)), (IN_ALL, 3001 - 180));
        assert!(has(&plan, "monitoring", "g2999") && has(&plan, "monitoring", "g2820"));
        assert!(!has(&plan, "monitoring", "g2819") && !has(&plan, "team", "old"));
        assert_eq!(plan.tools.iter().filter(|tool| tool.key.is_none()).count(), 20);
    }

    #[test]
    fn a_tenant_has_a_place_while_trusted_tools_leave_one() {
        let tenants = (0..5).map(|number| of_tenant("team", &format!("s{number}"), "jaeger", number));
        let plan = planned(&both(&json!({})), &index(platform(197).chain(tenants)));
        assert_eq!(plan.tools.len(), IN_ALL);
        assert!(has(&plan, "team", "s4") && has(&plan, "team", "s2") && !has(&plan, "team", "s1"));
    }

    #[test]
    fn what_is_no_tool_uses_no_place() {
        let off = json!({"overrides": [{"name": "off", "match": {"service": "g2999"}, "state": "Disabled"}]});
        let plan = planned(&both(&off), &index(platform(3000)));
        assert_eq!(plan.tools.len(), IN_ALL);
        assert!(has(&plan, "monitoring", "g2799") && !has(&plan, "monitoring", "g2798"));
        let single = json!({"detectors": [{"type": "Grafana", "instances": "Single"}]});
        let plan = planned(&both(&single), &index(platform(300)));
        assert_eq!((plan.tools.len(), over_the_limit(&plan)), (1, 0));
    }

    #[test]
    fn a_later_flood_of_a_tenant_evicts_nobody() {
        let flood = (0..500).map(|number| of_tenant("flood", &format!("s{number:03}"), "prometheus", -1));
        let plan = planned(&both(&json!({})), &index(flood.chain([of_tenant("flood", "zz-early", "prometheus", 0)])));
        assert_eq!(plan.tools.len(), PER_NAMESPACE);
        assert!(has(&plan, "flood", "zz-early") && has(&plan, "flood", "s008") && !has(&plan, "flood", "s009"));
        assert_eq!(over_the_limit(&plan), 491);
    }

    #[test]
    fn the_limit_per_type_is_one_for_each_custom_type() {
        let many = |type_: &'static str| {
            (0..60).map(move |number| of_tenant(&format!("{type_}-{}", number / 10), &format!("s{number}"), type_, 0))
        };
        let late = of_tenant("another", "late", "third", -1);
        let plan = planned(&both(&json!({})), &index(many("first").chain(many("second")).chain([late])));
        assert_eq!((plan.tools.len(), over_the_limit(&plan)), (2 * PER_TYPE + 1, 20));
        assert!(has(&plan, "another", "late"));
    }
}

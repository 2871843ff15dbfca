//! Overrides: a later one wins field by field, a disabled tool is out, and a tenant's tool gets no credentials.

use crd_types::{Override, ServiceReason, State, Trust};
use toolset::{DEFAULT_CLUSTER_DOMAIN, Tool};

use super::pipeline::outcome;
use crate::{
    Broken, Outcome, checks,
    input::Input,
    spec::{self, Parts},
    words,
    world::World,
};

/// Checks some overrides on one cluster.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let overrides = spec::overrides(&mut input, Parts::default());
    let config = spec::config_of(&serde_json::json!({
        "sources": [
            {"name": "platform", "trust": "Trusted", "namespaces": {"from": "Names", "names": words::TRUSTED}},
            {"name": "teams", "trust": "Tenant", "namespaces": {"from": "All"}},
        ],
        "overrides": overrides,
    }));
    let config = config.ok_or_else(|| Broken(format!("the overrides are not valid: {overrides}")))?;
    let world = World::of(&mut input, 5);
    let index = world.index(|_| true, false);
    let (plan, rendered) = outcome(&config, &index, None, None);
    checks::output(&config, DEFAULT_CLUSTER_DOMAIN, &plan, &rendered, false)?;
    for tool in plan.tools.iter().filter(|tool| tool.key.is_some()) {
        let rules: Vec<&Override> = config.spec.overrides.iter().filter(|rule| matches(rule, tool)).collect();
        follows(tool, &rules)?;
    }
    let without = {
        let mut config = config.clone();
        config.spec.overrides.clear();
        outcome(&config, &index, None, None).0
    };
    for before in &without.tools {
        let rules = config.spec.overrides.iter().filter(|rule| matches(rule, before));
        let off = rules.filter_map(|rule| rule.state).next_back() == Some(State::Disabled);
        let after = plan.tools.iter().find(|tool| tool.key == before.key);
        check!(after.is_none() == off, "{} is off: {off}, and there: {}", before.name, after.is_some());
        if off {
            let rejected = plan.rejected.iter().find(|one| Some(&one.key) == before.key.as_ref());
            check!(
                rejected.is_some_and(|one| one.reason == ServiceReason::OverriddenOff),
                "{} is rejected as {rejected:?}",
                before.name
            );
        }
        check!(
            after.is_none_or(|after| after.endpoint.host == before.endpoint.host),
            "the host of {} moves",
            before.name
        );
    }
    Ok(())
}

/// Written here again, because it is what is checked.
fn matches(rule: &Override, tool: &Tool) -> bool {
    let Some(key) = &tool.key else { return false };
    let wanted = &rule.match_;
    wanted.namespace.as_ref().is_none_or(|namespace| **namespace == *key.namespace)
        && wanted.service.as_ref().is_none_or(|service| **service == *key.name)
        && wanted.type_.is_none_or(|type_| type_ == tool.product)
        && (wanted.custom_type.is_none() || wanted.custom_type == tool.custom)
}

fn follows(tool: &Tool, rules: &[&Override]) -> Outcome {
    fn last<'a, T>(rules: &[&'a Override], field: impl Fn(&'a Override) -> Option<T>) -> Option<T> {
        rules.iter().rev().find_map(|rule| field(rule))
    }
    let name = &tool.name;
    check!(tool.description.as_ref() == last(rules, |rule| rule.description.as_ref()), "description of {name}");
    check!(tool.instructions.as_ref() == last(rules, |rule| rule.instructions.as_ref()), "instructions of {name}");
    let may = tool.trust == Trust::Trusted;
    check!(
        tool.credentials.as_ref() == last(rules, |rule| rule.credentials.as_ref()).filter(|_| may),
        "credentials of {name}"
    );
    check!(
        tool.tenant_id.as_ref() == last(rules, |rule| rule.tenant_id.as_ref()).filter(|_| may),
        "tenant ID of {name}"
    );
    let asks = rules.iter().any(|rule| rule.credentials.is_some() || rule.tenant_id.is_some());
    let refused = tool.reason == ServiceReason::CredentialsNotAllowed;
    // A name that a tenant cannot have is reported instead.
    let expected = asks && !may && tool.reason != ServiceReason::NameConflict;
    check!(refused == expected, "reason of {name}: {:?}", tool.reason);
    let of_settings = |rule: &Override| rule.settings.as_ref().and_then(|settings| settings.timeout_seconds);
    check!(tool.settings.timeout_seconds == last(rules, of_settings), "timeout of {name}");
    let verify = |rule: &Override| rule.settings.as_ref().and_then(|settings| settings.verify_tls);
    check!(tool.settings.verify_tls == last(rules, verify), "verifyTLS of {name}");
    Ok(())
}

//! The whole way from the objects of a cluster to the bytes of the ConfigMap.

use std::{collections::BTreeSet, time::Duration};

use crd_types::{ToolsetConfig, Trust};
use detectors::{ServiceKey, ServiceView};
use toolset::{
    Base, DEFAULT_CLUSTER_DOMAIN, HealthStage, Index, Plan, Rendered,
    health::HealthTime,
    index::SliceOwner,
    pipeline::{self, HealthInput},
};

use crate::{
    Broken, Outcome, checks,
    input::Input,
    spec::{self, Parts},
    world::{self, World},
};

/// Checks one cluster with one spec.
pub(super) fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let config =
        spec::config(&mut input, Parts::default()).ok_or_else(|| Broken("the spec is not valid".to_owned()))?;
    let observed = input.any();
    let world = World::of(&mut input, 8);
    let run = |wanted: &dyn Fn(&ServiceView) -> bool, reverse| {
        let index = world.index(wanted, reverse);
        let (plan, rendered) = if observed { settled(&config, &index) } else { outcome(&config, &index, None, None) };
        (index, plan, rendered)
    };
    let (index, plan, rendered) = run(&|_| true, false);
    checks::output(&config, DEFAULT_CLUSTER_DOMAIN, &plan, &rendered, false)?;
    for tool in &plan.tools {
        let Some(key) = &tool.key else { continue };
        let is_tenant = tool.trust == Trust::Tenant;
        check!(is_tenant || world::is_trusted(&key.namespace), "{key} is Trusted");
        if observed && is_tenant {
            slices_are_own(&index, key)?;
        }
    }
    let (_, _, reversed) = run(&|_| true, true);
    check!(rendered == reversed, "the order of events matters: {:#?} and {:#?}", rendered.data, reversed.data);
    let (_, plan_alone, rendered_alone) = run(&|view| world::is_trusted(&view.key.namespace), false);
    let (alone, among) = (checks::about_trusted(&plan_alone, &rendered_alone), checks::about_trusted(&plan, &rendered));
    check!(alone == among, "tenants change what is written about Trusted tools from {alone:#?} to {among:#?}");
    Ok(())
}

/// A tenant's tool has EndpointSlices that are its own, as far as they say.
fn slices_are_own(index: &Index, key: &ServiceKey) -> Outcome {
    let readiness = index.readiness(key);
    let uid = index.service(key).map_or(0, |service| service.view.uid);
    let own = readiness.owner == SliceOwner::One(uid) && !readiness.manual && !readiness.elsewhere;
    check!(own, "{key} of a tenant is a tool with the EndpointSlices {readiness:?}");
    Ok(())
}

/// The plan and its output with nothing known of health.
pub(super) fn outcome(
    config: &ToolsetConfig,
    index: &Index,
    legacy_overrides: Option<&str>,
    base: Option<&str>,
) -> (Plan, Rendered) {
    let outcome = pipeline::run(pipeline::Input {
        config,
        cluster_domain: DEFAULT_CLUSTER_DOMAIN,
        index,
        admits: None,
        remembered: None,
        health: HealthInput::Unobserved,
        legacy_overrides,
        base: base.map(Base::Text),
        previous: None,
    });
    (outcome.plan, outcome.rendered)
}

/// The plan and its output after every EndpointSlice has been unchanged for long enough.
fn settled(config: &ToolsetConfig, index: &Index) -> (Plan, Rendered) {
    let mut stage = HealthStage::default();
    let mut last = (Plan::default(), Rendered::default());
    for second in [0, 6] {
        let outcome = pipeline::run(pipeline::Input {
            config,
            cluster_domain: DEFAULT_CLUSTER_DOMAIN,
            index,
            admits: None,
            remembered: None,
            health: HealthInput::Observed {
                stage: &mut stage,
                time: &|_| HealthTime { now: Duration::from_secs(second), frozen: false },
                in_output: &BTreeSet::new,
                probed: None,
            },
            legacy_overrides: None,
            base: None,
            previous: None,
        });
        last = (outcome.plan, outcome.rendered);
    }
    last
}

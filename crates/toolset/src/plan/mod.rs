//! The plan: which candidates become tools, with which names and overrides, and why the others do not.

pub mod legacy;
pub mod limits;
pub mod names;
pub mod overrides;
mod planned;
pub mod probes;
mod rank;

use std::collections::BTreeMap;

use crd_types::{HealthMode, Reason, ServiceReason, StaticTool, ToolsetConfig, Trust};
use detectors::{Assumed, Auth, Confidence, Product};

use self::{
    legacy::{LEGACY_OVERRIDES_KEY, LegacyOverrides},
    planned::PlannedTool,
    probes::HealthTarget,
};
use crate::{
    endpoint::Endpoint,
    health::{Health, HealthReport, SLICES_SETTLE, Withheld},
    index::Index,
    select::{self, Context, candidate::Selection},
    tool::{Note, Precedence, Rejection, Tool},
};

/// The plan of one `ToolsetConfig`.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Ordered by product, then by rank within it.
    pub tools: Vec<Tool>,
    /// Ordered by namespace and name.
    pub rejected: Vec<Rejection>,
    /// What the owner of the `ToolsetConfig` should know, such as overrides without effect. Sorted.
    pub notes: Vec<Note>,
    /// The tools whose health is to be probed, in the output or withheld from it. Empty unless the spec asks for probes.
    pub probes: Vec<HealthTarget>,
    /// The number of candidates of each product, tools included.
    pub candidates: BTreeMap<Product, usize>,
    /// The number of all candidates, including those whose product is not known.
    pub candidates_total: usize,
}

impl Plan {
    /// Tools without a usable endpoint, in the output or withheld from it.
    pub fn unhealthy(&self) -> usize {
        self.tools.iter().filter(|tool| tool.health == Health::Unhealthy).count() + self.withheld()
    }

    /// Candidates that did not become tools for another reason than their health.
    pub fn rejected_count(&self) -> usize {
        self.rejected.len() - self.withheld()
    }

    /// Trusted tools whose probes fail, possibly because of the operator's own network. Tenants cannot make the operator
    /// suspect its network.
    pub fn suspect(&self) -> usize {
        let is_suspect = |trust, reason| trust == Trust::Trusted && reason == ServiceReason::ProbeSuspect;
        self.tools.iter().filter(|tool| is_suspect(tool.trust, tool.reason)).count()
            + self.rejected.iter().filter(|rejection| is_suspect(rejection.trust, rejection.reason)).count()
    }

    fn withheld(&self) -> usize {
        self.rejected.iter().filter(|rejection| rejection.is_withheld()).count()
    }
}

/// Makes the plan. `legacy_overrides` is the text under [`LEGACY_OVERRIDES_KEY`] of our `ConfigMap`, if there is one.
pub fn plan(
    ctx: &Context<'_>,
    index: &Index,
    selection: Selection,
    health: &HealthReport,
    legacy_overrides: Option<&str>,
) -> Plan {
    let mut plan = Plan {
        candidates: select::candidates_by_product(&selection),
        candidates_total: selection.candidates.len(),
        ..Plan::default()
    };
    let mut planned = Vec::new();
    for candidate in selection.candidates {
        match PlannedTool::of(ctx.config, candidate) {
            Ok(tool) => planned.push(tool),
            Err(rejection) => plan.rejected.push(rejection),
        }
    }
    plan.notes.extend(overrides::apply(ctx, index, &mut planned));
    let legacy = read_legacy(ctx.config, legacy_overrides, &mut plan.notes).map(|layer| {
        let settled = overrides::apply_legacy(&layer, &mut planned);
        (layer, settled)
    });
    if ctx.config.spec.health.mode == HealthMode::Probe {
        let wanted = planned.iter().filter(|one| excluded(ctx.config, one).is_none());
        plan.probes = wanted.filter_map(|one| HealthTarget::of(ctx.config, &one.tool)).collect();
        HealthTarget::limit(&mut plan.probes, |key| index.readiness(key).serving);
    }
    planned.retain(|one| {
        let rejection = excluded(ctx.config, one).or_else(|| withheld(&one.tool, health));
        let keeps = rejection.is_none();
        plan.rejected.extend(rejection);
        keeps
    });
    rank::sort(&mut planned);
    rank::keep_single(ctx.config, &mut planned, &mut plan.rejected);
    let of_spec = static_tools(ctx.config, &mut plan.notes);
    limits::admit(of_spec.len(), &mut planned, &mut plan.rejected);
    if let Some((layer, settled)) = legacy {
        plan.notes.extend(overrides::legacy_without_effect(&layer, &settled, &planned));
    }
    let healthy = |PlannedTool { mut tool, .. }: PlannedTool| {
        let judged = tool.key.as_ref().map(|key| health.of(key)).unwrap_or_default();
        tool.health = judged.health;
        if let Some(remark) = judged.probe {
            if tool.reason == ServiceReason::Selected {
                tool.reason = remark.reason;
            }
            tool.probe = remark.message;
        }
        tool
    };
    plan.tools = planned.into_iter().map(healthy).chain(of_spec).collect();
    // A stable sort: spec.tools come after the discovered tools of the same product.
    plan.tools.sort_by(|a, b| (a.product, &a.custom, a.key.is_none()).cmp(&(b.product, &b.custom, b.key.is_none())));
    for clash in names::assign(&mut plan.tools) {
        // A name that a tenant cannot have is no problem of the spec. The tenant's tool has the reason NameConflict.
        if plan.tools[clash.index].trust == Trust::Trusted {
            plan.notes.push(Note::new(Reason::OverrideUnmatched, clash.message));
        }
    }
    plan.rejected.sort_by(|a, b| a.key.cmp(&b.key));
    plan.notes.sort();
    plan.notes.dedup();
    plan
}

fn read_legacy(config: &ToolsetConfig, text: Option<&str>, notes: &mut Vec<Note>) -> Option<LegacyOverrides> {
    legacy::parse(text?)
        .map_err(|why| {
            notes.push(Note::new(
                Reason::LegacyOverridesInvalid,
                format!(
                    "Key {LEGACY_OVERRIDES_KEY} of ConfigMap {} is ignored: {why}. Correct it, or move its content to spec.overrides and delete the key.",
                    config.spec.output.config_map_name
                ),
            ));
        })
        .ok()
}

/// Why the spec leaves a tool out, if it does. This comes before health, because it is what the owner wants.
fn excluded(config: &ToolsetConfig, planned: &PlannedTool) -> Option<Rejection> {
    let tool = &planned.tool;
    if let Some(by) = &planned.off {
        return Rejection::of(tool, ServiceReason::OverriddenOff, format!("This tool is disabled by {by}."));
    }
    if let Some(format) = config.spec.output.trusted_only().filter(|_| tool.trust == Trust::Tenant) {
        let message = format!(
            "This Service is in a Tenant source, and the format {format} contains only tools from Trusted sources. If you trust the Service, select it with a Trusted source."
        );
        return Rejection::of(tool, ServiceReason::TrustedOnly, message);
    }
    None
}

/// Why the health of a tool leaves it out, if it does.
fn withheld(tool: &Tool, health: &HealthReport) -> Option<Rejection> {
    let judged = health.of(tool.key.as_ref()?);
    let withheld = judged.withheld?;
    let (reason, message) = match (withheld, judged.probe) {
        (Withheld::Unhealthy | Withheld::Unprobed, Some(remark)) => (remark.reason, remark.message),
        // Only a tool with a remark about its probes is Unprobed.
        (Withheld::Unhealthy | Withheld::Unprobed, None) => (
            ServiceReason::Unhealthy,
            "This Service has no serving endpoint. The tool is added to the ConfigMap as soon as an endpoint is serving. Check that the Pods of the Service are ready.".to_owned(),
        ),
        (Withheld::NoSlices, _) => (
            ServiceReason::AwaitingEndpointSlices,
            "This Service is in a Tenant source, and no EndpointSlice that belongs to it is known. If this does not change, check that the EndpointSlice controller is running and that the operator is allowed to list EndpointSlices.".to_owned(),
        ),
        (Withheld::NewSlices, _) => (
            ServiceReason::AwaitingEndpointSlices,
            format!(
                "This Service is in a Tenant source, and its EndpointSlices are new or have changed. The tool is added to the ConfigMap when they have not changed for {} s.",
                SLICES_SETTLE.as_secs()
            ),
        ),
    };
    let mut rejection = Rejection::of(tool, reason, message)?;
    rejection.is_untold |= withheld == Withheld::Unprobed;
    Some(rejection)
}

/// The tools of `spec.tools` whose endpoints are URLs.
fn static_tools(config: &ToolsetConfig, notes: &mut Vec<Note>) -> Vec<Tool> {
    let mut tools = Vec::with_capacity(config.spec.tools.len());
    for spec in &config.spec.tools {
        match Endpoint::of_url(&spec.endpoint) {
            Ok(endpoint) => tools.push(static_tool(spec, endpoint)),
            Err(why) => {
                let message = format!(
                    "Tool {} in spec.tools: the endpoint {why}. The tool is omitted until you correct the endpoint.",
                    spec.name
                );
                notes.push(Note::new(Reason::OverrideUnmatched, message));
            }
        }
    }
    tools
}

fn static_tool(spec: &StaticTool, endpoint: Endpoint) -> Tool {
    Tool {
        key: None,
        created: 0,
        name: String::new(),
        chosen_name: Some(spec.name.clone()),
        stated_name: Some(spec.name.clone()),
        product: spec.type_,
        custom: spec.custom_type.clone(),
        trust: Trust::Trusted,
        source: String::new(),
        origin: None,
        endpoint,
        confidence: Confidence::High,
        decided_by: String::new(),
        auth: Auth::Unknown,
        assumed: Assumed::NOTHING,
        from_pods: select::remembered::Parts::NOTHING,
        from_identity: select::remembered::Parts::NOTHING,
        identity: String::new(),
        precedence: Precedence::default(),
        health: Health::Unknown,
        reason: ServiceReason::Selected,
        probe: String::new(),
        health_path: None,
        description: spec.description.clone(),
        instructions: spec.instructions.clone(),
        credentials: spec.credentials.clone(),
        tenant_id: spec.tenant_id.clone(),
        settings: spec.settings.clone().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;

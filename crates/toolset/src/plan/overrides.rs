//! `spec.overrides`: exceptions, applied in order. A later one wins field by field.

use crd_types::{EndpointAdjustment, Override, Reason, ServiceReason, State, Trust};
use detectors::{Assumed, Auth, Target};

use super::{
    legacy::{LEGACY_OVERRIDES_KEY, LegacyOverrides},
    planned::PlannedTool,
};
use crate::{
    endpoint::Endpoint,
    index::Index,
    select::{
        Context,
        overridden::{KnownTarget, override_matches},
        remembered::Parts,
    },
    tool::{Note, Tool},
};

/// Applies all overrides. Returns which of them match nothing or ask for something impossible.
pub(super) fn apply(ctx: &Context<'_>, index: &Index, planned: &mut [PlannedTool]) -> Vec<Note> {
    let mut notes = Vec::new();
    for rule in &ctx.config.spec.overrides {
        let mut matched = false;
        for one in planned.iter_mut().filter(|one| matches(rule, &one.tool)) {
            matched = true;
            merge(ctx, index, rule, one, &mut notes);
        }
        if !matched {
            let message = format!(
                "Override {} matches no tool. Compare its match with status.tools and status.rejected.",
                rule.name
            );
            notes.push(Note::new(Reason::OverrideUnmatched, message));
        }
    }
    notes
}

fn matches(rule: &Override, tool: &Tool) -> bool {
    let is_for = |key| override_matches(rule, key, Some(tool.product), tool.custom.as_deref());
    tool.key.as_ref().is_some_and(is_for)
}

fn merge(ctx: &Context<'_>, index: &Index, rule: &Override, planned: &mut PlannedTool, notes: &mut Vec<Note>) {
    let name = format!("override {}", rule.name);
    planned.state_decided |= rule.state.is_some();
    match rule.state {
        Some(State::Disabled) => planned.off = Some(name.clone()),
        Some(State::Enabled) => planned.off = None,
        None => {}
    }
    let tool = &mut planned.tool;
    replace(&mut tool.chosen_name, rule.tool_name.as_ref());
    replace(&mut tool.description, rule.description.as_ref());
    replace(&mut tool.instructions, rule.instructions.as_ref());
    if let Some(adjustment) = &rule.endpoint {
        match adjusted(ctx, index, tool, adjustment) {
            Ok(stated) => {
                tool.from_pods = left(tool.from_pods, adjustment);
                // Its answers are already about the stated endpoint.
                if !planned.is_overridden {
                    tool.from_identity = left(tool.from_identity, adjustment);
                    (tool.endpoint, tool.auth, tool.assumed) = stated;
                }
            }
            Err(why) => notes.push(Note::new(
                Reason::OverrideUnmatched,
                format!("Override {}: {why}. The endpoint of this tool is not changed.", rule.name),
            )),
        }
    }
    // A tenant can point its Service anywhere, so it must not receive credentials or a tenant's identity.
    if tool.trust == Trust::Tenant && (rule.credentials.is_some() || rule.tenant_id.is_some()) {
        tool.reason = ServiceReason::CredentialsNotAllowed;
    } else {
        replace(&mut tool.credentials, rule.credentials.as_ref());
        replace(&mut tool.tenant_id, rule.tenant_id.as_ref());
        tool.assumed.auth &= tool.credentials.is_none() && tool.tenant_id.is_none();
    }
    if let Some(settings) = &rule.settings {
        replace(&mut tool.settings.timeout_seconds, settings.timeout_seconds.as_ref());
        replace(&mut tool.settings.verify_tls, settings.verify_tls.as_ref());
        replace(&mut tool.settings.index, settings.index.as_ref());
        if !settings.paths.is_empty() {
            tool.settings.paths.clone_from(&settings.paths);
        }
    }
}

fn replace<T: Clone>(field: &mut Option<T>, value: Option<&T>) {
    if let Some(value) = value {
        *field = Some(value.clone());
    }
}

/// Which of these parts an override leaves.
fn left(parts: Parts, adjustment: &EndpointAdjustment) -> Parts {
    Parts {
        product: parts.product,
        port: parts.port && adjustment.port.is_none(),
        scheme: parts.scheme && adjustment.scheme.is_none() && adjustment.port.is_none(),
        path: parts.path && adjustment.path.is_none(),
    }
}

/// The endpoint with another scheme, declared port or path, and what is known of it. The host never changes.
fn adjusted(
    ctx: &Context<'_>,
    index: &Index,
    tool: &Tool,
    adjustment: &EndpointAdjustment,
) -> Result<(Endpoint, Auth, Assumed), String> {
    let Some(service) = tool.key.as_ref().and_then(|key| index.service(key)) else {
        return Ok((tool.endpoint.clone(), tool.auth, tool.assumed));
    };
    let (view, Endpoint { scheme, port, path, .. }) = (&service.view, &tool.endpoint);
    let target = Target { port: *port, scheme: *scheme, path: path.clone().into() };
    let known = KnownTarget { target, auth: tool.auth, assumed: tool.assumed };
    let KnownTarget { target, auth, assumed } = known.adjusted(view, adjustment)?;
    let endpoint = Endpoint::of_service(&view.key, target.scheme, target.port, &target.path, ctx.cluster_domain);
    Ok((endpoint.map_err(|why| format!("the endpoint of {} is invalid: {why}", view.key))?, auth, assumed))
}

/// Applies the predecessor's overrides. They only switch off or describe tools for which `spec.overrides` does not do
/// so. Returns which of its entries are [settled](LegacyOverrides::settled).
pub(super) fn apply_legacy(layer: &LegacyOverrides, planned: &mut [PlannedTool]) -> Vec<bool> {
    let tools: Vec<&Tool> = planned.iter().map(|one| &one.tool).collect();
    let (effects, settled) = (layer.effects(&tools), layer.settled(&tools));
    for (one, effect) in planned.iter_mut().zip(effects) {
        if effect.disabled && !one.state_decided {
            one.off = Some(format!("key {LEGACY_OVERRIDES_KEY} of the ConfigMap"));
        }
        if one.tool.description.is_none() {
            one.tool.description = effect.description.map(str::to_owned);
        }
    }
    settled
}

/// Says what of the predecessor's overrides has no effect. `left` are the tools of the plan.
pub(super) fn legacy_without_effect(layer: &LegacyOverrides, settled: &[bool], left: &[PlannedTool]) -> Vec<Note> {
    let left: Vec<&Tool> = left.iter().map(|one| &one.tool).collect();
    let note =
        |words| Note::new(Reason::OverrideUnmatched, format!("Key {LEGACY_OVERRIDES_KEY} of the ConfigMap: {words}."));
    layer.without_effect(settled, &left).into_iter().map(note).collect()
}

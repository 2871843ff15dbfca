//! `spec.overrides`: exceptions, applied in order. A later one wins field by field.

use crd_types::{EndpointAdjustment, Override, Reason, ServiceReason, State, Trust};
use detectors::{Assumed, Auth, Product, ServiceKey};

use super::{
    legacy::{LEGACY_OVERRIDES_KEY, LegacyOverrides},
    planned::PlannedTool,
};
use crate::{
    endpoint::Endpoint,
    index::Index,
    select::{Context, annotation},
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

/// Whether an override matches a Service that was recognised as this. Every given field must match.
pub fn override_matches(rule: &Override, key: &ServiceKey, product: Option<Product>, custom: Option<&str>) -> bool {
    let wanted = &rule.match_;
    wanted.type_.is_none_or(|type_| Some(type_) == product)
        && wanted.custom_type.as_ref().is_none_or(|type_| Some(type_.as_str()) == custom)
        && wanted.namespace.as_ref().is_none_or(|namespace| **namespace == *key.namespace)
        && wanted.service.as_ref().is_none_or(|service| **service == *key.name)
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
            Ok(endpoint) => {
                if endpoint.port != tool.endpoint.port {
                    // What was known is about another port.
                    let shown = scheme_is_shown(index, tool, endpoint.port);
                    (tool.auth, tool.assumed) = (Auth::Unknown, Assumed { scheme: !shown, path: true, auth: true });
                }
                tool.assumed.scheme &= adjustment.scheme.is_none();
                tool.assumed.path &= adjustment.path.is_none();
                for parts in [&mut tool.from_pods, &mut tool.from_identity] {
                    parts.port &= adjustment.port.is_none();
                    parts.scheme &= adjustment.scheme.is_none() && adjustment.port.is_none();
                    parts.path &= adjustment.path.is_none();
                }
                tool.endpoint = endpoint;
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

/// Whether the tool's Service shows the scheme of one of its ports.
fn scheme_is_shown(index: &Index, tool: &Tool, port: u16) -> bool {
    let service = tool.key.as_ref().and_then(|key| index.service(key));
    let shown = service.and_then(|service| {
        let port = annotation::declared_port(&service.view, &port.to_string()).ok()?;
        detectors::shown_scheme(&service.view, port)
    });
    shown.is_some()
}

/// The endpoint with another scheme, declared port or path. The host never changes.
fn adjusted(
    ctx: &Context<'_>,
    index: &Index,
    tool: &Tool,
    adjustment: &EndpointAdjustment,
) -> Result<Endpoint, String> {
    let Some(service) = tool.key.as_ref().and_then(|key| index.service(key)) else { return Ok(tool.endpoint.clone()) };
    let (view, mut endpoint) = (&service.view, tool.endpoint.clone());
    if let Some(port) = &adjustment.port {
        let declared = annotation::declared_port(view, &port.to_string())
            .map_err(|why| format!("endpoint.port of {} {why}", view.key))?;
        if declared.port != endpoint.port {
            endpoint.scheme = detectors::scheme_of(view, declared);
        }
        endpoint.port = declared.port;
    }
    if let Some(scheme) = adjustment.scheme {
        endpoint.scheme = scheme;
    }
    if let Some(path) = &adjustment.path {
        endpoint.path.clone_from(path);
    }
    Endpoint::of_service(&view.key, endpoint.scheme, endpoint.port, &endpoint.path, ctx.cluster_domain)
        .map_err(|why| format!("the endpoint of {} is invalid: {why}", view.key))
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

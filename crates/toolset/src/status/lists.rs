//! The lists and counts of the status.

use std::collections::{BTreeMap, BTreeSet};

use crd_types::{
    DetectorSummary, RejectedStatus, ServiceReason, Summary, ToolStatus, ToolsetConfig, ToolsetConfigStatus,
};
use detectors::{Product, ServiceKey};

use crate::{
    health::Health,
    plan::Plan,
    tool::{Rejection, Tool},
};

/// The most tools that the status lists.
pub const MAX_TOOLS: usize = 100;
/// The most rejected Services that the status lists.
pub const MAX_REJECTED: usize = 50;
/// The most characters of a piece of evidence in the status.
const MAX_EVIDENCE: usize = 256;
/// The most characters of a message in the status.
const MAX_MESSAGE: usize = 1024;

/// Without a plan, the tools that the `ConfigMap` no longer lists are dropped.
pub(super) fn keep(status: &mut ToolsetConfigStatus, config: &ToolsetConfig, left: &BTreeSet<ServiceKey>) {
    let before = status.tools.len();
    status.tools.retain(|tool| {
        if tool.service.is_empty() {
            return config.spec.tools.iter().any(|one| one.name == tool.name);
        }
        left.contains(&ServiceKey::new(tool.namespace.as_str(), tool.service.as_str()))
    });
    if let Some(summary) = &mut status.summary {
        summary.tools = summary.tools.saturating_sub(count(before - status.tools.len()));
    }
}

pub(super) fn fill(status: &mut ToolsetConfigStatus, plan: &Plan) {
    status.summary = Some(Summary {
        candidates: count(plan.candidates_total),
        tools: count(plan.tools.len()),
        unhealthy: count(plan.unhealthy()),
        rejected: count(plan.rejected_count()),
    });
    let mut tools_of: BTreeMap<Product, usize> = BTreeMap::new();
    for tool in &plan.tools {
        *tools_of.entry(tool.product).or_default() += 1;
    }
    let types =
        Product::ALL.iter().filter(|product| plan.candidates.contains_key(product) || tools_of.contains_key(product));
    status.detectors = types
        .map(|product| DetectorSummary {
            type_: product.as_str().to_owned(),
            candidates: count(plan.candidates.get(product).copied().unwrap_or_default()),
            tools: count(tools_of.get(product).copied().unwrap_or_default()),
        })
        .collect();
    let mut tools: Vec<ToolStatus> =
        first(&plan.tools, MAX_TOOLS, |tool: &Tool| tool.trust).into_iter().map(tool_status).collect();
    tools.sort_by(|a, b| (&a.namespace, &a.service, &a.name).cmp(&(&b.namespace, &b.service, &b.name)));
    status.tools = tools;
    let mut rejected: Vec<RejectedStatus> =
        first(&plan.rejected, MAX_REJECTED, |rejection: &Rejection| (rejection.trust, !is_denied(rejection)))
            .into_iter()
            .map(rejected_status)
            .collect();
    rejected.sort_by(|a, b| (&a.namespace, &a.service).cmp(&(&b.namespace, &b.service)));
    status.rejected = rejected;
    status.truncated = plan.tools.len() > MAX_TOOLS || plan.rejected.len() > MAX_REJECTED;
}

/// The first `most` in the order of `rank`, and else in their own. Trusted come before Tenants, so that many tenants'
/// Services do not hide others.
fn first<T, R: Ord>(all: &[T], most: usize, rank: impl Fn(&T) -> R) -> Vec<&T> {
    let mut ranked: Vec<&T> = all.iter().collect();
    ranked.sort_by_key(|one| rank(one));
    ranked.truncate(most);
    ranked
}

/// Whether an identity probe has rejected it. The next leader reads this from the status.
fn is_denied(rejection: &Rejection) -> bool {
    rejection.reason == ServiceReason::NotTheProduct
}

fn tool_status(tool: &Tool) -> ToolStatus {
    ToolStatus {
        name: tool.name.clone(),
        type_: tool.type_name().to_owned(),
        namespace: tool.key.as_ref().map(|key| key.namespace.to_string()).unwrap_or_default(),
        service: tool.key.as_ref().map(|key| key.name.to_string()).unwrap_or_default(),
        endpoint: tool.endpoint.to_string(),
        source: tool.source.clone(),
        confidence: tool.confidence.to_string(),
        evidence: tool.decided_by.chars().take(MAX_EVIDENCE).collect(),
        from_pods: tool.from_pods.names(),
        from_identity: tool.from_identity.names(),
        identity: cut(tool.identity.clone()),
        probe: cut(tool.probe.clone()),
        health: tool.health.as_str().to_owned(),
        reason: if tool.health == Health::Unhealthy && tool.reason == ServiceReason::Selected {
            ServiceReason::Unhealthy.as_str().to_owned()
        } else {
            tool.reason.as_str().to_owned()
        },
    }
}

fn rejected_status(rejection: &Rejection) -> RejectedStatus {
    RejectedStatus {
        namespace: rejection.key.namespace.to_string(),
        service: rejection.key.name.to_string(),
        type_: rejection.type_name().to_owned(),
        reason: rejection.reason.as_str().to_owned(),
        message: cut(rejection.message.clone()),
    }
}

/// A count, as the API writes it.
pub(super) fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A message, cut to the length that the status takes.
pub(super) fn cut(mut message: String) -> String {
    if let Some((end, _)) = message.char_indices().nth(MAX_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    message
}

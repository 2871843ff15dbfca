//! The plan: which candidates become tools, under which name and with what overrides, and why the others do not.

use std::collections::BTreeMap;

use crd_types::{Instances, Reason, ServiceReason, StaticTool, Trust};
use detectors::{Confidence, Product, Rank, ServiceKey};

use crate::{
    agent,
    endpoint::Endpoint,
    health::{Health, HealthReport},
    index::Index,
    legacy, names,
    overrides::{self, Draft},
    select::{self, Candidate, Context, Selection, Verdict},
    tool::{Note, Rejection, Tool},
};

/// The plan of one `ToolsetConfig`.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Ordered by product, then by rank within it.
    pub tools: Vec<Tool>,
    /// Ordered by namespace and name.
    pub rejected: Vec<Rejection>,
    /// What its owner should know beside the Services: overrides without effect and the like. Sorted.
    pub notes: Vec<Note>,
    /// Candidates per product, also those that became tools.
    pub candidates: BTreeMap<Product, usize>,
    /// Candidates in all, also those of which no product is known.
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

    fn withheld(&self) -> usize {
        self.rejected.iter().filter(|rejection| rejection.reason == ServiceReason::Unhealthy).count()
    }
}

/// Makes the plan. `legacy_overrides` is the text under the key `overrides.yaml` of our `ConfigMap`, if there is one.
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
    let mut drafts = Vec::new();
    for candidate in selection.candidates {
        match draft(ctx, candidate) {
            Ok(draft) => drafts.push(draft),
            Err(rejection) => plan.rejected.push(rejection),
        }
    }
    plan.notes.extend(overrides::apply(ctx, index, &mut drafts));
    apply_legacy(legacy_overrides, &mut drafts, &mut plan.notes);
    let mut kept = Vec::new();
    for draft in drafts {
        match withheld(&draft, health) {
            Some(rejection) => plan.rejected.push(rejection),
            None => kept.push(draft),
        }
    }
    rank(&mut kept);
    keep_single(ctx, &mut kept, &mut plan.rejected);
    plan.tools = kept
        .into_iter()
        .map(|draft| {
            let health = draft.tool.key.as_ref().map_or(Health::Unknown, |key| health.of(key).health);
            Tool { health, ..draft.tool }
        })
        .collect();
    add_static(ctx, &mut plan);
    for clash in names::assign(&mut plan.tools) {
        // A tenant's wish for a taken name is the tenant's matter: its tool says NameConflict, the spec is fine.
        if plan.tools[clash.index].trust == Trust::Trusted {
            plan.notes.push(Note::new(Reason::OverrideUnmatched, clash.message));
        }
    }
    plan.rejected.sort_by(|a, b| a.key.cmp(&b.key));
    plan.notes.sort();
    plan.notes.dedup();
    plan
}

fn draft(ctx: &Context<'_>, candidate: Candidate) -> Result<Draft, Rejection> {
    let rejection = |reason: ServiceReason, message: String| Rejection {
        key: candidate.key.clone(),
        product: candidate.product,
        custom: candidate.custom.clone(),
        trust: candidate.trust,
        reason,
        message,
    };
    let (endpoint, product) = match (candidate.verdict, candidate.product) {
        (Verdict::Chosen(endpoint), Some(product)) => (endpoint, product),
        (Verdict::Rejected { reason, message }, _) => return Err(rejection(reason, message)),
        // Only a claim leads to an endpoint, and a claim names a product.
        (Verdict::Chosen(_), None) => {
            return Err(rejection(ServiceReason::NotEnoughEvidence, "nothing says what it is".to_owned()));
        }
    };
    let preferred = ctx.config.spec.detector(product).preferred;
    let is_it = |key: &ServiceKey| {
        preferred
            .iter()
            .position(|one| *one.namespace == *key.namespace && *one.name == *key.name)
            .unwrap_or(usize::MAX)
    };
    Ok(Draft {
        rank: PlanRank {
            tenant: candidate.trust == Trust::Tenant,
            preferred: is_it(&candidate.key),
            rank: candidate.rank,
        },
        off: None,
        state_said: false,
        tool: Tool {
            name: String::new(),
            chosen_name: candidate.tool_name,
            product,
            custom: candidate.custom,
            trust: candidate.trust,
            source: candidate.source,
            origin: Some(candidate.origin),
            endpoint,
            confidence: candidate.confidence,
            health: Health::Unknown,
            reason: ServiceReason::Selected,
            health_path: candidate.health_path,
            description: None,
            instructions: candidate.instructions,
            credentials: None,
            tenant_id: None,
            settings: crd_types::Settings::default(),
            key: Some(candidate.key),
        },
    })
}

/// Where an instance ranks among those of its product; the key makes the order total.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PlanRank {
    tenant: bool,
    preferred: usize,
    rank: Rank,
}

/// By product, custom type, rank, namespace and name.
fn rank(drafts: &mut [Draft]) {
    drafts.sort_by(|a, b| {
        let order = |draft: &Draft| (draft.tool.product, draft.tool.custom.clone(), draft.rank, draft.tool.key.clone());
        order(a).cmp(&order(b))
    });
}

fn apply_legacy(text: Option<&str>, drafts: &mut [Draft], notes: &mut Vec<Note>) {
    let Some(text) = text else { return };
    match legacy::parse(text) {
        Ok(layer) => notes.extend(overrides::apply_legacy(&layer, drafts)),
        Err(why) => notes.push(Note::new(
            Reason::LegacyOverridesInvalid,
            format!("key overrides.yaml of the ConfigMap is ignored: {why}; correct it, or move to spec.overrides and delete the key"),
        )),
    }
}

/// Off by an override first, because that is what its owner asked for; then health.
fn withheld(draft: &Draft, health: &HealthReport) -> Option<Rejection> {
    if let Some(by) = &draft.off {
        return Rejection::of(&draft.tool, ServiceReason::OverriddenOff, format!("{by} switches it off"));
    }
    let message = "none of its endpoints is serving; it enters the output as soon as one is (spec.health decides)";
    let withheld = draft.tool.key.as_ref().is_some_and(|key| health.of(key).withheld);
    withheld.then(|| Rejection::of(&draft.tool, ServiceReason::Unhealthy, message)).flatten()
}

/// Leaves the best ranked of every type whose `instances` is Single. `drafts` is in rank order.
fn keep_single(ctx: &Context<'_>, drafts: &mut Vec<Draft>, rejected: &mut Vec<Rejection>) {
    let mut first: BTreeMap<(Product, Option<String>), ServiceKey> = BTreeMap::new();
    drafts.retain(|draft| {
        let tool = &draft.tool;
        let (Some(key), Instances::Single) = (&tool.key, ctx.config.spec.detector(tool.product).instances) else {
            return true;
        };
        let winner = first.entry((tool.product, tool.custom.clone())).or_insert_with(|| key.clone());
        if winner == key {
            return true;
        }
        let message = format!(
            "instances is Single and {winner} ranks higher; name another one under preferred, or set instances: All"
        );
        rejected.extend(Rejection::of(tool, ServiceReason::LostToPreferred, message));
        false
    });
}

/// Adds `spec.tools`, behind the discovered tools of the same product.
fn add_static(ctx: &Context<'_>, plan: &mut Plan) {
    for spec in &ctx.config.spec.tools {
        match Endpoint::of_url(&spec.endpoint) {
            Ok(endpoint) => {
                let tool = static_tool(spec, endpoint);
                plan.notes.extend(agent::note_unsupported(&tool, &format!("tool {}", spec.name)));
                plan.tools.push(tool);
            }
            Err(why) => {
                let message = format!("tool {}: its endpoint {why}", spec.name);
                plan.notes.push(Note::new(Reason::OverrideUnmatched, message));
            }
        }
    }
    plan.tools.sort_by(|a, b| (a.product, &a.custom, a.key.is_none()).cmp(&(b.product, &b.custom, b.key.is_none())));
}

fn static_tool(spec: &StaticTool, endpoint: Endpoint) -> Tool {
    Tool {
        key: None,
        name: String::new(),
        chosen_name: Some(spec.name.clone()),
        product: spec.type_,
        custom: spec.custom_type.clone(),
        trust: Trust::Trusted,
        source: String::new(),
        origin: None,
        endpoint,
        confidence: Confidence::High,
        health: Health::Unknown,
        reason: ServiceReason::Selected,
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

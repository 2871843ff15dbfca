//! Removes from an output the tools that the spec excludes, while no plan can be made from the index.
//!
//! After a restart, Services may be forbidden before they were listed once. Then the output is the only record of what
//! was found. Its discovered tools are read back and judged by namespace, Service and type. Those that the spec does
//! not exclude are planned and rendered as always, so overrides, credentials, `spec.tools` and the base file are as the
//! present spec says. No Service is added.

mod judge;
mod listed;

use std::collections::BTreeSet;

use crd_types::{ToolsetConfig, Trust};
use detectors::{Rank, ServiceKey};

pub use self::listed::{Data, planned_before, services};
use self::{
    judge::{Judgement, judge},
    listed::ListedTool,
};
use crate::{
    config_map::LEGACY_OVERRIDES_KEY,
    health::HealthReport,
    index::Index,
    plan::plan,
    render::{Base, Rendered, grafana_key, render},
    select::{
        Context,
        candidate::{Candidate, CandidateOutcome, Selection},
        claim::Origin,
    },
};

/// An output without the tools that the spec excludes.
#[derive(Clone, Debug)]
pub struct Reduced {
    /// The content of the `ConfigMap`.
    pub rendered: Rendered,
    /// The Services whose tools are left.
    pub left: BTreeSet<ServiceKey>,
    /// The Services whose tools were removed.
    pub removed: BTreeSet<ServiceKey>,
    /// The Services whose types the output does not show, so the spec may exclude them. They stay.
    pub unsure: BTreeSet<ServiceKey>,
}

/// Removes from an output the tools that the spec excludes. `config` has its last status, and `data` is that of the
/// `ConfigMap`.
///
/// Fails with the name of a tool that cannot be read back. Then nothing can be removed.
pub fn reduce(
    config: &ToolsetConfig,
    cluster_domain: &str,
    data: &Data,
    base: Option<Base<'_>>,
) -> Result<Reduced, String> {
    let base_text = match base {
        Some(Base::Text(text)) => Some(text),
        Some(Base::Missing(_)) | None => None,
    };
    let listed = listed::tools(config, cluster_domain, data, base_text)?;
    let before: BTreeSet<ServiceKey> = listed.iter().map(|tool| tool.key.clone()).collect();
    let mut unsure = BTreeSet::new();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut order: Vec<usize> = listed.iter().map(|tool| tool.place).collect();
    order.sort_unstable();
    for tool in listed {
        if let Judgement::Stays { source, unsure: is_unsure } = judge(config, &tool) {
            if is_unsure {
                unsure.insert(tool.key.clone());
            }
            let place = order.partition_point(|place| *place < tool.place);
            candidates.extend(candidate(config, tool, source, place));
        }
    }
    candidates.sort_by(|a, b| a.key.cmp(&b.key));
    let ctx = Context { config, cluster_domain };
    let legacy = data.get(LEGACY_OVERRIDES_KEY).map(|text| &**text);
    let selection = Selection { candidates };
    let mut plan = plan(&ctx, &Index::default(), selection, &HealthReport::unknown(), legacy);
    let previous = data.get(&*grafana_key(config)).map(|text| &**text);
    let rendered = render(config, &mut plan, base, previous);
    let left: BTreeSet<ServiceKey> = plan.tools.into_iter().filter_map(|tool| tool.key).collect();
    Ok(Reduced { rendered, removed: before.difference(&left).cloned().collect(), left, unsure })
}

fn candidate(config: &ToolsetConfig, tool: ListedTool, source: String, place: usize) -> Option<Candidate> {
    let (product, custom) = tool.types.into_iter().next()?;
    // A signature gives its instructions to every Service of its type.
    let signature = config.spec.signatures.iter().find(|one| custom.is_some() && one.custom_type == custom);
    Some(Candidate {
        key: tool.key,
        product: Some(product),
        custom,
        // A Tenant's tool stays a Tenant's tool, because only part of its Service was checked.
        source: if tool.trust == Trust::Tenant { tool.source } else { source },
        trust: tool.trust,
        confidence: tool.confidence,
        origin: Origin::Rules,
        rank: Rank { bundled: false, tier: u8::try_from(place).unwrap_or(u8::MAX) },
        created: 0,
        tool_name: tool.chosen_name,
        health_path: tool.health_path,
        needs_slices_of: None,
        instructions: signature.and_then(|signature| signature.instructions.clone()),
        outcome: CandidateOutcome::Chosen(tool.endpoint),
    })
}

#[cfg(test)]
mod tests;

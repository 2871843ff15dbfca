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
use detectors::{Assumed, Auth, Rank, ServiceKey};

pub use self::listed::{Data, identified, planned_before, remembered, services};
use self::{
    judge::{Judgement, judge},
    listed::{ListedTool, service_of},
};
use crate::{
    config_map::LEGACY_OVERRIDES_KEY,
    health::HealthReport,
    index::Index,
    plan::plan,
    render::{Base, Before, Earlier, Elsewhere, Rendered, grafana_key, render},
    select::{
        Context,
        candidate::{Candidate, CandidateOutcome, Selection},
        claim::Origin,
        remembered::Parts,
    },
    tool::Tool,
    wanted::{Fate, excludes},
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
/// `ConfigMap`. `elsewhere` is what other ToolsetConfigs keep in Grafana.
///
/// Fails with the name of a tool that cannot be read back. Then nothing can be removed.
pub fn reduce(
    config: &ToolsetConfig,
    cluster_domain: &str,
    data: &Data,
    base: Option<Base<'_>>,
    elsewhere: Option<&Elsewhere>,
) -> Result<Reduced, String> {
    let base_text = match base {
        Some(Base::Text(text)) => Some(text),
        Some(Base::Missing(_)) | None => None,
    };
    let (listed, mut unsure) = listed::tools(config, cluster_domain, data, base_text)?;
    let before: BTreeSet<ServiceKey> = listed.iter().map(|tool| tool.key.clone()).collect();
    unsure.retain(|key| !excludes(config, key));
    let mut excluded = BTreeSet::new();
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut order: Vec<usize> = listed.iter().map(|tool| tool.place).collect();
    order.sort_unstable();
    for tool in listed {
        match judge(config, &tool) {
            Judgement::Stays { source, types } => {
                if types.len() < tool.types.len() {
                    unsure.insert(tool.key.clone());
                }
                let place = order.partition_point(|place| *place < tool.place);
                candidates.extend(candidate(config, ListedTool { types, ..tool }, source, place));
            }
            Judgement::Goes => _ = excluded.insert(tool.key),
        }
    }
    candidates.sort_by(|a, b| a.key.cmp(&b.key));
    let ctx = Context { config, cluster_domain };
    let legacy = data.get(LEGACY_OVERRIDES_KEY).map(|text| &**text);
    let selection = Selection { candidates };
    let mut plan = plan(&ctx, &Index::default(), selection, &HealthReport::unknown(), legacy);
    let rendered = {
        let text = data.get(&*grafana_key(config)).map(|text| &**text);
        // Whether a Service still exists is not known.
        let earlier = text.map(|text| Earlier { text, is_loaded: false, elsewhere, unseen: &|_| true });
        let is_unwanted = |key: &ServiceKey| excluded.contains(key) || !before.contains(key) && excludes(config, key);
        let fate = |key: &ServiceKey| if is_unwanted(key) { Fate::Unwanted } else { Fate::Open };
        // Which of the others is the best, the output does not show.
        let can_fill = |variable: &str, tool: &Tool| {
            let named = data.get(variable).and_then(|url| service_of(url, cluster_domain));
            named.is_some() && named == tool.key
        };
        let before = Before { earlier, fate: &fate, can_fill: Some(&can_fill) };
        render(config, &mut plan, base, Some(&before))
    };
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
        decided_by: String::new(),
        by_port_alone: false,
        auth: Auth::Unknown,
        assumed: Assumed::NOTHING,
        is_overridden: false,
        ambiguous_pods: false,
        from_pods: Parts::NOTHING,
        from_identity: Parts::NOTHING,
        identity: String::new(),
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

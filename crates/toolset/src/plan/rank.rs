//! The order of the instances of a product, and which of them is taken where only one is wanted.

use std::collections::BTreeMap;

use crd_types::{Instances, ServiceReason, ToolsetConfig};
use detectors::{Product, ServiceKey};

use super::planned::PlannedTool;
use crate::tool::{Rejection, Tool};

/// Sorts by product, custom type, precedence, namespace and name.
pub(super) fn sort(planned: &mut [PlannedTool]) {
    planned.sort_by(|a, b| place(&a.tool).cmp(&place(&b.tool)));
}

fn place(tool: &Tool) -> impl Ord + '_ {
    (tool.product, &tool.custom, tool.precedence, &tool.key)
}

/// Leaves the best ranked of every type whose `instances` is Single. `planned` is in rank order.
pub(super) fn keep_single(config: &ToolsetConfig, planned: &mut Vec<PlannedTool>, rejected: &mut Vec<Rejection>) {
    let single = |product: Product| config.spec.detector(product).instances == Instances::Single;
    let mut first: BTreeMap<(Product, Option<String>), ServiceKey> = BTreeMap::new();
    planned.retain(|PlannedTool { tool, .. }| {
        let Some(key) = tool.key.as_ref().filter(|_| single(tool.product)) else { return true };
        let winner = first.entry((tool.product, tool.custom.clone())).or_insert_with(|| key.clone());
        if winner == key {
            return true;
        }
        let message = format!(
            "Service {winner} is preferred, because spec.detectors[type={product}].instances is Single and {winner} ranks higher. To use this Service instead, list it first in spec.detectors[type={product}].preferred. To use every instance, set instances to All.",
            product = tool.product
        );
        rejected.extend(Rejection::of(tool, ServiceReason::LostToPreferred, message));
        false
    });
}

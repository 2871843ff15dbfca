//! Whether the spec excludes a tool, by what the output says about the tool. Overrides are not judged here, because the
//! plan applies them.

use crd_types::{State, ToolsetConfig};
use detectors::Product;

use super::listed::ListedTool;
use crate::wanted::{is_switched_off, possible_source};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It stays, with the source that selects it now.
    Stays {
        source: String,
        /// What it can be, without the types that the spec excludes.
        types: Vec<(Product, Option<String>)>,
    },
    /// The spec excludes it.
    Goes,
}

pub(super) fn judge(config: &ToolsetConfig, listed: &ListedTool) -> Judgement {
    let Some(source) = possible_source(config, &listed.key, listed.trust) else { return Judgement::Goes };
    let taken = |(product, custom): &(Product, Option<String>)| {
        let detector = config.spec.detector(*product);
        detector.state == State::Disabled
            || listed.confidence < detector.min_confidence
            || is_switched_off(config, &listed.key, *product, custom.as_deref())
    };
    let types: Vec<_> = listed.types.iter().filter(|type_| !taken(type_)).cloned().collect();
    if types.is_empty() {
        return Judgement::Goes;
    }
    Judgement::Stays { source: source.name.clone(), types }
}

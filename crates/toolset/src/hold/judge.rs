//! Whether the spec excludes a tool, by what the output says about the tool. Overrides are not judged here, because the
//! plan applies them.

use crd_types::{NamespacesFrom, Source, State, ToolsetConfig, Trust};
use detectors::Product;

use super::listed::ListedTool;
use crate::{plan::overrides::override_matches, select::source::covers};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It stays, with the source that selects it now.
    Stays {
        source: String,
        /// Whether it may be of a type that the spec excludes.
        unsure: bool,
    },
    /// The spec excludes it.
    Goes,
}

pub(super) fn judge(config: &ToolsetConfig, listed: &ListedTool) -> Judgement {
    let Some(source) = source(config, listed) else { return Judgement::Goes };
    let taken = |(product, custom): &(Product, Option<String>)| {
        let detector = config.spec.detector(*product);
        detector.state == State::Disabled
            || listed.confidence < detector.min_confidence
            || is_switched_off(config, listed, *product, custom.as_deref())
    };
    let count = listed.types.iter().filter(|type_| taken(type_)).count();
    if count == listed.types.len() {
        return Judgement::Goes;
    }
    Judgement::Stays { source: source.name.clone(), unsure: count > 0 }
}

/// The first source that can select the Service and does not trust it less than before. A source that selects by labels
/// may do so, because the labels have never been seen. A source that trusts it less cannot keep the tool, because a
/// Tenant's Service has to opt in, and nothing says that this one does.
fn source<'a>(config: &'a ToolsetConfig, listed: &ListedTool) -> Option<&'a Source> {
    let own = config.metadata.namespace.as_deref();
    for source in &config.spec.sources {
        let by_namespace_labels = source.namespaces.from == NamespacesFrom::Selector;
        if !by_namespace_labels && !covers(source, own, &listed.key.namespace, None) {
            continue;
        }
        let trusts_less = source.trust == Trust::Tenant && listed.trust == Trust::Trusted;
        let by_labels = by_namespace_labels || source.service_selector.is_some();
        match (trusts_less, by_labels) {
            (false, _) => return Some(source),
            // If the labels match, the spec excludes the tool. The labels have never been seen, so the next source
            // decides.
            (true, true) => {}
            (true, false) => return None,
        }
    }
    None
}

/// Whether the overrides switch a tool of this type off. A later one wins.
fn is_switched_off(config: &ToolsetConfig, listed: &ListedTool, product: Product, custom: Option<&str>) -> bool {
    let mut states = config.spec.overrides.iter().filter_map(|rule| Some((rule, rule.state?)));
    let deciding = states.rfind(|(rule, _)| override_matches(rule, &listed.key, Some(product), custom));
    deciding.is_some_and(|(_, state)| state == State::Disabled)
}

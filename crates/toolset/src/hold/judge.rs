//! Whether the spec takes a tool away, by what the output says of the tool.

use crd_types::{NamespacesFrom, Override, State, ToolsetConfig, Trust};
use detectors::ServiceKey;

use crate::{listed_tool::ListedTool, plan::overrides::override_matches, select::source::covers};

/// The result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// The spec does not take it away, or what decides about it has never been seen.
    Stays,
    /// The spec takes it away.
    Goes,
    /// The spec takes away one of the types that it can be of.
    Unknown,
}

/// Whether something is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Yes,
    No,
    Maybe,
}

impl Known {
    /// Whether it is true of all, of none or of some.
    fn of(mut each: impl Iterator<Item = bool> + Clone) -> Self {
        match (each.clone().any(|one| one), each.all(|one| one)) {
            (true, true) => Self::Yes,
            (false, _) => Self::No,
            (true, false) => Self::Maybe,
        }
    }
}

/// Judges one tool.
pub(super) fn judge(config: &ToolsetConfig, listed: &ListedTool) -> Judgement {
    let Some(key) = &listed.key else { return judge_own(config, listed) };
    if source_takes_away(config, key, listed.trust) || loses_credentials(config, key, listed) {
        return Judgement::Goes;
    }
    let disabled = |(product, _): &(_, _)| config.spec.detector(*product).state == State::Disabled;
    match (Known::of(listed.types.iter().map(disabled)), switched_off(config, key, listed)) {
        (Known::Yes, _) | (_, Known::Yes) => Judgement::Goes,
        (Known::No, Known::No) => Judgement::Stays,
        _ => Judgement::Unknown,
    }
}

/// A tool that is no Service of the cluster. Only `toolset.json` says which of them are from `spec.tools`.
fn judge_own(config: &ToolsetConfig, listed: &ListedTool) -> Judgement {
    let is_listed = config.spec.tools.iter().any(|tool| same_url(&tool.endpoint, &listed.url));
    match listed.trust {
        Some(_) if !is_listed => Judgement::Goes,
        _ => Judgement::Stays,
    }
}

fn same_url(spec: &str, written: &str) -> bool {
    crate::Endpoint::of_url(spec).is_ok_and(|endpoint| endpoint.to_string() == written)
}

/// Whether no source selects the Service any more, or only one that trusts it less. A source that selects by labels may
/// select it, because the labels have never been seen.
fn source_takes_away(config: &ToolsetConfig, key: &ServiceKey, trust: Option<Trust>) -> bool {
    let own = config.metadata.namespace.as_deref();
    for source in &config.spec.sources {
        let by_namespace_labels = source.namespaces.from == NamespacesFrom::Selector;
        if !by_namespace_labels && !covers(source, own, &key.namespace, None) {
            continue;
        }
        if by_namespace_labels || source.service_selector.is_some() {
            return false;
        }
        // A Tenant's Service has to opt in, and nothing says that this one does.
        return source.trust == Trust::Tenant && trust == Some(Trust::Trusted);
    }
    true
}

/// Whether it carries credentials that the spec no longer gives it.
fn loses_credentials(config: &ToolsetConfig, key: &ServiceKey, listed: &ListedTool) -> bool {
    let gives = |rule: &Override| rule.credentials.is_some() && matches(rule, key, listed) != Known::No;
    listed.credentials && !config.spec.overrides.iter().any(gives)
}

/// Whether the overrides switch it off. A later one wins.
fn switched_off(config: &ToolsetConfig, key: &ServiceKey, listed: &ListedTool) -> Known {
    let mut off = Known::No;
    for rule in &config.spec.overrides {
        let Some(state) = rule.state else { continue };
        let wanted = if state == State::Disabled { Known::Yes } else { Known::No };
        off = match matches(rule, key, listed) {
            Known::Yes => wanted,
            Known::Maybe if off != wanted => Known::Maybe,
            Known::Maybe | Known::No => off,
        };
    }
    off
}

fn matches(rule: &Override, key: &ServiceKey, listed: &ListedTool) -> Known {
    Known::of(
        listed.types.iter().map(|(product, custom)| override_matches(rule, key, Some(*product), custom.as_deref())),
    )
}

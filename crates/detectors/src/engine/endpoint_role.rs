//! Which of a product's endpoint roles a Service has.

use super::{
    conclusion::OtherRole,
    identities::Identities,
    other_programs,
    ports::{self, Fit},
    role::{COMPONENT_LABEL, stated_role},
    rule::{EndpointRole, Rule},
    whole_words,
};
use crate::finding::EvidenceKind;

/// The endpoint role with this value.
pub(crate) fn endpoint_role(rule: &'static Rule, value: &str) -> Option<&'static EndpointRole> {
    rule.endpoints.iter().find(|endpoint| whole_words::contains(endpoint.roles, value))
}

/// The role of the Service: the stated one, else the one after the product's name (`thanos-query`), else the one of
/// Services that state none.
///
/// A port that is named after the part that answers queries decides against a stated role: the OpenTelemetry operator
/// calls Jaeger v2 a collector.
///
/// Under the recommended label (`strict`) an unknown value is another role. Under other keys people write many things,
/// so there it is one only if its words name a component. The Service's name counts only if `by_name`.
pub(crate) fn role_of<'a>(
    rule: &'static Rule,
    identities: &Identities<'a>,
    strict: bool,
    by_name: bool,
) -> Result<&'static EndpointRole, OtherRole<'a>> {
    if let Some(stated) = stated_role(identities.view, rule) {
        if let Some(endpoint) = endpoint_role(rule, stated.value) {
            return Ok(endpoint);
        }
        let unknown = strict && stated.key == COMPONENT_LABEL && !rule.free_roles && !stated.is_neutral(rule);
        let has_query_port = || ports::named_after_query(identities.view, rule).is_some();
        if (other_programs::are_named_in(stated.value, rule)
            || (unknown && !whole_words::has_sequence(stated.value, rule.name_words)))
            && !has_query_port()
        {
            return Err(OtherRole::Stated(stated));
        }
    }
    let default = || if rule.name_words_need_role { None } else { default_role(rule, identities) };
    mentioned_role(rule, identities, by_name).or_else(default).ok_or(OtherRole::NotStated)
}

/// The endpoint role that an identity mentions: the text after the product's name in `thanos-query`, or all of
/// `vmselect`.
pub(crate) fn mentioned_role(
    rule: &'static Rule,
    identities: &Identities<'_>,
    by_name: bool,
) -> Option<&'static EndpointRole> {
    let mentioning =
        || identities.mentioning(rule.product).filter(move |identity| by_name || identity.kind != EvidenceKind::Name);
    let after_name = mentioning().find_map(|identity| endpoint_role(rule, identity.mention.rest()));
    after_name.or_else(|| mentioning().find_map(|identity| endpoint_role(rule, identity.value)))
}

/// The endpoint role of a Service that states none: the first whose own port exists, else the first.
fn default_role(rule: &'static Rule, identities: &Identities<'_>) -> Option<&'static EndpointRole> {
    let endpoints = || rule.endpoints.iter().filter(|endpoint| endpoint.role_optional);
    let has_own_port = |endpoint: &&EndpointRole| {
        ports::choose(identities.view, &endpoint.ports, rule).is_some_and(|choice| choice.fit >= Fit::Typical)
    };
    endpoints().find(has_own_port).or_else(|| endpoints().next())
}

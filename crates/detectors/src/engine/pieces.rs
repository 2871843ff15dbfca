//! The independent pieces of evidence that a Service is a product, and what they are worth together.
//!
//! Labels and selector are usually written together, so they are one piece. The Service's name, the chart, the role and
//! the port are others. The confidence is a function of the pieces, and `explain` shows the same ones.

use super::{
    closeness::{Closeness, closeness, foreign_word},
    identities::{Chart, Identities, Identity, NAME_LABEL},
    ports::{self, Choice, Fit},
    role::{Role, stated_role},
    rule::{Ports, Rule},
    whole_words,
};
use crate::{finding::EvidenceKind, product::Confidence, view::ServiceView};

/// The pieces of evidence that a Service is a product, without its port.
pub(crate) struct Pieces<'f, 'a> {
    /// The label or selector entry that is closest to the product's name.
    metadata: Option<(&'f Identity<'a>, Closeness)>,
    /// The Service's name.
    name: Option<(&'f Identity<'a>, Closeness)>,
    chart: Option<Chart<'a>>,
    /// A role that answers queries, as the Service states it.
    role: Option<Role<'a>>,
}

impl<'f, 'a> Pieces<'f, 'a> {
    pub(crate) fn of(rule: &Rule, identities: &'f Identities<'a>) -> Self {
        let view = identities.view;
        let (mut metadata, mut name) = (None, None);
        let is_about = |identity: &&Identity<'a>| {
            identity.mention.product() == Some(rule.product) || identity.exact_name(rule).is_some()
        };
        for identity in identities.iter().filter(is_about) {
            let closeness = closeness(rule, view, identity);
            let piece = if identity.kind == EvidenceKind::Name { &mut name } else { &mut metadata };
            if piece.is_none_or(|(_, best)| best < closeness) {
                *piece = Some((identity, closeness));
            }
        }
        let answers_queries = |stated: &Role<'a>| {
            rule.endpoints.iter().any(|endpoint| whole_words::contains(endpoint.roles, stated.value))
        };
        Self { metadata, name, chart: identities.chart_of(rule), role: stated_role(view, rule).filter(answers_queries) }
    }

    /// The word that makes the Service look like another program beside the product. `None` if a piece is the product's
    /// own name.
    pub(crate) fn other_program(&self, rule: &Rule, view: &ServiceView) -> Option<(&'f Identity<'a>, &'a str)> {
        if self.chart.is_some() || self.closest() > Some(Closeness::Extended) {
            return None;
        }
        let mut both = [self.metadata, self.name].into_iter().flatten();
        both.find_map(|(identity, _)| Some((identity, foreign_word(rule, view, &identity.mention)?)))
    }

    /// The word before the product's name that names an owner or a program that works with the product, which one nobody
    /// knows. `None` if a piece leaves no room for it.
    pub(crate) fn owner(&self) -> Option<(&'f Identity<'a>, &'a str)> {
        if self.chart.is_some() || self.closest() > Some(Closeness::Owned) {
            return None;
        }
        let mut both = [self.metadata, self.name].into_iter().flatten();
        both.find_map(|(identity, _)| Some((identity, identity.mention.before().next()?)))
    }

    /// How sure it is that the Service is the product and answers on this port.
    pub(crate) fn confidence(&self, choice: &Choice<'_>, ports: &Ports, rule: &Rule) -> Confidence {
        let has_name = || self.closest() > Some(Closeness::Extended) || self.chart.is_some();
        let agree = match choice.fit {
            // Programs that work with a product take over its number more often than the name of its port.
            Fit::Own => has_name() || ports::has_paired_name(choice.port, rule),
            Fit::Typical => has_name(),
            // A usual port is no piece, so there must be two others. Charts put a web server in front of the product
            // (openstack-helm). What people write by hand and leads to another number is another program.
            Fit::Usual => self.are_exact() && (self.are_by_chart() || !ports::leads_elsewhere(choice.port, ports)),
            Fit::FrontDoor | Fit::Scraped => self.are_two(),
        };
        if agree { Confidence::Medium } else { Confidence::Low }
    }

    /// Whether two pieces agree, one of which is a name of the product and nothing else.
    fn are_exact(&self) -> bool {
        let exact = self.metadata.is_some_and(|(_, closeness)| closeness == Closeness::Exact);
        (exact || self.chart.is_some()) && (self.is_named() || self.role.is_some() || exact && self.chart.is_some())
    }

    /// Whether two pieces agree, one of which leaves no room for another program.
    pub(crate) fn are_two(&self) -> bool {
        let here = self.metadata.is_some_and(|(_, closeness)| closeness >= Closeness::OwnedHere);
        self.are_exact() || here && self.is_named()
    }

    /// Whether labels or selector, the Service's name and a port agree.
    pub(crate) fn agree_with_a_port(&self, rule: &Rule, view: &ServiceView) -> bool {
        let by_metadata = self.metadata.is_some_and(|(_, closeness)| closeness > Closeness::Extended);
        by_metadata && self.is_named() && ports::agree(view, rule)
    }

    /// The pieces other than the Service's name.
    pub(crate) fn without_name(self) -> Self {
        Self { name: None, ..self }
    }

    /// These pieces as text, e.g. `selector app=prometheus`. The strongest comes first.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        all.extend(self.metadata.map(|(identity, _)| identity.to_string()));
        all.extend(self.name.map(|(identity, _)| identity.to_string()));
        all.extend(self.chart.map(|chart| chart.to_string()));
        all.extend(self.role.map(|role| format!("role {}={}", role.key, role.value)));
        all
    }

    fn closest(&self) -> Option<Closeness> {
        [self.metadata, self.name].into_iter().flatten().map(|(_, closeness)| closeness).max()
    }

    /// Whether the Service's name is the product's, and not that of a program beside it.
    fn is_named(&self) -> bool {
        self.name.is_some_and(|(_, closeness)| closeness > Closeness::Extended)
    }

    /// Whether a chart wrote the labels or the selector, by the recommended key or its own name.
    fn are_by_chart(&self) -> bool {
        self.chart.is_some() || self.metadata.is_some_and(|(identity, _)| identity.key == NAME_LABEL)
    }
}

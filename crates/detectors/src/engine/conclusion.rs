//! What a Service is by the rule of one product, and on what that is based.

use std::{borrow::Cow, fmt};

use super::{
    identities::Identity,
    ports::Choice,
    role::Role,
    rule::{EndpointRole, Ports, Shape},
};
use crate::{
    finding::EvidenceKind,
    product::{Confidence, Product},
    view::PortView,
};

/// What a Service is by the rule of one product.
pub(crate) struct Assessment<'a> {
    pub basis: Basis,
    pub conclusion: Conclusion<'a>,
}

/// What the conclusion is based on.
#[derive(Clone, Copy)]
pub(crate) enum Basis {
    /// The shape that a chart or an operator creates.
    Shape(&'static Shape),
    /// A label is exactly a name of the product.
    ExactName,
    /// Identities or the chart mention the product.
    Mention,
    /// The number or the name of a port.
    Port,
    /// There is no evidence.
    Nothing,
}

pub(crate) enum Conclusion<'a> {
    NotTheProduct(Mismatch<'a>),
    /// The product, in a role that answers no queries.
    OtherRole(OtherRole<'a>),
    /// An endpoint role, but none of the ports that it needs.
    NoPort(&'a Ports, Confidence),
    Endpoint {
        endpoint: &'static EndpointRole,
        choice: Choice<'a>,
        confidence: Confidence,
    },
    /// Only the port is evidence for the product.
    Candidate {
        endpoint: &'static EndpointRole,
        port: &'a PortView,
        /// The other port of a pair that only the product has.
        beside: Option<&'a PortView>,
    },
}

/// Why a Service is not the product.
pub(crate) enum Mismatch<'a> {
    /// Nothing mentions the product.
    NotMentioned,
    /// This word makes the identity the name of another program.
    OtherProgram(Identity<'a>, &'a str),
    /// The identity mentions another product.
    OtherProduct(Identity<'a>, Product),
    /// `app.kubernetes.io/name` is the name of another program.
    OtherNameLabel,
}

impl Mismatch<'_> {
    /// Where the evidence against the product comes from, if there is any.
    pub(crate) fn kind(&self) -> Option<EvidenceKind> {
        match self {
            Self::NotMentioned => None,
            Self::OtherProgram(identity, _) | Self::OtherProduct(identity, _) => Some(identity.kind),
            Self::OtherNameLabel => Some(EvidenceKind::Label),
        }
    }
}

impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotMentioned => f.write_str("nothing in the Service mentions it"),
            Self::OtherProgram(identity, word) => write!(f, "`{word}` in {identity} names another program"),
            Self::OtherProduct(identity, product) => write!(f, "{identity} names {product}"),
            Self::OtherNameLabel => f.write_str("app.kubernetes.io/name names another program"),
        }
    }
}

/// A role that answers no queries.
pub(crate) enum OtherRole<'a> {
    /// As a shape describes it.
    OfShape(&'static str),
    /// As the Service states it.
    Stated(Role<'a>),
    /// Unknown, because all components have the name and the Service states no role.
    NotStated,
    /// All of its ports are those that instances use among themselves.
    Peers,
}

impl OtherRole<'_> {
    /// A description for people.
    pub(crate) fn description(&self) -> Cow<'static, str> {
        match self {
            Self::OfShape(text) => Cow::Borrowed(text),
            Self::Stated(role) => Cow::Owned(role.value.to_owned()),
            Self::NotStated => Cow::Borrowed("a component without a role in its labels"),
            Self::Peers => Cow::Borrowed("a Service with only internal ports"),
        }
    }
}

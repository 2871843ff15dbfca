//! [`PodFacts`]: what the Pods behind a Service say about its ports. Only this is kept of a Pod.

use std::borrow::Cow;

use super::program::If;
use crate::{
    finding::Auth,
    product::{Product, Scheme},
};

/// What the Pods behind one Service say about its ports. It depends on the Service's ports and on the Pods' specs, and
/// holds no text of a Pod except a checked path and the names of containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodFacts {
    /// The TCP ports of which something is known, in the Service's order.
    pub(crate) ports: Box<[PortFacts]>,
}

/// What answers on one TCP port of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortFacts {
    /// The number of the Service's port.
    pub port: u16,
    pub leads_to: LeadsTo,
}

/// The program behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeadsTo {
    /// One that no table knows. Only the scheme can be known, from a probe of that port.
    Unknown { scheme: Option<Known<Scheme>> },
    /// One that is no product.
    Other { program: &'static str, by: Identified },
    /// A product.
    Product(Box<Running>),
}

/// A product behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Running {
    pub product: Product,
    pub by: Identified,
    /// The proxy between the port and the product.
    pub behind: Option<&'static str>,
    /// `None` if nothing shows it, or if Pods differ.
    pub role: Option<Role>,
    pub query_port: QueryPort,
    /// `None` if a file decides, or if Pods differ. So for the other two.
    pub scheme: Option<Known<Scheme>>,
    /// `""`, or an absolute path without a trailing slash.
    pub path: Option<Known<Cow<'static, str>>>,
    pub auth: Option<Known<Auth>>,
}

/// What identifies a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identified {
    pub how: How,
    /// The name of the container, if it is a valid one.
    pub container: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The last path component of the image.
    Image(&'static str),
    /// A word in that component.
    ImageWord(&'static str),
    /// Two marks of the container, such as flags that only this program has.
    Marks(&'static If, &'static If),
    /// One mark, and the name of the container.
    MarkAndName(&'static If),
    /// A proxy whose configuration is in a file stands before the only product of the Pod.
    BehindProxy(&'static str),
    /// A program that no table knows passes requests to the product, as a flag of it says.
    BehindUnknown,
    /// A proxy passes requests to a Service with this product's name.
    Upstream,
}

/// The role of a product's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It answers queries.
    Answers {
        role: &'static str,
        /// Whether a setting states it. Else it is the only or the usual one.
        stated: bool,
    },
    /// It answers no queries.
    Silent(&'static str),
}

/// Whether the product answers queries on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueryPort {
    /// Another protocol of the product.
    No,
    /// A file can decide so.
    Possible,
    /// The product listens there, by a setting or by default.
    Yes,
}

/// A fact, and whether it is certain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known<T> {
    pub value: T,
    pub proof: Proof,
}

/// Why a fact is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// These settings state it.
    Settings(&'static [If]),
    /// A probe on that port.
    Probe,
    /// The product's default, which nothing changes.
    Default,
    /// The product's default, which something unseen can change.
    Usual,
}

impl<T> Known<T> {
    /// Whether the fact is more than usual.
    pub(crate) fn is_proven(&self) -> bool {
        self.proof != Proof::Usual
    }
}

impl PodFacts {
    /// The facts in which the Pods of several controllers agree, and whether they disagree in any.
    pub fn agreed(all: &[PodFacts]) -> (PodFacts, bool) {
        let Some((first, others)) = all.split_first() else { return (PodFacts::default(), false) };
        let mut differ = false;
        let mut ports = first.ports.to_vec();
        for other in others {
            differ |= other.ports.iter().any(|port| !ports.iter().any(|own| own.port == port.port));
            ports = ports.into_iter().filter_map(|port| port.agreed(other, &mut differ)).collect();
        }
        (PodFacts { ports: ports.into_boxed_slice() }, differ)
    }
}

impl PortFacts {
    /// What `other` agrees with.
    fn agreed(self, other: &PodFacts, differ: &mut bool) -> Option<Self> {
        let leads_to = match other.ports.iter().find(|port| port.port == self.port).map(|port| &port.leads_to) {
            None => None,
            Some(theirs) => agreed(self.leads_to, theirs, differ),
        };
        *differ |= leads_to.is_none();
        Some(Self { port: self.port, leads_to: leads_to? })
    }
}

fn agreed(ours: LeadsTo, theirs: &LeadsTo, differ: &mut bool) -> Option<LeadsTo> {
    match (ours, theirs) {
        (LeadsTo::Unknown { mut scheme }, LeadsTo::Unknown { scheme: other }) => {
            agree(&mut scheme, other.as_ref(), differ);
            scheme.is_some().then_some(LeadsTo::Unknown { scheme })
        }
        (LeadsTo::Other { program, by }, LeadsTo::Other { program: other, .. }) => {
            *differ |= program != *other;
            Some(LeadsTo::Other { program, by })
        }
        (LeadsTo::Product(mut ours), LeadsTo::Product(theirs)) if ours.product == theirs.product => {
            ours.role = match (ours.role, theirs.role) {
                (ours, theirs) if ours == theirs => ours,
                // Nodes of several roles that all answer.
                (Some(Role::Answers { .. }), Some(Role::Answers { .. })) => {
                    Some(Role::Answers { role: "", stated: false })
                }
                _ => {
                    *differ = true;
                    None
                }
            };
            // The weaker identification counts, but it is no disagreement that matters to a user.
            if !matches!(theirs.by.how, How::Image(_)) {
                ours.by = theirs.by.clone();
            }
            ours.behind = ours.behind.or(theirs.behind);
            *differ |= ours.query_port != theirs.query_port;
            ours.query_port = ours.query_port.min(theirs.query_port);
            agree(&mut ours.scheme, theirs.scheme.as_ref(), differ);
            agree(&mut ours.path, theirs.path.as_ref(), differ);
            agree(&mut ours.auth, theirs.auth.as_ref(), differ);
            Some(LeadsTo::Product(ours))
        }
        _ => None,
    }
}

/// Keeps a fact that both have. It is only usual if it is usual for one of them.
fn agree<T: PartialEq>(ours: &mut Option<Known<T>>, theirs: Option<&Known<T>>, differ: &mut bool) {
    match (&mut *ours, theirs) {
        (Some(known), Some(other)) if known.value == other.value => {
            if !other.is_proven() {
                known.proof = Proof::Usual;
            }
        }
        (None, None) => {}
        _ => {
            *ours = None;
            *differ = true;
        }
    }
}

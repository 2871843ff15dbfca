//! [`PodFacts`]: what the Pods behind a Service say about its ports. Only this is kept of a Pod.

use std::borrow::Cow;

use super::program::{If, Role};
use crate::{
    finding::Auth,
    product::{Product, Scheme},
};

/// What the Pods behind one Service say about its ports. It depends on the Service's ports and on the Pods' specs, and
/// holds no text of a Pod except a checked path, the names of containers, and the checked names of images that no table
/// knows.
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
    /// Whether the container can listen there, as far as its ports and settings say.
    pub listens: bool,
    pub leads_to: LeadsTo,
}

/// The program behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LeadsTo {
    /// One that no table knows.
    Unknown(Box<UnknownProgram>),
    /// One that is no product.
    Other { program: &'static str, by: Identified },
    /// A product.
    Product(Box<Running>),
}

/// A program that no table knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UnknownProgram {
    /// The name of the container, if it is a valid one.
    pub container: Option<Box<str>>,
    /// The last path component of the image, if it can be read and is that of a program.
    pub image: Option<Box<str>>,
    /// The products of which the container has a setting that only they have.
    pub marked: Vec<Product>,
    /// From a probe of that port.
    pub scheme: Option<Known<Scheme>>,
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

/// Whether the product answers queries on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum QueryPort {
    /// Another protocol of the product.
    No,
    /// Only the container's own list of ports says so, and only the image's name says that it is the product.
    Unlikely,
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
    /// The facts in which the Pods of several controllers agree, and whether they disagree in any. A Pod in which nothing
    /// listens on a port says nothing about it: that of another program can share a label.
    pub fn agreed(all: &[PodFacts]) -> (PodFacts, bool) {
        let mut numbers: Vec<u16> = Vec::new();
        for port in all.iter().flat_map(|facts| &facts.ports) {
            if !numbers.contains(&port.port) {
                numbers.push(port.port);
            }
        }
        let mut differ = false;
        let ports = numbers.into_iter().filter_map(|number| {
            let of_port = || all.iter().flat_map(|facts| &facts.ports).filter(move |port| port.port == number);
            let any_listens = of_port().any(|port| port.listens);
            let mut counting = of_port().filter(|port| port.listens == any_listens);
            let mut agreed = counting.next()?.clone();
            for other in counting {
                let leads_to = self::agreed(agreed.leads_to, &other.leads_to, &mut differ);
                differ |= leads_to.is_none();
                agreed.leads_to = leads_to?;
            }
            Some(agreed)
        });
        let ports = ports.collect();
        (PodFacts { ports }, differ)
    }
}

fn agreed(ours: LeadsTo, theirs: &LeadsTo, differ: &mut bool) -> Option<LeadsTo> {
    match (ours, theirs) {
        (LeadsTo::Unknown(mut ours), LeadsTo::Unknown(theirs)) => {
            agree(&mut ours.scheme, theirs.scheme.as_ref(), differ);
            // A program that can be the product speaks for it.
            if ours.image != theirs.image {
                ours.image = None;
            }
            let more = theirs.marked.iter().filter(|product| !ours.marked.contains(product));
            let more: Vec<Product> = more.copied().collect();
            ours.marked.extend(more);
            Some(LeadsTo::Unknown(ours))
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

//! The Pods behind a Service as evidence: the image names the program, its arguments and variables name its role, its
//! path prefix, its TLS and its authentication, and its probes confirm them.
//!
//! ```text
//! ServiceView + PodView ──► read ──► PodFacts ──► recognise_with_pods ──► Finding per product
//! ```

mod facts;
pub(crate) mod program;
mod view;

pub use self::{
    facts::PodFacts,
    view::{
        ContainerPortView, ContainerView, EnvSourceView, EnvView, ExecView, HttpGetView, MountView, PodView, ProbePort,
        ProbeView, TcpSocketView,
    },
};
use crate::{
    explain::explain,
    finding::{Explanation, Finding},
    recognise::recognise,
    view::ServiceView,
};

/// What a Pod behind a Service says about the Service's ports.
pub fn read(_view: &ServiceView, _pod: &PodView) -> PodFacts {
    PodFacts::default()
}

/// As [`recognise`], with what the Pods say. A fact of the Pods beats what the Service suggests, field by field.
pub fn recognise_with_pods(view: &ServiceView, _facts: &PodFacts) -> Vec<Finding> {
    recognise(view)
}

/// As [`explain`], with what the Pods say.
pub fn explain_with_pods(view: &ServiceView, _facts: &PodFacts) -> Vec<Explanation> {
    explain(view)
}

//! The Pods behind a Service as evidence: the image names the program, its arguments and variables name its role, its
//! path prefix, its TLS and its authentication, and its probes confirm them.
//!
//! ```text
//! ServiceView + PodView ──► read ──► PodFacts ──► recognise_with_pods ──► Finding per product
//! ```
//! Every product's file has a table with the facts about its Pods. The engine here applies them, and depends on no
//! product: `front.rs` finds the container that a port reaches, `identify.rs` the program in it, `container.rs` what its
//! settings say, `probes.rs` what its probes show, `decide.rs` combines it with what the Service says. `proxies.rs` and
//! `others.rs` list programs that are no product.

pub(crate) mod checked_path;
mod container;
mod decide;
mod explain;
pub(crate) mod facts;
mod foreign;
mod front;
mod identify;
mod image;
mod others;
mod probes;
pub(crate) mod program;
mod proxies;
mod read;
mod settings;
mod tables;
mod text;
mod view;

pub use self::{
    decide::recognise_with_pods,
    explain::explain_with_pods,
    facts::PodFacts,
    read::read,
    view::{
        ContainerPortView, ContainerView, EnvSourceView, EnvView, ExecView, HttpGetView, MountView, PodView, ProbePort,
        ProbeView, TcpSocketView,
    },
};

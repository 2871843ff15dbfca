//! The library of the behaviour tests.
//!
//! ```no_run
//! # async fn a_test() -> anyhow::Result<()> {
//! use e2e::harness::{prelude::*, services};
//!
//! scenario("new-service", async |world| {
//!     let apps = world.namespace("apps").await?;
//!     let agent = world.namespace("agent").await?;
//!     let _controller = world.start_controller(ControllerOptions::default()).await?;
//!     world.configure(&agent, "default", &trusted_names(&[&apps])).await?;
//!     let service = world.create(&services::prometheus_server(&apps)).await?;
//!     world.backend(&service).await?;
//!     world.tools(&agent, "prometheus-server is listed", |tools| tools.names() == ["prometheus-server"]).await?;
//!     Ok(())
//! })
//! .await
//! # }
//! ```
//!
//! A [`scenario`] has namespaces of its own on the control plane that all tests share; [`isolated`] has a control plane
//! of its own, for tests that stop the API server, take rights away, count requests or look at all namespaces. What
//! fails is reported with the ends of its controllers' logs.

mod account;
mod agent;
mod backend;
mod config;
mod controller;
mod history;
mod kubelet;
mod line;
pub mod net;
mod programs;
mod proxy;
mod records;
pub mod services;
mod shared;
mod wait;
mod world;

pub use self::{
    account::Account,
    agent::{FakeAgent, LibraryAgent, Reply},
    backend::Backend,
    config::{DEFAULT_CONFIG_MAP, Tools, condition, toolset_config, toolset_configs, trusted_names},
    controller::{Controller, ControllerOptions},
    history::{Moment, Step},
    kubelet::Kubelet,
    line::Line,
    programs::{kubectl_toolset, kubectl_toolset_program, toolset_controller_says},
    proxy::{ApiRequest, Applied, End, Exchange, Fault, Faults, FaultyProxy, Proxy, Traffic},
    records::{RecordsBehaviour, RecordsService},
    shared::cluster,
    wait::{DEADLINE, absent, eventually, holds, present, within},
    world::{World, isolated, scenario},
};
pub(crate) use self::{config::resource as toolset_config_resource, controller::Place, programs::program};

/// What nearly every test uses.
pub mod prelude {
    pub use super::{
        ControllerOptions, World, absent, condition, eventually, holds, isolated, present, scenario, toolset_config,
        toolset_configs, trusted_names, within,
    };
}

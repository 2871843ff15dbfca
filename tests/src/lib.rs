//! A real Kubernetes control plane without containers, and what tests, demo and benchmarks do with it.
//!
//! - [`controlplane`]: finds or builds the programs, starts them, ends them.
//! - [`harness`]: what the behaviour tests stand on.
//! - [`demo`]: what `cargo xtask demo` shows.
//! - [`chart`]: the chart, rendered and installed by the real Helm.
//! - [`bench`]: what `cargo xtask bench` measures on the real API server.
//! - [`datastorage`]: a real PostgreSQL, and the service Data Storage on it.
//! - [`endurance`]: the operator under changes and faults of all kinds, and the checks of what it writes.

pub mod bench;
pub mod chart;
pub mod controlplane;
pub mod datastorage;
pub mod demo;
pub mod endurance;
pub mod harness;
pub mod random;
pub mod stop;
mod usage;

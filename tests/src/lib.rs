//! A real Kubernetes control plane without containers, and what tests, demo and benchmarks do with it.
//!
//! - [`controlplane`]: finds or builds the programs, starts them, ends them.
//! - [`harness`]: what the behaviour tests stand on.
//! - [`demo`]: what `cargo xtask demo` shows.
//! - [`chart`]: the chart, rendered and installed by the real Helm.
//! - [`bench`]: what `cargo xtask bench` measures on the real API server.
//! - [`endurance`]: the operator under changes and faults of all kinds, and the checks of what it writes.

pub mod bench;
pub mod chart;
pub mod controlplane;
pub mod demo;
pub mod endurance;
pub mod harness;
mod random;
pub mod stop;
mod usage;

//! A real Kubernetes control plane without containers, and what tests, demo and benchmarks do with it.
//!
//! - [`controlplane`]: finds or builds the programs, starts them, ends them.
//! - [`harness`]: what the behaviour tests stand on.

pub mod controlplane;
pub mod harness;

//! Behaviour on a real API server. One module per subject; `tests/README.md` says how to write one.

mod annotations;
mod control_plane;
mod drift;
mod harness;
mod health;
mod modes;
mod outputs;
mod ownership;
mod sources;
mod stage;

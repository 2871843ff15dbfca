//! Behaviour on a real API server. One module per subject; `tests/README.md` says how to write one.

mod control_plane;
mod harness;

//! Behaviour on a real API server. One module per subject; `tests/README.md` says how to write one.

mod annotations;
mod at_rest;
mod control_plane;
mod crd;
mod drift;
mod election;
mod faults;
mod fence;
mod forbidden;
mod harness;
mod health;
mod many;
mod modes;
mod outputs;
mod overrides;
mod ownership;
mod proxy;
mod reload;
mod rights;
mod scale;
mod scenarios;
mod shutdown;
mod slow;
mod sources;
mod stage;
mod tenants;

//! What Pods add to what a Service says: the container that a port reaches, its image, settings and probes.
//!
//! The fixtures follow the products' documented flags and variables, and what their charts and operators write.

#![allow(clippy::expect_used, reason = "a fixture that does not parse fails its test")]

mod agreeing;
mod explaining;
mod fixture;
mod fronts;
mod meshes;
mod other_programs;
mod products;
mod properties;
mod proxies;
mod search;
mod settings;
mod spellings;
mod stacks;

//! What all rules share. Nothing here depends on a product.
//!
//! ```text
//! ServiceView ─► identities ─► assess ─► findings ─► Finding
//!                   rule ───────┘  └───► evidence, hint ─► Explanation
//! ```
//! `rule` defines the facts that a product's file states. `vocabulary` finds products' names in values (`whole_words`,
//! `other_programs`), and `closeness` says how close a value is to such a name. `role`, `shape`, `ports`, `only_port`,
//! `refusal`, `peers` and `telling_port` read the other parts of a Service. `assess` draws the `conclusion`: `contradiction` is the
//! evidence against the product, and `pieces` counts the evidence for it.

pub(crate) mod assess;
pub(crate) mod candidates;
mod closeness;
pub(crate) mod conclusion;
mod contradiction;
mod endpoint_role;
pub(crate) mod evidence;
pub(crate) mod findings;
pub(crate) mod hint;
pub(crate) mod identities;
mod only_port;
mod other_programs;
mod peers;
mod pieces;
mod ports;
mod refusal;
pub(crate) mod role;
pub(crate) mod rule;
mod shape;
mod telling_port;
pub(crate) mod vocabulary;
pub(crate) mod whole_words;

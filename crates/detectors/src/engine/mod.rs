//! What all rules share. Nothing here depends on a product.
//!
//! ```text
//! ServiceView ─► identities ─► assess ─► findings ─► Finding
//!                   rule ───────┘  └───► evidence, hint ─► Explanation
//! ```
//! `rule` defines the facts that a product's file states. `vocabulary` finds products' names in values (`whole_words`,
//! `other_programs`); `role`, `shape` and `ports` read the other parts of a Service.

pub(crate) mod assess;
pub(crate) mod candidates;
pub(crate) mod evidence;
pub(crate) mod findings;
pub(crate) mod hint;
pub(crate) mod identities;
mod other_programs;
mod ports;
pub(crate) mod role;
pub(crate) mod rule;
mod shape;
pub(crate) mod vocabulary;
pub(crate) mod whole_words;

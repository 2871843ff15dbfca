//! What all rules share: reading a Service once, weighing it by one product's facts, and saying so in words.
//!
//! ```text
//! ServiceView ──► Facts ──► judge(Rule, Facts) ──► Verdict ──► describe ──► Finding, Explanation
//! ```

mod describe;
mod facts;
mod judge;
mod ports;
pub(crate) mod rule;
mod words;

pub(crate) use describe::{evidence, finding, hint};
pub(crate) use facts::{Facts, NAME_LABEL, release};
pub(crate) use judge::{judge, target};
pub(crate) use words::Vocabulary;

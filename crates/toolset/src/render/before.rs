//! What was written before, as far as the next output depends on it.

use std::collections::BTreeMap;

use detectors::ServiceKey;

use crate::{tool::Tool, wanted::Fate};

/// The names of the data sources that other ToolsetConfigs keep in Grafana, each with that ToolsetConfig, as
/// `namespace/name`.
pub type Elsewhere = BTreeMap<String, String>;

/// The file for Grafana that was written before.
#[derive(Clone, Copy)]
pub struct Earlier<'a> {
    /// The text under [`grafana_key`](super::grafana_key).
    pub text: &'a str,
    /// Whether it has been there for so long that every Grafana that runs has loaded it.
    pub is_loaded: bool,
    /// See [`Elsewhere`]. `None` if it is not known yet. Then no name is deleted whose Service may still exist.
    pub elsewhere: Option<&'a Elsewhere>,
    /// In which namespaces Services may exist that the index lacks.
    pub unseen: &'a dyn Fn(&str) -> bool,
}

/// Whether a variable of the format Environment can name a discovered tool.
pub type CanFill<'a> = &'a dyn Fn(&str, &Tool) -> bool;

/// What was written before, and what is known of it.
pub struct Before<'a> {
    /// `None` if there is no file.
    pub earlier: Option<Earlier<'a>>,
    /// What is known of a Service.
    pub fate: &'a dyn Fn(&ServiceKey) -> Fate,
    /// Which discovered tools a variable can name. `None` means all.
    pub can_fill: Option<CanFill<'a>>,
}

//! What each watch does with its objects.

mod config_map;
mod index;
mod toolset_configs;

pub(super) use self::{
    config_map::OneConfigMap,
    index::{EndpointSlices, Namespaces, Services},
    toolset_configs::ToolsetConfigFeed,
};

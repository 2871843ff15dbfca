//! The targets, one file each.

mod annotations;
mod answers;
mod base;
mod legacy;
mod overrides;
mod pipeline;
mod pods;
mod selectors;
mod urls;
mod yaml;

use crate::Target;

/// All of them, by name.
pub const ALL: &[Target] = &[
    Target { name: "annotations", run: annotations::run },
    Target { name: "answers", run: answers::run },
    Target { name: "base", run: base::run },
    Target { name: "legacy", run: legacy::run },
    Target { name: "overrides", run: overrides::run },
    Target { name: "pipeline", run: pipeline::run },
    Target { name: "pods", run: pods::run },
    Target { name: "selectors", run: selectors::run },
    Target { name: "urls", run: urls::run },
    Target { name: "yaml", run: yaml::run },
];
